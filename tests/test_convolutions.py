# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions: every way that could serve, over geometries, memory layouts, dtypes, ISA levels and threads."""

import itertools
import math
import os
import pathlib
import pickle
import subprocess
import sys
import threading
import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pytest
from guarded import guarded
from hypothesis import given
from numpy.testing import assert_array_equal
from oracle import assert_product, cases, compute_dtype, draw, result_dtype
from sliding import (
    Sliding,
    channels_last,
    expected_convolution,
    filters_csr,
    gapless_csr,
    one_of_each_window_csr,
    patches,
)
from strategies import seeds, unaligned

import complsparse as cs
from complsparse import _core
from complsparse._conv import conv
from complsparse._matrix.matrix import _restore

WAYS = {"products", "planes", "routed_pixels", "filter_lanes"}
every_layout = pytest.mark.parametrize("layout", ["NCHW", "NHWC"])


def as_layout(images, layout):
    return np.ascontiguousarray(images) if layout == "NCHW" else channels_last(images)


def as_nchw(y, layout):
    return y if layout == "NCHW" else y.transpose(0, 3, 1, 2)


def all_ways(W, x, sliding, layout, groups=1, bias=None, activation=None):
    """(name of the way, result in NCHW) of each that could serve, in the dtype of x."""
    images = as_layout(x, layout)
    bound, shape = conv.bind(images.shape, W, 2, sliding.kernel, sliding.stride, sliding.padding, sliding.dilation,
                             groups, layout, "conv2d")  # fmt: skip
    filters = conv._filters(W, groups)
    image = (bound.channels, *bound.geometry.image)
    options = (filters, x.dtype, image, bound.geometry.sliding, bound.channels_last)
    for i, candidate in enumerate(_core.conv_candidates(*options)):
        f = _core.make_convolution(*options, candidate=i)
        y = np.full((len(images), *shape), 99, dtype=x.dtype)
        f(images, y, bias, activation)
        yield candidate["way"], as_nchw(y, layout)


# --- geometry, all ways ----------------------------------------------------------------------------------------------


@st.composite
def problems(draw_from):
    """Filters, images and windows round the edges of tiles, some of the patterns that ways are made for."""
    rng = np.random.default_rng(draw_from(seeds))
    dtype = np.dtype(draw_from(st.sampled_from(["f4", "f4", "f8", "i8"])))
    groups = draw_from(st.sampled_from([1, 1, 1, 2, 3]))
    each = draw_from(st.sampled_from([1, 2, 3, 5, 8, 16, 32]))
    filters = draw_from(st.sampled_from([1, 3, 4, 8, 15, 16, 17, 32, 48]))
    kernel = tuple(int(n) for n in rng.integers(1, 6, 2))
    stride = tuple(int(n) for n in rng.choice([1, 1, 2, 3], 2))
    dilation = tuple(int(n) for n in rng.choice([1, 1, 2], 2))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 4, (2, 2)))
    image = tuple(int(n) for n in rng.integers(1, 20, 2))
    shape = (groups * filters, each, *kernel)
    height = draw_from(st.sampled_from([1, 1, 4, 8, 16]))
    if each % 8 == 0 and rng.random() < 0.4:
        S = one_of_each_window_csr(rng, shape, int(rng.choice([8, each])), dtype, min(height, 4))
    else:
        S = filters_csr(rng, shape, draw_from(st.sampled_from([0.05, 0.3, 1.0])), dtype, height)
    x = draw(rng, (draw_from(st.integers(0, 5)), groups * each, *image), dtype)
    return S, x, Sliding(kernel, stride, dilation, padding), groups, draw(rng, shape[0], dtype)


@cases(60)
@given(problems())
def test_every_way(isa, problem):
    S, x, sliding, groups, bias = problem
    rows, cols = sliding.out(x.shape[2:])
    if min(rows, cols) < 0:
        return
    W = S.packed()
    plain = expected_convolution(S, x, sliding, x.dtype, groups)
    finished = expected_convolution(S, x, sliding, x.dtype, groups, bias, relu=True)
    for layout in ("NCHW", "NHWC"):
        for way, y in all_ways(W, x, sliding, layout, groups):
            assert_product(np.ascontiguousarray(y), plain, x.dtype, (way, layout))
        for way, y in all_ways(W, x, sliding, layout, groups, bias, "relu"):
            assert_product(np.ascontiguousarray(y), finished, x.dtype, (way, layout))


def matrices(rng, dtype, kernel=(3, 3)):
    """Of filters (48, 32, 3, 3): one for each way."""
    shape = (48, 32, *kernel)
    yield filters_csr(rng, shape, 0.1, dtype)
    yield filters_csr(rng, shape, 0.1, dtype, 4)
    yield filters_csr(rng, shape, 0.1, dtype, 16)
    yield one_of_each_window_csr(rng, shape, 8, dtype)


@every_layout
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_all_ways_are_reached(isa, layout, dtype):
    rng = np.random.default_rng(0)
    x = draw(rng, (2, 32, 14, 14), dtype)
    sliding = Sliding((3, 3), padding=((1, 1), (1, 1)))
    ways = set()
    for S in matrices(rng, dtype):
        wanted = expected_convolution(S, x, sliding, x.dtype)
        for way, y in all_ways(S.packed(), x, sliding, layout):
            ways.add(way)
            assert_product(np.ascontiguousarray(y), wanted, x.dtype, way)
    assert ways == (WAYS if dtype == "f4" else WAYS - {"routed_pixels"})


@every_layout
def test_widths_of_outputs(isa, layout):
    """Every width up to twice the widest tile: rows of the output are cut into tiles."""
    rng = np.random.default_rng(1)
    filters = [filters_csr(rng, (17, 8, 1, 3), 0.3, "f4"), filters_csr(rng, (16, 8, 1, 3), 0.3, "f4", 16),
               one_of_each_window_csr(rng, (17, 8, 1, 3), 8, "f4")]  # fmt: skip
    for S, width in itertools.product(filters, range(1, 36)):
        x = draw(rng, (1, 8, 2, width), "f4")
        sliding = Sliding((1, 3), padding=((0, 0), (1, 1)))
        wanted = expected_convolution(S, x, sliding, x.dtype)
        for way, y in all_ways(S.packed(), x, sliding, layout):
            assert_product(np.ascontiguousarray(y), wanted, x.dtype, (way, width))


