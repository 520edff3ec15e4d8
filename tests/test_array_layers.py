# SPDX-License-Identifier: BSD-3-Clause
"""Layers on whole arrays: every row against values written out by other means, and how they lie in plans."""

import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from strategies import seeds

import complsparse as cs
from complsparse.nn._array_layer import ArrayLayer

nn = cs.nn
rng = np.random.default_rng(0)
X = rng.standard_normal((3, 4, 5)).astype(np.float32)
Y = rng.standard_normal((3, 4, 5)).astype(np.float32)
POSITIVE = np.abs(X) + np.float32(0.1)
ROW = rng.standard_normal(5).astype(np.float32)
COLUMN = rng.standard_normal((4, 1)).astype(np.float32)
IMAGES = rng.standard_normal((2, 8, 4, 6)).astype(np.float32)
INTS = rng.integers(-9, 9, (3, 4, 5))
TRUTHS, OTHERS = X > 0, Y > 0


def run(layer, *xs, dtypes=None, constants=()):
    """The layer alone in a graph: arrays as inputs, those at the positions `constants` as constants."""
    g = nn.Graph()
    handles = []
    for i, x in enumerate(xs):
        kept = None if x.dtype.kind == "f" else x.dtype
        handles.append(g.constant(x) if i in constants else g.input(f"x{i}", x.shape, kept))
    made = g.add(layer, *handles)
    for handle in made if layer.n_outputs > 1 else [made]:
        g.output(handle)
    found = g(*(x for i, x in enumerate(xs) if i not in constants))
    one_by_one = g.apply(*(x for i, x in enumerate(xs) if i not in constants))
    for a, b in zip(*((v if isinstance(v, tuple) else (v,)) for v in (found, one_by_one)), strict=True):
        assert a.dtype == b.dtype
        assert_allclose(a, b, rtol=2e-6, atol=1e-6)
    return found


def entrywise(function, *xs):
    """By Python's own numbers."""
    broadcast = np.broadcast_arrays(*xs)
    return np.array([function(*(v.item() for v in entries)) for entries in zip(*(x.flat for x in broadcast))]).reshape(
        broadcast[0].shape
    )


def softplus(v):
    return math.log1p(math.exp(-abs(v))) + max(v, 0)


ONE = [
    (nn.Abs(), X, abs),
    (nn.Neg(), X, lambda v: -v),
    (nn.Sign(), X, lambda v: (v > 0) - (v < 0)),
    (nn.Sqrt(), POSITIVE, math.sqrt),
    (nn.Reciprocal(), POSITIVE, lambda v: 1 / v),
    (nn.Exp(), X, math.exp),
    (nn.Log(), POSITIVE, math.log),
    (nn.Erf(), X, math.erf),
    (nn.Sin(), X, math.sin),
    (nn.Cos(), X, math.cos),
    (nn.Floor(), X, math.floor),
    (nn.Ceil(), X, math.ceil),
    (nn.Round(), np.float32([0.5, 1.5, 2.5, -0.5, -1.2, 7.0]), round),
    (nn.Not(), TRUTHS, lambda v: not v),
    (nn.IsNaN(), np.float32([1, np.nan, np.inf]), math.isnan),
    (nn.Sigmoid(), X * 9, lambda v: 1 / (1 + math.exp(-v))),
    (nn.Tanh(), X, math.tanh),
    (nn.HardSigmoid(), X * 4, lambda v: min(max(v / 6 + 0.5, 0), 1)),
    (nn.HardSigmoid(0.2, 0.4), X * 4, lambda v: min(max(v * 0.2 + 0.4, 0), 1)),
    (nn.PReLU(), X, lambda v: v if v > 0 else v / 4),
    (nn.Softplus(), X * 30, softplus),
    (nn.ELU(0.7), X, lambda v: v if v > 0 else 0.7 * (math.exp(v) - 1)),
    (nn.Clip(least=-0.5, most=0.25), X, lambda v: min(max(v, -0.5), 0.25)),
    (nn.Clip(most=3), INTS, lambda v: min(v, 3)),
    (nn.Cast("int32"), X * 5, int),
    (nn.Cast("bool"), INTS, bool),
    (nn.Cast("float16"), INTS, float),
    (nn.Identity(), X, lambda v: v),
]


@pytest.mark.parametrize(("layer", "x", "function"), ONE, ids=lambda v: repr(v) if isinstance(v, nn.Layer) else "")
def test_functions_of_one_array(layer, x, function):
    y = run(layer, x)
    assert y.shape == x.shape
    assert_allclose(y, entrywise(function, x), rtol=2e-6, atol=1e-6)


