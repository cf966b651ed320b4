import os
import pickle
import sys
import types
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from entailment.encoders.torch_checkpoint import read_checkpoint
from entailment.errors import EncoderError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Storage:
    def __init__(self, kind: type, key: str, values: np.ndarray) -> None:
        self.kind, self.key, self.values = kind, key, values


class Tensor:
    """Pickles as PyTorch's tensors do."""

    def __init__(self, rebuild, *arguments) -> None:
        self.rebuild, self.arguments = rebuild, arguments

    def __reduce__(self):
        return self.rebuild, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", obj.kind, obj.key, "cpu", len(obj.values), None)
        return None


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """The names that a checkpoint's pickles refer to."""
    module, inner = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(module, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        raise AssertionError

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    inner._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", inner)
    return types.SimpleNamespace(**vars(module), rebuild=_rebuild_tensor_v2)


def write(handle: BinaryIO, tensors: dict, storages: list[Storage], magic: int = MAGIC) -> None:
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {}}
    for part in (magic, PROTOCOL, system, tensors, [storage.key for storage in storages]):
        Pickler(handle, protocol=2).dump(part)
    for storage in storages:
        handle.write(np.int64(len(storage.values)).tobytes() + storage.values.tobytes())


@pytest.fixture
def tensors(torch) -> tuple[dict, list[Storage]]:
    floats = Storage(torch.FloatStorage, "11", np.arange(10, dtype="<f4"))
    longs = Storage(torch.LongStorage, "12", np.array([2**40], "<i8"))
    return {
        "whole": Tensor(torch.rebuild, floats, 0, (2, 5), (5, 1), False, {}),
        "transposed": Tensor(torch.rebuild, floats, 4, (3, 2), (1, 3), False, {}),
        "count": Tensor(torch.rebuild, longs, 0, (), (), False, {}),
    }, [floats, longs]


def test_reads_views_and_scalars(tensors, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with path.open("wb") as handle:
        write(handle, *tensors)
    read = read_checkpoint(path)
    assert list(read) == ["whole", "transposed", "count"]
    np.testing.assert_array_equal(read["whole"], np.arange(10, dtype=np.float32).reshape(2, 5))
    np.testing.assert_array_equal(read["transposed"], [[4, 7], [5, 8], [6, 9]])
    assert read["transposed"].flags.c_contiguous
    assert read["count"].dtype == np.int64
    assert int(read["count"]) == 2**40


class Harmful:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("place", ["first", "among the tensors"])
def test_code_in_the_pickle_is_refused_and_not_run(tensors, place: str, tmp_path: Path) -> None:
    path, marker = tmp_path / "model.pth", tmp_path / "was run"
    with path.open("wb") as handle:
        if place == "first":
            pickle.dump(Harmful(marker), handle)
        else:
            write(handle, {**tensors[0], "bad": Harmful(marker)}, tensors[1])
    with pytest.raises(EncoderError, match=r"model\.pth.*system.*harmful"):
        read_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_builtins_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(b"c__builtin__\n" + name.encode() + b"\n.")
    with pytest.raises(EncoderError, match=name):
        read_checkpoint(path)


def test_tensor_outside_its_storage_is_refused(torch, tensors, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    outside = Tensor(torch.rebuild, tensors[1][0], 6, (5,), (1,), False, {})
    with path.open("wb") as handle:
        write(handle, {"outside": outside}, tensors[1][:1])
    with pytest.raises(EncoderError, match="read safely"):
        read_checkpoint(path)


def test_other_kinds_of_numbers_are_refused(torch, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    half = Storage(torch.HalfStorage, "1", np.zeros(4, "<f2"))
    with path.open("wb") as handle:
        write(handle, {"half": Tensor(torch.rebuild, half, 0, (4,), (1,), False, {})}, [half])
    with pytest.raises(EncoderError, match="HalfStorage"):
        read_checkpoint(path)


def test_damaged_files_are_refused(tensors, tmp_path: Path) -> None:
    path, whole = tmp_path / "model.pth", tmp_path / "whole.pth"
    with whole.open("wb") as handle:
        write(handle, *tensors)
    content = whole.read_bytes()
    for damaged in (b"", content[:40], content[:-1], content + b"x", b"PK\x03\x04" + content):
        path.write_bytes(damaged)
        with pytest.raises(EncoderError, match=r"model\.pth: not a PyTorch checkpoint"):
            read_checkpoint(path)


def test_wrong_magic_number_is_refused(tensors, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with path.open("wb") as handle:
        write(handle, *tensors, magic=1)
    with pytest.raises(EncoderError, match="magic number"):
        read_checkpoint(path)
