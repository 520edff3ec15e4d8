# SPDX-License-Identifier: BSD-3-Clause
"""Tensors of a file: their sizes held against their bytes, and data in other files."""

from __future__ import annotations

import math
import os
from typing import Any

import onnx

from complsparse._files.trust import check_regular, printable

MOST_DENSE = 2**29  # entries of an array that the bytes of the file do not bear out: zeros, repeated values

_BITS = {
    "FLOAT": 32, "UINT8": 8, "INT8": 8, "UINT16": 16, "INT16": 16, "INT32": 32, "INT64": 64, "BOOL": 8,
    "FLOAT16": 16, "DOUBLE": 64, "UINT32": 32, "UINT64": 64, "COMPLEX64": 64, "COMPLEX128": 128, "BFLOAT16": 16,
    "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8,
    "UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6,
}  # fmt: skip
_TYPED = {  # the field that holds each type where raw_data does not
    "float_data": ("FLOAT", "COMPLEX64"),
    "double_data": ("DOUBLE", "COMPLEX128"),
    "int64_data": ("INT64",),
    "uint64_data": ("UINT32", "UINT64"),
}


def check_tensor(tensor: Any) -> None:
    """ValueError where a TensorProto does not have the bytes that its type and shape ask for."""
    name = printable(tensor.name)
    if tensor.HasField("segment"):
        raise ValueError(f"tensor {name!r} is a segment of another, which nobody writes")
    if any(n < 0 for n in tensor.dims):
        raise ValueError(f"tensor {name!r} has the shape {tuple(tensor.dims)}")
    size = math.prod(tensor.dims)
    kind = type_name(tensor.data_type, f"tensor {name!r}")
    if kind == "STRING":
        field, found, wanted, unit = "string_data", len(tensor.string_data), size, "strings"
    elif tensor.HasField("raw_data") or tensor.data_location == onnx.TensorProto.EXTERNAL:
        field, found, wanted, unit = "raw_data", len(tensor.raw_data), -(-size * _BITS[kind] // 8), "bytes"
    else:
        field = next((field for field, kinds in _TYPED.items() if kind in kinds), "int32_data")
        found, unit = len(getattr(tensor, field)), f"numbers in {field}"
        numbers = 2 if kind.startswith("COMPLEX") else 1
        wanted = -(-size * _BITS[kind] // 8) if _BITS[kind] < 8 else size * numbers
    other = next(
        (name for name in (*_TYPED, "int32_data", "string_data") if name != field and getattr(tensor, name)), None
    )
    if other is not None:
        raise ValueError(f"tensor {name!r} of type {kind} has numbers in {other} beside {field}")
    if found != wanted:
        raise ValueError(f"tensor {name!r} of shape {tuple(tensor.dims)} and type {kind} has {found} {unit}, "
                         f"not {wanted}")  # fmt: skip


def type_name(number: int, what: str) -> str:
    """Of a type of elements; ValueError where ONNX has none of this number."""
    if number == onnx.TensorProto.STRING:
        return "STRING"
    try:
        name = str(onnx.TensorProto.DataType.Name(number))
    except ValueError:
        name = ""
    if name not in _BITS:
        raise ValueError(f"{what} has the type {number}, which is none of tensors")
    return name


def read_external(tensor: Any, folder: str | None) -> None:
    """Puts what a tensor keeps in a file of its own into the tensor: a file within the model's folder."""
    name = printable(tensor.name)
    given = {entry.key: entry.value for entry in tensor.external_data}
    location = given.get("location", "")
    if folder is None:
        raise ValueError(f"tensor {name!r} lies in {printable(location)!r} beside the model: pass the model's path")
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, location))
    if not location or "\0" in location or os.path.isabs(location) or os.path.commonpath([root, path]) != root:
        raise ValueError(f"tensor {name!r} lies in {printable(location)!r}, which is not within the model's folder")
    check_regular(path)
    offset, length = _number(given, "offset", name), _number(given, "length", name)
    held = os.path.getsize(path)
    if length is None:
        length = max(0, held - (offset or 0))
    kind = type_name(tensor.data_type, f"tensor {name!r}")
    if any(n < 0 for n in tensor.dims) or kind == "STRING" or length != -(-math.prod(tensor.dims) * _BITS[kind] // 8):
        raise ValueError(f"tensor {name!r} of shape {tuple(tensor.dims)} and type {kind} has {length} bytes "
                         f"in {printable(location)!r}")  # fmt: skip
    if (offset or 0) + length > held:
        raise ValueError(f"tensor {name!r} ends at byte {(offset or 0) + length} of {printable(location)!r}, "
                         f"which has {held}")  # fmt: skip
    with open(path, "rb") as stream:
        stream.seek(offset or 0)
        tensor.raw_data = stream.read(length)
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")


def _number(given: dict[str, str], key: str, name: str) -> int | None:
    text = given.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"tensor {name!r} has the {key} {printable(text)!r}")
    return int(text)