def c_division(a, b):
    return int(a / b)


TWO = [
    (nn.Add(), X, Y, lambda a, b: a + b),
    (nn.Sub(), X, Y, lambda a, b: a - b),
    (nn.Mul(), X, Y, lambda a, b: a * b),
    (nn.Div(), X, POSITIVE, lambda a, b: a / b),
    (nn.Div(), INTS, np.where(INTS == 0, 4, -INTS + 1) | 1, c_division),
    (nn.Pow(), POSITIVE, Y, lambda a, b: a**b),
    (nn.Mod(), INTS, np.full_like(INTS, 4), lambda a, b: a % b),
    (nn.Mod(fmod=True), INTS, np.full_like(INTS, 4), math.fmod),
    (nn.Min(), X, Y, min),
    (nn.Max(), X, Y, max),
    (nn.Equal(), INTS, np.flip(INTS, 0), lambda a, b: a == b),
    (nn.Less(), X, Y, lambda a, b: a < b),
    (nn.LessOrEqual(), INTS, np.flip(INTS, 0), lambda a, b: a <= b),
    (nn.Greater(), X, Y, lambda a, b: a > b),
    (nn.GreaterOrEqual(), INTS, np.flip(INTS, 0), lambda a, b: a >= b),
    (nn.And(), TRUTHS, OTHERS, lambda a, b: a and b),
    (nn.Or(), TRUTHS, OTHERS, lambda a, b: a or b),
    (nn.Xor(), TRUTHS, OTHERS, lambda a, b: a != b),
    (nn.PReLU(), X, ROW, lambda a, b: a if a > 0 else a * b),
    (nn.Clip(), X, np.float32(-0.5), max),
]


@pytest.mark.parametrize(("layer", "x", "y", "function"), TWO, ids=lambda v: repr(v) if isinstance(v, nn.Layer) else "")
@pytest.mark.parametrize("constants", [(), (1,)], ids=["inputs", "constant"])
def test_functions_of_two_arrays(layer, x, y, function, constants):
    assert_allclose(run(layer, x, np.asarray(y), constants=constants), entrywise(function, x, y), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("layer", [nn.Add(), nn.Sub(), nn.Mul(), nn.Div(), nn.Max(), nn.Where()], ids=repr)
@pytest.mark.parametrize("other", [ROW, COLUMN, np.float32(2), X[:1], X[:, :1], X[None]], ids=lambda v: str(v.shape))
@pytest.mark.parametrize("constants", [(), (1,), (0,)])
def test_arrays_broadcast(layer, other, constants):
    xs, constants = [X, np.asarray(other)], set(constants)
    function = {
        "Add": lambda a, b: a + b, "Sub": lambda a, b: a - b, "Mul": lambda a, b: a * b, "Div": lambda a, b: a / b,
        "Max": max, "Where": lambda c, a, b: a if c else b,
    }[type(layer).__name__]  # fmt: skip
    if isinstance(layer, nn.Where):
        xs, constants = [TRUTHS, *xs], {i + 1 for i in constants}
    for order in (xs, [*xs[:-2], xs[-1], xs[-2]]):
        assert_allclose(run(layer, *order, constants=constants), entrywise(function, *order), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("layer", [nn.Max(), nn.Min(), nn.PReLU()], ids=repr)
def test_what_is_no_number_stays_so(layer, isa):
    """In every lane, at either place, and beside infinities and zeros of both signs."""
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -1.5], dtype=np.float32)
    x, y = (np.ascontiguousarray(v.reshape(1, -1)) for v in np.meshgrid(values, values))
    with np.errstate(invalid="ignore"):
        wanted = type(layer).function(x, y)
    g = nn.Graph()
    g.output(g.add(layer, g.input("x", x.shape), g.input("y", y.shape)))
    assert [step.kernel for step in g.plan(x.shape, y.shape).steps] == [layer.operation]
    assert_array_equal(g(x, y), wanted)


