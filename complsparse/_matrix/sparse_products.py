# SPDX-License-Identifier: BSD-3-Clause
"""Products of two sparse operands: with a sparse result, and, as `matmul` and `linear` give it, with a dense one.

For the dense one of them becomes winners here, where other people's formats are known; what else the fast checks in
`_core` did not accept is for `_ops.products`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from complsparse import _core
from complsparse._dtypes import product_types
from complsparse._matrix.csr import index_dtype
from complsparse._matrix.formats import compressed
from complsparse._matrix.stored import StoredMatrix, as_csr
from complsparse._operands import as_compute, overlap, wrong_inner_size
from complsparse._ops import contests, products
from complsparse._ops.winners import Winners

# A table of sums so long costs nothing to speak of, whatever the matrix.
_FEW_COLUMNS = 2**20


def _is_sparse(operand: Any) -> bool:
    return isinstance(operand, _core.Operand) or scipy.sparse.issparse(operand)


def _product(A: Any, B: Any, form: str, out: Any, bias: Any, activation: Any, dtype: Any) -> NDArray[Any]:
    """A sparse times a sparse operand, with a dense result: the entries of the one that is not packed, or of the right
    one, are winners. Unstored entries of either touch nothing."""
    W, S = (A, B) if isinstance(A, _core.Operand) else (B, A)
    csr = as_csr(S)
    types = product_types(W.dtype, csr.dtype, dtype)
    if form == "linear" and S.shape[-1] != W.shape[1]:
        raise wrong_inner_size(tuple(S.shape), W.shape, form)
    if form != "linear" and A.shape[-1] != B.shape[0]:
        raise ValueError(
            f"shapes {A.shape} and {B.shape} do not match: {A.shape[-1]} columns against {B.shape[0]} rows"
        )
    if out is not None and isinstance(out, np.ndarray):
        parts = [part for part in vars(S).values() if isinstance(part, np.ndarray)]
        if any(overlap(out, part) for part in parts):
            raise ValueError("out shares memory with an input; the product would overwrite what it still reads")
    csr = csr.astype(types.compute)
    if len(S.shape) == 1:  # of which that is the only row
        winners = Winners(csr.data, csr.indices, csr.indptr, S.shape)
    else:
        winners = Winners.from_scipy(csr, axis=0 if form == "W @ X" else 1)
    return products.winners_product(W, winners, form, out, bias, activation, types)


def _operand(S: Any, compute: np.dtype[Any]) -> tuple[Any, ...]:
    """Arrays as `_core.SparseProduct` takes them."""
    if isinstance(S, StoredMatrix):
        csr, transposed, canonical = S._stored(), S._transposed, True
    else:
        csr, transposed, canonical = compressed(S)
    return csr.indptr, csr.indices, as_compute(csr.data, compute), *csr.shape, transposed, canonical


def _without_unused_columns(operand: tuple[Any, ...]) -> tuple[tuple[Any, ...], NDArray[Any] | None]:
    """A right operand with far more columns than entries has only those that own some, and which these are: a product
    has a sum for each column."""
    indptr, indices, data, rows, cols, transposed, canonical = operand
    if transposed or (indices.dtype == np.int32 and cols <= _FEW_COLUMNS + 8 * len(indices)):
        return operand, None
    used, places = np.unique(indices, return_inverse=True)
    return (indptr, places.astype(np.int32), data, rows, len(used), transposed, canonical), used


def sparse_product(A: Any, B: Any) -> scipy.sparse.csr_array:
    """``A @ B`` of two sparse matrices of two axes as a `csr_array` in canonical form.

    Sums that are zero are no entries, as in SciPy; dtypes are those of a product with a dense result.
    """
    if np.iscomplexobj(A) or np.iscomplexobj(B):
        return _complex_product(A, B)
    types = product_types(A.dtype, B.dtype)
    left = _operand(A, types.compute)
    right, used = _without_unused_columns(_operand(B, types.compute))
    if max(*left[3:5], *right[3:5]) >= 2**31:
        raise ValueError(
            f"a sparse product of shapes {A.shape} and {B.shape} needs fewer than 2**31 rows, and columns on the left"
        )
    made = _core.SparseProduct(left, right)
    shape = (int(A.shape[0]), int(B.shape[1]))
    indptr, indices, data = made.arrays(index_dtype(max(*shape, made.nnz)))
    if used is not None:
        indices = used[indices].astype(indptr.dtype, copy=False)
    values = data != 0 if types.result == np.bool_ else data.astype(types.result, copy=False)
    product = scipy.sparse.csr_array((values, indices, indptr), shape=shape)
    product.has_canonical_format = True  # spares scipy a pass; it holds by construction
    if types.result != types.compute:  # what is zero in few bits may not have been in 64
        product.eliminate_zeros()
    return product


def _complex_product(A: Any, B: Any) -> scipy.sparse.csr_array:
    """Of a real and a complex matrix: two real products, and the entries that are not zero in both."""
    parts = []
    for part in ("real", "imag"):
        parts.append(sparse_product(*(getattr(S, part) if S.dtype.kind == "c" else S for S in (A, B))))
    real, imaginary = parts
    dtype = np.result_type(real.dtype, np.complex64)
    values = np.zeros(imaginary.nnz, dtype)
    values.imag = imaginary.data
    imaginary = scipy.sparse.csr_array((values, imaginary.indices, imaginary.indptr), shape=imaginary.shape)
    return real.astype(dtype) + imaginary


def matmul(A: Any, B: Any, out: Any, bias: Any, activation: Any, dtype: Any) -> NDArray[Any]:
    """`complsparse.matmul`."""
    left, right = isinstance(A, _core.Operand), isinstance(B, _core.Operand)
    if (left or right) and _is_sparse(A) and _is_sparse(B):
        return _product(A, B, "W @ X" if left else "X @ W", out, bias, activation, dtype)
    return products.matmul(A, B, out, bias, activation, dtype)


def linear(x: Any, W: Any, bias: Any, activation: Any, out: Any, dtype: Any, winners: Any) -> NDArray[Any] | Winners:
    """`complsparse.linear`."""
    if winners is not None:
        vectors = Winners.from_scipy(as_csr(x), axis=1) if _is_sparse(x) else x
        return contests.linear_winners(vectors, W, bias, activation, out, dtype, winners)
    if isinstance(W, _core.Operand) and _is_sparse(x):
        return _product(W, x, "linear", out, bias, activation, dtype)
    return products.linear(x, W, bias, activation, out, dtype)
