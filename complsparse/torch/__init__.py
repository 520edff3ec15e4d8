# SPDX-License-Identifier: BSD-3-Clause
"""Complementary patterns in PyTorch: operators, layers that train on a pattern, and the way of a dense model onto one.

Needs the package torch: ``pip install 'complsparse[torch]'``.

The pattern of a layer is a constant: the flat `positions` of its stored entries. The values at these positions are the
parameter, of shape (nnz,); whatever an optimiser does to them, no weight outside the pattern exists.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(f"complsparse.torch needs torch: pip install 'complsparse[torch]' ({error})") from error

from complsparse.torch._contests import kwinners
from complsparse.torch._convert import to_sparse_csr
from complsparse.torch._convolution import sparse_conv2d
from complsparse.torch._export import to_complsparse
from complsparse.torch._layers import ComplementaryConv2d, ComplementaryLinear
from complsparse.torch._linear import sparse_linear
from complsparse.torch._patterns import positions_of
from complsparse.torch._report import LayerReport, ModelReport, report
from complsparse.torch._schedule import PruningSchedule
from complsparse.torch._sparsify import ComplementarySparsityConfig, sparsify_
from complsparse.torch._winners import KWinners, KWinners2d, anneal_, decay_boost_

__all__ = [
    "ComplementaryConv2d",
    "ComplementaryLinear",
    "ComplementarySparsityConfig",
    "KWinners",
    "KWinners2d",
    "LayerReport",
    "ModelReport",
    "PruningSchedule",
    "anneal_",
    "decay_boost_",
    "kwinners",
    "positions_of",
    "report",
    "sparse_conv2d",
    "sparse_linear",
    "sparsify_",
    "to_complsparse",
    "to_sparse_csr",
]
