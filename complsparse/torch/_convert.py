# SPDX-License-Identifier: BSD-3-Clause
"""Matrices as torch's sparse tensors; the way back is `complsparse.ComplementaryMatrix`."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from complsparse._matrix.matrix import ComplementaryMatrix


def to_sparse_csr(W: ComplementaryMatrix) -> Tensor:
    """A sparse CSR tensor on memory of its own.

    Parameters
    ----------
    W : ComplementaryMatrix, shape (M, K)
        bfloat16 becomes float32.

    Returns
    -------
    Tensor, layout `torch.sparse_csr`, shape (M, K)
        Explicit zeros are kept. ``cs.ComplementaryMatrix(tensor)`` is the way back, of COO, CSC and BSR tensors too.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> S = cs.torch.to_sparse_csr(cs.from_dense(np.array([[0.0, 2.0], [3.0, 0.0]])))
    >>> S.to_dense()
    tensor([[0., 2.],
            [3., 0.]], dtype=torch.float64)
    >>> cs.ComplementaryMatrix(S).nnz
    2
    """
    if not isinstance(W, ComplementaryMatrix):
        raise TypeError(f"to_sparse_csr takes a ComplementaryMatrix, not {type(W).__name__}")
    csr = W.tocsr()
    parts = [torch.from_numpy(part) for part in (csr.indptr, csr.indices, csr.data)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        made: Tensor = torch.sparse_csr_tensor(*parts, size=W.shape, check_invariants=True)
    return made
