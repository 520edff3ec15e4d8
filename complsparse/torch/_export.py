# SPDX-License-Identifier: BSD-3-Clause
"""to_complsparse: a module of torch as a network of `complsparse.nn`."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from complsparse.nn import Graph
from complsparse.torch import _aten, _aten_arrays, _aten_entries, _aten_recurrent  # noqa: F401  they bring the rules
from complsparse.torch._forms import traceable
from complsparse.torch._translation import Translation


def to_complsparse(model: nn.Module, example: Any, *, sparsity: float = 0.7) -> Graph:
    """A model as a network of `complsparse.nn`, which runs without torch.

    Parameters
    ----------
    model : torch.nn.Module
        As it is in `eval` mode. Weights may be pruned: plain zeros, ``weight_orig`` and ``weight_mask`` of
        `torch.nn.utils.prune`, parametrizations such as those of `torch.ao.pruning`, and the layers of this package in
        either form.
    example : Tensor or tuple of Tensor
        Inputs, with the batch as their first axis: of any size, also in calls of the network.
    sparsity : float
        Weights with at least this share of zeros become a `ComplementaryMatrix`; those on a pattern of this package
        always do. All others stay dense arrays.

    Returns
    -------
    complsparse.nn.Graph
        Layers are called as the modules that they came from. An output of k winners is `Winners`.

    Raises
    ------
    ValueError
        An operation that no layer does; its name and that of its module are told. A model that moves its batch axis.

    Notes
    -----
    The model is traced by `torch.export`. Whatever does not depend on the input is computed once, by torch: weights
    with masks, parametrizations, folded statistics. Outputs are those of the model but for the order of sums.

    Contests that boost by duty cycles are translated as they are, between two products; where the strength is 0 these
    are left out, and the layer behind reads the winners alone.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> model = torch.nn.Sequential(
    ...     cs.torch.ComplementaryLinear(64, 32, set_size=8, rng=0), torch.nn.ReLU(), torch.nn.Linear(32, 4)
    ... )
    >>> net = cs.torch.to_complsparse(model, torch.ones(2, 64))
    >>> [type(layer.W).__name__ for layer in net.layers if layer.multiplications]
    ['ComplementaryMatrix', 'ndarray']
    >>> net(torch.ones(5, 64).numpy()).shape
    (5, 4)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"a torch.nn.Module is expected, not a {type(model).__name__}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity={sparsity} is not a share from 0 to 1")
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    if not inputs or not all(isinstance(x, Tensor) and x.ndim and len(x) for x in inputs):
        raise ValueError("example must be a tensor with a batch axis that is not empty, or a tuple of such tensors")
    return Translation(model, _exported(model, inputs), sparsity).graph


def _exported(model: nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    """Without in-place operations, and with a batch of any size."""
    inputs = tuple(torch.cat([x, x]) if len(x) == 1 else x for x in inputs)  # export takes a size of 1 for a constant
    any_batch = torch.export.ShapesCollection()
    for x in inputs:
        any_batch[x] = {0: torch.export.Dim.AUTO}
    training = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad(), traceable(model), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its pruning hooks and its coming changes
            program = torch.export.export(model.eval(), inputs, dynamic_shapes=any_batch)
            return program.run_decompositions({})
    finally:
        for module, mode in training.items():
            module.training = mode
