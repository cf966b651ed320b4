"""Fingerprints of our own code: a cached result holds only while the code that computed it does the same."""

import ast
import hashlib
import uuid
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from zenml.config import CachePolicy

from entailment.task import KINDS
from entailment.workspace import PROJECT

_ROOMS: Final = ("entailment", "steps", "materializers")
"""Where code that computes lies; how a result is logged makes no other result."""
_WHERE: Final = "entailment.workspace"
"""Where things lie makes no other result."""
_PARTS: Final = (".css", ".html", ".js")
"""A file of such an ending beside a module, with the module's name, is a part of it."""
_LIBRARIES: Final = ("tensorflow", "tensorflow-text", "keras", "numpy", "pandas", "scikit-learn", "pillow")


def cached_by(code: Callable[[], str]) -> CachePolicy:
    """The cache policy of a step whose code has the fingerprint that `code` gives, a function of the step's module.

    ZenML would add the step's own source, comments and all.
    """
    return CachePolicy(cache_func=code, include_step_code=False)


def never() -> str:
    """The fingerprint of a step that looks at what is there when it runs: another one each time.

    `enable_cache: false` would not do: a run configuration with `enable_cache: true` wins over it.
    """
    return uuid.uuid4().hex


def fingerprint(*modules: str) -> str:
    """Hexadecimal SHA-256 over what the modules do, all of this project that they import, directly or not, and the
    versions of the libraries that compute with them.

    What a module does is its syntax tree: comments, docstrings and layout count for nothing. Imports inside functions
    count, and so do the parts of a page. Modules are dotted names such as `steps.train`.
    """
    digest = hashlib.sha256()
    for library in _LIBRARIES:
        digest.update(f"{library}=={version(library)}\0".encode())
    for path in sorted(_reachable(modules)):
        digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + _code(path) + b"\0")
    return digest.hexdigest()


def _reachable(modules: tuple[str, ...]) -> set[Path]:
    seen: set[Path] = set()
    queue = [path for module in modules if (path := _file(module))]
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            queue += [file for name in _imports(path) if (file := _file(name))]
    return seen


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _code(path: Path) -> bytes:
    code = ast.dump(_WithoutTexts().visit(ast.parse(path.read_text(encoding="utf-8")))).encode()
    parts = [part for suffix in _PARTS if (part := path.with_suffix(suffix)).is_file()]
    return b"\0".join([code, *(part.read_bytes() for part in parts)])


class _WithoutTexts(ast.NodeTransformer):
    """Takes away texts that stand alone: docstrings of modules, classes, functions and attributes."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Called by its name for each expression that is a statement."""
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else node


@cache
def _imports(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(PROJECT).parts[: -node.level] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    if path == PROJECT / "entailment" / "inputs" / "__init__.py":
        # It finds them by their names.
        names |= {f"entailment.inputs.{kind}" for kind in KINDS}
    names.discard(_WHERE)
    return frozenset(name for name in names if name.partition(".")[0] in _ROOMS)


def _file(module: str) -> Path | None:
    path = PROJECT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
