# SPDX-License-Identifier: BSD-3-Clause
"""What layers on a fixed pattern share: the parametrization, the matrix of their values, and their dense beginnings."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from complsparse import _core
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._patterns.masks import complementary_mask
from complsparse._patterns.prune import prune
from complsparse.torch._patterns import matrix_of, packed, positions_of

Form = Literal["packed", "masked"]


class OnPattern(nn.Module):
    """The parametrization of a weight by its values at fixed positions; everywhere else it is 0."""

    positions: Tensor

    def __init__(self, positions: Tensor, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("positions", positions)
        self.shape = tuple(shape)

    def forward(self, values: Tensor) -> Tensor:
        zeros = values.new_zeros(math.prod(self.shape))
        return zeros.scatter(0, self.positions, values).reshape(self.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """What of a weight lies on the pattern."""
        return weight.flatten()[self.positions]


class _Frozen(NamedTuple):
    """A matrix of values that did not change since, as far as their tensors tell."""

    values: Tensor
    state: tuple[int, int]  # the version and address of the values
    W: ComplementaryMatrix


class LayerOnPattern(nn.Module):
    """What both layers share; stands before `torch.nn`'s class among the bases."""

    form: Form
    kept_energy: float | None  # of the dense weight, as a share of its sum of squares
    _frozen: _Frozen | None
    _call: _core.FrozenLinear | None  # the whole layer on that matrix, where it is linear

    def _begin(self, pattern: Any, form: Form, options: dict[str, Any]) -> None:
        """On a pattern, or on a complementary one with these options."""
        if pattern is None:
            pattern = complementary_mask(tuple(self.weight.shape), **options)
        elif options:
            raise TypeError(f"a pattern is given: {', '.join(options)} cannot choose another")
        self._impose(pattern, form)
        _scale_to_fan_in(self)

    def _impose(self, pattern: Any, form: Form) -> None:
        """Puts the weight on the pattern: its values become the parameter."""
        if form not in ("packed", "masked"):
            raise ValueError(f"form={form!r} is not known; use 'packed' or 'masked'")
        weight = self.weight
        if not isinstance(pattern, ComplementaryMatrix):
            pattern = torch.as_tensor(pattern)
        entries = math.prod(pattern.shape)
        if entries != weight.numel():
            raise ValueError(
                f"the pattern of shape {tuple(pattern.shape)} has {entries} places; the weight of shape "
                f"{tuple(weight.shape)} has {weight.numel()}"
            )
        positions = positions_of(pattern).to(weight.device)
        self.form, self.kept_energy = form, None
        self._forget()
        parametrize.register_parametrization(self, "weight", OnPattern(positions, tuple(weight.shape)))

    @property
    def values(self) -> nn.Parameter:
        """The parameter: the values at `positions`, shape (nnz,)."""
        values: nn.Parameter = self._modules["parametrizations"]._modules["weight"]._parameters["original"]
        return values

    @property
    def positions(self) -> Tensor:
        """Where the values stand in ``weight.flatten()``, ascending: a buffer, part of the state."""
        positions: Tensor = self.parametrizations.weight[0].positions
        return positions

    def _matrix_shape(self) -> tuple[int, int]:
        """Of the weight as a matrix."""
        rows, *others = self.parametrizations.weight[0].shape
        return rows, math.prod(others)

    @property
    def mask(self) -> Tensor:
        """Where the weight has values, as a bool tensor of its shape."""
        mask = torch.zeros(math.prod(self._matrix_shape()), dtype=torch.bool, device=self.positions.device)
        mask[self.positions] = True
        return mask.reshape(self.parametrizations.weight[0].shape)

    def matrix(self) -> ComplementaryMatrix:
        """The weight as a `ComplementaryMatrix` of its own, explicit zeros included; of filters with `filter_shape`."""
        return matrix_of(self.values, self.positions, self.parametrizations.weight[0].shape)

    def train(self, mode: bool = True) -> Self:
        """As `torch.nn.Module.train`; values are read again, also those written through ``.data``."""
        self._forget()
        super().train(mode)
        return self

    def _forget(self) -> None:
        self._frozen = self._call = None

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """As `torch.nn.Module._apply`, by which values go to other types and devices: in place, as their tensor is."""
        self._forget()
        super()._apply(fn, recurse)
        return self

    def _ready(self, x: Tensor, groups: int = 1) -> ComplementaryMatrix | None:
        """The matrix of the values, where nothing records the call and it takes x as it lies; else None."""
        if (
            self.training
            or torch.compiler.is_compiling()
            or torch.is_grad_enabled()
            or type(x) is not Tensor
            or torch.is_autocast_enabled("cpu")
        ):
            return None
        values = self.values
        if x.dtype is not values.dtype or x.dtype not in (torch.float32, torch.float64) or x.device.type != "cpu":
            return None
        if values.device.type != "cpu":
            return None
        frozen, state = self._frozen, (values._version, values.data_ptr())
        if frozen is None or frozen.values is not values or frozen.state != state:
            W = packed(self.positions, values.detach().numpy(), self._matrix_shape(), groups)
            self._frozen = frozen = _Frozen(values, state, W)
        return frozen.W

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, nnz={len(self.values)}, form={self.form}"


def _scale_to_fan_in(layer: Any) -> None:
    """Initial weights as of a dense layer with as many inputs as are left."""
    density = max(len(layer.values), 1) / math.prod(layer._matrix_shape())
    with torch.no_grad():
        layer.values.div_(math.sqrt(density))


def pattern_of(weight: Tensor, pattern: Any, method: Any, options: dict[str, Any]) -> tuple[Any, float]:
    """The pattern of a layer that is made from a dense one, and the share of the sum of squares that it keeps."""
    dense = weight.detach().cpu().float().flatten(1)
    if pattern is None:
        W, report = prune(dense.numpy(), method=method, **options)
        return W, report.kept.square
    if options:
        raise TypeError(f"a pattern is given: {', '.join(options)} cannot choose another")
    kept = dense.flatten()[positions_of(pattern)].square().sum() / dense.square().sum()
    return pattern, float(kept.nan_to_num(1.0))


def fill(layer: Any, weight: Tensor, bias: Tensor | None, kept: float, training: bool) -> None:
    """Gives a new layer the values of a dense one."""
    with torch.no_grad():
        layer.values.copy_(weight.flatten()[layer.positions])
        if bias is not None:
            layer.bias.copy_(bias)
    layer.kept_energy = kept
    layer.train(training)
