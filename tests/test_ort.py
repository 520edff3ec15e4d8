# SPDX-License-Identifier: BSD-3-Clause
"""Our operators inside ONNX Runtime: equal results, and refusals where a model is not what it should be."""

import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

import complsparse as cs

onnx = pytest.importorskip("onnx", reason="not run: onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
import onnx_models  # noqa: E402


def session_of(model, threads=1, ours=True):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if ours:
        cs.onnx.register(options)
    data = model if isinstance(model, (bytes, str)) else model.SerializeToString()
    return ort.InferenceSession(data, options, ["CPUExecutionProvider"])


def model_of(text, constants, opset=20):
    graph = onnx.parser.parse_graph(text)
    graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", opset)])
    onnx.checker.check_model(model)
    return model


def sparse_array(rng, shape, density=0.1):
    return np.where(rng.random(shape) < density, rng.standard_normal(shape), 0).astype(np.float32)


def ours_in(model):
    return [node.op_type for node in model.graph.node if node.domain == "ai.complsparse"]


def check(model, x, expected_ops, threads=1, sparsity=0.7):
    """The rewritten model gives what ONNX Runtime makes of the model as it was; returns it, and the result."""
    before = model.SerializeToString()
    rewritten = cs.onnx.rewrite(model, sparsity=sparsity, all_convolutions=True)
    assert model.SerializeToString() == before
    assert [node.op_type for node in rewritten.graph.node] == expected_ops
    onnx.checker.check_model(rewritten)
    wanted = session_of(model, ours=False).run(None, {"x": x})
    found = session_of(rewritten, threads).run(None, {"x": x})
    assert len(wanted) == len(found)
    for a, b in zip(wanted, found, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert np.abs(a - b).max(initial=0) <= 1e-5 * np.abs(a).max(initial=0) + 1e-7
    return rewritten, found


@pytest.mark.parametrize("shape", [(1, 40), (7, 40), (3, 5, 40), (0, 40), (2, 0, 40), (300, 40)])
def test_products(shape):
    rng = np.random.default_rng(0)
    W = sparse_array(rng, (40, 24))
    x = rng.standard_normal(shape).astype(np.float32)
    axes = ", ".join("abc"[: len(shape) - 1])
    model = model_of(f"g (float[{axes}, 40] x) => (float[{axes}, 24] y) {{ y = MatMul(x, W) }}", {"W": W})
    _, (y,) = check(model, x, ["SparseMatMul"])
    assert np.allclose(y, x @ W, atol=1e-4)


@pytest.mark.parametrize("attributes", ["", "transB = 1", "alpha = 0.5, beta = 2.0", "transB = 1, alpha = -1.5"])
@pytest.mark.parametrize("bias", [None, (24,), (1, 24), (1,)])
def test_gemm(attributes, bias):
    rng = np.random.default_rng(1)
    constants = {"W": sparse_array(rng, (24, 40) if "transB" in attributes else (40, 24))}
    if bias is not None:
        constants["b"] = rng.standard_normal(bias).astype(np.float32)
    operands = "x, W" if bias is None else "x, W, b"
    call = f"Gemm<{attributes}>({operands})" if attributes else f"Gemm({operands})"
    model = model_of(f"g (float[n, 40] x) => (float[n, 24] y) {{ y = {call} }}", constants)
    check(model, rng.standard_normal((5, 40)).astype(np.float32), ["SparseMatMul"])


ACTIVATIONS = {
    "Relu(z)": "relu",
    "Clip(z, zero, six)": "relu6",
    "LeakyRelu<alpha = 0.2>(z)": "leaky_relu",
    "HardSwish(z)": "hard_swish",
    "Gelu(z)": "gelu",
    "Sigmoid(z)": "sigmoid",
    "Tanh(z)": "tanh",
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_what_follows_a_product_is_part_of_it(activation, bias):
    rng = np.random.default_rng(2)
    constants = {"W": sparse_array(rng, (40, 24), 0.25) * 4, "b": rng.standard_normal(24).astype(np.float32) * 3}
    constants |= {"zero": np.float32(0), "six": np.float32(6)}
    product = "p = MatMul(x, W) z = Add(b, p)" if bias else "z = MatMul(x, W)"
    model = model_of(f"g (float[n, 40] x) => (float[n, 24] y) {{ {product} y = {activation} }}", constants)
    rewritten, _ = check(model, rng.standard_normal((9, 40)).astype(np.float32), ["SparseMatMul"])
    given = {a.name: onnx.helper.get_attribute_value(a) for a in rewritten.graph.node[0].attribute}
    assert given["activation"].decode() == ACTIVATIONS[activation]
    assert len(rewritten.graph.node[0].input) == 4 + bias


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("z = MatMul(x, W) y = Clip(z, zero, five)", ["Clip"]),  # no activation of ours
        ('z = MatMul(x, W) y = Gelu<approximate = "tanh">(z)', ["Gelu"]),
        ("z = MatMul(x, W) u = Relu(z) y = Add(u, z)", ["Relu", "Add"]),  # two read the product
        ("z = MatMul(x, W) y = Add(z, row)", ["Add"]),  # not a summand for each output
    ],
)
def test_what_is_no_part_of_a_product_stays(text, left):
    rng = np.random.default_rng(3)
    constants = {"W": sparse_array(rng, (40, 24)) * 9, "zero": np.float32(0), "five": np.float32(5)}
    constants["row"] = rng.standard_normal((6, 1)).astype(np.float32)
    model = model_of(f"g (float[6, 40] x) => (float[6, 24] y) {{ {text} }}", constants)
    check(model, rng.standard_normal((6, 40)).astype(np.float32), ["SparseMatMul", *left])


def test_an_output_of_the_graph_is_not_swallowed():
    rng = np.random.default_rng(4)
    text = "g (float[n, 40] x) => (float[n, 24] z, float[n, 24] y) { z = MatMul(x, W) y = Relu(z) }"
    check(model_of(text, {"W": sparse_array(rng, (40, 24))}), rng.standard_normal((2, 40)).astype(np.float32),
          ["SparseMatMul", "Relu"])  # fmt: skip


def test_what_is_not_replaced():
    rng = np.random.default_rng(5)
    constants = {"W": sparse_array(rng, (40, 40)), "D": rng.standard_normal((40, 40)).astype(np.float32)}
    constants["F"] = sparse_array(rng, (40, 1, 3))
    constants["S"] = sparse_array(rng, (3, 40, 40))
    text = """g (float[2, 3, 40, 40] x) => (float[2, 3, 40, 40] y) {
        a = MatMul(x, D) b = MatMul(W, a) y = MatMul(b, S)
    }"""
    model = model_of(text, constants)
    rewritten, _ = check(model, rng.standard_normal((2, 3, 40, 40)).astype(np.float32), ["MatMul"] * 3)
    assert not ours_in(rewritten)
    text = "g (float[2, 40, 9] x) => (float[2, 40, n] y) { y = Conv<group = 40>(x, F) }"
    check(model_of(text, constants), rng.standard_normal((2, 40, 9)).astype(np.float32), ["Conv"])


def test_weights_that_two_nodes_share():
    rng = np.random.default_rng(6)
    text = "g (float[n, 40] x) => (float[n, 40] y) { a = MatMul(x, W) b = Relu(a) y = Gemm<transB = 1>(b, W) }"
    model = model_of(text, {"W": sparse_array(rng, (40, 40)), "unread": np.ones(3, np.float32)})
    rewritten, _ = check(model, rng.standard_normal((4, 40)).astype(np.float32), ["SparseMatMul", "SparseMatMul"])
    names = [tensor.name for tensor in rewritten.graph.initializer]
    assert len(set(names)) == len(names) == 6


@pytest.mark.parametrize(
    ("image", "filters", "attributes"),
    [
        ((2, 8, 9, 11), (16, 8, 1, 1), ""),
        ((1, 8, 9, 11), (16, 8, 3, 3), "pads = [1, 1, 1, 1]"),
        ((2, 8, 9, 11), (16, 8, 3, 2), "pads = [2, 0, 1, 1], strides = [2, 1], dilations = [1, 2]"),
        ((3, 8, 30), (16, 8, 5), "pads = [2, 2], strides = [2]"),
        ((1, 8, 9, 11), (16, 8, 3, 3), 'auto_pad = "VALID"'),
        ((0, 8, 9, 11), (16, 8, 1, 1), ""),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_convolutions(image, filters, attributes, bias):
    rng = np.random.default_rng(7)
    constants = {"W": sparse_array(rng, filters, 0.2), "b": rng.standard_normal(16).astype(np.float32)}
    sizes, out = ", ".join(map(str, image[1:])), ", ".join("hw"[: len(image) - 2])
    call = f"Conv<{attributes}>" if attributes else "Conv"
    text = f"g (float[n, {sizes}] x) => (float[n, 16, {out}] y) {{ c = {call}(x, W{', b' * bias}) y = Relu(c) }}"
    check(model_of(text, constants), rng.standard_normal(image).astype(np.float32), ["SparseConv"])


BETWEEN = [  # images, their channels, filters for each, attributes
    ((9, 11), 8, 1, "pads = [1, 1, 1, 1]"),
    ((9, 11), 8, 1, "pads = [0, 1, 1, 0], strides = [2, 2]"),
    ((9, 11), 8, 3, "pads = [2, 1, 2, 1], dilations = [2, 1]"),
    ((9, 11), 8, 1, "strides = [2, 1]"),
    ((40, 37), 3, 1, "pads = [1, 1, 1, 1]"),
]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("size", "channels", "each", "attributes"), BETWEEN)
@pytest.mark.parametrize("activation", ["Relu(c)", "HardSwish(c)", "Identity(c)"])
def test_dense_convolutions_of_single_channels(size, channels, each, attributes, activation, threads):
    """Between sparse ones, for which they are ours too."""
    rng = np.random.default_rng(19)
    n, (h, w) = channels * each, size
    constants = {
        "V": sparse_array(rng, (channels, 4, 1, 1), 0.4),
        "F": rng.standard_normal((n, 1, 3, 3)).astype(np.float32),
        "b": rng.standard_normal(n).astype(np.float32),
        "W": sparse_array(rng, (16, n, 1, 1), 0.2),
    }
    text = f"""g (float[n, 4, {h}, {w}] x) => (float[n, 16, a, b] y) {{
        p = Conv(x, V) c = Conv<group = {channels}, {attributes}>(p, F, b) r = {activation} y = Conv(r, W) }}"""
    ops = ["ConvChain", "Identity", "SparseConv"] if "Identity" in activation else ["ConvChain"]
    for images in (0, 1, 3):
        x = rng.standard_normal((images, 4, h, w)).astype(np.float32)
        check(model_of(text, constants), x, ops, threads, sparsity=0.5)


@pytest.mark.parametrize(("channels", "kernel", "ours"), [(3, 3, True), (4, 2, True), (5, 3, False), (3, 1, False)])
def test_dense_convolutions_of_few_channels_come_along(channels, kernel, ours):
    """Before a sparse one, with a zero among their weights."""
    rng = np.random.default_rng(26)
    F = rng.standard_normal((6, channels, kernel, kernel)).astype(np.float32)
    F[0, 0, 0, 0] = 0
    text = f"""g (float[n, {channels}, 20, 21] x) => (float[n, 16, h, w] y) {{
        p = Pad(x, pads) c = Conv<strides = [2, 2]>(p, F, b) r = Relu(c) y = Conv(r, W) }}"""
    constants = {"F": F, "b": rng.standard_normal(6).astype(np.float32), "W": sparse_array(rng, (16, 6, 1, 1), 0.3),
                 "pads": np.array([0, 0, 0, 0, 0, 0, 1, 1])}  # fmt: skip
    x = rng.standard_normal((2, channels, 20, 21)).astype(np.float32)
    ops = ["ConvChain"] if ours else ["Pad", "Conv", "Relu", "SparseConv"]
    rewritten, _ = check(model_of(text, constants), x, ops, sparsity=0.5)
    values = [t for t in rewritten.graph.initializer if t.name == "F/values"]
    assert [tuple(t.dims) for t in values] == [(F.size,)] * ours


def test_dense_convolutions_stay_where_none_is_sparse():
    rng = np.random.default_rng(20)
    text = "g (float[1, 8, 9, 11] x) => (float[1, 8, 7, 9] y) { y = Conv<group = 8>(x, F) }"
    model = model_of(text, {"F": rng.standard_normal((8, 1, 3, 3)).astype(np.float32)})
    assert not ours_in(cs.onnx.rewrite(model, all_convolutions=True))


@pytest.mark.parametrize(
    ("pads", "more", "gone"),
    [
        ([0, 0, 1, 2, 0, 0, 0, 1], "", True),
        ([0, 0, 1, 2, 0, 0, 0, 1], ", zero", True),
        ([0, 0, 1, 2, 0, 0, 0, 1], ", one", False),  # by another number than zero
        ([0, 1, 1, 1, 0, 0, 1, 1], "", False),  # more channels
        ([0, 0, -1, 0, 0, 0, 1, 1], "", False),  # cut off
    ],
)
def test_zeros_put_around_images_before_a_convolution(pads, more, gone):
    rng = np.random.default_rng(21)
    channels = 8 + pads[1]
    constants = {"W": sparse_array(rng, (16, channels, 3, 3), 0.2), "pads": np.array(pads, np.int64),
                 "zero": np.array(0, np.float32), "one": np.array(1, np.float32)}  # fmt: skip
    text = f"""g (float[n, 8, 9, 11] x) => (float[n, 16, h, w] y) {{
        p = Pad(x, pads{more}) y = Conv<pads = [1, 0, 0, 1]>(p, W) }}"""
    x = rng.standard_normal((2, 8, 9, 11)).astype(np.float32)
    check(model_of(text, constants), x, ["SparseConv"] if gone else ["Pad", "SparseConv"])


@pytest.mark.parametrize(
    ("attributes", "operands", "filters", "behind"),
    [
        ('mode = "linear"', "s, , , sizes", (6, 8, 1, 1), True),
        ('mode = "nearest"', "s, , scales", (8, 8, 1, 1), True),
        ('mode = "linear", coordinate_transformation_mode = "align_corners"', "s, , , sizes", (6, 8, 1, 1), True),
        ('mode = "linear", antialias = 1', "s, , , sizes", (6, 8, 1, 1), True),
        ('mode = "linear"', "s, , , sizes", (9, 8, 1, 1), False),  # more channels would be resized
        ('mode = "linear"', "s, , , sizes", (6, 8, 3, 3), False),
        ('mode = "cubic"', "s, , , sizes", (6, 8, 1, 1), False),
        ('mode = "linear"', "s, , , smaller", (6, 8, 1, 1), False),
    ],
)
def test_convolutions_of_one_pixel_change_places_with_the_resize_before_them(attributes, operands, filters, behind):
    """The image has other entries than zeros at its edges, and the activation stays behind both."""
    rng = np.random.default_rng(24)
    n = filters[0]
    constants = {
        "W": sparse_array(rng, filters, 0.2), "b": rng.standard_normal(n).astype(np.float32),
        "sizes": np.array([2, 8, 12, 14]), "smaller": np.array([2, 8, 3, 4]),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }  # fmt: skip
    text = f"""g (float[2, 8, 6, 7] x) => (float[2, {n}, h, w] y) {{
        s = Abs(x) r = Resize<{attributes}>({operands}) c = Conv(r, W, b) y = Relu(c) }}"""
    ops = ["Abs", "SparseConv", "Resize", "Relu"] if behind else ["Abs", "Resize", "SparseConv"]
    check(model_of(text, constants), rng.standard_normal((2, 8, 6, 7)).astype(np.float32), ops)


def test_a_resize_that_others_read_stays():
    rng = np.random.default_rng(25)
    text = """g (float[2, 8, 6, 7] x) => (float[2, 4, 12, 14] y, float[2, 8, 12, 14] z) {
        r = Resize(x, , , sizes) y = Conv(r, W) z = Relu(r) }"""
    constants = {"W": sparse_array(rng, (4, 8, 1, 1), 0.2), "sizes": np.array([2, 8, 12, 14])}
    check(model_of(text, constants), rng.standard_normal((2, 8, 6, 7)).astype(np.float32),
          ["Resize", "SparseConv", "Relu"])  # fmt: skip


def test_padded_images_that_others_read_stay():
    rng = np.random.default_rng(22)
    text = """g (float[n, 8, 9, 11] x) => (float[n, 16, 9, 11] y, float[n, 8, 11, 13] z) {
        p = Pad(x, pads) y = Conv(p, W) z = Relu(p) }"""
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    check(model_of(text, {"W": sparse_array(rng, (16, 8, 3, 3), 0.2), "pads": pads}),
          rng.standard_normal((2, 8, 9, 11)).astype(np.float32), ["Pad", "SparseConv", "Relu"])  # fmt: skip


def test_convolutions_padded_by_a_rule_stay():
    rng = np.random.default_rng(8)
    text = 'g (float[1, 8, 9, 11] x) => (float[1, 16, h, w] y) { y = Conv<auto_pad = "SAME_UPPER">(x, W) }'
    check(model_of(text, {"W": sparse_array(rng, (16, 8, 3, 3))}),
          rng.standard_normal((1, 8, 9, 11)).astype(np.float32), ["Conv"])  # fmt: skip


@pytest.mark.parametrize(
    ("image", "filters", "density", "pays"),
    [
        ((112, 14, 14), (672, 112, 1, 1), 0.05, True),
        ((112, "h", "w"), (672, 112, 1, 1), 0.05, True),  # counted as 32 x 32
        ((64, 28), (256, 64, 3), 0.05, True),
        ((32, 56, 56), (128, 32, 3, 3), 0.1, True),
        ((8, 112, 112), (8, 8, 1, 1), 0.3, False),  # conversions cost more than the product
        ((16, 3, 3), (16, 16, 1, 1), 0.1, False),  # a call costs more than the product
        ((64, 28, 28), (64, 64, 1, 1), 0.9, False),
    ],
)
def test_convolutions_that_do_not_pay_stay(image, filters, density, pays):
    rng = np.random.default_rng(18)
    sizes, out = ", ".join(map(str, image)), ", ".join("xyz"[: len(image) - 1])
    text = f"g (float[1, {sizes}] i) => (float[1, {filters[0]}, {out}] o) {{ o = Conv(i, W) }}"
    model = model_of(text, {"W": sparse_array(rng, filters, density)})
    assert ours_in(cs.onnx.rewrite(model, sparsity=0.05)) == ["SparseConv"] * pays
    assert ours_in(cs.onnx.rewrite(model, sparsity=0.05, all_convolutions=True)) == ["SparseConv"]


@pytest.mark.parametrize(
    ("channels", "inner", "size", "density", "ours"), [(16, 48, 56, 0.2, False), (32, 128, 28, 0.1, True)]
)
def test_convolutions_pay_together(channels, inner, size, density, ours):
    """Where images go from one to the next they are not converted, and dense ones between them come along."""
    rng = np.random.default_rng(23)
    nodes, constants = [], {}
    for i in range(2):
        constants[f"V{i}"] = sparse_array(rng, (inner, channels, 1, 1), density)
        constants[f"F{i}"] = rng.standard_normal((inner, 1, 3, 3)).astype(np.float32)
        constants[f"W{i}"] = sparse_array(rng, (channels, inner, 1, 1), density)
        nodes.append(f"p{i} = Conv(y{i}, V{i}) r{i} = Relu(p{i})")
        nodes.append(f"q{i} = Conv<group = {inner}, pads = [1, 1, 1, 1]>(r{i}, F{i}) y{i + 1} = Conv(q{i}, W{i})")
    shape = f"float[1, {channels}, {size}, {size}]"
    model = model_of(f"g ({shape} y0) => ({shape} y2) {{ {' '.join(nodes)} }}", constants)
    assert ours_in(cs.onnx.rewrite(model)) == ["ConvChain"] * ours


def convolutions(rng, size, depths=(8, 24, 24, 16), every=False):
    """Three convolutions in a row, the second one of single channels; every: others read their results, too."""
    constants = {
        "V": sparse_array(rng, (depths[1], depths[0], 1, 1), 0.3),
        "F": rng.standard_normal((depths[2], 1, 3, 3)).astype(np.float32),
        "W": sparse_array(rng, (depths[3], depths[2], 1, 1), 0.3),
        "b": rng.standard_normal(depths[1]).astype(np.float32),
        "c": rng.standard_normal(depths[3]).astype(np.float32),
    }
    more = [f", float[n, {depths[i]}, a{i}, b{i}] {name}" for i, name in ((1, "r"), (2, "q"))] if every else []
    height, width = size
    text = f"""g (float[n, {depths[0]}, {height}, {width}] x) => (float[n, {depths[3]}, a, b] y{"".join(more)}) {{
        p = Conv(x, V, b) r = Relu(p) q = Conv<group = {depths[1]}, pads = [1, 1, 1, 1], strides = [2, 2]>(r, F)
        y = Conv(q, W, c) }}"""
    return model_of(text, constants)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("size", "depths"),
    [((9, 11), (8, 24, 24, 16)), ((1, 1), (8, 24, 48, 16)), ((112, 113), (16, 64, 64, 24))],  # the last one by bands
)
def test_convolutions_that_follow_one_another_are_one_node(size, depths, threads):
    """With the bits that nodes of their own have."""
    for images in (0, 1, 3):
        x = np.random.default_rng(28).standard_normal((images, depths[0], *size)).astype(np.float32)
        model = convolutions(np.random.default_rng(27), size, depths)
        _, (y,) = check(model, x, ["ConvChain"], threads, sparsity=0.5)
        apart = convolutions(np.random.default_rng(27), size, depths, every=True)
        _, found = check(apart, x, ["SparseConv", "DepthwiseConv", "SparseConv"], threads, sparsity=0.5)
        assert np.array_equal(y, found[0])


def test_chains_of_signals():
    rng = np.random.default_rng(29)
    text = """g (float[n, 8, 40] x) => (float[n, 6, l] y) {
        p = Conv<pads = [1, 1]>(x, V) r = LeakyRelu<alpha = 0.2>(p) y = Conv<strides = [2]>(r, W) }"""
    constants = {"V": sparse_array(rng, (12, 8, 3), 0.3), "W": sparse_array(rng, (6, 12, 5), 0.2)}
    check(model_of(text, constants), rng.standard_normal((2, 8, 40)).astype(np.float32), ["ConvChain"], sparsity=0.5)


def test_chains_end_where_several_nodes_read():
    """Of two branches, before which a Pad goes where all that read it do."""
    rng = np.random.default_rng(30)
    text = """g (float[n, 8, 9, 11] x) => (float[n, 6, 9, 11] y, float[n, 6, 9, 11] z) {
        p = Conv(x, V) q = Pad(p, pads) r = Conv(q, W) y = Conv(r, U) s = Conv(q, W) t = Abs(s) z = Conv(t, U) }"""
    constants = {"V": sparse_array(rng, (12, 8, 1, 1), 0.3), "W": sparse_array(rng, (5, 12, 3, 3), 0.2),
                 "U": sparse_array(rng, (6, 5, 1, 1), 0.4), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}  # fmt: skip
    check(model_of(text, constants), rng.standard_normal((2, 8, 9, 11)).astype(np.float32),
          ["SparseConv", "ConvChain", "SparseConv", "Abs", "SparseConv"], sparsity=0.5)  # fmt: skip


@pytest.mark.parametrize("block", [1, 2, 3])
@pytest.mark.parametrize("mode", ["DCR", "CRD", None])
@pytest.mark.parametrize("images", [0, 1, 3])
def test_pixels_that_move_from_channels_to_space(block, mode, images):
    """Of images that our nodes make, through sums of them."""
    rng = np.random.default_rng(31)
    n = 5 * block**2
    attributes = f"blocksize = {block}{'' if mode is None else f', mode = {chr(34)}{mode}{chr(34)}'}"
    text = f"""g (float[n, 8, 7, 19] x) => (float[n, 5, h, w] y) {{
        p = Conv(x, W) a = Abs(p) s = Add(p, a) r = Relu(s) y = DepthToSpace<{attributes}>(r) }}"""
    model = model_of(text, {"W": sparse_array(rng, (n, 8, 1, 1), 0.3)})
    x = rng.standard_normal((images, 8, 7, 19)).astype(np.float32)
    rewritten, (y,) = check(model, x, ["SparseConv", "Abs", "Add", "Relu", "DepthToSpace"], sparsity=0.5)
    assert rewritten.graph.node[-1].domain == "ai.complsparse"
    # Again, by NumPy, of what is before the last node.
    moved = onnx.ModelProto.FromString(rewritten.SerializeToString())
    moved.graph.output[0].name = "r"
    moved.graph.output[0].type.tensor_type.ClearField("shape")
    del moved.graph.node[-1]
    (r,) = session_of(moved).run(None, {"x": x})
    if mode == "CRD":
        parts = r.reshape(images, 5, block, block, 7, 19).transpose(0, 1, 4, 2, 5, 3)
    else:
        parts = r.reshape(images, block, block, 5, 7, 19).transpose(0, 3, 4, 1, 5, 2)
    assert np.array_equal(y, parts.reshape(images, 5, 7 * block, 19 * block))


def test_pixels_of_other_images_move_as_before():
    text = """g (float[1, 8, 3, 5] x, float[1, 4, 3, 5] i) => (float[1, 2, 6, 10] y, float[1, 4, 3, 5] z) {
        y = DepthToSpace<blocksize = 2>(x) z = Conv(i, W) }"""
    model = model_of(text, {"W": sparse_array(np.random.default_rng(32), (4, 4, 1, 1), 0.2)})
    rewritten = cs.onnx.rewrite(model, all_convolutions=True)
    assert ours_in(rewritten) == ["SparseConv"]


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"blocksize": 0}, "blocksize is not 1 to 1024"),
        ({"blocksize": 2**40}, "blocksize is not 1 to 1024"),
        ({"mode": "RGB"}, "neither DCR nor CRD"),
        ({"mode": None}, "mode"),
        ({"blocksize": None}, "blocksize"),
    ],
)
def test_malformed_moves_of_pixels_are_refused(attributes, words):
    with pytest.raises(Exception, match=words):
        session_of(moves_of_pixels(**attributes))


