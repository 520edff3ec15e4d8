# SPDX-License-Identifier: BSD-3-Clause
"""Networks: the result is that of the functions one by one, whatever is fused and wherever values lie."""

import subprocess
import sys
import threading

import hypothesis.strategies as st
import networks
import numpy as np
import pytest
import scipy.special
from hypothesis import HealthCheck, given, settings
from memory import within
from networks import ACTIVATIONS, dense_or_sparse, nn, sparse_weights
from numpy.testing import assert_allclose, assert_array_equal
from strategies import seeds, unaligned

import complsparse as cs
from complsparse import _core

slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def array(value):
    return value.toarray() if isinstance(value, cs.Winners) else value


def draw_input(rng, n, shape, dtype=np.float32):
    return rng.standard_normal((n, *shape)).astype(dtype)


def without_batch_norm(net):
    """What joins with a product changes its rounding."""
    return nn.Sequential([layer for layer in net.layers if not isinstance(layer, nn.BatchNorm)])


def small_network(rng, outputs=5):
    """Images (2, 6, 6) through every kind of stretch: convolution, pool, winners, products."""
    return nn.Sequential(
        [
            nn.Conv2d(sparse_weights(rng, (16, 2, 3, 3)), bias=rng.standard_normal(16)),
            nn.KWinners(4, axis=1),
            nn.Conv2d(sparse_weights(rng, (8, 16, 2, 2)), activation="relu"),
            nn.MaxPool2d(3),
            nn.KWinners(3, axis=1),
            nn.Flatten(),
            nn.Linear(sparse_weights(rng, (24, 8))),
            nn.KWinners(6),
            nn.Linear(sparse_weights(rng, (outputs, 24)), bias=rng.standard_normal(outputs)),
        ]
    )


# --- the oracle -------------------------------------------------------------------------------------------------------


@slow
@given(seeds, st.integers(0, 5), st.sampled_from([np.float32, np.float64]))
def test_networks_give_what_their_functions_give_to_the_bit(seed, n, dtype):
    rng = np.random.default_rng(seed)
    net, shape = networks.random_network(rng, dtype)
    net = without_batch_norm(net)
    x = draw_input(rng, n, shape, dtype)
    y, wanted = net(x), net.apply(x)
    assert type(y) is type(wanted)
    assert y.dtype == dtype
    assert_array_equal(array(y), array(wanted))
    if isinstance(y, cs.Winners):
        assert y.axis == wanted.axis
        assert_array_equal(y.indices, wanted.indices)
        assert_array_equal(y.indptr, wanted.indptr)


@slow
@given(seeds)
def test_layers_are_those_of_numpy(seed):
    """Each layer alone, compiled, against NumPy in float64, fed with what the layers before it gave."""
    rng = np.random.default_rng(seed)
    net, shape = networks.random_network(rng, np.float64, dense_or_sparse)
    x = draw_input(rng, int(rng.integers(1, 4)), shape, np.float64)
    for layer in net.layers:
        y = array(nn.Sequential([layer])(x))
        wanted = networks.reference(layer, x)
        assert y.shape == wanted.shape
        assert_allclose(y, wanted, rtol=1e-11, atol=1e-11)
        x = y


@slow
@given(seeds)
def test_a_network_is_its_layers_by_numpy(seed):
    """All joined: what batch norm and activations become part of, memory that values share."""
    rng = np.random.default_rng(seed)
    net, shape = networks.random_network(rng, np.float64, dense_or_sparse)
    x = draw_input(rng, 3, shape, np.float64)
    wanted = x
    for layer in net.layers:
        if isinstance(layer, nn.KWinners):
            return  # rounding may decide a contest
        wanted = networks.reference(layer, wanted)
    assert_allclose(array(net(x)), wanted, rtol=1e-9, atol=1e-9)


def test_every_level_runs_networks(isa):
    rng = np.random.default_rng(7)
    net = small_network(rng)
    x = draw_input(rng, 3, (2, 6, 6))
    assert_array_equal(net(x), net.apply(x))


