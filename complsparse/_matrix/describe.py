# SPDX-License-Identifier: BSD-3-Clause
"""The part of `ComplementaryMatrix` that says what it is: `describe()`, `str()` and notebooks."""

from __future__ import annotations

from typing import Any

import complsparse._matrix.advice as advice
from complsparse._dtypes import is_bfloat16
from complsparse._matrix.multiply import Products
from complsparse._matrix.stored import part_of_matrix
from complsparse._operands import activations_dtype, checked_winners, compute_dtype
from complsparse._pictures import notebook, packing

_BALANCE = {"columns": "balanced", "taps": "balanced over the channels of each tap", None: "not balanced"}


def _size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"


def _facts(W: Products) -> list[tuple[str, str]]:
    rows, cols = W.shape
    density = W.nnz / (rows * cols) if rows and cols else 0.0
    balance = _BALANCE[W._packing.balance]
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


def _by_batch(choices: list[dict[str, Any]]) -> list[str]:
    lines = []
    for i, choice in enumerate(choices):
        last = "..." if i == len(choices) - 1 else f"{choices[i + 1]['n_first'] - 1}"
        columns = f"{choice['n_first']}" if last == f"{choice['n_first']}" else f"{choice['n_first']} to {last}"
        lines.append(f"  {columns:<12}{choice['microkernel']}: {choice['reason']}")
    return lines


def _report(W: Products, winners: int | None = None) -> str:
    lines = [repr(W), *_lines(_facts(W))]
    lines += _lines([("packed in", advice.seconds(W._packing.seconds)), ("matrix", _size(W.nbytes))])
    lines.append("micro-kernels of W @ X, by the number of columns of X")
    fresh = W.copy()  # asking for choices builds layouts; this matrix is left as it was
    try:
        compute = compute_dtype(W)
        payoff = advice.break_even(W, fresh)
        dense = advice.dense_rival(W, fresh, compute)
        x_dtype = activations_dtype(W)
        choices = fresh._choices(x_dtype)
        of_halves = fresh._choices(W.dtype) if is_bfloat16(W.dtype) else choices
        of_vector = max(1, W.shape[1] // 10) if winners is None else winners
        of_winners = fresh._choices(x_dtype, of_vector)
        gain = advice.winners_gain(fresh, x_dtype)
    except (TypeError, ValueError) as error:  # a dtype that does not multiply, or too many rows
        return "\n".join([*lines, f"  none: {str(error).splitlines()[0]}"])
    lines += _by_batch(choices)
    if of_halves != choices:
        lines += ["where X is bfloat16 too", *_by_batch(of_halves)]
    lines.append(f"with {of_vector} winners in each column of X")
    lines += [*_by_batch(of_winners), *_lines([("they gain", gain)])]
    lines.append("layouts that they read")
    identity = ("layout", "dtype", "transposed")
    built = [[layout[key] for key in identity] for layout in W._layouts()]
    planned = [x for x in fresh._layouts() if [x[key] for key in identity] not in built]
    for layout in W._layouts() + planned:
        side = "for X @ W" if layout["transposed"] else "for W @ X"
        state = "stored" if [layout[key] for key in identity] in built else "not built yet"
        text = f"{_size(layout['bytes'])}, {layout['dtype']}, {layout['slots']} slots, {side}, {state}"
        lines += _lines([(layout["layout"], text)])
    lines += _lines([("pays off", f"at N = {advice.BREAK_EVEN_BATCH} {payoff}")])
    if dense is not None:
        lines += _lines([("dense", dense)])
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
        and micro-kernel that each range of batch sizes uses, and why; up to how many winners of a vector its zeros save
        time, by the cost model; after how many multiplies packing has paid for itself against scipy's CSR; and whether
        a dense array would be faster for one vector, and by how much. What is measured takes a few milliseconds.

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
