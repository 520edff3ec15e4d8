# SPDX-License-Identifier: BSD-3-Clause
"""What `describe()` says of alternatives: measured where that takes milliseconds, else by the cost model."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from complsparse import _core
from complsparse._matrix.multiply import Products
from complsparse._operands import compute_dtype
from complsparse._stopwatch import best_seconds

BREAK_EVEN_BATCH = 16
SECONDS = 3e-3  # spent on each side of a comparison
MAX_TIMED = 2_000_000  # entries, rows and columns together; above, one multiply takes longer than a reader waits
RIVALLED_DENSITY = 0.3  # below it no dense product of one vector was ever faster
WORTH_SAYING = 1.1


def seconds(t: float) -> str:
    return f"{t * 1e6:.1f} us" if t < 1e-3 else f"{t * 1e3:.2f} ms" if t < 1 else f"{t:.2f} s"


def is_timed(W: Products) -> bool:
    return W.nnz + sum(W.shape) <= MAX_TIMED


def break_even(W: Products, fresh: Products) -> str:
    """After how many multiplies packing has paid, in words; `fresh`: the same matrix without layouts, to time one."""
    if W.nnz == 0:
        return "not measured: nothing is stored"
    if not is_timed(W):
        return f"not measured: more than {MAX_TIMED} entries, rows and columns"
    try:
        compute = compute_dtype(W)
    except TypeError:
        return f"not measured: {W.dtype} does not multiply"
    x = np.ones((W.shape[1], BREAK_EVEN_BATCH), dtype=compute)
    csr = W.tocsr().astype(compute)
    start = time.perf_counter()
    fresh @ x
    layout = time.perf_counter() - start
    ours, scipys = best_seconds(lambda: fresh @ x, SECONDS), best_seconds(lambda: csr @ x, SECONDS)
    once = W._packing.seconds + max(layout - ours, 0.0)
    times = f"{seconds(ours)} against {seconds(scipys)} of scipy's CSR"
    if ours >= scipys:
        return f"never: {times}"
    return f"after {max(1, math.ceil(once / (scipys - ours)))} multiplies ({times}; {seconds(once)} once)"


def dense_rival(W: Products, fresh: Products, compute: np.dtype[Any]) -> str | None:
    """Whether a dense array would multiply one vector faster; nothing where it would not, or nobody can tell."""
    rows, cols = W.shape
    if W.nnz < RIVALLED_DENSITY * rows * cols or not is_timed(W) or compute.kind != "f" or W.nnz == 0:
        return None
    x, dense = np.ones(cols, compute), W.toarray().astype(compute, copy=False)
    fresh @ x  # builds the layout, which may take longer than all calls
    with one_thread():
        ours, dense_one = best_seconds(lambda: fresh @ x, SECONDS), best_seconds(lambda: dense @ x, SECONDS)
        return verdict(ours, dense_one, W.nnz / (rows * cols))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """On both sides: how many pay, and how busy the machine is, is another question."""
    from threadpoolctl import threadpool_limits

    threads = _core.get_num_threads()
    _core.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        _core.set_num_threads(threads)


def verdict(ours: float, dense: float, density: float) -> str | None:
    if ours < WORTH_SAYING * dense:
        return None
    return (
        f"would be about {ours / dense:.1f} times as fast for one vector "
        f"({seconds(dense)} against {seconds(ours)}, one thread): {100 * density:.0f}% of the positions are stored"
    )


def winners_limit(cheaper: Callable[[int], bool], most: int) -> int:
    """The most winners of a vector, up to `most`, at which they are `cheaper`; 0 where they never are."""
    low, high = 0, most + 1  # cheaper at low, if that is not 0; not at high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cheaper(middle) else (low, middle)
    return low


def winners_gain(W: Products, compute: np.dtype[Any]) -> str:
    """Up to how many winners of a vector zeros of it save time, as the cost model sees it."""
    columns = W.shape[1]

    def cheaper(winners: int) -> bool:
        return bool(_core.candidates(W, 1, compute, winners=winners)[0]["layout"] == "columns")

    if W.nnz == 0 or columns == 0:
        return "nothing: nothing is stored"
    if len(_core.candidates(W, 1, compute, winners=columns)) == 1:
        return "always: weights that are not finite leave no other way"
    limit = winners_limit(cheaper, columns)
    if limit == 0:
        return "nothing here: vectors are written out with their zeros, however few winners they have"
    if limit == columns:
        return "always: with however many winners"
    return (
        f"up to about {limit} of {columns} in a vector ({100 * limit / columns:.0f}%); with more they are written out "
        "with their zeros, and gain nothing over dense vectors"
    )
