# SPDX-License-Identifier: BSD-3-Clause
"""Products of arrays and winners that the fast checks in `_core` did not accept.

Brings any dense operand into an aligned native array of the compute dtype, calls `_core.product_into`, converts the
result, strip by strip of the batch; or raises with the numbers. Nothing is written to `out` before all checks have
passed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._dtypes import ProductTypes, as_dtype, product_types
from complsparse._operands import (
    activations_dtype,
    as_compute,
    check_out,
    checked_activation,
    checked_batch,
    checked_bias,
    checked_winners,
    compute_dtype,
    is_direct,
    wrong_inner_size,
)

STRIP_ENTRIES = 2**20  # of x and y together that are converted at a time: as many bytes fit a cache or little more


def _strips(
    x: NDArray[Any], y: NDArray[Any], last: bool, converted: bool
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """What one call multiplies: parts of x and y of at most two axes; if they are `converted`, of bounded size.

    last: the features are the last axis, otherwise the one before it.
    """
    if last and x.ndim > 2:
        n = math.prod(x.shape[:-1])
        flat = y.reshape(n, y.shape[-1])
        if y.size == 0 or np.may_share_memory(flat, y):
            yield from _strips(x.reshape(n, x.shape[-1]), flat, last, converted)
            return
        # an `out` whose leading axes cannot be seen as one
    if x.ndim > 2:
        for index in np.ndindex(x.shape[:-2]):
            yield from _strips(x[index], y[index], last, converted)
        return
    axis = 0 if last else 1  # of the vectors
    n = x.shape[axis] if x.ndim == 2 else 1
    features = x.shape[-1 if last else 0] + y.shape[-1 if last else 0]
    step = max(STRIP_ENTRIES // max(features, 1) // 64 * 64, 64)
    if not converted or n <= step:
        yield x, y
        return
    for first in range(0, n, step):
        part = slice(first, first + step) if last else (slice(None), slice(first, first + step))
        yield x[part], y[part]


def result_shape(x: Any, W: _core.Operand, form: str) -> tuple[int, ...]:
    """Of the product of an array, or of winners; ValueError where there is none."""
    if isinstance(x, _core.Compressed):
        return _winners_shape(x, W, form)
    name = "x" if form == "linear" else "X"
    inner, outer = W.shape if form == "X @ W" else W.shape[::-1]
    if x.ndim == 0:
        raise ValueError(f"{name} is a scalar; a product needs at least one axis (W * scalar scales W)")
    last = form != "W @ X" or x.ndim == 1
    if x.shape[-1 if last else -2] != inner:
        raise wrong_inner_size(x.shape, W.shape, form)
    return (*x.shape[:-1], outer) if last else (*x.shape[:-2], outer, x.shape[-1])


def _product(
    W: _core.Operand,
    dense: Any,
    *,
    form: str,
    out: Any,
    bias: Any,
    activation: Any,
    dtype: Any,
) -> NDArray[Any]:
    from_right, features_last = form == "X @ W", form == "linear"
    x = as_array(dense, "x" if features_last else "X")
    if x.dtype.kind == "c":
        return _complex_product(W, x, form=form, out=out, bias=bias, activation=activation, dtype=dtype)
    types = product_types(W.dtype, x.dtype, dtype)
    activation = checked_activation(activation, types.compute)
    shape = result_shape(x, W, form)
    offset = checked_bias(bias, W.shape[1 if from_right else 0], types)
    if out is not None:
        check_out(out, shape, types.result, [x] if bias is None else [x, as_array(bias, "bias")])
    y = np.empty(shape, dtype=types.result) if out is None else out.view(np.ndarray)
    direct = types.result == types.compute and is_direct(y)
    late_relu = has_late_relu(activation, types)
    ending = None if late_relu else activation

    last = from_right or features_last or x.ndim == 1
    column = not last and x.ndim > 2 and x.shape[-1] == 1  # one of each: the batch is the leading axes
    x_all, y_all, as_linear = (x[..., 0], y[..., 0], True) if column else (x, y, features_last)
    for x_part, y_part in _strips(x_all, y_all, last or column, not direct or x.dtype != types.compute):
        sums = y_part.view(types.compute) if direct else np.empty(y_part.shape, types.compute)
        _core.product_into(W, as_compute(x_part, types.compute), sums, from_right, as_linear, offset, ending)
        if not direct:
            y_part[...] = converted(sums, types, late_relu)
    return y if out is None else out


def _complex_product(
    W: _core.Operand, x: NDArray[Any], *, form: str, out: Any, bias: Any, activation: Any, dtype: Any
) -> NDArray[Any]:
    """Two real products: W is real, so that those of the parts of x are the parts of the result."""
    if activation is not None:
        raise TypeError(f"activation={activation!r} exists for real products; x has dtype {x.dtype}")
    wanted = None if dtype is None else as_dtype(dtype)
    if wanted is not None and wanted.kind != "c":
        raise TypeError(f"dtype={wanted} cannot hold the product of {W.dtype} and {x.dtype}, which is complex")
    of_parts = None if wanted is None else np.dtype(f"f{wanted.itemsize // 2}")
    offset = None if bias is None else as_array(bias, "bias")
    biases = (offset, None) if offset is None or offset.dtype.kind != "c" else (offset.real, offset.imag)
    real, imag = (  # of copies: a loop that reads every second number is slower than the copy and a loop that reads all
        _product(W, part.copy(), form=form, out=None, bias=part_of_bias, activation=None, dtype=of_parts)
        for part, part_of_bias in zip((x.real, x.imag), biases, strict=True)
    )
    result = np.result_type(real.dtype, np.complex64)
    if out is None:
        out = np.empty(real.shape, dtype=result)
    else:
        check_out(out, real.shape, result, [x] if offset is None else [x, offset])
    out.real, out.imag = real, imag
    return out  # type: ignore[no-any-return]


def _winners_shape(w: _core.Compressed, W: _core.Operand, form: str) -> tuple[int, ...]:
    """Of the product; ValueError where the winners lie along another axis than the product reads, or are too long."""
    name, last = ("x" if form == "linear" else "X"), form != "W @ X" or len(w.shape) == 1
    axis = len(w.shape) - (1 if last else 2)
    if w.axis != axis:
        where = "last" if form != "W @ X" else "only" if len(w.shape) == 1 else "second to last"
        raise ValueError(
            f"{name} has winners along axis {w.axis} of shape {w.shape}; this product needs them along the {where} "
            f"axis ({axis})"
        )
    inner, outer = W.shape if form == "X @ W" else W.shape[::-1]
    if w.shape[axis] != inner:
        raise wrong_inner_size(w.shape, W.shape, form)
    return (*w.shape[:axis], outer, *w.shape[axis + 1 :])


def winners_product(
    W: _core.Operand, w: _core.Compressed, form: str, out: Any, bias: Any, activation: Any, types: ProductTypes
) -> NDArray[Any]:
    activation = checked_activation(activation, types.compute)
    shape = _winners_shape(w, W, form)
    offset = checked_bias(bias, W.shape[1 if form == "X @ W" else 0], types)
    if out is not None:
        check_out(out, shape, types.result, [] if bias is None else [as_array(bias, "bias")])
    y = np.empty(shape, dtype=types.compute)
    late_relu = has_late_relu(activation, types)
    values = w.values.astype(types.compute, copy=False)
    ending = None if late_relu else activation
    _core.winners_into(W, w, values, y, form == "X @ W", form == "linear", offset, ending)
    return written(converted(y, types, late_relu), out)


def has_late_relu(activation: str | None, types: ProductTypes) -> bool:
    """Narrow and unsigned integers come out of wider ones: the sign that ReLU asks for is the result's."""
    return activation is not None and types.result.kind in "iu" and types.result != types.compute


