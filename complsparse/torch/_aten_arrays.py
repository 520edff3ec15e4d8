# SPDX-License-Identifier: BSD-3-Clause
"""Which layer does what an operator of torch does: shapes and parts, sums and norms along axes, attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from complsparse import nn
from complsparse.torch._aten_recurrent import Stacked
from complsparse.torch._translation import At, Flow, Unsupported, constant, optional, rule

# --- shapes -----------------------------------------------------------------------------------------------------------


@rule("aten.view", "aten.squeeze.dims", "aten.squeeze.dim", "aten.unsqueeze")
def _reshape(at: At, x: Any, **_: Any) -> Flow:
    if at.shape == x.shape:
        return x  # type: ignore[no-any-return]
    return at.add(nn.Flatten() if len(at.shape) == 1 else nn.Reshape((0, *at.shape)), x)


@rule("aten.permute")
def _permute(at: At, x: Any, dims: Sequence[int]) -> Flow:
    axes = tuple(axis % len(dims) for axis in dims)
    return at.add(nn.Transpose(axes), x)


@rule("aten.transpose.int")
def _transpose(at: At, x: Any, dim0: int, dim1: int) -> Flow:
    axes = list(range(len(x.shape) + 1))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return _permute(at, x, axes)


@rule("aten.cat")
def _cat(at: At, tensors: Sequence[Any], dim: int) -> Flow:
    if dim % (len(at.shape) + 1) == 0:
        raise Unsupported("is along the batch axis")
    return tensors[0] if len(tensors) == 1 else at.add(nn.Concat(dim), *tensors)


@rule("aten.slice.Tensor")
def _slice(at: At, x: Any, dim: int, start: int | None, end: int | None, step: int) -> Flow:
    if dim % (len(x.shape) + 1) == 0:
        if at.node.meta["val"].shape[0] == at.node.all_input_nodes[0].meta["val"].shape[0]:
            return x  # type: ignore[no-any-return]
        raise Unsupported("is along the batch axis")
    return at.add(nn.Slice((start or 0,), (2**31 - 1 if end is None else int(end),), (dim,), (step,)), x)


@rule("aten.flip")
def _flip(at: At, x: Any, dims: Sequence[int]) -> Flow:
    axes = tuple(axis % (len(x.shape) + 1) for axis in dims)
    if 0 in axes:
        raise Unsupported("is along the batch axis")
    n = len(axes)
    return at.add(nn.Slice((-1,) * n, (-(2**31),) * n, axes, (-1,) * n), x)


@rule("aten.select.int")
def _select(at: At, x: Any, dim: int, index: int) -> Flow:
    if isinstance(x, Stacked) and dim == 0:
        return x[index]
    axis = dim % (len(x.shape) + 1)
    at.shape  # noqa: B018  refuses the batch axis
    last = index + 1 if index != -1 else 2**31 - 1
    one = (*x.shape[: axis - 1], 1, *x.shape[axis:])
    part = at.add(nn.Slice((index,), (last,), (axis,), (1,)), x, part="slice", shape=one)
    return at.add(nn.Reshape((0, *at.shape)), part)


@rule("aten.split.Tensor", "aten.split_with_sizes")
def _split(at: At, x: Any, split_size: int = 0, split_sizes: Sequence[int] = (), dim: int = 0) -> tuple[Flow, ...]:
    axis = dim % (len(x.shape) + 1)
    if axis == 0:
        raise Unsupported("is along the batch axis")
    n = x.shape[axis - 1]
    sizes = tuple(split_sizes) or tuple(min(split_size, n - first) for first in range(0, n, split_size))
    ends = np.cumsum(sizes)
    return tuple(
        at.add(
            nn.Slice((int(end) - size,), (int(end),), (axis,), (1,)), x, part=f"part{i}",
            shape=(*x.shape[: axis - 1], size, *x.shape[axis:]),
        )
        for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
    )  # fmt: skip


@rule("aten.pad")
def _pad(at: At, x: Any, pad: Sequence[int], mode: str, value: float | None) -> Flow:
    """torch begins with the last axis, the layer has all beginnings first."""
    modes: dict[str, Any] = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    ndim = len(x.shape) + 1
    sides = [(pad[2 * i], pad[2 * i + 1]) if 2 * i < len(pad) else (0, 0) for i in reversed(range(ndim))]
    if sides[0] != (0, 0):
        raise Unsupported("is along the batch axis")
    return at.add(nn.Pad((*(a for a, _ in sides), *(b for _, b in sides)), modes[mode], float(value or 0)), x)


@rule("aten.clone")
def _same(at: At, x: Any, **_: Any) -> Flow:
    return x  # type: ignore[no-any-return]


@rule("<built-in function getitem>")
def _item(at: At, a0: Any, a1: int) -> Any:
    """One of an operator's results."""
    if isinstance(a0, tuple) and a1 < len(a0) and a0[a1] is not None:
        return a0[a1]
    raise Unsupported(f"takes result {a1} of an operator, which layers do not give")


