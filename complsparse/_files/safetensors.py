# SPDX-License-Identifier: BSD-3-Clause
"""Tensors in the .safetensors form: eight bytes that say how long the header is, the header in JSON, the bytes of the
tensors, one after another without a gap.

Read here rather than by the package of that name: the format is small, and so nothing compiled sees unchecked bytes.
"""

from __future__ import annotations

import json
import math
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# fmt: off
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
}
# fmt: on
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
MAX_HEADER = 100_000_000  # bytes, as the format says
METADATA = "__metadata__"


class _Tensor(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_safetensors(stream: IO[bytes], n_bytes: int) -> dict[str, NDArray[Any]]:
    """The floating-point tensors of a file by name; bfloat16 is widened to float32.

    Raises ValueError where the header lies about the bytes behind it, for tensors of any dtype.
    """
    length = int.from_bytes(stream.read(8), "little")
    if n_bytes < 8 or length > min(n_bytes - 8, MAX_HEADER):
        raise ValueError(f"declares a header of {length} bytes, but has {n_bytes}")
    tensors = _parse_header(stream.read(length))
    content = stream.read()
    place = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != place:
            raise ValueError(
                f"tensor {name!r} begins at byte {tensor.begin}, not {place}, where the one before it ends"
            )
        place = tensor.end
    if place != len(content):
        raise ValueError(f"declares {place} bytes of tensors, but has {len(content)}")
    return {name: _array(content, tensor) for name, tensor in tensors.items() if tensor.dtype in FLOATS}


def _parse_header(header: bytes) -> dict[str, _Tensor]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("the header names something twice")
        return found

    try:
        document = json.loads(header.decode("utf-8"), object_pairs_hook=once)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"the header is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("the header is not an object")
    document.pop(METADATA, None)
    return {name: _parse_tensor(name, entry) for name, entry in document.items()}


def _parse_tensor(name: str, entry: Any) -> _Tensor:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ValueError(f"tensor {name!r} has a dtype that is not known: {dtype!r:.40}")
    if not _sizes(shape) or len(shape) > 32 or not _sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"tensor {name!r}: shape and data_offsets are not lists of sizes")
    bits, (begin, end) = math.prod(shape) * BITS[dtype], offsets
    if end - begin != -(-bits // 8) or bits % 8:
        raise ValueError(f"tensor {name!r}: {dtype} of shape {tuple(shape)} does not take {end - begin} bytes")
    return _Tensor(dtype, tuple(shape), begin, end)


def _sizes(items: Any) -> bool:
    return isinstance(items, list) and all(type(item) is int and 0 <= item < 2**63 for item in items)


def _array(content: bytes, tensor: _Tensor) -> NDArray[Any]:
    dtype = np.dtype(FLOATS[tensor.dtype])
    count = (tensor.end - tensor.begin) // dtype.itemsize
    stored = np.frombuffer(content, dtype, count, tensor.begin) if count else np.empty(0, dtype)
    # bfloat16 is the upper half of a float32: no package is needed to read it.
    array = (stored.astype(np.uint32) << 16).view(np.float32) if tensor.dtype == "BF16" else stored
    return array.reshape(tensor.shape)
