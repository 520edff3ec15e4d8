# SPDX-License-Identifier: BSD-3-Clause
"""The part of `ComplementaryMatrix` that multiplies: ``@``, `numpy.matmul`, and products that are bound beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._matrix.like_scipy import LikeScipy
from complsparse._matrix.others import copied_into, is_foreign, is_scalar
from complsparse._matrix.sparse_products import sparse_product
from complsparse._matrix.stored import as_csr, part_of_matrix
from complsparse._operands import activations_dtype, checked_batch, checked_winners
from complsparse._ops import products
from complsparse._typing import Activation, ImageLayout

if TYPE_CHECKING:
    from complsparse._conv.plan import ConvPlan

_ndarray, _Compressed, _matmul = (
    np.ndarray,
    _core.Compressed,
    _core.matmul,
)  # one look-up less in the shortest path from `@` to C++
# What NumPy passes: nothing for `@`, the axes that are meant anyway for `@=` of a matrix and of a vector.
_MATMUL_AXES = (None, [(-2, -1), (-2, -1), (-2, -1)], [(-1,), (-2, -1), (-1,)])


def _sparse_product(a: Any, b: Any) -> Any:
    """Two sparse operands, of which scipy's may be vectors: on the left a row, on the right a column."""
    if a.shape[-1] != b.shape[0]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not match for a matrix product")
    if len(a.shape) == len(b.shape) == 2:
        return sparse_product(a, b)
    product = sparse_product(as_csr(a) if len(a.shape) == 1 else a, as_csr(b).T if len(b.shape) == 1 else b)
    return product.reshape((*a.shape[:-1], *b.shape[1:]))


