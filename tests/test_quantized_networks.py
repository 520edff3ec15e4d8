# SPDX-License-Identifier: BSD-3-Clause
"""Networks in integers: every bit against integers of NumPy (`tools/integer_networks.py`), and against the functions
one by one; what is decided about dtypes, scales and what stays in floating point."""

import io
import json

import hypothesis.strategies as st
import integer_networks
import networks
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from networks import dense_or_sparse, nn, sparse_weights
from numpy.testing import assert_array_equal
from strategies import seeds

import complsparse as cs
from complsparse.nn._calibration import Percentiles

slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def array(value):
    return value.toarray() if isinstance(value, cs.Winners) else value


def samples(rng, n, shape):
    return rng.standard_normal((n, *shape), dtype=np.float32)


def small_network(rng, relu=False):
    """Images (2, 8, 8) through convolutions of arrays and of winners, pools, contests and products."""
    return nn.Sequential(
        [
            nn.Conv2d(sparse_weights(rng, (16, 2, 3, 3)), bias=rng.standard_normal(16), padding=1),
            nn.MaxPool2d(2),
            nn.KWinners(4, axis=1, relu=relu),
            nn.Conv2d(sparse_weights(rng, (8, 16, 2, 2)), activation="relu"),
            nn.Flatten(),
            nn.Linear(sparse_weights(rng, (24, 72))),
            nn.KWinners(6, relu=relu),
            nn.Linear(sparse_weights(rng, (5, 24)), bias=rng.standard_normal(5)),
        ]
    )


def sequences(rng, layout):
    """Of 4 channels, 20 places."""
    of_filters = {"layout": layout}
    return nn.Sequential(
        [
            nn.Conv1d(sparse_weights(rng, (8, 4, 3)), bias=rng.standard_normal(8), padding=1, **of_filters),
            nn.BatchNorm(rng.standard_normal(8), rng.random(8), axis=1 if layout == "NCL" else 2),
            nn.ReLU(),
            nn.Conv1d(rng.standard_normal((6, 8, 4)).astype(np.float32), stride=2, dilation=2, **of_filters),
            nn.KWinners(9, axis=(1, 2)),
            nn.Flatten(),
            nn.Linear(sparse_weights(rng, (5, 42))),
        ]
    )


def branches(rng):
    """A graph with two inputs, a value that several layers read, and layers that need real numbers."""
    g = nn.Graph()
    a, b = g.input("a", (None, 4, 6, 6)), g.input("b", (None, 4, 6, 6))
    both = g.add(nn.Concat(), a, g.add(nn.LeakyReLU(), b, name="leaky"), name="both")
    h = g.add(nn.Conv2d(dense_or_sparse(rng, (8, 8, 3, 3), np.float32), padding=1), both, name="first")
    h = g.add(nn.BatchNorm(rng.standard_normal(8), rng.random(8)), h, name="norm")
    cut = g.add(nn.ReLU6(), g.add(nn.MaxPool2d(2), h, name="pool"), name="cut")
    inner = g.add(nn.Conv2d(sparse_weights(rng, (8, 8, 1, 1)), activation="leaky_relu"), cut, name="inner")
    join = g.add(nn.Add(), inner, cut, name="sum")
    g.output(g.add(nn.Linear(sparse_weights(rng, (6, 72))), g.add(nn.Flatten(), join), name="last"), name="y")
    g.output(cut, name="cut")
    return g


def check(net, *xs):
    """Every node against the oracle, the plan against the functions."""
    wanted = integer_networks.of_network(net, *xs)
    for node, found, value in zip(net._nodes, net._values(*xs), wanted, strict=True):
        assert array(found).dtype == value.dtype, node
        assert_array_equal(array(found), value, err_msg=f"{node.name}: {node.layer!r}")
    results = net(*xs)
    results = results if isinstance(results, tuple) else (results,)
    for result, (_, number) in zip(results, net._outputs, strict=True):
        assert array(result).dtype == np.float32
        assert_array_equal(array(result), wanted[number])


# --- the oracle -------------------------------------------------------------------------------------------------------


@slow
@given(seeds, st.integers(0, 5), st.sampled_from(["minmax", ("percentile", 95.0)]))
def test_networks_to_the_bit(seed, n, method):
    rng = np.random.default_rng(seed)
    net, shape = networks.random_network(rng)
    check(net.quantize(2 * samples(rng, 4, shape), method=method), 3 * samples(rng, n, shape))