def test_images_that_do_not_fit_moves_of_pixels_are_refused():
    session = session_of(moves_of_pixels())
    for shape in [(1, 6, 2, 2), (4, 4, 4)]:
        with pytest.raises(Exception, match="no multiple of 4"):
            session.run(None, {"x": np.zeros(shape, np.float32)})


def moves_of_pixels(**attributes):
    """A model of one node of ours."""
    node = onnx.helper.make_node("DepthToSpace", ["x"], ["y"], domain="ai.complsparse",
                                 **({"blocksize": 2, "mode": "DCR"} | attributes))  # fmt: skip
    return around(node, {}, None)


def test_images_of_many_sizes_on_one_session():
    """More than the ways that a node keeps, and back to the first."""
    rng = np.random.default_rng(9)
    text = "g (float[n, 4, h, w] x) => (float[n, 16, h, w] y) { y = Conv<pads = [1, 1, 1, 1]>(x, W) }"
    model = model_of(text, {"W": sparse_array(rng, (16, 4, 3, 3), 0.2)})
    ours, theirs = session_of(cs.onnx.rewrite(model, all_convolutions=True)), session_of(model, ours=False)
    for size in [*range(3, 15), 3, 4]:
        x = rng.standard_normal((2, 4, size, 20 - size)).astype(np.float32)
        assert np.allclose(ours.run(None, {"x": x})[0], theirs.run(None, {"x": x})[0], atol=1e-5)