@pytest.mark.parametrize("n", [1, 2, 5, 17])
def test_the_same_bits_for_every_number_of_threads(n, threads):
    rng = np.random.default_rng(n)
    layers = [
        nn.Conv2d(sparse_weights(rng, (32, 16, 3, 3)), padding=1),
        nn.MaxPool2d(2),
        nn.KWinners(4, axis=1),
        nn.Conv2d(sparse_weights(rng, (32, 32, 3, 3), density=0.1)),
        nn.Flatten(),
        nn.KWinners(0.1),
        nn.Linear(sparse_weights(rng, (40, 32 * 14 * 14), density=0.05)),
    ]
    x = draw_input(rng, n, (16, 32, 32))
    results = []
    for count in (1, 2, 4):
        net = nn.Sequential(layers)
        with threads(count):
            results.append(net(x))
    assert_array_equal(results[1], results[0])
    assert_array_equal(results[2], results[0])


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_winners_of_few_images_for_every_number_of_threads(n, threads):
    """Strips of a convolution on winners end where a pool's windows do, for as many threads as there are."""
    rng = np.random.default_rng(n)
    layers = [
        nn.KWinners(6, axis=1),
        nn.Conv2d(sparse_weights(rng, (64, 64, 5, 5), density=1 / 16)),
        nn.MaxPool2d(2),
        nn.KWinners(8, axis=1),
    ]
    x = draw_input(rng, n, (64, 15, 14))
    wanted = nn.Sequential(layers).apply(x)
    for count in (1, 2, 3, 4):
        with threads(count):
            assert_array_equal(nn.Sequential(layers)(x), wanted, err_msg=f"{count} threads")


@pytest.mark.parametrize("sizes", [(64, 100, 200), (1, 100, 200), (3, 5, 400_000), (129, 70, 300), (300, 300, 300)])
def test_dense_products_in_pieces(sizes, threads):
    """Small ones are cut for our threads: beyond a million multiplications, up to eight."""
    n, outputs, inputs = sizes
    rng = np.random.default_rng(3)
    w, b, x = (rng.standard_normal(shape) for shape in ((outputs, inputs), outputs, (n, inputs)))
    results = []
    for count in (1, 2, 4):
        with threads(count):
            results.append(nn.Sequential([nn.Linear(w, bias=b), nn.ReLU()])(x))
            assert_array_equal(results[-1], results[0], err_msg=f"{count} threads")
    bound = 2 * inputs * np.finfo(float).eps * (np.abs(x) @ np.abs(w.T) + np.abs(b))
    assert np.all(np.abs(results[0] - np.maximum(x @ w.T + b, 0)) <= bound)


def test_more_threads_than_a_plan_was_made_for(threads):
    rng = np.random.default_rng(0)
    net, x = small_network(rng), draw_input(rng, 40, (2, 6, 6))
    with threads(1):
        wanted = net(x)
    with threads(4):
        assert_array_equal(net(x), wanted)
    with threads(1):
        assert_array_equal(net(x), wanted)


@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_alone_and_behind_a_product(kind, dtype):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal(37) * 3, [0.0, -0.0, np.inf, 1e-30]]).astype(dtype).reshape(1, -1)
    tolerance = 4 * np.finfo(dtype).eps
    wanted = networks.activated(x.astype(np.float64), kind.activation)
    assert_allclose(nn.Sequential([kind()])(x), wanted, rtol=tolerance, atol=tolerance)
    assert_allclose(kind()(x), wanted, rtol=tolerance, atol=tolerance)
    layer = nn.Linear(sparse_weights(rng, (9, 41), dtype))
    joined = nn.Sequential([layer, kind()])
    finite = np.where(np.isfinite(x), x, 0)
    assert len(joined.plan(x.shape, dtype=dtype).steps) == 1
    assert_array_equal(joined(finite), nn.Sequential([layer.with_arguments(activation=kind.activation)])(finite))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 15, 16, 17, 33, 100])
@pytest.mark.parametrize("axis", [1, -1])
def test_softmax(isa, dtype, n, axis):
    rng = np.random.default_rng(n)
    shape = (2, n) if axis == -1 else (2, n, 19)
    x = (rng.standard_normal(shape) * 20).astype(dtype)
    wanted = scipy.special.softmax(x.astype(np.float64), axis=axis)
    spread = 1 + float(np.ptp(x))  # what is rounded before the exponential function
    tolerance = (8 + spread) * np.finfo(dtype).eps
    y = nn.Sequential([nn.Softmax(axis)])(x)
    assert_allclose(y, wanted, rtol=tolerance, atol=np.finfo(dtype).smallest_normal)


