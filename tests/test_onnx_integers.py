# SPDX-License-Identifier: BSD-3-Clause
"""Models of ONNX on 8-bit numbers: every bit of what ONNX defines, in NumPy and onnx.reference; ONNX Runtime."""

import numpy as np
import pytest

import complsparse as cs

onnx = pytest.importorskip("onnx", reason="not run: onnx is not installed")
pytest.importorskip("onnxscript", reason="not run: onnxscript is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from complsparse import nn  # noqa: E402

TYPES = {np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.int8): TensorProto.INT8,
         np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}  # fmt: skip


def model_of(nodes, x, out_dtype, **arrays):
    """From x to y, of any shapes."""
    any_of = lambda name, dtype, shape: helper.make_tensor_value_info(name, TYPES[np.dtype(dtype)], shape)  # noqa: E731
    graph = helper.make_graph(
        nodes, "net", [any_of("x", x.dtype, x.shape)], [any_of("y", out_dtype, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def by_reference(model, x):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": x})[0]


def by_runtime(model, x):
    runtime = pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def of_layers(net, kind):
    return [layer for layer in net.layers if type(layer) is kind]


def drawn(rng, shape, dtype, density=1.0, about=0):
    limits = np.iinfo(dtype)
    values = rng.integers(max(limits.min, about - 127), min(limits.max, about + 127) + 1, shape)
    return np.where(rng.random(shape) < density, values, about).astype(dtype)


def rounded(sums, factor, zero):
    """What ONNX defines, of exact sums."""
    limits = np.iinfo(zero.dtype)
    return np.clip(np.rint(sums.astype(np.float64) * factor.astype(np.float64)) + zero, limits.min, limits.max).astype(
        zero.dtype
    )


def centred(values, zero):
    return values.astype(np.int64) - np.asarray(zero).astype(np.int64)


CASES = [
    (np.uint8, np.int8, 0, False), (np.int8, np.int8, 0, True), (np.uint8, np.uint8, 128, True),
    (np.int8, np.int8, 3, False), (np.uint8, np.uint8, 100, False),
]  # fmt: skip


@pytest.mark.parametrize("density", [0.1, 0.9])
@pytest.mark.parametrize(("dtype", "of_weights", "about", "by_column"), CASES)
def test_products_of_matrices(dtype, of_weights, about, by_column, density):
    rng = np.random.default_rng(0)
    x, W = drawn(rng, (7, 40), dtype), drawn(rng, (40, 24), of_weights, density, about)
    n = 24 if by_column else None
    scale = np.float32(rng.uniform(0.001, 0.01, n))
    zero = np.full(n, about).astype(of_weights) if by_column else np.asarray(about, of_weights)
    x_scale, x_zero = np.float32(0.0173), np.asarray(11, dtype)
    y_scale, y_zero = np.float32(0.037), np.asarray(5, dtype)
    model = model_of(
        [helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])], x, dtype,
        xs=x_scale, xz=x_zero, w=W, ws=scale, wz=zero, ys=y_scale, yz=y_zero,
    )  # fmt: skip
    net = cs.onnx.load(model)
    assert len(of_layers(net, nn.ScaledQLinear)) == (density < 0.5)
    y = net(x)
    assert y.dtype == dtype
    wanted = rounded(centred(x, x_zero) @ centred(W, zero), x_scale * scale / y_scale, y_zero)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(net.apply(x), wanted)
    np.testing.assert_array_equal(y, by_reference(model, x))
    assert np.abs(y.astype(int) - by_runtime(model, x)).max() <= 1  # its product with the factor is in float32
    assert np.unique(y).size > 20


@pytest.mark.parametrize("density", [0.1, 0.9])
@pytest.mark.parametrize("zeros", [(), ("xz",), ("xz", "wz")])
@pytest.mark.parametrize(("dtype", "of_weights", "about", "by_column"), CASES)
def test_sums(dtype, of_weights, about, by_column, zeros, density):
    rng = np.random.default_rng(5)
    about = about if "wz" in zeros else 0
    x, W = drawn(rng, (3, 7, 40), dtype), drawn(rng, (40, 24), of_weights, density, about)
    zero = np.full(24, about).astype(of_weights) if by_column else np.asarray(about, of_weights)
    arrays = {"w": W, "xz": np.asarray(11, dtype), "wz": zero}
    model = model_of([helper.make_node("MatMulInteger", ["x", "w", *zeros], ["y"])], x, np.int32,
                     **{name: arrays[name] for name in ("w", *zeros)})  # fmt: skip
    net = cs.onnx.load(model)
    is_signed = np.abs(centred(W, zero if "wz" in zeros else 0)).max() <= 127
    assert len(of_layers(net, nn.IntegerLinear)) == (density < 0.5 and is_signed)
    wanted = centred(x, arrays["xz"] if zeros else 0) @ centred(W, zero if "wz" in zeros else 0)
    y = net(x)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(net.apply(x), wanted)


def test_weights_that_int8_does_not_hold_are_no_layer():
    x, W = np.full((1, 4), 255, np.uint8), np.zeros((4, 8), np.uint8)
    W[1, 2] = 200
    model = model_of([helper.make_node("MatMulInteger", ["x", "w"], ["y"])], x, np.int32, w=W)
    net = cs.onnx.load(model)
    assert not of_layers(net, nn.IntegerLinear)
    np.testing.assert_array_equal(net(x), x.astype(int) @ W)


def test_halves_go_to_the_even_integer_before_the_zero_point():
    """The reference adds the zero point first, and ONNX Runtime does not: the text of ONNX decides."""
    x, W = np.arange(256, dtype=np.uint8).reshape(256, 1), np.zeros((1, 8), np.int8)
    W[0, 3], W[0, 5] = 1, -1
    model = model_of(
        [helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])], x, np.uint8,
        xs=np.float32(0.5), xz=np.uint8(0), w=W, ws=np.float32(1), wz=np.int8(0), ys=np.float32(1), yz=np.uint8(101),
    )  # fmt: skip
    net = cs.onnx.load(model)
    assert of_layers(net, nn.ScaledQLinear)
    halves = np.array([round(n / 2) for n in range(256)])
    np.testing.assert_array_equal(net(x)[:, 3], np.minimum(101 + halves, 255))
    np.testing.assert_array_equal(net(x)[:, 5], np.maximum(101 - halves, 0))
    np.testing.assert_array_equal(net(x), by_runtime(model, x))


