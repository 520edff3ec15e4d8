# SPDX-License-Identifier: BSD-3-Clause
"""GRU on 8-bit numbers: every step against sums in int64 and gates in float64, from the state that the layer had."""

import integer_networks
import numpy as np
import pytest
import quantized
from hypothesis import given
from networks import dense_or_sparse, nn, sparse_weights
from numpy.testing import assert_allclose, assert_array_equal
from strategies import seeds

import complsparse as cs

STATE = np.float32(1 / 127)


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def of_product(xq, Wq, bias, **of_x):
    """Real numbers of 8-bit vectors: sums in integers, rounded once."""
    sums = quantized.linear_sums(xq, Wq, of_x.pop("zero_point", 0))
    return quantized.expected(sums, Wq, None, bias=bias, **of_x).astype(np.float64)


def state_product(layer, h):
    hq = integer_networks.quantized(h, STATE, 0, np.int8)
    return of_product(hq, layer.R, layer.recurrent_bias, x_scale=float(STATE))


def next_states(layer, xq, h):
    """Of all samples, from states in float32; and which of them no rounding of gates may have changed."""
    certain = np.ones(len(h), bool)
    n = layer.width
    x = of_product(xq, layer.W, layer.bias, x_scale=layer.x_scale, zero_point=layer.x_zero_point)
    of_h = state_product(layer, h)
    z, r = sigmoid(x[:, :n] + of_h[:, :n]), sigmoid(x[:, n : 2 * n] + of_h[:, n : 2 * n])
    if layer.linear_before_reset:
        of_state = r * of_h[:, 2 * n :]
    else:
        left = (r * h).astype(np.float32)
        # The layer's own r, in float32, may lie on the other side of an edge.
        certain = (np.abs(left / STATE % 1 - 0.5) > 1e-4).all(axis=1)
        of_state = state_product(layer, left)[:, 2 * n :]
    return (1 - z) * np.tanh(x[:, 2 * n :] + of_state) + z * h, certain


def drawn(rng, linear_before_reset=True):
    """A layer, sequences in integers for it, a state to begin with."""
    width, features = int(rng.integers(1, 40)), int(rng.integers(1, 30))
    W, R = (cs.quantize(sparse_weights(rng, (3 * width, n))) for n in (features, width))
    vector = lambda: rng.standard_normal(3 * width).astype(np.float32) if rng.random() < 0.6 else None  # noqa: E731
    dtype = np.dtype(str(rng.choice(["uint8", "int8"])))
    limits = np.iinfo(dtype)
    layer = nn.QGRU(
        W, R, x_scale=float(rng.random() / 50 + 1e-3), x_zero_point=int(rng.integers(limits.min, limits.max + 1)),
        x_dtype=dtype.name, bias=vector(), recurrent_bias=vector(), reverse=bool(rng.random() < 0.4),
        batch_first=bool(rng.random() < 0.4), linear_before_reset=linear_before_reset,
    )  # fmt: skip
    steps, samples = int(rng.integers(0, 5)), int(rng.integers(1, 5))
    shape = (samples, steps, features) if layer.batch_first else (steps, samples, features)
    x = rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
    return layer, x, rng.uniform(-1.2, 1.2, (samples, width)).astype(np.float32)


def run(layer, x, h, lengths=None):
    g = nn.Graph()
    inputs = [g.input("x", x.shape, x.dtype), g.input("h", h.shape)]
    if lengths is not None:
        inputs.append(g.constant(lengths))
    for handle in g.add(layer, *inputs):
        g.output(handle)
    return g, g(x, h)


def check_steps(layer, x, h, y, last):
    """The share of samples and steps that could be checked."""
    checked = [1.0]
    x, y = (v.swapaxes(0, 1) if layer.batch_first else v for v in (x, y))
    order = range(len(x))[::-1] if layer.reverse else range(len(x))
    for t in order:
        wanted, certain = next_states(layer, x[t], h)
        assert_allclose(y[t][certain], wanted[certain], rtol=0, atol=5e-6)
        checked.append(certain.mean())
        h = y[t]
    assert_array_equal(last, h)
    return np.mean(checked)


@given(seeds)
def test_a_step_is_that_of_its_integers(seed):
    layer, x, h = drawn(np.random.default_rng(seed))
    g, found = run(layer, x, h)
    assert all(y.dtype == np.float32 for y in found)
    assert check_steps(layer, x, h, *found) == 1
    assert check_steps(layer, x, h, *g.apply(x, h)) == 1


@given(seeds)
def test_the_reset_gate_may_come_first(seed):
    """What it leaves of the state is rounded as a state is."""
    layer, x, h = drawn(np.random.default_rng(seed), linear_before_reset=False)
    g, found = run(layer, x, h)
    assert check_steps(layer, x, h, *found) >= 0.3
    assert check_steps(layer, x, h, *g.apply(x, h)) >= 0.3


