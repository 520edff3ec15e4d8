# SPDX-License-Identifier: BSD-3-Clause
"""complsparse as ONNX's own test runner drives it: `prepare`, `run_model`, `run_node`, `supports_device`."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep

from complsparse.onnx._load import load, shaping_inputs


class Prepared(BackendRep):  # type: ignore[misc]
    """A model that was read. Where inputs say what shapes there are, it is read again for each that they say."""

    def __init__(self, model: Any, **options: Any) -> None:
        self.net = load(model, **options)
        self._model, self._options = model, options
        self._shaping = shaping_inputs(self.net)
        self._nets: dict[tuple[bytes, ...], Any] = {}
        constants = {tensor.name for tensor in model.graph.initializer}
        constants |= {tensor.values.name for tensor in model.graph.sparse_initializer}
        self.inputs = [value.name for value in model.graph.input if value.name not in constants]
        self.dtypes = [_dtype(value) for value in model.graph.output]

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The outputs, in the types that the model says; inputs are a sequence of arrays, or a dict by name."""
        given = inputs if isinstance(inputs, dict) else dict(zip(self.inputs, inputs, strict=True))
        arrays = {name: np.asarray(given[name]) for name in self.inputs}
        fixed = {name: arrays.pop(name) for name in self._shaping}
        found = self._net(fixed)(*arrays.values())
        several = found if isinstance(found, tuple) else (found,)
        return tuple(
            y if dtype is None else y.astype(dtype, copy=False) for y, dtype in zip(several, self.dtypes, strict=True)
        )

    def _net(self, fixed: dict[str, Any]) -> Any:
        if not fixed:
            return self.net
        key = tuple(array.tobytes() + repr(array.shape).encode() for array in fixed.values())
        if key not in self._nets:
            self._nets.clear()
            self._nets[key] = load(self._model, constants=fixed, **self._options)
        return self._nets[key]


def _dtype(value: Any) -> Any:
    number = value.type.tensor_type.elem_type
    return None if not number else onnx.helper.tensor_dtype_to_np_dtype(number)


class ComplsparseBackend(Backend):  # type: ignore[misc]
    """See `onnx.backend.base.Backend`. Keyword arguments go to `complsparse.onnx.load`."""

    @classmethod
    def is_compatible(cls, model: Any, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether every operator is known, in its form here."""
        try:
            load(model, **kwargs)
        except ValueError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> Prepared:
        """ValueError, in words, where a model cannot be run."""
        if not cls.supports_device(device):
            raise ValueError(f"device {device!r}: only the CPU is known")
        return Prepared(model, **kwargs)

    @classmethod
    def run_model(cls, model: Any, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Any, ...]:
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls, node: Any, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any
    ) -> tuple[Any, ...]:
        """One node, in the newest operator set, or that of ``opset_version``."""
        arrays = [np.asarray(x) for x in inputs]
        names = [name for name in node.input if name]
        kinds = [onnx.helper.np_dtype_to_tensor_dtype(x.dtype) for x in arrays]
        given = [
            onnx.helper.make_tensor_value_info(n, k, x.shape) for n, k, x in zip(names, kinds, arrays, strict=True)
        ]
        made = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
        version = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        graph = onnx.helper.make_graph([node], "node", given, made)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, version)])
        return cls.prepare(model, device, **kwargs).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.partition(":")[0] == "CPU"


is_compatible = ComplsparseBackend.is_compatible
prepare = ComplsparseBackend.prepare
run_model = ComplsparseBackend.run_model
run_node = ComplsparseBackend.run_node
supports_device = ComplsparseBackend.supports_device