@slow
@given(seeds, st.integers(0, 3))
def test_graphs_to_the_bit(seed, n):
    rng = np.random.default_rng(seed)
    net = branches(rng).quantize([(samples(rng, 3, (4, 6, 6)), samples(rng, 3, (4, 6, 6))) for _ in range(2)])
    check(net, samples(rng, n, (4, 6, 6)), samples(rng, n, (4, 6, 6)))


@pytest.mark.parametrize("relu", [False, True])
def test_the_bits_are_those_of_every_level_and_thread_count(isa, threads, relu):
    rng = np.random.default_rng(0)
    net = small_network(rng, relu).quantize(samples(rng, 50, (2, 8, 8)))
    for n in (1, 2, 17):
        x = samples(rng, n, (2, 8, 8))
        for count in (1, 2, 5):
            with threads(count):
                check(net, x)


def test_one_sample_gives_the_bits_of_a_batch():
    rng = np.random.default_rng(1)
    net = small_network(rng).quantize(samples(rng, 50, (2, 8, 8)))
    x = samples(rng, 9, (2, 8, 8))
    assert_array_equal(np.concatenate([net(x[i : i + 1]) for i in range(9)]), net(x))


@pytest.mark.parametrize("layout", ["NCL", "NLC"])
def test_sequences_to_the_bit(isa, layout, tmp_path):
    rng = np.random.default_rng(5)
    shape = (4, 20) if layout == "NCL" else (20, 4)
    net = sequences(rng, layout).quantize(samples(rng, 50, shape))
    assert [type(layer) for layer in net.layers if hasattr(layer, "W")] == [nn.QConv1d, nn.QConv1d, nn.QLinear]
    x = samples(rng, 7, shape)
    assert_array_equal(net(x), integer_networks.of_network(net, x)[-1])
    assert_array_equal(net(x), net.apply(x))
    net.save(tmp_path / "net.npz")
    assert_array_equal(nn.load(tmp_path / "net.npz")(x), net(x))


def test_inputs_of_any_kind():
    """Infinite, not a number, beyond what was calibrated, of other dtypes."""
    rng = np.random.default_rng(2)
    net = nn.Sequential([nn.Linear(sparse_weights(rng, (4, 8)))]).quantize(samples(rng, 9, (8,)))
    border = net.layers[0]
    least, most = (border.scale * (q - border.zero_point) for q in (0, 255))
    x = np.array([[np.nan, np.inf, -np.inf, 1e30, -1e30, 0, 1e-40, 3.4e38]], dtype=np.float32)
    assert_array_equal(net(x), net(np.array([[least, most, least, most, least, 0, 0, most]], dtype=np.float32)))
    halves = np.float32(border.scale) * (np.arange(8, dtype=np.float32) - 3.5)
    check(net, halves[None])
    assert_array_equal(net(halves[None].astype(np.float64)), net(halves[None]))
    assert net(np.ones((1, 8), dtype=np.int64)).dtype == np.float32


# --- what is decided --------------------------------------------------------------------------------------------------


def dtypes(net):
    """Of the result of each layer."""
    return {
        node.name: array(value).dtype.name for node, value in zip(net._nodes, net._values(*inputs_of(net)), strict=True)
    }


def inputs_of(net):
    return [np.zeros((1, *node.shape[1:]), dtype=np.float32) for node in net._nodes if node.layer is None]


def as_graph(layers, shape):
    g = nn.Graph()
    h = g.input("x", (None, *shape))
    for i, layer in enumerate(layers):
        h = g.add(layer, h, name=str(i))
    g.output(h)
    return g


def test_dtypes_of_activations():
    """uint8 where no value is negative or none is left out; int8 about zero where contests drop both signs."""
    rng = np.random.default_rng(3)
    x = samples(rng, 20, (2, 8, 8))
    net = as_graph(small_network(rng).layers, (2, 8, 8)).quantize(x)
    assert dtypes(net) == {
        "x": "float32", "x.quantize": "uint8", "0": "int8", "1": "int8", "2": "int8", "3": "uint8", "4": "uint8",
        "5": "int8", "6": "int8", "7": "float32",
    }  # fmt: skip
    assert net.float_layers == []
    layers = dict(zip(net.names, net.layers, strict=True))
    assert layers["x.quantize"].zero_point not in (0, 255)
    assert [layers[name].ending.zero_point for name in "035"] == [0, 0, 0]
    net = as_graph(small_network(rng, relu=True).layers, (2, 8, 8)).quantize(x)
    assert {dtypes(net)[name] for name in "0123456"} == {"uint8"}


