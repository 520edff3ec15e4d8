# SPDX-License-Identifier: BSD-3-Clause
"""Nodes outside the table of operators, as steps that ONNX Runtime runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from complsparse import _core, nn
from complsparse._files.trust import printable
from complsparse.onnx._nodes import Op
from complsparse.onnx._operators import OPERATORS
from complsparse.onnx._sparse_tensors import SparseTensor

_IR_VERSION = 10
_SHOWN = 3  # nodes that the name of a step has


def is_known(op: Op) -> bool:
    return (op.domain, op.kind) in OPERATORS


def runtime() -> Any:
    """The module. ImportError that says how to have it."""
    try:
        import onnxruntime
    except ImportError as error:
        message = "fallback='onnxruntime' needs onnxruntime: pip install 'complsparse[onnxruntime]'"
        raise ImportError(message) from error
    return onnxruntime


def in_parts(nodes: Sequence[Op], elsewhere: Collection[Op]) -> list[list[Op]]:
    """Nodes in an order in which they may run: ours alone, those that run elsewhere in as few parts as this order of
    levels gives. O(nodes + edges).

    A level counts how often the longest way to a node goes from one of ours, or an input, to one that runs elsewhere.
    It never falls along an edge, and rises on every way that leaves a part and comes back: parts are convex.
    """
    levels: dict[str, tuple[int, bool]] = {}  # by what a node writes: its level, and whether it is ours
    placed = []
    for op in nodes:
        ours = op not in elsewhere
        before = [levels.get(name, (0, True)) for name in reads(op)] or [(0, True)]
        level = max(at + (not ours and of_ours) for at, of_ours in before)
        levels.update(dict.fromkeys(op.outputs, (level, ours)))
        placed.append((level, ours, op))
    placed.sort(key=lambda one: one[:2])
    parts: list[list[Op]] = []
    for (_, ours), found in groupby(placed, key=lambda one: one[:2]):
        ops = [op for _, _, op in found]
        parts.extend([op] for op in ops) if ours else parts.append(ops)
    return parts


def reads(op: Op) -> list[str]:
    """Names, with those that graphs within the node read from outside."""
    names = [name for name in op.inputs if name is not None]
    for value in op.attributes.values():
        for graph in value if isinstance(value, list) else [value]:
            if isinstance(graph, ir.Graph):
                names.extend(_free(ir.to_proto(graph)))
    return list(dict.fromkeys(names))


def _free(graph: Any) -> Iterator[str]:
    """What nodes of a graph read and nobody in it writes."""
    inside = {value.name for value in (*graph.input, *graph.initializer)}
    for node in graph.node:
        held = [name for a in node.attribute for g in ([a.g] if a.HasField("g") else a.graphs) for name in _free(g)]
        yield from (name for name in (*node.input, *held) if name and name not in inside)
        inside.update(node.output)
    yield from (value.name for value in graph.output if value.name not in inside)


class ONNXRuntime(nn.Function):
    """Nodes of a model that ONNX Runtime runs, in a session for each set of dtypes."""

    in_files = False

    def __init__(self, ops: Sequence[Op], constants: dict[str, Any], inputs: Sequence[str], outputs: Sequence[str]):
        self.ops, self.constants, self.inputs, self.outputs = list(ops), constants, list(inputs), list(outputs)
        self.n_inputs, self.n_outputs = len(self.inputs), len(self.outputs)
        self._sessions: dict[tuple[str, ...], Any] = {}

    def arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("ops", "constants", "inputs", "outputs")}

    def __repr__(self) -> str:
        return f"ONNXRuntime({', '.join(op.kind for op in self.ops)})"

    @property
    def _named(self) -> str:
        return f"nodes {', '.join(map(str, self.ops[:_SHOWN]))}"

    def session(self, dtypes: Sequence[Any]) -> Any:
        """For inputs of these dtypes; made once. ValueError where ONNX Runtime refuses."""
        key = tuple(np.dtype(dtype).str for dtype in dtypes)
        if key not in self._sessions:
            module = runtime()
            options = module.SessionOptions()
            options.intra_op_num_threads = _core.get_num_threads()
            options.log_severity_level = 4
            try:
                data = self._model(dtypes).SerializeToString()
                self._sessions[key] = module.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            except Exception as error:  # of classes of its own, without a common base
                raise ValueError(f"{self._named}: {' '.join(str(error).split())}") from None
        return self._sessions[key]

    def _model(self, dtypes: Sequence[Any]) -> Any:
        helper = onnx.helper
        kinds = [helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) for dtype in dtypes]
        given = [helper.make_tensor_value_info(n, kind, None) for n, kind in zip(self.inputs, kinds, strict=True)]
        made = [helper.make_empty_tensor_value_info(name) for name in self.outputs]
        held = [onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph([_proto(op) for op in self.ops], "part", given, made, held)
        imports = {op.domain: op.version for op in self.ops}
        opsets = [helper.make_opsetid(domain, version) for domain, version in imports.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _called(self, arrays: list[Any]) -> list[Any]:
        session = self.session([array.dtype for array in arrays])
        given = {name: np.ascontiguousarray(x).reshape(x.shape) for name, x in zip(self.inputs, arrays, strict=True)}
        try:
            found = session.run(self.outputs, given)
        except Exception as error:
            raise ValueError(f"{self._named}: {' '.join(str(error).split())}") from None
        return [np.asarray(one) for one in found]


def _proto(op: Op) -> Any:
    attributes = {name: _attribute(value) for name, value in op.attributes.items()}
    inputs = ["" if name is None else name for name in op.inputs]
    return onnx.helper.make_node(op.kind, inputs, list(op.outputs), op.name, domain=op.domain, **attributes)


def _attribute(value: Any) -> Any:
    if isinstance(value, list):
        return [_attribute(one) for one in value]
    if isinstance(value, ir.Graph):
        return ir.to_proto(value)
    return onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value


def add_part(ops: Sequence[Op], build: Any, readers: Mapping[str, int]) -> None:
    """A part as one step; `readers` says of each name how many parts, and outputs of the network, read it."""
    runtime()
    inside = {name for op in ops for name in op.outputs}
    outside = [name for name in dict.fromkeys(name for op in ops for name in reads(op)) if name not in inside]
    constants = {name: _as_computed(build.constants[name]) for name in outside if name in build.constants}
    inputs = [name for name in outside if name not in constants]
    if not inputs:
        raise ops[0].refuse("it reads no input of the network")
    own = {name for op in ops for name in reads(op)}
    outputs = [name for op in ops for name in op.outputs if name and readers.get(name, 0) > (name in own)]
    layer = ONNXRuntime(ops, constants, inputs, outputs)
    values = [build.handles[name] for name in inputs]
    specs = [build.specs.get(value) for value in values]
    if all(spec is not None for spec in specs):  # refused now, rather than by a call
        layer.session([np.float32 if spec.dtype is None else spec.dtype for spec in specs])
    more = ", ..." if len(ops) > _SHOWN else ""
    made = build.add_as(", ".join(printable(op.name) for op in ops[:_SHOWN]) + more, layer, *values)
    build.handles.update(zip(outputs, [made] if len(outputs) == 1 else made, strict=True))


def _as_computed(array: Any) -> Any:
    array = array.toarray() if isinstance(array, SparseTensor) else np.asarray(array)
    return array.astype(np.float32) if array.dtype.kind == "f" and array.dtype.itemsize < 4 else array