@pytest.mark.parametrize("flat", [True, False], ids=["places", "pairs"])
def test_sparse_initializers(flat):
    """What is replaced reads them as they are; others keep theirs."""
    rng = np.random.default_rng(13)
    arrays = {"W": sparse_array(rng, (40, 36)), "G": sparse_array(rng, (36, 36)), "E": sparse_array(rng, (6, 6))}
    arrays |= {"F": sparse_array(rng, (8, 1, 3, 3), 0.2), "shape": np.array([-1, 1, 6, 6])}
    text = """g (float[n, 40] x) => (float[n, 8, 4, 4] y, float[n, 1, 6, 6] z) {
        a = MatMul(x, W) b = Gemm<transB = 1, alpha = 0.5>(a, G) c = Reshape(b, shape) z = Add(c, E) y = Conv(c, F)
    }"""
    model = model_of(text, arrays)
    for name in "WGEF":
        model = onnx_models.with_sparse(model, name, flat)
    rewritten, _ = check(model, rng.standard_normal((5, 40)).astype(np.float32),
                         ["SparseMatMul", "SparseMatMul", "Reshape", "Add", "SparseConv"])  # fmt: skip
    assert [tensor.values.name for tensor in rewritten.graph.sparse_initializer] == ["E"]
    assert [value.name for value in rewritten.graph.input] == ["x"]


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21])
@pytest.mark.parametrize("inputs", [False, True], ids=["", "initializers are inputs"])
def test_operator_sets(opset, inputs):
    """Before version 4 of its format a model names its initializers among its inputs."""
    rng = np.random.default_rng(16)
    arrays = {"W": sparse_array(rng, (24, 40)), "b": rng.standard_normal(24).astype(np.float32)}
    text = "g (float[n, 40] x) => (float[n, 24] y) { a = Gemm<transB = 1>(x, W, b) y = Relu(a) }"
    model = model_of(text, arrays, opset)
    if inputs:
        model.ir_version = 3
        model.graph.input.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape)
                                 for name, array in arrays.items())  # fmt: skip
    check(model, rng.standard_normal((5, 40)).astype(np.float32), ["SparseMatMul"])


