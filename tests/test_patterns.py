# SPDX-License-Identifier: BSD-3-Clause
"""Patterns: masks, random matrices and pruned ones have the sets, groups and counts that were asked for."""

import io
import itertools
import pickle
import sys
import tracemalloc
from typing import NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse
from hypothesis import assume, given
from oracle import cases
from strategies import SCIPY_DTYPES, seeds, shapes

import complsparse as cs
from complsparse._patterns import contest, prune, sources

METHODS = ("assignment", "greedy")


class Wanted(NamedTuple):
    """The arguments that all makers share."""

    set_size: int
    per_group: int
    block: tuple[int, int]
    balanced: bool

    @property
    def members(self):
        return self.set_size // self.per_group


@st.composite
def patterns(draw, largest=64):
    set_size = draw(st.integers(1, largest))
    per_group = draw(st.integers(1, min(set_size, 4)))
    # Half of them unstructured: sizes that leave more than one set.
    blocks = st.tuples(st.sampled_from((1, 2, 4, 8, 16, 32)), st.sampled_from((1, 2, 4)))
    return Wanted(set_size, per_group, draw(st.one_of(st.just((1, 1)), blocks)), draw(st.booleans()))


@st.composite
def whole(draw):
    """(shape, Wanted) where nothing is left over."""
    wanted = draw(patterns(largest=16))
    assume(wanted.set_size % wanted.per_group == 0)
    rows = draw(st.integers(1, 3)) * wanted.members * wanted.block[0]
    return (rows, draw(st.integers(1, 3)) * wanted.set_size * wanted.block[1]), wanted


def blocks_of(mask, wanted):
    """Which member owns which block column; the mask consists of these blocks and nothing else."""
    blocks = mask[:: wanted.block[0], :: wanted.block[1]]
    full = np.kron(blocks, np.ones(wanted.block, dtype=bool))
    np.testing.assert_array_equal(mask, full[: mask.shape[0], : mask.shape[1]])
    return blocks


def assert_pattern(mask, wanted):
    blocks = blocks_of(mask, wanted)
    for first in range(0, len(blocks), wanted.members):
        owners = blocks[first : first + wanted.members].sum(axis=0)
        assert owners.max(initial=0) <= 1, "members of a set share a column"
    counts = blocks.sum(axis=1)
    if len(blocks):
        assert counts.max(initial=0) - counts.min() <= 1
    n_groups = blocks.shape[1] // wanted.set_size
    assert (counts >= n_groups * wanted.per_group).all()
    if wanted.balanced:
        groups = blocks[:, : n_groups * wanted.set_size].reshape(len(blocks), n_groups, wanted.set_size)
        assert (groups.sum(axis=2) == wanted.per_group).all()


# --- masks and random matrices ----------------------------------------------------------------------------------------


@cases(300)
@given(shapes, patterns(), seeds)
def test_mask_has_the_pattern(shape, wanted, seed):
    mask = cs.complementary_mask(shape, **wanted._asdict(), rng=seed)
    assert (mask.shape, mask.dtype) == (shape, np.bool_)
    assert_pattern(mask, wanted)


@cases(100)
@given(whole(), seeds)
def test_whole_patterns_fill_every_slot(case, seed):
    shape, wanted = case
    W = cs.random(shape, **wanted._asdict(), rng=seed)
    assert W.packing_efficiency == 1.0
    assert W.nnz * wanted.set_size == wanted.per_group * shape[0] * shape[1]
    assert W.set_size == wanted.members
    assert W.n_sets == W.lower_bound
    if wanted.balanced:
        assert W.balanced


