# SPDX-License-Identifier: BSD-3-Clause
"""`ComplementaryMatrix`: the immutable, scipy-like face of a packed sparse matrix."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike, NDArray

from complsparse import _core
from complsparse._matrix import formats
from complsparse._matrix.formats import Csr, frozen
from complsparse._matrix.like_scipy import LikeScipy, copied_into, is_foreign, is_scalar
from complsparse._matrix.packing import Packing
from complsparse._matrix.state import checked_parts, state_of
from complsparse._operands import checked_batch, checked_winners, compute_dtype
from complsparse._ops import products

no_kernel: int = -1
"""The kernel id of an empty slot."""

_ndarray, _Compressed, _matmul = (
    np.ndarray,
    _core.Compressed,
    _core.matmul,
)  # one look-up less in the shortest path from `@` to C++
_twin_lock = threading.Lock()  # guards the creation of transposed views


def _renew_lock() -> None:
    """In a forked child: the thread that held the lock is not there to give it back."""
    global _twin_lock
    _twin_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


class ComplementaryMatrix(LikeScipy):
    """A sparse matrix whose rows are packed into sets that share no column.

    Immutable; all members may be used from several threads at once.

    Parameters
    ----------
    A : scipy.sparse array or matrix, array_like, tuple or ComplementaryMatrix, shape (M, K)
        Any scipy format, a dense matrix (exact zeros are dropped), ``(data, (rows, cols))``,
        ``(data, indices, indptr)``, or a bare shape for an empty matrix. Never changed, never shared.
    shape : (int, int), optional
        For triplets; otherwise it must agree with A.
    dtype : dtype, optional
        bool, an integer or a float dtype, or "bfloat16" (of the package ml_dtypes); the default is A's own.
    copy : bool
        Whether arrays of another ComplementaryMatrix are copied rather than shared. Other input is always copied.
    strategy : {"auto", "strict", "split"}
        "strict" places whole members in sets; "split" spreads a row over sets and needs exactly as many sets as the
        fullest column has entries; "auto" takes strict where it needs no more.
    block : "auto" or (int, int)
        The atom (block rows, block columns) of the pattern; "auto" finds the largest without fill-in.
    eliminate_zeros : bool
        Drop stored zeros.

    Raises
    ------
    TypeError
        Complex and other dtypes that are not real numbers; objects that are not matrices.
    ImportError
        ``dtype="bfloat16"`` without the package ml_dtypes.
    ValueError
        Malformed arrays, contradicting shapes, an unknown strategy, a block that the pattern does not consist of.

    Notes
    -----
    Storage is O(nnz + M + K) whatever the pattern. Construction takes O(nnz + M + K) for "split"; "strict" searches
    for a place for each member. The conversion is lossless: ``tocsr()`` equals ``A.tocsr()`` with sorted indices and
    duplicates summed in stored order; explicit zeros are kept.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.ComplementaryMatrix(np.array([[1.0, 0, 0, 2], [0, 3, 4, 0]]))
    >>> W.n_sets, W.packing_efficiency
    (1, 1.0)
    >>> W @ np.ones(4)
    array([3., 7.])
    """

    __slots__ = ("__dict__", "__weakref__", "_twin", "_twin_ref")

    format = "cmp"
    ndim = 2
    __array_priority__ = 15.0  # for libraries that look at it; NumPy itself asks __array_ufunc__

    _indptr: NDArray[np.int64]
    _indices: NDArray[Any]
    _data: NDArray[Any]
    _packing: Packing
    _transposed: bool
    _twin: ComplementaryMatrix | None  # of a transposed view: the matrix it was made from
    _twin_ref: weakref.ref[ComplementaryMatrix] | None  # of a matrix: its transposed view, while somebody has one

    def __init__(
        self,
        A: Any,
        shape: tuple[int, int] | None = None,
        dtype: DTypeLike | None = None,
        copy: bool = False,
        *,
        strategy: str = "auto",
        block: Any = "auto",
        eliminate_zeros: bool = False,
    ) -> None:
        if hasattr(self, "_packing"):
            raise TypeError("a ComplementaryMatrix is immutable; __init__ runs once")
        if not isinstance(A, ComplementaryMatrix):
            start = time.perf_counter()
            csr = formats.canonical(A, shape, dtype, eliminate_zeros)
            packing = Packing(csr.indptr, csr.indices, csr.shape, strategy, block)
            packing.seconds = time.perf_counter() - start
            self._set(csr, packing)
            return
        if shape is not None and formats.check_shape(shape) != A.shape:
            raise ValueError(f"shape={tuple(shape)} contradicts the matrix, whose shape is {A.shape}")
        csr = A._csr()
        if dtype is not None:
            wanted = formats.check_dtype(dtype)
            csr = csr._replace(data=frozen(csr.data.astype(wanted, copy=False)))
        if copy or (eliminate_zeros and not csr.data.all()):
            parts = (csr.data, csr.indices, csr.indptr)
            csr = formats.canonical(parts, csr.shape, eliminate_zeros=eliminate_zeros)
        self._set(csr, Packing(csr.indptr, csr.indices, csr.shape, strategy, block))

    def _set(self, csr: Csr, packing: Packing) -> None:
        """Fills a new object with the stored matrix."""
        self._indptr, self._indices, self._data, stored_shape = csr
        self._packing = packing
        self._transposed = False
        self._twin = self._twin_ref = None
        self._bind(self._indptr, self._indices, self._data, stored_shape)

    @classmethod
    def _from_parts(cls, csr: Csr, packing: Packing, transposed: bool = False) -> Self:
        """From arrays that are canonical and a packing of their pattern."""
        W = cls.__new__(cls)
        W._set(csr, packing)
        return W.T if transposed else W

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"a ComplementaryMatrix is immutable: {name!r} cannot be set")
        super().__setattr__(name, value)

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes of the stored matrix and its packing. Layouts built for products are listed by `describe`."""
        return self._indptr.nbytes + self._indices.nbytes + self._data.nbytes + self._packing.nbytes

    @property
    def size(self) -> int:
        """Number of stored entries, as scipy.sparse counts."""
        return int(self.nnz)

    @property
    def T(self) -> Self:
        """The transpose: the same memory, the same packing, and ``W.T.T is W``."""
        if self._twin is not None:
            return self._twin  # type: ignore[return-value]
        with _twin_lock:
            view = None if self._twin_ref is None else self._twin_ref()
            if view is None:
                view = type(self).__new__(type(self))
                view._indptr, view._indices, view._data = self._indptr, self._indices, self._data
                view._packing = self._packing
                view._transposed = True
                view._twin, view._twin_ref = self, None
                view._bind(self._indptr, self._indices, self._data, self._packing.shape, self)
                self._twin_ref = weakref.ref(view)
        return view  # type: ignore[return-value]

    @property
    def mT(self) -> Self:
        """The same as `T`."""
        return self.T

    def transpose(self, axes: tuple[int, int] | None = None, copy: bool = False) -> Self:
        """`T`, as a method; `axes` may be None or (1, 0)."""
        if axes is not None and axes not in ((1, 0), (-1, -2)):
            raise ValueError(f"axes={axes!r} is not a transposition of a matrix; use None or (1, 0)")
        return self.T.copy() if copy else self.T

    # --- the packing --------------------------------------------------------------------------------------------------

    @property
    def strategy(self) -> str:
        """ "strict" or "split"."""
        return self._packing.strategy

    @property
    def block(self) -> tuple[int, int]:
        """The atom (block rows, block columns) of the stored pattern. Like all of the packing, ``W.T`` shares it."""
        return self._packing.block

    @property
    def n_sets(self) -> int:
        """Number of sets."""
        return self._packing.n_sets

    @property
    def set_size(self) -> int:
        """Members of the largest set."""
        return self._packing.set_size

    @property
    def slots(self) -> int:
        """Positions (set, column), filled or not."""
        return self.n_sets * self._packing.shape[1]

    @property
    def packing_efficiency(self) -> float:
        """``nnz / slots``; 1.0 where there are no slots."""
        return self.nnz / self.slots if self.slots else 1.0

    @property
    def lower_bound(self) -> int:
        """Entries of the fullest column: no packing has fewer sets."""
        return self._packing.lower_bound

    @property
    def balanced(self) -> bool:
        """Whether in every aligned group of columns each member owns equally many blocks; O(nnz)."""
        return self._packing.balanced

    @property
    def set_ptr(self) -> NDArray[np.int64]:
        """Where each set starts in `row_order`, shape (n_sets + 1,)."""
        return self._packing.sets[0]

    @property
    def row_order(self) -> NDArray[np.int64]:
        """The rows of each set; the member of slot (s, c) is ``row_order[set_ptr[s] + kernel_ids[s, c]]``."""
        return self._packing.sets[1]

    @property
    def values(self) -> NDArray[Any]:
        """The slots of the paper's form, shape (n_sets, K), 0 where empty. Built on each request, read-only.

        Raises
        ------
        ValueError
            Above 16 slots per non-zero.
        """
        return self._packing.dense(self._data, 0, "values")

    @property
    def kernel_ids(self) -> NDArray[Any]:
        """Which member of the set owns each slot, shape (n_sets, K), `no_kernel` where empty.

        In the smallest signed dtype that holds them. Built on each request, read-only.

        Raises
        ------
        ValueError
            Above 16 slots per non-zero.
        """
        dtype = np.min_scalar_type(-max(self.set_size, 1))
        return self._packing.dense(self._packing.slots.kernel_id.astype(dtype), no_kernel, "kernel_ids")

    # --- conversions --------------------------------------------------------------------------------------------------

    def _stored(self) -> Csr:
        return Csr(self._indptr, self._indices, self._data, self._packing.shape)

    def _csr(self) -> Csr:
        """The canonical arrays of the logical matrix."""
        return formats.transposed(self._stored())[0] if self._transposed else self._stored()

    def tocsr(self, copy: bool = False, index_dtype: DTypeLike | None = None) -> Any:
        """A `scipy.sparse.csr_array`.

        Parameters
        ----------
        copy : bool
            Without, the result may share this matrix's read-only arrays.
        index_dtype : {int32, int64}, optional
            The default is int32 where it fits.

        Returns
        -------
        csr_array, shape (M, K)
            Indices sorted, no duplicates. float16 and bfloat16, which scipy.sparse does not
            know, become float32.
        """
        return formats.to_scipy(self._csr(), copy=copy, index_dtype=index_dtype)

    def tocsc(self, copy: bool = False, index_dtype: DTypeLike | None = None) -> Any:
        """A `scipy.sparse.csc_array`; parameters as `tocsr`."""
        csr_of_transpose = self._stored() if self._transposed else formats.transposed(self._stored())[0]
        return formats.to_scipy(csr_of_transpose, copy=copy, index_dtype=index_dtype, transpose=True)

    def tocoo(self, copy: bool = True) -> Any:
        """A `scipy.sparse.coo_array`, row-major."""
        return self.tocsr().tocoo(copy=copy)

    def tocmp(self, copy: bool = False) -> Self:
        """This matrix, or a copy."""
        return self.copy() if copy else self

    def asformat(self, format: str | None, copy: bool = False) -> Any:
        """In the format of this name: "csr", "csc", "coo", "bsr", "dia", "dok", "lil", "cmp", "array" or "dense"."""
        if format in (None, self.format):
            return self.copy() if copy else self
        if format in ("array", "dense"):
            return self.toarray()
        if format not in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil"):
            raise ValueError(f"format {format!r} is not known; use csr, csc, coo, bsr, dia, dok, lil, cmp or array")
        return getattr(self, f"to{format}")(copy=copy)

    def toarray(self, order: Any = None, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The dense matrix, with the bits of each stored value.

        Parameters
        ----------
        order : {"C", "F"}, optional
        out : ndarray, shape (M, K), optional
            Of this matrix's dtype; overwritten and returned.
        """
        if out is None:
            out = np.zeros(self.shape, dtype=self.dtype, order=order or "C")
        else:
            if order is not None:
                raise ValueError("order cannot be chosen for an array that exists: leave out order or out")
            if out.shape != self.shape or out.dtype != self.dtype:
                raise ValueError(
                    f"out has shape {out.shape} and dtype {out.dtype}; it needs {self.shape} and {self.dtype}"
                )
            out[...] = 0
        rows = formats.row_of_entry(self._indptr)
        out[(self._indices, rows) if self._transposed else (rows, self._indices)] = self._data
        return out

    def todense(self, order: Any = None, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The same as `toarray`: never an np.matrix."""
        return self.toarray(order, out)

    def astype(self, dtype: DTypeLike, casting: Any = "unsafe", copy: bool = True) -> Self:
        """With the values cast as `numpy.ndarray.astype` does, on the same packing; itself where nothing changes."""
        wanted = formats.check_dtype(dtype)
        if wanted == self.dtype and not copy:
            return self
        return self._with_stored_values(self._data.astype(wanted, casting=casting))

    def copy(self) -> Self:
        """The same matrix on memory of its own; seldom needed, as nothing can change this one."""
        indptr, indices, data = (frozen(array.copy()) for array in (self._indptr, self._indices, self._data))
        csr = Csr(indptr, indices, data, self._packing.shape)
        packing = Packing(csr.indptr, csr.indices, csr.shape, self.strategy, self.block, self._packing.stored_sets)
        return self._from_parts(csr, packing, self._transposed)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def _with_stored_values(self, data: NDArray[Any]) -> Self:
        """On the same packing, with an array of values in the stored order that nobody else will write to."""
        csr = self._stored()._replace(data=frozen(data))
        return self._from_parts(csr, self._packing, self._transposed)

    def with_values(self, A_or_data: Any) -> Self:
        """New values on the same packing.

        Parameters
        ----------
        A_or_data : array_like, shape (nnz,), or matrix, shape (M, K)
            Values in CSR order; or a sparse matrix with exactly this pattern; or a dense matrix that is 0 outside
            the pattern. Any real dtype.

        Returns
        -------
        ComplementaryMatrix, shape (M, K)

        Raises
        ------
        ValueError
            Another number of values, or another pattern.

        Notes
        -----
        O(nnz): the pattern is not packed again.

        Examples
        --------
        >>> import numpy as np
        >>> import complsparse as cs
        >>> W = cs.from_dense(np.array([[1.0, 0], [0, 2.0]]))
        >>> W.with_values([3.0, 4.0]).toarray()
        array([[3., 0.],
               [0., 4.]])
        """
        if isinstance(A_or_data, ComplementaryMatrix):
            csr = A_or_data._csr()
        elif scipy.sparse.issparse(A_or_data) or hasattr(A_or_data, "tocsr"):
            csr = formats.canonical(A_or_data)
        else:
            return self._with_array_values(np.asarray(A_or_data))
        own = self._csr()
        if csr.shape != self.shape:
            raise ValueError(f"the matrix has shape {csr.shape}; this one has {self.shape}")
        if not (np.array_equal(csr.indptr, own.indptr) and np.array_equal(csr.indices, own.indices)):
            raise ValueError(
                f"the matrix stores {len(csr.data)} entries in another pattern than the {self.nnz} of this one; "
                "a ComplementaryMatrix of its own is needed"
            )
        return self._with_csr_values(csr.data)

    def _with_array_values(self, array: NDArray[Any]) -> Self:
        dtype = formats.check_dtype(array.dtype)
        if array.ndim == 2:
            if array.shape != self.shape:
                raise ValueError(f"the matrix has shape {array.shape}; this one has {self.shape}")
            rows = formats.row_of_entry(self._indptr)
            data = array[(self._indices, rows) if self._transposed else (rows, self._indices)]
            outside = np.count_nonzero(array) - np.count_nonzero(data)
            if outside:
                raise ValueError(f"the matrix has {outside} non-zeros outside the pattern of this one")
            return self._with_stored_values(np.array(data, dtype=dtype))
        if array.shape != (self.nnz,):
            raise ValueError(f"values of shape {array.shape} do not fit; {self.nnz} entries are stored: ({self.nnz},)")
        return self._with_csr_values(np.array(array, dtype=dtype, order="C"))

    def _with_csr_values(self, data: NDArray[Any]) -> Self:
        """`data` is in the CSR order of the logical matrix."""
        if self._transposed:
            stored = np.empty_like(data)
            stored[formats.transposed(self._stored())[1]] = data
            data = stored
        return self._with_stored_values(data)

    # --- products -----------------------------------------------------------------------------------------------------

    def __matmul__(self, other: Any) -> Any:
        if (type(other) is _ndarray and other.ndim) or isinstance(other, _Compressed):
            return _matmul(self, other)
        return self._product(other, from_right=False)

    def __rmatmul__(self, other: Any) -> Any:
        return self._product(other, from_right=True)

    def _product(self, other: Any, from_right: bool) -> Any:
        if isinstance(other, _Compressed):
            return _matmul(other, self) if from_right else _matmul(self, other)
        if is_foreign(other):
            return NotImplemented
        if isinstance(other, ComplementaryMatrix) or scipy.sparse.issparse(other):
            a, b = (other, self) if from_right else (self, other)
            if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[1] != b.shape[0]:
                raise ValueError(f"shapes {a.shape} and {b.shape} do not match for a matrix product")
            return formats.as_csr(a) @ formats.as_csr(b)
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
    def _checked_product(x: Any, W: ComplementaryMatrix, ndim: int, name: str) -> NDArray[Any]:
        array = np.asarray(x)
        size = W.shape[1]
        fits = array.ndim == 2 if ndim == 2 else array.shape in ((size,), (size, 1))
        if not fits or array.shape[0] != size:
            expected = f"({size}, N)" if ndim == 2 else f"({size},) or ({size}, 1)"
            raise ValueError(f"{name} takes an array of shape {expected}, not {array.shape}")
        return _core.matmul(W, array)  # type: ignore[no-any-return]

    def plan(
        self,
        n: int = 1,
        *,
        dtype: DTypeLike | None = None,
        batch_major: bool = False,
        bias: Any = None,
        activation: str | None = None,
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
        activation : None or "relu"
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
        batch, compute = checked_batch(n), compute_dtype(self, dtype)
        deterministic = deterministic or _core.get_deterministic()
        if winners is None:
            self._prepare(batch, compute, deterministic)
        else:
            self._prepare_winners(batch, checked_winners(winners), compute, deterministic)
        return self

    # --- NumPy protocol -----------------------------------------------------------------------------------------------

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
            left = isinstance(A, ComplementaryMatrix)
            return A._product(B, from_right=False) if left else B._product(A, from_right=True)
        target = None if out is None else out[0]
        if target is not None and not isinstance(target, np.ndarray):
            raise TypeError(f"out must be a numpy array, not {type(target).__name__}")
        if target is not None and (target is A or target is B):  # X @= W
            return copied_into(target, _core.matmul(A, B, dtype=dtype))
        return _core.matmul(A, B, out=target, dtype=dtype)

    # --- Python protocol ----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        raise TypeError("the length of a sparse matrix is ambiguous; use W.nnz or W.shape[0]")

    def __bool__(self) -> bool:
        if self.shape == (1, 1):
            return bool(self._data.any())
        raise ValueError("the truth value of a matrix with more than one element is ambiguous; use W.nnz")

    def __repr__(self) -> str:
        return (
            f"<Complementary sparse matrix of dtype '{self.dtype}'\n"
            f"\twith {self.nnz} stored elements and shape {self.shape}>"
        )

    def __str__(self) -> str:
        from complsparse._matrix import describe

        return describe.summary(self)

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
        from complsparse._matrix import describe

        print(describe.report(self, None if winners is None else checked_winners(winners)))

    def _repr_html_(self) -> str:
        from complsparse._matrix import describe

        return describe.html(self)

    def __sizeof__(self) -> int:
        layouts: int = sum(layout["bytes"] for layout in self._layouts())
        return object.__sizeof__(self) + self.nbytes + layouts

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (state_of(self),)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return (
            type(self).__qualname__,
            *((x.dtype.name, x.tobytes()) if isinstance(x, np.ndarray) else x for x in state_of(self).values()),
        )


# What NumPy passes: nothing for `@`, the axes that are meant anyway for `@=` of a matrix and of a vector.
_MATMUL_AXES = (None, [(-2, -1), (-2, -1), (-2, -1)], [(-1,), (-2, -1), (-1,)])


def _restore(state: Any) -> ComplementaryMatrix:
    """The matrix that `_state.state_of` took apart, from a pickle or a file. Trusts nothing.

    Raises ValueError or TypeError naming what is wrong.
    """
    return ComplementaryMatrix._from_parts(*checked_parts(state))
