# SPDX-License-Identifier: BSD-3-Clause
"""Shapes of values, as ONNX infers them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import onnx

_MOST_DECLARED = 2**24  # entries of a value
_OF_TEXT = {"RegexFullMatch", "StringConcat", "StringSplit", "StringNormalizer"}

Sizes = dict[str, list[int | None]]


def inferred(proto: Any) -> Any:
    """A checked model with the shapes that can be inferred; where nothing can, the model itself.

    ONNX takes as much memory as a file asks for, where it follows what is computed of shapes (`data_prop`), and where a
    shape is declared to have so many axes: neither is asked of it. Nor are axes with numbers beyond 32 bits: it
    cuts them off, and writes to the memory that they then stand for. Sizes below zero move it to memory before an
    array, and operators on text read types that are not known.
    """
    values = (*proto.graph.input, *proto.graph.output, *proto.graph.value_info)
    shapes = [[d.dim_value for d in value.type.tensor_type.shape.dim] for value in values]
    if any(min(shape, default=0) < 0 or math.prod(shape) > _MOST_DECLARED for shape in shapes):
        return proto
    nodes = (*proto.graph.node, *(node for function in proto.functions for node in function.node))
    if any(not -(2**31) <= axis < 2**31 for axis in _axes(nodes)) or any(node.op_type in _OF_TEXT for node in nodes):
        return proto
    with contextlib.suppress(Exception):  # of classes of its own: more than 2 GB, unknown operators, what does not fit
        return onnx.shape_inference.infer_shapes(proto)
    return proto


def _axes(nodes: Any) -> Iterator[int]:
    """The numbers of axes that nodes name, and those of their subgraphs."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.name in ("axis", "axes"):
                yield from (attribute.i, *attribute.ints)
            for graph in (attribute.g, *attribute.graphs):
                yield from _axes(graph.node)


def sizes_of(proto: Any) -> Sizes:
    """Of every value whose number of axes is written down."""
    graph, found = proto.graph, {}
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if kind.HasField("shape"):
            found[value.name] = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None
                                 for d in kind.shape.dim]  # fmt: skip
    return found
