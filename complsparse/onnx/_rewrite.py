# SPDX-License-Identifier: BSD-3-Clause
"""Models whose sparse layers are our operators, for sessions of ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from complsparse._files.trust import naming
from complsparse.onnx._chosen import chosen
from complsparse.onnx._constants import Constants
from complsparse.onnx._edited_graph import EditedGraph
from complsparse.onnx._files import Model, read_model, restore
from complsparse.onnx._library import DOMAIN, VERSION
from complsparse.onnx._shapes import inferred, sizes_of

_FORMAT = 4  # of models, from which on initializers need not be inputs


def rewrite(model: Any, *, sparsity: float = 0.7, all_convolutions: bool = False) -> Any:
    """A model whose sparse MatMul, Gemm and Conv are our operators, for sessions of ONNX Runtime that know them.

    Parameters
    ----------
    model : path or onnx.ModelProto
        Stays as it is. Weights in files beside the model become part of the result.
    sparsity : float
        The least share of zeros in the weights of a node that is replaced.
    all_convolutions : bool
        Also those that are expected to gain less than the conversions of images around them cost.
        Expected for the CPU that this runs on, and images of 32 pixels along an axis whose size the model does not say.

    Returns
    -------
    onnx.ModelProto
        The nodes `SparseMatMul` and `SparseConv` of the domain ``ai.complsparse`` in the place of those whose weights
        are constant, of type float32 and sparse, with what follows them of a bias, Relu, Clip from 0 to 6, LeakyRelu,
        HardSwish, Gelu, Sigmoid or Tanh, and zeros that a Pad puts around their images; `DepthwiseConv` in the place
        of convolutions of single channels among them; `ConvChain` in the place of several of which each alone reads
        what the one before it makes; and `DepthToSpace` behind them. Convolutions in groups of several channels, and
        those padded by a rule (``auto_pad``), stay. Other nodes, inputs and outputs are as they were; initializers that
        are inputs as well are constants.

    Raises
    ------
    TypeError, ValueError
        `sparsity` is no number from 0 to 1; the model is not well-formed.

    See Also
    --------
    register : makes the operators known to a session.

    Notes
    -----
    Linear in the size of the model. Weights are stored as initializers in CSR form: row_ptr, columns, values.

    Examples
    --------
    >>> import numpy as np
    >>> import onnx, onnxruntime
    >>> import complsparse as cs
    >>> W = cs.random((64, 32), set_size=8, rng=0, dtype="float32").toarray()
    >>> graph = onnx.parser.parse_graph("g (float[n, 64] x) => (float[n, 32] y) { y = MatMul(x, W) }")
    >>> graph.initializer.extend([onnx.numpy_helper.from_array(W, "W")])
    >>> model = cs.onnx.rewrite(onnx.helper.make_model(graph, ir_version=10))
    >>> [node.op_type for node in model.graph.node]
    ['SparseMatMul']
    >>> options = onnxruntime.SessionOptions()
    >>> cs.onnx.register(options)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    >>> x = np.ones((2, 64), np.float32)
    >>> np.allclose(session.run(None, {"x": x})[0], x @ W, atol=1e-5)
    True
    """
    if not isinstance(sparsity, (int, float, np.floating)) or isinstance(sparsity, bool):
        raise TypeError(f"sparsity={sparsity!r}; use a number from 0 to 1")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity={sparsity!r} is not from 0 to 1")
    read = read_model(model)
    with naming(read.name):
        return _rewritten(read, float(sparsity), bool(all_convolutions))


def _rewritten(model: Model, sparsity: float, all_convolutions: bool) -> Any:
    model = model._replace(proto=inferred(model.proto))
    proto = model.proto
    if any(imported.domain == DOMAIN and imported.version != VERSION for imported in proto.opset_import):
        raise ValueError(f"the model has operators of {DOMAIN} of another version than {VERSION}")
    graph, sizes = EditedGraph(proto.graph, Constants(model)), sizes_of(proto)
    for node, layer in chosen(graph, sizes, sparsity, all_convolutions):
        resize = graph.resized(node, layer, sizes)
        if resize is None:
            graph.replace(node, layer)
        else:
            graph.replace_behind(node, layer, resize, sizes)
    graph.take_shuffles()
    restore(model, graph.finish())
    proto.ir_version = max(proto.ir_version, _FORMAT)
    if DOMAIN not in {imported.domain for imported in proto.opset_import}:
        proto.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))
    return proto
