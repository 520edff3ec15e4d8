# SPDX-License-Identifier: BSD-3-Clause
"""Products of arrays that the fast checks in `_core` did not accept.

Brings any dense operand into an aligned native array of the compute dtype, calls `_core.product_into`, converts the
result; or raises with the numbers. Nothing is written to `out` before all checks have passed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from complsparse import _core
from complsparse._dtypes import ProductTypes, as_dtype, product_types, wrong_inner_size

if TYPE_CHECKING:
    from complsparse._matrix.matrix import ComplementaryMatrix


def _is_sparse(operand: Any) -> bool:
    return isinstance(operand, _core.Operand) or scipy.sparse.issparse(operand)


def as_dense(operand: Any, name: str) -> NDArray[Any]:
    """A dense operand as an ndarray: array-likes, and DLPack tensors on the CPU without a copy."""
    if not isinstance(operand, np.ndarray) and hasattr(operand, "__dlpack__"):
        try:
            array = np.from_dlpack(operand)
        except BufferError:  # bfloat16, which NumPy's DLPack has no name for
            array = np.asarray(operand)
    else:
        array = np.asarray(operand)
    if array.dtype == object:
        raise TypeError(f"{name} is not an array of numbers: {type(operand).__name__}")
    return array


def _check_activation(activation: Any) -> None:
    if activation is not None and not (isinstance(activation, str) and activation == "relu"):
        raise ValueError(f"activation={activation!r} is not known; use None or 'relu'")


def _checked_bias(bias: Any, features: int, types: ProductTypes) -> NDArray[Any] | None:
    if bias is None:
        return None
    array = as_dense(bias, "bias")
    if array.shape != (features,):
        raise ValueError(f"bias has shape {array.shape}; it needs one entry per output feature: ({features},)")
    if not np.can_cast(array.dtype, types.compute, "same_kind"):
        raise TypeError(f"bias has dtype {array.dtype}, which does not fit a product in {types.compute}")
    return np.require(array, types.compute, ["C", "A"])


def overlap(a: NDArray[Any], b: NDArray[Any]) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=10_000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True  # undecided within the budget: refuse


def _repeats(array: NDArray[Any]) -> bool:
    """Whether an element may stand at several indices: an axis steps less far than the axes inside it reach."""
    if array.size == 0:
        return False
    reach = 0
    for step, n in sorted((abs(stride), n) for n, stride in zip(array.shape, array.strides, strict=True) if n > 1):
        if step <= reach:
            return True
        reach += step * (n - 1)
    return False


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], inputs: list[NDArray[Any]]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; the result has shape {shape}")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}; the result has dtype {dtype} (dtype= chooses another)")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if _repeats(out):
        raise ValueError(
            f"out of shape {out.shape} and strides {out.strides} repeats elements; it needs memory of its own"
        )
    if any(overlap(out, array) for array in inputs):
        raise ValueError("out shares memory with an input; the product would overwrite what it still reads")


def _as_compute(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array in the compute dtype: aligned, native, strides in whole elements. A copy only where needed."""
    converted = np.asarray(array, dtype=dtype)
    if type(converted) is not np.ndarray:
        converted = converted.view(np.ndarray)
    whole = all(stride % converted.itemsize == 0 for stride in converted.strides)
    if not (converted.flags.aligned and whole):
        converted = np.array(converted, order="C", subok=False)
    return converted if converted.dtype.num == dtype.num else converted.view(dtype)  # longlong is int64 by another name


