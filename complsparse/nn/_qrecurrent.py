# SPDX-License-Identifier: BSD-3-Clause
"""QGRU: gated recurrent units whose products are of 8-bit numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from complsparse.nn._attributes import Array, ByteWeights
from complsparse.nn._integers import Numbers, Quantize, QuantizedLayer, check_dtype
from complsparse.nn._layer import Layer
from complsparse.nn._passes import Network, Node
from complsparse.nn._plan import NetPlan
from complsparse.nn._qproducts import QLinear
from complsparse.nn._recurrent import _Recurrent, gru_states
from complsparse.nn._values import Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value

INT8: np.dtype[Any] = np.dtype(np.int8)
STATES = Numbers(INT8, float(np.float32(1 / 127)), 0)  # states lie between -1 and 1


class QGRU(_Recurrent, QuantizedLayer):
    """Gated recurrent units on 8-bit numbers, in one direction: what `GRU` becomes in ``net.quantize``.

    Sequences are of 8-bit integers. Both products are those of `complsparse.qlinear`, with float32 results; gates and
    states are float32, and states are rounded to multiples of 1/127, which int8 holds, for the product alone. Beyond -1
    and 1, where only states to begin with may lie, they saturate there.

    Parameters
    ----------
    W, R : ComplementaryMatrix, shapes (3 * H, features), (3 * H, H)
        Weights of `complsparse.quantize`, gates as `GRU` has them.
    x_scale, x_zero_point, x_dtype
        Of the sequences, as for `QLinear`.
    bias, recurrent_bias, reverse, linear_before_reset, batch_first
        As for `GRU`.

    Raises
    ------
    ValueError, TypeError
        As `complsparse.qlinear` and `GRU`.
    """

    n_gates, n_states = 3, 1

    x_scale: float
    x_zero_point: int
    x_dtype: str

    @staticmethod
    def function(
        x: Any,
        initial: Any = None,
        lengths: Any = None,
        *,
        W: ByteWeights,
        R: ByteWeights,
        x_scale: float,
        x_zero_point: int = 0,
        x_dtype: str = "uint8",
        bias: Array | None = None,
        recurrent_bias: Array | None = None,
        reverse: bool = False,
        linear_before_reset: bool = True,
        batch_first: bool = False,
    ) -> Any:
        of_inputs = QLinear(W, x_scale=x_scale, x_zero_point=x_zero_point, x_dtype=x_dtype, bias=bias)
        to_bytes, of_bytes = _of_states(R, recurrent_bias)

        def of_states(h: Any) -> Any:
            return of_bytes.apply(to_bytes.apply(h))

        return gru_states(of_inputs.apply(x), initial, lengths, of_states, reverse, linear_before_reset, batch_first)

    def __init__(self, *given: Any, **attributes: Any) -> None:
        super().__init__(*given, **attributes)
        self._input_layer = QLinear(
            self.W, x_scale=self.x_scale, x_zero_point=self.x_zero_point, x_dtype=self.x_dtype, bias=self.bias
        )
        self._state_layers = _of_states(self.R, self.recurrent_bias)

    def numbers_behind(self, given: Numbers | None) -> None:
        return None

    def result(self, *inputs: Spec) -> Any:
        check_dtype(inputs[0], self._input_layer.x_dtype)
        return super().result(*inputs)

    def _is_compiled(self, inputs: tuple[Value, ...]) -> bool:
        return all(x.spec.dtype is None for x in inputs[1:])

    def _of_inputs(self) -> Layer:
        return self._input_layer

    def _of_states(self, builder: Builder, batch: int) -> tuple[str, Any, Any]:
        nodes = [Node("states", None), *(Node(str(i), layer, (i,)) for i, layer in enumerate(self._state_layers))]
        plan = NetPlan(Network(nodes, (len(nodes) - 1,)), ((batch, self.width),), builder.dtype)
        kernel = next(step.kernel for step in plan.steps if step.kernel not in ("quantize", "widen"))
        return kernel, plan._program, None


def _of_states(R: Any, bias: Any) -> tuple[Quantize, QLinear]:
    """The layers between a state and what it gives to the gates."""
    return Quantize(*STATES.border), QLinear(R, x_scale=STATES.scale, x_dtype=STATES.dtype, bias=bias)
