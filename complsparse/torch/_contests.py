# SPDX-License-Identifier: BSD-3-Clause
"""kwinners: the contest of k winners, with the gradient of its winners."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from complsparse import _core
from complsparse._ops.winners import Winners
from complsparse.torch._bilinear import no_vmap


@torch.library.custom_op(
    "complsparse::kwinners",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, SymInt k, int[] axes, Tensor? boost) -> (Tensor, Tensor)",
)
def _operator(x: Tensor, k: int, axes: Sequence[int], boost: Tensor | None) -> tuple[Tensor, Tensor]:
    """The winners, dense, and where they are."""
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    factors = None if boost is None else boost.detach().to(dtype).numpy()
    axis = tuple(axes) if len(axes) > 1 else axes[0]
    found = _core.kwta(x.detach().to(dtype).numpy(), int(k), axis=axis, boost=factors)
    ones = np.ones(found.nnz, np.uint8)
    won = Winners(ones, found.indices, found.indptr, found.shape, found.axis).toarray()
    y = torch.from_numpy(np.ascontiguousarray(found.toarray())).to(x.dtype)
    return y, torch.from_numpy(np.ascontiguousarray(won)).view(torch.bool)


@_operator.register_kernel("cuda")
def _(x: Tensor, k: int, axes: Sequence[int], boost: Tensor | None) -> tuple[Tensor, Tensor]:
    """By `torch.topk`, which leaves open who of equals wins."""
    ranked = (x if boost is None else x * boost).detach()
    last = tuple(range(-len(axes), 0))
    vectors = ranked.movedim(tuple(axes), last)
    flat = vectors.flatten(-len(axes))
    places = flat.topk(min(int(k), flat.shape[-1]), dim=-1).indices
    won = torch.zeros_like(flat, dtype=torch.bool).scatter_(-1, places, True)
    mask = won.reshape(vectors.shape).movedim(last, tuple(axes)).contiguous()
    return torch.where(mask, x, 0).contiguous(), mask


@_operator.register_fake
def _(x: Tensor, k: int, axes: Sequence[int], boost: Tensor | None) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape, dtype=torch.bool)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(output[1])


def _backward(ctx: Any, dy: Tensor, _: Any) -> tuple[Tensor, None, None, None]:
    (won,) = ctx.saved_tensors
    return dy * won, None, None, None


_operator.register_autograd(_backward, setup_context=_save)
_operator.register_vmap(no_vmap("kwinners"))


def count_of(k: int | float, n: int) -> int:
    """k of a contest of n entries, a count or a share, as a count."""
    if isinstance(k, bool) or not isinstance(k, (int, float)):
        raise TypeError(f"k must be an int or a float share, not {k!r}")
    if k < 0 or (isinstance(k, float) and not k <= 1):
        raise ValueError(f"k={k} is neither a count of at least 0 nor a share from 0.0 to 1.0")
    return min(round(k * n) if isinstance(k, float) else k, n)


def contest(x: Tensor, k: int, axes: tuple[int, ...], boost: Tensor | None) -> tuple[Tensor, Tensor]:
    """The winners along these axes, and where they are."""
    y, won = _operator(x, k, sorted({axis % x.ndim for axis in axes}), boost)
    return y, won


def kwinners(x: Tensor, k: int | float, *, dim: int | tuple[int, ...] = -1, boost: Tensor | None = None) -> Tensor:
    """The k winners of each vector, zero wherever an entry lost; the gradient passes where one won.

    Parameters
    ----------
    x : Tensor
        Floats; on the CPU exactly k win, and of equals the first.
    k : int or float
        A count, or a share from 0.0 to 1.0 that stands for ``round(k * n)``.
    dim : int or tuple of int
        The entries along these axes compete.
    boost : Tensor, optional
        Positive factors, broadcast to the axes of the contest: ranked is ``x * boost``, passed on is x. No gradient
        flows into it.

    Returns
    -------
    Tensor
        Of the shape and dtype of x.

    Raises
    ------
    TypeError
        Integers in x; k that is no number.
    ValueError
        k below 0 or a share outside 0.0 to 1.0; an axis that x has not.

    Notes
    -----
    Expected time is O(size of x). Compiles and exports as one operator.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> x = torch.tensor([0.5, -1.0, 3.0, 0.5], requires_grad=True)
    >>> y = cs.torch.kwinners(x, 2)
    >>> y.sum().backward()
    >>> y.tolist(), x.grad.tolist()
    ([0.5, 0.0, 3.0, 0.0], [1.0, 0.0, 1.0, 0.0])
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(f"kwinners takes a tensor of floats, not {getattr(x, 'dtype', type(x).__name__)}")
    given = (dim,) if isinstance(dim, int) else tuple(dim)
    if not given or not all(-x.ndim <= axis < x.ndim for axis in given):
        raise ValueError(f"dim={dim!r} does not name axes of x, whose shape is {tuple(x.shape)}")
    count = count_of(k, math.prod([x.shape[axis] for axis in {axis % x.ndim for axis in given}]))
    return contest(x, count, given, boost)[0]
