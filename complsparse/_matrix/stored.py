# SPDX-License-Identifier: BSD-3-Clause
"""What a `ComplementaryMatrix` holds: canonical CSR arrays, shared with its transpose, and their packing."""

from __future__ import annotations

import os
import threading
import weakref
from types import FunctionType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._matrix.csr import Csr, check_dtype, frozen, to_scipy, transposed
from complsparse._matrix.formats import canonical, canonical_csr
from complsparse._matrix.packing import Packing
from complsparse._matrix.scipy_base import SparseArray

no_kernel: int = -1
"""The kernel id of an empty slot."""

Part = TypeVar("Part", bound=type)

_twin_lock = threading.Lock()  # guards the creation of transposed views


def _renew_lock() -> None:
    """In a forked child: the thread that held the lock is not there to give it back."""
    global _twin_lock
    _twin_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def part_of_matrix(part: Part) -> Part:
    """Errors of calls name the class that users know, and not the part of it that has the method."""
    for name, member in vars(part).items():
        if isinstance(member, FunctionType):
            member.__qualname__ = f"ComplementaryMatrix.{name}"
    return part


@part_of_matrix
class StoredMatrix(_core.Operand, SparseArray):
    """The part of `ComplementaryMatrix` that holds the arrays. Each part is built on the one before it:

    `StoredMatrix`, `conversions.Conversions`, `like_scipy.LikeScipy`, `multiply.Products`, `describe.Described`.
    """

    __slots__ = ("_scale", "_twin", "_twin_ref")

    _indptr: NDArray[np.int64]
    _indices: NDArray[Any]
    _data: NDArray[Any]
    _packing: Packing
    _transposed: bool
    _scale: NDArray[np.float32] | None  # of quantised values: one of each stored row
    _twin: StoredMatrix | None  # of a transposed view: the matrix it was made from
    _twin_ref: weakref.ref[StoredMatrix] | None  # of a matrix: its transposed view, while somebody has one

    def _set(self, csr: Csr, packing: Packing, scale: NDArray[np.float32] | None = None) -> None:
        """Fills a new object with the stored matrix."""
        self._indptr, self._indices, self._data, stored_shape = csr
        self._packing = packing
        self._transposed = False
        self._scale = scale
        self._twin = self._twin_ref = None
        self._bind(self._indptr, self._indices, self._data, stored_shape)

    @classmethod
    def _from_parts(
        cls, csr: Csr, packing: Packing, transposed: bool = False, scale: NDArray[np.float32] | None = None
    ) -> Self:
        """From arrays that are canonical and a packing of their pattern."""
        W = cls.__new__(cls)
        W._set(csr, packing, scale)
        return W.T if transposed else W

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"a ComplementaryMatrix is immutable: {name!r} has no setter")
        super().__setattr__(name, value)

    def _stored(self) -> Csr:
        return Csr(self._indptr, self._indices, self._data, self._packing.shape)

    def _csr(self) -> Csr:
        """The canonical arrays of the logical matrix."""
        return transposed(self._stored())[0] if self._transposed else self._stored()

    def _with_stored_values(self, data: NDArray[Any], scale: NDArray[np.float32] | None = None) -> Self:
        """On the same packing, with an array of values in the stored order that nobody else will write to."""
        check_dtype(data.dtype)
        if data.shape != self._data.shape:
            raise ValueError(f"values of shape {data.shape} do not fit; {self.nnz} entries are stored: ({self.nnz},)")
        csr = self._stored()._replace(data=frozen(data))
        W = self._from_parts(csr, self._packing, self._transposed, scale)
        W._knows_pattern_of(self)
        return W

    def copy(self) -> Self:
        """The same matrix on memory of its own; seldom needed, as nothing can change this one."""
        indptr, indices, data = (frozen(array.copy()) for array in (self._indptr, self._indices, self._data))
        csr = Csr(indptr, indices, data, self._packing.shape)
        packing = Packing(csr.indptr, csr.indices, csr.shape, self.strategy, self.block, self._packing.stored_sets)
        packing.filter_shape = self._packing.filter_shape
        return self._from_parts(csr, packing, self._transposed, self._scale)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    # --- the arrays of CSR --------------------------------------------------------------------------------------------

    @property
    def data(self) -> NDArray[Any]:
        """The values in CSR order, shape (nnz,), read-only. For W itself a view, for ``W.T`` built on each request."""
        return self._csr().data.view()

    @property
    def indices(self) -> NDArray[Any]:
        """The column of each value, ascending within each row, shape (nnz,), read-only. Memory as `data`."""
        return self._csr().indices.view()

    @property
    def indptr(self) -> NDArray[Any]:
        """Where each row starts in `data`, shape (M + 1,), read-only; in the dtype of `indices` if that holds nnz."""
        csr = self._csr()
        return frozen(csr.indptr.astype(csr.indices.dtype if self.nnz < 2**31 else np.int64))

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
                view._scale = self._scale
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

    @property
    def filter_shape(self) -> tuple[int, ...] | None:
        """The shape (M, C, kh, kw) or (M, C, k) of the filters that the rows are; None where they are not, and of
        transposes."""
        return None if self._transposed else self._packing.filter_shape

    @property
    def scale(self) -> NDArray[np.float32] | None:
        """What the values are multiplied by, where `quantize` made them: float32, one for each row of the matrix that
        it returned, read-only; of its transpose the same, one for each column. None where values stand for themselves.

        Kept by `T`, copies, files and pickles. Other values and other dtypes have none.
        """
        return self._scale

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
        """Whether in every aligned group of columns each member owns equally many blocks; O(nnz).

        Of filters (`filter_shape`) also where that holds for the channels of every tap; `describe` says which.
        """
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


def as_csr(A: Any) -> Any:
    """A csr_array of a ComplementaryMatrix or of any scipy.sparse matrix, checked."""
    return to_scipy(A._csr() if isinstance(A, StoredMatrix) else canonical(A))


def csr_arrays(S: Any, transposed: bool) -> Csr:
    """The canonical arrays of a ComplementaryMatrix or any scipy.sparse matrix, checked; or of its transpose."""
    if not isinstance(S, StoredMatrix):
        return canonical_csr(S, transposed)
    return (S.T if transposed else S)._csr()
