# SPDX-License-Identifier: BSD-3-Clause
"""Models of ONNX as networks: real ones against ONNX Runtime, what is recognised, and what ONNX Runtime runs."""

import sys

import numpy as np
import pytest
import scipy.sparse

import complsparse as cs

onnx = pytest.importorskip("onnx", reason="not run: onnx is not installed")
pytest.importorskip("onnxscript", reason="not run: onnxscript is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_models import draw, model_of, sparse, tensor, with_sparse  # noqa: E402


def kinds(net):
    return [type(layer).__name__ for layer in net.layers]


def by_runtime(model, *xs):
    runtime = pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    source = model if isinstance(model, str) else model.SerializeToString()
    session = runtime.InferenceSession(source, providers=["CPUExecutionProvider"])
    return session.run(None, {given.name: x for given, x in zip(session.get_inputs(), xs, strict=True)})


# --- attention --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_an_encoder_layer(samples, masked):
    """As exporters write it out: heads are moved by no step, and attention is one."""
    heads, width, inner, n = 4, 32, 64, 9
    w = {name: draw(width, width, seed=i) / 8 for i, name in enumerate("qkvo")}
    w |= {"up": sparse(width, inner), "down": sparse(inner, width), "gain": draw(width), "add": draw(width)}
    w |= {"by_head": np.array([0, -1, heads, width // heads]), "together": np.array([0, -1, width])}
    w |= {"root": np.float32(0.6), "mask": np.where(np.tri(n), 0, -100).astype(np.float32)}
    node, nodes = helper.make_node, []
    for part, axes in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [
            node("MatMul", ["x", part], [f"{part}1"]), node("Reshape", [f"{part}1", "by_head"], [f"{part}2"]),
            node("Transpose", [f"{part}2"], [f"{part}3"], perm=axes),
        ]  # fmt: skip
    nodes += [
        node("Mul", ["q3", "root"], ["q4"]), node("Mul", ["k3", "root"], ["k4"]), node("MatMul", ["q4", "k4"], ["s1"]),
        node("Add", ["s1", "mask"], ["s2"]) if masked else node("Identity", ["s1"], ["s2"]),
        node("Softmax", ["s2"], ["s3"], axis=-1), node("MatMul", ["s3", "v3"], ["a1"]),
        node("Transpose", ["a1"], ["a2"], perm=[0, 2, 1, 3]), node("Reshape", ["a2", "together"], ["a3"]),
        node("MatMul", ["a3", "o"], ["a4"]), node("Add", ["x", "a4"], ["a5"]),
        node("LayerNormalization", ["a5", "gain", "add"], ["h"], epsilon=1e-12),
        node("MatMul", ["h", "up"], ["f1"]), node("Gelu", ["f1"], ["f2"]), node("MatMul", ["f2", "down"], ["f3"]),
        node("Add", ["h", "f3"], ["f4"]), node("LayerNormalization", ["f4", "gain", "add"], ["y"], epsilon=1e-12),
    ]  # fmt: skip
    model = model_of(nodes, [tensor("x", None, n, width)], [tensor("y", None, n, width)], opset=20, **w)
    net, x = cs.onnx.load(model), draw(samples, n, width, seed=9)
    kernels = [step.kernel for step in net.plan(x.shape).steps]
    assert kernels.count("gemm softmax gemm") == 1
    assert not [kernel for kernel in kernels if kernel.startswith("numpy")]
    np.testing.assert_allclose(net(x), by_runtime(model, x)[0], rtol=1e-4, atol=1e-5)


# --- real networks ----------------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "n_packed"),
    [("pose_detection", 38), ("hand_landmark_sparse", 30), ("face_detection_full_range_sparse", 46)],
)
def test_mediapipe(data_folder, name, n_packed):
    path = str(data_folder / "sparse_networks" / "tfl" / f"{name}.onnx")
    net = cs.onnx.load(path)
    packed = [layer for layer in net.layers if isinstance(getattr(layer, "W", None), cs.ComplementaryMatrix)]
    assert len(packed) == n_packed
    size = 192 if name.startswith("face") else 224
    x = np.random.default_rng(0).random((1, 3, size, size), dtype=np.float32)
    for y, expected in zip(net(x), by_runtime(path, x), strict=True):
        assert y.shape == expected.shape
        # Outputs of a sigmoid are held against its range.
        assert np.abs(y - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.data
@pytest.mark.parametrize("name", ["pose_detection", "hand_landmark_sparse", "face_detection_full_range_sparse"])
def test_mediapipe_in_float32_and_float64(data_folder, name):
    """Small outputs of sigmoids too: each is held against its own largest entry, in the numbers of a wider type."""
    path = str(data_folder / "sparse_networks" / "tfl" / f"{name}.onnx")
    net = cs.onnx.load(path)
    size = 192 if name.startswith("face") else 224
    x = np.random.default_rng(1).standard_normal((1, 3, size, size)).astype(np.float32)
    for y, wider, expected in zip(net(x), net(x.astype(np.float64)), by_runtime(path, x), strict=True):
        assert wider.dtype == np.float64
        assert np.abs(y - wider).max() <= 1e-5 * np.abs(wider).max()
        assert np.abs(expected - wider).max() <= 1e-4 * np.abs(wider).max()


@pytest.mark.data
@pytest.mark.parametrize(("name", "shape"), [("mnist", (1, 1, 28, 28)), ("version-slim-320", (1, 3, 240, 320))])
def test_dense_networks(data_folder, name, shape):
    path = str(data_folder / "onnx" / f"{name}.onnx")
    net = cs.onnx.load(path)
    assert not [layer for layer in net.layers if isinstance(getattr(layer, "W", None), cs.ComplementaryMatrix)]
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = net(x)
    for y, expected in zip(found if isinstance(found, tuple) else (found,), by_runtime(path, x), strict=True):
        assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_sparse_tensor", [False, True])
@pytest.mark.parametrize(("block", "kept"), [((8, 4), 0.97), ((4, 4), 0.96), ((1, 1), 0.97), ((4, 4), 0.9)])
def test_blocks_that_lack_some_entries(block, kept, is_sparse_tensor):
    """Weights that were pruned in blocks, and rounded, multiply as blocks; where too many are zeros, as they are."""
    rng = np.random.default_rng(3)
    W = cs.random((64, 96), density=0.25, block=block, balanced=False, rng=rng).toarray()
    W[rng.random(W.shape) > kept] = 0
    if is_sparse_tensor:
        at = np.flatnonzero(W)
        given = {}
    else:
        given = {"w": W}
    model = model_of([helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)], [tensor("x", None, 96)],
                     [tensor("y", None, 64)], **given)  # fmt: skip
    if is_sparse_tensor:
        values, places = numpy_helper.from_array(W.ravel()[at], "w"), numpy_helper.from_array(at)
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, W.shape))
    (layer,) = cs.onnx.load(model).layers
    is_whole = kept > 0.95 and block != (1, 1)
    assert layer.W.block == (block if is_whole else (1, 1))
    assert (layer.W.nnz > np.count_nonzero(W)) == is_whole
    np.testing.assert_array_equal(layer.W.toarray(), W)
    x = draw(5, 96)
    np.testing.assert_allclose(layer(x), x @ W.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("density", "is_packed"), [(0.1, True), (0.25, True), (0.5, False)])
def test_weights_are_packed_from_the_threshold_on(density, is_packed):
    W, b = sparse(64, 32, density), draw(64)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)]
    net = cs.onnx.load(model_of(nodes, [tensor("x", None, 32)], [tensor("y", None, 64)], w=W, b=b))
    (layer,) = net.layers
    assert isinstance(layer.W, cs.ComplementaryMatrix) == is_packed
    x = draw(3, 32)
    np.testing.assert_allclose(net(x), x @ W.T + b, rtol=1e-4, atol=1e-5)
    (other,) = cs.onnx.load(model_of(nodes, [tensor("x", None, 32)], [tensor("y", None, 64)], w=W, b=b),
                            sparsity=0.99).layers  # fmt: skip
    assert isinstance(other.W, np.ndarray)


