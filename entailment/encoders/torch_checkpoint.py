"""Reads the tensors of a PyTorch checkpoint in the old (before 1.6) format, with numpy alone.

The format is a row of pickles (magic number, protocol, system, the dictionary of tensors, the storage keys) and
then, for each key in that order, the number of its elements as a little-endian int64 and their raw bytes.
"""

# The one pickle this project reads: published weights come in no other form. The unpickler below admits the
# few names that tensors need and nothing else, and is only given a file whose sha256 was checked.
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from entailment.errors import EncoderError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGE_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class _Storage(NamedTuple):
    dtype: np.dtype[Any]
    key: str
    elements: int


class _Tensor(NamedTuple):
    """The arguments of `torch._utils._rebuild_tensor_v2`; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool
    hooks: object

    def array(self, values: bytes) -> np.ndarray:
        """A copy of the tensor's elements in the storage's bytes; numpy checks that it stays inside."""
        item = self.storage.dtype.itemsize
        strides = tuple(stride * item for stride in self.strides)
        view = np.ndarray(self.shape, self.storage.dtype, values, self.offset * item, strides)
        return np.array(view, order="C")


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return np.dtype(_STORAGE_DTYPES[name])
        raise EncoderError(f"it asks for {module}.{name}, which no tensor needs; it may be harmful")

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, elements, _ = pid
        return _Storage(dtype, key, elements)


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """The tensors of the checkpoint `path`, name -> array (float32 or int64), in the file's order.

    Raises EncoderError when the file is damaged, of another format, or asks for anything but tensors.
    """
    try:
        with path.open("rb") as handle:
            return _read(handle)
    except Exception as error:  # a damaged or hostile pickle can raise whatever it likes
        raise EncoderError(
            f"{path}: not a PyTorch checkpoint that can be read safely: {error}. Delete it and fetch it again."
        ) from error


def _read(handle: BinaryIO) -> dict[str, np.ndarray]:
    magic, protocol, system, tensors, keys = (_TensorUnpickler(handle).load() for _ in range(5))
    if (magic, protocol) != (_MAGIC, _PROTOCOL) or not system["little_endian"]:
        raise EncoderError(f"expected magic number {_MAGIC:#x} and protocol {_PROTOCOL}, little-endian")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    values = {key: _read_storage(handle, storages[key]) for key in keys}
    if handle.read(1):
        raise EncoderError("bytes are left over after the last tensor")
    return {name: tensor.array(values[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_storage(handle: BinaryIO, storage: _Storage) -> bytes:
    (elements,) = np.frombuffer(handle.read(8), "<i8")
    if elements != storage.elements:
        raise EncoderError(f"storage {storage.key} has {elements} elements, expected {storage.elements}")
    size = storage.elements * storage.dtype.itemsize
    values = handle.read(size)
    if len(values) != size:
        raise EncoderError(f"storage {storage.key} is cut off after {len(values)} of {size} bytes")
    return values
