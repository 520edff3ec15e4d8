# SPDX-License-Identifier: BSD-3-Clause
"""GRU and LSTM against their equations, a sample and a step at a time."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from networks import dense_or_sparse, nn
from numpy.testing import assert_allclose, assert_array_equal
from strategies import seeds


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def dense(W):
    return np.asarray(W if isinstance(W, np.ndarray) else W.toarray(), dtype=np.float64)


def or_zeros(vector, n):
    return np.zeros(n) if vector is None else np.asarray(vector, dtype=np.float64)


def gru(layer, x, h):
    """The next state of one sample."""
    n = layer.width
    W, R, b, r = dense(layer.W), dense(layer.R), or_zeros(layer.bias, 3 * n), or_zeros(layer.recurrent_bias, 3 * n)
    at = [slice(0, n), slice(n, 2 * n), slice(2 * n, 3 * n)]
    z, s = (sigmoid(W[g] @ x + b[g] + R[g] @ h + r[g]) for g in at[:2])
    g = at[2]
    of_state = s * (R[g] @ h + r[g]) if layer.linear_before_reset else R[g] @ (s * h) + r[g]
    return [(1 - z) * np.tanh(W[g] @ x + b[g] + of_state) + z * h]


def lstm(layer, x, h, c):
    n = layer.width
    W, R, b, r = dense(layer.W), dense(layer.R), or_zeros(layer.bias, 4 * n), or_zeros(layer.recurrent_bias, 4 * n)
    p = or_zeros(layer.peephole, 3 * n)
    i, o, f, g = np.split(W @ x + b + R @ h + r, 4)
    cell = sigmoid(f + p[2 * n :] * c) * c + sigmoid(i + p[:n] * c) * np.tanh(g)
    return [sigmoid(o + p[n : 2 * n] * cell) * np.tanh(cell), cell]


def by_equations(layer, x, begin, lengths):
    """All states of (steps, samples, features), then the last ones."""
    x = x.swapaxes(0, 1) if layer.batch_first else x
    steps, samples, _ = x.shape
    y = np.zeros((steps, samples, layer.width))
    last = [np.zeros((samples, layer.width)) for _ in range(layer.n_states)]
    for n in range(samples):
        states = [np.zeros(layer.width) if one is None else one[n].astype(float) for one in begin]
        length = steps if lengths is None else lengths[n]
        for t in reversed(range(length)) if layer.reverse else range(length):
            states = (gru if layer.n_states == 1 else lstm)(layer, x[t, n].astype(float), *states)
            y[t, n] = states[0]
        for one, state in zip(last, states, strict=True):
            one[n] = state
    return [y.swapaxes(0, 1) if layer.batch_first else y, *last]


def drawn(rng, kind, dtype=np.float32):
    """A layer, sequences for it, and states to begin with."""
    gates = kind.n_gates
    width, features = int(rng.integers(1, 20)), int(rng.integers(1, 9))
    vector = lambda n: rng.standard_normal(n).astype(dtype) if rng.random() < 0.6 else None  # noqa: E731
    given = {"reverse": bool(rng.random() < 0.4), "batch_first": bool(rng.random() < 0.4)}
    if kind is nn.GRU:
        given["linear_before_reset"] = bool(rng.random() < 0.5)
    else:
        given["peephole"] = vector(3 * width)
    layer = kind(
        W=dense_or_sparse(rng, (gates * width, features), dtype), R=dense_or_sparse(rng, (gates * width, width), dtype),
        bias=vector(gates * width), recurrent_bias=vector(gates * width), **given,
    )  # fmt: skip
    steps, samples = int(rng.integers(0, 6)), int(rng.integers(0, 5))
    shape = (samples, steps, features) if layer.batch_first else (steps, samples, features)
    x = rng.standard_normal(shape).astype(dtype)
    n_begin = int(rng.integers(0, kind.n_states + 1))
    begin = [rng.standard_normal((samples, width)).astype(dtype) for _ in range(n_begin)]
    return layer, x, begin


def run(layer, x, begin, lengths=None):
    g = nn.Graph()
    inputs = [g.input("x", x.shape), *(g.input(f"h{i}", one.shape) for i, one in enumerate(begin))]
    if lengths is not None:
        inputs.append(g.constant(lengths))
    for handle in g.add(layer, *inputs):
        g.output(handle)
    return g, g(x, *begin)


@given(seeds, st.sampled_from([nn.GRU, nn.LSTM]), st.sampled_from([np.float32, np.float64]))
def test_states_are_those_of_the_equations(seed, kind, dtype):
    layer, x, begin = drawn(np.random.default_rng(seed), kind, dtype)
    g, found = run(layer, x, begin)
    wanted = by_equations(layer, x, [*begin, *[None] * (kind.n_states - len(begin))], None)
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    for y, by_formula, one_by_one in zip(found, wanted, g.apply(x, *begin), strict=True):
        assert y.dtype == dtype
        assert_allclose(y, by_formula, rtol=tolerance, atol=tolerance)
        assert_allclose(one_by_one, by_formula, rtol=tolerance, atol=tolerance)


@given(seeds, st.sampled_from([nn.GRU, nn.LSTM]))
def test_samples_end_at_their_lengths(seed, kind):
    rng = np.random.default_rng(seed)
    layer, x, _ = drawn(rng, kind)
    steps, samples = (x.shape[1], x.shape[0]) if layer.batch_first else x.shape[:2]
    begin = [rng.standard_normal((samples, layer.width)).astype(np.float32) for _ in range(kind.n_states)]
    lengths = rng.integers(0, steps + 1, samples)
    for y, wanted in zip(run(layer, x, begin, lengths)[1], by_equations(layer, x, begin, lengths), strict=True):
        assert_allclose(y, wanted, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_the_same_bits_on_every_number_of_threads(kind, threads):
    rng = np.random.default_rng(3)
    layer = kind(W=dense_or_sparse(rng, (kind.n_gates * 64, 32), np.float32),
                 R=dense_or_sparse(rng, (kind.n_gates * 64, 64), np.float32))  # fmt: skip
    x = rng.standard_normal((7, 5, 32)).astype(np.float32)
    results = []
    for count in (1, 2, 4):
        with threads(count):
            results.append(run(layer, x, [])[1])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_array_equal(a, b)


def test_networks_read_all_states_and_the_last_one(isa, tmp_path):
    rng = np.random.default_rng(0)
    layer, x, _ = drawn(np.random.default_rng(5), nn.GRU)
    x = rng.standard_normal((*x.shape[:2], layer.W.shape[1])).astype(np.float32)
    g = nn.Graph()
    all_states, last = g.add(layer, g.input("x", (None, None, layer.W.shape[1])), name="gru")
    g.output(g.add(nn.Linear(dense_or_sparse(rng, (3, layer.width), np.float32)), all_states))
    g.output(g.add(nn.ReLU(), last))
    g.save(tmp_path / "net.npz")
    for y, wanted, back in zip(g(x), g.apply(x), nn.load(tmp_path / "net.npz")(x), strict=True):
        assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)
        assert_array_equal(back, y)
    kernels = [step.kernel for step in g.plan(x.shape).steps]
    assert not any(kernel.startswith("numpy") for kernel in kernels)
    assert g.n_weights >= layer.multiplications


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda W, R: nn.GRU(W=W[:5], R=R), r"W of shape \(5, 4\)"),
        (lambda W, R: nn.GRU(W=W, R=R[:, :1]), r"R of shape \(6, 1\)"),
        (lambda W, R: nn.GRU(W=W, R=R, bias=np.zeros(5)), r"bias has shape \(5,\)"),
        (lambda W, R: nn.LSTM(W=W, R=R), r"\(4 \* H, H\)"),
        (lambda W, R: run(nn.GRU(W=W, R=R), np.zeros((2, 3, 5), np.float32), []), r"\(2, 3, 5\).*4 features"),
        (lambda W, R: run(nn.GRU(W=W, R=R), np.zeros((2, 3), np.float32), []), "three axes"),
        (lambda W, R: run(nn.GRU(W=W, R=R), np.zeros((2, 3, 4), np.float32), [np.zeros((2, 2), np.float32)]),
         r"\(2, 2\); \(3, 2\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(make, words):
    with pytest.raises(ValueError, match=words):
        make(np.zeros((6, 4), np.float32), np.zeros((6, 2), np.float32))