@pytest.mark.parametrize("layer", [nn.Add(), nn.Sub(), nn.Mul(), nn.Div(), nn.Max(), nn.Min(), nn.PReLU()], ids=repr)
@pytest.mark.parametrize("kind", [nn.ReLU, nn.ReLU6, nn.Tanh])
@pytest.mark.parametrize("shape", [(2, 5000), (2, 3, 41), (1, 3, 1), (2, 1, 1), ()])
def test_activations_are_part_of_arithmetic(layer, kind, shape):
    rng = np.random.default_rng(0)
    x = 8 * rng.standard_normal((2, 5000) if shape == (2, 5000) else (2, 3, 41)).astype(np.float32)
    other = 1 + 8 * rng.random(shape).astype(np.float32)
    g = nn.Graph()
    a, b = g.input("a", x.shape), g.constant(other)
    g.output(g.add(kind(), g.add(layer, a, b)))
    assert [step.kernel for step in g.plan(x.shape).steps] == [f"{layer.operation} + {kind.activation}"]
    wanted = nn.Sequential([kind()])(layer.function(x, other))
    assert_allclose(g(x), wanted, rtol=2e-6, atol=1e-6)


def test_activations_behind_three_summands_or_integers():
    g = nn.Graph()
    inputs = [g.input(name, X.shape) for name in "abc"]
    g.output(g.add(nn.ReLU(), g.add(nn.Add(), *inputs)))
    assert [step.kernel for step in g.plan(*[X.shape] * 3).steps] == ["add", "add + relu"]
    assert_allclose(g(X, -2 * X, X / 2), np.maximum(-X / 2, 0), rtol=2e-6, atol=1e-6)
    g = nn.Graph()
    n = g.input("n", INTS.shape, INTS.dtype)
    g.output(g.add(nn.ReLU(), g.add(nn.Add(), n, n)))
    with pytest.raises(ValueError, match="it takes real numbers"):
        g(INTS)


REDUCED = {
    "ReduceSum": sum, "ReduceMean": lambda v: sum(v) / len(v), "ReduceMax": max, "ReduceMin": min,
    "ReduceProd": math.prod, "ReduceL1": lambda v: sum(map(abs, v)), "ReduceL2": lambda v: math.hypot(*v),
    "ReduceSumSquare": lambda v: sum(n * n for n in v), "ReduceLogSum": lambda v: math.log(sum(v)),
    "ReduceLogSumExp": lambda v: math.log(sum(map(math.exp, v))),
}  # fmt: skip


def reduced(x, axes, keepdims, function):
    kept = [i for i in range(x.ndim) if i not in axes]
    moved = np.transpose(x, [*kept, *axes]).reshape(*(x.shape[i] for i in kept), -1)
    y = np.array([function(row.tolist()) for row in moved.reshape(-1, moved.shape[-1])]).reshape(moved.shape[:-1])
    return np.expand_dims(y, tuple(sorted(axes))) if keepdims else y


@pytest.mark.parametrize("name", REDUCED)
@pytest.mark.parametrize("axes", [(0,), (1,), (-1,), (0, 2), (1, 2), None])
@pytest.mark.parametrize("keepdims", [True, False])
def test_reductions(name, axes, keepdims):
    wanted = reduced(POSITIVE, [a % 3 for a in axes or range(3)], keepdims, REDUCED[name])
    assert_allclose(run(getattr(nn, name)(axes=axes, keepdims=keepdims), POSITIVE), wanted, rtol=2e-5)
    if axes is not None:
        by_input = run(getattr(nn, name)(keepdims=keepdims), POSITIVE, np.array(axes), constants=(1,))
        assert_allclose(by_input, wanted, rtol=2e-5)


def test_reductions_along_nothing():
    assert_array_equal(run(nn.ReduceSum(axes=(), noop=True), X), X)
    assert run(nn.ReduceSum(axes=(), keepdims=False), INTS) == INTS.sum()


def test_where_the_extremes_stand():
    x = np.float32([[1, 3, 3], [2, 0, 0]])
    for layer, wanted in [
        (nn.ArgMax(1), [[1], [0]]), (nn.ArgMax(1, last=True), [[2], [0]]), (nn.ArgMin(-1, keepdims=False), [0, 1]),
        (nn.ArgMin(1, last=True), [[0], [2]]), (nn.ArgMax(keepdims=False), [1, 0, 0]),
    ]:  # fmt: skip
        y = run(layer, x)
        assert y.dtype == np.int64
        assert_array_equal(y, wanted)


def test_top_k_takes_the_first_of_equal_ones():
    x = np.float32([[3, 1, 3, 2], [0, 0, 5, 5]])
    values, places = run(nn.TopK(3), x)
    assert_array_equal(values, [[3, 3, 2], [5, 5, 0]])
    assert_array_equal(places, [[0, 2, 3], [2, 3, 0]])
    values, places = run(nn.TopK(axis=0, largest=False), x, np.array([1]), constants=(1,))
    assert_array_equal(values, [[0, 0, 3, 2]])
    assert_array_equal(places, [[1, 1, 0, 0]])