def test_external_data(tmp_path):
    """It becomes part of the rewritten model."""
    rng = np.random.default_rng(17)
    W = sparse_array(rng, (40, 24))
    model = model_of("g (float[n, 40] x) => (float[n, 24] y) { y = MatMul(x, W) }", {"W": W})
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    rewritten = cs.onnx.rewrite(tmp_path / "m.onnx")
    assert ours_in(rewritten) == ["SparseMatMul"]
    x = rng.standard_normal((3, 40)).astype(np.float32)
    np.testing.assert_allclose(session_of(rewritten).run(None, {"x": x})[0], x @ W, rtol=1e-4, atol=1e-5)


def test_a_sparse_constant():
    rng = np.random.default_rng(14)
    W = sparse_array(rng, (40, 24))
    model = model_of("g (float[n, 40] x) => (float[n, 24] y) { y = MatMul(x, W) }", {"W": W})
    del model.graph.initializer[:]
    value = onnx_models.sparse_proto(W, "W")
    model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["W"], sparse_value=value))
    check(model, rng.standard_normal((5, 40)).astype(np.float32), ["SparseMatMul"])


def test_operators_that_name_more_results_than_they_have_stay():
    rng = np.random.default_rng(15)
    model = model_of("g (float[n, 40] x) => (float[n, 24] y) { y = MatMul(x, W) }", {"W": sparse_array(rng, (40, 24))})
    model.graph.node[0].output.append("more")
    assert not ours_in(cs.onnx.rewrite(model))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["pose_detection", "hand_landmark_sparse", "face_detection_full_range_sparse"])
