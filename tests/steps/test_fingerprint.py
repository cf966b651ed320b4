"""The fingerprint of a step's code follows imports and nothing else."""

import importlib
import sys
from pathlib import Path

import pytest

from steps import fingerprint as module
from steps.fingerprint import fingerprint


@pytest.fixture
def project(tmp_path, monkeypatch):
    for path, text in {
        "steps/one.py": "from entailment.deep import f\n",
        "steps/two.py": "import os\n",
        "entailment/__init__.py": "",
        "entailment/deep.py": "def f():\n    from entailment.late import g\n    return g\n",
        "entailment/late.py": "g = 1\n",
        "entailment/late.css": "",
        "entailment/late.svg": "",
        "entailment/unrelated.py": "h = 1\n",
    }.items():
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    module._imports.cache_clear()
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "one", "two"),
    [
        ("steps/one.py", True, False),
        ("entailment/deep.py", True, False),
        ("entailment/late.py", True, False),
        ("entailment/late.css", True, False),
        ("entailment/late.svg", False, False),
        ("entailment/unrelated.py", False, False),
        ("steps/two.py", False, True),
    ],
)
def test_it_changes_with_what_is_imported(project: Path, changed, one, two):
    before = fingerprint("steps.one"), fingerprint("steps.two")
    (project / changed).write_text((project / changed).read_text() + "changed = 1\n")
    module._tree.cache_clear()
    module._code.cache_clear()
    module._imports.cache_clear()
    after = fingerprint("steps.one"), fingerprint("steps.two")
    assert (before[0] != after[0], before[1] != after[1]) == (one, two)


def test_words_and_layout_change_nothing(project: Path):
    before = fingerprint("steps.one")
    text = '"""A module."""\n\nfrom entailment.deep import f  # why\n'
    (project / "steps" / "one.py").write_text(text)
    module._code.cache_clear()
    assert fingerprint("steps.one") == before


def test_the_real_steps_reach_what_they_use(monkeypatch):
    importlib.import_module("steps")

    def reached(step):
        # The package's name `steps.train` is the step; the module is found here.
        monkeypatch.setattr(sys.modules[step], "fingerprint", lambda *modules: asked.append(modules) or "")
        sys.modules[step].code()
        return {path.stem for path in module._reachable(asked.pop())}

    asked = []
    trained = reached("steps.train")
    assert {"head", "losses", "layers", "confusion", "feature_store"} <= trained
    assert not {"figures", "promotion", "gate", "package", "runs", "intervals"} & trained
    assert {"evaluation_page", "raw_pairs", "description"} <= reached("steps.evaluate")
    assert {"images", "errors"} <= {path.stem for path in module._reachable(("entailment.serving.reader",))}
    assert "metrics" not in {path.stem for path in module._reachable(("steps.ingest",))}
