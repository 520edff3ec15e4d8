# SPDX-License-Identifier: BSD-3-Clause
"""Models from files, which are not trusted: everything that is wrong with one is said here, in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx

from complsparse._files.trust import check_regular, naming, path_of, printable
from complsparse.onnx._tensors import SparseTensor, check_tensor, read_external, sparse_tensor, type_name
from complsparse.onnx._wire import check_wire

OLDEST_OPSET = 6
_DEEPEST_GRAPH = 8  # graphs in nodes of graphs


class Model(NamedTuple):
    """What a file held: a proto without sparse tensors, which are inputs of its graph now."""

    proto: Any
    sparse: dict[str, SparseTensor]  # by name
    name: str  # for errors


def read_model(source: Any) -> Model:
    """Of a path, or of an `onnx.ModelProto`, which stays as it is."""
    if isinstance(source, onnx.ModelProto):
        proto = onnx.ModelProto()
        proto.CopyFrom(source)
        name, folder = "the model", None
    else:
        name = path_of(source)
        folder = os.path.dirname(os.path.abspath(name))
        with open(name, "rb") as stream:
            check_regular(name)
            data = stream.read()
        with naming(name):
            check_wire(data, onnx.ModelProto.DESCRIPTOR)
            try:
                proto = onnx.ModelProto.FromString(data)
            except Exception as error:  # protobuf's DecodeError is a class of its own
                raise ValueError(f"not a model of ONNX: {error}") from None
    with naming(name):
        return Model(proto, _checked(proto, folder), name)


def fix(model: Model, constants: dict[str, Any]) -> None:
    """Inputs of a model become constants."""
    graph = model.proto.graph
    inputs = {value.name: i for i, value in enumerate(graph.input) if value.name not in model.sparse}
    for name, given in constants.items():
        if name not in inputs:
            known = ", ".join(map(printable, inputs))
            raise ValueError(f"constant {printable(str(name))!r} is not one of the inputs {known}")
        kind = graph.input[inputs[name]].type.tensor_type.elem_type
        array = np.asarray(given)
        if kind:
            array = array.astype(onnx.helper.tensor_dtype_to_np_dtype(kind), casting="same_kind")
        graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for i in sorted((inputs[name] for name in constants), reverse=True):
        del graph.input[i]


def _checked(proto: Any, folder: str | None) -> dict[str, SparseTensor]:
    """The sparse tensors, taken out of a proto that is otherwise as it should be."""
    if not proto.HasField("graph"):
        raise ValueError("there is no graph in it: not a model of ONNX")
    opsets = {imported.domain: imported.version for imported in proto.opset_import}
    version = opsets.get("", opsets.get("ai.onnx"))
    newest = onnx.defs.onnx_opset_version()
    if version is None or not OLDEST_OPSET <= version <= newest:
        raise ValueError(f"operator set {version}; {OLDEST_OPSET} to {newest} are known")
    _check_graph(proto.graph, folder, frozenset(), 1)
    for function in proto.functions:
        _check_nodes(function.node, folder, set(function.input), 1)
    return _lifted(proto.graph)


def _check_graph(graph: Any, folder: str | None, outer: frozenset[str], depth: int) -> None:
    if depth > _DEEPEST_GRAPH:
        raise ValueError(f"graphs within graphs, more than {_DEEPEST_GRAPH} deep")
    known = set(outer)
    constants = [tensor.name for tensor in graph.initializer]
    sparse = [tensor.values.name for tensor in graph.sparse_initializer]
    if sparse and depth > 1:
        raise ValueError("a graph within a graph has sparse initializers, which are read in the outermost one only")
    for tensor in graph.initializer:
        _check_one(tensor, folder)
    inputs = [value.name for value in graph.input]
    for names, what in ((inputs, "inputs"), ([*constants, *sparse], "initializers")):
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice or "" in names:
            raise ValueError(f"two {what} are called {printable((twice or [''])[0])!r}")
    for value in (*graph.input, *graph.output):
        _check_value(value)
    known.update(inputs, constants, sparse)
    made = _check_nodes(graph.node, folder, known, depth)
    missing = [value.name for value in graph.output if value.name not in made]
    if missing:
        raise ValueError(f"output {printable(missing[0])!r} is computed by no node")
    if depth == 1 and not graph.output:
        raise ValueError("the graph has no output")


def _check_value(value: Any) -> None:
    if value.type.WhichOneof("value") == "tensor_type" and value.type.tensor_type.elem_type:
        type_name(value.type.tensor_type.elem_type, f"value {printable(value.name)!r}")


def _check_nodes(nodes: Any, folder: str | None, known: set[str], depth: int) -> set[str]:
    """The names that are known behind the nodes, each of which reads only what lies before it: no cycles."""
    written = set()
    for node in nodes:
        what = f"node {printable(node.name)!r} ({printable(node.op_type)})"
        unknown = next((name for name in node.input if name and name not in known), None)
        if unknown is not None:
            later = any(unknown in other.output for other in nodes)
            raise ValueError(f"{what} reads {printable(unknown)!r}, which "
                             + ("a node behind it writes: nodes stand in the order in which they run, without cycles"
                                if later else "nobody writes"))  # fmt: skip
        for name in node.output:
            if name and (name in written or name in known):
                raise ValueError(f"{what} writes {printable(name)!r}, which is there already")
            if name:
                written.add(name)
                known.add(name)
        for tensor, graph in _inside(node):
            if tensor is not None:
                _check_one(tensor, folder)
            else:
                _check_graph(graph, folder, frozenset(known), depth + 1)
    return known


def _inside(node: Any) -> Iterator[tuple[Any, Any]]:
    """Tensors and graphs among the attributes of a node."""
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t, None
        for tensor in attribute.tensors:
            yield tensor, None
        if attribute.HasField("g"):
            yield None, attribute.g
        for graph in attribute.graphs:
            yield None, graph


def _check_one(tensor: Any, folder: str | None) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        read_external(tensor, folder)
    check_tensor(tensor)


def _lifted(graph: Any) -> dict[str, SparseTensor]:
    """Sparse initializers and constants, as inputs of the graph: simplifiers drop them, or write their zeros out."""
    found = {proto.values.name: sparse_tensor(proto) for proto in graph.sparse_initializer}
    dense_nodes = []
    for node in graph.node:
        value = next((a.sparse_tensor for a in node.attribute if a.HasField("sparse_tensor")), None)
        if node.op_type == "Constant" and value is not None and len(node.output) == 1:
            found[node.output[0]] = sparse_tensor(value)
        else:
            dense_nodes.append(node)
    if found:
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in dense_nodes]
        del graph.node[:]
        graph.node.extend(kept)
        del graph.sparse_initializer[:]
        outputs = {value.name for value in graph.output}
        named = {value.name for value in graph.input}
        for name, tensor in found.items():
            if name in outputs:
                raise ValueError(f"output {printable(name)!r} is a constant sparse tensor")
            if name not in named:
                kind = onnx.helper.np_dtype_to_tensor_dtype(tensor.dtype)
                graph.input.append(onnx.helper.make_tensor_value_info(name, kind, tensor.shape))
    return found