def test_cumulative_sums():
    x = np.float32([[1, 2, 3], [4, 5, 6]])
    assert_array_equal(run(nn.CumSum(1), x), [[1, 3, 6], [4, 9, 15]])
    assert_array_equal(run(nn.CumSum(exclusive=True), x, np.array(1), constants=(1,)), [[0, 1, 3], [0, 4, 9]])
    assert_array_equal(run(nn.CumSum(0, reverse=True), x), [[5, 7, 9], [4, 5, 6]])


# --- what moves entries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [None, *itertools.permutations(range(3))])
def test_transposes(axes):
    order = axes or (2, 1, 0)
    for x in (X, INTS, TRUTHS):
        y = run(nn.Transpose(axes), x)
        assert y.shape == tuple(x.shape[a] for a in order)
        for at in itertools.product(*map(range, y.shape)):
            assert y[at] == x[tuple(at[order.index(a)] for a in range(3))]


@pytest.mark.parametrize("shape", [(3, 20), (12, 5), (-1,), (0, 2, -1), (1, 60, 1), (60, 1), (5, 4, 3), (0, 0, 0)])
def test_reshapes_are_no_steps(shape):
    wanted = [X.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    for layer, more, constants in ((nn.Reshape(shape), (), ()), (nn.Reshape(), (np.array(shape),), (1,))):
        y = run(layer, X, *more, constants=constants)
        assert y.ravel().tolist() == X.ravel().tolist()
        assert y.ndim == len(wanted)
        assert all(n in (-1, m) for n, m in zip(wanted, y.shape, strict=True))
    net = nn.Sequential([nn.ReLU(), nn.Reshape(shape), nn.Tanh()])
    assert [step.kernel for step in net.plan(X.shape).steps] == ["relu", "tanh"]


def test_axes_of_one_entry():
    assert run(nn.Unsqueeze((0, -1)), X).shape == (1, 3, 4, 5, 1)
    assert run(nn.Unsqueeze(), X, np.array([1]), constants=(1,)).shape == (3, 1, 4, 5)
    assert run(nn.Squeeze((0,)), X[:1]).shape == (4, 5)
    assert run(nn.Squeeze(), X[:1, :1]).shape == (5,)
    assert run(nn.Squeeze(), X[:1, :1, :1]).shape == ()
    assert run(nn.Squeeze(), X[:, :1], np.array([1]), constants=(1,)).shape == (3, 5)


SLICES = [
    ((1,), (3,), (0,), None), ((0, 1), (2, -1), None, None), ((-1,), (-100,), (2,), (-2,)), ((4,), (0,), (2,), (-1,)),
    ((1,), (1000,), (-1,), (2,)), ((2,), (1,), (1,), None),
]  # fmt: skip


@pytest.mark.parametrize(("starts", "ends", "axes", "steps"), SLICES)
def test_slices(starts, ends, axes, steps):
    y = run(nn.Slice(starts, ends, axes, steps), X)
    keep = [range(n) for n in X.shape]
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = (axes[i] if axes else i) % 3
        n, step = X.shape[axis], 1 if steps is None else steps[i]
        start, end = (v + n if v < 0 else v for v in (start, end))
        keep[axis] = [j for j in range(start, end if step > 0 else max(end, -1), step) if 0 <= j < n]
    assert_array_equal(y, X[np.ix_(*keep)] if all(map(len, keep)) else np.zeros([len(k) for k in keep]))
    if axes and steps:
        arrays = [np.array(v) for v in (starts, ends, axes, steps)]
        assert_array_equal(run(nn.Slice(), X, *arrays, constants=(1, 2, 3, 4)), y)


def test_splits():
    for layer, sizes, axis in [
        (nn.Split((1, 3, 1), -1), (1, 3, 1), 2), (nn.Split((1, 2)), (1, 2), 0), (nn.Split(axis=1, parts=2), (2, 2), 1),
        (nn.Split(axis=2, parts=3), (2, 2, 1), 2),
    ]:  # fmt: skip
        parts = run(layer, X)
        assert tuple(part.shape[axis] for part in parts) == sizes
        first = 0
        for part in parts:
            kept = [slice(None)] * 3
            kept[axis] = slice(first, first + part.shape[axis])
            assert_array_equal(part, X[tuple(kept)])
            first += part.shape[axis]
    assert_array_equal(run(nn.Split((3,)), X), X)


def test_gathers():
    at = np.array([[2, 0], [-1, 1]])
    assert_array_equal(run(nn.Gather(), X, at), [[X[2], X[0]], [X[-1], X[1]]])
    assert_array_equal(run(nn.Gather(axis=1), X, np.array(2)), X[:, 2])
    table = rng.standard_normal((7, 3)).astype(np.float32)
    assert_array_equal(run(nn.Embedding(table), at), [[table[i] for i in row] for row in at])
    places = rng.integers(0, 4, (3, 2, 5))
    y = run(nn.GatherElements(axis=1), X, places)
    assert all(y[i, j, k] == X[i, places[i, j, k], k] for i, j, k in np.ndindex(y.shape))
    rows = np.array([[0, 1], [2, -1]])
    assert_array_equal(run(nn.GatherND(), X, rows), [X[0, 1], X[2, -1]])
    assert_array_equal(run(nn.GatherND(1), X, np.array([[1], [0], [3]])), [X[0, 1], X[1, 0], X[2, 3]])
    wanted = X.copy()
    wanted[0, 1], wanted[2, 3] = 1, 2
    updates = np.stack([np.full(5, 1, np.float32), np.full(5, 2, np.float32)])
    assert_array_equal(run(nn.ScatterND(), X, rows, updates), wanted)


def test_larger_arrays():
    assert_array_equal(
        run(nn.Expand(), COLUMN, np.array([2, 1, 5]), constants=(1,)), np.stack([COLUMN.repeat(5, 1)] * 2)
    )
    assert_array_equal(run(nn.Tile(), ROW, np.array([2]), constants=(1,)), [*ROW, *ROW])
    assert_array_equal(run(nn.Trilu(), X[0]), [[v * (j >= i) for j, v in enumerate(row)] for i, row in enumerate(X[0])])
    lower = [[v * (j <= i + 1) for j, v in enumerate(row)] for i, row in enumerate(X[0])]
    assert_array_equal(run(nn.Trilu(upper=False, k=1), X[0]), lower)
    for mode, wanted in {
        "constant": [7, 7, 0, 1, 2, 3, 7], "edge": [0, 0, 0, 1, 2, 3, 3], "reflect": [2, 1, 0, 1, 2, 3, 2],
        "wrap": [2, 3, 0, 1, 2, 3, 0],
    }.items():  # fmt: skip
        line = np.arange(4, dtype=np.float32)
        assert_array_equal(run(nn.Pad((2, 1), mode, 7.0), line), wanted)
    assert_array_equal(run(nn.Pad((-1, 2)), np.float32([1, 2, 3])), [2, 3, 0, 0])
    padded = run(nn.Pad(), X, np.array([1, 0]), np.float32(5), np.array([-1]), constants=(1, 2, 3))
    assert_array_equal(padded[..., 0], 5)
    assert_array_equal(padded[..., 1:], X)


def test_depth_and_space():
    for order in ("DCR", "CRD"):
        y = run(nn.DepthToSpace(2, order), IMAGES)
        for n, c, i, j in np.ndindex(y.shape):
            inner = 2 * (i % 2) + j % 2
            channel = inner * 2 + c if order == "DCR" else c * 4 + inner
            assert y[n, c, i, j] == IMAGES[n, channel, i // 2, j // 2]
    assert_array_equal(run(nn.SpaceToDepth(2), run(nn.DepthToSpace(2), IMAGES)), IMAGES)


def test_products():
    for a, b in [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (6, 4, 5)), ((4,), (2, 4, 5)), ((3, 4), (4,))]:
        x, y = rng.standard_normal(a).astype(np.float32), rng.standard_normal(b).astype(np.float32)
        wanted = np.matmul(x.astype(float), y.astype(float))
        assert_allclose(run(nn.MatMul(), x, y), wanted, rtol=1e-5, atol=1e-5)
    y = run(nn.Einsum(equation="abc,adc->dba"), X, X[:, :2])
    assert_allclose(
        y, [[[X[a, b] @ X[a, d] for a in range(3)] for b in range(4)] for d in range(2)], rtol=1e-5, atol=1e-5
    )


@given(seeds, st.sampled_from([np.float32, np.float64]))
def test_norms(seed, dtype):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 6, rng.integers(2, 5)))
    axis = int(rng.integers(1, len(shape)))
    x = (rng.standard_normal(shape) * 3 + 1).astype(dtype)
    weight, bias = (rng.standard_normal(shape[axis:]).astype(dtype) for _ in range(2))
    for norm in (nn.LayerNorm(weight, bias, axis=axis), nn.RMSNorm(weight, axis=axis - len(shape))):
        y = nn.Sequential([norm])(x)
        for at in np.ndindex(shape[:axis]):
            v = x[at].astype(np.float64)
            centred = v - v.mean() if isinstance(norm, nn.LayerNorm) else v
            wanted = centred / math.sqrt((centred**2).mean() + 1e-5) * weight
            wanted = wanted + bias if isinstance(norm, nn.LayerNorm) else wanted
            assert_allclose(y[at], wanted, rtol=1e-4, atol=1e-4)


