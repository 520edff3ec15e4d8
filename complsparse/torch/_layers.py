# SPDX-License-Identifier: BSD-3-Clause
"""Linear layers and convolutions whose weights live on a fixed pattern."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from complsparse import _core
from complsparse._conv.conv import conv2d
from complsparse.torch._convolution import sparse_conv2d
from complsparse.torch._linear import sparse_linear
from complsparse.torch._on_pattern import Form, LayerOnPattern, fill, pattern_of
from complsparse.torch._weights import bias_of, weight_of


class ComplementaryLinear(LayerOnPattern, nn.Linear):
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
        pattern, kept = pattern_of(weight, pattern, method, options)
        layer = cls(
            module.in_features,
            module.out_features,
            bias is not None,
            pattern=pattern,
            form=form,
            device=weight.device,
            dtype=weight.dtype,
        )
        fill(layer, weight, bias, kept, module.training)
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


class ComplementaryConv2d(LayerOnPattern, nn.Conv2d):
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
        pattern, kept = pattern_of(weight, pattern, method, options)
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
        fill(layer, weight, bias, kept, module.training)
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
