# SPDX-License-Identifier: BSD-3-Clause
"""Small models of ONNX, for tests that have imported onnx."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import complsparse as cs


def tensor(name, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model_of(nodes, inputs, outputs, opset=21, **arrays):
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def sparse(rows, cols, density=0.1):
    return cs.random((rows, cols), density=density, rng=0).toarray()


def sparse_proto(array, name="w", flat=True):
    """An array as a sparse tensor."""
    places = np.flatnonzero(array)
    indices = places if flat else np.stack(np.unravel_index(places, array.shape), axis=1)
    values = numpy_helper.from_array(np.ascontiguousarray(array).ravel()[places], name)
    return helper.make_sparse_tensor(values, numpy_helper.from_array(indices.astype(np.int64), ""), array.shape)


def with_sparse(model, name, flat=True):
    """The same model, with a sparse initializer in the place of a dense one."""
    held = model.graph.initializer
    at = next(i for i, tensor in enumerate(held) if tensor.name == name)
    made = type(model).FromString(model.SerializeToString())
    made.graph.sparse_initializer.append(sparse_proto(numpy_helper.to_array(held[at]), name, flat))
    del made.graph.initializer[at]
    return made
