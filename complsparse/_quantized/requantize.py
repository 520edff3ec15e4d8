# SPDX-License-Identifier: BSD-3-Clause
"""From sums of 8-bit products to outputs: scales, zero points and biases, checked and folded into integers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._quantized.numbers import is_8_bit, range_of

LARGEST_SUM = 2**31 - 1
LARGEST_IN_FLOAT32 = 2**24  # up to here integers are exact, and so are their sums in any order
MOST_SHIFT = 62
ACTIVATIONS = ("relu", "relu6")
_MOST_KEPT = 16


class RowSums(NamedTuple):
    """Of each row: the sum of its weights, and of their absolute values."""

    plain: NDArray[np.int64]
    absolute: NDArray[np.int64]


def row_sums(W: ComplementaryMatrix) -> RowSums:
    """Found once, and kept with the matrix. O(nnz)."""
    kept: RowSums | None = W.__dict__.get("_row_sums")
    if kept is None:
        csr = W._stored()

        def of_rows(values: NDArray[np.int64]) -> NDArray[np.int64]:
            before = np.concatenate(([0], np.cumsum(values)))
            sums: NDArray[np.int64] = before[csr.indptr[1:]] - before[csr.indptr[:-1]]
            return sums

        values = csr.data.astype(np.int64)
        kept = W.__dict__["_row_sums"] = RowSums(of_rows(values), of_rows(np.abs(values)))
    return kept


# --- what callers pass ------------------------------------------------------------------------------------------------


def checked_weights(W: Any, name: str) -> NDArray[np.float32]:
    """The scale of quantised weights whose rows have it."""
    if not isinstance(W, ComplementaryMatrix):
        raise TypeError(f"{name} needs W as a ComplementaryMatrix, got {type(W).__name__}; the order is {name}(xq, Wq)")
    if W.scale is None:
        raise TypeError(f"W of dtype {W.dtype} has no scale: complsparse.quantize(W) gives a matrix that {name} takes")
    if W._transposed:
        raise ValueError(
            f"W is the transpose of a quantised matrix, whose {W.shape[1]} scales are not one per row (shape "
            f"{W.shape}): quantize the transpose"
        )
    return W.scale


def checked_activations(dtype: np.dtype[Any], name: str) -> None:
    if not is_8_bit(dtype):
        raise TypeError(f"xq has dtype {dtype}; {name} takes uint8 or int8, as quantize_activations gives them")


def checked_scale(scale: Any, name: str) -> float:
    array = as_array(scale, name)
    if array.ndim != 0:
        raise ValueError(f"{name} has shape {array.shape}; it is one number for all of the tensor")
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}={scale!r} is not a real number")
    value = float(array)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}; a scale is positive and finite")
    return value


def checked_zero_point(zero_point: Any, dtype: np.dtype[Any], name: str) -> int:
    array = as_array(zero_point, name)
    if array.ndim != 0:
        raise ValueError(f"{name} has shape {array.shape}; it is one integer for all of the tensor")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}={zero_point!r} is not an integer")
    least, most = range_of(dtype)
    if not least <= int(array) <= most:
        raise ValueError(f"{name} is {int(array)}; a zero point of {dtype} lies from {least} to {most}")
    return int(array)


def checked_ending(activation: Any, name: str) -> str | None:
    if activation is None or (isinstance(activation, str) and activation in ACTIVATIONS):
        return activation
    if isinstance(activation, str) and activation in _core.activations():
        raise TypeError(
            f"activation={activation!r} needs real numbers; {name} has None, 'relu' and 'relu6', which cut off integers"
        )
    raise ValueError(f"activation={activation!r} is not known; {name} has None, 'relu' and 'relu6'")


def result_dtype(out_dtype: DTypeLike | None, x: np.dtype[Any], out_scale: Any) -> np.dtype[Any]:
    """Of the outputs: 8 bits where they have a scale, else float32."""
    if out_scale is None:
        if out_dtype is not None and np.dtype(out_dtype) != np.float32:
            raise TypeError(f"out_dtype={np.dtype(out_dtype)} without out_scale: such results are float32")
        return np.dtype(np.float32)
    wanted = x if out_dtype is None else np.dtype(out_dtype)
    if not is_8_bit(wanted):
        raise TypeError(f"out_dtype={wanted} with out_scale: such results are uint8 or int8")
    return wanted


# --- folded into integers ---------------------------------------------------------------------------------------------


def rounded_bias(bias: Any, units: NDArray[np.float64]) -> NDArray[np.int64]:
    """In these units of its rows, rounded half to even."""
    if bias is None:
        return np.zeros(len(units), dtype=np.int64)
    array = as_array(bias, "bias")
    if array.shape != units.shape:
        raise ValueError(f"bias has shape {array.shape}; it needs one entry per output feature: {units.shape}")
    if not np.can_cast(array.dtype, np.float64, "same_kind"):
        raise TypeError(f"bias has dtype {array.dtype}; it is in real units, as float32")
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.rint(array.astype(np.float64) / units)
        wrong = np.flatnonzero(~(np.abs(rounded) <= LARGEST_SUM))
    if len(wrong):
        at = wrong[0]
        raise ValueError(f"bias[{at}] is {array[at]}, or {rounded[at]:g} in units of x_scale * W.scale, beyond int32")
    return rounded.astype(np.int64)


def check_sums(sums: RowSums, bias: NDArray[np.int64], x: np.dtype[Any], zero_point: int) -> None:
    """That no sum of a product with such activations leaves int32, whatever they are."""
    least, most = range_of(x)
    reach = np.maximum(
        sums.absolute * max(most, -least), sums.absolute * max(most - zero_point, zero_point - least) + np.abs(bias)
    )
    wrong = np.flatnonzero(reach > LARGEST_SUM)
    if len(wrong):
        at = wrong[0]
        raise ValueError(
            f"row {at} of W, whose absolute weights sum to {sums.absolute[at]}, reaches sums of {reach[at]} with {x} "
            f"activations about {zero_point} and a bias of {bias[at]}: beyond int32 ({LARGEST_SUM})"
        )


def factors(real: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Multipliers and shifts: multiplier / 2**shift is the factor, to 31 bits, or those above 2**-62."""
    wrong = np.flatnonzero(~(real < 2**29))
    if len(wrong):
        at = wrong[0]
        raise ValueError(f"x_scale * W.scale[{at}] / out_scale is {real[at]:g}; it must be below 2**29")
    _, exponent = np.frexp(real)
    shift = np.minimum(31 - exponent, MOST_SHIFT)
    multiplier = np.rint(np.ldexp(real, shift))
    carried = multiplier == 2**31  # the shift was 2 or more, below 2**29
    multiplier, shift = np.where(carried, 2**30, multiplier), np.where(carried, shift - 1, shift)
    return multiplier.astype(np.int32), shift.astype(np.int32)


