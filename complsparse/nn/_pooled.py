# SPDX-License-Identifier: BSD-3-Clause
"""A convolution and the pool behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from complsparse.nn._convolution import _Convolution
from complsparse.nn._layer import Layer
from complsparse.nn._pools import MaxPool2d
from complsparse.nn._qproducts import QConv2d
from complsparse.nn._values import Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


class PooledConvolution(Layer):
    """What a network makes of a convolution whose outputs only a pool reads."""

    in_files = False
    takes_integers = True  # what the convolution takes was seen before

    def __init__(self, convolution: _Convolution | QConv2d, pool: MaxPool2d) -> None:
        self.convolution, self.pool = convolution, pool

    def infer(self, *inputs: Spec) -> Spec:
        return self.pool.infer(self.convolution.infer(*inputs))

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        return self.convolution.emit_pooled(builder, inputs[0], self.pool)