@cases(200)
@given(shapes, patterns(), seeds)
def test_random_matrix_has_the_pattern_and_packing(shape, wanted, seed):
    W = cs.random(shape, **wanted._asdict(), rng=seed)
    mask = cs.complementary_mask(shape, **wanted._asdict(), rng=seed)
    np.testing.assert_array_equal(W.toarray() != 0, mask)
    assert W.dtype == np.float32
    if W.nnz:
        assert (W.strategy, W.block) == ("strict", wanted.block)
        assert W.set_size <= wanted.members
    if wanted.balanced and shape[0] and -(-shape[1] // wanted.block[1]) >= wanted.set_size:
        assert W.balanced
        assert pickle.loads(pickle.dumps(W)).balanced
    found = cs.from_scipy(W.tocsr(), strategy="strict", block=wanted.block)  # of the same pattern, searched for
    assert W.n_sets <= found.n_sets or W.nnz == 0 or shape[0] % (wanted.members * wanted.block[0])


@pytest.mark.parametrize(
    ("density", "per_group", "set_size"), [(0.05, 1, 20), (0.1, 1, 10), (1, 1, 1), (0.9, 1, 1), (0.15, 3, 20)]
)
def test_density_chooses_the_nearest_set_size(density, per_group, set_size):
    shape = 3 * 20, 5 * set_size
    chosen = cs.random(shape, density=density, per_group=per_group, rng=1)
    given = cs.random(shape, set_size=set_size, per_group=per_group, rng=1)
    assert (chosen != given).nnz == 0


def test_rows_of_an_incomplete_group_take_turns():
    mask = cs.complementary_mask((32, 7), set_size=16, rng=0)
    assert mask.sum() == 14
    mask = cs.complementary_mask((10, 100), set_size=10**6, rng=0)  # fewer rows than a set would have
    assert (mask.sum(axis=1) == 1).all()


def test_unbalanced_rows_are_equally_full_but_not_balanced():
    W = cs.random((64, 320), set_size=32, balanced=False, rng=0)
    assert set(np.diff(W.tocsr().indptr)) == {10}
    assert W.packing_efficiency == 1.0
    assert not W.balanced


@pytest.mark.parametrize("set_size", [1, 2, 7, 16, 33, 64])
@pytest.mark.parametrize("per_group", [1, 3, 12])
def test_balance_is_found_for_every_width_of_a_group(set_size, per_group):
    set_size *= per_group
    W = cs.random((40, 2 * set_size + 5), set_size=set_size, per_group=per_group, rng=0)
    assert W.balanced
    assert W.T.balanced
    D = W.toarray()
    row, (a, b) = 3, (np.flatnonzero(D[3])[0], np.flatnonzero(D[3] == 0)[-1:])
    if len(b) and b[0] >= set_size > a:  # a block of the first group moves to a later one
        D[row, b], D[row, a] = 1, 0
        assert not cs.from_dense(D).balanced


def test_one_seed_one_pattern():
    def draw(rng):
        return cs.random((64, 64), set_size=8, rng=rng).toarray()

    np.testing.assert_array_equal(draw(7), draw(7))
    np.testing.assert_array_equal(draw(7), draw(np.random.default_rng(7)))
    np.testing.assert_array_equal(draw(np.random.SeedSequence(7)), draw(7))
    generator = np.random.default_rng(7)
    assert (draw(generator) != draw(generator)).any()
    assert (draw(None) != draw(None)).any()


@pytest.mark.parametrize("dtype", SCIPY_DTYPES)
def test_random_values_are_never_zero(dtype):
    W = cs.random((64, 64), set_size=4, dtype=dtype, rng=0)
    assert W.dtype == dtype
    assert W.tocsr().data.all()
    if np.dtype(dtype).kind in "iu":
        assert np.abs(W.toarray().astype(np.float64)).max() == 8
    if np.dtype(dtype).kind in "if":
        assert (W.toarray() < 0).any()


def test_float16_values_are_never_zero():
    W = cs.random((1024, 1024), set_size=2, dtype=np.float16, rng=0)
    assert W.dtype == np.float16
    assert W.tocsr().data.all()


def test_nothing_dense_is_made():
    tracemalloc.start()
    W = cs.random((100_000, 10_000), density=0.0005, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert W.nnz == 500_000
    assert peak < 200e6  # a mask would have 1e9 bytes


# --- prune ------------------------------------------------------------------------------------------------------------


def matrix_to_prune(seed, shape, dtype=np.float64):
    rng = np.random.default_rng(seed)
    kind = seed % 3
    if kind == 0:
        A = rng.standard_normal(shape) * np.exp(rng.standard_normal((shape[0], 1)))
    elif kind == 1:
        A = rng.integers(-3, 4, shape)  # many are equal
    else:
        A = rng.standard_normal(shape) * (rng.random(shape) < 0.2)
    return A.astype(dtype)


def stored_mask(W):
    csr = W.tocsr()
    mask = np.zeros(W.shape, dtype=bool)
    mask[np.repeat(np.arange(W.shape[0]), np.diff(csr.indptr)), csr.indices] = True
    assert mask.sum() == W.nnz
    return mask


@cases(200)
@given(shapes, patterns(), seeds, st.sampled_from(METHODS))
def test_pruned_matrix_has_the_pattern_and_the_values(shape, wanted, seed, method):
    A = matrix_to_prune(seed, shape)
    before = A.copy()
    W, report = cs.prune(A, **wanted._asdict(), method=method)
    np.testing.assert_array_equal(A, before)
    mask = stored_mask(W)
    assert_pattern(mask, wanted)
    np.testing.assert_array_equal(W.toarray(), np.where(mask, A, 0))
    np.testing.assert_array_equal(report.mask, mask)
    whole_counts = cs.complementary_mask(shape, **wanted._asdict(), rng=0)
    if shape[1] % wanted.block[1] == 0 and shape[0] % wanted.block[0] == 0 and wanted.balanced:
        assert W.nnz == report.nnz == whole_counts.sum()


@cases(100)
@given(shapes, patterns(), seeds)
def test_greedy_keeps_no_more_than_assignment(shape, wanted, seed):
    A = matrix_to_prune(seed, shape)
    kept = {m: np.abs(cs.prune(A, **wanted._asdict(), method=m)[0].toarray()).sum() for m in METHODS}
    assert kept["greedy"] <= kept["assignment"] * (1 + 1e-9)


def valid_owners(members, width, counts):
    """All ways to give `width` columns away in which the sorted numbers of columns of the members are in `counts`."""
    for owners in itertools.product(range(-1, members), repeat=width):
        if tuple(sorted(owners.count(member) for member in range(members))) in counts:
            yield np.array(owners, dtype=int)


@pytest.mark.parametrize(
    ("members", "quota", "extras", "width"),
    [(3, 1, 0, 3), (3, 1, 0, 5), (2, 2, 0, 5), (3, 0, 2, 2), (3, 1, 2, 5), (2, 2, 1, 6), (1, 3, 0, 5), (4, 0, 2, 3)],
)
def test_contest_is_won_by_the_greatest_weight(members, quota, extras, width):
    counts = {tuple(sorted([quota] * (members - extras) + [quota + 1] * extras))}
    every = list(valid_owners(members, width, counts))
    for seed in range(20):
        weights = np.abs(matrix_to_prune(seed, (members, width)))

        def total(owners, weights=weights):
            return weights[owners[owners >= 0], np.flatnonzero(owners >= 0)].sum()

        best = max(map(total, every))
        for solve in (contest.assigned, contest.greedy):
            owners = solve(weights[None, :, None], quota, extras)[0, 0]
            assert tuple(sorted(np.bincount(owners[owners >= 0], minlength=members))) in counts
            assert total(owners) <= best * (1 + 1e-12)
        assert total(contest.assigned(weights[None, :, None], quota, extras)[0, 0]) == pytest.approx(best, rel=1e-12)
        moved = contest._moved(weights, quota, extras)
        assert tuple(sorted(np.bincount(moved[moved >= 0], minlength=members))) in counts
        assert total(moved) == pytest.approx(best, rel=1e-9)


@cases(60)
@given(seeds, st.integers(1, 12), st.integers(1, 8), st.integers(0, 9))
def test_two_ways_to_the_optimum_agree(seed, members, quota, spare):
    """Assignment and transportation are one problem, solved by different algorithms."""
    weights = np.abs(matrix_to_prune(seed, (members, members * quota + spare)))
    totals = []
    for owners in (contest.assigned(weights[None, :, None], quota, 0)[0, 0], contest._moved(weights, quota, 0)):
        totals.append(weights[owners[owners >= 0], np.flatnonzero(owners >= 0)].sum())
    assert totals[0] == pytest.approx(totals[1], rel=1e-9)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("block", [(1, 1), (2, 1), (1, 2)])
def test_prune_keeps_the_most_that_a_pattern_can(balanced, block):
    members, n_columns = 2, 6
    A = matrix_to_prune(3, (members * block[0], n_columns * block[1]))
    weights = np.abs(A).reshape(members, block[0], n_columns, block[1]).sum(axis=(1, 3))
    best = 0.0
    for owners in valid_owners(members, n_columns, {(3, 3)}):
        in_groups = [np.bincount(group, minlength=2) for group in owners.reshape(3, 2)]
        if not balanced or all((count == 1).all() for count in in_groups):
            best = max(best, weights[owners, np.arange(n_columns)].sum())
    W, _ = cs.prune(A, set_size=2, block=block, balanced=balanced)
    assert np.abs(W.toarray()).sum() == pytest.approx(best)


def share(part, whole):
    return np.divide(part, whole, out=np.ones_like(whole), where=whole > 0)


@cases(60)
@given(shapes, patterns(largest=8), seeds)
def test_report_counts_what_was_kept(shape, wanted, seed):
    A = matrix_to_prune(seed, shape)
    W, report = cs.prune(A, **wanted._asdict())
    free = np.zeros(A.size)
    order = np.argsort(-np.abs(A).ravel(), kind="stable")[: W.nnz]
    free[order] = np.abs(A).ravel()[order]
    for kept, B in ((report.kept, np.abs(W.toarray())), (report.unconstrained, free.reshape(shape))):
        assert kept.magnitude == pytest.approx(share(B.sum(), np.abs(A).sum()))
        assert kept.square == pytest.approx(share((B**2).sum(), (A**2).sum()))
        np.testing.assert_allclose(kept.rows, share(B.sum(axis=1), np.abs(A).sum(axis=1)), rtol=1e-9)
        assert kept.worst_row == kept.rows.min(initial=1.0)
    assert report.kept.magnitude <= report.unconstrained.magnitude + 1e-9
    assert (report.shape, report.nnz, report.set_size) == (shape, W.nnz, wanted.set_size)


@cases(60)
@given(shapes, patterns(largest=8), seeds, st.sampled_from(METHODS))
def test_sparse_input_is_pruned_like_dense(shape, wanted, seed, method):
    A = matrix_to_prune(seed, shape)
    dense, of_dense = cs.prune(A, **wanted._asdict(), method=method)
    for sparse in (scipy.sparse.csr_array(A), scipy.sparse.coo_matrix(A), cs.from_dense(A)):
        W, report = cs.prune(sparse, **wanted._asdict(), method=method)
        np.testing.assert_array_equal(W.toarray(), dense.toarray())
        np.testing.assert_array_equal(stored_mask(W), stored_mask(dense))
        assert report.kept.square == pytest.approx(of_dense.kept.square)
        assert report.unconstrained.square == pytest.approx(of_dense.unconstrained.square)


@pytest.mark.parametrize("dtype", ["?", "b", "B", "q", "Q", "e", "f", "d", "g", ">f4"])
def test_every_dtype_is_pruned(dtype):
    A = matrix_to_prune(1, (32, 48)).astype(dtype)
    W, report = cs.prune(A, set_size=4)
    assert W.dtype == np.dtype(dtype).newbyteorder("=")
    assert W.balanced
    assert 0.25 < report.kept.magnitude < 1


@pytest.mark.parametrize("value", [np.finfo(np.float64).max, np.finfo(np.float64).smallest_subnormal])
def test_extreme_magnitudes_have_shares(value):
    _, report = cs.prune(np.full((8, 8), value), set_size=2, block=(2, 1))
    assert report.kept.magnitude == report.kept.square == report.kept.worst_row == 0.5


def test_least_integer_has_a_magnitude():
    A = np.array([[np.iinfo(np.int64).min, 1], [2, 3]])
    W, _ = cs.prune(A, set_size=2)
    np.testing.assert_array_equal(W.toarray(), [[A[0, 0], 0], [0, 3]])


def test_slots_of_zeros_are_stored():
    A = np.zeros((16, 16), dtype=np.float32)
    A[0, 0] = 5
    for method in METHODS:
        W, report = cs.prune(A, set_size=4, method=method)
        assert W.nnz == 64
        assert W.packing_efficiency == 1.0
        assert W.balanced
        assert W.toarray()[0, 0] == 5
        assert report.kept.magnitude == report.kept.worst_row == report.unconstrained.magnitude == 1.0


def test_nothing_is_lost_of_a_matrix_with_the_pattern():
    W = cs.random((96, 120), set_size=12, block=(4, 1), rng=0)
    for method in METHODS:
        again, report = cs.prune(W, set_size=12, block=(4, 1), method=method)
        assert (again != W).nnz == 0
        assert report.kept.magnitude == report.kept.square == report.kept.worst_row == 1.0


def test_report_in_words():
    _, report = cs.prune(np.eye(8), set_size=2, block=(2, 1))
    assert str(report).splitlines()[0] == (
        "32 of 64 entries kept (50.0%): 1 of 2 columns in each group, blocks of 2 x 1, by assignment"
    )
    assert "worst row" in str(report)
    assert "method='assignment', kept=KeptShare(" in repr(report)
    with pytest.raises(AttributeError):
        report.nnz = 1
    with pytest.raises(ValueError, match="read-only"):
        report.kept.rows[0] = 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "wanted", [Wanted(4, 1, (1, 1), True), Wanted(5, 2, (2, 2), True), Wanted(4, 1, (1, 1), False)]
)
def test_the_parts_of_the_work_do_not_matter(monkeypatch, method, wanted):
    A = matrix_to_prune(0, (50, 67))
    at_once = cs.prune(A, **wanted._asdict(), method=method)[0].toarray()
    for chunk in (1, 100, 1000):
        monkeypatch.setattr(sources, "CHUNK", chunk)
        np.testing.assert_array_equal(cs.prune(A, **wanted._asdict(), method=method)[0].toarray(), at_once)


@pytest.mark.parametrize("terminal", [True, False])
def test_long_work_is_shown_on_a_terminal_only(monkeypatch, terminal):
    class Stream(io.StringIO):
        def isatty(self):
            return terminal

    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(prune, "_LONG", 1)
    monkeypatch.setattr(sources, "CHUNK", 1)
    cs.prune(np.ones((64, 64)), set_size=4)
    assert ("pruning" in stream.getvalue()) is terminal


# --- what is refused --------------------------------------------------------------------------------------------------


def make_mask(**arguments):
    return cs.complementary_mask((8, 8), **arguments)


def make_matrix(**arguments):
    return cs.random((8, 8), **arguments)


def make_pruned(**arguments):
    return cs.prune(np.ones((8, 8)), **arguments)


@pytest.mark.parametrize("make", [make_mask, make_matrix, make_pruned])
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"density": 0}, ValueError, r"density=0 is outside \(0, 1\]"),
        ({"density": 1.5}, ValueError, r"density=1.5 is outside"),
        ({"density": float("nan")}, ValueError, "density=nan is outside"),
        ({"density": 5e-324}, ValueError, "too small"),
        ({"density": "0.1"}, TypeError, "density='0.1' is not a number"),
        ({"set_size": 0}, ValueError, "set_size=0 is not positive"),
        ({"set_size": 2.0}, TypeError, "set_size=2.0 is not an integer"),
        ({"per_group": -1}, ValueError, "per_group=-1 is not positive"),
        ({"per_group": 5, "set_size": 4}, ValueError, "per_group=5 blocks .* set_size=4"),
        ({"block": (3, 1)}, ValueError, r"block=\(3, 1\) .* \(1, 2, 4, 8, 16, 32\)"),
        ({"block": (64, 1)}, ValueError, r"block=\(64, 1\)"),
        ({"block": (1, 8)}, ValueError, r"block=\(1, 8\) .* \(1, 2, 4\)"),
        ({"block": 4}, ValueError, "block=4"),
        ({"block": "auto"}, ValueError, "block='auto'"),
    ],
)
def test_arguments_are_checked(make, arguments, error, words):
    with pytest.raises(error, match=words):
        make(**arguments)


