# SPDX-License-Identifier: BSD-3-Clause
"""report: what the patterns of a model are like."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from torch import nn

from complsparse.torch._layers import ComplementaryConv2d, ComplementaryLinear
from complsparse.torch._patterns import as_matrix, positions_of
from complsparse.torch._sparsify import is_layer
from complsparse.torch._weights import weight_of


class LayerReport(NamedTuple):
    """Of one layer; its weight seen as a matrix."""

    name: str
    kind: str
    shape: tuple[int, int]
    nnz: int
    kept_energy: float | None
    """The share of the dense weight's sum of squares that was kept; None where no dense weight was known."""
    n_sets: int
    packing_efficiency: float
    unread: int
    """Inputs that no weight reads."""

    @property
    def density(self) -> float:
        return self.nnz / (math.prod(self.shape) or 1)


class ModelReport(tuple[LayerReport, ...]):
    """The `LayerReport` of each layer; printed as a table."""

    __slots__ = ()

    def __str__(self) -> str:
        head = ("layer", "kind", "shape", "density", "kept", "sets", "fill", "unread", "multiply-adds")
        rows = [head]
        for of in self:
            kept = "" if of.kept_energy is None else f"{of.kept_energy:.1%}"
            rows.append(
                (
                    of.name or "(model)",
                    of.kind,
                    f"{of.shape[0]} x {of.shape[1]}",
                    f"{of.density:.1%}",
                    kept,
                    str(of.n_sets),
                    f"{of.packing_efficiency:.1%}",
                    str(of.unread),
                    f"1/{1 / of.density:.1f}" if of.nnz else "none",
                )
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in lines)


def _layer(name: str, module: nn.Module) -> LayerReport:
    if isinstance(module, (ComplementaryLinear, ComplementaryConv2d)):
        positions, shape, kept = module.positions, module._matrix_shape(), module.kept_energy
        kind = type(module).__bases__[0].__name__  # parametrized modules have a class each
    else:
        weight = weight_of(module)
        positions, shape, kept = positions_of(weight), (len(weight), weight[0].numel()), None
        kind = type(module).__name__
    W = as_matrix(positions.cpu().numpy(), shape)
    unread = shape[1] - len(np.unique(W._indices))
    return LayerReport(name, kind, shape, W.nnz, kept, W.n_sets, W.packing_efficiency, unread)


def report(model: nn.Module) -> ModelReport:
    """What the patterns of a model's linear layers and convolutions are like.

    Parameters
    ----------
    model : torch.nn.Module
        Layers on patterns, dense ones, and others that `sparsify_` understands; there, a pattern is where the weight is
        not zero.

    Returns
    -------
    ModelReport
        A tuple of `LayerReport`: density, kept energy, sets and how full they are, inputs that nothing reads. ``print``
        shows a table, with the multiply-adds beside those of a dense layer: a bound for what a product can gain.

    Warns
    -----
    UserWarning
        Where inputs of a layer on a pattern are read by nothing: a set has fewer members than a group has columns,
        so rows are fewer than set_size times the rows of a block.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> model = torch.nn.Sequential(cs.torch.ComplementaryLinear(64, 32, set_size=8, rng=0))
    >>> print(cs.torch.report(model))
    layer  kind                 shape    density  kept  sets  fill    unread  multiply-adds
    0      ComplementaryLinear  32 x 64  12.5%          4     100.0%  0       1/8.0
    """
    layers = [
        _layer(name, module)
        for name, module in model.named_modules()
        if is_layer(module, name) and ".parametrizations." not in f".{name}."
    ]
    for of in layers:
        if of.unread and of.kind.startswith("Complementary"):
            warnings.warn(
                f"{of.name or 'the model'}: nothing reads {of.unread} of the {of.shape[1]} inputs of its {of.shape[0]} "
                f"rows at a density of {of.density:.1%}; a greater density, or blocks of fewer rows, would",
                stacklevel=2,
            )
    return ModelReport(layers)