@pytest.mark.parametrize("flat", [True, False], ids=["places", "pairs"])
@pytest.mark.parametrize("where", ["initializer", "constant"])
def test_sparse_tensors_are_read_as_they_are(flat, where):
    """They are dropped by onnx_ir and refused by onnx.reference."""
    W = scipy.sparse.csr_array(sparse(64, 32)).tocoo()
    places = (W.row * 32 + W.col if flat else np.stack([W.row, W.col], axis=1)).astype(np.int64)
    value = helper.make_sparse_tensor(
        numpy_helper.from_array(W.data, "w"), numpy_helper.from_array(places, "w_indices"), [64, 32]
    )
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)]
    if where == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["w"], sparse_value=value))
    model = model_of(nodes, [tensor("x", None, 32)], [tensor("y", None, 64)])
    if where == "initializer":
        model.graph.sparse_initializer.append(value)
    net = cs.onnx.load(model)
    assert isinstance(net.layers[0].W, cs.ComplementaryMatrix)
    x = draw(3, 32)
    np.testing.assert_allclose(net(x), x @ W.toarray().T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("flat", [True, False], ids=["places", "pairs"])
@pytest.mark.parametrize("kind", ["MatMul", "Gemm", "Conv", "GRU"])
def test_sparse_initializers_of_each_layer(kind, flat):
    """Packed as the dense ones are, without having been written out."""
    w, given, x = {
        "MatMul": (sparse(32, 64), {}, draw(3, 32)),
        "Gemm": (sparse(32, 64), {"alpha": 0.5}, draw(3, 32)),
        "Conv": (sparse(12, 8 * 9).reshape(12, 8, 3, 3), {"pads": [1, 1, 1, 1]}, draw(2, 8, 5, 6)),
        "GRU": (np.stack([sparse(3 * 16, 24)] * 2), {"hidden_size": 16, "direction": "bidirectional"}, draw(4, 2, 24)),
    }[kind]
    more = {"r": draw(2, 3 * 16, 16) / 4} if kind == "GRU" else {}
    nodes = [helper.make_node(kind, ["x", "w", *more], ["y"], **given)]
    dense = model_of(nodes, [tensor("x", *x.shape)], [tensor("y", *[None] * (4 if x.ndim > 2 else 2))], w=w, **more)
    nets = [cs.onnx.load(model) for model in (dense, with_sparse(dense, "w", flat))]
    for net in nets:
        packed = [layer.W for layer in net.layers if hasattr(layer, "W")]
        assert packed
        assert all(isinstance(W, cs.ComplementaryMatrix) for W in packed)
    (of_dense, of_sparse), (y, wanted) = nets, (net(x) for net in nets[::-1])
    np.testing.assert_array_equal(y, wanted)
    if kind == "Conv":
        assert of_sparse.layers[0].W.filter_shape == of_dense.layers[0].W.filter_shape == w.shape


def test_sparse_tensors_too_large_to_write_out():
    """They would take 4 TB."""
    n = 2**20
    values, places = (
        numpy_helper.from_array(np.ones(1, np.float32), "w"),
        numpy_helper.from_array(np.array([n + 2]), ""),
    )
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], [tensor("x", None, n)], [tensor("y", None, n)])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [n, n]))
    y = cs.onnx.load(model)(np.arange(n, dtype=np.float32)[None])
    assert (y[0, 2], np.count_nonzero(y)) == (1, 1)


