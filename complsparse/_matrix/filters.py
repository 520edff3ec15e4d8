# SPDX-License-Identifier: BSD-3-Clause
"""Filters of convolutions, which are rows of a matrix: how their axes are written, and the shape that is theirs."""

from __future__ import annotations

import math
import operator
from typing import Any

from complsparse._matrix.csr import check_shape

# Where outputs, channels and the kernel's axes stand; the last as they are written for two and for one axis.
AXES_OF_ORDERS: dict[int, dict[str, tuple[int, ...]]] = {
    4: {"OIHW": (0, 1, 2, 3), "OHWI": (0, 3, 1, 2), "HWIO": (3, 2, 0, 1)},
    3: {"OIW": (0, 1, 2), "OWI": (0, 2, 1), "WIO": (2, 1, 0)},
}

Shape = tuple[int, ...]


def order_of(order: str, n_axes: int) -> str:
    """As it is called for so many axes: of signals H is left out."""
    return order.replace("H", "") if n_axes == 3 else order


def filter_axes(order: Any, n_axes: int) -> tuple[int, ...]:
    """The axes of (M, C, kh, kw) or (M, C, k) in an array written in this order; ValueError for an unknown one."""
    known = AXES_OF_ORDERS[n_axes]
    axes = known.get(order_of(order, n_axes)) if isinstance(order, str) else None
    if axes is None:
        raise ValueError(f"order={order!r} is not known; use {', '.join(map(repr, known))}")
    return axes


def matrix_shape(shape: Any) -> tuple[tuple[int, int], Shape | None]:
    """(M, K), and the shape of the filters that the rows are, where it is one.

    Raises
    ------
    TypeError, ValueError
        Sizes that are no integers, negative or too large; 5 axes or more.
    """
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        raise TypeError(f"shape must be integers: two of a matrix, three or four of filters; not {shape!r}") from None
    if len(sizes) <= 2:
        return check_shape(sizes), None
    if len(sizes) > 4:
        raise ValueError(f"shape {sizes} has {len(sizes)} axes; a matrix has 2, filters have 3 or 4")
    if min(sizes) < 0:
        raise ValueError(f"shape {sizes} has a negative size")
    return check_shape((sizes[0], math.prod(sizes[1:]))), sizes
