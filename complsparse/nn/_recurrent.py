# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent layers: GRU and LSTM, in one direction, with sparse or dense weights.

The product of all inputs comes first, of all steps at once; a step is the product of the state, and the gates.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.special

from complsparse import _core
from complsparse.nn._array_layer import ArrayLayer
from complsparse.nn._attributes import Array, Weights
from complsparse.nn._linear import Linear
from complsparse.nn._values import Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._layer import Layer
    from complsparse.nn._memory import Value


def _product(x: Any, W: Any, bias: Any) -> Any:
    if isinstance(W, np.ndarray):
        y = x @ W.T.astype(x.dtype)
        return y if bias is None else y + bias.astype(x.dtype)
    return _core.linear(x, W, bias)


def _states(x: Any, lengths: Any, begin: Any, reverse: bool, batch_first: bool, step: Any) -> list[Any]:
    """Of all steps, then the last ones: ``step(x, *states)`` gives new states, the first of which is the output. Beyond
    a sample's length states stay, and outputs are zero."""
    x = np.swapaxes(x, 0, 1) if batch_first else x
    y = np.zeros((*x.shape[:2], begin[0].shape[-1]), x.dtype)
    states = list(begin)
    for t in range(len(x) - 1, -1, -1) if reverse else range(len(x)):
        alive = np.ones((x.shape[1], 1), bool) if lengths is None else (t < lengths)[:, None]
        states = [np.where(alive, new, old) for new, old in zip(step(x[t], *states), states, strict=True)]
        y[t] = np.where(alive, states[0], 0)
    return [np.swapaxes(y, 0, 1) if batch_first else y, *states]


class _Recurrent(ArrayLayer):
    n_gates: ClassVar[int]
    n_states: ClassVar[int]
    W: Any
    R: Any
    bias: Any
    recurrent_bias: Any
    peephole: Any
    reverse: bool
    batch_first: bool
    linear_before_reset: bool

    def __init__(self, *given: Any, **attributes: Any) -> None:
        super().__init__(*given, **attributes)
        gates, width = self.n_gates * self.width, self.width
        if self.W.shape[0] != gates or self.R.shape != (gates, width):
            raise ValueError(
                f"W of shape {self.W.shape} and R of shape {self.R.shape} are not ({self.n_gates} * H, inputs) and "
                f"({self.n_gates} * H, H)"
            )
        for name, size in (("bias", gates), ("recurrent_bias", gates), ("peephole", 3 * width)):
            vector = getattr(self, name, None)
            if vector is not None and vector.shape != (size,):
                raise ValueError(f"{name} has shape {vector.shape}; a vector of {size} entries is expected")

    @property
    def width(self) -> int:
        return int(self.R.shape[1])

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        return 1 + self.n_states

    @property
    def weights(self) -> tuple[Any, ...]:
        return self.W, self.R

    @property
    def multiplications(self) -> int:
        return sum(W.size if isinstance(W, np.ndarray) else int(W.nnz) for W in (self.W, self.R))

    def work(self, inputs: tuple[Spec, ...], output: Spec) -> int:
        return self.multiplications * math.prod(output.shape[:-1])

    def _sizes(self, x: Spec) -> tuple[int, int]:
        """Steps and samples."""
        first, second, *_ = x.whole
        return (second, first) if self.batch_first else (first, second)

    def result(self, *inputs: Spec) -> Any:
        x = inputs[0]
        if len(x.whole) != 3 or x.whole[2] != self.W.shape[1]:
            raise ValueError(f"sequences of shape {x.whole}; three axes are expected, the last of {self.W.shape[1]} "
                             f"features: W has shape {self.W.shape}")  # fmt: skip
        _, batch = self._sizes(x)
        state = (batch, self.width)
        wanted = [*[state] * self.n_states, (batch,)]
        for given, shape in zip(inputs[1:], wanted, strict=False):
            if given.whole != shape:
                raise ValueError(f"an initial state, or lengths, of shape {given.whole}; {shape} is expected")
        states = [Spec((self.width,), samples=batch) for _ in range(self.n_states)]
        return [Spec((x.whole[1], self.width), samples=x.whole[0]), *states]

    def emit(self, builder: Builder, *inputs: Value) -> Any:
        if len(inputs) > 1 + self.n_states or not self._is_compiled(inputs):
            return super().emit(builder, *inputs)
        x, *begin = map(builder.dense, inputs)
        specs = self.result(x.spec, *(state.spec for state in begin))
        steps, batch = self._sizes(x.spec)
        if steps * batch == 0:
            return super().emit(builder, *inputs)
        builder.samples = steps * batch
        gates = self._of_inputs().emit(builder, builder.cut(x, Spec(x.spec.whole[2:], samples=steps * batch)))
        builder.samples = None
        writes = [builder.new(spec) for spec in specs]
        kernel, product, bias = self._of_states(builder, batch)
        peephole = getattr(self, "peephole", None)
        states = [value.number for value in begin] + [-1] * (2 - len(begin))
        last = [value.number for value in writes[1:]] + [-1] * (2 - self.n_states)
        apart = (1, steps) if self.batch_first else (batch, 1)
        is_lstm, linear = self.n_states == 2, getattr(self, "linear_before_reset", False)
        number = builder.program.recurrent(
            (is_lstm, self.reverse, linear, steps, batch, self.width, *apart),
            None if peephole is None else peephole.astype(builder.dtype),
            product,
            bias,
            (gates.number, states[0], states[1], writes[0].number, last[0], last[1]),
        )
        builder.step_of_all(kernel, number, [gates, *begin], writes)
        return writes

    def _is_compiled(self, inputs: tuple[Value, ...]) -> bool:
        """Whether steps take values of such dtypes."""
        return all(x.spec.dtype is None for x in inputs)

    def _of_inputs(self) -> Layer:
        """The product of all inputs."""
        return Linear(self.W, bias=self.bias)

    def _of_states(self, builder: Builder, batch: int) -> tuple[str, Any, Any]:
        """The product of a step's states: its micro-kernel; what `_core.Program.recurrent` takes, and a bias."""
        bias = None if self.recurrent_bias is None else self.recurrent_bias.astype(builder.dtype)
        if isinstance(self.R, np.ndarray):
            return "gemm", (builder.blas, np.ascontiguousarray(self.R, dtype=builder.dtype)), bias
        product = _core.make_plan(self.R, batch, builder.dtype, True, bias, None, False, winners=None)
        return product.microkernel, product, bias