def test_networks_that_shipped_sparse(name, threads, data_folder):
    path = pathlib.Path(data_folder, "sparse_networks", "tfl", f"{name}.onnx")
    if not path.is_file():
        pytest.skip("not run: the networks are not in the data folder")
    rewritten = cs.onnx.rewrite(path, sparsity=0.5, all_convolutions=True)
    layers = [a.i for node in rewritten.graph.node for a in node.attribute if a.name == "layers"]
    assert sum(layers) >= 30
    theirs, ours = session_of(str(path), ours=False), session_of(rewritten, threads)
    (of,) = theirs.get_inputs()
    x = np.random.default_rng(10).random(of.shape, dtype=np.float32)
    for a, b in zip(theirs.run(None, {of.name: x}), ours.run(None, {of.name: x}), strict=True):
        assert np.abs(a - b).max() <= 1e-5 * np.abs(a).max() + 1e-6


def test_loops_run_on_the_threads_of_the_session():
    """Ours are never started: a session with two threads has as many after a large product as before."""
    rng = np.random.default_rng(11)
    model = model_of("g (float[n, 512] x) => (float[n, 512] y) { y = MatMul(x, W) }",
                     {"W": sparse_array(rng, (512, 512))})  # fmt: skip
    x = rng.standard_normal((512, 512)).astype(np.float32)
    session, wanted = session_of(cs.onnx.rewrite(model), 2), session_of(model, ours=False).run(None, {"x": x})[0]
    task = pathlib.Path("/proc/self/task")
    before = len(list(task.iterdir())) if task.exists() else 0
    found = [session.run(None, {"x": x})[0] for _ in range(5)]
    assert (len(list(task.iterdir())) if task.exists() else 0) == before
    for y in found:
        assert np.abs(y - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_a_session_serves_several_threads():
    rng = np.random.default_rng(12)
    text = "g (float[n, 16, 12, 12] x) => (float[n, 32, 12, 12] y) { y = Conv<pads = [1, 1, 1, 1]>(x, W) }"
    model = model_of(text, {"W": sparse_array(rng, (32, 16, 3, 3))})
    xs = [rng.standard_normal((n, 16, 12, 12)).astype(np.float32) for n in (1, 2, 3, 4)]
    theirs, ours = session_of(model, ours=False), session_of(cs.onnx.rewrite(model, all_convolutions=True), 2)
    wanted, wrong = [theirs.run(None, {"x": x})[0] for x in xs], []

    def work(x, y):
        for _ in range(20):
            if not np.allclose(ours.run(None, {"x": x})[0], y, atol=1e-5):
                wrong.append(x.shape)

    workers = [threading.Thread(target=work, args=pair) for pair in zip(xs, wanted, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_the_library_stays_loaded(tmp_path):
    """Sessions come and go, one at a time, more of them than a process has keys of threads."""
    code = """if True:
        import onnx, onnxruntime, sys
        import numpy as np
        import complsparse as cs
        data, x = sys.stdin.buffer.read(), np.ones((1, 40), np.float32)
        for _ in range(1100):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            cs.onnx.register(options)
            session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
            session.run(None, {"x": x})
            del session, options
        print(sum("complsparse_ort" in line for line in open("/proc/self/maps")) > 0)"""
    model = model_of("g (float[n, 40] x) => (float[n, 24] y) { y = MatMul(x, W) }",
                     {"W": sparse_array(np.random.default_rng(0), (40, 24))})  # fmt: skip
    data = cs.onnx.rewrite(model).SerializeToString()
    # Not in the source tree, whose package would come before the one that is installed.
    ran = subprocess.run(
        [sys.executable, "-c", code], input=data, cwd=tmp_path, capture_output=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr.decode()[-2000:]
    assert ran.stdout.decode().strip() == "True"


# --- models that are not what they should be -------------------------------------------------------------------------


IMAGES = ["n", "c", "h", "w"]


def around(node, arrays, axes):
    """A model of a node that reads x and constants and writes y."""
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, axes)
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items() if array is not None]
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("ai.complsparse", 1)]
    graph = onnx.helper.make_graph([node], "g", [x], [y], tensors)
    return onnx.helper.make_model(graph, ir_version=10, opset_imports=opsets)


def malformed(changes=None, attributes=None, drop=(), operator="SparseMatMul", inputs=None):
    """A model of one node of ours, with other initializers or attributes than it should have."""
    arrays = {
        "p": np.array([0, 1, 3], np.int64),
        "c": np.array([2, 0, 3], np.int32),
        "v": np.array([1, 2, 3], np.float32),
        "b": np.zeros(2, np.float32),
    } | (changes or {})
    given = {"input_size": 4, "activation": "none", "parameter": 0.0} | (attributes or {})
    if operator == "SparseConv":
        geometry = {"axes": 2, "kernel_shape": [2, 2], "strides": [1, 1], "dilations": [1, 1], "pads": [0] * 4}
        given = geometry | given
    given = {name: value for name, value in given.items() if name not in drop}
    node = onnx.helper.make_node(operator, inputs or ["x", "p", "c", "v", "b"], ["y"], domain="ai.complsparse", **given)
    return around(node, arrays, ["n", 4] if operator == "SparseMatMul" else IMAGES)


def test_a_node_that_is_well_formed():
    """What the cases below change one thing of."""
    x = np.arange(4, dtype=np.float32)[None]
    assert session_of(malformed()).run(None, {"x": x})[0].tolist() == [[2, 9]]
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    assert session_of(malformed(operator="SparseConv")).run(None, {"x": x})[0].ravel().tolist() == [2, 9]


BAD_WEIGHTS = {
    "row_ptr descends": {"p": np.array([0, 5, 3], np.int64)},
    "row_ptr does not begin with 0": {"p": np.array([1, 1, 3], np.int64)},
    "row_ptr does not end": {"p": np.array([0, 1, 4], np.int64)},
    "row_ptr is empty": {"p": np.zeros(0, np.int64)},
    "a column is outside": {"c": np.array([2, 0, 4], np.int32)},
    "a column is outside ": {"c": np.array([-1, 0, 3], np.int32)},
    "columns do not ascend": {"c": np.array([2, 3, 0], np.int32)},
    "columns do not ascend ": {"c": np.array([2, 3, 3], np.int32)},
    "row_ptr does not end with the number of columns and of values": {"v": np.ones(2, np.float32)},
    "bias has 3 entries for 2 outputs": {"b": np.zeros(3, np.float32)},
    "values has 2 axes": {"v": np.ones((3, 1), np.float32)},
}


@pytest.mark.parametrize("operator", ["SparseMatMul", "SparseConv"])
@pytest.mark.parametrize("words", BAD_WEIGHTS)
def test_malformed_weights_are_refused(words, operator):
    with pytest.raises(Exception, match=words.strip()):
        session_of(malformed(BAD_WEIGHTS[words], operator=operator))


@pytest.mark.parametrize("name", ["p", "c", "v", "b"])
def test_weights_of_another_type_are_refused(name):
    with pytest.raises(Exception, match=r"[Tt]ype"):
        session_of(malformed({name: np.zeros(3, np.float64)}))


@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_weights_that_are_no_constants_are_refused(place):
    """The node reads a result of another node there."""
    inputs = ["x", "p", "c", "v", "b"]
    model = malformed()
    name = inputs[place]
    inputs[place] = "computed"
    model.graph.node[0].input[place] = "computed"
    kind = next(tensor.data_type for tensor in model.graph.initializer if tensor.name == name)
    cast = onnx.helper.make_node("Cast", ["x"], ["flat"], to=kind)
    shape = onnx.helper.make_node("Reshape", ["flat", "minus"], ["computed"])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1], np.int64), "minus"))
    node = onnx.NodeProto.FromString(model.graph.node[0].SerializeToString())
    del model.graph.node[:]
    model.graph.node.extend([cast, shape, node])
    with pytest.raises(Exception, match="must be an initializer"):
        session_of(model)


