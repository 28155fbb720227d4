"""Arrays of NumPy as Arrow's and back, by their buffers.

Arrow's own conversions (`pa.array`, `to_numpy`, `fill_null`) import pandas where it is installed: a
quarter of a second of CPU time in each process that reads or writes a record.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def is_valid(array: pa.Array) -> NDArray[np.bool_]:
    """Mask of the values that are not null."""
    bits = array.buffers()[0]
    if array.null_count == len(array):
        return np.zeros(len(array), np.bool_)
    if not array.null_count or bits is None:
        return np.ones(len(array), np.bool_)
    unpacked = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    return unpacked[array.offset : array.offset + len(array)].view(np.bool_)


def numbers(array: pa.Array, kind: Any, missing: float) -> NDArray[Any]:  # noqa: ANN401  a type of NumPy
    """Values of an array of numbers, which are of NumPy's type `kind`; `missing` in place of null."""
    if array.null_count == len(array):
        return np.full(len(array), missing, kind)
    stored = _stored(array, kind)
    return np.where(is_valid(array), stored, kind(missing)) if array.null_count else stored


def copy_numbers(array: pa.Array, into: NDArray[Any], missing: float) -> None:
    """Write the values of an array of numbers, of the type of `into`; `missing` in place of null."""
    if array.null_count == len(array):
        into.fill(missing)
        return
    into[:] = _stored(array, into.dtype)
    if array.null_count:
        np.putmask(into, ~is_valid(array), missing)


def _stored(array: pa.Array, kind: Any) -> NDArray[Any]:  # noqa: ANN401  a type of NumPy
    return np.frombuffer(array.buffers()[1], kind)[array.offset : array.offset + len(array)]


def number_array(values: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> pa.Array:
    """Array of numbers, null where they are not `valid`."""
    bits = None if valid is None or valid.all() else pa.py_buffer(_bits(valid))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(
        kind, values.size, [bits, pa.py_buffer(np.ascontiguousarray(values))]
    )


def text_array(texts: Sequence[str]) -> pa.Array:
    """Array of texts."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))
    )


def _bits(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(mask, bitorder="little")