class GRU(_Recurrent):
    """Gated recurrent units, in one direction: sequences to all states, and the last ones.

    Inputs are sequences (steps, samples, features), states to begin with (samples, H), and the samples' lengths
    (samples,), of which the last two may be left out. Results are all states, and the last ones.

    Parameters
    ----------
    W, R : ComplementaryMatrix or ndarray, shapes (3 * H, features), (3 * H, H)
        Of inputs and of states, gates one behind the other: update, reset, candidate, as in ONNX. PyTorch has the
        reset gate first.
    bias, recurrent_bias : array_like, shape (3 * H,), optional
    reverse : bool
        From the last step to the first.
    linear_before_reset : bool
        The reset gate takes the product of the state, as in PyTorch and cuDNN; not the state. Where it does not, a step
        takes two products.
    batch_first : bool
        Sequences are (samples, steps, features), and so are all states.
    """

    n_gates, n_states = 3, 1

    @staticmethod
    def function(
        x: Any,
        initial: Any = None,
        lengths: Any = None,
        *,
        W: Weights,
        R: Weights,
        bias: Array | None = None,
        recurrent_bias: Array | None = None,
        reverse: bool = False,
        linear_before_reset: bool = True,
        batch_first: bool = False,
    ) -> Any:
        of_states = functools.partial(_product, W=R, bias=recurrent_bias)
        gates = _product(x, W, bias)
        return gru_states(gates, initial, lengths, of_states, reverse, linear_before_reset, batch_first)


def gru_states(
    gates: Any, initial: Any, lengths: Any, of_states: Any, reverse: bool, linear_before_reset: bool, batch_first: bool
) -> list[Any]:
    """All states and the last ones, of what inputs give to the gates; `of_states` is the product of states."""
    width, samples = gates.shape[2] // 3, gates.shape[0 if batch_first else 1]

    def step(inputs: Any, h: Any) -> list[Any]:
        product = of_states(h)
        both = scipy.special.expit(inputs[:, : 2 * width] + product[:, : 2 * width])
        update, reset = both[:, :width], both[:, width:]
        if linear_before_reset:
            of_state = reset * product[:, 2 * width :]
        else:
            of_state = of_states(np.ascontiguousarray(reset * h))[:, 2 * width :]
        candidate = np.tanh(inputs[:, 2 * width :] + of_state)
        return [update * h + (1 - update) * candidate]

    begin = np.zeros((samples, width), gates.dtype) if initial is None else initial
    return _states(gates, lengths, [begin], reverse, batch_first, step)


class LSTM(_Recurrent):
    """Long short-term memory, in one direction: sequences to all states, and the last ones of state and cell.

    Inputs are sequences (steps, samples, features), state and cell to begin with (samples, H), and the samples' lengths
    (samples,), of which the last three may be left out.

    Parameters
    ----------
    W, R : ComplementaryMatrix or ndarray, shapes (4 * H, features), (4 * H, H)
        Of inputs and of states, gates one behind the other: input, output, forget, cell, as in ONNX. PyTorch has input,
        forget, cell, output.
    bias, recurrent_bias : array_like, shape (4 * H,), optional
    peephole : array_like, shape (3 * H,), optional
        What input, output and forget gates see of the cell.
    reverse, batch_first : bool
        As for `GRU`.
    """

    n_gates, n_states = 4, 2

    @staticmethod
    def function(
        x: Any,
        initial: Any = None,
        initial_cell: Any = None,
        lengths: Any = None,
        *,
        W: Weights,
        R: Weights,
        bias: Array | None = None,
        recurrent_bias: Array | None = None,
        peephole: Array | None = None,
        reverse: bool = False,
        batch_first: bool = False,
    ) -> Any:
        width, samples = R.shape[1], x.shape[0 if batch_first else 1]
        see = np.zeros((3, width), x.dtype) if peephole is None else peephole.reshape(3, width).astype(x.dtype)

        def step(inputs: Any, h: Any, cell: Any) -> list[Any]:
            i, o, f, c = np.split(inputs + _product(h, R, recurrent_bias), 4, axis=1)
            new = scipy.special.expit(f + see[2] * cell) * cell + scipy.special.expit(i + see[0] * cell) * np.tanh(c)
            return [scipy.special.expit(o + see[1] * new) * np.tanh(new), new]

        begin = [np.zeros((samples, width), x.dtype) if one is None else one for one in (initial, initial_cell)]
        return _states(_product(x, W, bias), lengths, begin, reverse, batch_first, step)
