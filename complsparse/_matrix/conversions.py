# SPDX-License-Identifier: BSD-3-Clause
"""The part of `ComplementaryMatrix` that turns it into other forms, and takes new values."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike, NDArray

from complsparse._arrays import read_array
from complsparse._matrix.csr import check_dtype, row_of_entry, to_scipy, transposed
from complsparse._matrix.formats import canonical
from complsparse._matrix.stored import StoredMatrix, part_of_matrix


@part_of_matrix
class Conversions(StoredMatrix):
    """See `StoredMatrix`."""

    __slots__ = ()

    def tocsr(self, copy: bool = False, index_dtype: DTypeLike | None = None) -> scipy.sparse.csr_array:
        """A `scipy.sparse.csr_array`.

        Parameters
        ----------
        copy : bool
            Nothing: the arrays are always the caller's own, who may write to them. Without a copy,
            ``csr_array((W.data, W.indices, W.indptr), shape=W.shape)`` shares memory with W and is read-only.
        index_dtype : {int32, int64}, optional
            The default is int32 where it fits.

        Returns
        -------
        csr_array, shape (M, K)
            Indices sorted, no duplicates. float16 and bfloat16, which scipy.sparse does not
            know, become float32.
        """
        return to_scipy(self._csr(), copy=True, index_dtype=index_dtype)

    def tocsc(self, copy: bool = False, index_dtype: DTypeLike | None = None) -> scipy.sparse.csc_array:
        """A `scipy.sparse.csc_array`; parameters as `tocsr`."""
        csr_of_transpose = self._stored() if self._transposed else transposed(self._stored())[0]
        return to_scipy(csr_of_transpose, copy=True, index_dtype=index_dtype, transpose=True)

    def tocoo(self, copy: bool = False) -> scipy.sparse.coo_array:
        """A `scipy.sparse.coo_array`, row-major."""
        return self.tocsr().tocoo()

    def tocmp(self, copy: bool = False) -> Self:
        """This matrix, or a copy."""
        return self.copy() if copy else self

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
        rows = row_of_entry(self._indptr)
        out[(self._indices, rows) if self._transposed else (rows, self._indices)] = self._data
        return out

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where entries are stored, explicit zeros included: a new dense bool array of shape (M, K). O(M K)."""
        mask = np.zeros(self.shape, dtype=np.bool_)
        rows = row_of_entry(self._indptr)
        mask[(self._indices, rows) if self._transposed else (rows, self._indices)] = True
        return mask

    def astype(self, dtype: DTypeLike, casting: Any = "unsafe", copy: bool = True) -> Self:
        """With the values cast as `numpy.ndarray.astype` does, on the same packing; itself where nothing changes.

        Another dtype has no `scale`: the values are the stored numbers.
        """
        wanted = check_dtype(dtype)
        if wanted == self.dtype and not copy:
            return self
        scale = self._scale if wanted == self.dtype else None
        return self._with_stored_values(self._data.astype(wanted, casting=casting), scale)

    def with_values(self, A_or_data: Any) -> Self:
        """New values on the same packing, without a `scale`.

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
        if isinstance(A_or_data, StoredMatrix):
            csr = A_or_data._csr()
        elif scipy.sparse.issparse(A_or_data) or hasattr(A_or_data, "tocsr"):
            csr = canonical(A_or_data)
        else:
            return self._with_array_values(read_array(A_or_data, "A_or_data"))
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
        dtype = check_dtype(array.dtype)
        if array.ndim == 2:
            if array.shape != self.shape:
                raise ValueError(f"the matrix has shape {array.shape}; this one has {self.shape}")
            rows = row_of_entry(self._indptr)
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
            stored[transposed(self._stored())[1]] = data
            data = stored
        return self._with_stored_values(data)
