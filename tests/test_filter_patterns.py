# SPDX-License-Identifier: BSD-3-Clause
"""Patterns of filters: masks, random filters and pruned ones, balanced along rows or over the channels of each tap."""

import math
import pickle

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from oracle import cases
from strategies import seeds
from test_patterns import METHODS, Wanted, patterns

import complsparse as cs
from complsparse._patterns import sources

filter_shapes = st.one_of(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 3), st.integers(1, 4)),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5)),
)


def by_tap(filters):
    """(M, taps, C)."""
    taps = math.prod(filters.shape[2:])
    return filters.reshape(*filters.shape[:2], taps).transpose(0, 2, 1)


def assert_balanced_over_channels(mask, wanted):
    """An oracle that knows taps and channels only, and no columns."""
    parts = by_tap(mask)
    br, bc = wanted.block
    blocks = parts[::br, :, ::bc]
    full = np.repeat(np.repeat(blocks, br, axis=0), bc, axis=2)
    np.testing.assert_array_equal(parts, full[: parts.shape[0], :, : parts.shape[2]])
    n_members, taps, n_blocks = blocks.shape
    groups, left = divmod(taps * n_blocks, wanted.set_size)
    for first in range(0, n_members, wanted.members):
        of_set = blocks[first : first + wanted.members]
        assert of_set.sum(axis=0).max(initial=0) <= 1, "members of a set share a column"
        if len(of_set) == wanted.members:
            each = wanted.members * wanted.per_group
            assert of_set.sum() == groups * each + min(left, each)
    counts = blocks.sum(axis=(1, 2))
    assert counts.max(initial=0) - counts.min(initial=counts.max(initial=0)) <= 1
    if wanted.balanced:
        whole = n_blocks // wanted.set_size
        split = blocks[:, :, : whole * wanted.set_size].reshape(n_members, taps, whole, wanted.set_size)
        assert (split.sum(axis=3) == wanted.per_group).all()


@cases(300)
@given(filter_shapes, patterns(largest=20), seeds)
def test_masks_are_balanced_over_the_channels_of_each_tap(shape, wanted, seed):
    mask = cs.complementary_mask(shape, **wanted._asdict(), order="OHWI", rng=seed)
    assert (mask.shape, mask.dtype) == (shape, np.bool_)
    assert_balanced_over_channels(mask, wanted)
    W = cs.random(shape, **wanted._asdict(), order="OHWI", rng=seed)
    assert W.filter_shape == shape
    np.testing.assert_array_equal(W.toarray().reshape(shape) != 0, mask)
    if W.nnz:
        assert W.strategy == "strict"
        assert W.set_size <= wanted.members
        assert W.block == (wanted.block if math.prod(shape[2:]) == 1 else (wanted.block[0], 1))


@cases(60)
@given(filter_shapes, patterns(largest=20), seeds)
def test_filters_in_their_own_order_are_rows(shape, wanted, seed):
    matrix = shape[0], math.prod(shape[1:])
    mask = cs.complementary_mask(shape, **wanted._asdict(), rng=seed)
    of_matrix = cs.complementary_mask(matrix, **wanted._asdict(), rng=seed)
    np.testing.assert_array_equal(mask, of_matrix.reshape(shape))
    W = cs.random(shape, **wanted._asdict(), rng=seed)
    assert W.filter_shape == shape
    assert (cs.random(matrix, **wanted._asdict(), rng=seed) != W).nnz == 0


@pytest.mark.parametrize("order", ["OHWI", "OWI"])
def test_signals_have_either_name(order):
    mask = cs.complementary_mask((16, 16, 5), set_size=16, order=order, rng=0)
    assert (mask.sum(axis=1) == 1).all()
    assert (mask.sum(axis=0) == 1).all()


