# SPDX-License-Identifier: BSD-3-Clause
"""The constants of a checked graph, for those who read its nodes as they are."""

from __future__ import annotations

from typing import Any

import onnx
from numpy.typing import NDArray

from complsparse.onnx._files import Model
from complsparse.onnx._sparse_tensors import SparseTensor


class Constants:
    """By name: initializers, and what nodes called Constant hold."""

    def __init__(self, model: Model) -> None:
        graph = model.proto.graph
        self._sparse = model.sparse
        self._protos = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].HasField("t"):
                self._protos.update(dict.fromkeys(node.output[:1], node.attribute[0].t))

    def weights(self, name: str) -> NDArray[Any] | SparseTensor | None:
        """None where the name is no constant."""
        return self._sparse[name] if name in self._sparse else self.array(name)

    def array(self, name: str) -> NDArray[Any] | None:
        """The same of dense constants alone."""
        return onnx.numpy_helper.to_array(self._protos[name]) if name in self._protos else None


def attributes_of(node: Any) -> dict[str, Any]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