@pytest.mark.parametrize(
    ("operator", "attributes", "words"),
    [
        ("SparseMatMul", {"input_size": -1}, "negative number of columns|outside"),
        ("SparseMatMul", {"input_size": 2**40}, "2\\*\\*31 - 1"),
        ("SparseMatMul", {"activation": "softplus"}, "activation is none of"),
        ("SparseMatMul", {"activation": "relu" * 1000}, "activation is none of"),
        ("SparseConv", {"axes": 3}, "axes is not 1 or 2"),
        ("SparseConv", {"kernel_shape": [2]}, "kernel_shape has 1 integers, not 2"),
        ("SparseConv", {"kernel_shape": [2**33, 2**33]}, "1 to 2\\*\\*20"),
        ("SparseConv", {"kernel_shape": [3, 1]}, "4 columns for kernels of 3 taps"),
        ("SparseConv", {"strides": [0, 1]}, "1 to 2\\*\\*20"),
        ("SparseConv", {"pads": [-1, 0, 0, 0]}, "1 to 2\\*\\*20"),
        ("SparseConv", {"dilations": [1, -5]}, "1 to 2\\*\\*20"),
    ],
)
def test_malformed_attributes_are_refused(operator, attributes, words):
    with pytest.raises(Exception, match=words):
        session_of(malformed(attributes=attributes, operator=operator))


