# SPDX-License-Identifier: BSD-3-Clause
"""Layers without products: activations, batch norm, softmax, and the what scales them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from complsparse._ops.winners import Winners
from complsparse.nn._layer import Layer, checked_vector
from complsparse.nn._values import Spec, checked_axis, extents, normal_axis

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


def dense(x: Any) -> Any:
    return x.toarray() if isinstance(x, Winners) else x


class ActivationLayer(Layer):
    """An activation of the list that products know too: behind one of them it becomes part of it."""

    activation: ClassVar[str]

    def infer(self, *inputs: Spec) -> Spec:
        return inputs[0].dense

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        y = builder.new(x.spec)
        program = builder.program
        builder.step(self.activation, program.activation(self.activation, x.spec.size, x.number, y.number), [x], y,
                     in_place=True)  # fmt: skip
        return y


class ReLU(ActivationLayer):
    """``max(x, 0)``; NaN stays."""

    activation = "relu"

    def apply(self, *inputs: Any) -> Any:
        return np.maximum(dense(inputs[0]), 0)


class ReLU6(ActivationLayer):
    """``min(max(x, 0), 6)``."""

    activation = "relu6"

    def apply(self, *inputs: Any) -> Any:
        return np.clip(dense(inputs[0]), 0, 6)


class LeakyReLU(ActivationLayer):
    """``x`` where it is above zero, ``x / 100`` elsewhere."""

    activation = "leaky_relu"

    def apply(self, *inputs: Any) -> Any:
        x = dense(inputs[0])
        return np.where(x > 0, x, x * x.dtype.type(0.01))


class SiLU(ActivationLayer):
    """``x / (1 + exp(-x))``."""

    activation = "silu"

    def apply(self, *inputs: Any) -> Any:
        x = dense(inputs[0])
        return x * scipy.special.expit(x)


class GELU(ActivationLayer):
    """``x * (1 + erf(x / sqrt(2))) / 2``."""

    activation = "gelu"

    def apply(self, *inputs: Any) -> Any:
        x = dense(inputs[0])
        return x * scipy.special.ndtr(x)


class HardSwish(ActivationLayer):
    """``x * min(max(x + 3, 0), 6) / 6``."""

    activation = "hard_swish"

    def apply(self, *inputs: Any) -> Any:
        x = dense(inputs[0])
        return x * np.clip(x + 3, 0, 6) / x.dtype.type(6)


class Sigmoid(ActivationLayer):
    """``1 / (1 + exp(-x))``."""

    activation = "sigmoid"

    def apply(self, *inputs: Any) -> Any:
        return scipy.special.expit(dense(inputs[0]))


class Tanh(ActivationLayer):
    """Hyperbolic tangents."""

    activation = "tanh"

    def apply(self, *inputs: Any) -> Any:
        return np.tanh(dense(inputs[0]))


def activated(y: Any, activation: str | None) -> Any:
    """What the layer of an activation's name makes of y."""
    if activation is None:
        return y
    return activation_layer(activation).apply(y)


def activation_layer(activation: str) -> ActivationLayer:
    """Of this name."""
    return next(kind for kind in ActivationLayer.__subclasses__() if kind.activation == activation)()


class BatchNorm(Layer):
    """Batch normalisation as it is after training: a factor and a summand for each channel.

    Behind a convolution or a linear layer it becomes part of their weights.

    Parameters
    ----------
    mean, var : array_like, shape (C,)
        Running statistics.
    weight, bias : array_like, shape (C,), optional
        One and zero unless given.
    eps : float
    axis : int
        Of the channels, counted with the batch axis.

    Raises
    ------
    ValueError
        Vectors that are not of one length; a variance that is not above ``-eps``.
    """

    def __init__(
        self,
        mean: ArrayLike,
        var: ArrayLike,
        weight: ArrayLike | None = None,
        bias: ArrayLike | None = None,
        eps: float = 1e-5,
        axis: int = 1,
    ) -> None:
        self.mean = checked_vector(mean, "mean")
        size = len(self.mean)  # type: ignore[arg-type]
        self.var = checked_vector(var, "var", size)
        self.weight, self.bias = checked_vector(weight, "weight", size), checked_vector(bias, "bias", size)
        self.eps, self.axis = float(eps), checked_axis(axis)
        least = float(np.min(self.var, initial=np.inf))  # type: ignore[arg-type]
        if not least + self.eps > 0:
            raise ValueError(f"var has an entry {least} that is not above -eps = {-self.eps}")

    def arguments(self) -> dict[str, Any]:
        return {
            "mean": self.mean, "var": self.var, "weight": self.weight, "bias": self.bias, "eps": self.eps,
            "axis": self.axis,
        }  # fmt: skip

    def factors(self) -> tuple[Any, Any]:
        """Factor and summand of each channel, in float64."""
        assert self.mean is not None
        assert self.var is not None
        ones, zeros = np.ones(len(self.mean)), np.zeros(len(self.mean))
        factor = (ones if self.weight is None else self.weight) / np.sqrt(self.var.astype(np.float64) + self.eps)
        return factor, (zeros if self.bias is None else self.bias) - self.mean * factor

    def infer(self, *inputs: Spec) -> Spec:
        assert self.mean is not None
        shape = inputs[0].shape
        channels = shape[normal_axis(self.axis, shape, "BatchNorm") - 1]
        if channels != len(self.mean):
            raise ValueError(f"a sample of shape {shape} has {channels} channels along axis {self.axis}, "
                             f"and the statistics {len(self.mean)}")  # fmt: skip
        return inputs[0].dense

    def apply(self, *inputs: Any) -> Any:
        x = dense(inputs[0])
        factor, summand = (v.astype(x.dtype) for v in self.factors())
        shape = [1] * x.ndim
        shape[normal_axis(self.axis, x.shape[1:], "BatchNorm")] = -1
        return x * factor.reshape(shape) + summand.reshape(shape)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        y = builder.new(x.spec)
        about = extents(x.spec.shape, normal_axis(self.axis, x.spec.shape, "BatchNorm"))
        factor, summand = (v.astype(builder.dtype) for v in self.factors())
        builder.step("scale", builder.program.scale(about, factor, summand, x.number, y.number), [x], y)
        return y


class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` along an axis."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = checked_axis(axis)

    def arguments(self) -> dict[str, Any]:
        return {"axis": self.axis}

    def infer(self, *inputs: Spec) -> Spec:
        normal_axis(self.axis, inputs[0].shape, "Softmax")
        return inputs[0].dense

    def apply(self, *inputs: Any) -> Any:
        return scipy.special.softmax(dense(inputs[0]), axis=self.axis)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        y = builder.new(x.spec)
        about = extents(x.spec.shape, normal_axis(self.axis, x.spec.shape, "Softmax"))
        builder.step("softmax", builder.program.softmax(about, x.number, y.number), [x], y)
        return y