def test_scales_reach_what_was_seen():
    rng = np.random.default_rng(4)
    first, last = sparse_weights(rng, (16, 8)), sparse_weights(rng, (3, 16))
    x = samples(rng, 300, (8,))
    net = nn.Sequential([nn.Linear(first), nn.KWinners(4), nn.Linear(last)])
    winners = cs.kwta(cs.linear(x, first), 4, axis=-1).toarray()
    layers = net.quantize(x).layers
    assert layers[1].ending.dtype == np.int8
    assert layers[1].arguments()["out_scale"] == np.float32(np.abs(winners).max() / 127)
    assert layers[0].scale == np.float32((x.max() - x.min()) / 255)
    batches = net.quantize(iter([x[:100], x[100:]])).layers  # the same, whatever the batches are
    assert [repr(layer) for layer in batches] == [repr(layer) for layer in layers]
    less = net.quantize(x, method=("percentile", 99.0)).layers
    low, high = np.percentile(x, (1, 99))
    assert less[0].scale == pytest.approx((high - low) / 255, rel=0.01)


@given(seeds, st.sampled_from([50.5, 90.0, 99.9, 100.0]), st.integers(1, 300))
def test_percentiles(seed, share, n):
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal(n) * 10.0 ** rng.integers(-30, 30)).astype(np.float32)
    seen = Percentiles(share)
    for part in np.array_split(values, 3):
        seen.see(part)
    low, high = seen.ends()
    below, above = np.percentile(values, (100 - share, share), method="inverted_cdf")
    assert low == pytest.approx(below, rel=1 / 128)
    assert high == pytest.approx(above, rel=1 / 128)
    assert values.min() <= low <= high <= values.max()


def test_what_stays_in_floating_point_is_named():
    rng = np.random.default_rng(5)
    net = branches(rng)
    small = net.quantize([(samples(rng, 9, (4, 6, 6)), samples(rng, 9, (4, 6, 6)))])
    assert small.float_layers == ["leaky", "inner.leaky_relu", "sum"]
    assert small.float_network is net
    assert net.float_layers == net.names
    kinds = dict(zip(small.names, (type(layer).__name__ for layer in small.layers), strict=True))
    assert [kinds[name] for name in ("first", "inner", "last")] == ["QConv2d", "QConv2d", "QLinear"]
    assert "norm" not in kinds
    assert "cut" not in kinds  # what saturates is cut


def test_a_cut_of_numbers_with_a_zero_point():
    """What is read beside a ReLU too keeps its negative values."""
    rng = np.random.default_rng(6)
    g = nn.Graph()
    h = g.add(nn.Linear(sparse_weights(rng, (9, 8))), g.input("x", (None, 8)), name="h")
    cut = g.add(nn.ReLU6(), h, name="cut")
    for i, value in enumerate((h, cut)):
        g.output(g.add(nn.Linear(sparse_weights(rng, (3, 9))), value, name=f"y{i}"))
    net = g.quantize(10 * samples(rng, 50, (8,)))
    clip = net.layers[net.names.index("cut")]
    assert (type(clip), clip.dtype) == (nn.QClip, np.uint8)
    assert 0 < clip.least < clip.most < 255
    check(net, 10 * samples(rng, 20, (8,)))


# --- files, reports ---------------------------------------------------------------------------------------------------