@pytest.mark.parametrize("density", [0.15, 0.9])
@pytest.mark.parametrize(
    ("groups", "how"),
    [(1, {}), (1, {"pads": [1, 1, 1, 1]}), (2, {"pads": [0, 1, 2, 1], "strides": [2, 1]}), (1, {"dilations": [2, 1]}),
     (1, {"auto_pad": "SAME_UPPER", "strides": [2, 2]})],
)  # fmt: skip
@pytest.mark.parametrize(("dtype", "of_weights", "about", "by_filter"), CASES[:3])
def test_convolutions(dtype, of_weights, about, by_filter, groups, how, density):
    rng = np.random.default_rng(1)
    x, W = drawn(rng, (2, 8, 9, 7), dtype), drawn(rng, (12, 8 // groups, 3, 3), of_weights, density, about)
    n = 12 if by_filter else None
    scale, zero = np.float32(rng.uniform(0.001, 0.01, n)), np.full(n or (), about).astype(of_weights)
    bias = rng.integers(-9000, 9000, 12).astype(np.int32)
    x_scale, x_zero, y_scale, y_zero = np.float32(0.0173), np.asarray(11, dtype), np.float32(0.05), np.asarray(5, dtype)
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    model = model_of(
        [helper.make_node("QLinearConv", names, ["y"], group=groups, **how)], x, dtype,
        xs=x_scale, xz=x_zero, w=W, ws=scale, wz=zero, ys=y_scale, yz=y_zero, b=bias,
    )  # fmt: skip
    net = cs.onnx.load(model)
    assert len(of_layers(net, nn.ScaledQConv2d)) == (density < 0.5)
    sums = centred_convolution(x, x_zero, W, zero, groups, how) + bias[:, None, None]
    factor = np.broadcast_to(x_scale * scale / y_scale, 12)
    wanted = rounded(sums, factor[:, None, None], y_zero)
    y = net(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(net.apply(x), wanted)
    assert np.abs(y.astype(int) - by_runtime(model, x)).max() <= 1
    assert np.unique(y).size > 20


def centred_convolution(x, x_zero, W, zero, groups, how):
    """Exact sums, by onnx.reference in float64."""
    W = centred(W, np.reshape(zero, (-1, 1, 1, 1)) if np.ndim(zero) else zero).astype(np.float64)
    x = centred(x, x_zero).astype(np.float64)
    of = TensorProto.DOUBLE
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], group=groups, **how)], "net",
        [helper.make_tensor_value_info("x", of, x.shape)], [helper.make_tensor_value_info("y", of, None)],
        [numpy_helper.from_array(W, "w")],
    )  # fmt: skip
    found = by_reference(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), x)
    assert np.array_equal(found, np.rint(found))
    return found.astype(np.int64)