@pytest.mark.parametrize(
    ("operator", "name"),
    [("SparseMatMul", name) for name in ("input_size", "activation", "parameter")]
    + [("SparseConv", name) for name in ("axes", "kernel_shape", "strides", "dilations", "pads")],
)
def test_missing_attributes_are_refused(operator, name):
    with pytest.raises(Exception, match=name):
        session_of(malformed(drop=(name,), operator=operator))


def test_inputs_that_do_not_fit_are_refused():
    session = session_of(malformed(operator="SparseConv"))
    with pytest.raises(Exception, match="1 channels in the second"):
        session.run(None, {"x": np.zeros((1, 2, 5, 5), np.float32)})
    with pytest.raises(Exception, match="is larger than an image of 1"):
        session.run(None, {"x": np.zeros((1, 1, 1, 5), np.float32)})
    with pytest.raises(Exception, match="images of 0 x 5"):
        session.run(None, {"x": np.zeros((1, 1, 0, 5), np.float32)})
    model = malformed()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "k"
    with pytest.raises(Exception, match="x has 5 for a layer of 4 inputs"):
        session_of(model).run(None, {"x": np.zeros((1, 5), np.float32)})


def depthwise(attributes=None, drop=(), **changes):
    """A model of one node of ours, with other constants or attributes than it should have."""
    arrays = {"f": np.arange(18, dtype=np.float32), "b": np.zeros(2, np.float32)} | changes
    given = {"axes": 2, "kernel_shape": [3, 3], "strides": [1, 1], "dilations": [1, 1], "pads": [1] * 4,
             "activation": "none", "parameter": 0.0} | (attributes or {})  # fmt: skip
    given = {name: value for name, value in given.items() if name not in drop}
    node = onnx.helper.make_node("DepthwiseConv", ["x", "f", "b"], ["y"], domain="ai.complsparse", **given)
    return around(node, arrays, IMAGES)


def test_a_depthwise_node_that_is_well_formed():
    session = session_of(depthwise())
    for channels in (1, 2):  # of two filters
        (y,) = session.run(None, {"x": np.ones((1, channels, 1, 1), np.float32)})
        assert y.ravel().tolist() == [4, 13]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"f": np.zeros(17, np.float32)}, "17 numbers for kernels of 9 taps"),
        ({"f": np.zeros(0, np.float32)}, "0 numbers for kernels of 9 taps"),
        ({"f": np.zeros((2, 9), np.float32)}, "filters has 2 axes"),
        ({"f": np.zeros(18, np.float64)}, "[Tt]ype"),
        ({"b": np.zeros(3, np.float32)}, "bias has 3 entries for 2 outputs"),
        ({"attributes": {"axes": 0}}, "axes is not 1 or 2"),
        ({"attributes": {"pads": [1]}}, "pads has 1 integers, not 4"),
        ({"attributes": {"activation": "softplus"}}, "activation is none of"),
        ({"drop": ("strides",)}, "strides"),
    ],
)
def test_malformed_depthwise_nodes_are_refused(changes, words):
    with pytest.raises(Exception, match=words):
        session_of(depthwise(**changes))


def test_images_of_other_channels_than_filters_are_refused():
    session = session_of(depthwise())
    for channels in (0, 3):
        with pytest.raises(Exception, match=f"{channels} channels for 2 filters"):
            session.run(None, {"x": np.zeros((1, channels, 5, 5), np.float32)})


