# SPDX-License-Identifier: BSD-3-Clause
"""Steps that take images a band of rows at a time: the bits of the same steps on whole images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import complsparse as cs
from complsparse import nn
from complsparse.nn import _memory


def pointwise(rng, M, C, activation=None, dtype=np.float32):
    W = rng.standard_normal((M, C, 1, 1)) * (rng.random((M, C, 1, 1)) < 0.3)
    bias = rng.standard_normal(M).astype(dtype)
    return nn.Conv2d(cs.from_filters(W.astype(dtype)), bias=bias, activation=activation)


def depthwise(rng, C, kernel, stride=1, padding=None, times=1, activation=None, dtype=np.float32):
    W = rng.standard_normal((C * times, 1, kernel, kernel)).astype(dtype)
    padding = kernel // 2 if padding is None else padding
    bias = rng.standard_normal(C * times).astype(dtype)
    return nn.Conv2d(W, bias=bias, groups=C, stride=stride, padding=padding, activation=activation)


def convolution(rng, M, C, kernel, stride, padding, dilation=1, block=1):
    W = rng.standard_normal((M * block, C, kernel, kernel))
    W *= np.repeat(rng.random((M, C, kernel, kernel)) < 0.3, block, axis=0)
    W = cs.from_filters(W.astype(np.float32))
    bias = rng.standard_normal(M * block).astype(np.float32)
    return nn.Conv2d(W, bias=bias, stride=stride, padding=padding, dilation=dilation, activation="relu")


def chains(net, x, monkeypatch):
    """The steps of each chain that the compiled network has."""
    seen = []
    placed = _memory.placed

    def watched(steps, *others):
        found = placed(steps, *others)
        seen.extend(
            [step.kernel for step in steps[first : first + len(between) + 1]] for first, between, _ in found.chains
        )
        return found

    monkeypatch.setattr("complsparse.nn._builder.placed", watched)
    net.plan(x.shape)
    return seen


def check(made, x):
    """made: makes the network, as often as it is called."""
    found, reference = made()(x), made().apply(x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_memory, "cache", lambda: 1 << 40)
        wanted = made()(x)
    assert found.tobytes() == wanted.tobytes()
    np.testing.assert_allclose(found, reference, rtol=1e-4, atol=1e-4)


@pytest.fixture
def small(monkeypatch):
    """As on a CPU whose cache holds some rows of the smallest images alone."""
    monkeypatch.setattr(_memory, "cache", lambda: 4096)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (3, 2, 0), (5, 1, 2), (5, 2, 1), (3, 1, 0)]
)
def test_bands_of_rows(isa, small, kernel, stride, padding, dtype):
    def made():
        rng = np.random.default_rng([kernel, stride, padding])
        return nn.Sequential([
            pointwise(rng, 12, 5, "relu6", dtype),
            depthwise(rng, 12, kernel, stride, padding, activation="relu", dtype=dtype),
            pointwise(rng, 7, 12, dtype=dtype),
        ])  # fmt: skip

    check(made, np.random.default_rng(1).standard_normal((3, 5, 23, 19)).astype(dtype))


SIZES = ((1, 4), (2, 6), (1, 4), (0, 2), (1, 3))  # filters, kernel, stride, padding, filters of one pattern


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_chain(data):
    """Of any sizes, lengths and memory; two threads."""
    draw = data.draw
    seed, start = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 9))
    size = draw(st.integers(6, 40)), draw(st.integers(6, 40))
    sorts = draw(st.lists(st.sampled_from(["pointwise", "depthwise", "convolution", "add"]), min_size=2, max_size=5))

    def made():
        rng, channels, graph = np.random.default_rng(seed), start, nn.Graph()
        value = graph.input("x", (None, channels, *size))
        for sort in sorts:
            if sort == "pointwise":
                more = int(rng.integers(1, 10))
                value = graph.add(pointwise(rng, more, channels, rng.choice([None, "relu"])), value)
                channels = more
            elif sort == "depthwise":
                kernel, stride, times = (int(rng.choice(some)) for some in ([3, 5], [1, 2], [1, 2]))
                value = graph.add(depthwise(rng, channels, kernel, stride, times=times), value)
                channels *= times
            elif sort == "convolution":
                more, kernel, stride, padding, block = (int(rng.integers(*some)) for some in SIZES)
                dilation = int(rng.choice([1, 2])) if min(size) > 30 else 1
                layer = convolution(rng, more, channels, kernel, stride, padding + kernel // 2, dilation, block**3)
                value, channels = graph.add(layer, value), more * block**3
            else:
                value = graph.add(nn.Add(), graph.add(pointwise(rng, channels, channels), value), value)
        graph.output(value, "y")
        return graph

    cache, x = draw(st.sampled_from([1, 2000, 20000])), np.random.default_rng(seed).standard_normal((2, start, *size))
    with pytest.MonkeyPatch.context() as patch, cs.num_threads(draw(st.integers(1, 2))):
        patch.setattr(_memory, "cache", lambda: cache)
        check(made, x.astype(np.float32))


@pytest.mark.parametrize("block", [1, 4, 8])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 1, 1), (5, 3, 1), (3, 1, 2)])
def test_bands_of_convolutions(isa, small, block, kernel, stride, dilation):
    """Planes: any rows, of a part of the image; first of a chain, and within."""

    def made():
        rng = np.random.default_rng([block, kernel, stride])
        padding = kernel // 2 * dilation
        return nn.Sequential([
            convolution(rng, 16 // block, 3, kernel, stride, padding, dilation, block),
            depthwise(rng, 16, 3),
            convolution(rng, 16 // block, 16, kernel, 1, padding, dilation, block),
        ])  # fmt: skip

    check(made, np.random.default_rng(1).standard_normal((2, 3, 43, 38)).astype(np.float32))


def test_which_steps_are_a_chain(small, monkeypatch):
    def made():
        rng, graph = np.random.default_rng(1), nn.Graph()
        start = graph.input("x", (None, 4, 24, 24))
        value = start
        for layer in (pointwise(rng, 8, 4), depthwise(rng, 8, 3), pointwise(rng, 4, 8)):
            value = graph.add(layer, value)
        graph.output(graph.add(nn.Add(), value, start), "y")
        return graph

    x = np.random.default_rng(2).standard_normal((1, 4, 24, 24)).astype(np.float32)
    (steps,) = chains(made(), x, monkeypatch)
    assert len(steps) == 4
    assert [steps[1], steps[3]] == ["depthwise", "add"]
    check(made, x)


def test_what_others_read_is_written(small, monkeypatch):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, 4, 24, 24)).astype(np.float32)
    graph = nn.Graph()
    middle = graph.add(pointwise(rng, 8, 4), graph.input("x", (None, 4, 24, 24)))
    graph.output(middle, "middle")
    graph.output(graph.add(depthwise(rng, 8, 3), middle), "y")
    assert chains(graph, x, monkeypatch) == []
    for found, wanted in zip(graph(x), graph.apply(x), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_small_images_go_whole(monkeypatch):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, 4, 24, 24)).astype(np.float32)
    net = nn.Sequential([pointwise(rng, 8, 4), depthwise(rng, 8, 3)])
    monkeypatch.setattr(_memory, "cache", lambda: 1 << 24)
    assert chains(net, x, monkeypatch) == []


def test_threads_have_bands_of_their_own(small):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1, 16, 120, 120)).astype(np.float32)
    net = nn.Sequential([pointwise(rng, 24, 16), depthwise(rng, 24, 5), pointwise(rng, 16, 24)])
    wanted = net(x)
    with cs.num_threads(2):
        assert net(x).tobytes() == wanted.tobytes()


def test_profile_times_each_step(small):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((1, 4, 64, 64)).astype(np.float32)
    rows = nn.Sequential([pointwise(rng, 8, 4), depthwise(rng, 8, 3), pointwise(rng, 4, 8)]).profile(x).rows
    assert len(rows) == 3
    assert all(row.seconds > 0 for row in rows)


@pytest.mark.parametrize("size", [(48, 48), (32, 30), (15, 16), (14, 14)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_one_sample_are_shared(threads, size, dtype):
    """By as many threads as divide them into whole cache lines; channels are, where none do."""
    rng = np.random.default_rng(5)
    x = nn.Graph()
    first = x.add(pointwise(rng, 96, 16, "relu", dtype), x.input("x"))
    second = x.add(depthwise(rng, 96, 5, activation="relu6", dtype=dtype), first)
    x.output(x.add(nn.ReLU(), x.add(nn.Add(), first, second)))
    image = rng.standard_normal((1, 16, *size)).astype(dtype)
    wanted = x.apply(image)
    for count in (1, 2, 3, 4):
        with threads(count):
            found = x.plan(image.shape, dtype=dtype)(image)
        if count == 1:
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
            wanted = found
        assert found.tobytes() == wanted.tobytes(), f"{count} threads"


@pytest.mark.parametrize("rows", [5, 7, 64])
def test_a_chain_of_one_band_has_threads(threads, rows):
    def made():
        rng = np.random.default_rng(rows)
        return nn.Sequential([
            pointwise(rng, 64, 16, "relu6"),
            depthwise(rng, 64, 3, activation="relu"),
            pointwise(rng, 16, 64),
        ])  # fmt: skip

    x = np.random.default_rng(1).standard_normal((2, 16, rows, 128), dtype=np.float32)
    alone = made()(x)
    of_image = 64 * rows * 128 * 4
    for cache, count in ((of_image // 4, 2), (of_image // 4, 5), (2 * of_image, 2), (2 * of_image, 3)):
        with pytest.MonkeyPatch.context() as patch, threads(count):
            patch.setattr(_memory, "cache", lambda of=cache: of)
            net = made()
            assert chains(net, x, patch)
            assert net(x).tobytes() == alone.tobytes(), (cache, count)