def test_external_data(tmp_path):
    W = sparse(64, 32)
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], [tensor("x", None, 32)],
                     [tensor("y", None, 64)], w=np.ascontiguousarray(W.T))  # fmt: skip
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    x = draw(3, 32)
    np.testing.assert_allclose(cs.onnx.load(path)(x), x @ W.T, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="pass the model's path"):
        cs.onnx.load(onnx.load(path, load_external_data=False))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "link/weights.bin", "", "."])
def test_external_data_stays_in_the_folder(tmp_path, location):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(32))
    (tmp_path / "outside" / "weights.bin").write_bytes(bytes(32))
    (inside / "link").symlink_to(tmp_path / "outside")
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])], [tensor("x", 8)], [tensor("y", 8)])
    held = model.graph.initializer.add(name="w", dims=[8], data_type=TensorProto.FLOAT,
                                       data_location=TensorProto.EXTERNAL)  # fmt: skip
    held.external_data.add(key="location", value=location)
    (inside / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"not within the model's folder|not a regular file|has \d+ bytes"):
        cs.onnx.load(inside / "model.onnx")


# --- operator sets ----------------------------------------------------------------------------------------------------


def in_the_words_of(opset):
    """Operators whose attributes became inputs, or whose defaults changed: nodes, and constants."""
    make, held = helper.make_node, {"w": sparse(6, 32), "up": np.float32([1, 1, 2])}
    small = {"axes": [0], "last": [-1], "start": [1], "end": [4], "pads": [0, 1, 0, 0, 0, 2], "parts": [2, 1]}
    held |= {name: np.array(value) for name, value in small.items()}
    held |= {"roi": np.zeros(0, np.float32), "low": np.float32(-0.5), "high": np.float32(0.5), "two": np.float32(2)}
    held |= {name: draw(4, seed=i) for i, name in enumerate(("scale", "shift", "mean"))} | {
        "var": np.float32([1, 2, 3, 4])
    }

    def either(since, kind, of_input, of_attribute, to, inputs, **attributes):
        if opset >= since:
            return make(kind, [of_input, *inputs], to)
        return make(kind, [of_attribute], to, **attributes)

    nodes = [
        make("BatchNormalization", ["x", "scale", "shift", "mean", "var"], ["a"]),
        either(11, "Clip", "a", "a", ["b"], ["low", "high"], min=-0.5, max=0.5),
        make("Softmax", ["b"], ["c"]),
        either(13, "Unsqueeze", "c", "c", ["d"], ["axes"], axes=[0]),
        either(13, "Squeeze", "d", "d", ["e"], ["axes"], axes=[0]),
        make("Slice", ["e", "start", "end", "last"], ["f"]) if opset >= 10
        else make("Slice", ["e"], ["f"], axes=[2], starts=[1], ends=[4]),
        either(11, "Pad", "f", "f", ["g"], ["pads", "two"], pads=small["pads"], value=2.0),
        either(13, "Split", "f", "f", ["h", "i"], ["parts"], split=[2, 1], axis=2),
        either(18, "ReduceMean", "g", "g", ["j"], ["last"], axes=[-1] if opset >= 11 else [2]),
        make("MatMul", ["x", "w"], ["k"]),
        make("Dropout", ["k"], ["l"]),
    ]  # fmt: skip
    if opset >= 13:
        nodes[7].attribute.append(helper.make_attribute("axis", 2))
    if opset < 9:
        nodes.append(make("Upsample", ["l"], ["m"], scales=[1.0, 1.0, 2.0]))
    elif opset == 10:
        nodes.append(make("Resize", ["l", "up"], ["m"]))
    elif opset == 9:
        nodes.append(make("Upsample", ["l", "up"], ["m"]))
    else:
        nodes.append(make("Resize", ["l", "roi", "up"], ["m"]))
    used = {name for node in nodes for name in node.input}
    return nodes, {name: array for name, array in held.items() if name in used}