def test_states_beyond_one_saturate():
    one = cs.quantize(cs.from_dense(np.float32([[0.0], [0.0], [0.5]])))
    layer = nn.QGRU(one, one, x_scale=1.0, linear_before_reset=True)
    y, _ = run(layer, np.zeros((1, 1, 1), np.uint8), np.float32([[4.0]]))[1]
    assert_allclose(y[0, 0], 0.5 * np.tanh(0.5 * 0.5) + 2, rtol=1e-6)


@given(seeds)
def test_samples_end_at_their_lengths(seed):
    rng = np.random.default_rng(seed)
    layer, x, h = drawn(rng)
    steps, samples = (x.shape[1], x.shape[0]) if layer.batch_first else x.shape[:2]
    lengths = rng.integers(0, steps + 1, samples)
    y, last = run(layer, x, h, lengths)[1]
    for n in range(samples):
        one = np.s_[n : n + 1, : lengths[n]] if layer.batch_first else np.s_[: lengths[n], n : n + 1]
        alone, end = run(layer, x[one], h[n : n + 1])[1]
        assert_allclose(y[one], alone, rtol=0, atol=1e-5)
        assert_allclose(last[n : n + 1], end, rtol=0, atol=1e-5)


def recurrent_network(rng, features=12, width=16):
    """Two GRUs, of which the first is sparse, and what follows from all states and from the last ones."""
    g = nn.Graph()
    x = g.input("x", (None, None, features))
    of_first = sparse_weights(rng, (3 * width, features)), sparse_weights(rng, (3 * width, width))
    h, last = g.add(nn.GRU(*of_first, bias=rng.standard_normal(3 * width)), x, g.input("h", (None, width)), name="a")
    weights = [dense_or_sparse(rng, (3 * width, width), np.float32) for _ in range(2)]
    h, _ = g.add(nn.GRU(*weights), g.add(nn.ReLU(), h, name="cut"), name="b")
    g.output(g.add(nn.Sigmoid(), g.add(nn.Linear(sparse_weights(rng, (4, width))), h, name="last"), name="bent"))
    g.output(last)
    return g


def test_networks_in_integers(tmp_path, isa, threads):
    rng = np.random.default_rng(0)
    net = recurrent_network(rng)
    x, h = rng.standard_normal((5, 3, 12)).astype(np.float32), rng.uniform(-1, 1, (3, 16)).astype(np.float32)
    small = net.quantize([(x, h)])
    kinds = {name: type(layer).__name__ for name, layer in zip(small.names, small.layers, strict=True)}
    assert [kinds[name] for name in ("a", "b", "last")] == ["QGRU", "QGRU", "QLinear"]
    assert small.float_layers == ["bent"]
    found = small(x, h)
    for y, wanted, exact in zip(found, small.apply(x, h), net(x, h), strict=True):
        assert y.dtype == np.float32
        assert_allclose(y, wanted, rtol=0, atol=2e-3)  # an integer may be rounded to another side, which spreads
        assert_allclose(y, exact, rtol=0, atol=0.1)
    kernels = [step.kernel for step in small.plan(x.shape, h.shape).steps]
    assert not any(kernel.startswith("numpy") for kernel in kernels)
    small.save(tmp_path / "net.npz")
    for count in (1, 2, 4):
        with threads(count):
            for y, back in zip(found, nn.load(tmp_path / "net.npz")(x, h), strict=True):
                assert_array_equal(back, y)
    rows = {row.name: row for row in small.compare(x, h).rows}
    assert {row.layer for row in rows.values()} >= {"QGRU", "QLinear"}
    assert all(rows[name].decibels > 20 for name in ("a", "b"))
    assert "QGRU" in str(small.profile(x, h, seconds=0.01))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda W: nn.QGRU(W, cs.quantize(cs.from_dense(np.ones((6, 3)))), x_scale=1.0), ValueError, r"\(6, 3\)"),
        (lambda W: nn.QGRU(W, W, x_scale=0.0), ValueError, "x_scale is 0"),
        (lambda W: nn.QGRU(W, W, x_scale=1.0, x_zero_point=-1), ValueError, "-1"),
        (lambda W: nn.QGRU(W, W, x_scale=1.0, x_dtype="int16"), TypeError, "int16"),
        (lambda W: nn.QGRU(W, cs.from_dense(np.ones((6, 2))), x_scale=1.0), TypeError, "no scale"),
        (lambda W: nn.QGRU(np.ones((6, 2)), W, x_scale=1.0), TypeError, "ComplementaryMatrix"),
        (lambda W: nn.QGRU(W, W, x_scale=1.0, bias=np.ones(5, np.float32)), ValueError, r"\(5,\)"),
        (lambda W: run(nn.QGRU(W, W, x_scale=1.0), np.zeros((1, 1, 2), np.int8), np.zeros((1, 2), np.float32)),
         ValueError, "int8; it was made for uint8"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(make, error, words):
    with pytest.raises(error, match=words):
        make(cs.quantize(cs.from_dense(np.ones((6, 2)))))