@every_layout
@pytest.mark.parametrize("stride", [1, 2])
def test_parts_of_larger_images(isa, layout, stride):
    """Of several strips and rows about as wide as registers: nothing beside y is written."""
    rng = np.random.default_rng(2)
    dtype = np.float32
    for S, width in itertools.product(matrices(rng, dtype), (6, 15, 16, 17, 31, 34)):
        sliding = Sliding((3, 3), (stride, stride), padding=((1, 1), (2, 0)))
        around = draw(rng, (2, 34, 45, width + 3), dtype)
        x = around[:, 1:-1, 2:-1, 1:-2]
        bias = draw(rng, 48, dtype)
        wanted = expected_convolution(S, x, sliding, x.dtype, bias=bias, relu=True)
        rows, cols = sliding.out(x.shape[2:])
        filters = S.packed()
        bound, _ = conv.bind(as_layout(x, layout).shape, filters, 2, sliding.kernel, sliding.stride, sliding.padding,
                             1, 1, layout, "conv2d")  # fmt: skip
        options = (filters, x.dtype, x.shape[1:], bound.geometry.sliding, bound.channels_last)
        images = x if layout == "NCHW" else x.transpose(0, 2, 3, 1)
        for i, candidate in enumerate(_core.conv_candidates(*options)):
            whole = np.full((2, 50, rows + 2, cols), 99, dtype)
            y = whole[:, 1:-1, 1:-1]
            into = y if layout == "NCHW" else y.transpose(0, 2, 3, 1)
            _core.make_convolution(*options, candidate=i)(images, into, bias, "relu")
            assert_product(y.copy(), wanted, dtype, (candidate["way"], width))
            y[...] = 99
            assert (whole == 99).all(), candidate["way"]


def arrays_behind_lines(shape, dtype):
    """Of the same shape, which begin at a cache line, and some elements behind one."""
    size = math.prod(shape)
    raw = np.zeros(size + 32, dtype)
    line = -raw.ctypes.data // raw.itemsize % (64 // raw.itemsize)
    for behind in (0, 1, 4, 15):
        yield raw[line + behind :][:size].reshape(shape)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("height", [1, 4, 8])
def test_planes_as_they_lie(isa, dtype, height):
    """1 x 1 filters in NCHW: planes of whole cache lines and others, wherever memory begins; more channels than a block
    has."""
    rng = np.random.default_rng([height, len(dtype)])
    sliding, bias = Sliding((1, 1)), draw(rng, 48, dtype)
    for (rows, cols), channels in itertools.product(((12, 12), (8, 16), (11, 13), (40, 41)), (40, 300)):
        S = filters_csr(rng, (48, channels, 1, 1), 0.2, dtype, height)
        values, ways = draw(rng, (2, channels, rows, cols), dtype), set()
        wanted = expected_convolution(S, values, sliding, values.dtype, bias=bias, relu=True)
        for x in arrays_behind_lines(values.shape, dtype):
            x[...] = values
            for way, y in all_ways(S.packed(), x, sliding, "NCHW", bias=bias, activation="relu"):
                assert_product(np.ascontiguousarray(y), wanted, x.dtype, (way, rows, cols))
                ways.add(way)
        of_lines = rows * cols * values.itemsize % 64 == 0
        wide = isa == "amx" or "avx512" in isa
        assert ("in_place" in ways) is (wide and (of_lines if height == 1 else channels >= 48))


@pytest.mark.parametrize("height", [1, 4])
@pytest.mark.parametrize("activation", [None, "relu6", "gelu"])
def test_planes_that_do_not_lie_so(isa, height, activation):
    """Other strides than a plan foresees go another way, to the same bits."""
    rng = np.random.default_rng(height)
    W = filters_csr(rng, (16, 24, 1, 1), 0.3, "f4", height).packed()
    around, bias = draw(rng, (2, 26, 14, 13), "f4"), draw(rng, 16, "f4")
    for x in (around[:, 1:-1, 1:-1, :12], around[:, 2:, :12, 1:], around[:, ::-1][:, :24, :12, :12]):
        for (way, found), (_, wanted) in zip(
            all_strided(W, x, bias, activation), all_ways(W, x, Sliding((1, 1)), "NCHW", 1, bias, activation),
            strict=True,
        ):  # fmt: skip
            assert_array_equal(found, wanted, err_msg=way)


def all_strided(W, x, bias, activation):
    """As all_ways, of x as it lies into y of other strides, with 1 x 1 filters."""
    bound, shape = conv.bind(x.shape, W, 2, (1, 1), (1, 1), 0, 1, 1, "NCHW", "conv2d")
    options = (W, x.dtype, x.shape[1:], bound.geometry.sliding, bound.channels_last)
    for i, candidate in enumerate(_core.conv_candidates(*options)):
        whole = np.full((len(x), shape[0] + 2, shape[1] + 2, shape[2]), 99, x.dtype)
        y = whole[:, 1:-1, 1:-1]
        _core.make_convolution(*options, candidate=i)(x, y, bias, activation)
        yield candidate["way"], y.copy()
        y[...] = 99
        assert (whole == 99).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_last_pixel_goes_alone(isa, dtype):
    """Where it is one more than whole vectors; to the same bits in batches, and however images lie."""
    rng = np.random.default_rng(11)
    W, bias = filters_csr(rng, (96, 80, 1, 1), 0.3, dtype), draw(rng, 96, dtype)
    for rows, cols in ((7, 7), (5, 13), (1, 33), (3, 3)):
        x = draw(rng, (3, 80, rows, cols), dtype)
        x[0, 3, -1, -1], x[1, 3, 0, 0] = np.nan, np.inf
        wanted = expected_convolution(W, x, Sliding((1, 1)), x.dtype, bias=bias, relu=True)
        options = (W.packed(), x.dtype, x.shape[1:], ((1, 1), (1, 1), (1, 1), (0, 0), (rows, cols)), False)
        f = _core.make_convolution(*options)
        y, apart, wide = (np.full((3, 96, rows, cols), 99, dtype) for _ in range(3))
        f(x, y, bias, "relu")
        assert_product(y, wanted, x.dtype, (rows, cols))
        for i in range(3):
            f(x[i : i + 1], apart[i : i + 1], bias, "relu")
        f(channels_last(x).transpose(0, 3, 1, 2), wide, bias, "relu")
        assert_array_equal(apart, y)
        assert_array_equal(wide, y)
        last = channels_last(np.full_like(y, 99)).transpose(0, 3, 1, 2)
        f(channels_last(x).transpose(0, 3, 1, 2), last, bias, "relu")
        assert_array_equal(last, y)
        around = np.zeros((3, 80, rows + 2, cols + 2), dtype)
        around[:, :, 1:-1, 1:-1] = x
        f(around[:, :, 1:-1, 1:-1], apart, bias, "relu")
        assert_array_equal(apart, y)
        alone = rows * cols > 9 and ("avx512" in isa or isa == "amx")
        assert ("last pixel" in f.reason) >= alone, f.reason


