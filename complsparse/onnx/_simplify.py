# SPDX-License-Identifier: BSD-3-Clause
"""A checked model, as few plain nodes: functions written out, constants folded, what was written out recognised."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
from onnxscript import optimizer, rewriter

from complsparse._files.trust import printable
from complsparse.onnx._files import Model
from complsparse.onnx._fusions import RULES
from complsparse.onnx._nodes import Op

_MOST_NODES = 2**14
_LARGEST_FOLDED = 1024  # entries of an operand of what the simplifier folds; the rest is folded while layers are made

# What the simplifier may fold: nothing whose result can be much larger than its operands, and no loops.
_FOLDED = {
    "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Sqrt", "Pow", "Cast", "Concat", "Gather", "Shape", "Size", "Squeeze",
    "Unsqueeze", "Slice", "Reshape", "Transpose", "Equal", "Greater", "Less", "And", "Or", "Not", "Identity", "Floor",
    "Ceil", "Min", "Max", "ReduceProd", "Reciprocal",
}  # fmt: skip


class Input(NamedTuple):
    name: str
    shape: tuple[int | None, ...] | None
    dtype: np.dtype[Any] | None


class Plain(NamedTuple):
    """A model without graphs in nodes; nodes stand in the order in which they run."""

    inputs: list[Input]
    constants: dict[str, Any]  # arrays, and SparseTensors
    nodes: list[Op]
    outputs: list[str]


def simplified(model: Model) -> Plain:
    """O(nodes), apart from the passes of the simplifier."""
    _check_functions(model.proto)
    with _quiet():
        try:
            found = ir.from_proto(model.proto)
        except Exception as error:  # of many classes, and their causes: the innermost says what is wrong
            raise ValueError(f"not a model of ONNX: {_innermost(error)}") from None
        with contextlib.suppress(Exception):  # it may fail where the model is right: then it stays as it is
            tried = ir.from_proto(model.proto)
            _simplify(tried)
            found = tried
    return _plain(found, model)


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Simplifiers log what they could not do."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _simplify(model: ir.Model) -> None:
    optimizer.optimize_ir(
        model, onnx_shape_inference=False, input_size_limit=_LARGEST_FOLDED, output_size_limit=_LARGEST_FOLDED**2,
        should_fold=lambda node: None if node.domain in ("", "ai.onnx") and node.op_type in _FOLDED else False,
    )  # fmt: skip
    rewriter.rewrite(model, pattern_rewrite_rules=RULES)


def _check_functions(proto: Any) -> None:
    """Functions in functions may write out to more nodes than there is memory for; and call themselves."""
    functions = {(function.domain, function.name): function for function in proto.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Any, under: tuple[tuple[str, str], ...]) -> int:
        n = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in under:
                raise ValueError(f"function {printable(node.op_type)!r} calls itself")
            if key in functions and key not in sizes:
                if len(under) > 64:
                    raise ValueError("functions call functions, more than 64 deep")
                sizes[key] = size(functions[key].node, (*under, key))
            n += sizes.get(key, 1)
            n += sum(size(a.g.node, under) for a in node.attribute if a.HasField("g"))
        return n

    nodes = size(proto.graph.node, ())
    if nodes > _MOST_NODES:
        raise ValueError(f"{nodes} nodes, with functions written out; {_MOST_NODES} at most are read")


def _plain(model: ir.Model, read: Model) -> Plain:
    versions = {("" if d == "ai.onnx" else d): v for d, v in model.graph.opset_imports.items()}
    # Nodes that simplifiers made have names that nobody gave: theirs are those of whose results they make.
    given = {node.name for node in read.proto.graph.node}
    writers = {name: node.name for node in read.proto.graph.node for name in node.output if node.name}
    nodes = [_op(node, versions) for node in model.graph]
    nodes = [op if op.name in given else replace(op, name=writers.get(op.outputs[0], op.name)) for op in nodes]
    constants: dict[str, Any] = dict(read.sparse)
    read_by_nodes = [value for node in model.graph for value in node.inputs if value is not None]
    for value in (*model.graph.initializers.values(), *read_by_nodes):  # not all of the latter are among the former
        if value.const_value is not None and value.producer() is None and value.name not in constants:
            constants[str(value.name)] = _array(value.const_value, str(value.name))
    inputs = []
    for value in model.graph.inputs:
        if value.name not in constants:
            shape = None if value.shape is None else tuple(n if isinstance(n, int) else None for n in value.shape)
            inputs.append(Input(str(value.name), shape, _dtype(value)))
    for value in model.graph.outputs:
        _dtype(value)
    return Plain(inputs, constants, nodes, [str(value.name) for value in model.graph.outputs])


_KNOWN = "FLOAT DOUBLE FLOAT16 INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 BOOL"
_SMALL = {"INT4": np.int8, "INT2": np.int8, "UINT4": np.uint8, "UINT2": np.uint8}


def _dtype(value: Any) -> np.dtype[Any] | None:
    """Of an input or output; None where the model does not say."""
    what = f"{printable(str(value.name))!r}"
    if value.type is not None and not isinstance(value.type, ir.TensorType):
        raise ValueError(f"{what} is no tensor")
    if value.dtype is None or value.dtype == ir.DataType.UNDEFINED:
        return None
    if value.dtype.name not in _KNOWN.split():
        raise ValueError(f"{what} has numbers of type {value.dtype.name}; networks take {_KNOWN}")
    found: np.dtype[Any] = np.dtype(value.dtype.numpy())
    return found


def _array(tensor: Any, name: str) -> Any:
    """Numbers of fewer than 8 bits become integers of 8, or, as bfloat16 does, float32."""
    try:
        array = np.asarray(tensor.numpy())
    except Exception as error:
        raise ValueError(f"tensor {printable(name)!r}: {_innermost(error)}") from None
    if tensor.dtype.name in _KNOWN.split():
        return array
    if tensor.dtype == ir.DataType.STRING:
        return np.asarray(array, dtype=object)
    if not tensor.dtype.is_floating_point() and tensor.dtype.name not in _SMALL:
        raise ValueError(f"tensor {printable(name)!r} has numbers of type {tensor.dtype.name}")
    return array.astype(_SMALL.get(tensor.dtype.name, np.float32))


def _op(node: ir.Node, versions: dict[str, int]) -> Op:
    domain = "" if node.domain == "ai.onnx" else node.domain
    attributes = {}
    for name, attribute in node.attributes.items():
        if attribute.is_ref():
            raise ValueError(f"node {printable(node.name or '')!r}: attribute {name} refers to one of a function")
        value = attribute.value
        if attribute.type == ir.AttributeType.TENSOR:
            value = _array(value, f"{node.name}.{name}")
        attributes[name] = list(value) if isinstance(value, (list, tuple)) else value
    inputs = [None if value is None or not value.name else str(value.name) for value in node.inputs]
    while inputs and inputs[-1] is None:
        inputs.pop()
    outputs = [str(value.name or "") for value in node.outputs]
    while len(outputs) > 1 and not outputs[-1]:
        outputs.pop()
    return Op(node.name or node.op_type, domain, node.op_type, versions.get(domain, 1), tuple(inputs),
              tuple(outputs), attributes)  # fmt: skip
