# SPDX-License-Identifier: BSD-3-Clause
"""k-winners-take-all against a stable sort: values, order, ties, NaN, on every ISA level."""

import copy
import itertools
import math
import pickle
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from strategies import draw_values, same_bits, seeds, unaligned
from test_winners import all_axes, check_rules, vectors_of

import complsparse as cs
from complsparse import _core

DTYPES = tuple(map(np.dtype, ("float32", "float64", "int8", "uint8", "int32", "int64")))
# Round the vectors of every level, the shortest sampled vector of each, and the longest that is taken in lanes.
LENGTHS = (0, 1, 2, 7, 9, 16, 17, 63, 65, 127, 129, 255, 256, 257, 513, 1500)


def winners_of(ranked, k):
    """Places of the k largest, ascending: of equal ones the first, NaN behind -inf."""
    nan = np.isnan(ranked) if ranked.dtype.kind == "f" else np.zeros(ranked.shape, dtype=bool)
    if ranked.dtype.kind == "f":
        negated = -ranked
    else:
        negated = ~ranked.astype(np.int64)  # descends without overflow
    order = np.argsort(np.where(nan, 0, negated), kind="stable")
    order = np.concatenate([order[~nan[order]], order[nan[order]]])
    return np.sort(order[:k])


def check(w, x, k, axis=-1, relu=False, values=None, ranked=None):
    """`values` and `ranked`: what comes out and what decides, where that is not x."""
    check_rules(w)
    values = x if values is None else values
    ranked = values if ranked is None else ranked
    assert w.shape == x.shape
    assert w.dtype == values.dtype
    start = 0
    for v, (of_values, of_ranked) in enumerate(zip(vectors_of(values, axis), vectors_of(ranked, axis), strict=True)):
        places = winners_of(of_ranked, k)
        if relu:
            places = places[of_values[places] > 0]
        assert w.indptr[v + 1] == start + len(places)
        assert w.indices[start : w.indptr[v + 1]].tolist() == places.tolist()
        assert same_bits(w.values[start : w.indptr[v + 1]], of_values[places])
        start = w.indptr[v + 1]


