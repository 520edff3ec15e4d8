# SPDX-License-Identifier: BSD-3-Clause
"""The speech network of `complsparse.nn.gsc_network` as a module that trains."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import nn

from complsparse._patterns.masks import complementary_mask
from complsparse._patterns.prune import prune
from complsparse.nn._gsc import (
    FULL,
    GSC_WORDS,
    NARROW,
    PIXELS,
    Blocks,
    Kind,
    _mask_of_channels,
    _mask_of_one_channel,
    of_channels,
    of_features,
)
from complsparse.torch._layers import ComplementaryConv2d, ComplementaryLinear
from complsparse.torch._on_pattern import Form
from complsparse.torch._weights import weight_of
from complsparse.torch._winners import KWinners, KWinners2d

KINDS = ("dense", "narrow", "sparse", "sparse_sparse")


def speech_model(
    kind: Kind,
    *,
    blocks: int | tuple[int, int, int] = (4, 8, 4),
    winners: tuple[int, int, int] = (6, 6, 150),
    boost_strength: float = 1.0,
    form: Form = "masked",
    start: nn.Module | None = None,
    rng: np.random.Generator | int | None = None,
) -> nn.Sequential:
    """The GSC speech network: spectrograms (N, 1, 32, 32) in, scores of 12 words (N, 12) out.

    Parameters
    ----------
    kind : {"dense", "narrow", "sparse", "sparse_sparse"}
        As `complsparse.nn.gsc_network`; batch norms are layers of their own.
    blocks : int or three of them
        Rows that share their pattern in the first and the second convolution and in the linear layer. The second
        convolution has eight sets of at most eight rows: there, greater numbers mean 8.
    winners : three int
        Of the 64 channels of each pixel behind the first and the second pool, and of the 1500 features.
    boost_strength, form
        As `KWinners` and `ComplementaryLinear`.
    start : torch.nn.Module, optional
        A trained one of kind "dense", whose weights a sparse one begins with: on the patterns that keep the greatest
        sum of magnitudes. (Those of the first convolution are drawn.)
    rng : Generator or int, optional
        For patterns; weights are drawn by torch.

    Examples
    --------
    >>> import torch
    >>> from complsparse.torch.speech import speech_model
    >>> model = speech_model("sparse", rng=0)
    >>> sum(len(layer.values) for layer in (model.conv1, model.conv2, model.linear))
    109568
    >>> model(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 12])
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(map(repr, KINDS))}")
    widths = NARROW if kind == "narrow" else FULL
    features, wins = widths.conv2 * PIXELS, kind == "sparse_sparse"
    if start is not None and not kind.startswith("sparse"):
        raise ValueError(f"a model of kind {kind!r} begins with no other's weights: it has no patterns to put them on")
    patterns = _patterns(blocks, rng, start) if kind.startswith("sparse") else (None, None, None)

    def convolution(inputs: int, outputs: int, pattern: Any) -> nn.Module:
        if pattern is None:
            return nn.Conv2d(inputs, outputs, 5, bias=False)
        return ComplementaryConv2d(inputs, outputs, 5, bias=False, pattern=pattern, form=form)

    def linear(inputs: int, outputs: int, pattern: Any, bias: bool) -> nn.Module:
        if pattern is None:
            return nn.Linear(inputs, outputs, bias)
        return ComplementaryLinear(inputs, outputs, bias, pattern=pattern, form=form)

    def pooled(channels: int, k: int) -> list[nn.Module]:
        pool = nn.MaxPool2d(2)
        if wins:
            return [pool, KWinners2d(channels, k, boost_strength=boost_strength, local=True)]
        return [nn.ReLU(), pool]

    # A last layer without zeros, on a pattern of ones, reads the winners alone.
    of_last = np.ones((GSC_WORDS, widths.linear), bool) if wins else None
    layers = [
        ("conv1", convolution(1, widths.conv1, patterns[0])),
        ("norm1", nn.BatchNorm2d(widths.conv1)),
        ("pooled1", nn.Sequential(*pooled(widths.conv1, winners[0]))),
        ("conv2", convolution(widths.conv1, widths.conv2, patterns[1])),
        ("norm2", nn.BatchNorm2d(widths.conv2)),
        ("pooled2", nn.Sequential(*pooled(widths.conv2, winners[1]))),
        ("flatten", nn.Flatten()),
        ("linear", linear(features, widths.linear, patterns[2], False)),
        ("norm3", nn.BatchNorm1d(widths.linear)),
        ("active3", KWinners(widths.linear, winners[2], boost_strength=boost_strength) if wins else nn.ReLU()),
        ("words", linear(widths.linear, GSC_WORDS, of_last, True)),
    ]
    model = nn.Sequential(OrderedDict(layers))
    if start is not None:
        _begin_with(model, start)
    return model


def _patterns(blocks: Any, rng: Any, start: nn.Module | None) -> tuple[Any, ...]:
    """Those of `gsc_network`; with a dense model to start from, the best for it among the patterns of their kind."""
    rng = np.random.default_rng(rng)
    rows = Blocks(blocks, blocks, blocks) if isinstance(blocks, int) else Blocks(*blocks)
    of_filters, features = min(rows.conv2, 8), of_features(rows.linear)
    conv1 = _mask_of_one_channel(rows.conv1, rng)
    if start is None:
        linear = complementary_mask((FULL.linear, PIXELS * FULL.conv2), **features, rng=rng)
        return conv1, _mask_of_channels(of_filters, rng), linear
    filters, matrix = (weight_of(start.get_submodule(name)).numpy() for name in ("conv2", "linear"))
    return conv1, prune(filters, **of_channels(of_filters))[0], prune(matrix, **features)[0]


@torch.no_grad()
def _begin_with(model: nn.Module, start: nn.Module) -> None:
    """Weights that have a place in the model, and batch norms, of a dense one."""
    for name, layer in model.named_children():
        other = start.get_submodule(name)
        if isinstance(layer, (ComplementaryConv2d, ComplementaryLinear)):
            weight = weight_of(other)
            layer.values.copy_(weight.flatten()[layer.positions])
            layer.kept_energy = float(layer.values.square().sum() / weight.square().sum())
            if layer.bias is not None:
                layer.bias.copy_(other.get_parameter("bias"))
        elif layer.state_dict() and not isinstance(layer, (KWinners, nn.Sequential)):
            layer.load_state_dict(other.state_dict())
