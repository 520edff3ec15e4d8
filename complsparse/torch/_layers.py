# SPDX-License-Identifier: BSD-3-Clause
"""Linear layers and convolutions whose weights live on a fixed pattern."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from complsparse import _core
from complsparse._conv.conv import conv2d
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._patterns.masks import complementary_mask
from complsparse._patterns.prune import prune
from complsparse.torch._convolution import sparse_conv2d
from complsparse.torch._linear import sparse_linear
from complsparse.torch._patterns import matrix_of, packed, positions_of
from complsparse.torch._weights import bias_of, weight_of

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


class _OnPattern(nn.Module):
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


def _pattern_of(weight: Tensor, pattern: Any, method: Any, options: dict[str, Any]) -> tuple[Any, float]:
    """The pattern of a layer that is made from a dense one, and the share of the sum of squares that it keeps."""
    dense = weight.detach().cpu().float().flatten(1)
    if pattern is None:
        W, report = prune(dense.numpy(), method=method, **options)
        return W, report.kept.square
    if options:
        raise TypeError(f"a pattern is given: {', '.join(options)} cannot choose another")
    kept = dense.flatten()[positions_of(pattern)].square().sum() / dense.square().sum()
    return pattern, float(kept.nan_to_num(1.0))


class ComplementaryLinear(_OnPattern, nn.Linear):
    """A linear layer on a fixed pattern, by default a complementary one.

    Its parameter `values`, of shape (nnz,), is all that an optimiser sees; in the state it is
    ``parametrizations.weight.original``, with the `positions` beside it. ``weight`` is the dense weight, made of them.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As `torch.nn.Linear`.
    pattern : array_like, Tensor or ComplementaryMatrix, shape (out_features, in_features), optional
        Where weights may be. The default is ``cs.complementary_mask(shape, **options)``.
    form : {"packed", "masked"}
        How it multiplies. "packed": by complsparse, on the CPU, in a time that follows nnz, forward and backward.
        "masked": as a dense layer, on any device.
    options
        density, set_size, per_group, block, balanced, rng: as `complsparse.complementary_mask`.

    Notes
    -----
    In `eval` mode without gradients the packed form keeps the matrix between calls. Writes to the values are noticed by
    their tensor's version; those through ``values.data`` leave no trace: call `eval` again after them. In training
    all writes are seen.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> layer = cs.torch.ComplementaryLinear(8, 4, set_size=4, rng=0)
    >>> layer.values.shape, layer.weight.shape
    (torch.Size([8]), torch.Size([4, 8]))
    >>> layer(torch.ones(2, 8)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        pattern: Any = None,
        form: Form = "packed",
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        self._begin(pattern, form, options)

    @classmethod
    def from_dense(
        cls,
        module: nn.Linear,
        *,
        pattern: Any = None,
        form: Form = "packed",
        method: str = "assignment",
        **options: Any,
    ) -> ComplementaryLinear:
        """A layer with what of a dense one lies on a pattern.

        Parameters
        ----------
        module : torch.nn.Linear
            Pruned ones too: of `torch.nn.utils.prune`, or with a parametrization.
        pattern : optional
            As for the class. The default is the one that `complsparse.prune` finds, with `method` and `options`.

        Returns
        -------
        ComplementaryLinear
            `kept_energy` is the share of the weight's sum of squares that is left.
        """
        weight, bias = weight_of(module), bias_of(module)
        pattern, kept = _pattern_of(weight, pattern, method, options)
        layer = cls(
            module.in_features,
            module.out_features,
            bias is not None,
            pattern=pattern,
            form=form,
            device=weight.device,
            dtype=weight.dtype,
        )
        _fill(layer, weight, bias, kept, module.training)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "masked":
            return super().forward(x)
        bias = self._parameters["bias"]
        frozen = self._call
        if frozen is not None and not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")):
            y: Tensor | None = frozen(x, self.values, bias)
            if y is not None:
                return y
        W = self._ready(x)
        if W is None:
            return sparse_linear(x, self.values, self.positions, self._matrix_shape(), self.bias)
        self._call = _core.frozen_linear(W, self.values, bias)
        y = _core.linear(x, W, bias)
        return y


class ComplementaryConv2d(_OnPattern, nn.Conv2d):
    """A convolution whose filters live on a fixed pattern, by default a complementary one.

    As `ComplementaryLinear`, of filters: the matrix of a pattern has shape (out_channels, in_channels / groups * kh *
    kw), and its columns are in (channel, kernel row, kernel column) order; one of the weight's own shape does as well.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        As `torch.nn.Conv2d`.
    pattern, form, options
        As `ComplementaryLinear`.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> layer = cs.torch.ComplementaryConv2d(4, 8, 3, padding=1, set_size=6, rng=0)
    >>> layer(torch.ones(1, 4, 5, 5)).shape, len(layer.values)
    (torch.Size([1, 8, 5, 5]), 48)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: Any = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Any = "zeros",
        *,
        pattern: Any = None,
        form: Form = "packed",
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device=device,
            dtype=dtype,
        )
        self._begin(pattern, form, options)

    @classmethod
    def from_dense(
        cls,
        module: nn.Conv2d,
        *,
        pattern: Any = None,
        form: Form = "packed",
        method: str = "assignment",
        **options: Any,
    ) -> ComplementaryConv2d:
        """A convolution with what of a dense one lies on a pattern; as `ComplementaryLinear.from_dense`."""
        weight, bias = weight_of(module), bias_of(module)
        pattern, kept = _pattern_of(weight, pattern, method, options)
        layer = cls(
            module.in_channels,
            module.out_channels,
            module.kernel_size,
            module.stride,
            module.padding,
            module.dilation,
            module.groups,
            bias is not None,
            module.padding_mode,
            pattern=pattern,
            form=form,
            device=weight.device,
            dtype=weight.dtype,
        )
        _fill(layer, weight, bias, kept, module.training)
        return layer

    def _padded(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """x, and the zeros that the product puts around it; what it cannot pad is padded here."""
        left, right, top, bottom = self._reversed_padding_repeated_twice
        if self.padding_mode == "zeros" and left == right and top == bottom:
            return x, (top, left)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return functional.pad(x, (left, right, top, bottom), mode=mode), (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "masked":
            return super().forward(x)
        if x.ndim == 3:
            return self.forward(x[None])[0]
        W = self._ready(x, self.groups)
        image, padding = self._padded(x)
        if W is not None:
            bias = self._parameters["bias"]
            y = conv2d(
                image.numpy(),
                W,
                self.kernel_size,
                stride=self.stride,
                padding=padding,
                dilation=self.dilation,
                bias=None if bias is None else bias.detach().numpy(),
            )
            return torch.from_numpy(y)
        return sparse_conv2d(
            image,
            self.values,
            self.positions,
            self.parametrizations.weight[0].shape,
            self.bias,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            groups=self.groups,
        )


def _fill(layer: Any, weight: Tensor, bias: Tensor | None, kept: float, training: bool) -> None:
    """Gives a new layer the values of a dense one."""
    with torch.no_grad():
        layer.values.copy_(weight.flatten()[layer.positions])
        if bias is not None:
            layer.bias.copy_(bias)
    layer.kept_energy = kept
    layer.train(training)