def numbers(rng, dtype, size, kind):
    """Arrays of many characters."""
    if kind == "odd":
        return draw_values(rng, dtype, size)
    if kind == "ties":
        return rng.integers(0, 4, size).astype(dtype)
    if kind == "equal":
        return np.full(size, 3, dtype=dtype)
    if kind == "close":  # neighbours in the last bits
        if np.dtype(dtype).kind == "f":
            integer = np.dtype(f"i{np.dtype(dtype).itemsize}")
            one = np.ones(1, dtype=dtype).view(integer)
            return (one + rng.integers(-50, 50, size).astype(integer)).view(dtype)
        return rng.integers(100, 110, size).astype(dtype)
    if kind == "wide":  # all magnitudes
        if np.dtype(dtype).kind == "f":
            return (rng.choice([-1.0, 1.0], size) * 10.0 ** rng.uniform(-37, 37, size)).astype(dtype)
        return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, size, endpoint=True, dtype=dtype)
    if kind == "negative" and np.dtype(dtype).kind != "u":
        return -1 - rng.integers(0, 100, size).astype(dtype)
    if kind == "ascending":
        return (
            np.sort((rng.standard_normal(size) * 30).astype(np.float32)).astype(dtype)
            if dtype.kind != "u"
            else (np.sort(rng.integers(0, 256, size)).astype(dtype))
        )
    if kind == "block":  # few large ones, all in one place: the sample sees none, or nothing else
        array = (rng.random(size) * 10).astype(dtype)
        at = int(rng.integers(0, max(size, 1)))
        array[at : at + size // 8] += np.asarray(100, dtype=dtype)
        return array
    if dtype.kind == "f":
        return rng.standard_normal(size).astype(dtype)
    return np.clip(rng.standard_normal(size) * 40 + 64, 0, 127).astype(dtype)


KINDS = ("normal", "odd", "ties", "equal", "close", "wide", "negative", "ascending", "block")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_single_vectors(isa, dtype, kind):
    rng = np.random.default_rng(KINDS.index(kind))
    for n in LENGTHS:
        x = numbers(rng, dtype, n, kind)
        for k in sorted({0, 1, 3, n // 10, n // 2, max(n - 1, 0), n + 5}):
            check(cs.kwta(x, k), x, min(k, n))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_batches_of_either_order(isa, dtype, kind):
    """Short vectors with a few winners go side by side in lanes; all others one by one, with the last one's hint."""
    rng = np.random.default_rng(KINDS.index(kind))
    for n, batch in itertools.product((5, 16, 63, 64, 65, 130, 513), (1, 3, 8, 17, 33)):
        x = numbers(rng, dtype, n * batch, kind).reshape(batch, n)
        columns = np.ascontiguousarray(x.T)
        for k in {1, 4, min(6, n), min(8, n), min(16, n), min(17, n)} if n > 5 else {1, n}:
            w = cs.kwta(x, k)
            check(w, x, min(k, n))
            along_rows = cs.kwta(columns, k, axis=0)
            for name in ("values", "indices", "indptr"):
                assert same_bits(getattr(along_rows, name), getattr(w, name))
            assert (along_rows.shape, along_rows.axis) == ((n, batch), 0)


@settings(max_examples=120)
@given(
    st.lists(st.sampled_from((0, 1, 2, 3, 8, 17, 40)), min_size=1, max_size=4),
    seeds,
    st.sampled_from(DTYPES),
    st.sampled_from(KINDS),
    st.integers(0, 50),
    st.booleans(),
)
def test_every_axis(shape, seed, dtype, kind, k, relu):
    rng = np.random.default_rng(seed)
    while math.prod(shape) > 10_000:
        shape = shape[1:]
    x = numbers(rng, dtype, math.prod(shape), kind).reshape(shape)
    for axis in all_axes(x.ndim):
        w = cs.kwta(x, k, axis=axis, relu=relu)
        n = math.prod(x.shape[a] for a in np.atleast_1d(w.axis))
        check(w, x, min(k, n), axis, relu)
        dense = cs.kwta_dense(x, k, axis=axis, relu=relu)
        assert dense.dtype == x.dtype
        kept = np.zeros(vectors_of(x, axis).shape, dtype=dtype)
        kept[np.repeat(np.arange(len(kept)), np.diff(w.indptr)), w.indices] = w.values
        assert same_bits(vectors_of(dense, axis), kept)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_relu_keeps_what_is_above_zero(isa, dtype):
    rng = np.random.default_rng(0)
    for n, batch in ((8, 40), (300, 3), (1500, 2), (64, 33)):
        x = draw_values(rng, dtype, n * batch).reshape(batch, n)
        for k in (1, 5, n // 2, n):
            check(cs.kwta(x, k, relu=True), x, k, relu=True)
    low = -np.abs(x) if dtype.kind == "f" else np.minimum(x, 0)
    assert cs.kwta(low, 5, relu=True).nnz == 0
    assert cs.kwta(low, 5).nnz == 5 * len(low)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_order_of_the_odd_numbers(isa, dtype):
    inf, nan = np.inf, np.nan
    x = np.array([nan, -0.0, -inf, 0.0, inf, -1.0, nan, 5e-324, 1.0, inf], dtype=dtype)
    expected = [4, 9, 8] + ([7] if dtype == "float64" else []) + [1, 3] + ([7] if dtype == "float32" else [])
    expected += [5, 2, 0, 6]
    for k in range(11):
        for batch in (1, 20):
            w = cs.kwta(np.tile(x, (batch, 1)), k)
            for v in range(batch):
                assert w.indices[v * k : (v + 1) * k].tolist() == sorted(expected[:k])
    w = cs.kwta(np.array([-0.0, 0.0, -0.0], dtype=dtype), 2)
    assert np.signbit(w.values).tolist() == [True, False]  # the sign stays


def test_a_negative_nan_is_last_too(isa):
    x = np.full(300, -np.inf, dtype=np.float32)
    x.view(np.uint32)[::3] = 0xFFC00001
    x.view(np.uint32)[1::3] = 0x7F800001
    check(cs.kwta(x, 150), x, 150)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [5, 64, 300, 1500])
def test_bias_is_added_before_the_contest(isa, dtype, n):
    rng = np.random.default_rng(n)
    for batch in (1, 3, 40):
        x = numbers(rng, dtype, n * batch, "normal").reshape(batch, n)
        narrow = dtype.itemsize == 1
        bias = numbers(rng, np.dtype(np.int32) if narrow else dtype, n, "normal")
        values = x + bias
        assert values.dtype == (np.int32 if narrow else dtype)
        for k in (1, 5, n // 3):
            check(cs.kwta(x, k, bias=bias), x, k, values=values)
            check(cs.kwta(x.T, k, axis=0, bias=bias, relu=True), x.T, k, 0, True, values=values.T)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [5, 64, 300, 1500])
def test_boost_ranks_and_leaves_the_values(isa, dtype, n):
    rng = np.random.default_rng(n)
    floating = dtype.kind == "f"
    boost = rng.uniform(0.5, 2, n).astype(dtype if floating else np.float64)
    bias = numbers(rng, dtype if dtype.itemsize > 1 else np.dtype(np.int32), n, "normal")
    for batch in (1, 40):
        x = numbers(rng, dtype, n * batch, "normal").reshape(batch, n)
        for k in (1, 5, n // 3):
            check(cs.kwta(x, k, boost=boost), x, k, values=x, ranked=x * boost)
            w = cs.kwta(x, k, boost=boost, bias=bias, relu=True)
            check(w, x, k, relu=True, values=x + bias, ranked=(x + bias) * boost)
    changed = cs.kwta(np.array([1.0, 2.0], dtype=dtype), 1, boost=[4.0, 1.0])
    assert (changed.indices[0], changed.values[0]) == (0, 1)


@pytest.mark.parametrize(("dtype", "summed"), [("int8", "int32"), ("int32", "int32"), ("int64", "int64")])
def test_integers_and_a_bias_wrap(dtype, summed):
    x = np.array([np.iinfo(dtype).max, 5], dtype)
    bias = np.array([1, 0], dtype)
    w = cs.kwta(x, 2, bias=bias)
    assert w.dtype == summed
    with np.errstate(over="ignore"):
        check(cs.kwta(x, 1, bias=bias), x, 1, values=x.astype(summed) + bias)


def test_bias_and_boost_broadcast_to_the_contest():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    of_channel = np.array([0.0, 5.0, -5.0], dtype=np.float32).reshape(3, 1, 1)
    check(cs.kwta(x, 7, axis=(1, 2, 3), bias=of_channel), x, 7, (1, 2, 3), values=x + of_channel)
    check(cs.kwta(x, 7, axis=(-1, 1), boost=2.0), x, 7, (1, 3))
    w = cs.kwta(x, 2, axis=1, bias=of_channel[:, 0, 0])
    check(w, x, 2, 1, values=x + of_channel)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_strides_order_and_alignment(isa, dtype):
    rng = np.random.default_rng(1)
    base = numbers(rng, dtype, 40 * 70, "normal").reshape(40, 70)
    read_only = base.copy()
    read_only.flags.writeable = False
    views = [base[::-1], base[:, ::-1], base[::3, 1::2], base.T, base.T[::-2, ::5], np.asfortranarray(base),
             unaligned(base), read_only, base.astype(dtype.newbyteorder()), np.broadcast_to(base[:1], base.shape),
             base.reshape(8, 5, 70)[:, ::2], base.reshape(8, 5, 70).transpose(2, 0, 1),
             base[:, None, :], base[:, :, None], base[:, None][:, ::-1], base[:1, None][:, ::-1]]  # fmt: skip
    for x in views:
        native = x.astype(dtype)
        for axis in range(x.ndim):
            check(cs.kwta(x, 3, axis=axis), native, 3, axis)
            check(cs.kwta(x, 19, axis=axis), native, min(19, x.shape[axis]), axis)
    if dtype.kind == "f":
        factors = rng.random(70).astype(dtype)
        check(cs.kwta(base, 3, bias=unaligned(factors)), base, 3, values=base + factors)
        check(cs.kwta(base, 3, boost=unaligned(factors)), base, 3, ranked=base * factors)


def test_16_bit_floats_are_ranked_as_float32():
    x = np.random.default_rng(0).standard_normal(200).astype(np.float16)
    check(cs.kwta(x, 20), x, 20, values=x.astype(np.float32))
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    y = x.astype(bfloat16)
    check(cs.kwta(y, 20), y, 20, values=y.astype(np.float32))


@pytest.mark.parametrize(
    ("k", "n", "count"),
    [(0.1, 64, 6), (0.1, 1500, 150), (0.0, 10, 0), (1.0, 10, 10), (0.25, 10, 2), (0.35, 10, 4), (np.float32(0.5), 7, 4),
     (np.int8(3), 10, 3), (np.uint64(3), 10, 3), (10**30, 10, 10), (True, 5, 1)],
)  # fmt: skip
def test_k_is_a_count_or_a_share(k, n, count):
    x = np.arange(float(n))
    assert cs.kwta(x, k).nnz == count
    assert np.count_nonzero(cs.kwta_dense(x + 1, k)) == count


def test_threads_change_nothing(isa, threads):
    rng = np.random.default_rng(5)
    for shape, k, relu in (
        ((784, 64), 6, False),
        ((200, 1500), 150, True),
        ((33, 3000), 300, False),
        ((3, 64, 900), 6, True),
    ):
        x = rng.standard_normal(shape).astype(np.float32)
        axis = 1 if len(shape) == 3 else -1
        found = []
        for n in (1, 2, 3, 8):
            with threads(n):
                found.append(cs.kwta(x, k, axis=axis, relu=relu))
        for other in found[1:]:
            for name in ("values", "indices", "indptr"):
                assert same_bits(getattr(other, name), getattr(found[0], name))
    check(found[0], x, k, axis, relu)


def test_entries_that_change_meanwhile_break_nothing():
    """Another thread writes what is being ranked: which entries win is anybody's guess, that memory is safe is not."""
    code = """
import threading, time
import numpy as np, complsparse as cs
rng = np.random.default_rng(0)
for shape, axis, k in (((512, 64), 0, 8), ((64, 784), 0, 6), ((784, 64), 1, 6)):
    x, others = np.zeros(shape, np.float32), rng.standard_normal((4, *shape)).astype(np.float32)
    done = False
    def write():
        while not done:
            for other in others:
                np.copyto(x, other)
    writer = threading.Thread(target=write)
    writer.start()
    end = time.monotonic() + 0.7
    while time.monotonic() < end:
        w = cs.kwta(x, k, axis=axis)
        assert w.nnz == k * shape[1 - axis] and w.indices.min() >= 0 and w.indices.max() < shape[axis]
    done = True
    writer.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_hints_are_no_more_than_hints(isa, dtype, warm):
    """Vector after vector of quite different numbers, each begun where the last one was decided."""
    rng = np.random.default_rng(9)
    x = np.stack([numbers(rng, dtype, 1500, kind) for kind in (*KINDS, *KINDS[::-1], *KINDS[::2])])
    for k in (1, 150, 1499):
        bound = _core.BoundContest(x, k, warm)
        for row in [*x, *x]:
            bound()
            places = winners_of(row, k)
            assert bound.indices.tolist() == places.tolist()
            assert same_bits(bound.values, row[places])
            assert bound.starts.tolist() == [0, k]


def test_dense_winners_of_every_axis_are_new_arrays():
    x = np.random.default_rng(0).standard_normal((4, 5, 6))
    before = x.copy()
    y = cs.kwta_dense(x, 0.5, axis=1)
    y[:] = 9
    assert np.array_equal(x, before)


BAD = {
    "negative k": (lambda x: cs.kwta(x, -1), ValueError, "k=-1 is negative"),
    "share above 1": (lambda x: cs.kwta(x, 1.5), ValueError, "k=1.5 is not a share"),
    "share below 0": (lambda x: cs.kwta(x, -0.5), ValueError, "not a share"),
    "share nan": (lambda x: cs.kwta(x, np.nan), ValueError, "not a share"),
    "k a string": (lambda x: cs.kwta(x, "3"), TypeError, "k must be"),
    "k None": (lambda x: cs.kwta(x, None), TypeError, "k must be"),
    "axis outside": (lambda x: cs.kwta(x, 1, axis=2), ValueError, "axis 2 is outside an array of 2 axes"),
    "axis far outside": (lambda x: cs.kwta(x, 1, axis=-3), ValueError, "axis -3"),
    "axis huge": (lambda x: cs.kwta(x, 1, axis=2**70), ValueError, "outside"),
    "axis twice": (lambda x: cs.kwta(x, 1, axis=(1, -1)), ValueError, "twice"),
    "axis None": (lambda x: cs.kwta(x, 1, axis=None), TypeError, "axis"),
    "a scalar": (lambda x: cs.kwta(np.float32(3), 1), ValueError, "scalar"),
    "complex": (lambda x: cs.kwta(x * 1j, 1), TypeError, "complex128"),
    "complex64": (lambda x: cs.kwta(x.astype(np.complex64), 1), TypeError, "complex64 do not exist.*float32"),
    "bool": (lambda x: cs.kwta(x > 0, 1), TypeError, "bool"),
    "objects": (lambda x: cs.kwta(x.astype(object), 1), TypeError, "not an array of numbers"),
    "bias too short": (lambda x: cs.kwta(x, 1, bias=np.zeros(3)), ValueError, r"bias has shape \(3,\).*\(4,\)"),
    "bias of two axes": (lambda x: cs.kwta(x, 1, bias=np.zeros((2, 4))), ValueError, "bias has shape"),
    "complex bias": (lambda x: cs.kwta(x, 1, bias=np.zeros(4) * 1j), TypeError, "complex128"),
    "boost too long": (lambda x: cs.kwta(x, 1, boost=np.zeros(5)), ValueError, "boost has shape"),
    "complex boost": (lambda x: cs.kwta(x, 1, boost=np.zeros(4) * 1j), TypeError, "boost has dtype complex128"),
    "relu a string": (lambda x: cs.kwta(x, 1, relu="no"), TypeError, "relu must be a bool, not 'no'"),
    "relu a number": (lambda x: cs.kwta_dense(x, 1, relu=1), TypeError, "relu must be a bool, not 1"),
    "boosted integers beyond 2**53": (
        lambda x: cs.kwta(np.array([2**53, 2**53 + 1]), 1, boost=np.ones(2)),
        ValueError,
        "x runs from 9007199254740992 to 9007199254740993.*2\\*\\*53",
    ),
    "boosted integers far below": (
        lambda x: cs.kwta(np.array([-(2**63), 5]), 1, boost=np.ones(2)),
        ValueError,
        "from -9223372036854775808",
    ),
    "dense too": (lambda x: cs.kwta_dense(x, -1), ValueError, "negative"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_name_what_is_wrong(case):
    call, error, match = BAD[case]
    x = np.arange(8.0).reshape(2, 4)
    with pytest.raises(error, match=match):
        call(x)


def test_bound_contests_check_their_arrays():
    x = np.zeros((2, 5), dtype=np.float32)
    for arguments in ((x[0], 1, True), (x, 6, True), (x, -1, True), (x[:0], 1, True), (x.astype(complex), 1, False)):
        with pytest.raises(ValueError):
            _core.BoundContest(*arguments)
    with pytest.raises(TypeError):
        _core.BoundContest(None, 1, True)
    with pytest.raises(TypeError):
        _core.BoundContest.__new__(_core.BoundContest)


def test_the_border_trusts_nobody():
    x = np.zeros((2, 5), dtype=np.float32)
    for wrong in ((x.astype(">f4"), 1, 1), (x, 6, 1), (x, -1, 1), (x, 1, 2), (x.astype(complex), 1, 1)):
        array, k, axis = wrong
        with pytest.raises(AssertionError):
            _core.compete(array, k, axis, False, None, None, (2, 5), 1)
    W = cs.from_dense(np.eye(5, dtype=np.float32))
    for given_x, k, dtype in ((x, 6, "f4"), (x, -1, "f4"), (x, 1, "f8"), (x[:, 1:], 1, "f4"), ([1.0], 1, "f4")):
        with pytest.raises(AssertionError):
            _core.linear_winners_in(W, given_x, None, None, k, np.dtype(dtype), (2, 5))


@pytest.mark.parametrize(
    ("k", "count"),
    [(np.int8(3), 3), (np.uint64(3), 3), (np.uint64(2**64 - 1), 20), (2**100, 20), (0.15, 3), (np.float32(0.15), 3),
     (np.float16(0.15), 3), (np.float64(0.125), 2), (0.175, 4), (0.025, 0), (0.0, 0), (1.0, 20), (True, 1),
     (np.array(3), 3)],
    ids=repr,
)  # fmt: skip
def test_every_spelling_of_k(k, count):
    """Halves are rounded to even, as `round` does."""
    x = np.random.default_rng(0).standard_normal((3, 20)).astype(np.float32)
    check(cs.kwta(x, k), x, count)
    assert np.array_equal(cs.kwta_dense(x, k), cs.kwta(x, count).toarray())
    assert cs.kwta(x.tolist(), k).nnz == 3 * count  # not on the fast path


def test_the_largest_integers_that_can_be_boosted():
    x = np.array([2**53, 2**53 - 1, -(2**53)])
    assert cs.kwta(x, 1, boost=np.ones(3)).indices.tolist() == [0]
    assert cs.kwta(x, 1, boost=np.array([1.0, 1.0, -2.0])).indices.tolist() == [2]


@pytest.mark.parametrize("made", ["plan", "bound call", "bound contest"])
def test_what_holds_addresses_has_no_pickle(made):
    W = cs.from_dense(np.eye(5, dtype=np.float32))
    x = np.zeros((5, 1), np.float32)
    thing = {
        "plan": lambda: W.plan(1),
        "bound call": lambda: W.plan(1).bind(x, x.copy()),
        "bound contest": lambda: _core.BoundContest(x, 1, True),
    }[made]()
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="addresses of this process"):
            copied(thing)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("n", [1, 2, 6, 31, 63, 64, 65, 200])
def test_short_vectors_of_bytes(isa, dtype, n):
    """In a register or not, side by side in memory or across, with many ties and the least and greatest values."""
    rng = np.random.default_rng(n)
    info = np.iinfo(dtype)
    few = np.array([info.min, info.min + 1, 0, 1, info.max - 1, info.max]).astype(dtype)
    for x in (rng.choice(few, (2, n, 5, 27)), rng.integers(info.min, info.max, (2, n, 5, 27), dtype, endpoint=True)):
        vectors = np.moveaxis(x, 1, -1).astype(np.int64)
        for k in {1, min(6, n), (n + 1) // 2, n}:
            for relu in (False, True):
                places = np.argsort(-vectors, axis=-1, kind="stable")[..., :k]
                wanted = np.zeros(vectors.shape, dtype)
                np.put_along_axis(wanted, places, np.take_along_axis(vectors, places, -1).astype(dtype), -1)
                if relu:
                    wanted[wanted.astype(np.int64) < 0] = 0
                w = cs.kwta(x, k, axis=1, relu=relu)
                np.testing.assert_array_equal(w.toarray(), np.moveaxis(wanted, -1, 1))
                counts = (np.take_along_axis(vectors, places, -1) > 0).sum(axis=-1) if relu else k
                np.testing.assert_array_equal(
                    w.counts, np.broadcast_to(counts, vectors.shape[:-1]).reshape(w.counts.shape)
                )
                along = cs.kwta(np.ascontiguousarray(np.moveaxis(x, 1, -1)), k, relu=relu)
                np.testing.assert_array_equal(along.toarray(), wanted)
