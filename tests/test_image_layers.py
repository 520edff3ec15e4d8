# SPDX-License-Identifier: BSD-3-Clause
"""Layers of images that no sparse filters are in: depthwise convolutions, transposed ones, other sizes."""

import itertools

import hypothesis.strategies as st
import networks
import numpy as np
import pytest
from hypothesis import given
from networks import nn
from numpy.testing import assert_allclose, assert_array_equal
from strategies import seeds

import complsparse as cs


def depthwise(rng, dtype=np.float32):
    """A layer with dense filters for a channel each, and images for it."""
    channels, times = int(rng.choice([2, 3, 4, 16, 33])), int(rng.choice([1, 1, 2, 3]))
    layout = str(rng.choice(["NCHW", "NHWC"]))
    kernel = tuple(int(n) for n in rng.integers(1, 6, 2))
    stride, dilation = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    padding = int(rng.integers(0, 4))
    least = [max(1, dilation * (k - 1) + 1 - 2 * padding) for k in kernel]
    image = [int(n + rng.integers(0, 40)) for n in least]
    layer = nn.Conv2d(
        rng.standard_normal((channels * times, 1, *kernel)).astype(dtype), stride=stride, dilation=dilation,
        padding=padding, groups=channels, bias=networks.vector(rng, channels * times, dtype), layout=layout,
        activation=rng.choice([None, "relu", "relu6", "hard_swish"]),
    )  # fmt: skip
    shape = (channels, *image) if layout == "NCHW" else (*image, channels)
    return layer, rng.standard_normal((int(rng.integers(1, 4)), *shape)).astype(dtype)


@given(seeds, st.sampled_from([np.float32, np.float64]))
def test_depthwise_convolutions(seed, dtype):
    layer, x = depthwise(np.random.default_rng(seed), dtype)
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    wanted = networks.reference(layer, x.astype(np.float64))
    assert_allclose(nn.Sequential([layer])(x), wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 14, 16, 17, 31, 40])