@pytest.mark.parametrize("opset", range(7, 22))
def test_operator_sets(opset):
    """Of samples of any number, without being read again."""
    nodes, arrays = in_the_words_of(opset)
    outputs = [helper.make_empty_tensor_value_info(name) for name in "cghijm"]
    model = model_of(nodes, [tensor("x", "n", 4, 6)], outputs, opset=opset, **arrays)
    net = cs.onnx.load(model)
    assert any(isinstance(getattr(layer, "W", None), cs.ComplementaryMatrix) for layer in net.layers)
    for n in (1, 3):
        x = draw(n, 4, 6, seed=n)
        for y, expected in zip(net(x), by_runtime(model, x), strict=True):
            np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)


# --- what is recognised -----------------------------------------------------------------------------------------------


def written_out(kind):
    """Nodes, and the layer that they are."""
    make = helper.make_node
    if kind == "gelu":
        return [make("Div", ["x", "root"], ["a"]), make("Erf", ["a"], ["b"]), make("Add", ["b", "one"], ["c"]),
                make("Mul", ["x", "c"], ["d"]), make("Mul", ["d", "half"], ["y"])], ["GELU"]  # fmt: skip
    if kind == "silu":
        return [make("Sigmoid", ["x"], ["a"]), make("Mul", ["a", "x"], ["y"])], ["SiLU"]
    if kind == "hard swish":
        return [make("Add", ["x", "three"], ["a"]), make("Clip", ["a", "zero", "six"], ["b"]),
                make("Mul", ["x", "b"], ["c"]), make("Div", ["c", "six"], ["y"])], ["HardSwish"]  # fmt: skip
    if kind == "hard sigmoid":
        return [make("HardSigmoid", ["x"], ["a"], alpha=1 / 6, beta=0.5), make("Mul", ["x", "a"], ["y"])], ["HardSwish"]
    square = make("Pow", ["d", "two"], ["s"]) if kind == "norm by pow" else make("Mul", ["d", "d"], ["s"])
    return [make("ReduceMean", ["x"], ["m"], axes=[-1]), make("Sub", ["x", "m"], ["d"]), square,
            make("ReduceMean", ["s"], ["v"], axes=[-1]), make("Add", ["v", "eps"], ["e"]), make("Sqrt", ["e"], ["r"]),
            make("Div", ["d", "r"], ["n"]), make("Mul", ["n", "weight"], ["g"]),
            make("Add", ["g", "bias"], ["y"])], ["LayerNorm"]  # fmt: skip