@part_of_matrix
class Products(LikeScipy):
    """See `StoredMatrix`."""

    __slots__ = ()

    __array_priority__ = 15.0  # for libraries that look at it; NumPy itself asks __array_ufunc__

    @overload
    def __matmul__(self, other: NDArray[Any] | _core.Compressed) -> NDArray[Any]: ...
    @overload
    def __matmul__(self, other: _core.Operand) -> scipy.sparse.csr_array: ...
    @overload
    def __matmul__(self, other: Any) -> Any: ...
    def __matmul__(self, other: Any) -> Any:
        if (type(other) is _ndarray and other.ndim) or isinstance(other, _Compressed):
            return _matmul(self, other)
        return self._product(other, from_right=False)

    @overload
    def __rmatmul__(self, other: NDArray[Any] | _core.Compressed) -> NDArray[Any]: ...
    @overload
    def __rmatmul__(self, other: Any) -> Any: ...
    def __rmatmul__(self, other: Any) -> Any:
        return self._product(other, from_right=True)

    def _product(self, other: Any, from_right: bool) -> Any:
        if isinstance(other, _Compressed):
            return _matmul(other, self) if from_right else _matmul(self, other)
        if is_foreign(other):
            return NotImplemented
        if isinstance(other, _core.Operand) or scipy.sparse.issparse(other):
            return _sparse_product(other, self) if from_right else _sparse_product(self, other)
        if is_scalar(other):
            raise ValueError("a scalar has no axis to multiply over; use * to scale the matrix")
        return _core.matmul(other, self) if from_right else _core.matmul(self, other)

    def dot(self, other: Any) -> Any:
        """``W @ other``; a scalar scales."""
        return self * other if is_scalar(other) else self @ other

    def matvec(self, x: Any) -> NDArray[Any]:
        """``W @ x`` for x of shape (K,) or (K, 1)."""
        return self._checked_product(x, self, 0, "matvec")

    def rmatvec(self, x: Any) -> NDArray[Any]:
        """``W.T @ x`` for x of shape (M,) or (M, 1)."""
        return self._checked_product(x, self.T, 0, "rmatvec")

    def matmat(self, X: Any) -> NDArray[Any]:
        """``W @ X`` for X of shape (K, N)."""
        return self._checked_product(X, self, 2, "matmat")

    def rmatmat(self, X: Any) -> NDArray[Any]:
        """``W.T @ X`` for X of shape (M, N)."""
        return self._checked_product(X, self.T, 2, "rmatmat")

    @staticmethod
    def _checked_product(x: Any, W: _core.Operand, ndim: int, name: str) -> NDArray[Any]:
        array = as_array(x, "x")
        size = W.shape[1]
        fits = array.ndim == 2 if ndim == 2 else array.shape in ((size,), (size, 1))
        if not fits or array.shape[0] != size:
            expected = f"({size}, N)" if ndim == 2 else f"({size},) or ({size}, 1)"
            raise ValueError(f"{name} takes an array of shape {expected}, not {array.shape}")
        return _core.matmul(W, array)

    def plan(
        self,
        n: int = 1,
        *,
        dtype: DTypeLike | None = None,
        batch_major: bool = False,
        bias: ArrayLike | None = None,
        activation: Activation | None = None,
        deterministic: bool = False,
        winners: int | None = None,
    ) -> _core.Plan:
        """A product bound to this matrix and a batch size, for hot loops.

        Parameters
        ----------
        n : int
            Vectors in each call.
        dtype : dtype, optional
            Of the activations; the default is this matrix's own.
        batch_major : bool
            Whether x is (n, K) and y (n, M), as `linear` has them, rather than (K, n) and (M, n).
        bias : array_like, shape (M,), optional
        activation : None or str
        deterministic : bool
            One order of summation whatever `n` is: ascending columns, one accumulator.
        winners : int, optional
            The plan takes `Winners` instead of arrays. About so many per vector are expected: they decide between the
            columns that they meet and the dense product; any number gives the right result.

        Returns
        -------
        Plan
            ``f(x, out=y)``. The layout it needs has been built.

        Examples
        --------
        >>> import numpy as np
        >>> import complsparse as cs
        >>> W = cs.from_dense(np.eye(2, dtype=np.float32))
        >>> f = W.plan(n=1, activation="relu")
        >>> f(np.array([1, -1], dtype=np.float32))
        array([1., 0.], dtype=float32)
        """
        return products.plan(self, n, dtype, batch_major, bias, activation, deterministic, winners)

    def plan_conv2d(
        self,
        x_shape: tuple[int, int, int, int],
        kernel_size: Any = None,
        *,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: Any = None,
        activation: Activation | None = None,
        layout: ImageLayout = "NCHW",
        dtype: DTypeLike | None = None,
        deterministic: bool = False,
        winners: int | None = None,
        axis: int | tuple[int, ...] | None = None,
    ) -> ConvPlan:
        """A convolution bound to these filters and the shape of x, for hot loops.

        Parameters
        ----------
        x_shape : (int, int, int, int)
            Of the images, batch included.
        kernel_size, stride, padding, dilation, groups, bias, activation, layout
            As `complsparse.conv2d`.
        dtype : dtype, optional
            Of the images; the default is this matrix's own.
        deterministic : bool
            One order of summation for every geometry: ascending columns, one accumulator.
        winners : int, optional
            The plan takes `Winners` instead of arrays. About so many of each vector are expected: they decide whether
            each winner adds its column of filters to the outputs, or winners are written out with their zeros; any
            number gives the right result.
        axis : int or tuple of int, optional
            Of the winners, as `kwta` has it: that of the channels, which is the default, or ``(1, 2, 3)`` where whole
            images are vectors.

        Returns
        -------
        ConvPlan
            ``f(x, out=y)``. It holds its workspace, of ``f.workspace_bytes``; what it runs on, ``f.describe()`` tells.

        Raises
        ------
        ValueError, TypeError
            As `complsparse.conv2d`; winners along another axis.

        Examples
        --------
        >>> import numpy as np
        >>> import complsparse as cs
        >>> W = cs.from_filters(np.eye(9, dtype=np.float32).reshape(9, 1, 3, 3))
        >>> f = W.plan_conv2d((1, 1, 8, 8), padding=1)
        >>> f(np.ones((1, 1, 8, 8), dtype=np.float32)).shape
        (1, 9, 8, 8)
        >>> x = cs.kwta(np.ones((1, 1, 8, 8), dtype=np.float32), 5, axis=(1, 2, 3))
        >>> W.plan_conv2d(x.shape, padding=1, winners=5, axis=(1, 2, 3))(x).sum()
        np.float32(28.0)
        """
        from complsparse._conv import conv  # few need it

        return conv.plan(
            self, x_shape, kernel_size, stride, padding, dilation, groups, bias, activation, layout, dtype,
            deterministic, winners, axis,
        )  # fmt: skip

    def prepare(
        self,
        n: int = 1,
        *,
        dtype: DTypeLike | None = None,
        deterministic: bool = False,
        winners: int | None = None,
    ) -> Self:
        """Builds the layout that ``W @ X`` and ``linear(x, W)`` need for `n` vectors ahead of the first product.

        ``X @ W`` reads layouts of the transpose: ``W.T.prepare(n)`` builds these.

        Parameters
        ----------
        n : int
        dtype : dtype, optional
            Of the activations; the default is this matrix's own.
        deterministic : bool
        winners : int, optional
            Prepares for `Winners` of about so many per vector.

        Returns
        -------
        ComplementaryMatrix
            This matrix.
        """
        batch, x_dtype = checked_batch(n), activations_dtype(self, dtype)
        deterministic = deterministic or _core.get_deterministic()
        self._prepare(batch, x_dtype, deterministic, winners=None if winners is None else checked_winners(winners))
        return self

    # --- NumPy protocol -----------------------------------------------------------------------------------------------

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from complsparse._matrix import numpy_functions  # few need it

        return numpy_functions.call(func, types, args, kwargs)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        if ufunc is np.matmul:
            return self._matmul_ufunc(*inputs, **kwargs)
        out = kwargs.pop("out", None)
        if kwargs:
            return NotImplemented
        result = self._elementwise_ufunc(ufunc.__name__, inputs)
        return result if out is None or result is NotImplemented else copied_into(out[0], result)

    @staticmethod
    def _matmul_ufunc(A: Any, B: Any, out: Any = None, dtype: Any = None, axes: Any = None, **kwargs: Any) -> Any:
        if kwargs or axes not in _MATMUL_AXES:
            return NotImplemented
        if out is None and dtype is None:
            left = isinstance(A, _core.Operand)
            return A._product(B, from_right=False) if left else B._product(A, from_right=True)
        target = None if out is None else out[0]
        if target is not None and not isinstance(target, np.ndarray):
            raise TypeError(f"out must be a numpy array, not {type(target).__name__}")
        if target is not None and (target is A or target is B):  # X @= W
            return copied_into(target, _core.matmul(A, B, dtype=dtype))
        return _core.matmul(A, B, out=target, dtype=dtype)