def _multiply(
    W: _core.Operand,
    x: NDArray[Any],
    y: NDArray[Any],
    from_right: bool,
    features_last: bool,
    bias: NDArray[Any] | None,
    relu: bool,
) -> None:
    """y = product, both in the compute dtype, any number of axes in front."""

    def run(x_part: NDArray[Any], y_part: NDArray[Any], as_linear: bool = features_last) -> None:
        _core.product_into(W, x_part, y_part, from_right, as_linear, bias, relu)

    if x.ndim <= 2:
        run(x, y)
    elif from_right or features_last:
        n = math.prod(x.shape[:-1])
        flat = y.reshape(n, y.shape[-1])
        if y.size == 0 or np.may_share_memory(flat, y):
            run(_as_compute(x.reshape(n, x.shape[-1]), x.dtype), flat)
        else:  # an `out` whose leading axes cannot be seen as one
            for index in np.ndindex(x.shape[:-2]):
                run(x[index], y[index])
    elif x.shape[-1] == 1:
        _multiply(W, x[..., 0], y[..., 0], False, True, bias, relu)  # one column each: the batch is the leading axes
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
    x = as_dense(dense, name)
    _check_activation(activation)
    types = product_types(W.dtype, x.dtype, dtype)
    rows, cols = W.shape
    inner, outer = (rows, cols) if from_right else (cols, rows)
    if x.ndim == 0:
        raise ValueError(f"{name} is a scalar; a product needs at least one axis (W * scalar scales W)")
    last = from_right or features_last or x.ndim == 1
    if x.shape[-1 if last else -2] != inner:
        raise wrong_inner_size(x.shape, W.shape, form)
    shape = (*x.shape[:-1], outer) if last else (*x.shape[:-2], outer, x.shape[-1])
    offset = _checked_bias(bias, outer, types)
    if out is not None:
        _check_out(out, shape, types.result, [x] if bias is None else [x, np.asarray(bias)])

    x = _as_compute(x, types.compute)
    direct = (
        out is not None
        and type(out) is np.ndarray
        and types.result == types.compute
        and out.dtype.isnative
        and out.flags.aligned
        and all(stride % out.itemsize == 0 for stride in out.strides)
    )
    y = out.view(types.compute) if direct else np.empty(shape, dtype=types.compute)
    # Narrow and unsigned integers come out of int64: the sign that ReLU asks for is the result's.
    late_relu = activation is not None and types.result.kind in "iu" and types.result != types.compute
    _multiply(W, x, y, from_right, features_last, offset, activation is not None and not late_relu)
    if direct:
        return out  # type: ignore[no-any-return]
    return _converted(y, types, late_relu, out)


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


def _winners_product(
    W: _core.Operand, w: _core.Compressed, form: str, out: Any, bias: Any, activation: Any, types: ProductTypes
) -> NDArray[Any]:
    _check_activation(activation)
    shape = _winners_shape(w, W, form)
    offset = _checked_bias(bias, W.shape[1 if form == "X @ W" else 0], types)
    if out is not None:
        _check_out(out, shape, types.result, [] if bias is None else [np.asarray(bias)])
    y = np.empty(shape, dtype=types.compute)
    # As in `_product`: the sign that ReLU asks for is the result's.
    late_relu = activation is not None and types.result.kind in "iu" and types.result != types.compute
    values = w.values.astype(types.compute, copy=False)
    relu = activation is not None and not late_relu
    _core.winners_into(W, w, values, y, form == "X @ W", form == "linear", offset, relu)
    return _converted(y, types, late_relu, out)


def _converted(y: NDArray[Any], types: ProductTypes, late_relu: bool, out: Any) -> NDArray[Any]:
    """A product in the compute dtype as its result: exact modulo 2**bits for integers, 16-bit floats rounded once."""
    y = y != 0 if types.result == np.bool_ else y.astype(types.result, copy=False)
    if late_relu and types.result.kind == "i":
        np.maximum(y, 0, out=y)
    if out is None:
        return y
    out[...] = y
    return out  # type: ignore[no-any-return]


def _sparse_product(A: Any, B: Any, form: str, out: Any, bias: Any, activation: Any, dtype: Any) -> NDArray[Any]:
    """A sparse times a sparse operand, with a dense result: the entries of the one that is not packed, or of the right
    one, are winners. Unstored entries of either touch nothing."""
    _check_activation(activation)
    from complsparse._matrix.formats import as_csr
    from complsparse._ops.winners import Winners

    W, S = (A, B) if isinstance(A, _core.Operand) else (B, A)
    if len(S.shape) != 2:
        raise ValueError(f"a sparse operand of shape {S.shape} has no product with W of shape {W.shape}: use two axes")
    types = product_types(W.dtype, S.dtype, dtype)
    if form == "linear" and S.shape[1] != W.shape[1]:
        raise wrong_inner_size(tuple(S.shape), W.shape, form)
    if form != "linear" and A.shape[1] != B.shape[0]:
        raise ValueError(f"shapes {A.shape} and {B.shape} do not match: {A.shape[1]} columns against {B.shape[0]} rows")
    if out is not None and isinstance(out, np.ndarray):
        parts = [part for part in vars(S).values() if isinstance(part, np.ndarray)]
        if any(overlap(out, part) for part in parts):
            raise ValueError("out shares memory with an input; the product would overwrite what it still reads")
    winners = Winners.from_scipy(as_csr(S).astype(types.compute), axis=0 if form == "W @ X" else 1)
    return _winners_product(W, winners, form, out, bias, activation, types)


