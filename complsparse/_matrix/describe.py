# SPDX-License-Identifier: BSD-3-Clause
"""The part of `ComplementaryMatrix` that says what it is: `describe()`, `str()` and notebooks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from complsparse._matrix.multiply import Products
from complsparse._matrix.stored import part_of_matrix
from complsparse._operands import checked_winners, compute_dtype
from complsparse._pictures import notebook, packing

BREAK_EVEN_BATCH = 16
BREAK_EVEN_SECONDS = 3e-3  # spent on each side of the comparison
MAX_TIMED = 2_000_000  # entries, rows and columns together; above, one multiply takes longer than a reader waits


def _size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"


def _seconds(t: float) -> str:
    return f"{t * 1e6:.1f} us" if t < 1e-3 else f"{t * 1e3:.2f} ms" if t < 1 else f"{t:.2f} s"


def _facts(W: Products) -> list[tuple[str, str]]:
    rows, cols = W.shape
    density = W.nnz / (rows * cols) if rows and cols else 0.0
    balance = "balanced" if W.balanced else "not balanced"
    return [
        ("shape", f"{rows} x {cols}, {W.dtype}{', a transposed view' if W._transposed else ''}"),
        ("stored", f"{W.nnz} entries, {100 * density:.2f}% of the positions"),
        (
            "packing",
            f"{W.strategy}, {W.n_sets} {'set' if W.n_sets == 1 else 'sets'} (lower bound {W.lower_bound}), "
            f"{100 * W.packing_efficiency:.1f}% full",
        ),
        ("pattern", f"blocks of {W.block[0]} x {W.block[1]}, {balance}, at most {W.set_size} members in a set"),
    ]


def _lines(facts: list[tuple[str, str]]) -> list[str]:
    return [f"  {name:<12}{text}" for name, text in facts]


def _summary(W: Products) -> str:
    return "\n".join([repr(W), *_lines(_facts(W)[2:])])


def _best_time(call: Callable[[], Any]) -> float:
    best, end = math.inf, time.perf_counter() + BREAK_EVEN_SECONDS
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            return best


def break_even(W: Products, fresh: Products) -> str:
    """After how many multiplies packing has paid, in words; `fresh`: the same matrix without layouts, to time one."""
    if W.nnz == 0:
        return "not measured: nothing is stored"
    if W.nnz + sum(W.shape) > MAX_TIMED:
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
    ours, scipys = _best_time(lambda: fresh @ x), _best_time(lambda: csr @ x)
    once = W._packing.seconds + max(layout - ours, 0.0)
    times = f"{_seconds(ours)} against {_seconds(scipys)} of scipy's CSR"
    if ours >= scipys:
        return f"never: {times}"
    return f"after {max(1, math.ceil(once / (scipys - ours)))} multiplies ({times}; {_seconds(once)} once)"


def _by_batch(choices: list[dict[str, Any]]) -> list[str]:
    lines = []
    for i, choice in enumerate(choices):
        last = "..." if i == len(choices) - 1 else f"{choices[i + 1]['n_first'] - 1}"
        columns = f"{choice['n_first']}" if last == f"{choice['n_first']}" else f"{choice['n_first']} to {last}"
        lines.append(f"  {columns:<12}{choice['microkernel']}: {choice['reason']}")
    return lines


def _report(W: Products, winners: int | None = None) -> str:
    lines = [repr(W), *_lines(_facts(W))]
    lines += _lines([("packed in", _seconds(W._packing.seconds)), ("matrix", _size(W.nbytes))])
    lines.append("micro-kernels of W @ X, by the number of columns of X")
    fresh = W.copy()  # asking for choices builds layouts; this matrix is left as it was
    try:
        payoff = break_even(W, fresh)
        compute = compute_dtype(W)
        choices = fresh._choices(compute)
        of_vector = max(1, W.shape[1] // 10) if winners is None else winners
        of_winners = fresh._choices(compute, of_vector)
    except (TypeError, ValueError) as error:  # a dtype that does not multiply, or too many rows
        return "\n".join([*lines, f"  none: {str(error).splitlines()[0]}"])
    lines += _by_batch(choices)
    lines.append(f"with {of_vector} winners in each column of X")
    lines += _by_batch(of_winners)
    lines.append("layouts that they read")
    identity = ("layout", "dtype", "transposed")
    built = [[layout[key] for key in identity] for layout in W._layouts()]
    planned = [x for x in fresh._layouts() if [x[key] for key in identity] not in built]
    for layout in W._layouts() + planned:
        side = "for X @ W" if layout["transposed"] else "for W @ X"
        state = "stored" if [layout[key] for key in identity] in built else "not built yet"
        text = f"{_size(layout['bytes'])}, {layout['dtype']}, {layout['slots']} slots, {side}, {state}"
        lines += _lines([(layout["layout"], text)])
    lines += _lines([("pays off", f"at N = {BREAK_EVEN_BATCH} {payoff}")])
    return "\n".join(lines)


def _html(W: Products) -> str:
    import html as markup  # slow to import, and few need it

    rows = "".join(f"<tr><th>{markup.escape(a)}</th><td>{markup.escape(b)}</td></tr>" for a, b in _facts(W))
    return f"<div><table>{rows}</table>{notebook.picture(W)}</div>"


@part_of_matrix
class Described(Products):
    """See `StoredMatrix`."""

    __slots__ = ()

    def __str__(self) -> str:
        return _summary(self)

    def describe(self, *, winners: int | None = None) -> None:
        """Prints how the matrix is packed, stored and multiplied.

        Sets, fill, lower bound, block and balance; the bytes of each stored layout; the time spent packing; the layout
        and micro-kernel that each range of batch sizes uses, and why; and after how many multiplies packing has paid
        for itself against scipy's CSR, measured on the spot in a few milliseconds.

        Parameters
        ----------
        winners : int, optional
            Shows as well what products with `Winners` of about so many per vector would use; a tenth of the columns
            where it is not given.
        """
        print(_report(self, None if winners is None else checked_winners(winners)))

    def plot(self, ax: Any = None) -> Any:
        """Draws the packing: the matrix on the left, the sets that its rows are overlaid into on the right.

        The hue of an entry tells its set, the shade the row of the set that owns it. Of large matrices the first rows
        and columns are drawn, and the words say so. ``W.T`` shares its packing with W and is drawn as W.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure otherwise.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without Matplotlib (``pip install 'complsparse[plot]'``).
        """
        return packing.plot(self, ax)

    def _repr_html_(self) -> str:
        return _html(self)