def converted(y: NDArray[Any], types: ProductTypes, late_relu: bool) -> NDArray[Any]:
    """A product in the compute dtype as its result: exact modulo 2**bits for integers, 16-bit floats rounded once."""
    y = y != 0 if types.result == np.bool_ else y.astype(types.result, copy=False)
    if late_relu and types.result.kind == "i":
        np.maximum(y, 0, out=y)
    return y


def written(y: NDArray[Any], out: Any) -> NDArray[Any]:
    """A result where the caller wants it."""
    if out is None:
        return y
    out[...] = y
    return out  # type: ignore[no-any-return]


def matmul(A: Any, B: Any, out: Any, bias: Any, activation: Any, dtype: Any) -> NDArray[Any]:
    """One matrix, and an array or winners."""
    left, right = isinstance(A, _core.Operand), isinstance(B, _core.Operand)
    if not left and not right:
        raise TypeError(
            f"matmul needs a ComplementaryMatrix; got {type(A).__name__} and {type(B).__name__}. "
            "complsparse.from_scipy and complsparse.from_dense make one"
        )
    form = "W @ X" if left else "X @ W"
    if isinstance(A, _core.Compressed) or isinstance(B, _core.Compressed):
        W, w = (A, B) if left else (B, A)
        return winners_product(W, w, form, out, bias, activation, product_types(W.dtype, w.dtype, dtype))
    if left:
        return _product(A, B, form="W @ X", out=out, bias=bias, activation=activation, dtype=dtype)
    return _product(B, A, form="X @ W", out=out, bias=bias, activation=activation, dtype=dtype)