@pytest.mark.alone
@pytest.mark.parametrize("height", [1, 4])
def test_planes_as_they_lie_give_the_same_bits_for_every_number_of_threads(threads, height):
    rng = np.random.default_rng(6)
    W, x = filters_csr(rng, (64, 96, 1, 1), 0.2, "f4", height).packed(), draw(rng, (3, 96, 24, 26), "f4")
    results = []
    for n in (1, 2, 4):
        with threads(n):
            results.append(dict(all_ways(W, x, Sliding((1, 1)), "NCHW")))
    for way, y in results[0].items():
        for other in results[1:]:
            assert_array_equal(y, other[way], err_msg=way)


@every_layout
@pytest.mark.parametrize("groups", [1, 4])
def test_images_of_one_pixel(isa, layout, groups):
    """One column each, several columns together."""
    rng = np.random.default_rng(1)
    for filters, height in itertools.product((32, 48), (1, 8)):
        S = filters_csr(rng, (filters, 16 // groups, 1, 1), 0.3, np.float32, height)
        for n in (1, 2, 3, 17):
            x = draw(rng, (n, 1, 1, 16), np.float32).transpose(0, 3, 1, 2)  # contiguous in either layout
            x = x if layout == "NHWC" else np.ascontiguousarray(x)
            wanted = expected_convolution(S, x, Sliding((1, 1)), x.dtype, groups)
            for way, y in all_ways(S.packed(), x, Sliding((1, 1)), layout, groups):
                assert_product(np.ascontiguousarray(y), wanted, x.dtype, (way, n))


def test_non_finite_pixels_stay_where_their_windows_are(isa):
    """What is not stored never touches an image, and discarded sums of margins leave no trace."""
    rng = np.random.default_rng(2)
    sliding = Sliding((3, 3), (2, 1), (1, 2), ((1, 2), (3, 1)))
    for S in matrices(rng, "f4"):
        x = draw(rng, (1, 32, 11, 12), "f4")
        x.ravel()[rng.integers(0, x.size, 6)] = [np.nan, np.inf, -np.inf, np.nan, np.inf, -np.inf]
        wanted = expected_convolution(S, x, sliding, x.dtype)
        for layout in ("NCHW", "NHWC"):
            for way, y in all_ways(S.packed(), x, sliding, layout):
                assert_product(np.ascontiguousarray(y), wanted, x.dtype, (way, layout))


@pytest.mark.parametrize("name", _core.activations())
def test_activations_are_those_of_products(isa, name):
    rng = np.random.default_rng(3)
    x, bias = draw(rng, (2, 32, 9, 9), "f4"), draw(rng, 48, "f4")
    for S in matrices(rng, "f4"):
        W = S.packed()
        for layout in ("NCHW", "NHWC"):
            plain = dict(all_ways(W, x, Sliding((3, 3)), layout, bias=bias))
            for way, y in all_ways(W, x, Sliding((3, 3)), layout, bias=bias, activation=name):
                flat = plain[way].transpose(1, 0, 2, 3).reshape(48, -1)
                ones = cs.from_dense(np.eye(48, dtype=np.float32))
                wanted = cs.matmul(ones, flat, activation=name).reshape(48, 2, 7, 7).transpose(1, 0, 2, 3)
                np.testing.assert_allclose(y, wanted, rtol=2e-6, atol=1e-37, err_msg=str((way, layout)))


@pytest.mark.alone
@every_layout
def test_the_same_bits_for_every_number_of_threads(threads, layout):
    """Strips of an image and images of a batch are shared; what is summed in which order is not."""
    rng = np.random.default_rng(4)
    x = draw(rng, (3, 32, 40, 41), "f4")
    for S in matrices(rng, "f4"):
        results = []
        for n in (1, 2, 4):
            with threads(n):
                W = S.packed()  # strips are cut for the threads that there are
                results.append(dict(all_ways(W, x, Sliding((3, 3), padding=((1, 1), (1, 1))), layout)))
        for way, y in results[0].items():
            for other in results[1:]:
                assert_array_equal(y, other[way], err_msg=way)


def test_at_the_edges_of_memory():
    for level in cs.isa_levels():
        tools = str(pathlib.Path(__file__).parent / "tools")
        environment = {**os.environ, "PYTHONPATH": tools}
        subprocess.run([sys.executable, __file__, level], check=True, timeout=600, env=environment)


# --- the functions ---------------------------------------------------------------------------------------------------


PAIRS = [("f4", "f4"), ("f8", "f4"), ("f4", "f2"), ("f2", "f2"), ("i1", "u1"), ("i1", "i1"), ("i4", "i2"), ("?", "i8"),
         ("f4", "i1"), ("i8", "i8"), ("?", "?")]  # fmt: skip


@every_layout
@pytest.mark.parametrize(("w", "x"), PAIRS)
def test_dtypes(w, x, layout):
    rng = np.random.default_rng(5)
    S = filters_csr(rng, (6, 4, 3, 2), 0.4, w)
    images, bias = draw(rng, (2, 4, 7, 6), x), draw(rng, 6, compute_dtype(result_dtype(w, x)))
    sliding = Sliding((3, 2), (1, 2), (1, 1), ((0, 1), (2, 0)))
    result = result_dtype(w, x)
    wanted = expected_convolution(S, images, sliding, result, bias=bias, relu=True)
    y = cs.conv2d(as_layout(images, layout), S.packed(), (3, 2), stride=(1, 2), padding=((0, 1), (2, 0)), bias=bias,
                  activation="relu", layout=layout)  # fmt: skip
    assert_product(np.ascontiguousarray(as_nchw(y, layout)), wanted, result)


def arrangements(images):
    """The same images in other strides, alignments and byte orders."""
    yield np.asfortranarray(images)
    yield images[:, ::-1][:, ::-1].copy()[:, :, ::-1, ::-1][:, :, ::-1, ::-1]
    yield np.repeat(images, 2, axis=3)[..., ::2]
    yield unaligned(images)
    yield images.astype(images.dtype.newbyteorder())
    yield np.moveaxis(channels_last(images), 3, 1)


@every_layout
def test_any_memory_order(layout):
    rng = np.random.default_rng(6)
    x = draw(rng, (2, 32, 9, 10), "f4")
    for S in matrices(rng, "f4"):
        W = S.packed()
        wanted = expected_convolution(S, x, Sliding((3, 3)), x.dtype)
        for images in arrangements(x):
            given = images if layout == "NCHW" else images.transpose(0, 2, 3, 1)
            y = cs.conv2d(given, W, 3, layout=layout)
            assert_product(np.ascontiguousarray(as_nchw(y, layout)), wanted, x.dtype)


@every_layout
def test_out(layout):
    rng = np.random.default_rng(7)
    S = filters_csr(rng, (6, 4, 3, 3), 0.4, "f4")
    W, x = S.packed(), as_layout(draw(rng, (2, 4, 8, 8), "f4"), layout)
    wanted = cs.conv2d(x, W, 3, layout=layout)
    for out in (np.empty_like(wanted), np.empty((*wanted.shape[:-1], 2 * wanted.shape[-1]), "f4")[..., ::2],
                np.empty(wanted.shape[::-1], "f4").T, np.empty_like(wanted)[::-1]):  # fmt: skip
        assert cs.conv2d(x, W, 3, layout=layout, out=out) is out
        assert_array_equal(out, wanted)
    with pytest.raises(ValueError, match="shape"):
        cs.conv2d(x, W, 3, layout=layout, out=np.empty((1, *wanted.shape[1:]), "f4"))
    with pytest.raises(TypeError, match="float64"):
        cs.conv2d(x, W, 3, layout=layout, out=np.empty(wanted.shape))
    same = filters_csr(rng, (4, 4, 1, 1), 0.4, "f4").packed()
    with pytest.raises(ValueError, match="shares memory"):
        cs.conv2d(x, same, 1, layout=layout, out=x)


def test_same_and_valid():
    """ "same" as ONNX's SAME_UPPER: as many outputs as strides fit, the odd zero behind."""
    rng = np.random.default_rng(8)
    S = filters_csr(rng, (3, 2, 4, 3), 0.6, "f8")
    W, x = S.packed(), draw(rng, (1, 2, 10, 11), "f8")
    for stride, dilation in itertools.product((1, 2, 3), (1, 2)):
        y = cs.conv2d(x, W, (4, 3), stride=stride, dilation=dilation, padding="same")
        assert y.shape[2:] == (-(-10 // stride), -(-11 // stride))
        padding = []
        for n, k in zip((10, 11), (4, 3), strict=True):
            total = max((-(-n // stride) - 1) * stride + (k - 1) * dilation + 1 - n, 0)
            padding.append((total // 2, total - total // 2))
        sliding = Sliding((4, 3), (stride,) * 2, (dilation,) * 2, tuple(padding))
        assert_product(y, expected_convolution(S, x, sliding, x.dtype), x.dtype)
    assert_array_equal(cs.conv2d(x, W, (4, 3), padding="valid"), cs.conv2d(x, W, (4, 3)))


@pytest.mark.parametrize("layout", ["NCL", "NLC"])
def test_signals(layout):
    rng = np.random.default_rng(9)
    S = filters_csr(rng, (6, 2, 1, 5), 0.5, "f4")
    W, x, bias = S.packed(), draw(rng, (3, 4, 30), "f4"), draw(rng, 6, "f4")
    sliding = Sliding((1, 5), (1, 2), (1, 3), ((0, 0), (4, 1)))
    wanted = expected_convolution(S, x[:, :, None], sliding, x.dtype, 2, bias)
    given = x if layout == "NCL" else np.ascontiguousarray(x.transpose(0, 2, 1))
    y = cs.conv1d(given, W, 5, stride=2, dilation=3, padding=(4, 1), groups=2, bias=bias, layout=layout)
    nchw = y[:, :, None] if layout == "NCL" else y.transpose(0, 2, 1)[:, :, None]
    assert_product(np.ascontiguousarray(nchw), wanted, x.dtype)


def test_transposed_filters_are_filters_like_others():
    rng = np.random.default_rng(10)
    S = filters_csr(rng, (18, 1, 1, 8), 0.5, "f4")
    x = draw(rng, (1, 2, 6, 6), "f4")
    wanted = expected_convolution(S.T, x, Sliding((3, 3)), x.dtype)
    assert_product(cs.conv2d(x, S.packed().T, 3), wanted, x.dtype)


# --- winners ---------------------------------------------------------------------------------------------------------


@st.composite
def winners_problems(draw_from):
    rng = np.random.default_rng(draw_from(seeds))
    dtype = np.dtype(draw_from(st.sampled_from(["f4", "f4", "f8", "i8"])))
    groups, each = draw_from(st.sampled_from([1, 1, 2])), draw_from(st.sampled_from([1, 3, 8, 16]))
    filters = draw_from(st.sampled_from([1, 3, 4, 8, 16, 24]))
    kernel = tuple(int(n) for n in rng.integers(1, 6, 2))
    sliding = Sliding(kernel, (1, 1), tuple(int(n) for n in rng.choice([1, 1, 2], 2)),
                      tuple((int(a), int(b)) for a, b in rng.integers(0, 4, (2, 2))))  # fmt: skip
    height = draw_from(st.sampled_from([1, 4, 8, 16]))
    shape = (groups * filters, each, *kernel)
    if shape[0] % height == 0 and draw_from(st.booleans()):
        S = gapless_csr(rng, shape, draw_from(st.sampled_from([1, 1, 2, 3])), dtype, height)
    else:
        S = filters_csr(rng, shape, draw_from(st.sampled_from([0.1, 0.5])), dtype, height)
    x = draw(rng, (draw_from(st.integers(0, 4)), groups * each, *map(int, rng.integers(1, 30, 2))), dtype)
    return S, x, sliding, groups, draw(rng, groups * filters, dtype), draw_from(st.booleans())


@cases(60)
@given(winners_problems())
def test_winners(isa, problem):
    """Over the channels of pixels and over whole images: each adds its column of filters to the outputs it meets."""
    S, x, sliding, groups, bias, of_image = problem
    if min(sliding.out(x.shape[2:])) < 0:
        return
    W = S.packed()
    for layout in ("NCHW", "NHWC"):
        images = as_layout(x, layout)
        axis = (1, 2, 3) if of_image else 1 if layout == "NCHW" else 3
        w = cs.kwta(images, 0.1 if of_image else 2, axis=axis)
        dense = np.ascontiguousarray(as_nchw(w.toarray(), layout))
        wanted = expected_convolution(S, dense, sliding, x.dtype, groups, bias, relu=True)
        bound, shape = conv.bind(images.shape, W, 2, sliding.kernel, 1, sliding.padding, sliding.dilation, groups,
                                 layout, "conv2d")  # fmt: skip
        found = conv.of_winners(W, bound, x.dtype, of_image)
        if found.convolution is not None:
            y = np.full((len(images), *shape), 99, dtype=x.dtype)
            found.convolution(w, y, bias, "relu")
            assert_product(np.ascontiguousarray(as_nchw(y, layout)), wanted, x.dtype, layout)
        y = cs.conv2d(w, W, sliding.kernel, padding=sliding.padding, dilation=sliding.dilation, groups=groups,
                      bias=bias, activation="relu", layout=layout)  # fmt: skip
        assert_product(np.ascontiguousarray(as_nchw(y, layout)), wanted, x.dtype, layout)


def test_few_winners_are_not_written_out():
    rng = np.random.default_rng(11)
    W = filters_csr(rng, (64, 64, 5, 5), 0.125, "f4", 8).packed()
    x = draw(rng, (1, 64, 14, 14), "f4")
    pays = {}
    for k in (1, 6, 64):
        w = cs.kwta(x, k, axis=1)
        bound, _ = conv.bind(x.shape, W, 2, 5, 1, 0, 1, 1, "NCHW", "conv2d")
        pays[k] = conv.of_winners(W, bound, x.dtype, False).pays(w.nnz, 1)
        np.testing.assert_allclose(cs.conv2d(w, W, 5), cs.conv2d(w.toarray(), W, 5), rtol=1e-4, atol=1e-4)
    assert pays[1]
    assert not pays[64]


@pytest.mark.alone
@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("of_image", [False, True])
def test_winners_give_the_same_bits_for_every_number_of_threads(threads, of_image, images):
    rng = np.random.default_rng(12)
    S = filters_csr(rng, (64, 32, 3, 3), 0.1, "f4", 8)
    x = draw(rng, (images, 32, 60, 60), "f4")
    w = cs.kwta(x, 0.05, axis=(1, 2, 3) if of_image else 1)
    results = []
    for n in (1, 2, 4):
        with threads(n):
            results.append(cs.conv2d(w, S.packed(), 3, padding=1))
    assert_array_equal(results[0], results[1])
    assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("case", ["strides", "another axis", "signals", "another dtype"])
def test_other_winners(case):
    """Written out, or not: the result is that of the dense array."""
    rng = np.random.default_rng(13)
    W = filters_csr(rng, (5, 8, 1, 3), 0.3, "f4").packed()
    if case == "signals":
        x = draw(rng, (2, 8, 21), "f4")
        for axis in (1, (1, 2)):
            w = cs.kwta(x, 2, axis=axis)
            np.testing.assert_allclose(
                cs.conv1d(w, W, 3), cs.conv1d(w.toarray(), W, 3), rtol=1e-5, atol=1e-5, err_msg=str(axis)
            )
        return
    x = draw(rng, (2, 8, 6, 7), "f8" if case == "another dtype" else "f4")
    w = cs.kwta(x, 3, axis=2 if case == "another axis" else 1)
    stride = 2 if case == "strides" else 1
    assert_array_equal(cs.conv2d(w, W, (1, 3), stride=stride), cs.conv2d(w.toarray(), W, (1, 3), stride=stride))
    assert_array_equal(cs.max_pool2d(w, 2), cs.max_pool2d(w.toarray(), 2))


# --- filters ---------------------------------------------------------------------------------------------------------


def test_filters_in_other_orders():
    weight = np.random.default_rng(12).standard_normal((5, 3, 2, 4))
    wanted = cs.from_dense(weight.reshape(5, -1)).toarray()
    for order, axes in (("OIHW", (0, 1, 2, 3)), ("OHWI", (0, 2, 3, 1)), ("HWIO", (2, 3, 1, 0))):
        W = cs.from_filters(weight.transpose(axes), order=order)
        assert W.filter_shape == (5, 3, 2, 4)
        assert_array_equal(W.toarray(), wanted)
    for order, axes in (("OIW", (0, 1, 2)), ("OHWI", (0, 2, 1)), ("WIO", (2, 1, 0))):
        W = cs.from_filters(weight[:, :, 0].transpose(axes), order=order)
        assert W.filter_shape == (5, 3, 4)
        assert_array_equal(W.toarray(), weight[:, :, 0].reshape(5, -1))


def test_filters_keep_their_shape(tmp_path):
    W = cs.from_filters(np.random.default_rng(13).standard_normal((4, 2, 3, 3)))
    assert W.T.filter_shape is None
    assert W.T.T.filter_shape == (4, 2, 3, 3)
    for other in (W.astype(np.float32), W.with_values(np.ones(W.nnz)), W.copy(), 2 * W, cs.ComplementaryMatrix(W),
                  pickle.loads(pickle.dumps(W))):  # fmt: skip
        assert other.filter_shape == (4, 2, 3, 3)
    cs.save(tmp_path / "filters.npz", W)
    assert cs.load(tmp_path / "filters.npz").filter_shape == (4, 2, 3, 3)
    x = np.ones((1, 2, 5, 5))
    assert_array_equal(cs.conv2d(x, W), cs.conv2d(x, W, 3))
    assert cs.from_dense(np.eye(3)).filter_shape is None


@pytest.mark.parametrize("shape", [(4, 2, 3, 4), (2, 4, 3, 3), (4, 18), (-4, -2, 3, 3), (4, 2, 3, 3.0), "4233"])
def test_states_of_filters_are_not_trusted(shape):
    state = cs.from_filters(np.ones((4, 2, 3, 3)))._state() | {"filter_shape": shape}
    with pytest.raises((ValueError, TypeError), match="filter_shape"):
        _restore(state)


@pytest.mark.parametrize(
    ("weight", "order", "words"),
    [
        (np.ones((2, 3)), "OIHW", "4 axes"),
        (np.ones((2, 3, 1, 1)), "IOHW", "'HWIO'"),
        (np.ones((2, 3, 1, 1)), None, "None"),
    ],
)
def test_filters_that_are_none(weight, order, words):
    with pytest.raises(ValueError, match=words):
        cs.from_filters(weight, order=order)


# --- plans -----------------------------------------------------------------------------------------------------------


@every_layout
def test_plans(layout):
    rng = np.random.default_rng(14)
    x, bias = as_layout(draw(rng, (2, 32, 12, 13), "f4"), layout), draw(rng, 48, "f4")
    for S in matrices(rng, "f4"):
        W = S.packed()
        f = W.plan_conv2d(x.shape, 3, padding=1, bias=bias, activation="silu", layout=layout)
        wanted = cs.conv2d(x, W, 3, padding=1, bias=bias, activation="silu", layout=layout)
        out = np.empty_like(wanted)
        assert f(x, out=out) is out
        assert_array_equal(out, wanted)
        assert_array_equal(f(x), wanted)
        assert f.microkernel in f.describe()
        assert f"{f.workspace_bytes:,}" in f.describe()
        assert str(f.x_shape) in repr(f)
        assert f.dtype == np.float32
        assert f.workspace_bytes < 2**20


@every_layout
def test_plans_take_arrays_as_they_are_or_as_they_can(layout):
    rng = np.random.default_rng(21)
    W = filters_of_integers(rng, (16, 16, 1, 1), 0.3, "f4", 1)
    both = np.zeros((2, 2, 16, 16, 16), "f4")
    x, out = both  # neighbours in one array
    x[:] = small_integers(rng, x.shape)
    f = W.plan_conv2d(x.shape, 1, layout=layout)
    wanted = cs.conv2d(x, W, 1, layout=layout)
    assert_array_equal(f(x, out=out), wanted)
    last = np.moveaxis(np.moveaxis(x, 1, 3).copy(), 3, 1)  # the other memory order
    assert_array_equal(f(last), wanted)
    every_second = np.zeros((4, *x.shape[1:]), "f4")[::2]
    assert f(last, out=every_second) is every_second
    assert_array_equal(every_second, wanted)
    for taken in (x, both.reshape(4, 16, 16, 16)[1:3], x[::-1]):
        with pytest.raises(ValueError, match="shares memory"):
            f(x, out=taken)
    with pytest.raises(ValueError, match="shares memory"):
        f(x[::-1], out=x)
    assert_array_equal(f(x), wanted)
    x.flags.writeable = False
    assert_array_equal(f(x), wanted)
    with pytest.raises(ValueError, match="read-only"):
        f(out, out=x)


@every_layout
def test_plans_stay_inside_their_workspace(layout):
    """Strides that nobody foresaw may need a copy of x, for which a plan has no room."""
    rng = np.random.default_rng(22)
    for shape, height in (((16, 16, 1, 1), 1), ((16, 16, 1, 1), 16), ((16, 16, 3, 3), 1), ((16, 16, 3, 3), 8)):
        W = filters_of_integers(rng, shape, 0.3, "f4", height)
        x = small_integers(rng, (2, 16, 16, 16))
        f = W.plan_conv2d(x.shape, shape[2:], layout=layout)
        memory = np.full(f.workspace_bytes + 2**16, 77, np.uint8)
        first = -memory.ctypes.data % 64
        f._workspace = memory[first : first + f.workspace_bytes]
        for images in (
            x,
            np.moveaxis(np.moveaxis(x, 1, 3).copy(), 3, 1),
            x[:, :, ::-1],
            np.repeat(x, 2, axis=3)[..., ::2],
        ):
            assert_array_equal(f(images), cs.conv2d(np.ascontiguousarray(images), W, shape[2:], layout=layout))
            assert (memory[first + f.workspace_bytes :] == 77).all()


def test_plans_own_their_bias():
    W = cs.from_filters(np.ones((2, 1, 1, 1), "f4"))
    bias = np.ones(2, "f4")
    f = W.plan_conv2d((1, 1, 2, 2), bias=bias)
    bias[:] = 5
    assert_array_equal(f(np.zeros((1, 1, 2, 2), "f4")), np.ones((1, 2, 2, 2)))


def test_what_plans_refuse():
    W = cs.from_filters(np.ones((2, 1, 3, 3), "f4"))
    f = W.plan_conv2d((1, 1, 5, 5))
    x = np.ones((1, 1, 5, 5), "f4")
    with pytest.raises(TypeError, match="float64"):
        f(x.astype("f8"))
    with pytest.raises(ValueError, match=r"\(1, 1, 4, 5\)"):
        f(x[:, :, :4])
    with pytest.raises(TypeError, match="list"):
        f(x.tolist())
    with pytest.raises(ValueError, match="aligned"):
        f(unaligned(x))
    with pytest.raises(ValueError, match="follow one another"):
        f(x, out=np.empty((1, 2, 3, 6), "f4")[..., :3])
    with pytest.raises(ValueError, match="negative"):
        W.plan_conv2d((-1, 1, 5, 5))


def test_a_plan_serves_one_thread_at_a_time():
    """Two threads in one workspace would overwrite each other's strips: the second is told."""
    rng = np.random.default_rng(15)
    W = filters_csr(rng, (64, 64, 3, 3), 0.3, "f4").packed()
    x = draw(rng, (8, 64, 32, 32), "f4")
    f = W.plan_conv2d(x.shape, 3)
    wanted, failures, refused = f(x), [], 0
    for _ in range(50):
        threads = [threading.Thread(target=_call, args=(f, x, wanted, failures)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = sum(isinstance(failure, RuntimeError) for failure in failures)
        assert len(failures) == refused, failures
        if refused:
            break
    assert refused
    assert_array_equal(f(x), wanted)


def _call(f, x, wanted, failures):
    try:
        if not np.array_equal(f(x), wanted):
            failures.append("another result")
    except RuntimeError as error:
        failures.append(error)


def small_integers(rng, shape, dtype="f4"):
    """Whose sums are exact, in any order."""
    return rng.integers(-4, 5, shape).astype(dtype)


def filters_of_integers(rng, shape, density, dtype, height):
    W = filters_csr(rng, shape, density, dtype, height).packed()
    return W.with_values(small_integers(rng, W.nnz, dtype))


@every_layout
@pytest.mark.parametrize("of_image", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_plans_for_winners(layout, of_image, dtype):
    """Few are added one by one, many are written out; whatever is expected, the result is that of the winners."""
    rng = np.random.default_rng(17)
    W = filters_of_integers(rng, (64, 16, 5, 3), 0.2, dtype, 8)
    dense, bias = as_layout(small_integers(rng, (2, 16, 12, 13), dtype), layout), small_integers(rng, 64, dtype)
    options = {"kernel_size": (5, 3), "padding": 1, "bias": bias, "activation": "relu", "layout": layout}
    axis = (1, 2, 3) if of_image else None
    length = 16 * 12 * 13 if of_image else 16
    ways = set()
    for expected in (1, length):
        f = W.plan_conv2d(dense.shape, **options, winners=expected, axis=axis)
        ways.add(f._convolution.of_winners)
        assert (f.winners, f.axis) == (expected, axis or (1 if layout == "NCHW" else 3))
        assert ("written out" in f.describe()) == (not f._convolution.of_winners)
        assert f.workspace_bytes > 0
        for k in (0, 1, 3, length):
            w = cs.kwta(dense, k, axis=f.axis)
            wanted = cs.conv2d(w.toarray(), W, **options)
            out = np.full(f.out_shape, 99, dtype)
            assert f(w, out=out) is out
            assert_array_equal(out, wanted)
            assert_array_equal(f(w), cs.conv2d(w, W, **options))
    assert ways == {True, False}


def test_plans_for_winners_of_groups_and_no_images():
    rng = np.random.default_rng(18)
    W = filters_of_integers(rng, (16, 4, 3, 3), 0.3, "f4", 4)
    for images in (0, 3):
        w = cs.kwta(small_integers(rng, (images, 8, 9, 7)), 1, axis=1)
        f = W.plan_conv2d(w.shape, 3, groups=2, dilation=2, winners=1)
        assert_array_equal(f(w), cs.conv2d(w.toarray(), W, 3, groups=2, dilation=2))
    f = W.plan_conv2d(w.shape, 3, groups=2, stride=2, winners=1)
    assert "written out" in f.describe()
    assert_array_equal(f(w), cs.conv2d(w.toarray(), W, 3, groups=2, stride=2))


def test_what_plans_for_winners_refuse():
    W = cs.from_filters(np.ones((8, 4, 3, 3), "f4"))
    x = np.ones((1, 4, 5, 5), "f4")
    f, w, out = W.plan_conv2d(x.shape, winners=2), cs.kwta(x, 2, axis=1), np.full((1, 8, 3, 3), 7, "f4")
    for call, error, words in (
        (lambda: f(x, out=out), TypeError, r"x is of type ndarray; .* \(winners=2\)"),
        (lambda: W.plan_conv2d(x.shape)(w), TypeError, r"plan_conv2d\(winners=...\)"),
        (lambda: f(cs.kwta(x, 2, axis=(1, 2, 3)), out=out), ValueError, r"along axis \(1, 2, 3\); .* along axis 1"),
        (lambda: f(w.astype("f8"), out=out), TypeError, "float64; the plan computes in float32"),
        (lambda: f(cs.kwta(x[:, :, :4], 2, axis=1), out=out), ValueError, r"\(1, 4, 4, 5\)"),
        (lambda: f(w, out=out[:, :4]), ValueError, r"\(1, 4, 3, 3\)"),
        (lambda: W.plan_conv2d(x.shape, winners=-1), ValueError, "winners=-1"),
        (lambda: W.plan_conv2d(x.shape, winners=0.5), TypeError, "winners must be an integer"),
        (lambda: W.plan_conv2d(x.shape, axis=1), ValueError, "axis=1 is that of winners"),
        (lambda: W.plan_conv2d(x.shape, winners=2, axis=3), ValueError, r"axis=3: .* \(axis 1 of this layout\)"),
        (lambda: W.plan_conv2d(x.shape, winners=2, axis=4), ValueError, "axis 4 is outside"),
        (lambda: W.plan_conv2d(x.shape, winners=2, axis=(1, 2)), ValueError, r"axis=\(1, 2\)"),
    ):
        with pytest.raises(error, match=words):
            call()
    assert (out == 7).all()


@pytest.mark.parametrize("winners", [1, None])
def test_two_plans_serve_two_threads(winners):
    rng = np.random.default_rng(19)
    W = filters_csr(rng, (64, 32, 3, 3), 0.1, "f4", 8).packed()
    inputs = [draw(rng, (2, 32, 20, 20), "f4") for _ in range(2)]
    if winners is not None:
        inputs = [cs.kwta(x, winners, axis=1) for x in inputs]
    plans = [W.plan_conv2d(x.shape, 3, winners=winners) for x in inputs]
    wanted, failures = [f(x) for f, x in zip(plans, inputs, strict=True)], []

    def calls(number):
        for _ in range(50):
            _call(plans[number], inputs[number], wanted[number], failures)

    running = [threading.Thread(target=calls, args=(number,)) for number in range(2)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert not failures


def test_deterministic_plans_for_winners_sum_in_one_order():
    rng = np.random.default_rng(20)
    W = filters_csr(rng, (16, 16, 3, 3), 0.4, "f4", 8).packed()
    w = cs.kwta(rng.standard_normal((1, 16, 9, 9), dtype=np.float32), 1, axis=1)
    found = W.plan_conv2d(w.shape, 3, deterministic=True, winners=1)(w)
    assert_array_equal(found, W.plan_conv2d(w.shape, 3, deterministic=True)(w.toarray()))


def test_deterministic_plans_sum_in_one_order():
    rng = np.random.default_rng(16)
    S = filters_csr(rng, (16, 16, 3, 3), 0.4, "f4", 16)
    x = draw(rng, (1, 16, 9, 9), "f4")
    W = S.packed()
    found = W.plan_conv2d(x.shape, 3, deterministic=True)(x)
    for layout in ("NCHW", "NHWC"):
        f = W.plan_conv2d(as_layout(x, layout).shape, 3, deterministic=True, layout=layout)
        assert_array_equal(as_nchw(f(as_layout(x, layout)), layout), found)
    columns = patches(x, Sliding((3, 3)))[0].reshape(144, -1)
    product = W.plan(columns.shape[1], deterministic=True)(columns)
    assert_array_equal(found[0].reshape(16, -1), product)


def test_calls_leave_no_memory_behind():
    W = cs.from_filters(np.ones((4, 2, 3, 3), "f4"))
    x = np.ones((1, 2, 8, 8), "f4")
    f, out = W.plan_conv2d(x.shape), np.empty((1, 4, 6, 6), "f4")
    tracemalloc.start()
    try:
        for _ in range(1000):
            f(x, out=out)
            cs.conv2d(x, W, out=out)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            f(x, out=out)
            cs.conv2d(x, W, out=out)
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


def test_few_geometries_are_kept():
    W = cs.from_filters(np.ones((4, 2, 3, 3), "f4"))
    for n in range(3, 60):
        cs.conv2d(np.ones((1, 2, n, 3), "f4"), W)
    assert len(W._convolutions) <= 32


# --- what is refused -------------------------------------------------------------------------------------------------


X = np.ones((1, 4, 6, 6), "f4")
F = cs.from_filters(np.ones((6, 4, 3, 3), "f4"))


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (TypeError, "ndarray", lambda: cs.conv2d(X, np.ones((6, 36)), 3)),
        (ValueError, "3 axes|4 axes", lambda: cs.conv2d(X[0], F)),
        (ValueError, "'NCWH'", lambda: cs.conv2d(X, F, layout="NCWH")),
        (ValueError, "'NCHW'", lambda: cs.conv1d(X[0], F, 3, layout="NCHW")),
        (ValueError, "kernel_size", lambda: cs.conv2d(X, cs.from_dense(np.ones((6, 36))))),
        (ValueError, "36 columns.*4 channels with 25 taps.*100", lambda: cs.conv2d(X, F, 5)),
        (ValueError, "36 columns.*3 channels", lambda: cs.conv2d(X[:, :3], F)),
        (ValueError, "reaches over 13 pixels; the image has 6", lambda: cs.conv2d(X, F, dilation=6)),
        (ValueError, "groups=5", lambda: cs.conv2d(X, F, groups=5)),
        (ValueError, "groups=0", lambda: cs.conv2d(X, F, groups=0)),
        (TypeError, "groups", lambda: cs.conv2d(X, F, groups=1.0)),
        (ValueError, "stride=0", lambda: cs.conv2d(X, F, stride=0)),
        (TypeError, "stride", lambda: cs.conv2d(X, F, stride=1.5)),
        (TypeError, "stride", lambda: cs.conv2d(X, F, stride=(1, 2, 3))),
        (ValueError, "dilation=-1", lambda: cs.conv2d(X, F, dilation=-1)),
        (ValueError, "padding", lambda: cs.conv2d(X, F, padding=-1)),
        (ValueError, "'full'", lambda: cs.conv2d(X, F, padding="full")),
        (TypeError, "padding", lambda: cs.conv2d(X, F, padding=((1, 2), (1, None)))),
        (ValueError, "2\\*\\*31", lambda: cs.conv2d(X, F, padding=2**40)),
        (ValueError, r"bias has shape \(5,\)", lambda: cs.conv2d(X, F, bias=np.ones(5))),
        (ValueError, "softmax", lambda: cs.conv2d(X, F, activation="softmax")),
        (TypeError, "complex", lambda: cs.conv2d(X.astype(complex), F)),
        (ValueError, "axes", lambda: cs.conv2d(np.float32(1), F)),
    ],
)
def test_refused(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_empty_outputs():
    assert cs.conv2d(X[:, :, :2], F).shape == (1, 6, 0, 4)
    assert cs.conv2d(X[:0], F).shape == (0, 6, 4, 4)
    assert cs.conv2d(X[:, :, :, :2], F, padding=((0, 0), (0, 0)), bias=np.ones(6)).shape == (1, 6, 4, 0)
    empty = cs.from_coo([], ([], []), (6, 36), dtype=np.float32)
    assert_array_equal(cs.conv2d(X, empty, 3, bias=np.arange(6, dtype="f4"))[0, :, 0, 0], np.arange(6))


# --- at pages without access -----------------------------------------------------------------------------------------


def check_guarded(rng, at_end):
    for layout, (size, sliding) in itertools.product(
        ("NCHW", "NHWC"),
        (((7, 9), Sliding((3, 3))), ((8, 8), Sliding((3, 3), padding=((1, 1), (1, 1)))),
         ((9, 7), Sliding((3, 3), (2, 2), (1, 1), ((1, 0), (0, 2)))), ((12, 12), Sliding((1, 1))),
         ((11, 13), Sliding((1, 1)))),
    ):  # fmt: skip
        for S in matrices(rng, "f4", sliding.kernel):
            S = S._replace(data=rng.integers(1, 9, len(S.data)).astype("f4"))
            plain = rng.integers(-9, 9, (2, 32, *size)).astype("f4")
            images = as_layout(plain, layout)
            x = guarded(images.shape, "f4", at_end)
            x[...] = images
            bias = guarded((48,), "f4", at_end)
            bias[...] = 1
            wanted = expected_convolution(S, plain, sliding, np.float32, bias=np.ones(48, "f4"))
            bound, shape = conv.bind(x.shape, S.packed(), 2, sliding.kernel, sliding.stride, sliding.padding,
                                     sliding.dilation, 1, layout, "conv2d")  # fmt: skip
            W = S.packed()
            options = (W, x.dtype, (32, *size), bound.geometry.sliding, bound.channels_last)
            for i in range(len(_core.conv_candidates(*options))):
                y = guarded((2, *shape), "f4", at_end)
                _core.make_convolution(*options, candidate=i)(x, y, bias, None)
                assert_product(np.ascontiguousarray(as_nchw(y, layout)), wanted, np.float32)


if __name__ == "__main__":
    _core.set_isa(sys.argv[1])
    for end in (True, False):
        check_guarded(np.random.default_rng(0), end)
