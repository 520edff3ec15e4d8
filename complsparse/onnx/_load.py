# SPDX-License-Identifier: BSD-3-Clause
"""load: a model of ONNX as a network."""

from __future__ import annotations

import os
from typing import Any, Literal

from complsparse import nn
from complsparse._files.trust import naming
from complsparse.nn._array_layer import ArrayLayer
from complsparse.onnx._build import build
from complsparse.onnx._fallback import is_known
from complsparse.onnx._files import fix, read_model
from complsparse.onnx._operators import Operator
from complsparse.onnx._simplify import Plain, simplified

_SHOWN = 40  # nodes that an error names


def load(
    model: str | os.PathLike[str] | Any,
    *,
    sparsity: float = 0.7,
    fallback: Literal["onnxruntime"] | None = None,
    constants: dict[str, Any] | None = None,
) -> nn.Graph:
    """Reads a model of ONNX as a network. Nothing in the file is trusted.

    Parameters
    ----------
    model : path, or onnx.ModelProto
        Weights in files beside it are read where these lie in the model's folder, or below it.
    sparsity : float
        Weights of which at least this share is zero become a ComplementaryMatrix; others stay dense.
    fallback : {None, "onnxruntime"}
        Who runs operators that are not known here, and nodes of known ones with inputs or attributes that are not:
        nobody, or ONNX Runtime, in as few steps of the network as may be. It reads these nodes, and their constants,
        itself.
    constants : dict of str to array_like, optional
        Inputs that are always the same, such as a sampling rate or a shape: they become part of the network.

    Returns
    -------
    Graph
        With the model's inputs and outputs, in its order and under its names.

    Raises
    ------
    ValueError
        A malformed file, or one that asks for what is not known: all operators that are missing are named, with their
        nodes.
    OSError
        The file cannot be read.
    ImportError
        The fallback is not installed: ``pip install 'complsparse[onnxruntime]'``.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> from onnx import TensorProto, helper, numpy_helper
    >>> weights = cs.random((64, 32), density=0.1, rng=0).toarray()
    >>> graph = helper.make_graph(
    ...     [helper.make_node("Gemm", ["x", "w"], ["h"], transB=1), helper.make_node("Relu", ["h"], ["y"])],
    ...     "net",
    ...     [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 32])],
    ...     [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 64])],
    ...     [numpy_helper.from_array(weights, "w")],
    ... )
    >>> net = cs.onnx.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]))
    >>> net(np.ones((2, 32), dtype=np.float32)).shape
    (2, 64)
    """
    share = float(sparsity)
    if not 0 <= share <= 1:
        raise ValueError(f"sparsity={sparsity} is not between 0 and 1")
    if fallback not in (None, "onnxruntime"):
        raise ValueError(f"fallback={fallback!r} is neither None nor 'onnxruntime'")
    read = read_model(model)
    with naming(read.name):
        fix(read, constants or {})
        plain = simplified(read)
        if fallback is None:
            check_known(plain)
        return build(plain, share, fallback=fallback is not None).graph


def shaping_inputs(net: nn.Graph) -> list[str]:
    """Inputs whose entries, and not only their shapes, say what shapes there are in the network."""
    shaping: set[int] = set()
    for node in net._nodes:
        shaping.update(node.inputs[i] for i in _shaped_by(node.layer) if i < len(node.inputs))
    for i in reversed(range(len(net._nodes))):
        layer = net._nodes[i].layer
        if i in shaping and not (isinstance(layer, ArrayLayer) and layer.of_shapes_alone):
            shaping.update(net._nodes[i].inputs)
    return [node.name for i, node in enumerate(net._nodes) if node.layer is None and i in shaping]


def _shaped_by(layer: Any) -> list[int]:
    """Which inputs of a layer are known before the network runs."""
    if isinstance(layer, Operator):
        given = [i for i, name in enumerate(layer.op.inputs) if name is not None]
        return [place for place, i in enumerate(given) if i in layer.row.shaped_by]
    return [i for i, _ in layer._known] if isinstance(layer, ArrayLayer) else []


def check_known(plain: Plain) -> None:
    """One error that lists all operators that are missing."""
    unknown: dict[tuple[str, str], list[str]] = {}
    for op in plain.nodes:
        if not is_known(op):
            unknown.setdefault((op.domain, op.kind), []).append(str(op))
    if not unknown:
        return
    lines = []
    for (domain, kind), nodes in sorted(unknown.items()):
        more = f" and {len(nodes) - 5} more" if len(nodes) > 5 else ""
        lines.append(f"{domain + '.' if domain else ''}{kind}: {', '.join(nodes[:5])}{more}")
    raise ValueError(f"{len(lines)} operators are not known here: "
                     + "; ".join(lines[:_SHOWN]))  # fmt: skip
