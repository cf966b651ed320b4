"""Fingerprints of our own code: a cached result holds only while the code that made it is the same."""

import ast
import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from entailment.home import PROJECT

_ROOMS: Final = ("entailment", "steps", "tracking", "materializers")
_LIBRARIES: Final = ("tensorflow", "tensorflow-text", "keras", "pandas", "scikit-learn", "pillow")


def code_fingerprint(*modules: str) -> str:
    """Hexadecimal SHA-256 over the modules, all of this project that they import, directly or not, and the
    versions of the libraries that compute with them.

    Imports inside functions count. Modules are dotted names such as `steps.train`.
    """
    digest = hashlib.sha256()
    for library in _LIBRARIES:
        digest.update(f"{library}=={version(library)}\0".encode())
    for path in sorted(_reachable(modules)):
        digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
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
def _imports(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(PROJECT).parts[: -node.level] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.partition(".")[0] in _ROOMS)


def _file(module: str) -> Path | None:
    path = PROJECT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
