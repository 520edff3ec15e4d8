# SPDX-License-Identifier: BSD-3-Clause
"""The weights of other people's layers, however these were pruned."""

from __future__ import annotations

from torch import Tensor, nn


def weight_of(module: nn.Module) -> Tensor:
    """The weight that a layer multiplies with.

    `torch.nn.utils.prune` leaves ``weight_orig`` and ``weight_mask``, and a ``weight`` that is renewed by the next
    forward pass; parametrizations, those of `torch.ao.pruning` among them, make the weight whenever it is read.
    """
    original, mask = getattr(module, "weight_orig", None), getattr(module, "weight_mask", None)
    weight: Tensor = module.weight if original is None or mask is None else original * mask
    return weight.detach()


def bias_of(module: nn.Module) -> Tensor | None:
    """Likewise, of the bias."""
    original, mask = getattr(module, "bias_orig", None), getattr(module, "bias_mask", None)
    bias: Tensor | None = module.bias if original is None or mask is None else original * mask
    return None if bias is None else bias.detach()