def test_filters_of_whole_groups_fill_every_slot():
    for block in ((1, 1), (4, 1), (2, 2)):
        W = cs.random((64, 64, 3, 3), set_size=8, per_group=2, block=block, order="OHWI", rng=0)
        assert W.packing_efficiency == 1.0
        assert W.nnz * 4 == 64 * 64 * 9
        assert (W.n_sets, W.set_size) == (64 // 4, 4)


# --- pruning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wanted", [Wanted(8, 1, (1, 1), True), Wanted(5, 2, (2, 1), True), Wanted(4, 1, (4, 2), True)])
def test_taps_are_pruned_as_if_each_were_alone(method, wanted):
    """Where groups divide the channels, a tap is a matrix of its own."""
    A = np.random.default_rng(0).standard_normal((24, wanted.set_size * wanted.block[1] * 2, 3, 2))
    W, report = cs.prune(A, **wanted._asdict(), order="OHWI", method=method)
    assert W.filter_shape == report.filter_shape == A.shape
    pruned = by_tap(W.toarray().reshape(A.shape))
    for tap, part in enumerate(by_tap(A).transpose(1, 0, 2)):
        alone, _ = cs.prune(part, **wanted._asdict(), method=method)
        np.testing.assert_array_equal(pruned[:, tap], alone.toarray())


@cases(150)
@given(filter_shapes, patterns(largest=20), seeds, st.sampled_from(METHODS))
def test_pruned_filters_have_the_pattern_and_the_values(shape, wanted, seed, method):
    A = np.random.default_rng(seed).standard_normal(shape)
    W, report = cs.prune(A, **wanted._asdict(), order="OHWI", method=method)
    mask = W.mask.reshape(shape)
    assert_balanced_over_channels(mask, wanted)
    np.testing.assert_array_equal(W.toarray().reshape(shape), np.where(mask, A, 0))
    assert (report.order, report.filter_shape, report.shape) == ("OHWI", shape, W.shape)
    assert report.nnz == W.nnz == mask.sum()
    total = np.abs(A).sum()
    assert report.kept.magnitude == pytest.approx(np.abs(A[mask]).sum() / total if total else 1.0)
    again, _ = cs.prune(cs.from_filters(A) if A.size else W, **wanted._asdict(), order="OHWI", method=method)
    assert again.filter_shape == shape
    np.testing.assert_array_equal(again.toarray(), W.toarray())


@pytest.mark.parametrize("method", METHODS)
def test_the_parts_of_the_work_do_not_matter(monkeypatch, method):
    A = np.random.default_rng(1).standard_normal((50, 13, 3, 2))
    options = {"set_size": 5, "per_group": 2, "block": (2, 2), "order": "OHWI", "method": method}
    at_once = cs.prune(A, **options)[0].toarray()
    for chunk in (1, 100, 1000):
        monkeypatch.setattr(sources, "CHUNK", chunk)
        np.testing.assert_array_equal(cs.prune(A, **options)[0].toarray(), at_once)


def test_arrays_of_filters_are_pruned_like_their_rows():
    A = np.random.default_rng(2).standard_normal((16, 8, 3))
    W, report = cs.prune(A, set_size=4)
    assert report.mask.shape == A.shape
    np.testing.assert_array_equal(report.mask.reshape(W.shape), W.mask)
    of_rows, _ = cs.prune(A.reshape(16, 24), set_size=4)
    assert (W.filter_shape, of_rows.filter_shape, report.order) == (A.shape, None, "OIHW")
    np.testing.assert_array_equal(W.toarray(), of_rows.toarray())


def test_report_in_words():
    _, report = cs.prune(np.ones((8, 4, 3, 3)), set_size=4, order="OHWI")
    assert "1 of 4 columns in each group of a tap's channels, by assignment" in str(report)
    assert "order='OHWI', filter_shape=(8, 4, 3, 3))" in repr(report)
    assert repr(pickle.loads(pickle.dumps(report))) == repr(report)


# --- balance ---------------------------------------------------------------------------------------------------------


@cases(100)
@given(filter_shapes, patterns(largest=20), seeds)
def test_balance_over_channels_is_found(shape, wanted, seed):
    W = cs.random(shape, **wanted._asdict(), order="OHWI", rng=seed)
    n_blocks = -(-shape[1] // wanted.block[1]) if shape[1] else 0
    if wanted.balanced and shape[0] and math.prod(shape[2:]) and n_blocks >= wanted.set_size:
        assert W.balanced


@pytest.mark.parametrize("set_size", [1, 2, 7, 16, 33])
@pytest.mark.parametrize("per_group", [1, 3])
def test_balance_is_said_as_what_it_is(tmp_path, capsys, set_size, per_group):
    channels = 3 * per_group * set_size + 1
    W = cs.random((64, channels, 3, 1), set_size=per_group * set_size, per_group=per_group, order="OHWI", rng=0)
    cs.save(tmp_path / "filters.npz", W)
    for same in (W, pickle.loads(pickle.dumps(W)), cs.load(tmp_path / "filters.npz"), W.copy(), W.T,
                 cs.from_filters(W.toarray().reshape(W.filter_shape))):  # fmt: skip
        assert same.balanced
        print(same)
        assert "balanced over the channels of each tap" in capsys.readouterr().out
    print(cs.from_scipy(W.tocsr()))  # nobody knows its taps: so many channels with all of them are groups
    assert "balanced, at most" in capsys.readouterr().out


def test_what_is_balanced_in_no_order(capsys):
    rng = np.random.default_rng(3)
    W = cs.random((64, 64, 3, 3), set_size=16, order="OHWI", rng=rng)
    filters = W.toarray().reshape(W.filter_shape)
    filters[5, :, 1, 1] = np.arange(64) < 5  # at this tap one more than elsewhere
    assert not cs.from_filters(filters).balanced
    assert not cs.random((64, 64, 3, 3), set_size=16, balanced=False, order="OHWI", rng=rng).balanced
    assert not cs.random((64, 24, 5, 5), set_size=32, order="OHWI", rng=rng).balanced  # no whole group in any tap
    assert cs.random((64, 64, 3, 3), set_size=16, rng=rng).balanced
    print(cs.random((64, 64, 3, 3), set_size=16, rng=rng))
    assert "1 x 1, balanced, at most" in capsys.readouterr().out


# --- what is refused -------------------------------------------------------------------------------------------------


def make_mask(shape, **options):
    return cs.complementary_mask(shape, **options)


def make_filters(shape, **options):
    return cs.random(shape, **options)


def make_pruned(shape, **options):
    return cs.prune(np.ones(shape), **options)


@pytest.mark.parametrize("make", [make_mask, make_filters, make_pruned])
@pytest.mark.parametrize(
    ("shape", "order", "words"),
    [
        ((8, 12), "OHWI", r"order='OHWI' is one of filters; a matrix of shape \(8, 12\) has none"),
        ((8, 12), "HWIO", "order='HWIO' is not known; groups of columns run in 'OIHW' or 'OHWI'"),
        ((8, 4, 3, 3), "HWIO", "order='HWIO' is not known; groups of columns run in 'OIHW' or 'OHWI'"),
        ((8, 4, 3, 3), "OWI", "order='OWI' is not known"),
        ((8, 4, 3), "WIO", "order='WIO' is not known; groups of columns run in 'OIW' or 'OWI'"),
        ((8, 4, 3, 3), None, "order=None is not known"),
        ((8, 4, 3, 3, 3), "OIHW", r"\(8, 4, 3, 3, 3\) has 5 axes; a matrix has 2, filters have 3 or 4"),
    ],
)
def test_shapes_and_orders_are_checked(make, shape, order, words):
    with pytest.raises(ValueError, match=words):
        make(shape, order=order)


def test_other_shapes_are_checked():
    with pytest.raises(ValueError, match=r"shape \(8, -4, 3, 3\) has a negative size"):
        cs.random((8, -4, 3, 3))
    with pytest.raises(ValueError, match="above 2"):
        cs.random((8, 2**30, 2**10, 2**10))
    with pytest.raises(TypeError, match=r"not \(8, 4, 3.0, 3\)"):
        cs.complementary_mask((8, 4, 3.0, 3))
    with pytest.raises(ValueError, match="1 axes"):
        cs.prune(np.ones(4))
    W = cs.random((16, 8, 3, 3), set_size=4, rng=0)
    for nobody in (W.T, W.tocsr()):
        with pytest.raises(ValueError, match="order='OHWI' is one of filters"):
            cs.prune(nobody, order="OHWI")


@pytest.mark.parametrize("sparse", [False, True])
def test_the_filter_that_is_not_finite_is_named(sparse):
    A = np.ones((5, 4, 3, 3))
    A[2, 3, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"A\[2, 3, 1, 2\] is nan; 1 values"):
        cs.prune(cs.from_filters(A) if sparse else A)