def chain(attributes=None, drop=(), **changes):
    """A model of a node of two layers, with other constants or attributes than it should have."""
    arrays = {
        "p": np.array([0, 1, 3], np.int64), "c": np.array([2, 0, 3], np.int32), "v": np.array([1, 2, 3], np.float32),
        "f": np.ones(8, np.float32), "b": np.zeros(2, np.float32),
    } | changes  # fmt: skip
    given = {"layers": 2, "n_inputs": [3, 2], "input_size_0": 4}
    for i in range(2):
        given |= {f"axes_{i}": 2, f"kernel_shape_{i}": [2, 2], f"strides_{i}": [1, 1], f"dilations_{i}": [1, 1],
                  f"pads_{i}": [0] * 4, f"activation_{i}": "none", f"parameter_{i}": 0.0}  # fmt: skip
    given = {name: value for name, value in (given | (attributes or {})).items() if name not in drop}
    n_inputs = given.pop("n_inputs", None)  # a name that make_node has for itself
    node = onnx.helper.make_node("ConvChain", ["x", "p", "c", "v", "f", "b"], ["y"], domain="ai.complsparse", **given)
    if n_inputs is not None:
        node.attribute.append(onnx.helper.make_attribute("n_inputs", n_inputs))
    return around(node, arrays, IMAGES)


def test_a_chain_that_is_well_formed():
    """Filters that find x[1, 0], and 2 x[0, 0] + 3 x[1, 1]; and then sums over 2 x 2 pixels."""
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    (y,) = session_of(chain()).run(None, {"x": x})
    assert y.ravel().tolist() == [3 + 4 + 6 + 7, 2 * (0 + 1 + 3 + 4) + 3 * (4 + 5 + 7 + 8)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attributes": {"layers": 0}}, "layers says 0 of 6 inputs"),
        ({"attributes": {"layers": 2**62}}, "layers says"),
        ({"attributes": {"layers": 3}}, "n_inputs has 2 integers, not 3"),
        ({"attributes": {"n_inputs": [3, 1]}}, "adds up to less"),
        ({"attributes": {"n_inputs": [3, 3]}}, "says 3 for a layer, of 2 that are left"),
        ({"attributes": {"n_inputs": [5, 0]}}, "says 5 for a layer"),
        ({"attributes": {"n_inputs": [0, 5]}}, "says 0 for a layer"),
        ({"attributes": {"n_inputs": [-1, 6]}}, "says -1 for a layer"),
        ({"attributes": {"n_inputs": [2, 3]}}, "filters has|[Tt]ype"),
        ({"attributes": {"axes_1": 1, "kernel_shape_1": [2], "strides_1": [1], "dilations_1": [1], "pads_1": [0, 0]},
          "f": np.ones(4, np.float32)}, "as many axes"),
        ({"attributes": {"pads_1": [1]}}, "pads_1 has 1 integers, not 4"),
        ({"attributes": {"activation_1": "softplus"}}, "activation is none of"),
        ({"drop": ("kernel_shape_1",)}, "kernel_shape_1"),
        ({"drop": ("input_size_0",)}, "input_size_0"),
        ({"drop": ("layers",)}, "layers"),
        ({"drop": ("n_inputs",)}, "n_inputs"),
        ({"c": np.array([2, 0, 4], np.int32)}, "a column is outside"),
        ({"f": np.ones(7, np.float32)}, "7 numbers for kernels of 4 taps"),
        ({"b": np.zeros(3, np.float32)}, "bias has 3 entries for 2 outputs"),
    ],
)  # fmt: skip
def test_malformed_chains_are_refused(changes, words):
    with pytest.raises(Exception, match=words):
        session_of(chain(**changes))


def test_images_that_do_not_fit_a_chain_are_refused():
    session = session_of(chain())
    with pytest.raises(Exception, match="1 channels in the second"):
        session.run(None, {"x": np.zeros((1, 2, 5, 5), np.float32)})
    with pytest.raises(Exception, match="is larger than an image of 1"):  # that the first layer leaves
        session.run(None, {"x": np.zeros((1, 1, 2, 5), np.float32)})
    session = session_of(chain(f=np.ones(12, np.float32), b=np.zeros(3, np.float32)))
    with pytest.raises(Exception, match="2 channels for 3 filters"):
        session.run(None, {"x": np.zeros((1, 1, 5, 5), np.float32)})
    session = session_of(chain({"pads_0": [2**20 - 1] * 4}))
    with pytest.raises(Exception, match="outputs of 2 x 2097151 x 2097151"):
        session.run(None, {"x": np.zeros((1, 1, 2, 2), np.float32)})


# --- arguments --------------------------------------------------------------------------------------------------------


def test_arguments():
    model = malformed()
    for sparsity in ("0.7", None, True):
        with pytest.raises(TypeError, match="sparsity"):
            cs.onnx.rewrite(model, sparsity=sparsity)
    for sparsity in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="sparsity"):
            cs.onnx.rewrite(model, sparsity=sparsity)
    with pytest.raises(TypeError, match="SessionOptions"):
        cs.onnx.register({})
    with pytest.raises(AttributeError, match="rewrote"):
        cs.onnx.rewrote  # noqa: B018
    assert {"rewrite", "register", "library_path"} <= set(dir(cs.onnx))


def test_files(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\xffnot a model")
    with pytest.raises(ValueError, match=r"model\.onnx: a field has the wire type 7 at byte 2"):
        cs.onnx.rewrite(path)
    with pytest.raises(OSError):
        cs.onnx.rewrite(tmp_path / "missing.onnx")
    model = model_of("g (float[n, 40] x) => (float[n, 24] y) { y = MatMul(x, W) }",
                     {"W": sparse_array(np.random.default_rng(0), (40, 24))})  # fmt: skip
    onnx.save(model, path)
    again = cs.onnx.rewrite(path)
    assert ours_in(again) == ["SparseMatMul"]
    assert cs.onnx.rewrite(again).SerializeToString() == again.SerializeToString()  # nothing is left to replace


def test_the_number_of_threads_is_checked():
    options = ort.SessionOptions()
    options.add_session_config_entry("ai.complsparse.threads", "many")
    with pytest.raises(Exception, match="not a number from 1 to 1024"):
        options.register_custom_ops_library(cs.onnx.library_path())


def test_what_the_library_exports():
    """Nothing that another module, ours too, could take for its own."""
    try:
        symbols = subprocess.run(["readelf", "--dyn-syms", "-W", cs.onnx.library_path()], check=True,
                                 capture_output=True, text=True).stdout  # fmt: skip
    except FileNotFoundError:
        pytest.skip("not run: there is no readelf")
    fields = [line.split() for line in symbols.splitlines()]
    defined = {f[7] for f in fields if len(f) == 8 and f[4] in ("GLOBAL", "WEAK", "UNIQUE") and f[6] != "UND"}
    assert defined == {"RegisterCustomOps"}