def test_softmax_of_what_is_not_finite():
    lowest = -np.inf
    rows = [[1, np.nan, 2], [1, np.inf, 2], [lowest] * 3, [lowest, 0, 0], [-3e38, 3e38, 0]]
    x = np.array(rows, dtype=np.float32)
    with np.errstate(all="ignore"):
        wanted = scipy.special.softmax(x.astype(np.float64), axis=1)
    assert_allclose(nn.Sequential([nn.Softmax()])(x), wanted, rtol=1e-6)
    side_by_side = np.ascontiguousarray(x.T)[None]
    assert_allclose(nn.Sequential([nn.Softmax(1)])(side_by_side), wanted.T[None], rtol=1e-6)


# --- graphs -----------------------------------------------------------------------------------------------------------


def residual(rng, dtype=np.float32):
    g = nn.Graph()
    x = g.input("x", (None, 4, 8, 8))
    stem = g.add(nn.Conv2d(sparse_weights(rng, (16, 4, 3, 3), dtype), padding=1), x, name="stem")
    branch = g.add(nn.BatchNorm(rng.standard_normal(16), rng.random(16)), stem)
    branch = g.add(nn.ReLU(), branch)
    branch = g.add(nn.Conv2d(sparse_weights(rng, (16, 16, 3, 3), dtype), padding=1), branch)
    both = g.add(nn.Add(), branch, stem, name="both")
    joined = g.add(nn.Concat(1), both, x, stem)
    gated = g.add(nn.Mul(), both, stem, branch)
    g.output(joined, "joined")
    g.output(g.add(nn.GlobalAvgPool2d(), gated), "pooled")
    return g


def by_numpy(g, *xs):
    values, inputs = [], iter(xs)
    for node in g._nodes:
        if node.layer is None:
            values.append(next(inputs).astype(np.float64))
        else:
            values.append(networks.reference(node.layer, *(values[i] for i in node.inputs)))
    return [values[number] for _, number in g._outputs]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_branches_and_several_outputs(n):
    rng = np.random.default_rng(n)
    g = residual(rng)
    x = draw_input(rng, n, (4, 8, 8))
    results = g(x)
    assert isinstance(results, tuple)
    for y, wanted, one_by_one in zip(results, by_numpy(g, x), g.apply(x), strict=True):
        assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)
        assert_allclose(one_by_one, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(("first", "again", "shares"), [("a", "", True), ("a", "a", True), ("a", "ab", False),
                                                        ("x", "", True), ("x", "b", False)])  # fmt: skip
def test_sums_take_the_place_of_what_nobody_reads_any_more(n, first, again, shares):
    """Of two values, the first of which may be the input; `again`: those that are read after the sum, too."""
    rng = np.random.default_rng(7)
    g = nn.Graph()
    values = {"x": g.input("x", (None, 4, 8, 8))}
    for name in "ab":
        values[name] = g.add(nn.Conv2d(sparse_weights(rng, (4, 4, 3, 3)), padding=1), values["x"])
    both = g.add(nn.ReLU(), g.add(nn.Add(), values[first], values["b"]))
    for name, value in (("sum", both), *((name, values[name]) for name in again)):
        g.output(g.add(nn.GlobalAvgPool2d(), value), name)
    x = draw_input(rng, n, (4, 8, 8))
    before = x.copy()
    results = g(x)
    for y, wanted in zip(results if again else [results], by_numpy(g, x), strict=True):
        assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)
    assert np.array_equal(x, before)
    plan = g.plan(x.shape)
    (step,) = [step for step in plan.steps if step.kernel.startswith("add")]
    places = [plan._places[value.number] for value in step.reads]
    assert (plan._places[step.writes[0].number] in places) == shares


@pytest.mark.parametrize(("density", "stored"), [(0.9, 1.0), (0.3, 0.3)])
def test_dense_filters_of_few_zeros_store_them(density, stored):
    """So that all rows have one pattern."""
    rng = np.random.default_rng(8)
    W = rng.permutation(np.arange(8 * 3 * 3 * 3) < density * 216).reshape(8, 3, 3, 3) * np.float32(1.5)
    layer = nn.Conv2d(W.astype(np.float32), 3, stride=2, padding=1)
    x = draw_input(rng, 2, (3, 32, 32))
    assert_allclose(nn.Sequential([layer])(x), networks.reference(layer, x), rtol=1e-4, atol=1e-4)
    bound, _ = layer._bound((3, 32, 32))
    assert layer._sparse(bound).nnz == pytest.approx(216 * stored, abs=1)


