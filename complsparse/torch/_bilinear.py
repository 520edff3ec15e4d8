# SPDX-License-Identifier: BSD-3-Clause
"""Operators that are linear in x and in values, and their gradients: the same three for products and convolutions.

``y = f(x, values)``; the gradient of x is linear in dy and the values, that of the values in dy and x. The derivatives
of each of the three are the other two, so that gradients of any order exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Geometry = Sequence[int]


class Bilinear(NamedTuple):
    """What an operator computes, in arrays of one dtype; `geometry` is a list of integers that only it reads."""

    forward: Callable[[NDArray[Any], NDArray[Any], Tensor, Geometry, NDArray[Any] | None], NDArray[Any]]
    to_input: Callable[[NDArray[Any], NDArray[Any], Tensor, Geometry, Sequence[int]], NDArray[Any]]
    to_values: Callable[[NDArray[Any], NDArray[Any], Tensor, Geometry], NDArray[Any]]
    out_size: Callable[[Sequence[int], Geometry], Sequence[int]]
    features: int  # the axis of y that a bias is added along


def _as_arrays(*tensors: Tensor | None) -> list[Any]:
    """In the dtype that is computed in: float64 where one has it, else float32."""
    wide = any(t is not None and t.dtype == torch.float64 for t in tensors)
    dtype = torch.float64 if wide else torch.float32
    return [None if t is None else t.detach().to(dtype).numpy() for t in tensors]


def _result(array: NDArray[Any], a: Tensor, b: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(torch.promote_types(a.dtype, b.dtype))


def no_vmap(name: str) -> Callable[..., Any]:
    def refuse(info: Any, in_dims: Any, *args: Any) -> Any:
        raise RuntimeError(f"{name} has no rule for torch.vmap: give it the whole batch at once, as leading axes of x")

    return refuse


# Whether a mode or a transform of torch follows what operators do; where torch does not tell, one may.
_modes: Callable[[], int] = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
_transforms: Callable[[], bool] = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)


def _is_followed(*tensors: Tensor | None) -> bool:
    """Whether somebody has to see the operator: compilers, tracers, transforms, autocast, classes of tensors."""
    return (
        torch.compiler.is_compiling()
        or any(type(tensor) not in (Tensor, nn.Parameter, type(None)) for tensor in tensors)
        or _modes() > 0
        or _transforms()
        or torch.is_autocast_enabled("cpu")
    )


def define(name: str, of: Bilinear) -> Callable[..., Tensor]:
    """Makes the operator ``complsparse::<name>`` and those of its gradients; a call of the first of them.

    Where nobody but autograd follows, calls go past torch's dispatch of operators in Python, which takes as long as a
    product of a few columns.
    """
    path = f"complsparse::{name}"
    constants = "Tensor positions, SymInt[] geometry"

    def compute(x: Tensor, values: Tensor, positions: Tensor, geometry: Geometry, bias: Tensor | None) -> Tensor:
        of_x, of_values, of_bias = _as_arrays(x, values, bias)
        return _result(of.forward(of_x, of_values, positions, geometry, of_bias), x, values)

    def compute_input(dy: Tensor, values: Tensor, positions: Tensor, geometry: Geometry, size: Sequence[int]) -> Tensor:
        of_dy, of_values = _as_arrays(dy, values)
        return _result(of.to_input(of_dy, of_values, positions, geometry, size), dy, values)

    def compute_values(dy: Tensor, x: Tensor, positions: Tensor, geometry: Geometry) -> Tensor:
        of_dy, of_x = _as_arrays(dy, x)
        return _result(of.to_values(of_dy, of_x, positions, geometry), dy, x)

    def operator(suffix: str, arguments: str, function: Callable[..., Tensor]) -> Any:
        schema = f"({arguments}) -> Tensor"
        return torch.library.custom_op(path + suffix, mutates_args=(), device_types="cpu", schema=schema)(function)

    forward = operator("", f"Tensor x, Tensor values, {constants}, Tensor? bias", compute)
    to_input = operator("_to_input", f"Tensor dy, Tensor values, {constants}, SymInt[] size", compute_input)
    to_values = operator("_to_values", f"Tensor dy, Tensor x, {constants}", compute_values)

    @forward.register_fake
    def _(x: Tensor, values: Tensor, positions: Tensor, geometry: Geometry, bias: Tensor | None) -> Tensor:
        dtype = torch.promote_types(x.dtype, values.dtype)
        return x.new_empty(tuple(of.out_size(x.shape, geometry)), dtype=dtype)

    @to_input.register_fake
    def _(dy: Tensor, values: Tensor, positions: Tensor, geometry: Geometry, size: Sequence[int]) -> Tensor:
        return dy.new_empty(tuple(size), dtype=torch.promote_types(dy.dtype, values.dtype))

    @to_values.register_fake
    def _(dy: Tensor, x: Tensor, positions: Tensor, geometry: Geometry) -> Tensor:
        return dy.new_empty(positions.shape, dtype=torch.promote_types(dy.dtype, x.dtype))

    _differentiate(of, forward, to_input, to_values)
    for each in (forward, to_input, to_values):
        each.register_vmap(no_vmap(name))
    forward.register_autocast("cpu", torch.bfloat16)

    class Unfollowed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, values: Tensor, positions: Tensor, geometry: Geometry, bias: Any) -> Tensor:
            ctx.save_for_backward(x, values, positions)
            ctx.geometry = geometry
            return compute(x, values, positions, geometry, bias)

        @staticmethod
        def backward(ctx: Any, *dys: Tensor) -> Any:
            x, values, positions = ctx.saved_tensors
            followed = torch.is_grad_enabled() or _is_followed(*dys)  # derivatives of derivatives are recorded
            of_x, of_values = (to_input, to_values) if followed else (compute_input, compute_values)
            return _gradients(of, of_x, of_values, dys[0], x, values, positions, ctx.geometry, ctx.needs_input_grad)

    def call(x: Tensor, values: Tensor, positions: Tensor, geometry: Geometry, bias: Tensor | None) -> Tensor:
        if _is_followed(x, values, positions, bias):
            y: Tensor = forward(x, values, positions, geometry, bias)
        else:
            y = Unfollowed.apply(x, values, positions, geometry, bias)
        return y

    return call


def _gradients(
    of: Bilinear, to_input: Any, to_values: Any, dy: Tensor, x: Tensor, values: Tensor, positions: Tensor,
    geometry: Geometry, needs: Sequence[bool],
) -> Any:  # fmt: skip
    """Of what the operator takes: those that are needed."""
    dx = to_input(dy, values, positions, geometry, x.shape) if needs[0] else None
    dv = to_values(dy, x, positions, geometry) if needs[1] else None
    axes = [axis for axis in range(dy.ndim) if axis != of.features % dy.ndim]
    db = (dy.sum(axes) if axes else dy) if needs[4] else None
    return dx, dv, None, None, db


def _differentiate(of: Bilinear, forward: Any, to_input: Any, to_values: Any) -> None:
    """Gives each of the three operators its derivative, made of the other two."""

    def save(ctx: Any, inputs: Any, output: Any) -> None:
        first, second, positions, geometry, *_ = inputs
        ctx.save_for_backward(first, second, positions)
        ctx.geometry = geometry

    def of_forward(ctx: Any, dy: Tensor) -> Any:
        x, values, positions = ctx.saved_tensors
        return _gradients(of, to_input, to_values, dy, x, values, positions, ctx.geometry, ctx.needs_input_grad)

    def of_to_input(ctx: Any, ddx: Tensor) -> Any:
        dy, values, positions = ctx.saved_tensors
        needs = ctx.needs_input_grad
        ddy = forward(ddx, values, positions, ctx.geometry, None) if needs[0] else None
        dv = to_values(dy, ddx, positions, ctx.geometry) if needs[1] else None
        return ddy, dv, None, None, None

    def of_to_values(ctx: Any, ddv: Tensor) -> Any:
        dy, x, positions = ctx.saved_tensors
        needs = ctx.needs_input_grad
        ddy = forward(x, ddv, positions, ctx.geometry, None) if needs[0] else None
        dx = to_input(dy, ddv, positions, ctx.geometry, x.shape) if needs[1] else None
        return ddy, dx, None, None

    for operator, backward in ((forward, of_forward), (to_input, of_to_input), (to_values, of_to_values)):
        operator.register_autograd(backward, setup_context=save)


def check_devices(name: str, **tensors: Tensor | None) -> None:
    """TypeError for what is no tensor, and naming a tensor of another device."""
    for argument, tensor in tensors.items():
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} takes tensors; {argument} is a {type(tensor).__name__}")
        if tensor.device.type not in ("cpu", "meta"):
            raise TypeError(
                f"{argument} lies on {tensor.device}; {name} runs on the CPU: .cpu(), or the masked form of a module"
            )
        if argument != "positions" and not tensor.is_floating_point():
            raise TypeError(f"{argument} has dtype {tensor.dtype}; {name} takes floats")


def check_values(values: Tensor, positions: Tensor) -> None:
    if values.ndim != 1 or values.shape != positions.shape:
        raise ValueError(
            f"values have shape {tuple(values.shape)}, positions {tuple(positions.shape)}: vectors of one length are "
            "needed"
        )
