# SPDX-License-Identifier: BSD-3-Clause
"""`matmul` and `linear` for all that the fast checks in `_core` did not accept, two sparse operands included.

Of those one becomes winners here, where other people's formats are known; everything else is for `_ops.products`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from complsparse import _core
from complsparse._dtypes import product_types
from complsparse._matrix.stored import as_csr
from complsparse._operands import overlap, wrong_inner_size
from complsparse._ops import contests, products
from complsparse._ops.winners import Winners


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