@pytest.mark.parametrize("kind", ["gelu", "silu", "hard swish", "hard sigmoid", "norm by pow", "norm by mul"])
def test_written_out(kind):
    nodes, expected = written_out(kind)
    numbers = {"root": 2**0.5, "one": 1, "half": 0.5, "three": 3, "zero": 0, "six": 6, "two": 2, "eps": 1e-5}
    used = {name for node in nodes for name in node.input}
    arrays = {name: np.array(value, dtype=np.float32) for name, value in numbers.items() if name in used}
    if "weight" in used:
        arrays |= {"weight": draw(16, seed=1), "bias": draw(16, seed=2)}
    model = model_of(nodes, [tensor("x", None, 16)], [tensor("y", None, 16)], opset=14, **arrays)
    net = cs.onnx.load(model)
    assert kinds(net) == expected
    x = draw(5, 16)
    np.testing.assert_allclose(net(x), by_runtime(model, x)[0], rtol=1e-4, atol=1e-5)


def test_convolutions_take_what_is_behind_them():
    """A bias written out, a batch norm and an activation: one step."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]), helper.make_node("Add", ["a", "b"], ["c"]),
             helper.make_node("BatchNormalization", ["c", "s", "o", "m", "v"], ["d"]),
             helper.make_node("Relu", ["d"], ["y"])]  # fmt: skip
    arrays = {"w": draw(8, 3, 3, 3), "b": draw(8, 1, 1), "s": draw(8, seed=1), "o": draw(8, seed=2),
              "m": draw(8, seed=3), "v": np.abs(draw(8, seed=4)) + 1}  # fmt: skip
    model = model_of(nodes, [tensor("x", None, 3, 9, 9)], [tensor("y", None, 8, 9, 9)], **arrays)
    net = cs.onnx.load(model)
    for n in (1, 2):
        x = draw(n, 3, 9, 9)
        np.testing.assert_allclose(net(x), by_runtime(model, x)[0], rtol=1e-3, atol=1e-4)
    assert len(net.plan((2, 3, 9, 9)).steps) == 1


def test_linear_layers_of_transformers():
    """A product of three axes and its bias, and a shape that follows from the input's."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["b", "a"], ["c"]),
             helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Slice", ["s", "zero", "two"], ["t"]),
             helper.make_node("Concat", ["t", "heads"], ["u"], axis=0), helper.make_node("Reshape", ["c", "u"], ["d"]),
             helper.make_node("Transpose", ["d"], ["y"], perm=[0, 2, 1, 3])]  # fmt: skip
    arrays = {"w": draw(16, 24), "b": draw(24), "zero": np.array([0]), "two": np.array([2]), "heads": np.array([4, 6])}
    model = model_of(nodes, [tensor("x", None, None, 16)], [tensor("y", None, 4, None, 6)], **arrays)
    net = cs.onnx.load(model)
    assert kinds(net)[0] == "Linear"
    for shape in ((1, 5, 16), (3, 2, 16)):
        x = draw(*shape)
        np.testing.assert_allclose(net(x), by_runtime(model, x)[0], rtol=1e-4, atol=1e-5)


def test_inputs_that_are_always_the_same():
    nodes = [helper.make_node("Expand", ["x", "shape"], ["y"])]
    model = model_of(nodes, [tensor("x", None, 1), tensor("shape", 2, kind=TensorProto.INT64)], [tensor("y", None, 3)])
    x = draw(2, 1)
    np.testing.assert_array_equal(cs.onnx.load(model, constants={"shape": [2, 3]})(x), np.repeat(x, 3, axis=1))
    with pytest.raises(ValueError, match="known before"):
        cs.onnx.load(model)(x, np.array([2, 3]))
    with pytest.raises(ValueError, match="not one of the inputs x, shape"):
        cs.onnx.load(model, constants={"size": 1})


