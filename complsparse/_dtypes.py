# SPDX-License-Identifier: BSD-3-Clause
"""Which dtypes multiply: the products that exist in C++, and how other dtypes become one of them."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from complsparse import _core

FLOATS = (np.float16, np.float32, np.float64)


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


# --- the products that exist ------------------------------------------------------------------------------------------


# Those of one dtype throughout, in which the others are computed too.
_OWN = tuple(np.dtype(row["y"]) for row in _core.products() if len(set(row.values())) == 1)

# The table of dtypes, as README.md and errors show it: a row holds the dtypes of W and of x, the result's, and in which
# is computed. These are the pairs without a product of their own: what `product_types` makes of them.
_CONVERTED = (
    ("float32 or float64", "the other", "float64", "float64"),
    ("float16, bfloat16", "float16, bfloat16, float32", "float32", "float32"),
    ("float16, bfloat16", "float64", "float64", "float64"),
    (
        "bool, integers",
        "bool, integers",
        "np.result_type; int8 with int8 or uint8: int32",
        ", ".join(str(dtype) for dtype in _OWN if dtype.kind in "iu") + ", exact modulo 2**bits",
    ),
    ("floats", "bool, integers", "np.result_type, 16-bit floats counting as float32", "float32 or float64"),
)


def table_rows() -> list[tuple[str, str, str, str]]:
    """The products of floats that exist, and the rules for all else."""
    floats = [row for row in _core.products() if np.dtype(row["y"]).kind == "f"]
    return [*((row["w"], row["x"], row["y"], row["sum"]) for row in floats), *_CONVERTED]


def _table() -> str:
    rows = [("W", "x", "result", "computed in"), *table_rows()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


# --- the product of two dtypes ----------------------------------------------------------------------------------------


class ProductTypes(NamedTuple):
    compute: np.dtype[Any]
    result: np.dtype[Any]


def _is_integer(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biu"


def _multiplies(dtype: np.dtype[Any]) -> bool:
    return _is_integer(dtype) or dtype.type in FLOATS or is_bfloat16(dtype)


def _computed_in(result: np.dtype[Any]) -> np.dtype[Any]:
    """The narrowest dtype with a product of its own that holds a result: of integers its bits, of floats its values."""
    kind = "i" if _is_integer(result) else "f"
    wide = (dtype for dtype in _OWN if dtype.kind == kind and dtype.itemsize >= result.itemsize)
    return min(wide, key=lambda dtype: dtype.itemsize)


def product_types(w: np.dtype[Any], x: np.dtype[Any], requested: Any = None) -> ProductTypes:
    """The dtypes in which W (dtype `w`) times a dense operand (dtype `x`) is computed and returned.

    Raises TypeError for a pair outside the table, naming what would work.
    """
    for name, dtype in (("W", w), ("the dense operand", x)):
        if not _multiplies(dtype):
            raise TypeError(
                f"{name} has dtype {dtype}, which does not multiply; convert it with "
                f"astype(np.float32) or astype(np.float64). Products exist for:\n{_table()}"
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
    return ProductTypes(_computed_in(result), result)
