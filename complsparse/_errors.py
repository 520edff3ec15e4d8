# SPDX-License-Identifier: BSD-3-Clause
"""Which dtypes multiply, and the sentences that say why a product cannot be formed.

The fast checks in `_core` only say no; the functions here find out why and name the numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

FLOATS = (np.float16, np.float32, np.float64)

DTYPE_TABLE = """\
W                x                result   computed in
float32          float32          float32  float32
float64          float64          float64  float64
float32/float64  the other        float64  float64
float16          float16/float32  float32  float32
bool, int        bool, int        np.result_type (int8 with int8 or uint8: int32)  int64, exact modulo 2**bits
float            bool, int        np.result_type (float16 counts as float32)       float32 or float64
"""


class ProductTypes(NamedTuple):
    compute: np.dtype[Any]
    result: np.dtype[Any]


def _is_integer(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biu"


def product_types(w: np.dtype[Any], x: np.dtype[Any], requested: Any = None) -> ProductTypes:
    """The dtypes in which W (dtype `w`) times a dense operand (dtype `x`) is computed and returned.

    Raises TypeError for a pair outside the table, naming what would work.
    """
    for name, dtype in (("W", w), ("the dense operand", x)):
        if not (_is_integer(dtype) or dtype.type in FLOATS):
            raise TypeError(
                f"{name} has dtype {dtype}, which does not multiply; convert it with "
                f"astype(np.float32) or astype(np.float64). Products exist for:\n{DTYPE_TABLE}"
            )
    result: np.dtype[Any]
    if _is_integer(w) and _is_integer(x):
        small = w == np.int8 and x in (np.dtype(np.int8), np.dtype(np.uint8))
        result = np.dtype(np.int32) if small else np.result_type(w, x)
    else:
        result = np.result_type(w, x)
        if result == np.float16:
            result = np.dtype(np.float32)
    if requested is not None:
        wanted = np.dtype(requested)
        if not (_is_integer(wanted) or wanted.type in FLOATS) or not np.can_cast(result, wanted, "same_kind"):
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