def quantised_network(rng, density, kind, exact):
    """QuantizeLinear, DequantizeLinear, a product with its bias, and the same behind it: as tools write models in QDQ.
    With powers of two as scales float32 holds everything."""
    scale = (lambda *shape: 2.0 ** rng.integers(-7, -4, shape)) if exact else lambda *s: rng.uniform(0.005, 0.02, s)
    one = lambda: np.asarray(scale(), np.float32)  # noqa: E731
    arrays = {"xs": one(), "xz": np.uint8(120), "ys": np.float32(8 * one()), "yz": np.uint8(100)}
    shape = {"MatMul": (32, 16), "Gemm": (16, 32), "Conv": (16, 8, 3, 3)}[kind]
    axis = 1 if kind == "MatMul" else 0
    arrays |= {
        "w": drawn(rng, shape, np.int8, density),
        "ws": scale(16).astype(np.float32),
        "wz": np.zeros(16, np.int8),
    }
    bias = rng.integers(-500, 500, 16).astype(np.int32)
    arrays |= {"b": bias, "bs": arrays["xs"] * arrays["ws"], "bz": np.zeros(16, np.int32)}
    node = helper.make_node
    nodes = [
        node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]), node("DequantizeLinear", ["xq", "xs", "xz"], ["xr"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wr"], axis=axis),
        node("DequantizeLinear", ["b", "bs", "bz"], ["br"], axis=0),
    ]  # fmt: skip
    if kind == "MatMul":
        nodes += [node("MatMul", ["xr", "wr"], ["h"]), node("Add", ["h", "br"], ["s"])]
    else:
        more = {"transB": 1} if kind == "Gemm" else {"pads": [1, 1, 1, 1]}
        nodes += [node(kind, ["xr", "wr", "br"], ["s"], **more)]
    nodes += [
        node("Relu", ["s"], ["r"]), node("QuantizeLinear", ["r", "ys", "yz"], ["q"]),
        node("DequantizeLinear", ["q", "ys", "yz"], ["y"]),
    ]  # fmt: skip
    x = rng.standard_normal((2, 8, 6, 6) if kind == "Conv" else (5, 32)).astype(np.float32)
    return model_of(nodes, x, np.float32, **arrays), x


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("density", [0.15, 0.9])
@pytest.mark.parametrize("kind", ["MatMul", "Gemm", "Conv"])
def test_products_between_real_numbers(kind, density, exact):
    model, x = quantised_network(np.random.default_rng(2), density, kind, exact)
    net = cs.onnx.load(model)
    layer = nn.QConv2d if kind == "Conv" else nn.QLinear
    assert len(of_layers(net, layer)) == (density < 0.5)
    assert not any(type(one).__name__ == "Operator" for one in net.layers)
    y, step = net(x), float(numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == "ys")))
    assert np.unique(y).size > 20
    for wanted in (by_reference(model, x), by_runtime(model, x)):
        if exact:
            np.testing.assert_array_equal(y, wanted)
        else:  # sums in float32 may lie on the other side of a half
            steps = np.abs(y - wanted) / step
            assert steps.max() < 1.01
            assert np.mean(steps > 0.01) < 0.01
    # Behind the product nothing is real but what the activation needs.
    if density < 0.5:
        kernels = [step.kernel for step in net.plan(x.shape).steps]
        assert not any(kernel.startswith("numpy") for kernel in kernels)


def test_a_bias_that_is_no_integer_is_added_as_it_is():
    rng = np.random.default_rng(3)
    model, x = quantised_network(rng, 0.15, "Gemm", True)
    nodes = [node for node in model.graph.node if node.output[0] != "br"]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(numpy_helper.from_array(rng.standard_normal(16).astype(np.float32), "br"))
    net = cs.onnx.load(model)
    assert of_layers(net, nn.QLinear)[0].bias is None
    np.testing.assert_array_equal(net(x), by_reference(model, x))


@pytest.mark.parametrize("density", [0.1, 0.9])
def test_what_the_tool_of_onnx_runtime_makes(density, tmp_path):
    """Of a linear layer in float32, with scales that are found while it runs."""
    pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    from onnxruntime.quantization import quantize_dynamic

    rng = np.random.default_rng(4)
    W = rng.standard_normal((32, 48)).astype(np.float32) * (rng.random((32, 48)) < density)
    x = rng.standard_normal((6, 32)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])]
    onnx.save(model_of(nodes, x, np.float32, w=W, b=rng.standard_normal(48).astype(np.float32)), tmp_path / "a.onnx")
    quantize_dynamic(tmp_path / "a.onnx", tmp_path / "b.onnx")
    model = onnx.load(tmp_path / "b.onnx")
    assert "MatMulInteger" in [node.op_type for node in model.graph.node]
    net = cs.onnx.load(model)
    assert len(of_layers(net, nn.IntegerLinear)) == (density < 0.5)
    for wanted in (by_reference(model, x), by_runtime(model, x)):
        np.testing.assert_allclose(net(x), wanted, rtol=1e-5, atol=1e-5)