def with_bounds(multipliers: NDArray[np.int32], shifts: NDArray[np.int32]) -> tuple[NDArray[Any], ...]:
    """Both; the factors that they are, exact in float64; and numbers of float32 below these and above them, both
    farther away than three roundings take a product."""
    exact = np.ldexp(multipliers.astype(np.float64), -shifts)
    bounds = exact.astype(np.float32) * np.array([[1 - 2.0**-22], [1 + 2.0**-22]], dtype=np.float32)
    return multipliers, shifts, exact, bounds


class Ending:
    """What is done to sums: the bias and the zero point of x are added, then they are scaled and cut off.

    Raises ValueError or TypeError that names the scale, zero point or bias that is wrong.
    """

    by_multipliers = True  # what convolutions do to their sums themselves

    def __init__(
        self,
        W: Any,
        x: np.dtype[Any],
        name: str,
        bias: Any,
        x_scale: Any,
        x_zero_point: Any,
        activation: Any,
        out_scale: Any,
        out_zero_point: Any,
        out_dtype: Any,
    ) -> None:
        scale = checked_weights(W, name)
        checked_activations(x, name)
        units = checked_scale(x_scale, "x_scale") * scale.astype(np.float64)
        self.x_zero_point = checked_zero_point(x_zero_point, x, "x_zero_point")
        self.activation = checked_ending(activation, name)
        self.dtype = result_dtype(out_dtype, x, out_scale)
        offset, sums = rounded_bias(bias, units), row_sums(W)
        check_sums(sums, offset, x, self.x_zero_point)
        most = max(map(abs, range_of(x)))
        self.exact_in_float32 = int(sums.absolute.max(initial=0)) * most <= LARGEST_IN_FLOAT32
        # Modulo 2**32, as the sum that it is added to: their sum is in int32.
        self.bias = (offset - sums.plain * self.x_zero_point).astype(np.int32)
        self.units = units
        self.cut = (-math.inf if self.activation is None else 0.0, 6.0 if self.activation == "relu6" else math.inf)
        if out_scale is None:
            if checked_zero_point(out_zero_point, np.dtype(np.int8), "out_zero_point"):
                raise ValueError(f"out_zero_point={out_zero_point} without out_scale: float32 results have none")
            return
        out = checked_scale(out_scale, "out_scale")
        self.zero_point = checked_zero_point(out_zero_point, self.dtype, "out_zero_point")
        with np.errstate(over="ignore"):
            self.multipliers, self.shifts = factors(units / out)
        self.scaling = with_bounds(self.multipliers, self.shifts)
        self.least, self.most = range_of(self.dtype)
        if self.activation is not None:
            self.least = self.zero_point
        if self.activation == "relu6":
            self.most = int(min(np.rint(6 / out) + self.zero_point, self.most))

    @property
    def factors(self) -> tuple[Any, ...]:
        """As `_core.Program.outputs` takes them."""
        if self.dtype == np.float32:
            return self.units, *self.cut
        return self.scaling, self.zero_point, self.least, self.most

    @property
    def folded(self) -> tuple[Any, ...]:
        """The bias and the factors: as `_core` takes them."""
        return self.bias, *self.factors

    def write(self, sums: NDArray[np.int32], y: NDArray[Any], by_column: bool) -> None:
        """Outputs of contiguous sums (rows, columns): features are the columns, or else the rows, again and again."""
        write = _core.real_outputs if self.dtype == np.float32 else _core.requantize
        write(sums, y, sums.shape, by_column, *self.folded)


def ending_of(W: Any, x: np.dtype[Any], name: str, bias: Any, numbers: tuple[Any, ...]) -> Ending:
    """The `Ending` of these arguments: packed once, and kept with the matrix; the oldest goes where there are many.

    `numbers`: x_scale, x_zero_point, activation, out_scale, out_zero_point, out_dtype.
    """
    offset = None if bias is None else as_array(bias, "bias")
    key = (
        name, x, None if offset is None else (offset.dtype, offset.shape, offset.tobytes()),
        *((type(number), number) for number in numbers),
    )  # fmt: skip
    try:
        kept: dict[Any, Ending] = W.__dict__.setdefault("_endings", {})
        found = kept.get(key)
    except (AttributeError, TypeError):  # no matrix, or no single number: `Ending` says so
        return Ending(W, x, name, offset, *numbers)
    if found is None:
        found = Ending(W, x, name, offset, *numbers)
        while len(kept) >= _MOST_KEPT:
            kept.pop(next(iter(kept), None), None)
        kept[key] = found
    return found
