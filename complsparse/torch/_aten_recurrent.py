# SPDX-License-Identifier: BSD-3-Clause
"""Which layer does what an operator of torch does: recurrent layers, and the states of several of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from complsparse import nn
from complsparse.torch._translation import At, Flow, constant, rule

GATES = {3: (1, 0, 2), 4: (0, 3, 1, 2)}  # of the layers, which have them as ONNX does, among torch's


class Stacked(tuple[Flow, ...]):
    """Values one behind the other along a new first axis: no array, as the batch is not its first axis."""


@rule("complsparse.recurrent")
def _recurrent(at: At, x: Any, states: Sequence[Any], weights: Sequence[Any], reverse: bool) -> tuple[Flow, ...]:
    width = weights[1].shape[1]
    gates = weights[1].shape[0] // width
    W, R, *biases = (torch.cat([w.chunk(gates)[gate] for gate in GATES[gates]]) for w in weights)
    bias, of_states = map(constant, biases) if biases else (None, None)
    kind: Any = nn.GRU if gates == 3 else nn.LSTM
    layer = kind(
        W=at.weights(W), R=at.weights(R), bias=bias, recurrent_bias=of_states, reverse=reverse, batch_first=True
    )
    return at.add_all(layer, x, *states, shapes=[(x.shape[0], width), *[(width,)] * (gates - 2)])


@rule("aten.stack")
def _stack(at: At, tensors: Sequence[Any], dim: int) -> Any:
    if dim == 0:
        return Stacked(tensors)
    shape = at.shape
    axis = dim % (len(shape) + 1)
    wide = (*shape[: axis - 1], 1, *shape[axis:])
    parts = [at.add(nn.Unsqueeze((axis,)), each, part=f"part{i}", shape=wide) for i, each in enumerate(tensors)]
    return at.add(nn.Concat(axis), *parts)
