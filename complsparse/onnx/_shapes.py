# SPDX-License-Identifier: BSD-3-Clause
"""Shapes of values, as ONNX infers them."""

from __future__ import annotations

import contextlib
from typing import Any

import onnx

Sizes = dict[str, list[int | None]]


def inferred(proto: Any) -> Any:
    """A checked model with the shapes that can be inferred; where nothing can, the model itself.

    Without following what is computed of shapes (`data_prop`): for that ONNX takes as much memory as a file asks for.
    """
    with contextlib.suppress(Exception):  # of classes of its own: more than 2 GB, unknown operators, what does not fit
        return onnx.shape_inference.infer_shapes(proto)
    return proto


def sizes_of(proto: Any) -> Sizes:
    """Of every value whose number of axes is written down."""
    graph, found = proto.graph, {}
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if kind.HasField("shape"):
            found[value.name] = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None
                                 for d in kind.shape.dim]  # fmt: skip
    return found
