# SPDX-License-Identifier: BSD-3-Clause
"""What one core of this machine allows, measured with NumPy's BLAS, and what the products of a matrix reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from complsparse import _core
from complsparse._config import num_threads
from complsparse._operands import checked_batch, compute_dtype
from complsparse._pictures.axes import checked_axes, new_axes
from complsparse._stopwatch import best_seconds

BATCHES = (1, 4, 16, 64, 256)
SECONDS = 0.02  # for each time that is measured
DENSE_SIDE = 512  # of the dense product whose speed is the ceiling
FROM_MEMORY = 2**27  # bytes of an array that no cache holds
INK, SOFT, POINT = "#24292f", "#7a828b", "#2166ac"


class Roof(NamedTuple):
    """Of one core: operations a second of a dense product, and bytes a second that a dot product reads."""

    flops: float
    bytes_from: dict[str, float]


def _seconds(call: Callable[[], Any]) -> float:
    call()
    return best_seconds(call, SECONDS)


def measured_roof(dtype: Any) -> Roof:
    """The roof for float32 or float64, on the threads that BLAS may use now."""
    a = np.ones((DENSE_SIDE, DENSE_SIDE), dtype)
    c = np.empty_like(a)
    flops = 2 * DENSE_SIDE**3 / _seconds(lambda: np.matmul(a, a, out=c))
    sizes = {"L2": _core.cache_sizes()["l2"] // 2, "memory": FROM_MEMORY}
    rates = {}
    for level, size in sizes.items():
        x = np.ones(max(1, size // a.itemsize), dtype)
        rates[level] = x.nbytes / _seconds(lambda x=x: np.dot(x, x))  # type: ignore[misc]
    return Roof(flops, rates)


def measured_products(W: Any, batches: Sequence[int], dtype: Any) -> list[tuple[int, float, float]]:
    """(N, operations a byte, operations a second) of W @ X with N columns; each byte of W, X and Y counts once."""
    rows, columns = W.shape
    of_matrix = W.nnz * (W.dtype.itemsize + 4) + 4 * (rows + 1)
    found = []
    for n in batches:
        x = np.ones((columns, n) if n > 1 else columns, dtype)
        y = np.empty((rows, n) if n > 1 else rows, dtype)
        seconds = _seconds(lambda x=x, y=y: _core.matmul(W, x, out=y))  # type: ignore[misc]
        flops = 2 * W.nnz * n
        found.append((n, flops / (of_matrix + (rows + columns) * n * x.itemsize), flops / seconds))
    return found


def plot_roofline(W: Any, batches: int | Sequence[int] = BATCHES, *, ax: Any = None) -> Any:
    """Draws what the products of a matrix reach below what one core of this machine allows.

    Both are measured on the spot, on one thread. The ceiling is a dense product of NumPy's BLAS, the slopes are what
    its dot product reads a second from the L2 cache and from memory. A point is ``W @ X`` with so many columns: to the
    right more operations are done for each byte of W, X and Y, upwards faster. W counts as many bytes as its CSR has; a
    layout that needs fewer may carry a point beyond a slope.

    Parameters
    ----------
    W : ComplementaryMatrix
        Of a float dtype, with entries.
    batches : int or sequence of int
        Columns of X.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Without Matplotlib (``pip install 'complsparse[plot]'``).
    TypeError
        W is no ComplementaryMatrix of floats; ax is no Axes.
    ValueError
        W stores nothing; no batches, or one that is not positive.

    Notes
    -----
    Takes about a quarter of a second, longer for large matrices. Other threads of the process are limited to one core
    meanwhile.

    Examples
    --------
    >>> import complsparse as cs
    >>> ax = cs.plot_roofline(cs.random((256, 256), rng=0), [1, 16])  # doctest: +SKIP
    """
    ax = checked_axes(ax, "plot_roofline")
    if not isinstance(W, _core.Operand):
        raise TypeError(f"plot_roofline takes a ComplementaryMatrix, not {type(W).__name__}")
    dtype = compute_dtype(W)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"plot_roofline draws products of floats; this matrix is {W.dtype}")
    if W.nnz == 0:
        raise ValueError(f"a matrix of shape {W.shape} without entries has no products to measure")
    columns = [checked_batch(n) for n in np.atleast_1d(np.asarray(batches, dtype=object))]
    if not columns or min(columns) == 0:
        raise ValueError(f"batches={columns}: a roofline needs at least one number of columns, none of them 0")
    with num_threads(1), threadpoolctl.threadpool_limits(1, user_api="blas"):
        roof = measured_roof(dtype)
        points = measured_products(W, columns, dtype)
    ax = new_axes((7.5, 4.8)) if ax is None else ax
    _draw(ax, roof, points)
    rows, width = W.shape
    ax.set_title(f"{rows} x {width}, {W.nnz} entries, {dtype}, one thread", fontsize=10, color=INK, loc="left")
    return ax


def _draw(ax: Any, roof: Roof, points: list[tuple[int, float, float]]) -> None:
    intensities, rates = [p[1] for p in points], [p[2] / 1e9 for p in points]
    peak = roof.flops / 1e9
    slopes = {level: rate / 1e9 for level, rate in roof.bytes_from.items()}
    low = min(intensities) / 2
    high = max(2 * max(intensities), 2 * peak / min(slopes.values()))
    ax.set(xscale="log", yscale="log", xlim=(low, high))
    ax.plot([peak / max(slopes.values()), high], [peak, peak], color=INK, linewidth=1.4)
    ax.annotate(f"{peak:.0f} GFLOP/s, dense product", (high, peak), xytext=(-4, 4), textcoords="offset points",
                ha="right", fontsize=8, color=INK)  # fmt: skip
    for (level, rate), colour in zip(slopes.items(), (INK, SOFT), strict=True):
        ax.plot([low, peak / rate], [low * rate, peak], color=colour, linewidth=1.4, label=f"{level}: {rate:.0f} GB/s")
    ax.plot(intensities, rates, "o", color=POINT, label="W @ X, X with N columns")
    for (n, _, _), x, y in zip(points, intensities, rates, strict=True):
        ax.annotate(f"N = {n}", (x, y), xytext=(6, -9), textcoords="offset points", fontsize=8, color=POINT)
    ax.set_xlabel("operations for each byte of W (as CSR), X and Y")
    ax.set_ylabel("GFLOP/s on stored entries")
    ax.grid(color="#e4e7ea", linewidth=0.5)
    ax.legend(fontsize=8, frameon=False, loc="lower right")
