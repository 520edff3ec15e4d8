# SPDX-License-Identifier: BSD-3-Clause
"""Modules of torch in forms that a translation can follow: batches stay the first axis, and layers are operators.

`torch.nn.MultiheadAttention` moves the batch behind the sequence, and recurrent layers make states whose first axis
counts layers. While a model is traced they compute the same in another way.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Shared = tuple[Tensor, Tensor, Tensor]


@contextmanager
def traceable(model: nn.Module) -> Iterator[None]:
    """Within it, modules that have a form here compute in it."""
    changed = []
    for module in model.modules():
        form = _form_of(module)
        if form is not None and "forward" not in module.__dict__:
            module.forward = types.MethodType(form, module)
            changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _form_of(module: Any) -> Callable[..., Any] | None:
    kind = type(module)
    if kind is nn.MultiheadAttention and module.batch_first and module.bias_k is None and not module.add_zero_attn:
        return _attention
    if kind in (nn.GRU, nn.LSTM) and module.batch_first and not module.proj_size:
        return _recurrent
    return None


# --- attention --------------------------------------------------------------------------------------------------------


def _attention(
    self: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """That of `torch.nn.MultiheadAttention`, for batches; what nobody reads is not translated."""
    if query.ndim != 3 or (attn_mask is not None and attn_mask.ndim != 2):
        plain: Any = nn.MultiheadAttention.forward
        return plain(  # type: ignore[no-any-return]
            self, query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
        )

    def of_heads(x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.num_heads, self.head_dim).transpose(1, 2)

    q, k, v = map(of_heads, _projected(self, query, key, value))
    mask = _added(attn_mask, q.dtype)
    if key_padding_mask is not None:
        padding = _added(key_padding_mask, q.dtype)[:, None, None]
        mask = padding if mask is None else mask + padding
    y = functional.scaled_dot_product_attention(q, k, v, mask)
    y = self.out_proj(y.transpose(1, 2).reshape(query.shape))
    if not need_weights:
        return y, None
    scores = q @ k.transpose(2, 3) / self.head_dim**0.5
    weights = (scores if mask is None else scores + mask).softmax(-1)
    return y, weights.mean(1) if average_attn_weights else weights


def _projected(self: Any, query: Tensor, key: Tensor, value: Tensor) -> Shared:
    """Queries, keys and values: by one product where they come from one input."""
    biases = [None] * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
    if self._qkv_same_embed_dim:
        if query is key and key is value:
            q, k, v = functional.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
            return q, k, v
        weights = self.in_proj_weight.chunk(3)
    else:
        weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
    q, k, v = map(functional.linear, (query, key, value), weights, biases)
    return q, k, v


def _added(mask: Any, dtype: torch.dtype) -> Any:
    """A mask as summands: where one of bools is True, nothing is seen."""
    if mask is None or mask.dtype is not torch.bool:
        return mask
    return torch.where(mask, torch.tensor(-torch.inf, dtype=dtype), torch.tensor(0.0, dtype=dtype))


# --- recurrent layers -------------------------------------------------------------------------------------------------


@torch.library.custom_op("complsparse::recurrent", mutates_args=())
def recurrent(x: Tensor, states: list[Tensor], weights: list[Tensor], reverse: bool) -> list[Tensor]:
    """One layer in one direction of a GRU or LSTM, of sequences (N, steps, features): its outputs, then last states.

    `states` are the first ones, shape (N, H) each; an LSTM's two, or one: zeros unless given. `weights` are those of
    torch: of inputs, of states, and their biases where there are any.
    """
    x = x.flip(1) if reverse else x
    kind: Any = torch._VF
    gates = weights[1].shape[0] // weights[1].shape[1]
    begin = states or [x.new_zeros(len(x), weights[1].shape[1])] * (gates - 2)
    begin = [state[None] for state in begin]
    options = weights, len(weights) > 2, 1, 0.0, False, False, True
    y, *last = kind.gru(x, begin[0], *options) if gates == 3 else kind.lstm(x, begin, *options)
    return [(y.flip(1) if reverse else y).contiguous(), *(state[0].clone() for state in last)]


@recurrent.register_fake
def _(x: Tensor, states: list[Tensor], weights: list[Tensor], reverse: bool) -> list[Tensor]:
    width = weights[1].shape[1]
    number = weights[1].shape[0] // width - 2
    return [x.new_empty(*x.shape[:2], width), *(x.new_empty(x.shape[0], width) for _ in range(number))]


def _recurrent(self: Any, input: Tensor, hx: Any = None) -> Any:
    """All layers and directions, of `torch.nn.GRU` and `torch.nn.LSTM`."""
    if not isinstance(input, Tensor) or input.ndim != 3:
        return type(self).forward(self, input, hx)
    given = [] if hx is None else [hx] if isinstance(hx, Tensor) else list(hx)
    x, last = input, list[list[Tensor]]()
    for _ in range(self.num_layers):
        outputs = []
        for reverse in range(1 + self.bidirectional):
            begin = [state[len(last)] for state in given]
            y, *states = recurrent(x, begin, self.all_weights[len(last)], bool(reverse))
            outputs.append(y)
            last.append(states)
        x = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
    h, *cell = (torch.stack(states) for states in zip(*last, strict=True))
    return x, (h, *cell) if cell else h