def pruned_block(rng, sparse, layout, padding=0, others=False, n=8):
    """A depthwise layer of n channels between two: 0 and 1 give a number of their own, nobody reads 2 and 3."""
    first, F, last = draw(rng, (n, 6, 1, 1)), draw(rng, (n, 1, 3, 3)), draw(rng, (5, n, 1, 1))
    F[:2], last[:, 2:4] = 0, 0
    if sparse:
        first, last = (cs.from_filters(W * (rng.random(W.shape) < 0.8)) for W in (first, last))
    else:
        last[:, 5] = 0
    biases = [draw(rng, size) for size in (n, n, 5)]
    g, shape = nn.Graph(), (None, 6, 9, 10) if layout == "NCHW" else (None, 9, 10, 6)
    x = g.input("x", shape)
    a = g.add(nn.Conv2d(first, 1, bias=biases[0], activation="relu", layout=layout), x)
    b = g.add(nn.Conv2d(F, 3, padding=1, groups=n, bias=biases[1], activation="relu6", layout=layout), a)
    y = g.add(nn.Conv2d(last, 1, padding=padding, stride=2, bias=biases[2], layout=layout), b)
    g.output(y, "y")
    if others:
        g.output(g.add(nn.Flatten(), b), "b")
    return g


def draw(rng, shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(
    ("given", "kept"), [({}, 4), ({"n": 12}, 8), ({"n": 19}, 15), ({"padding": 1}, 8), ({"others": True}, 8)]
)
def test_channels_that_are_one_number_leave_a_network(layout, sparse, given, kept):
    """Unless others read them, or zeros lie around them; dense filters stay whole eights."""
    rng = np.random.default_rng(9)
    g = pruned_block(rng, sparse, layout, **given)
    x = draw_input(rng, 3, (6, 9, 10) if layout == "NCHW" else (9, 10, 6))
    results = g(x)
    for y, wanted in zip(results if given.get("others") else [results], by_numpy(g, x), strict=True):
        assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)
    (step,) = [step for step in g.plan(x.shape).steps if step.kernel == "depthwise"]
    channels = step.writes[0].spec.shape[0 if layout == "NCHW" else -1]
    assert channels == (kept if sparse else -(-kept // 8) * 8)


def test_a_network_of_constant_channels_alone_stays():
    rng = np.random.default_rng(10)
    g = pruned_block(rng, True, "NCHW")
    node = next(node for node in g._nodes if node.layer is not None and node.layer.groups == 8)
    g = nn.Graph()
    x = g.input("x", (None, 8, 9, 10))
    a = g.add(nn.Conv2d(draw(rng, (8, 8, 1, 1)), 1), x)
    b = g.add(node.layer.with_arguments(W=np.zeros((8, 1, 3, 3), np.float32)), a)
    g.output(g.add(nn.Conv2d(draw(rng, (5, 8, 1, 1)), 1), b), "y")
    data = draw_input(rng, 2, (8, 9, 10))
    assert_allclose(g(data), by_numpy(g, data)[0], rtol=1e-4, atol=1e-4)


def test_a_product_that_others_read_stays_as_it_is():
    """The batch norm behind the stem must not change what the sum reads."""
    g = residual(np.random.default_rng(0))
    kernels = [step.kernel for step in g.plan((1, 4, 8, 8)).steps]
    assert "scale" in kernels


def test_several_inputs():
    rng = np.random.default_rng(0)
    g = nn.Graph()
    a, b = g.input("a", (None, 8)), g.input("b", (None, 8))
    g.output(g.add(nn.Add(), g.add(nn.Linear(sparse_weights(rng, (8, 8))), a), b))
    x, y = draw_input(rng, 3, (8,)), draw_input(rng, 3, (8,))
    assert_array_equal(g(x, y), g.apply(x, y))
    with pytest.raises(ValueError, match=r"2 inputs, and 1 were given"):
        g(x)
    with pytest.raises(ValueError, match=r"add_0, Add.*\(3, 8\) and \(2, 8\)"):
        g(x, y[:2])


def test_outputs_that_are_inputs_or_one_another():
    g = nn.Graph()
    x = g.input("x")
    flat = g.add(nn.Flatten(), x)
    relu = g.add(nn.ReLU(), flat)
    for handle in (x, flat, relu, relu):
        g.output(handle)
    given_x = draw_input(np.random.default_rng(0), 2, (3, 4))
    results = g(given_x)
    for y, wanted in zip(results, g.apply(given_x), strict=True):
        assert_array_equal(y, wanted)
    assert not any(np.may_share_memory(a, b) for i, a in enumerate((given_x, *results)) for b in results[i:])


def test_nodes_that_lead_nowhere_are_not_run():
    rng = np.random.default_rng(0)
    g = nn.Graph()
    x = g.input("x", (None, 8))
    g.add(nn.Softmax(), x)
    g.output(g.add(nn.ReLU(), x))
    assert [step.kernel for step in g.plan((2, 8)).steps] == ["relu"]
    assert g(draw_input(rng, 2, (8,))).shape == (2, 8)


# --- winners ----------------------------------------------------------------------------------------------------------


def test_winners_are_read_as_winners():
    net = small_network(np.random.default_rng(0))
    plan = net.plan((4, 2, 6, 6))
    kernels = [step.kernel for step in plan.steps]
    assert "flatten" in kernels
    assert kernels.count("expand") <= 1  # what a convolution writes out where the winners are too many


NOTHING = """
import sys
import numpy as np
from complsparse import nn

def ones(*shape):
    return np.ones(shape, np.float32)

step = {
    "relu": [nn.ReLU()],
    "tanh": [nn.Tanh()],
    "gelu": [nn.GELU()],
    "dense convolution": [nn.Conv2d(ones(4, 8, 1, 1), bias=ones(4)), nn.ReLU()],
    "depthwise": [nn.Conv2d(ones(8, 1, 3, 3), padding=1, groups=8, bias=ones(8)), nn.ReLU()],
    "linear": [nn.Flatten(), nn.Linear(ones(5, 0), bias=ones(5)), nn.ReLU()],
}
layers, shape = step[sys.argv[1]], eval(sys.argv[2])
print(nn.Sequential(layers)(np.zeros(shape, np.float32)).shape)
"""
NO_PIXELS = [(2, 8, 0, 3), (1, 8, 3, 0), (0, 8, 3, 3)]


@pytest.mark.parametrize(
    ("step", "shape", "result"),
    [
        *((step, shape, shape) for step in ("relu", "tanh", "gelu") for shape in [(1, 0), (0, 4), *NO_PIXELS]),
        *(("dense convolution", shape, (shape[0], 4, *shape[2:])) for shape in NO_PIXELS),
        *(("depthwise", shape, shape) for shape in NO_PIXELS),
        ("linear", (2, 8, 0, 3), (2, 5)),
    ],
)  # fmt: skip
def test_steps_on_nothing_end(step, shape, result, tmp_path):
    """In a process of its own: where a loop over rows without entries has no end, nothing else can stop it."""
    ran = subprocess.run(
        [sys.executable, "-c", NOTHING, step, str(shape)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.strip() == str(result)


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.Softmax(), nn.MaxPool2d(2), nn.BatchNorm(np.zeros(4), np.ones(4))])
def test_layers_that_want_zeros_get_them(layer):
    rng = np.random.default_rng(0)
    net = nn.Sequential([nn.KWinners(2, axis=1), layer])
    x = draw_input(rng, 3, (4, 4, 4))
    assert_allclose(net(x), net.apply(x), rtol=1e-6)


@pytest.mark.parametrize("axis", [1, 2, 3, (1, 2, 3)])
@pytest.mark.parametrize("relu", [False, True])
def test_flat_winners(axis, relu):
    rng = np.random.default_rng(0)
    net = nn.Sequential([nn.KWinners(2, axis=axis, relu=relu), nn.Flatten()])
    x = draw_input(rng, 3, (4, 5, 6))
    y, wanted = net(x), net.apply(x)
    assert type(y) is type(wanted)
    assert_array_equal(array(y), array(wanted))
    assert_array_equal(array(y), networks.reference(net[0], x).reshape(3, -1))


def test_a_winner_that_is_zero_stays_a_winner():
    net = nn.Sequential([nn.KWinners(2, axis=1), nn.Flatten()])
    x = np.zeros((1, 3, 2, 2), dtype=np.float32)
    assert net(x).nnz == net.apply(x).nnz == 8


# --- calls ------------------------------------------------------------------------------------------------------------


def test_out_is_written_where_it_lies():
    rng = np.random.default_rng(0)
    net, x = small_network(rng), draw_input(rng, 3, (2, 6, 6))
    wanted = net(x)
    for out in (np.empty((3, 5), np.float32), np.empty((5, 3), np.float32).T, unaligned(np.empty((3, 5), np.float32))):
        assert net(x, out=out) is out
        assert_array_equal(out, wanted)
        plan = net.plan(x.shape)
        out[...] = 0
        assert plan(x, out=out) is out
        assert_array_equal(out, wanted)


def test_any_array_is_an_input():
    rng = np.random.default_rng(0)
    net, x = small_network(rng), draw_input(rng, 3, (2, 6, 6))
    wanted = net(x)
    for given_x in (x[::-1][::-1], np.asfortranarray(x), x.astype(">f4"), x.tolist(), unaligned(x)):
        result = net(np.asarray(given_x, dtype=np.float32) if isinstance(given_x, list) else given_x)
        assert_array_equal(result, wanted)
    integers = rng.integers(0, 255, (3, 2, 6, 6), dtype=np.uint8)
    assert_array_equal(net(integers), net(integers.astype(np.float32)))
    assert net(x.astype(np.float64)).dtype == np.float64


@pytest.mark.parametrize(
    ("out", "error", "words"),
    [
        (np.empty((3, 4), np.float32), ValueError, r"\(3, 4\)"),
        (np.empty((3, 5), np.float64), TypeError, "float64"),
        ([np.empty((3, 5), np.float32)] * 2, ValueError, "2 arrays"),
        ("y", TypeError, "str"),
    ],
)
def test_an_out_that_does_not_fit_is_refused(out, error, words):
    rng = np.random.default_rng(0)
    net = small_network(rng)
    with pytest.raises(error, match=words):
        net(draw_input(rng, 3, (2, 6, 6)), out=out)


def test_out_and_x_share_no_memory():
    net = nn.Sequential([nn.ReLU()])
    memory = np.zeros(20, dtype=np.float32)
    with pytest.raises(ValueError, match="memory"):
        net(memory[:10].reshape(2, 5), out=memory[5:15].reshape(2, 5))
    read_only = np.empty((2, 5), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        net(memory[:10].reshape(2, 5), out=read_only)


def two_and_two():
    """Two inputs, two outputs."""
    g = nn.Graph()
    a, b = g.input("a", (None, 3)), g.input("b", (None, 3))
    g.output(g.add(nn.Add(), a, b))
    g.output(g.add(nn.Mul(), a, b))
    return g


@pytest.mark.parametrize("change", [np.asarray, np.asfortranarray, lambda v: unaligned(v), lambda v: v[::-1][::-1]])
def test_several_arrays(change):
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
    a, b = (change(v.copy()) for v in x)
    plan = two_and_two().plan((4, 3), (4, 3))
    y, z = plan(a, b)
    assert_array_equal(y, a + b)
    assert_array_equal(z, a * b)
    for out in ((np.empty((4, 3), np.float32), change(np.zeros((4, 3), np.float32))), [np.empty_like(y), None]):
        found = plan(a, b, out=out)
        assert found[0] is out[0]
        assert out[1] is None or found[1] is out[1]
        assert_array_equal(found[0], a + b)
        assert_array_equal(found[1], a * b)
    assert_array_equal(plan(a, a)[1], a * a)


def test_several_arrays_that_do_not_fit():
    plan, memory = two_and_two().plan((4, 3), (4, 3)), np.zeros(60, dtype=np.float32)
    a, b = memory[:12].reshape(4, 3), memory[12:24].reshape(4, 3)
    y, z = memory[24:36].reshape(4, 3), memory[36:48].reshape(4, 3)
    for out in ((b, z), (y, memory[11:23].reshape(4, 3)), (y, memory[25:37].reshape(4, 3)), (y, y)):
        with pytest.raises(ValueError, match="memory"):
            plan(a, b, out=out)
    with pytest.raises(ValueError, match="1 arrays; the network has 2"):
        plan(a, b, out=y)
    with pytest.raises(ValueError, match="2 inputs, and 1"):
        plan(a, out=(y, z))
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        plan(a, b.reshape(3, 4))
    with pytest.raises(TypeError, match="float64"):
        plan(a, b.astype(np.float64))
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        plan(a, b, out=(y, z.reshape(3, 4)))
    z.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        plan(a, b, out=(y, z))
    assert not memory.any()


def test_plans_take_what_they_were_made_for():
    rng = np.random.default_rng(0)
    net, x = small_network(rng), draw_input(rng, 3, (2, 6, 6))
    plan = net.plan(x.shape)
    assert plan.x_shapes == ((3, 2, 6, 6),)
    assert plan.out_shapes == ((3, 5),)
    assert_array_equal(plan(x), net(x))
    with pytest.raises(ValueError, match=r"\(2, 2, 6, 6\); the plan expects \(3, 2, 6, 6\)"):
        plan(x[:2])
    with pytest.raises(TypeError, match="float64; the plan computes in float32"):
        plan(x.astype(np.float64))
    with pytest.raises(TypeError, match="list"):
        plan(x.tolist())
    assert "Conv2d" in plan.describe()
    assert f"{plan.workspace_bytes:,}" in plan.describe()


def test_deterministic_plans_are_plans_of_their_own():
    rng = np.random.default_rng(0)
    net, x = small_network(rng), draw_input(rng, 3, (2, 6, 6))
    net(x)
    _core.set_deterministic(True)
    wanted = small_network(np.random.default_rng(0))(x)
    assert_array_equal(net(x), wanted)


def test_calls_from_many_threads_at_once():
    rng = np.random.default_rng(0)
    net, x = small_network(rng), draw_input(rng, 3, (2, 6, 6))
    wanted, wrong = net(x), []

    def work():
        for _ in range(200):
            if not np.array_equal(net(x), wanted):
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_calls_take_no_more_memory_the_more_there_are():
    within(
        4,
        """
        from complsparse import nn
        W = cs.random((64, 64), density=0.25, rng=0)
        net = nn.Sequential([nn.Linear(W), nn.KWinners(8), nn.Linear(W), nn.Softmax()])
        x = np.ones((64, 64), dtype=np.float32)
        net(x)
        """,
        """
        for _ in range(10000):
            net(x)
        """,
    )


def test_a_network_keeps_so_many_plans():
    net = nn.Sequential([nn.ReLU()])
    for n in range(60):
        net(np.zeros((n, 3), dtype=np.float32))
    assert len(net._plans) <= 16
    assert len(net._known) <= 16


def test_values_share_memory():
    """A long chain needs room for two values, not for all."""
    W = sparse_weights(np.random.default_rng(0), (256, 256))
    short = nn.Sequential([nn.Linear(W)] * 3).plan((8, 256))
    long = nn.Sequential([nn.Linear(W)] * 20).plan((8, 256))
    assert long.workspace_bytes == short.workspace_bytes


# --- what is refused --------------------------------------------------------------------------------------------------


def test_layers_that_do_not_fit_are_named():
    W = sparse_weights(np.random.default_rng(0), (4, 8))
    net = nn.Sequential([nn.ReLU(), nn.Linear(W)])
    with pytest.raises(ValueError, match=r"1, Linear\(.*input of \(9,\): .*\(4, 8\) expects 8"):
        net(np.zeros((2, 9), np.float32))
    g = nn.Graph()
    x = g.input("pixels", (None, 3, None, 8))
    g.output(g.add(nn.MaxPool2d(20, stride=1), x, name="too large"))
    with pytest.raises(ValueError, match=r"too large, MaxPool2d.*\(3, 8, 8\): "):
        g(np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(
        ValueError, match=r"'pixels' has shape \(1, 4, 8, 8\); the network was made for \(None, 3, None, 8\)"
    ):
        g(np.zeros((1, 4, 8, 8), np.float32))


def weights_of(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.Linear(weights_of(3)), ValueError, r"\(3,\)"),
        (lambda: nn.Linear([[1.0]]), TypeError, "list"),
        (lambda: nn.Linear(np.zeros((3, 4), np.int8)), TypeError, "int8"),
        (lambda: nn.Linear(cs.from_dense(np.eye(3, dtype=np.int32))), TypeError, "int32"),
        (lambda: nn.Linear(weights_of(3, 4), bias=np.zeros(4)), ValueError, r"bias has shape \(4,\).*3 entries"),
        (lambda: nn.Linear(weights_of(3, 4), activation="softmax"), ValueError, "softmax"),
        (lambda: nn.Conv2d(weights_of(3, 4, 2)), ValueError, r"\(3, 4, 2\)"),
        (lambda: nn.KWinners("many"), TypeError, "many"),
        (lambda: nn.KWinners(1.5), ValueError, "1.5"),
        (lambda: nn.KWinners(2, relu=1), TypeError, "relu"),
        (lambda: nn.BatchNorm(np.zeros(3), np.zeros(4)), ValueError, "var has shape"),
        (lambda: nn.BatchNorm(np.zeros(3), -np.ones(3)), ValueError, "-1"),
        (lambda: nn.BatchNorm(np.zeros(3), np.full(3, np.nan)), ValueError, "nan"),
        (lambda: nn.Sequential([nn.Add()]), ValueError, "Graph"),
        (lambda: nn.Sequential([np.tanh]), TypeError, "ufunc"),
        (lambda: nn.Softmax("last"), TypeError, "last"),
        (lambda: nn.Sequential([nn.ReLU()]).plan((-1, 3)), ValueError, "negative"),
        (lambda: nn.Sequential([nn.ReLU()]).plan((1, 3), dtype=np.int8), TypeError, "int8"),
        (lambda: nn.Sequential([nn.ReLU()])(np.zeros((1, 3), complex)), TypeError, "complex"),
        (lambda: nn.Sequential([nn.ReLU()])(np.float32(1)), ValueError, "scalar"),
        (lambda: nn.Sequential([nn.Softmax(0)])(weights_of(2, 3)), ValueError, "axis=0"),
        (lambda: nn.Sequential([nn.KWinners(1, axis=(1, 2))])(weights_of(2, 3, 4, 5)), ValueError, r"\(1, 2\)"),
        (lambda: nn.Graph()(weights_of(2, 3)), ValueError, "no output"),
    ],
)  # fmt: skip
def test_mistakes_are_told(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_graphs_refuse_what_is_not_theirs():
    g, other = nn.Graph(), nn.Graph()
    x = g.input("x")
    with pytest.raises(TypeError, match="of this graph"):
        other.add(nn.ReLU(), x)
    with pytest.raises(TypeError, match="of this graph"):
        g.add(nn.ReLU(), 0)
    with pytest.raises(ValueError, match="already"):
        g.input("x")
    with pytest.raises(ValueError, match="two or more"):
        g.add(nn.Add(), x)
    with pytest.raises(ValueError, match="1 input, and 2"):
        g.add(nn.ReLU(), x, x)
    y = g.input("y")
    g.output(g.add(nn.Add(), x, y))
    with pytest.raises(ValueError, match=r"\(1, 3\) and \(1, 4\)"):
        g(np.zeros((1, 3)), np.zeros((1, 4)))


# --- copies, files, reports -------------------------------------------------------------------------------------------


def test_every_zero_stored_gives_the_same():
    rng = np.random.default_rng(0)
    net, x = small_network(rng), draw_input(rng, 2, (2, 6, 6))
    dense = net.to_dense()
    assert all(isinstance(layer.W, np.ndarray) for layer in dense.layers if hasattr(layer, "W"))
    assert dense.n_weights > 2 * net.n_weights
    assert_allclose(dense(x), net(x), rtol=1e-4, atol=1e-5)
    assert net.astype(np.float64)(x).dtype == np.float64


def test_saved_networks_come_back(tmp_path):
    rng = np.random.default_rng(0)
    graph = residual(rng)
    for net, shape in ((small_network(rng), (2, 6, 6)), (graph, (4, 8, 8)), (small_network(rng).to_dense(), (2, 6, 6))):
        net.save(tmp_path / "net.npz")
        back = nn.load(tmp_path / "net.npz")
        x = draw_input(rng, 3, shape)
        for y, wanted in zip(back(x), net(x), strict=True):
            assert_array_equal(y, wanted)
        assert repr(back) == repr(net)


def test_reports():
    rng = np.random.default_rng(0)
    net = small_network(rng)
    text = net.summary((1, 2, 6, 6))
    assert f"{net.n_weights:,}" in text
    for name, layer in zip(net.names, net.layers, strict=True):
        assert any(line.split()[:2] == [name, type(layer).__name__] for line in text.splitlines())
    profile = net.profile(draw_input(rng, 2, (2, 6, 6)), seconds=0.01)
    # Flatten of winners is a step; the pool is a part of the convolution's, which has the name.
    assert [row.name for row in profile.rows] == [name for name in net.names if name != "3"]
    assert sum(row.share for row in profile.rows) == pytest.approx(1)
    rows = {row.name: row for row in profile.rows}
    assert rows["2"].input_density == pytest.approx(4 / 16)
    assert rows["6"].multiplications == 2 * net[6].W.nnz
    assert rows["6"].weight_density == pytest.approx(net[6].W.nnz / (24 * 8))
    assert "samples in" in repr(profile)


def test_a_profile_is_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    rng = np.random.default_rng(0)
    small_network(rng).profile(draw_input(rng, 2, (2, 6, 6)), seconds=0.01, plot=tmp_path / "profile.png")
    assert (tmp_path / "profile.png").read_bytes()[1:4] == b"PNG"
