"""Weight files of PyTorch: read without it, and what it raises for one that holds other things."""

import pickle
import struct
from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from audiosearch.engine.analyzers.base import FloatArray

UNREADABLE = (
    *(OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, AttributeError),
    *(IndexError, pickle.UnpicklingError, struct.error),
)
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def read_legacy_weights(path: Path, key: str) -> dict[str, FloatArray]:
    """The float32 tensors in the dict `key` of a file as PyTorch wrote it before 1.6, by name.

    Such a file is five pickles (magic number, version, sizes of types, the object, the keys of its
    storages) and each storage's length and values. No code that the file may carry is run. Raises
    one of UNREADABLE for what is no such file.
    """
    with path.open("rb") as file:
        magic, _, _, kept, keys = (_Unpickler(file).load() for _ in range(5))
        if magic != LEGACY_MAGIC:
            raise ValueError(f"{path} is not in PyTorch's legacy format.")
        storages = {storage: _read_storage(file) for storage in keys}
    return {name: tensor.values(storages) for name, tensor in kept[key].items()}


class _Tensor(NamedTuple):
    """A part of a storage whose values come later in the file."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def values(self, storages: dict[str, FloatArray]) -> FloatArray:
        if self.strides != tuple(prod(self.shape[axis + 1 :]) for axis in range(len(self.shape))):
            raise ValueError("The values of a tensor do not lie in order.")
        stored = storages[self.storage]
        return stored[self.offset : self.offset + prod(self.shape)].reshape(self.shape)


def _tensor(storage: str, offset: int, shape: Any, strides: Any, *_: object) -> _Tensor:
    """Stands for torch._utils._rebuild_tensor_v2."""
    return _Tensor(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """Lets through what weights are made of, and nothing that could run code."""

    names = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch", "FloatStorage"): "float32",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.names:
            raise pickle.UnpicklingError(f"{module}.{name} has no place among weights.")
        return self.names[module, name]

    def persistent_load(self, identifier: Any) -> str:
        _, _, key, *_ = identifier
        return str(key)


def _read_storage(file: IO[bytes]) -> FloatArray:
    (length,) = struct.unpack("<q", file.read(8))
    return np.frombuffer(file.read(4 * length), "<f4", length)
