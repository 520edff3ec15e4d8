# SPDX-License-Identifier: BSD-3-Clause
"""Products of arrays and winners that the fast checks in `_core` did not accept.

Brings any dense operand into an aligned native array of the compute dtype, calls `_core.product_into`, converts the
result; or raises with the numbers. Nothing is written to `out` before all checks have passed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._dtypes import ProductTypes, as_dtype, product_types
from complsparse._operands import (
    as_compute,
    check_out,
    checked_activation,
    checked_batch,
    checked_bias,
    checked_winners,
    compute_dtype,
    wrong_inner_size,
)


def _multiply(
    W: _core.Operand,
    x: NDArray[Any],
    y: NDArray[Any],
    from_right: bool,
    features_last: bool,
    bias: NDArray[Any] | None,
    activation: str | None,
) -> None:
    """y = product, both in the compute dtype, any number of axes in front."""

    def run(x_part: NDArray[Any], y_part: NDArray[Any], as_linear: bool = features_last) -> None:
        _core.product_into(W, x_part, y_part, from_right, as_linear, bias, activation)

    if x.ndim <= 2:
        run(x, y)
    elif from_right or features_last:
        n = math.prod(x.shape[:-1])
        flat = y.reshape(n, y.shape[-1])
        if y.size == 0 or np.may_share_memory(flat, y):
            run(as_compute(x.reshape(n, x.shape[-1]), x.dtype), flat)
        else:  # an `out` whose leading axes cannot be seen as one
            for index in np.ndindex(x.shape[:-2]):
                run(x[index], y[index])
    elif x.shape[-1] == 1:
        # One column each: the batch is the leading axes.
        _multiply(W, x[..., 0], y[..., 0], False, True, bias, activation)
    else:
        for index in np.ndindex(x.shape[:-2]):
            run(x[index], y[index])


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
    name = "x" if features_last else "X"
    x = as_array(dense, name)
    if x.dtype.kind == "c":
        return _complex_product(W, x, form=form, out=out, bias=bias, activation=activation, dtype=dtype)
    types = product_types(W.dtype, x.dtype, dtype)
    activation = checked_activation(activation, types.compute)
    rows, cols = W.shape
    inner, outer = (rows, cols) if from_right else (cols, rows)
    if x.ndim == 0:
        raise ValueError(f"{name} is a scalar; a product needs at least one axis (W * scalar scales W)")
    last = from_right or features_last or x.ndim == 1
    if x.shape[-1 if last else -2] != inner:
        raise wrong_inner_size(x.shape, W.shape, form)
    shape = (*x.shape[:-1], outer) if last else (*x.shape[:-2], outer, x.shape[-1])
    offset = checked_bias(bias, outer, types)
    if out is not None:
        check_out(out, shape, types.result, [x] if bias is None else [x, np.asarray(bias)])

    x = as_compute(x, types.compute)
    direct = (
        out is not None
        and type(out) is np.ndarray
        and types.result == types.compute
        and out.dtype.isnative
        and out.flags.aligned
        and all(stride % out.itemsize == 0 for stride in out.strides)
    )
    y = out.view(types.compute) if direct else np.empty(shape, dtype=types.compute)
    late_relu = _has_late_relu(activation, types)
    _multiply(W, x, y, from_right, features_last, offset, None if late_relu else activation)
    if direct:
        return out  # type: ignore[no-any-return]
    return _converted(y, types, late_relu, out)


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
    offset = None if bias is None else as_dense(bias, "bias")
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
        check_out(out, shape, types.result, [] if bias is None else [np.asarray(bias)])
    y = np.empty(shape, dtype=types.compute)
    late_relu = _has_late_relu(activation, types)
    values = w.values.astype(types.compute, copy=False)
    ending = None if late_relu else activation
    _core.winners_into(W, w, values, y, form == "X @ W", form == "linear", offset, ending)
    return _converted(y, types, late_relu, out)


def _has_late_relu(activation: str | None, types: ProductTypes) -> bool:
    """Narrow and unsigned integers come out of int64: the sign that ReLU asks for is the result's."""
    return activation is not None and types.result.kind in "iu" and types.result != types.compute


def _converted(y: NDArray[Any], types: ProductTypes, late_relu: bool, out: Any) -> NDArray[Any]:
    """A product in the compute dtype as its result: exact modulo 2**bits for integers, 16-bit floats rounded once."""
    y = y != 0 if types.result == np.bool_ else y.astype(types.result, copy=False)
    if late_relu and types.result.kind == "i":
        np.maximum(y, 0, out=y)
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


def linear(x: Any, W: Any, bias: Any, activation: Any, out: Any, dtype: Any) -> NDArray[Any]:
    """As `matmul`, of a linear layer."""
    if not isinstance(W, _core.Operand):
        raise TypeError(
            f"linear needs W as a ComplementaryMatrix, got {type(W).__name__}; the order is linear(x, W, bias)"
        )
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
    return _core.make_plan(W, n, compute, batch_major, offset, activation, deterministic, winners=winners)


def plan_input_error(W: _core.Operand, plan: _core.Plan, x: NDArray[Any]) -> Exception:
    """Why a bound call refused its x."""
    if plan.winners is not None:
        return TypeError(f"x is an array; the plan was made for winners (winners={plan.winners})")
    if x.dtype != plan.dtype:
        return TypeError(f"x has dtype {x.dtype}; the plan computes in {plan.dtype}")
    expected = (plan.n, W.shape[1]) if plan.batch_major else (W.shape[1], plan.n)
    if x.shape != expected and not (plan.n == 1 and x.shape == (W.shape[1],)):
        return ValueError(f"x has shape {x.shape}; the plan expects {expected}")
    return ValueError("x must be aligned, in native byte order, with strides in whole elements")


def plan_winners_error(W: _core.Operand, plan: _core.Plan, x: _core.Compressed) -> Exception:
    """Why a bound call refused its winners."""
    if plan.winners is None:
        return TypeError("the plan was made for dense x; W.plan(winners=...) makes one for winners")
    if x.dtype != plan.dtype:
        return TypeError(f"x has dtype {x.dtype}; the plan computes in {plan.dtype}")
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
