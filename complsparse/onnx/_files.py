# SPDX-License-Identifier: BSD-3-Clause
"""Models from files, which are not trusted: everything that is wrong with one is said here, in words."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx

from complsparse._files.trust import check_regular, naming, path_of, printable
from complsparse.onnx._sparse_tensors import SparseTensor, sparse_tensor
from complsparse.onnx._tensors import check_tensor, read_external, type_name
from complsparse.onnx._wire import MOST_BYTES, check_wire

OLDEST_OPSET = 6
_DEEPEST_GRAPH = 8  # graphs in nodes of graphs


Scopes = tuple[set[str], ...]  # names of values, from the outermost graph to the innermost


class Model(NamedTuple):
    """What a file held: a proto without sparse tensors, which are inputs of its graph now."""

    proto: Any
    sparse: dict[str, SparseTensor]  # by name
    name: str  # for errors


def read_model(source: Any) -> Model:
    """Of a path, or of an `onnx.ModelProto`, which stays as it is."""
    if isinstance(source, onnx.ModelProto):
        name, folder = "the model", None
        data = source.SerializeToString() if source.ByteSize() <= MOST_BYTES else None
    else:
        name = path_of(source)
        folder = os.path.dirname(os.path.abspath(name))
        with open(name, "rb") as stream:
            check_regular(name)
            data = stream.read()
    with naming(name):
        proto = _copy(source) if data is None else _parsed(data)
        return Model(proto, _checked(proto, folder), name)


def _parsed(data: bytes) -> Any:
    check_wire(data, onnx.ModelProto.DESCRIPTOR)
    try:
        return onnx.ModelProto.FromString(data)
    except Exception as error:  # protobuf's DecodeError is a class of its own
        raise ValueError(f"not a model of ONNX: {error}") from None


def _copy(proto: Any) -> Any:
    """Of a model that is too large to be bytes."""
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    return made


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
    _check_graph(proto.graph, folder, ())
    for function in proto.functions:
        _check_nodes(function.node, folder, (set(function.input),))
    return _lifted(proto.graph)


def _check_graph(graph: Any, folder: str | None, outer: Scopes) -> None:
    if len(outer) >= _DEEPEST_GRAPH:
        raise ValueError(f"graphs within graphs, more than {_DEEPEST_GRAPH} deep")
    if graph.sparse_initializer and outer:
        raise ValueError("a graph within a graph has sparse initializers, which are read in the outermost one only")
    for tensor in graph.initializer:
        _check_one(tensor, folder)
    for tensor in graph.sparse_initializer:
        _check_sparse(tensor, folder)
    inputs = [value.name for value in graph.input]
    constants = [tensor.name for tensor in graph.initializer]
    constants += [tensor.values.name for tensor in graph.sparse_initializer]
    for names, what in ((inputs, "inputs"), (constants, "initializers")):
        twice = next((name for name, n in Counter(names).items() if n > 1 or not name), None)
        if twice is not None:
            raise ValueError(
                f"two {what} are called {printable(twice)!r}" if twice else f"one of the {what} has no name"
            )
    for value in (*graph.input, *graph.output):
        _check_value(value)
    known = {*inputs, *constants}
    _check_nodes(graph.node, folder, (*outer, known))
    missing = [value.name for value in graph.output if not any(value.name in names for names in (known, *outer))]
    if missing:
        raise ValueError(f"output {printable(missing[0])!r} is computed by no node")
    if not outer and not graph.output:
        raise ValueError("the graph has no output")


def _check_value(value: Any) -> None:
    if value.type.WhichOneof("value") == "tensor_type" and value.type.tensor_type.elem_type:
        type_name(value.type.tensor_type.elem_type, f"value {printable(value.name)!r}")


def _check_nodes(nodes: Any, folder: str | None, scopes: Scopes) -> None:
    """Adds to the last scope what nodes write, each of which reads only what is known before it: no cycles."""
    for node in nodes:
        what = f"node {printable(node.name)!r} ({printable(node.op_type)})"
        unknown = next((name for name in node.input if name and not any(name in scope for scope in scopes)), None)
        if unknown is not None:
            later = any(unknown in other.output for other in nodes)
            raise ValueError(f"{what} reads {printable(unknown)!r}, which "
                             + ("a node behind it writes: nodes stand in the order in which they run, without cycles"
                                if later else "nobody writes"))  # fmt: skip
        for tensor, graph in _inside(node):
            if graph is not None:
                _check_graph(graph, folder, scopes)
            elif isinstance(tensor, onnx.SparseTensorProto):
                _check_sparse(tensor, folder)
            else:
                _check_one(tensor, folder)
        for name in filter(None, node.output):
            if any(name in scope for scope in scopes):
                raise ValueError(f"{what} writes {printable(name)!r}, which is there already")
            scopes[-1].add(name)


def _inside(node: Any) -> Iterator[tuple[Any, Any]]:
    """Tensors and graphs among the attributes of a node."""
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t, None
        if attribute.HasField("sparse_tensor"):
            yield attribute.sparse_tensor, None
        for tensor in (*attribute.tensors, *attribute.sparse_tensors):
            yield tensor, None
        if attribute.HasField("g"):
            yield None, attribute.g
        for graph in attribute.graphs:
            yield None, graph


def _check_one(tensor: Any, folder: str | None) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        read_external(tensor, folder)
    check_tensor(tensor)


def _check_sparse(tensor: Any, folder: str | None) -> None:
    for part in (tensor.values, tensor.indices):
        _check_one(part, folder)
    sparse_tensor(tensor)


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


def restore(model: Model, names: Collection[str]) -> None:
    """Sparse tensors of these names are initializers of the graph again."""
    graph = model.proto.graph
    inputs = [value for value in graph.input if value.name not in model.sparse]
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in inputs]
    del graph.input[:]
    graph.input.extend(copies)
    for name, tensor in model.sparse.items():
        if name in names:
            parts = (onnx.numpy_helper.from_array(*part) for part in ((tensor.values, name), (tensor.places, "")))
            graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(*parts, tensor.shape))