def checked_weights(W: Any) -> None:
    """Of a linear layer."""
    if not isinstance(W, _core.Operand):
        raise TypeError(
            f"linear needs W as a ComplementaryMatrix, got {type(W).__name__}; the order is linear(x, W, bias)"
        )


def linear(x: Any, W: Any, bias: Any, activation: Any, out: Any, dtype: Any) -> NDArray[Any]:
    """As `matmul`, of a linear layer."""
    checked_weights(W)
    if isinstance(x, _core.Compressed):
        return winners_product(W, x, "linear", out, bias, activation, product_types(W.dtype, x.dtype, dtype))
    return _product(W, x, form="linear", out=out, bias=bias, activation=activation, dtype=dtype)


def plan(
    W: _core.Operand,
    n: int,
    dtype: Any,
    batch_major: bool,
    bias: Any,
    activation: Any,
    deterministic: bool,
    winners: Any = None,
) -> _core.Plan:
    n = checked_batch(n)
    if winners is not None:
        winners = checked_winners(winners)
    compute = compute_dtype(W, dtype)
    activation = checked_activation(activation, compute)
    offset = checked_bias(bias, W.shape[0], ProductTypes(compute, compute))
    if offset is not None:
        offset = offset.copy()  # later writes to the caller's array must not change the plan
    x_dtype = activations_dtype(W, dtype)
    return _core.make_plan(W, n, x_dtype, batch_major, offset, activation, deterministic, winners=winners)


def _dtype_error(plan: _core.Plan, dtype: np.dtype[Any]) -> TypeError:
    takes = "" if plan.x_dtype == plan.dtype else f"takes {plan.x_dtype}, and "
    return TypeError(f"x has dtype {dtype}; the plan {takes}computes in {plan.dtype}")


def plan_input_error(W: _core.Operand, plan: _core.Plan, x: NDArray[Any]) -> Exception:
    """Why a bound call refused its x."""
    if plan.winners is not None:
        return TypeError(f"x is an array; the plan was made for winners (winners={plan.winners})")
    try:
        as_array(x, "x")
    except TypeError as error:
        return error
    if x.dtype != plan.x_dtype:
        return _dtype_error(plan, x.dtype)
    expected = (plan.n, W.shape[1]) if plan.batch_major else (W.shape[1], plan.n)
    if x.shape != expected and not (plan.n == 1 and x.shape == (W.shape[1],)):
        return ValueError(f"x has shape {x.shape}; the plan expects {expected}")
    return ValueError("x must be aligned, in native byte order, with strides in whole elements")


def plan_winners_error(W: _core.Operand, plan: _core.Plan, x: _core.Compressed) -> Exception:
    """Why a bound call refused its winners."""
    if plan.winners is None:
        return TypeError("the plan was made for dense x; W.plan(winners=...) makes one for winners")
    if x.dtype != plan.x_dtype:
        return _dtype_error(plan, x.dtype)
    try:
        shape = _winners_shape(x, W, "linear" if plan.batch_major else "W @ X")
    except ValueError as error:
        return error
    expected = (plan.n, W.shape[1]) if plan.batch_major else (W.shape[1], plan.n)
    return ValueError(f"x has shape {x.shape} and gives {shape}; the plan expects {expected}")


def plan_output_error(W: _core.Operand, plan: _core.Plan, x: NDArray[Any] | _core.Compressed, out: Any) -> Exception:
    """Why a bound call refused its out."""
    m = W.shape[0]
    shape = (m,) if len(x.shape) == 1 else (plan.n, m) if plan.batch_major else (m, plan.n)
    try:
        # The plan owns its bias, winners their arrays.
        check_out(out, shape, plan.dtype, [x] if isinstance(x, np.ndarray) else [])
    except (TypeError, ValueError) as error:
        return error
    return ValueError("out must be aligned, in native byte order, with strides in whole elements")