@pytest.mark.parametrize("way", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("kind", "gates"), [("GRU", 3), ("LSTM", 4)])
def test_recurrent_layers(kind, gates, way):
    """Of sparse weights of inputs, and dense ones of states, from given states on."""
    n, both = 16, 2 if way == "bidirectional" else 1
    begin = ["h", "c"][: gates - 2]
    nodes = [helper.make_node(kind, ["x", "w", "r", "b", "", *begin], ["y", *(s + "n" for s in begin)],
                              hidden_size=n, direction=way)]  # fmt: skip
    arrays = {"w": np.stack([sparse(gates * n, 24)] * both), "r": draw(both, gates * n, n, seed=1) / 4,
              "b": draw(both, 2 * gates * n, seed=2)}  # fmt: skip
    states = [tensor(s, both, None, n) for s in begin]
    model = model_of(nodes, [tensor("x", None, None, 24), *states],
                     [tensor("y", None, both, None, n), *(tensor(s + "n", both, None, n) for s in begin)],
                     **arrays)  # fmt: skip
    net = cs.onnx.load(model)
    layers = [layer for layer in net.layers if type(layer).__name__ == kind]
    assert len(layers) == both
    assert all(isinstance(layer.W, cs.ComplementaryMatrix) and isinstance(layer.R, np.ndarray) for layer in layers)
    xs = [draw(5, 2, 24), *(draw(both, 2, n, seed=3 + i) for i in range(len(begin)))]
    for y, expected in zip(net(*xs), by_runtime(model, *xs), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_recurrent_layers_of_several_lengths():
    nodes = [helper.make_node("GRU", ["x", "w", "r", "", "n"], ["y"], hidden_size=6)]
    model = model_of(nodes, [tensor("x", 5, 2, 8), tensor("n", 2, kind=TensorProto.INT32)], [tensor("y", 5, 1, 2, 6)],
                     w=draw(1, 18, 8), r=draw(1, 18, 6, seed=1))  # fmt: skip
    xs = draw(5, 2, 8), np.array([5, 3], dtype=np.int32)
    np.testing.assert_allclose(cs.onnx.load(model)(*xs), by_runtime(model, *xs)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("by", ["scales", "sizes"])
@pytest.mark.parametrize(
    ("mode", "how"),
    [("nearest", "asymmetric"), ("linear", "half_pixel"), ("linear", "align_corners"), ("cubic", "pytorch_half_pixel")],
)
def test_images_of_other_sizes(mode, how, by):
    given = {"scales": np.array([1, 1, 2, 3], np.float32)} if by == "scales" else {"sizes": np.array([2, 3, 10, 21])}
    inputs = ["x", "", "scales"] if by == "scales" else ["x", "", "", "sizes"]
    nodes = [helper.make_node("Resize", inputs, ["y"], mode=mode, coordinate_transformation_mode=how)]
    model = model_of(nodes, [tensor("x", 2, 3, 5, 7)], [tensor("y", 2, 3, 10, 21)], opset=18, **given)
    net, x = cs.onnx.load(model), draw(2, 3, 5, 7)
    assert kinds(net) == ["Resize"]
    np.testing.assert_allclose(net(x), by_runtime(model, x)[0], rtol=1e-4, atol=1e-5)


def test_transposed_convolutions():
    given = {"strides": [2, 1], "pads": [1, 0, 0, 2], "output_padding": [1, 0], "dilations": [1, 2], "group": 2}
    nodes = [helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], **given)]
    model = model_of(nodes, [tensor("x", None, 4, 5, 6)], [tensor("y", None, 6, None, None)],
                     w=draw(4, 3, 3, 2), b=draw(6))  # fmt: skip
    net, x = cs.onnx.load(model), draw(2, 4, 5, 6)
    assert kinds(net) == ["ConvTranspose"]
    np.testing.assert_allclose(net(x), by_runtime(model, x)[0], rtol=1e-4, atol=1e-5)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_all_missing_operators_in_one_error():
    nodes = [helper.make_node("Det", ["x"], ["a"], name="first"), helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("Det", ["b"], ["c"], name="second"),
             helper.make_node("Odd", ["c"], ["y"], domain="org.example", name="third")]  # fmt: skip
    with pytest.raises(ValueError, match=r"2 operators.*Det: 'first' \(Det\), 'second'.*org.example.Odd: 'third'"):
        cs.onnx.load(model_of(nodes, [tensor("x", 4, 4)], [tensor("y", 4, 4)]))


