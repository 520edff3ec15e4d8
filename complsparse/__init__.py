# SPDX-License-Identifier: BSD-3-Clause
"""Sparse linear algebra for weight-sparse neural networks.

Rows of a sparse matrix whose non-zeros share no column are packed into sets (complementary sparsity); products with
dense operands run on micro-kernels chosen for the matrix, the batch size and the CPU.

>>> import numpy as np
>>> import scipy.sparse
>>> import complsparse as cs
>>> A = scipy.sparse.random_array((64, 96), density=0.05, rng=0, dtype=np.float32)
>>> W = cs.from_scipy(A)
>>> x = np.ones((96, 4), dtype=np.float32)
>>> np.allclose(W @ x, A @ x)
True
"""


def _find_extension() -> None:
    """Lets a checkout that has not been built in place use the installed extension module.

    Python puts the current folder first on its path, so ``python -m complsparse`` in a checkout finds this file and not
    the installed package.
    """
    import importlib.machinery
    import os
    import sys

    def has_extension(folder: str) -> bool:
        return any(os.path.exists(os.path.join(folder, "_core" + s)) for s in importlib.machinery.EXTENSION_SUFFIXES)

    if any(has_extension(folder) for folder in __path__):
        return
    for entry in sys.path:
        folder = os.path.join(entry, "complsparse")
        if has_extension(folder):
            __path__.append(folder)
            return


_find_extension()
del _find_extension

try:
    from complsparse import _core
except ImportError as error:
    raise ImportError(
        "the extension module of complsparse is missing: install the package with `pip install .` "
        f"(compiled for another Python? {error})"
    ) from error

import importlib
import sys
from typing import TYPE_CHECKING, Any

from complsparse._arrays import as_tensor as _as_tensor
from complsparse._arrays import is_masked as _is_masked
from complsparse._arrays import tensor_memory as _tensor_memory
from complsparse._config import (
    __version__,
    get_num_threads,
    isa_levels,
    microkernels,
    num_threads,
    set_num_threads,
    show_config,
)
from complsparse._core import kwta, kwta_dense, linear, matmul
from complsparse._matrix.makers import (
    aslinearoperator,
    from_coo,
    from_dense,
    from_filters,
    from_scipy,
    iscompl,
    sampled_matmul,
)
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._matrix.sparse_products import linear as _linear
from complsparse._matrix.sparse_products import matmul as _matmul
from complsparse._matrix.stored import csr_arrays as _csr_arrays
from complsparse._matrix.stored import no_kernel
from complsparse._operands import overlap as _overlap
from complsparse._ops import products as _products
from complsparse._ops.contests import kwta as _kwta
from complsparse._ops.winners import Winners


def _recorded(call: str, *args: Any) -> Any:
    """A call on tensors whose result records gradients."""
    from complsparse.torch import _recorded as calls  # nobody has tensors, and not torch

    return getattr(calls, call)(*args)


# `_core` imports nobody: where its calls go that the fast checks do not accept, it is told here.
_core.set_fallbacks(
    winners=Winners,
    canonical=_csr_arrays,
    matmul=_matmul,
    linear=_linear,
    kwta=_kwta,
    is_masked=_is_masked,
    overlap=_overlap,
    memory_of=_tensor_memory,
    as_tensor=_as_tensor,
    recorded=_recorded,
    plan_input_error=_products.plan_input_error,
    plan_winners_error=_products.plan_winners_error,
    plan_output_error=_products.plan_output_error,
)

if TYPE_CHECKING:
    from complsparse import hls, nn
    from complsparse import onnx as onnx  # neither is in __all__: a star import would need the packages
    from complsparse import torch as torch
    from complsparse._conv.conv import conv1d, conv2d
    from complsparse._conv.plan import ConvPlan
    from complsparse._conv.pools import avg_pool2d, max_pool2d
    from complsparse._files.saved import load, save
    from complsparse._patterns.masks import complementary_mask, random
    from complsparse._patterns.prune import prune
    from complsparse._patterns.report import PruneReport
    from complsparse._pictures.roofline import plot_roofline
    from complsparse._quantized.numbers import quantize, quantize_activations
    from complsparse._quantized.products import qconv2d, qlinear

__all__ = [
    "ComplementaryMatrix",
    "ConvPlan",
    "PruneReport",
    "Winners",
    "__version__",
    "aslinearoperator",
    "avg_pool2d",
    "complementary_mask",
    "conv1d",
    "conv2d",
    "from_coo",
    "from_dense",
    "from_filters",
    "from_scipy",
    "get_num_threads",
    "hls",
    "isa_levels",
    "iscompl",
    "kwta",
    "kwta_dense",
    "linear",
    "load",
    "matmul",
    "max_pool2d",
    "microkernels",
    "nn",
    "no_kernel",
    "num_threads",
    "plot_roofline",
    "prune",
    "qconv2d",
    "qlinear",
    "quantize",
    "quantize_activations",
    "random",
    "sampled_matmul",
    "save",
    "set_num_threads",
    "show_config",
]

# Found on first use, names and whole sub-packages alike: a program that only multiplies need not wait for their import.
_LATER = {
    "ConvPlan": "complsparse._conv.plan",
    "PruneReport": "complsparse._patterns.report",
    "avg_pool2d": "complsparse._conv.pools",
    "complementary_mask": "complsparse._patterns.masks",
    "conv1d": "complsparse._conv.conv",
    "conv2d": "complsparse._conv.conv",
    "hls": "complsparse.hls",
    "load": "complsparse._files.saved",
    "max_pool2d": "complsparse._conv.pools",
    "nn": "complsparse.nn",
    "onnx": "complsparse.onnx",
    "plot_roofline": "complsparse._pictures.roofline",
    "prune": "complsparse._patterns.prune",
    "qconv2d": "complsparse._quantized.products",
    "qlinear": "complsparse._quantized.products",
    "quantize": "complsparse._quantized.numbers",
    "quantize_activations": "complsparse._quantized.numbers",
    "random": "complsparse._patterns.masks",
    "save": "complsparse._files.saved",
    "torch": "complsparse.torch",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        # With name and obj Python suggests what could have been meant.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    module = importlib.import_module(_LATER[name])
    found = globals()[name] = module if _LATER[name] == f"{__name__}.{name}" else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_LATER})
