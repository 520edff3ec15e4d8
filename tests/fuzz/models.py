# SPDX-License-Identifier: BSD-3-Clause
"""Models of ONNX to begin with: its own test cases, pieces of real networks, and what its users' exporters write."""

from __future__ import annotations

import functools
import os
import pathlib
import warnings
from typing import Any

import numpy as np

try:
    import onnx
    import onnxscript  # noqa: F401  # without it no model is read

    INSTALLED = True
except ImportError:
    INSTALLED = False

REAL = ["onnx/mnist.onnx", "onnx/version-slim-320.onnx"]
REAL += [f"sparse_networks/tfl/{name}.onnx" for name in
         ("pose_detection", "hand_landmark_sparse", "face_detection_full_range_sparse")]  # fmt: skip
MOST_BYTES = 200_000  # of a model that is mutated
MOST_WEIGHTS = 20_000  # bytes of an initializer of a piece; longer ones make its nodes unfit


@functools.cache
def cases() -> list[bytes]:
    """ONNX's own cases: of each operator, and small networks of exporters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the cases of types that NumPy has not
        from onnx.backend.test.loader import load_model_tests

        held = [case.model for case in load_model_tests(kind="node") if case.model is not None]
        folders = [case.model_dir for kind in ("pytorch-converted", "pytorch-operator", "simple")
                   for case in load_model_tests(kind=kind)]  # fmt: skip
    found = [model.SerializeToString() for model in held]
    found += [(pathlib.Path(folder) / "model.onnx").read_bytes() for folder in folders if folder is not None]
    return [data for data in found if len(data) <= MOST_BYTES]


@functools.cache
def networks() -> list[Any]:
    """Real ones, with shapes that can be inferred: of the data folder, and those that onnx brings without weights."""
    folder = pathlib.Path(os.environ.get("COMPLSPARSE_DATA", "shared/data"))
    light = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    paths = [path for path in (*(folder / name for name in REAL), *sorted(light.glob("*.onnx"))) if path.is_file()]
    return [onnx.shape_inference.infer_shapes(onnx.load(path)) for path in paths]


def prepare() -> None:
    """What takes time and memory once."""
    if INSTALLED:
        import complsparse.onnx._weighted  # noqa: F401  # and all that it needs

        cases()
        networks()


def drawn(rng: np.random.Generator) -> Any:
    """A model that is as it should be."""
    if rng.random() < 0.5:
        found = cases()
        return onnx.ModelProto.FromString(found[int(rng.integers(len(found)))])
    model = piece(rng) if rng.random() < 0.6 else layers(rng)
    if rng.random() < 0.3:
        sparsify(rng, model)
    return model


def piece(rng: np.random.Generator) -> Any:
    """Some nodes of a real network in their order, without large weights."""
    whole = networks()[int(rng.integers(len(networks())))]
    graph = whole.graph
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]  # stand-ins for large weights
    held = {tensor.name: tensor for tensor in graph.initializer}
    kinds = {value.name: value for value in (*graph.input, *graph.value_info)}
    begin = int(rng.integers(len(nodes)))
    chosen = nodes[begin : begin + int(rng.integers(1, 9))]
    written = {name for node in chosen for name in node.output if name}
    reads = dict.fromkeys(name for node in chosen for name in node.input if name and name not in written)
    constants = [held[name] for name in reads if name in held and held[name].ByteSize() <= MOST_WEIGHTS]
    small = {tensor.name for tensor in constants}
    inputs = [kinds.get(name) or onnx.helper.make_empty_tensor_value_info(name) for name in reads if name not in small]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in chosen[-1].output if name]
    made = onnx.helper.make_graph(chosen, "piece", inputs, outputs, constants)
    return onnx.helper.make_model(made, opset_imports=list(whole.opset_import), ir_version=8)


def layers(rng: np.random.Generator) -> Any:
    """Products, convolutions and recurrent layers with sparse weights, and what stands behind them."""
    n, k, inner = (int(size) for size in rng.integers(2, 20, 3))

    def weights(*shape: int) -> Any:
        return (rng.standard_normal(shape) * (rng.random(shape) < 0.2)).astype(np.float32)

    what, batch = int(rng.integers(4)), str(rng.choice(["n", "2"]))
    if what == 0:
        x, y, held = [batch, k], [batch, n], {"w": weights(k, inner), "b": weights(inner), "v": weights(inner, n)}
        nodes = "h = MatMul(x, w) a = Add(h, b) r = Relu(a) y = MatMul(r, v)"
    elif what == 1:
        x, y, held = [batch, k], [batch, n], {"w": weights(n, k), "b": weights(n)}
        nodes = "h = Gemm<transB = 1, alpha = 0.5>(x, w, b) y = Gelu(h)"
    elif what == 2:
        x, y, held = [batch, k, 9, 7], [batch, n, "h", "w"], {"w": weights(n, k, 3, 3), "b": weights(n)}
        nodes = "h = Conv<pads = [1, 1, 1, 1]>(x, w, b) y = Relu(h)"
    else:
        x, y, held = [3, batch, k], [3, 1, batch, n], {"w": weights(1, 3 * n, k), "r": weights(1, 3 * n, n)}
        nodes = f"y = GRU<hidden_size = {n}>(x, w, r)"
    text = f"g (float[{', '.join(map(str, x))}] x) => (float[{', '.join(map(str, y))}] y) {{ {nodes} }}"
    graph = onnx.parser.parse_graph(text)
    graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in held.items())
    return onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 21)])


def sparsify(rng: np.random.Generator, model: Any) -> None:
    """An initializer becomes a sparse one."""
    graph = model.graph
    if not graph.initializer:
        return
    at = int(rng.integers(len(graph.initializer)))
    name, shape = graph.initializer[at].name, [n for n in graph.initializer[at].dims if 0 <= n < 100] or [4]
    try:
        array = onnx.numpy_helper.to_array(graph.initializer[at])
    except Exception:  # it was damaged already
        array = np.eye(*shape[:2], dtype=np.float32).reshape(-1)
    places, flat = np.flatnonzero(array), rng.random() < 0.5 or not array.ndim
    indices = places if flat else np.stack(np.unravel_index(places, array.shape), axis=1)
    values = onnx.numpy_helper.from_array(array.ravel()[places], name)
    where = onnx.numpy_helper.from_array(indices.astype(np.int64), "")
    del graph.initializer[at]
    graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, where, array.shape))
