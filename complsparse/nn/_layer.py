# SPDX-License-Identifier: BSD-3-Clause
"""What every layer of a network is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse.nn._values import Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value

layer_types: dict[str, type[Layer]] = {}  # by name: what files may name


class Layer:
    """One operation of a network, with its weights.

    A class of its own says what shape it gives (`infer`), what it computes, one function at a time (`apply`), how it
    becomes steps of a compiled network (`emit`), and what it was made of (`arguments`): files, `repr` and changed
    copies follow from that.
    """

    n_inputs: int | None = 1  # None: two or more
    n_outputs: int = 1  # more: infer, apply and emit give lists
    by_sample: ClassVar[bool] = True  # it takes samples one at a time: `infer` and `emit` need not know how many
    in_files: ClassVar[bool] = True  # files may name it
    takes_integers: ClassVar[bool] = False  # numbers of quantised layers

    def __init_subclass__(cls) -> None:
        layer_types[cls.__name__] = cls

    def takes(self, n: int) -> bool:
        """Whether it may have so many inputs."""
        return n >= 2 if self.n_inputs is None else n == self.n_inputs

    @property
    def wanted(self) -> str:
        """How many inputs, in words."""
        return "two or more inputs" if self.n_inputs is None else f"{self.n_inputs} input{'s' * (self.n_inputs != 1)}"

    def arguments(self) -> dict[str, Any]:
        """Of the constructor, by name."""
        return {}

    def infer(self, *inputs: Spec) -> Spec:
        """Of the result, for a sample; ValueError where an input does not fit."""
        raise NotImplementedError

    def result(self, *inputs: Spec) -> Any:
        """Of the result with its first axis, which is that of the inputs: layers take their samples one at a time. A
        list where there are several."""
        for spec in inputs:
            if spec.samples is None:
                raise ValueError("a scalar has no samples; the first axis is the batch")
            if spec.dtype is not None and not self.takes_integers:
                raise ValueError(f"it takes real numbers, as Dequantize and Cast give them, not {spec.dtype}")
        samples = {spec.samples for spec in inputs}
        if len(samples) > 1:
            raise ValueError(f"its inputs have different batch sizes: {', '.join(str(s.samples) for s in inputs)}")
        return self.infer(*inputs)._replace(samples=samples.pop(), known=None)

    def apply(self, *inputs: Any) -> Any:
        """The result for arrays or `Winners` with a batch axis."""
        raise NotImplementedError

    def emit(self, builder: Builder, *inputs: Value) -> Any:
        """The steps; a `Value`, or a list where there are several results."""
        raise NotImplementedError

    def __call__(self, *inputs: Any) -> Any:
        """The layer alone, by the functions of this package or of NumPy."""
        return self.apply(*inputs)

    @property
    def weights(self) -> tuple[Any, ...]:
        """Matrices and arrays of filters, which say what a network computes in; vectors are converted."""
        return tuple(value for value in self.arguments().values() if is_weights(value) and value.ndim > 1)

    @property
    def parameters(self) -> int:
        """How many numbers are stored: weights, biases, statistics."""
        stored = filter(is_weights, self.arguments().values())
        return sum(int(getattr(array, "nnz", array.size)) for array in stored)

    @property
    def multiplications(self) -> int:
        """Stored weights; set by layers that have some."""
        return 0

    def work(self, inputs: tuple[Spec, ...], output: Spec) -> int:
        """Multiplications of one sample."""
        return 0

    def with_arguments(self, **changed: Any) -> Any:
        """A copy with other arguments."""
        return type(self)(**{**self.arguments(), **changed})

    def to_dense(self) -> Layer:
        """The same layer with every zero of its weights stored."""
        return self

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={_short(value)}" for name, value in self.arguments().items() if value is not None)
        return f"{type(self).__name__}({given})"


def is_weights(value: Any) -> bool:
    return isinstance(value, (np.ndarray, _core.Operand))


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{'x'.join(map(str, value.shape))} {value.dtype}>"
    if hasattr(value, "nnz"):
        share = value.nnz / max(1, value.shape[0] * value.shape[1])
        return f"<{value.shape[0]}x{value.shape[1]} {value.dtype}, {share:.1%} stored>"
    return repr(value)


def checked_vector(given: Any, name: str, size: int | None = None) -> NDArray[Any] | None:
    """A copy of a vector of floating point numbers; None where there is none."""
    if given is None:
        return None
    vector = as_array(given, name)
    if vector.ndim != 1 or (size is not None and len(vector) != size):
        entries = "" if size is None else f" of {size} entries"
        raise ValueError(f"{name} has shape {vector.shape}; a vector{entries} is expected")
    if vector.dtype.kind not in "fiu" or vector.dtype.itemsize < 4:
        raise TypeError(f"{name} has dtype {vector.dtype}; use float32 or float64")
    vector = vector.copy()
    vector.flags.writeable = False
    return vector
