# SPDX-License-Identifier: BSD-3-Clause
"""`ComplementaryMatrix`: the immutable, scipy-like face of a packed sparse matrix."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from complsparse._matrix.csr import check_dtype, check_shape, frozen
from complsparse._matrix.describe import Described
from complsparse._matrix.formats import canonical
from complsparse._matrix.packing import Packing
from complsparse._matrix.state import checked_parts, state_of
from complsparse._matrix.stored import part_of_matrix
from complsparse._typing import Block, Strategy


@part_of_matrix
class ComplementaryMatrix(Described):
    """A sparse matrix whose rows are packed into sets that share no column.

    A `scipy.sparse.sparray`, which functions of SciPy and scikit-learn take as one. Immutable; all members may be used
    from several threads at once.

    Parameters
    ----------
    A : scipy.sparse array or matrix, array_like, tuple or ComplementaryMatrix, shape (M, K)
        Any scipy format, a dense matrix (exact zeros are dropped), ``(data, (rows, cols))``,
        ``(data, indices, indptr)``, a sparse tensor of PyTorch (COO, CSR, CSC or BSR), or a bare shape for an empty
        matrix. Never changed, never shared.
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

    __slots__ = ()
    __module__ = "complsparse"  # where users find it, and pickles

    def __init__(
        self,
        A: Any,
        shape: tuple[int, int] | None = None,
        dtype: DTypeLike | None = None,
        copy: bool = False,
        *,
        strategy: Strategy = "auto",
        block: Block = "auto",
        eliminate_zeros: bool = False,
    ) -> None:
        if hasattr(self, "_packing"):
            raise TypeError("a ComplementaryMatrix is immutable; __init__ runs once")
        if not isinstance(A, ComplementaryMatrix):
            start = time.perf_counter()
            csr = canonical(A, shape, dtype, eliminate_zeros)
            packing = Packing(csr.indptr, csr.indices, csr.shape, strategy, block)
            packing.seconds = time.perf_counter() - start
            self._set(csr, packing)
            return
        if shape is not None and check_shape(shape) != A.shape:
            raise ValueError(f"shape={tuple(shape)} contradicts the matrix, whose shape is {A.shape}")
        csr = A._csr()
        if dtype is not None:
            wanted = check_dtype(dtype)
            csr = csr._replace(data=frozen(csr.data.astype(wanted, copy=False)))
        if copy or (eliminate_zeros and not csr.data.all()):
            parts = (csr.data, csr.indices, csr.indptr)
            csr = canonical(parts, csr.shape, eliminate_zeros=eliminate_zeros)
        packing = Packing(csr.indptr, csr.indices, csr.shape, strategy, block)
        packing.filter_shape = A.filter_shape
        # Of the transpose of a quantised matrix the rows are no longer those that have a scale.
        self._set(csr, packing, None if A._transposed or csr.data.dtype != A.dtype else A._scale)

    def _state(self) -> dict[str, Any]:
        return state_of(self._stored(), self._packing, self._transposed, self._scale)

    def __bool__(self) -> bool:
        # SciPy's asks whether anything is stored: a stored zero would be true.
        return bool(self._data.any()) if self.shape == (1, 1) else super().__bool__()

    def __repr__(self) -> str:
        return (
            f"<Complementary sparse matrix of dtype '{self.dtype}'\n"
            f"\twith {self.nnz} stored elements and shape {self.shape}>"
        )

    def __sizeof__(self) -> int:
        layouts: int = sum(layout["bytes"] for layout in self._layouts())
        return object.__sizeof__(self) + self.nbytes + layouts

    def __reduce__(self) -> tuple[Any, ...]:
        if type(self) is ComplementaryMatrix:
            return _restore, (self._state(),)
        return _restore, (self._state(), type(self))  # attributes of its own stay behind, as with `T`, `*` and the like

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return (
            type(self).__qualname__,
            *((x.dtype.name, x.tobytes()) if isinstance(x, np.ndarray) else x for x in self._state().values()),
        )


def _restore(state: Any, kind: type[ComplementaryMatrix] = ComplementaryMatrix) -> ComplementaryMatrix:
    """The matrix that `state_of` took apart, from a pickle or a file; of a pickle also a subclass. Trusts nothing.

    Raises ValueError or TypeError naming what is wrong.
    """
    if not (isinstance(kind, type) and issubclass(kind, ComplementaryMatrix)):
        raise TypeError(f"the class of a ComplementaryMatrix is one derived from it, not {kind!r}")
    return kind._from_parts(*checked_parts(state))


_restore.__module__ = "complsparse._matrix"  # pickles of all versions name it so