def test_other_arguments_are_checked():
    with pytest.raises(ValueError, match="method='best' is not known; use 'assignment' or 'greedy'"):
        make_pruned(method="best")
    with pytest.raises(TypeError, match="complex128 is not supported"):
        make_matrix(dtype=complex)
    with pytest.raises(TypeError, match="complex128 is not supported"):
        cs.prune(np.ones((2, 2), dtype=complex))
    with pytest.raises(ValueError, match="negative size"):
        cs.random((-1, 3))
    with pytest.raises(ValueError, match="5 axes"):
        cs.prune(np.ones((2, 2, 2, 2, 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_values_that_are_not_finite_are_refused(value, dtype):
    A = np.ones((5, 7), dtype=dtype)
    A[2, 3] = A[4, 6] = value
    with pytest.raises(ValueError, match=rf"A\[2, 3\] is {value}; 2 values are not finite"):
        cs.prune(A)
    with pytest.raises(ValueError, match=rf"A\[2, 3\] is {value}; 2 values are not finite"):
        cs.prune(cs.from_dense(A))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"density": 1e-300}, "density=1e-300 is too small"),
        ({"density": 5e-324}, "density=5e-324 is too small"),
        ({"set_size": 2**63}, "set_size=9223372036854775808 is above 2"),
        ({"set_size": 2**47 + 1}, "set_size=140737488355329 is above 2"),
        ({"per_group": 2**63, "set_size": 2**47}, "per_group=9223372036854775808 is above 2"),
    ],
    ids=str,
)
def test_sizes_beyond_all_bounds(options, words):
    for call in (
        lambda: cs.random((4, 8), **options),
        lambda: cs.complementary_mask((4, 8), **options),
        lambda: cs.prune(np.ones((4, 8)), **options),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_the_largest_set_size():
    assert (
        cs.random((4, 8), set_size=2**47, rng=0).nnz == 4
    )  # the group is not complete: each member has one of its columns
    assert cs.random((4, 8), density=2.0**-47, rng=0).nnz == 4


def test_the_mask_of_a_matrix_is_where_it_stores_entries():
    A = np.array([[4, 0, 0, 9], [0, 3, 8, 0]])
    W, report = cs.prune(A * [1, 1, 1, 0], set_size=2)  # with an explicit zero
    assert W.mask.tolist() == [[True, False, False, True], [False, True, True, False]]
    assert W.T.mask.tolist() == W.mask.T.tolist()
    assert (np.count_nonzero(W.mask), W.mask.dtype) == (report.nnz, bool)


def test_a_density_that_does_not_come_out_is_said():
    A = np.arange(1.0, 1 + 60 * 60).reshape(60, 60)
    report = cs.prune(A, density=0.3)[1]
    assert (report.asked, report.set_size, report.density) == (0.3, 3, pytest.approx(1 / 3))
    assert "(33.3%, 30.0% asked for)" in str(report)
    assert "asked=0.3" in repr(report)
    exact = cs.prune(A, density=0.05)[1]
    assert "(5.0%)" in str(exact)
    assert cs.prune(A, set_size=3)[1].asked is None