@rule("aten.sym_size.int")
def _size(at: At, x: Any, dim: int) -> Any:
    return at.node.meta["val"]


# --- along axes -------------------------------------------------------------------------------------------------------


def _reduced(at: At, layer: Any, x: Any, dim: Sequence[int] | None, keepdim: bool) -> Flow:
    ndim = len(x.shape) + 1
    axes = tuple(sorted(axis % ndim for axis in (dim if dim else range(ndim))))
    if 0 in axes:
        raise Unsupported("is along the batch axis")
    return at.add(layer(axes, bool(keepdim)), x)


@rule("aten.mean.dim")
def _mean(at: At, x: Any, dim: Sequence[int] | None, keepdim: bool, **_: Any) -> Flow:
    ndim = len(x.shape) + 1
    if ndim != 4 or dim is None or sorted(axis % ndim for axis in dim) != [2, 3]:
        return _reduced(at, nn.ReduceMean, x, dim, keepdim)
    if keepdim:
        return at.add(nn.GlobalAvgPool2d(), x)
    return at.add(nn.Flatten(), at.add(nn.GlobalAvgPool2d(), x, shape=(x.shape[0], 1, 1)), part="flatten")


@rule("aten.sum.dim_IntList")
def _sum(at: At, x: Any, dim: Sequence[int] | None, keepdim: bool, **_: Any) -> Flow:
    return _reduced(at, nn.ReduceSum, x, dim, keepdim)


@rule("aten.amax")
def _amax(at: At, x: Any, dim: Sequence[int], keepdim: bool) -> Flow:
    return _reduced(at, nn.ReduceMax, x, dim, keepdim)


@rule("aten.amin")
def _amin(at: At, x: Any, dim: Sequence[int], keepdim: bool) -> Flow:
    return _reduced(at, nn.ReduceMin, x, dim, keepdim)


@rule("aten.softmax.int")
def _softmax(at: At, x: Any, dim: int, **_: Any) -> Flow:
    if dim % (len(x.shape) + 1) == 0:
        raise Unsupported("is along the batch axis")
    return at.add(nn.Softmax(dim), x)


@rule("aten.layer_norm")
def _layer_norm(at: At, x: Any, normalized_shape: Sequence[int], weight: Any, bias: Any, eps: float, **_: Any) -> Flow:
    return at.add(nn.LayerNorm(optional(weight), optional(bias), -len(normalized_shape), eps), x)


@rule("aten.rms_norm")
def _rms_norm(at: At, x: Any, normalized_shape: Sequence[int], weight: Any, eps: float | None) -> Flow:
    """Where no eps is given, torch takes that of the dtype."""
    eps = torch.finfo(at.node.meta["val"].dtype).eps if eps is None else eps
    return at.add(nn.RMSNorm(optional(weight), -len(normalized_shape), eps), x)


@rule("aten.embedding")
def _embedding(at: At, weight: Any, indices: Any, **_: Any) -> Flow:
    return at.add(nn.Embedding(constant(weight)), indices)


def _mask(at: At, mask: Any, ndim: int) -> Flow:
    """What is added to scores, with an axis of heads."""
    if isinstance(mask, Flow):
        if len(mask.shape) != 3:
            raise Unsupported(f"has a mask of {1 + len(mask.shape)} axes; one that depends on the inputs needs 4")
        return mask
    added = constant(mask) if mask.is_floating_point() else np.where(mask, np.float32(0), -np.inf)
    return at.constant(added if ndim > 2 else np.expand_dims(added, -3))


@rule("aten.scaled_dot_product_attention")
def _attention(
    at: At, query: Any, key: Any, value: Any, attn_mask: Any, dropout_p: float, is_causal: bool, scale: float | None,
    enable_gqa: bool,
) -> Flow:  # fmt: skip
    if enable_gqa or not all(isinstance(v, Flow) for v in (query, key, value)):
        raise Unsupported(
            "has shared heads, or constant operands; the layer has queries, keys and values for each head"
        )
    inputs = [query, key, value]
    if len(query.shape) == 2:  # no heads
        inputs = [at.add(nn.Unsqueeze((1,)), v, part="head", shape=(1, *v.shape)) for v in inputs]
    if attn_mask is not None:
        inputs.append(_mask(at, attn_mask, len(query.shape)))
    layer = nn.Attention(scale=None if scale is None else float(scale), causal=bool(is_causal))
    if len(query.shape) > 2:
        return at.add(layer, *inputs)
    y = at.add(layer, *inputs, part="attention", shape=(1, *at.shape))
    return at.add(nn.Squeeze((1,)), y)
