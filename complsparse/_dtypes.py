# SPDX-License-Identifier: BSD-3-Clause
"""Which dtypes multiply, and the sentences that say why a product cannot be formed.

The fast checks in `_core` only say no; the functions here find out why and name the numbers.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

FLOATS = (np.float16, np.float32, np.float64)

DTYPE_TABLE = """\
W                x                result   computed in
float32          float32          float32  float32
float64          float64          float64  float64
float32/float64  the other        float64  float64
float16/bfloat16 float16/bfloat16/float32  float32  float32
float16/bfloat16 float64          float64  float64
bool, int        bool, int        np.result_type (int8 with int8 or uint8: int32)  int64, exact modulo 2**bits
float            bool, int        np.result_type (16-bit floats count as float32)  float32 or float64
"""


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """`numpy.dtype`, for which "bfloat16" is a name before ml_dtypes has been imported too.

    Raises ImportError for that name where ml_dtypes is not installed.
    """
    return bfloat16() if isinstance(dtype, str) and dtype == "bfloat16" else np.dtype(dtype)


def bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError("dtype bfloat16 needs the package ml_dtypes: pip install ml_dtypes") from None
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """In either byte order. Nobody has such a dtype before ml_dtypes has been imported."""
    return dtype.type is getattr(sys.modules.get("ml_dtypes"), "bfloat16", None)


def counted(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """As what a dtype promotes: bfloat16, for which NumPy has few rules, as float32, which holds its every value."""
    return np.dtype(np.float32) if is_bfloat16(dtype) else dtype


class ProductTypes(NamedTuple):
    compute: np.dtype[Any]
    result: np.dtype[Any]


def _is_integer(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biu"


def _multiplies(dtype: np.dtype[Any]) -> bool:
    return _is_integer(dtype) or dtype.type in FLOATS or is_bfloat16(dtype)


def product_types(w: np.dtype[Any], x: np.dtype[Any], requested: Any = None) -> ProductTypes:
    """The dtypes in which W (dtype `w`) times a dense operand (dtype `x`) is computed and returned.

    Raises TypeError for a pair outside the table, naming what would work.
    """
    for name, dtype in (("W", w), ("the dense operand", x)):
        if not _multiplies(dtype):
            raise TypeError(
                f"{name} has dtype {dtype}, which does not multiply; convert it with "
                f"astype(np.float32) or astype(np.float64). Products exist for:\n{DTYPE_TABLE}"
            )
    result: np.dtype[Any]
    if _is_integer(w) and _is_integer(x):
        small = w == np.int8 and x in (np.dtype(np.int8), np.dtype(np.uint8))
        result = np.dtype(np.int32) if small else np.result_type(w, x)
    else:
        result = np.result_type(counted(w), counted(x))
        if result == np.float16:
            result = np.dtype(np.float32)
    if requested is not None:
        wanted = as_dtype(requested)
        if not _multiplies(wanted) or not np.can_cast(result, wanted, "same_kind"):
            raise TypeError(
                f"dtype={wanted} cannot hold the product of {w} and {x} ({result}) under 'same_kind' casting"
            )
        result = wanted
    if _is_integer(result):
        return ProductTypes(np.dtype(np.int64), result)
    return ProductTypes(np.dtype(np.float64 if result == np.float64 else np.float32), result)


def wrong_inner_size(dense_shape: tuple[int, ...], w_shape: tuple[int, int], form: str) -> ValueError:
    """`form` is "W @ X", "X @ W" or "linear"."""
    if form == "X @ W":
        axis, got, expected, what = "columns", dense_shape[-1], w_shape[0], "its row count"
    elif form == "linear":
        axis, got, expected, what = "features (last axis)", dense_shape[-1], w_shape[1], "its column count"
    elif len(dense_shape) == 1:
        axis, got, expected, what = "entries", dense_shape[0], w_shape[1], "its column count"
    else:
        axis, got, expected, what = "rows", dense_shape[-2], w_shape[1], "its column count"
    name = "x" if form == "linear" else "X"
    return ValueError(
        f"{name} of shape {dense_shape} has {got} {axis}; W of shape {w_shape} expects {expected} ({what})"
    )
