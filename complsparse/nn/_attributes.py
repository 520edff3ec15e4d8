# SPDX-License-Identifier: BSD-3-Clause
"""Attributes of layers, checked against the annotations of the functions that take them."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Union

import numpy as np
from numpy.typing import NDArray

from complsparse._arrays import as_array
from complsparse.nn._weights import checked_weights

Ints = tuple[int, ...]
Array = NDArray[Any]
Weights = Annotated[Any, "a matrix, sparse or dense"]
ByteWeights = Annotated[Any, "a matrix of complsparse.quantize"]  # checked by the products that it goes into
Known = Annotated[Any, "known when the plan is made"]  # of an input: its values say what shape the result has


def checked_attribute(value: Any, hint: Any, name: str) -> Any:
    """The value in the annotated type. TypeError and ValueError in words where it is of another."""
    origin, given = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in given:
            return None
        (hint,) = (one for one in given if one is not type(None))
        return checked_attribute(value, hint, name)
    if origin is typing.Literal:
        if value not in given:
            raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, given))}")
        return value
    if hint == Weights:
        return checked_weights(value, 2)
    if hint == ByteWeights:
        return value
    if hint == Array:
        return _checked_array(value, name)
    if hint == Ints:
        one = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        entries = [value] if one else value
        if isinstance(entries, (str, bytes)) or not hasattr(entries, "__iter__"):
            raise TypeError(f"{name} must be integers, not {value!r}")
        return tuple(checked_attribute(entry, int, f"an entry of {name}") for entry in entries)
    return _checked_scalar(value, hint, name)


def _checked_scalar(value: Any, kind: type, name: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits:
        raise TypeError(f"{name} must be of type {kind.__name__}, not {value!r}")
    return kind(value)


def _checked_array(value: Any, name: str) -> NDArray[Any]:
    """A read-only copy in C order."""
    array = as_array(value, name)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(f"{name} has dtype {array.dtype}; numbers or booleans are expected")
    array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    array.flags.writeable = False
    return array