def test_every_level_and_thread_count_gives_the_bits_of_depthwise_convolutions(isa, layout, size, threads):
    rng = np.random.default_rng(size)
    filters = rng.standard_normal((6, 1, 3, 3)).astype(np.float32)
    layer = nn.Conv2d(filters, padding=1, groups=6, layout=layout, activation="relu")
    x = rng.standard_normal((2, 6, size, size) if layout == "NCHW" else (2, size, size, 6)).astype(np.float32)
    net = nn.Sequential([layer])
    assert [step.kernel for step in net.plan(x.shape).steps] == ["depthwise"]
    results = []
    for count in (1, 2, 4):
        with threads(count):
            results.append(nn.Sequential([layer])(x))
    assert_array_equal(results[1], results[0])
    assert_array_equal(results[2], results[0])
    assert_allclose(results[0], networks.reference(layer, x.astype(float)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_planes_of_any_size_by_square_filters(isa, kernel, stride):
    """Around vectors of columns, two narrow planes to a vector, and tiles of rows; what lies beside x is no number."""
    rng = np.random.default_rng(10 * kernel + stride)
    sizes = [(1, 1), (2, 3), (3, 4), (6, 5), (7, 7), (14, 8), (15, 9), (8, 16), (13, 17), (22, 15), (9, 32), (4, 33)]
    for height, width in sizes:
        for padding in ([(kernel // 2,) * 2] * 2, [(0, 3), (1, 0)], [(kernel, 1), (0, kernel)]):
            if min(n + sum(beside) for n, beside in zip((height, width), padding, strict=True)) < kernel:
                continue
            channels, times = int(rng.integers(1, 5)), int(rng.integers(1, 3))
            layer = nn.Conv2d(
                rng.standard_normal((channels * times, 1, kernel, kernel)).astype(np.float32), stride=stride,
                padding=padding, groups=channels, bias=rng.standard_normal(channels * times).astype(np.float32),
                activation=rng.choice([None, "relu", "relu6", "silu"]),
            )  # fmt: skip
            around = np.full((4, channels, height, width), np.nan, np.float32)
            x = around[1:3]
            x[:] = rng.standard_normal(x.shape)
            wider = np.pad(x.astype(float), [(0, 0), (0, 0), *padding])
            wanted = networks.reference(layer.with_arguments(padding=0), wider)
            out = np.full((4, *wanted.shape[1:]), 7, np.float32)
            net = nn.Sequential([layer])
            net(x, out=out[1:3])
            assert_allclose(out[1:3], wanted, rtol=1e-4, atol=1e-5)
            assert (out[::3] == 7).all()


def test_depthwise_convolutions_keep_nan_and_stay_within_their_images():
    x = np.zeros((1, 2, 5, 5), np.float32)
    x[0, 0, 2, 2] = np.nan
    y = nn.Sequential([nn.Conv2d(np.ones((2, 1, 3, 3), np.float32), padding=1, groups=2, activation="relu6")])(x)
    assert np.isnan(y[0, 0, 1:4, 1:4]).all()
    assert np.isnan(y).sum() == 9


def transposed(layer, x):
    """Each entry adds its filters: loops."""
    axes = layer.W.ndim - 2
    each = lambda v, n: v * n if len(v) == 1 else v  # noqa: E731
    stride, dilation = each(layer.stride, axes), each(layer.dilation, axes)
    more, cut = each(layer.output_padding, axes), each(layer.padding, 2 * axes)
    kernel, of_group = layer.W.shape[2:], layer.W.shape[1]
    whole = [
        s * (n - 1) + d * (k - 1) + 1 + m
        for s, n, d, k, m in zip(stride, x.shape[2:], dilation, kernel, more, strict=True)
    ]
    y = np.zeros((len(x), of_group * layer.groups, *whole))
    inputs = x.shape[1] // layer.groups
    for n, c, *at in np.ndindex(x.shape):
        for m, tap in itertools.product(range(of_group), np.ndindex(kernel)):
            to = [s * a + d * t for s, a, d, t in zip(stride, at, dilation, tap, strict=True)]
            y[(n, c // inputs * of_group + m, *to)] += float(x[(n, c, *at)]) * layer.W[(c, m, *tap)]
    y = y[(..., *(slice(a, size - b) for a, b, size in zip(cut[:axes], cut[axes:], whole, strict=True)))]
    return y if layer.bias is None else y + layer.bias.reshape(-1, *[1] * axes)


@given(seeds)
def test_transposed_convolutions(seed):
    rng = np.random.default_rng(seed)
    axes, groups = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    channels, of_group = groups * int(rng.integers(1, 3)), int(rng.integers(1, 3))
    kernel = tuple(int(n) for n in rng.integers(2, 4, axes))
    layer = nn.ConvTranspose(
        W=rng.standard_normal((channels, of_group, *kernel)).astype(np.float32),
        bias=networks.vector(rng, of_group * groups), stride=int(rng.integers(1, 4)), groups=groups,
        padding=tuple(int(n) for n in rng.integers(0, 2, 2 * axes)), dilation=int(rng.integers(1, 3)),
        output_padding=int(rng.integers(0, 2)),
    )  # fmt: skip
    x = rng.standard_normal((2, channels, *rng.integers(2, 5, axes))).astype(np.float32)
    assert_allclose(nn.Sequential([layer])(x), transposed(layer, x), rtol=1e-4, atol=1e-4)


RESIZED = [  # by ONNX's equations, by hand
    ({"mode": "linear"}, [1.0, 2.0], 4, [1, 1.25, 1.75, 2]),
    ({"mode": "linear", "coordinates": "align_corners"}, [1.0, 2.0], 5, [1, 1.25, 1.5, 1.75, 2]),
    ({"mode": "linear", "coordinates": "asymmetric"}, [1.0, 2.0], 4, [1, 1.5, 2, 2]),
    ({"mode": "linear"}, [1.0, 2.0, 3.0, 4.0], 2, [1.5, 3.5]),
    ({"mode": "linear", "coordinates": "pytorch_half_pixel"}, [1.0, 2.0, 3.0], 1, [1]),
    ({}, [1.0, 2.0, 3.0], 6, [1, 1, 2, 2, 3, 3]),
    ({"coordinates": "asymmetric", "rounding": "floor"}, [1.0, 2.0, 3.0], 5, [1, 1, 2, 2, 3]),
    ({"coordinates": "asymmetric", "rounding": "ceil"}, [1.0, 2.0, 3.0], 6, [1, 2, 2, 3, 3, 3]),
    ({"coordinates": "align_corners", "rounding": "round_prefer_ceil"}, [1.0, 2.0], 3, [1, 2, 2]),
    ({"coordinates": "align_corners"}, [1.0, 2.0], 3, [1, 1, 2]),
    ({"mode": "cubic", "coordinates": "asymmetric"}, [0.0, 1.0, 0.0, 0.0], 8,
     [0, 0.59375, 1, 0.59375, 0, -0.09375, 0, 0]),
    ({"mode": "linear", "exclude_outside": True}, [1.0, 2.0], 4, [1, 1.25, 1.75, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("how", "line", "size", "wanted"), RESIZED)
def test_other_sizes(how, line, size, wanted):
    x = np.array(line, np.float32)
    assert_allclose(nn.Resize(sizes=(size,), **how)(x), wanted, atol=1e-6)
    if size % len(line) == 0:
        assert_allclose(nn.Resize(scales=[size / len(line)], **how)(x), wanted, atol=1e-6)
    images = np.broadcast_to(x[:, None], (2, 3, len(x), 4)).copy()
    net = nn.Sequential([nn.Resize(sizes=(size,), axes=(2,), **how)])
    assert_allclose(net(images), np.broadcast_to(np.array(wanted)[:, None], (2, 3, size, 4)), atol=1e-6)


def test_sizes_that_follow_from_shapes():
    g = nn.Graph()
    x, like = g.input("x"), g.input("like")
    g.output(g.add(nn.Resize(mode="linear", axes=(2, 3)), x, g.add(nn.Shape(2), like)))
    y = g(np.ones((1, 2, 3, 3), np.float32), np.ones((1, 2, 7, 5), np.float32))
    assert_allclose(y, np.ones((1, 2, 7, 5)), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: nn.Sequential([nn.Resize(sizes=(2, 2))])(x), "each of 4 axes"),
        (lambda x: nn.Sequential([nn.Resize(scales=[1, 1, 0, 1])])(x), "axis 2 of 5 entries"),
        (lambda x: nn.Resize(mode="area"), "'area'"),
        (lambda x: nn.Sequential([nn.ConvTranspose(W=np.ones((3, 1, 2, 2)))])(x), r"\(1, 2, 5, 5\).*\(3, 1, 2, 2\)"),
        (lambda x: nn.Sequential([nn.ConvTranspose(W=np.ones((2, 1, 2, 2)), stride=(1, 2, 3))])(x), "stride="),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(make, words):
    with pytest.raises(ValueError, match=words):
        make(np.ones((1, 2, 5, 5)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("shape", [(1, 5, 3, 4), (2, 40, 7, 7), (3, 1, 12, 5), (2, 6, 1, 1)])
def test_images_of_other_sizes_are_one_sparse_product(mode, shape, dtype):
    """Along both axes at once, as the function along one after the other gives it."""
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for how in ({"sizes": (2 * shape[2], shape[3] + 3), "axes": (2, 3)}, {"scales": [1, 1, 2.5, 1]}):
        layer = nn.Resize(mode=mode, coordinates="half_pixel", **how)
        net = nn.Sequential([layer])
        assert not [step.kernel for step in net.plan(shape).steps if step.kernel.startswith("numpy")]
        assert_allclose(net(x), layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_the_first_axis_and_large_images_are_resized_by_numpy(mode):
    for shape, sizes in (((2, 3, 4), (4, 3, 4)), ((1, 2, 260, 260), (1, 2, 520, 520))):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        layer = nn.Resize(sizes=sizes, mode=mode)
        net = nn.Sequential([layer])
        assert [step.kernel for step in net.plan(shape).steps] == ["numpy resize"]
        assert_allclose(net(x), layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize(
    ("axes", "compiled"), [((2, 3), True), ((-1,), True), ((1, 2, 3), True), ((1,), False), ((0, 1, 2, 3), False)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_of_the_last_axes_are_pools(axes, compiled, keepdims, dtype):
    x = np.random.default_rng(0).standard_normal((2, 5, 7, 9)).astype(dtype)
    net = nn.Sequential([nn.ReduceMean(axes, keepdims=keepdims)])
    assert ([step.kernel for step in net.plan(x.shape).steps] == ["pool"]) == compiled
    assert_allclose(net(x), x.astype(float).mean(axis=axes, keepdims=keepdims), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("padding", "own"),
    [(0, ((0, 0), (0, 0))), ("valid", ((0, 0), (0, 0))), ((1, 0), ((1, 1), (0, 0))), (((0, 2), (1, 0)),) * 2],
)
@pytest.mark.parametrize("groups", [1, 4])
def test_zeros_around_images_are_padding_of_the_convolution_behind(layout, padding, own, groups):
    rng = np.random.default_rng(3)
    layer = nn.Conv2d(
        rng.standard_normal((8 if layout == "NCHW" else 4, 4 // groups, 3, 3)).astype(np.float32), stride=2,
        padding=padding, groups=groups, layout=layout,
    )  # fmt: skip
    x = rng.standard_normal((2, 4, 9, 12) if layout == "NCHW" else (2, 9, 12, 4)).astype(np.float32)
    widths = (0, 0, 1, 0, 0, 0, 2, 3) if layout == "NCHW" else (0, 1, 0, 0, 0, 2, 3, 0)
    net = nn.Sequential([nn.Pad(widths), layer])
    assert "numpy pad" not in [step.kernel for step in net.plan(x.shape).steps]
    around = [(0, 0), (0, 0), *own] if layout == "NCHW" else [(0, 0), *own, (0, 0)]
    wide = np.pad(
        x.astype(float), [(a + c, b + d) for a, b, (c, d) in zip(widths[:4], widths[4:], around, strict=True)]
    )
    assert_allclose(net(x), networks.reference(layer.with_arguments(padding=0), wide), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "pad",
    [
        nn.Pad((0, 0, 1, 1, 0, 0, 1, 1), value=2.0), nn.Pad((0, 0, 1, 1, 0, 0, 1, 1), mode="edge"),
        nn.Pad((0, 1, 0, 0, 0, 1, 0, 0)), nn.Pad((0, 0, -1, 0, 0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_other_pads_stay(pad):
    x = np.random.default_rng(4).standard_normal((1, 2, 8, 8)).astype(np.float32)
    wide = pad(x)
    layer = nn.Conv2d(np.ones((2, wide.shape[1], 3, 3), np.float32))
    net = nn.Sequential([pad, layer])
    assert "numpy pad" in [step.kernel for step in net.plan(x.shape).steps]
    assert_allclose(net(x), networks.reference(layer, wide.astype(float)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "packed"), [(9, False), (32, True)])
def test_dense_filters_on_many_pixels_run_as_packed_ones(size, packed):
    rng = np.random.default_rng(5)
    layer = nn.Conv2d(rng.standard_normal((24, 3, 3, 3)).astype(np.float32), stride=2, padding=1, activation="relu6")
    x = rng.standard_normal((2, 3, size, size)).astype(np.float32)
    net = nn.Sequential([layer])
    (step,) = net.plan(x.shape).steps
    assert (step.kernel != "gemm") == packed
    assert_allclose(net(x), networks.reference(layer, x.astype(float)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axes", [(0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2), (0, 1, 2, 3), (1, 0, 2, 3), None])
def test_axes_in_another_order(axes, dtype):
    x = np.arange(2 * 3 * 4 * 5, dtype=dtype).reshape(2, 3, 4, 5)
    net = nn.Sequential([nn.Transpose(axes)])
    is_compiled = axes is not None and axes[0] == 0
    (step,) = net.plan(x.shape).steps
    assert (step.kernel == ("copy" if axes == (0, 1, 2, 3) else "permute")) == is_compiled
    order = axes or (3, 2, 1, 0)
    y = net(x)
    for at in itertools.product(*map(range, x.shape)):
        assert y[tuple(at[axis] for axis in order)] == x[at]


@pytest.mark.parametrize("order", ["DCR", "CRD"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_channels_as_pixels(order, size):
    c, h, w = 2, 4, 5
    x = np.random.default_rng(0).standard_normal((2, c * size**2, h, w)).astype(np.float32)
    net = nn.Sequential([nn.DepthToSpace(size, order=order)])
    assert [step.kernel for step in net.plan(x.shape).steps] == ["permute" if size > 1 else "copy"]
    y = net(x)
    assert y.shape == (2, c, h * size, w * size)
    for n, k, i, j in itertools.product(*map(range, y.shape)):
        block = i % size * size + j % size
        channel = block * c + k if order == "DCR" else k * size**2 + block
        assert y[n, k, i, j] == x[n, channel, i // size, j // size]


@pytest.mark.parametrize("how", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("activation", [None, "relu6"])
@pytest.mark.parametrize("sparse", [False, True])
def test_convolutions_of_one_pixel_change_places_with_a_resize(how, activation, sparse):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((6, 8, 1, 1)).astype(np.float32) * (rng.random((6, 8, 1, 1)) < 0.4)
    layer = nn.Conv2d(
        cs.from_filters(W) if sparse else W, bias=10 * rng.standard_normal(6).astype(np.float32), activation=activation
    )
    net = nn.Sequential([nn.Resize(scales=(1, 1, 2, 3), mode=how), layer])
    x = rng.standard_normal((2, 8, 5, 4)).astype(np.float32)
    assert net.plan(x.shape).steps[0].writes[0].spec.shape == (6, 5, 4)
    assert_allclose(net(x), net.apply(x), rtol=1e-5, atol=1e-5)
    smaller = nn.Sequential([nn.Resize(scales=(1, 1, 0.5, 1), mode=how), layer])
    assert smaller.plan(x.shape).steps[0].writes[0].spec.shape == (8, 2, 4)
    assert_allclose(smaller(x), smaller.apply(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("new", [np.array([2, 3, 7, 9]), np.float32([1, 1, 1.75, 2.25])])
@pytest.mark.parametrize("is_input", [False, True])
def test_sizes_of_all_axes_do_not_hold_for_other_channels(new, is_input):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 3, 4, 4)).astype(np.float32)
    name = "sizes" if new.dtype.kind == "i" else "scales"
    g = nn.Graph()
    image = g.input("x", x.shape)
    resized = (
        g.add(nn.Resize(mode="linear"), image, g.constant(new))
        if is_input
        else g.add(nn.Resize(mode="linear", **{name: tuple(new.tolist())}), image)
    )
    g.output(g.add(nn.Conv2d(rng.standard_normal((2, 3, 1, 1)).astype(np.float32), activation="relu"), resized))
    assert g.plan(x.shape).steps[0].writes[0].spec.shape == (2, 4, 4)
    assert_allclose(g(x), g.apply(x), rtol=1e-5, atol=1e-5)


def test_what_does_not_change_places_with_a_resize():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 3, 4, 4)).astype(np.float32)
    resize = nn.Resize(scales=(1, 1, 2, 2), mode="linear")
    one = rng.standard_normal((2, 3, 1, 1)).astype(np.float32)
    for layer in [
        nn.Conv2d(rng.standard_normal((4, 3, 1, 1)).astype(np.float32)),  # more channels
        nn.Conv2d(one, stride=2), nn.Conv2d(one, padding=1), nn.Conv2d(one[:, :, 0, 0], (1, 1), padding=(1, 0)),
        nn.Conv2d(rng.standard_normal((3, 1, 1, 1)).astype(np.float32), groups=3),
        nn.Conv2d(rng.standard_normal((2, 3, 3, 3)).astype(np.float32), padding=1),
    ]:  # fmt: skip
        net = nn.Sequential([resize, layer])
        assert net.plan(x.shape).steps[0].writes[0].spec.shape == (3, 8, 8)
        assert_allclose(net(x), net.apply(x), rtol=1e-5, atol=1e-5)
    g = nn.Graph()
    resized = g.add(resize, g.input("x", x.shape))
    g.output(g.add(nn.Conv2d(one), resized))
    g.output(resized)
    assert g.plan(x.shape).steps[0].writes[0].spec.shape == (3, 8, 8)
    for found, wanted in zip(g(x), g.apply(x), strict=True):
        assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