def test_saved_networks_come_back(tmp_path):
    rng = np.random.default_rng(7)
    x = samples(rng, 20, (2, 8, 8))
    net = small_network(rng).quantize(x)
    net.save(tmp_path / "net.npz")
    back = nn.load(tmp_path / "net.npz")
    assert_array_equal(back(x), net(x))
    assert repr(back) == repr(net)
    assert (back.float_layers, back.float_network) == ([], None)
    pair = [samples(rng, 9, (4, 6, 6)) for _ in range(2)]
    graph = branches(rng).quantize([tuple(pair)])
    graph.save(tmp_path / "graph.npz")
    back = nn.load(tmp_path / "graph.npz")
    for found, wanted in zip(back(*pair), graph(*pair), strict=True):
        assert_array_equal(found, wanted)
    assert back.float_layers == graph.float_layers


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("x_scale", -1.0, "x_scale is -1"),
        ("x_zero_point", 300, "x_zero_point is 300"),
        ("out_scale", [1.0], "out_scale has shape"),
        ("x_dtype", "float32", "x_dtype=float32"),
        ("bias", None, "W of dtype float32 has no scale"),
    ],
)
def test_files_are_not_trusted(tmp_path, argument, value, message):
    rng = np.random.default_rng(8)
    net = small_network(rng).quantize(samples(rng, 9, (2, 8, 8)))
    net.save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as archive:
        members = dict(archive)
    document = json.loads(members["network"].tobytes())
    entry = next(entry for entry in document["nodes"] if entry.get("layer") == "QLinear")
    if argument == "bias":
        name = entry["arguments"]["W"]["matrix"]
        del members[f"{name}.scale"]
        members[f"{name}.data"] = members[f"{name}.data"].astype(np.float32)
    else:
        entry["arguments"][argument] = value
    members["network"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    buffer.seek(0)
    with pytest.raises(ValueError, match=message):
        nn.load(buffer)


def test_reports():
    rng = np.random.default_rng(9)
    x = samples(rng, 20, (2, 8, 8))
    net = small_network(rng).quantize(x)
    text = net.summary(x.shape)
    assert "(8, 3, 3) uint8" in text
    rows = {row.name: row for row in net.profile(x, seconds=0.01).rows}
    assert {"x.quantize", "0", "3", "5", "7"} <= set(rows)
    assert rows["7"].multiplications == 20 * net.layers[-1].W.nnz
    profile = net.profile(x, seconds=0.01)
    assert [row.name for row in profile.float_network.rows] == list("023567")  # Flatten and the pool take none
    assert "floating" in repr(profile)
    assert "requantize" in net.plan(x.shape).describe()


def snr(signal, found):
    return 10 * np.log10(np.sum(signal.astype(np.float64) ** 2) / np.sum((found - signal.astype(np.float64)) ** 2))


def test_what_is_lost():
    """Of each layer against floating point, and of the layer alone; by NumPy."""
    rng = np.random.default_rng(13)
    net, x = small_network(rng), samples(rng, 40, (2, 8, 8))
    small = net.quantize(x)
    found = small.compare(x)
    rows = {row.name: row for row in found.rows}
    assert list(rows) == small.names
    border, first = small.layers[0], small.layers[1]
    real = border.scale * (border(x).astype(np.float64) - border.zero_point)
    assert rows["x.quantize"].decibels == pytest.approx(snr(x, real), rel=1e-6)
    y = first.arguments()["out_scale"] * first(border(x)).astype(np.float64)
    assert rows["0"].decibels == pytest.approx(snr(net[0](x), y), rel=1e-6)
    assert rows["0"].decibels_alone == pytest.approx(snr(net[0](real.astype(np.float32)), y), rel=1e-4)
    assert rows["0"].saturated == np.mean(np.abs(first(border(x)).astype(int) + 0.5) == 127.5)
    assert rows["1"].decibels_alone == rows["2"].decibels_alone == np.inf  # they hand numbers on
    assert (rows["7"].dtype, np.isnan(rows["7"].saturated)) == ("float32", True)
    assert found.equal_decisions == np.mean(net(x).argmax(axis=1) == small(x).argmax(axis=1))
    assert "40 samples" in repr(found)
    small.float_network = None
    with pytest.raises(ValueError, match="float_network"):
        small.compare(x)


def test_what_is_lost_in_a_graph():
    rng = np.random.default_rng(14)
    xs = [samples(rng, 30, (4, 6, 6)) for _ in range(2)]
    net = branches(rng)
    small = net.quantize([tuple(xs)])
    rows = {row.name: row for row in small.compare(*xs).rows}
    assert {"first", "leaky", "inner", "inner.leaky_relu", "sum", "last"} <= set(rows)
    assert rows["leaky"].decibels == np.inf  # of the input itself
    assert rows["pool"].decibels_alone == np.inf
    assert min(rows[name].decibels_alone for name in ("cut", "inner", "inner.leaky_relu", "last") if name in rows) > 30
    assert not [name for name in rows if name.endswith(".dequantize")]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_what_calibration_refuses():
    rng = np.random.default_rng(10)
    net, x = small_network(rng), samples(rng, 9, (2, 8, 8))
    for nothing in ([], x[:0]):
        with pytest.raises(ValueError, match="no samples"):
            net.quantize(nothing)
    with pytest.raises(ValueError, match="not finite behind 'x'"):
        net.quantize(np.where(np.arange(8) == 3, np.nan, x))
    with pytest.raises(TypeError, match="not int"):
        net.quantize(3)
    with pytest.raises(ValueError, match="2 arrays; the network has 1 input"):
        net.quantize([(x, x)])
    with pytest.raises(ValueError, match="method='best'"):
        net.quantize(x, method="best")
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        nn.Sequential([nn.Linear(sparse_weights(rng, (4, 8)))]).quantize(x[:2, 0, 0, :3])


def test_what_quantised_networks_refuse():
    rng = np.random.default_rng(11)
    x = samples(rng, 9, (2, 8, 8))
    net = small_network(rng).quantize(x)
    with pytest.raises(TypeError, match="quantised already"):
        net.quantize(x)
    with pytest.raises(TypeError, match="no dense form"):
        net.to_dense()
    with pytest.raises(TypeError, match="8-bit integers"):
        net.astype(np.float64)
    with pytest.raises(TypeError, match="float64"):
        net.plan(x.shape, dtype=np.float64)
    W = cs.quantize(sparse_weights(rng, (4, 8)))
    layer = nn.QLinear(W, x_scale=0.1, out_scale=0.1)
    real = samples(rng, 2, (8,))
    with pytest.raises(ValueError, match="real numbers; it was made for uint8"):
        nn.Sequential([layer])(real)
    with pytest.raises(ValueError, match=r"ReLU\(\), does not fit an input of \(8,\) uint8: it takes real numbers"):
        nn.Sequential([nn.Quantize(0.1), nn.ReLU()])(real)
    with pytest.raises(ValueError, match="int8; it was made for uint8"):
        nn.Sequential([nn.Quantize(0.1, 0, "int8"), layer])(real)
    with pytest.raises(TypeError, match="no scale"):
        nn.QLinear(sparse_weights(rng, (4, 8)), x_scale=0.1)
    with pytest.raises(ValueError, match="scale is 1e-46"):
        nn.Quantize(1e-46)
    with pytest.raises(ValueError, match="least=9 is above most=3"):
        nn.QClip(9, 3)


def test_integers_may_come_out():
    rng = np.random.default_rng(12)
    W = cs.quantize(sparse_weights(rng, (4, 8)))
    net = nn.Sequential([nn.Quantize(0.05, 100), nn.QLinear(W, x_scale=0.05, x_zero_point=100, out_scale=0.1)])
    x = samples(rng, 6, (8,))
    out = np.empty((6, 4), dtype=np.uint8)
    assert net(x, out=out) is out
    assert_array_equal(out, integer_networks.of_network(net, x)[-1])
    contest = nn.Sequential([*net.layers, nn.KWinners(2)])
    winners = contest(x)
    assert (type(winners), winners.dtype) == (cs.Winners, np.uint8)
    assert_array_equal(winners.toarray(), integer_networks.of_network(contest, x)[-1])


@pytest.mark.parametrize("channels", [500, 517, 700])
def test_sums_about_the_largest_integer_of_float32(channels):
    """Odd sums up to 2**24, which float32 holds, and beyond, where it holds even ones alone: then they are of int32."""
    rng = np.random.default_rng(channels)
    values = np.full((3, channels, 1, 1), 127.0)
    values[1] *= np.where(rng.random((channels, 1, 1)) < 0.5, -1, 1)
    values[2, 0] = 126
    W = cs.quantize(cs.from_filters(values))
    assert (np.abs(W.toarray().astype(int)).sum(axis=1).max() * 255 > 2**24) == (channels > 517)
    net = nn.Sequential([nn.Quantize(1.0), nn.QConv2d(W, x_scale=1.0), nn.Flatten()])
    x = rng.integers(253, 256, (4, channels, 3, 3)).astype(np.float32)
    x[0] = 255
    exact = np.einsum("mc,ncij->nmij", W.toarray().astype(np.int64), x.astype(np.int64))
    wanted = (exact * W.scale.astype(np.float64)[:, None, None]).astype(np.float32)
    assert_array_equal(net(x), wanted.reshape(4, -1))
    assert_array_equal(cs.qconv2d(x.astype(np.uint8), W, x_scale=1.0), wanted)


@pytest.mark.parametrize(("masks", "way"), [("speed", "scatter"), ("quads", "planes")])
def test_winners_are_written_out_where_bytes_cost_less(masks, way):
    """Filters of quads take a quarter of the instructions on 8-bit images: skipping zeros in float32 saves less."""
    if cs.isa_levels()[-1] not in ("avx512vnni", "avx512vbmi", "amx"):
        pytest.skip("other levels have other costs")
    net = nn.gsc_network("sparse_sparse", masks=masks, rng=0)
    x = samples(np.random.default_rng(0), 3, (1, 32, 32))
    small = net.quantize(x)
    steps = [row.kernel for row in small.profile(x, seconds=0.01).rows if row.name == "3"]
    assert len(steps) == 1
    assert way in steps[0]
    check(small, x)