# --- in plans ---------------------------------------------------------------------------------------------------------


def linear(rng, outputs, inputs):
    return nn.Linear(cs.random((outputs, inputs), density=0.5, rng=rng))


def attention(heads=2, width=8):
    """What joins all: products of whole arrays, native layers, reshapes that follow from the input's shape."""
    rng = np.random.default_rng(1)
    g = nn.Graph()
    x = g.input("x", (None, None, width))
    shape = g.add(nn.Shape(), x)
    kept = g.add(nn.Slice((0,), (2,)), shape)
    cut = g.add(nn.Concat(0), kept, g.constant(np.array([heads, width // heads])))

    def split(axes):
        of_heads = g.add(nn.Reshape(), g.add(linear(rng, width, width), x), cut)
        return g.add(nn.Transpose(axes), of_heads)

    q, k, v = split((0, 2, 1, 3)), split((0, 2, 3, 1)), split((0, 2, 1, 3))
    scores = g.add(nn.Div(), g.add(nn.MatMul(), q, k), g.constant(np.float32(2)))
    both = g.add(nn.MatMul(), g.add(nn.Softmax(), scores), v)
    together = g.add(nn.Reshape(), g.add(nn.Transpose((0, 2, 1, 3)), both), shape)
    g.output(g.add(nn.LayerNorm(), g.add(nn.Add(), together, x)))
    return g


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("count", [1, 3])
def test_attention(n, count, threads):
    g, x = attention(), np.random.default_rng(n).standard_normal((n, 6, 8)).astype(np.float32)
    with threads(count):
        y = g(x)
    q, k, v = (layer.W.toarray() for layer in g.layers if isinstance(layer, nn.Linear))
    for sample, wanted in zip(x.astype(float), y, strict=True):
        heads = []
        for part in (slice(0, 4), slice(4, 8)):
            scores = np.exp((sample @ q[part].T) @ (sample @ k[part].T).T / 2)
            heads.append(scores / scores.sum(1, keepdims=True) @ (sample @ v[part].T))
        s = np.concatenate(heads, axis=1) + sample
        s = (s - s.mean(1, keepdims=True)) / np.sqrt(s.var(1, keepdims=True) + 1e-5)
        assert_allclose(wanted, s, rtol=1e-4, atol=1e-4)


def test_what_follows_from_shapes_takes_no_step():
    plan = attention().plan((2, 6, 8))
    of_nodes = {plan._nodes[step.node].name.partition("_")[0] for step in plan.steps}
    assert not of_nodes & {"shape", "slice", "concat", "reshape", "constant"}


def random_chain(rng):
    """Layers that cut memory into other samples, and some that take a sample at a time between them."""
    layers = []
    for _ in range(rng.integers(2, 9)):
        kind = rng.integers(6)
        layers.append(
            [
                nn.Reshape((4, 6, 4)), nn.Reshape((6, -1)), nn.Reshape((2, 3, 2, 8)), nn.ReLU(), nn.Abs(),
                nn.Reshape((-1, 1)),
            ][kind]
        )  # fmt: skip
    return layers


@given(seeds)
def test_memory_that_is_cut_anew(seed):
    """Every value with an own reader at the end: nothing may be overwritten."""
    rng = np.random.default_rng(seed)
    g = nn.Graph()
    h = g.input("x", (4, 6, 4))
    handles = [h]
    for layer in random_chain(rng):
        h = g.add(layer, h)
        handles.append(h)
    for handle in handles[1:]:
        if rng.random() < 0.6:
            g.output(g.add(nn.Add(), g.add(nn.Reshape((-1, 2)), handle), g.constant(np.float32(1))))
        if rng.random() < 0.3:
            g.output(handle)
    g.output(h)
    x = rng.standard_normal((4, 6, 4)).astype(np.float32)
    found, wanted = g(x), g.apply(x)
    for y, by_functions in zip(*((v if isinstance(v, tuple) else (v,)) for v in (found, wanted)), strict=True):
        assert_array_equal(y, by_functions)


def test_integers_booleans_and_scalars_are_inputs_and_outputs():
    g = nn.Graph()
    ids, mask, scale = g.input("ids", (None, 3), np.int64), g.input("mask", (None, 3), bool), g.input("scale", ())
    rows = g.add(nn.Embedding(np.eye(4, dtype=np.float32)), ids)
    g.output(g.add(nn.Mul(), rows, scale))
    g.output(g.add(nn.Not(), mask))
    g.output(g.add(nn.ArgMax(-1, keepdims=False), rows))
    given_ids = np.array([[0, 3, 1], [2, 2, 0]])
    given_mask = np.array([[True, False, True]] * 2)
    scaled, other, same = g(given_ids.astype(np.int32), given_mask, np.float32(2))
    assert_array_equal(scaled, 2 * np.eye(4)[given_ids])
    assert_array_equal(other, ~given_mask)
    assert_array_equal(same, given_ids)
    assert (scaled.dtype, other.dtype, same.dtype) == (np.float32, bool, np.int64)
    out = np.empty((2, 3, 4), np.float32), np.empty((2, 3), bool), np.empty((2, 3), np.int64)
    assert all(a is b for a, b in zip(g(given_ids, given_mask, np.float32(2), out=out), out, strict=True))
    with pytest.raises(TypeError, match=r"float64.*int64"):
        g(given_ids.astype(float), given_mask, np.float32(2))


def test_a_network_computes_in_one_floating_dtype():
    net = nn.Sequential([linear(0, 4, 4), nn.Erf()]).astype(np.float64)
    assert net(np.ones((1, 4), np.float32)).dtype == np.float64
    g = nn.Graph()
    x = g.input("x")
    g.output(g.add(nn.Add(), x, g.constant(np.array([[1.0, 2.0]]))))
    g.output(g.add(nn.Cast("float64"), g.add(nn.Greater(), x, g.constant(np.zeros((1, 2))))))
    for y in g(np.ones((3, 2), np.float32)):
        assert y.dtype == np.float32


def test_errors_within_a_step_come_out():
    def odd(x):
        if np.any(x):
            raise LookupError("not today")
        return x

    net = nn.Sequential([nn.ReLU(), nn.Function(odd), nn.ReLU()])
    assert_array_equal(net(np.zeros((2, 3), np.float32)), np.zeros((2, 3)))
    for _ in range(3):
        with pytest.raises(LookupError, match="not today"):
            net(np.ones((2, 3), np.float32))
    assert_array_equal(net(np.zeros((2, 3), np.float32)), np.zeros((2, 3)))
    moody = nn.Sequential([nn.Function(lambda x: x[x != 1] if np.any(x) else x)])
    with pytest.raises(ValueError, match=r"\(4,\).*\(2, 3\)"):
        moody(np.float32([[0, 1, 2], [3, 1, 4]]))


def test_functions_of_the_caller():
    g = nn.Graph()
    x, y = g.input("x"), g.input("y")
    a, b = g.add(nn.Function(lambda u, v: (u + v, np.argsort(u)), 2, 2), x, y)
    g.output(g.add(nn.ReLU(), a))
    g.output(b)
    given_x, given_y = X[0], Y[0]
    total, order = g(given_x, given_y)
    assert_array_equal(total, np.maximum(given_x + given_y, 0))
    assert_array_equal(order, np.argsort(given_x))
    rows = {row.name: row for row in g.profile(given_x, given_y, seconds=0.01).rows}
    assert rows["function_0"].kernel == "numpy function"
    assert "Function" in g.summary(given_x.shape, given_y.shape)


# --- files and mistakes -----------------------------------------------------------------------------------------------

SAVED = [
    nn.Constant(INTS), nn.Reshape((0, -1)), nn.Slice((0,), (2,), (1,)), nn.Clip(least=-1.5), nn.Cast("int64"),
    nn.PReLU(weight=ROW), nn.LayerNorm(ROW, ROW, eps=1e-3), nn.ReduceMean((1, 2), keepdims=False),
    nn.Pad((1, 1), "edge"), nn.Embedding(X[0]), nn.TopK(2), nn.Split((1, 2)), nn.Einsum(equation="a->a"),
]  # fmt: skip


@pytest.mark.parametrize("layer", SAVED, ids=repr)
def test_layers_come_back_from_files(layer, tmp_path):
    g = nn.Graph()
    inputs = [g.input("x", None, np.int64)] if layer.takes(1) else []
    made = g.add(layer, *inputs, name="here")
    for handle in made if layer.n_outputs > 1 else [made]:
        g.output(handle)
    g.save(tmp_path / "net.npz")
    back = nn.load(tmp_path / "net.npz")
    assert repr(back) == repr(g)
    for name, value in back.layers[0].arguments().items():
        given = layer.arguments()[name]
        assert_array_equal(value, given)
        assert type(value) is type(given)


def test_whole_graphs_come_back_from_files(tmp_path):
    g, x = attention(), X[:, :, :4].repeat(2, 2)
    g.save(tmp_path / "net.npz")
    assert_array_equal(nn.load(tmp_path / "net.npz")(x), g(x))
    with pytest.raises(TypeError, match="Function"):
        nn.Sequential([nn.Function(np.abs)]).save(tmp_path / "net.npz")


def test_every_row_is_public_and_documented():
    rows = [kind for kind in ArrayLayer.__subclasses__() if kind.__module__.startswith("complsparse.nn.")]
    public = [kind for kind in rows if not kind.__name__.startswith("_")]
    assert len(public) > 60
    for kind in public:
        assert getattr(nn, kind.__name__) is kind
        assert kind.__name__ in nn.__all__
        assert kind.__doc__


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.Reshape("ab"), TypeError, "shape must be integers"),
        (lambda: nn.Reshape((2, 1.5)), TypeError, "1.5"),
        (lambda: nn.Clip(least="low"), TypeError, "least"),
        (lambda: nn.Pad((1, 1), mode="mirror"), ValueError, "'mirror' is not one of 'constant', 'reflect'"),
        (lambda: nn.TopK(2, 1, True, 5), TypeError, "TopK takes 3 attributes, and 4"),
        (lambda: nn.TopK(2, k=3), TypeError, "'k', which it has already"),
        (lambda: nn.Softplus(beta=2), TypeError, "'beta', which it has not"),
        (lambda: nn.Embedding(), TypeError, "needs W"),
        (lambda: nn.Embedding(np.array(["a"])), TypeError, "<U1"),
        (lambda: nn.ReduceSum(keepdims=1), TypeError, "keepdims"),
        (lambda: nn.Function(3), TypeError, "int"),
        (lambda: run(nn.Reshape((7, -1)), X), ValueError, r"Reshape\(shape=\(7, -1\).*\(3, 4, 5\)"),
        (lambda: run(nn.MatMul(), X, X), ValueError, r"MatMul.*\(3, 4, 5\) and \(3, 4, 5\)"),
        (lambda: run(nn.Slice((0,), (1,), (3,)), X), ValueError, r"axis 3 of shape \(3, 4, 5\)"),
        (lambda: run(nn.Split((1, 1)), X), ValueError, r"sizes \(1, 1\).*3 entries"),
        (lambda: run(nn.TopK(6), X), ValueError, "k=6 of 5"),
        (lambda: run(nn.Reshape(), X, np.array([60])), ValueError, "'new' must be known"),
        (lambda: run(nn.Where(), X), ValueError, "Where takes the inputs"),
        (lambda: run(nn.Softmax(), INTS), ValueError, "int64"),
        (lambda: run(nn.ReLU(), np.float32(1)), ValueError, "scalar"),
        (lambda: nn.Sequential([nn.Where()]), ValueError, "Graph"),
        (lambda: nn.Sequential([nn.TopK(1)]), ValueError, "Graph"),
        (lambda: nn.Graph().input("x", (), complex), TypeError, "complex"),
    ],
)  # fmt: skip
def test_mistakes_are_told(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_several_results_are_read_one_at_a_time():
    g = nn.Graph()
    parts = g.add(nn.Split((1, 2)), g.input("x"))
    assert len(parts) == 2
    with pytest.raises(TypeError, match="of this graph"):
        g.add(nn.ReLU(), parts)
    with pytest.raises(TypeError, match="several results"):
        g.output(parts)


@pytest.mark.parametrize(
    "layer",
    [nn.Transpose((1, 0, 2)), nn.Transpose((0, 2, 1)), nn.Transpose(), nn.Pad((0,) * 6), nn.Pad((0,) * 6, "edge")],
)
def test_moves_that_leave_all_where_it_is_are_no_steps(layer):
    for shape in ((1, 1, 8), (1, 3, 4)):
        g = nn.Graph()
        g.output(g.add(nn.ReLU(), g.add(layer, g.add(nn.ReLU(), g.input("x", (None, *shape[1:]))))), "y")
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        assert_array_equal(g(x), layer.apply(np.maximum(x, 0)))
        kernels = [step.kernel for step in g.plan(shape).steps]
        stays = isinstance(layer, nn.Pad) or shape[1] == 1 or layer.axes == (1, 0, 2)
        assert (kernels == ["relu", "relu"]) == stays