def matmul(A: Any, B: Any, out: Any, bias: Any, activation: Any, dtype: Any) -> NDArray[Any]:
    left, right = isinstance(A, _core.Operand), isinstance(B, _core.Operand)
    if not left and not right:
        raise TypeError(
            f"matmul needs a ComplementaryMatrix; got {type(A).__name__} and {type(B).__name__}. "
            "complsparse.from_scipy and complsparse.from_dense make one"
        )
    form = "W @ X" if left else "X @ W"
    if _is_sparse(A) and _is_sparse(B):
        return _sparse_product(A, B, form, out, bias, activation, dtype)
    if isinstance(A, _core.Compressed) or isinstance(B, _core.Compressed):
        W, w = (A, B) if left else (B, A)
        return _winners_product(W, w, form, out, bias, activation, product_types(W.dtype, w.dtype, dtype))
    if left:
        return _product(A, B, form="W @ X", out=out, bias=bias, activation=activation, dtype=dtype)
    return _product(B, A, form="X @ W", out=out, bias=bias, activation=activation, dtype=dtype)


def linear(x: Any, W: Any, bias: Any, activation: Any, out: Any, dtype: Any) -> NDArray[Any]:
    if not isinstance(W, _core.Operand):
        raise TypeError(
            f"linear needs W as a ComplementaryMatrix, got {type(W).__name__}; the order is linear(x, W, bias)"
        )
    if _is_sparse(x):
        return _sparse_product(W, x, "linear", out, bias, activation, dtype)
    if isinstance(x, _core.Compressed):
        return _winners_product(W, x, "linear", out, bias, activation, product_types(W.dtype, x.dtype, dtype))
    return _product(W, x, form="linear", out=out, bias=bias, activation=activation, dtype=dtype)


def compute_dtype(W: _core.Operand, dtype: Any = None) -> np.dtype[Any]:
    """The dtype that products of W with operands of `dtype` (default: W's own) compute in."""
    return product_types(W.dtype, W.dtype if dtype is None else as_dtype(dtype)).compute


def checked_batch(n: Any) -> int:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
        raise TypeError(f"n must be an integer, not {type(n).__name__} ({n!r})")
    if not 0 <= n < 2**47:
        raise ValueError(f"n={n} vectors: use a number from 0 to 2**47 - 1")
    return int(n)


def checked_winners(winners: Any) -> int:
    if not isinstance(winners, (int, np.integer)) or isinstance(winners, bool):
        raise TypeError(f"winners must be an integer, not {type(winners).__name__} ({winners!r})")
    if not 0 <= winners < 2**31:
        raise ValueError(f"winners={winners} of a vector: use a number from 0 to 2**31 - 1")
    return int(winners)


def plan(
    W: ComplementaryMatrix,
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
    _check_activation(activation)
    compute = compute_dtype(W, dtype)
    offset = _checked_bias(bias, W.shape[0], ProductTypes(compute, compute))
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
        _check_out(out, shape, plan.dtype, [x] if isinstance(x, np.ndarray) else [])
    except (TypeError, ValueError) as error:
        return error
    return ValueError("out must be aligned, in native byte order, with strides in whole elements")


def sampled_matmul(W: ComplementaryMatrix, P: Any, Q: Any) -> ComplementaryMatrix:
    """``P @ Q`` at the stored positions of W.

    The gradient of a product's loss with respect to W's values is of this form: for ``Y = W @ X`` it is
    ``sampled_matmul(W, dY, X.T)``.

    Parameters
    ----------
    W : ComplementaryMatrix, shape (M, K)
        Gives the pattern; its values are not read.
    P : array_like, shape (M, R)
    Q : array_like, shape (R, K)

    Returns
    -------
    ComplementaryMatrix, shape (M, K)
        On W's packing, in ``np.result_type(P, Q)`` (float16 and bfloat16 give float32).

    Raises
    ------
    ValueError
        Shapes that do not match.
    TypeError
        dtypes without a product.

    Notes
    -----
    Time is O(nnz * R).

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_dense(np.array([[0.0, 2.0], [3.0, 0.0]]))
    >>> cs.sampled_matmul(W, np.array([[1.0], [10.0]]), np.array([[5.0, 7.0]])).toarray()
    array([[ 0.,  7.],
           [50.,  0.]])
    """
    if not isinstance(W, _core.Operand):
        raise TypeError(f"sampled_matmul needs W as a ComplementaryMatrix, got {type(W).__name__}")
    p, q = as_dense(P, "P"), as_dense(Q, "Q")
    if p.ndim != 2 or q.ndim != 2 or p.shape[1] != q.shape[0] or (p.shape[0], q.shape[1]) != W.shape:
        raise ValueError(f"P {p.shape} @ Q {q.shape} does not have the shape of W, {W.shape}")
    types = product_types(p.dtype, q.dtype)
    values = _core.sampled_values(W, _as_compute(p, types.compute), _as_compute(q, types.compute))
    if types.result == np.bool_:
        values = values != 0
    return W._with_stored_values(values.astype(types.result, copy=False))