# --- what ONNX Runtime runs -------------------------------------------------------------------------------------------


def with_unknown():
    """Det twice, one behind the other's result, and a node of the table beside them."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Det", ["a"], ["b"], name="first"),
        helper.make_node("Relu", ["a"], ["c"]),
        helper.make_node("GlobalLpPool", ["d"], ["e"], name="norm", p=2),
        helper.make_node("Exp", ["b"], ["f"]),
        helper.make_node("Unsqueeze", ["f", "last"], ["u"]),
        helper.make_node("Mul", ["c", "u"], ["g"]),
        helper.make_node("Det", ["g"], ["y"], name="second"),
        helper.make_node("Add", ["e", "bias"], ["z"]),
    ]
    nodes.insert(3, helper.make_node("Neg", ["x"], ["d"]))
    return model_of(nodes, [tensor("x", None, 3, 4, 4)], [tensor("y", None, 3), tensor("z", None, 3, 1, 1)],
                    w=draw(4, 4), bias=draw(1), last=np.array([2, 3]))  # fmt: skip


def parts_of(net):
    return [[op.name for op in layer.ops] for layer in net.layers if type(layer).__name__ == "ONNXRuntime"]


def test_onnxruntime_runs_what_is_not_known():
    pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    nodes = [helper.make_node("Gemm", ["x", "w"], ["a"], transB=1), helper.make_node("Reshape", ["a", "s"], ["b"]),
             helper.make_node("Det", ["b"], ["c"], name="middle"), helper.make_node("Relu", ["c"], ["y"])]  # fmt: skip
    model = model_of(nodes, [tensor("x", None, 32)], [tensor("y", None)], w=sparse(64, 32), s=np.array([-1, 8, 8]))
    with pytest.raises(ValueError, match="1 operators are not known here: Det"):
        cs.onnx.load(model)
    net = cs.onnx.load(model, fallback="onnxruntime")
    assert isinstance(net.layers[0].W, cs.ComplementaryMatrix)
    assert parts_of(net) == [["middle"]]
    summary = net.summary((2, 32))
    assert "ONNXRuntime" in summary
    assert "middle" in summary
    for n in (1, 3):
        x = draw(n, 32)
        np.testing.assert_allclose(net(x), by_runtime(model, x)[0], rtol=1e-3, atol=1e-5)


def test_parts_are_as_large_as_their_order_lets_them_be():
    """What reads nothing of the first part joins it; what reads it through a known node does not."""
    pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    model, x = with_unknown(), draw(2, 3, 4, 4)
    net = cs.onnx.load(model, fallback="onnxruntime")
    assert parts_of(net) == [["first", "norm"], ["second"]]
    for y, expected in zip(net(x), by_runtime(model, x), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-5)


def test_graphs_in_nodes_read_values_of_the_network():
    pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    branches = {
        f"{name}_branch": helper.make_graph([helper.make_node(kind, ["a", "two"], [name])], name, [],
                                            [tensor(name, None, 4)])
        for name, kind in (("then", "Mul"), ("else", "Sub"))
    }  # fmt: skip
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
             helper.make_node("Greater", ["s", "zero"], ["is_large"]),
             helper.make_node("If", ["is_large"], ["b"], name="either", **branches),
             helper.make_node("Neg", ["b"], ["y"])]  # fmt: skip
    model = model_of(nodes, [tensor("x", None, 4)], [tensor("y", None, 4)], two=np.float32([2]), zero=np.float32(0))
    net = cs.onnx.load(model, fallback="onnxruntime")
    assert parts_of(net) == [["either"]]
    for x in (np.abs(draw(2, 4)), -np.abs(draw(2, 4))):
        np.testing.assert_allclose(net(x), by_runtime(model, x)[0], rtol=1e-5)


@pytest.mark.parametrize("batch", [None, 2])
def test_forms_that_are_not_known_run_elsewhere(batch):
    """A node of a known operator, refused when it is built or when its shape is asked for, joins unknown ones."""
    pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    form = {"mode": "nearest", "coordinate_transformation_mode": "tf_half_pixel_for_nn"}
    nodes = [helper.make_node("Gemm", ["x", "w"], ["a"], transB=1),
             helper.make_node("Reshape", ["a", "shape"], ["b"]),
             helper.make_node("Resize", ["b", "none", "scales"], ["c"], name="larger", **form),
             helper.make_node("GlobalLpPool", ["c"], ["d"], name="pool", p=2),
             helper.make_node("Relu", ["d"], ["e"]),
             helper.make_node("Resize", ["e", "none", "scales"], ["y"], name="again", **form)]  # fmt: skip
    model = model_of(nodes, [tensor("x", batch, 32)], [tensor("y", batch, 4, 2, 2)], opset=12, w=sparse(64, 32),
                     shape=np.array([-1, 4, 4, 4]), none=np.zeros(0, np.float32),
                     scales=np.array([1, 1, 2, 2], np.float32))  # fmt: skip
    with pytest.raises(ValueError, match="1 operators are not known here: GlobalLpPool"):
        cs.onnx.load(model)
    net, x = cs.onnx.load(model, fallback="onnxruntime"), draw(2, 32)
    assert isinstance(net.layers[0].W, cs.ComplementaryMatrix)
    assert parts_of(net) == [["larger", "pool"], ["again"]]
    np.testing.assert_allclose(net(x), by_runtime(model, x)[0], rtol=1e-4, atol=1e-5)


def test_what_nobody_runs_is_refused_in_our_words():
    pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], coordinate_transformation_mode="odd")]
    model = model_of(nodes, [tensor("x", 1, 1, 2, 2)], [tensor("y", 1, 1, 4, 4)],
                     scales=np.array([1, 1, 2, 2], np.float32))  # fmt: skip
    with pytest.raises(ValueError, match="coordinates='odd' is not one of"):
        cs.onnx.load(model, fallback="onnxruntime")


def test_fallbacks_that_cannot_be(monkeypatch):
    model = with_unknown()
    with pytest.raises(ValueError, match="fallback='numpy' is neither None nor 'onnxruntime'"):
        cs.onnx.load(model, fallback="numpy")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'complsparse\[onnxruntime\]'"):
        cs.onnx.load(model, fallback="onnxruntime")
    del model.graph.node[:]
    model.graph.node.extend([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])])
    cs.onnx.load(model, fallback="onnxruntime")  # it is not asked for


def test_onnxruntime_refuses_in_words():
    pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    model = model_of([helper.make_node("Odd", ["x"], ["y"], domain="org.example", name="third")],
                     [tensor("x", 4, 4)], [tensor("y", 4, 4)])  # fmt: skip
    model.opset_import.append(helper.make_opsetid("org.example", 1))
    with pytest.raises(ValueError, match=r"nodes 'third' \(org.example.Odd\): .*Odd"):
        cs.onnx.load(model, fallback="onnxruntime")


def test_arguments():
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], [tensor("x", 1)], [tensor("y", 1)])
    with pytest.raises(ValueError, match="sparsity=2"):
        cs.onnx.load(model, sparsity=2)
    with pytest.raises(FileNotFoundError):
        cs.onnx.load("/nowhere/model.onnx")


@pytest.mark.parametrize("bias", [None, np.arange(6, dtype=np.float32)])
def test_shapes_found_by_zeros_are_those_of_numbers(bias):
    """Where values are not known, operators get one zero for all entries, and some look at no other."""
    from complsparse.onnx._nodes import Op
    from complsparse.onnx._operators import OPERATORS

    def both(kind, attributes, shape, *others):
        op = Op("node", "", kind, 13, ("x", "w", "b"), ("y",), attributes)
        zeros = np.zeros(shape, np.float32)
        one = np.broadcast_to(np.float32(0), shape)
        return [OPERATORS["", kind].compute(op, x, *others) for x in (zeros, one)]

    w = np.ones((6, 2, 3, 2), np.float32)
    given = {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]}
    for a, b in (both("Conv", given, (3, 4, 9, 7), w, bias), both("LRN", {"size": 3}, (3, 4, 9, 7))):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
    w[0] = np.inf
    with np.errstate(invalid="ignore"):
        a, b = both("Conv", given, (3, 4, 9, 7), w, bias)
    assert np.array_equal(a, b, equal_nan=True)
    assert np.isnan(b).any()
