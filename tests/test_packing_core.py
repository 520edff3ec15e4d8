# SPDX-License-Identifier: BSD-3-Clause
"""The packing functions at the border to C++: arrays in, arrays out, against slow and certain versions in Python."""

import collections
import itertools
import signal
import subprocess
import sys
import time

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal
from oracle import cases

import complsparse as cs
from complsparse import _core

INDEX_DTYPES = (np.int32, np.int64)
densities = st.sampled_from([0, 0.02, 0.1, 0.3, 0.6, 1])
seeds = st.integers(0, 2**32 - 1)


def pattern_of(mask, index_dtype=np.int32):
    rows, cols = np.nonzero(mask)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=mask.shape[0]))]).astype(np.int64)
    return indptr, cols.astype(index_dtype), *mask.shape


@st.composite
def masks(draw, rows, cols):
    m, k = draw(rows), draw(cols)
    rng = np.random.default_rng(draw(seeds))
    mask = rng.random((m, k)) < draw(densities) * rng.choice([0.2, 1, 2], (m, 1))
    if draw(st.booleans()):
        mask[:, rng.random(k) < 0.1] = True
    return mask


def conflicts(mask):
    overlap = mask.astype(int) @ mask.T.astype(int) > 0
    np.fill_diagonal(overlap, False)
    return overlap


def least_sets(mask):
    """The exact minimum of a strict packing: the fewest independent sets that cover the conflict graph."""
    n = mask.shape[0]
    rivals = [sum(1 << j for j in np.flatnonzero(row)) for row in conflicts(mask)]
    free = [True] * (1 << n)
    for chosen in range(1, 1 << n):
        low = (chosen & -chosen).bit_length() - 1
        rest = chosen & (chosen - 1)
        free[chosen] = free[rest] and not rivals[low] & rest
    fewest = [0] * (1 << n)
    for chosen in range(1, 1 << n):
        low = chosen & -chosen  # its set is one of those with the lowest row
        rest, best, part = chosen ^ low, n, chosen ^ low
        while True:
            if free[part | low]:
                best = min(best, fewest[rest ^ part] + 1)
            if part == 0:
                break
            part = (part - 1) & rest
        fewest[chosen] = best
    return fewest[-1]


def check_sets(mask, set_ptr, row_order):
    """A permutation of all rows in non-empty sets, whose rows share no column."""
    assert set_ptr.dtype == row_order.dtype == np.int64
    assert_array_equal(np.sort(row_order), np.arange(mask.shape[0]))
    assert set_ptr[0] == 0
    assert set_ptr[-1] == mask.shape[0]
    assert (np.diff(set_ptr) > 0).all()
    for a, b in itertools.pairwise(set_ptr):
        assert mask[row_order[a:b]].sum(axis=0).max(initial=0) <= 1


# --- strict ----------------------------------------------------------------------------------------------------------


@cases(100)
@given(mask=masks(st.integers(0, 70), st.integers(0, 40)), index_dtype=st.sampled_from(INDEX_DTYPES))
def test_strict_packings_are_valid(mask, index_dtype):
    pattern = pattern_of(mask, index_dtype)
    set_ptr, row_order = _core.pack_strict(*pattern, 1, 0)
    check_sets(mask, set_ptr, row_order)
    _core.check_packing(*pattern, set_ptr, row_order)
    n_sets, bound = len(set_ptr) - 1, _core.max_column_count(pattern[1], mask.shape[1])
    assert n_sets >= bound
    assert n_sets <= conflicts(mask).sum(axis=0).max(initial=0) + 1, "first fit never needs more than degree + 1"
    for limit in {1, max(bound, 1), max(n_sets - 1, 1), max(n_sets, 1), n_sets + 3}:
        limited = _core.pack_strict(*pattern, 1, limit)
        if limited is not None:
            check_sets(mask, *limited)
            assert len(limited[0]) - 1 <= limit
        else:
            assert limit < max(n_sets, 1)


@cases(100)
@given(mask=masks(st.integers(1, 8), st.integers(1, 14)))
def test_strict_packings_of_few_rows_are_close_to_the_minimum(mask):
    least = least_sets(mask)
    n_sets = len(_core.pack_strict(*pattern_of(mask), 1, 0)[0]) - 1
    assert least <= n_sets <= least + 1
    if least > 1:
        assert _core.pack_strict(*pattern_of(mask), 1, least - 1) is None


def test_strict_packings_of_few_rows_mostly_reach_the_minimum():
    rng = np.random.default_rng(1)
    extra = collections.Counter()
    for _ in range(150):
        mask = rng.random((8, 16)) < rng.choice([0.08, 0.15, 0.25])
        extra[len(_core.pack_strict(*pattern_of(mask), 1, 0)[0]) - 1 - least_sets(mask)] += 1
    assert extra[0] >= 140, extra


def test_a_pattern_that_packs_perfectly_is_packed_perfectly():
    """Layers of one partition of the columns, shuffled: any order of placing reaches the lower bound."""
    rng = np.random.default_rng(2)
    for per_set, n_sets, cols in ((4, 6, 64), (10, 10, 100), (20, 70, 320)):
        partition = rng.permutation(np.arange(cols) % per_set)
        mask = np.tile(partition == np.arange(per_set)[:, None], (n_sets, 1))[rng.permutation(per_set * n_sets)]
        pattern = pattern_of(mask)
        for limit in (0, n_sets):
            set_ptr, row_order = _core.pack_strict(*pattern, 1, limit)
            check_sets(mask, set_ptr, row_order)
            assert len(set_ptr) - 1 == n_sets == _core.max_column_count(pattern[1], cols)


@pytest.mark.parametrize("block_rows", [2, 3, 4, 32])
def test_strict_packing_of_members(block_rows):
    """A set of members is listed as block_rows consecutive sets of rows: the i-th rows of the members."""
    rng = np.random.default_rng(3)
    for members, cols, cut in ((9, 20, 0), (9, 20, 1), (1, 5, 0), (16, 3, 1)):
        small = rng.random((members, cols)) < 0.2
        mask = np.repeat(small, block_rows, axis=0)[: members * block_rows - cut]
        pattern = pattern_of(mask)
        assert _core.has_block(*pattern, block_rows, 1)
        set_ptr, row_order = _core.pack_strict(*pattern, block_rows, 0)
        check_sets(mask, set_ptr, row_order)
        sets = [row_order[a:b] for a, b in itertools.pairwise(set_ptr)]
        at = 0
        while at < len(sets):
            first = sets[at]
            assert (first % block_rows == 0).all()
            for i in range(1, block_rows):
                with_row = first[first + i < len(mask)] + i
                if len(with_row):
                    assert_array_equal(sets[at + i], with_row)
            at += block_rows if (first + block_rows - 1 < len(mask)).any() else len(sets) - at
        assert len(set_ptr) - 1 >= _core.max_column_count(pattern[1], cols)


# --- split -----------------------------------------------------------------------------------------------------------


@cases(100)
@given(mask=masks(st.integers(0, 40), st.integers(0, 40)), index_dtype=st.sampled_from(INDEX_DTYPES))
def test_split_packings(mask, index_dtype):
    """The j-th entry of a column stands in set j: as many sets as the fullest column, never a slot with two owners."""
    pattern = pattern_of(mask, index_dtype)
    set_ptr, row_order, of_entry, kernel_id = _core.pack_split(*pattern)
    bound = _core.max_column_count(pattern[1], mask.shape[1])
    assert len(set_ptr) - 1 == bound == mask.sum(axis=0).max(initial=0)
    rows, cols = np.nonzero(mask)
    assert_array_equal(of_entry, (np.cumsum(mask, axis=0) - 1)[rows, cols])
    assert_array_equal(row_order[set_ptr[of_entry] + kernel_id], rows)
    for s, (a, b) in enumerate(itertools.pairwise(set_ptr)):
        assert_array_equal(row_order[a:b], np.unique(rows[of_entry == s]))


# --- blocks ----------------------------------------------------------------------------------------------------------


def consists_of(mask, br, bc):
    return all(
        mask[i : i + br, j : j + bc].all() or not mask[i : i + br, j : j + bc].any()
        for i in range(0, mask.shape[0], br)
        for j in range(0, mask.shape[1], bc)
    )


@cases(150)
@given(
    small=masks(st.integers(0, 9), st.integers(0, 12)),
    block=st.tuples(st.sampled_from([1, 2, 3, 4, 5, 8, 32]), st.sampled_from([1, 2, 3, 4, 8])),
    cut=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    flip=st.booleans(),
    index_dtype=st.sampled_from(INDEX_DTYPES),
    seed=seeds,
)
def test_blocks(small, block, cut, flip, index_dtype, seed):
    mask = np.kron(small, np.ones(block, bool)).astype(bool)
    mask = mask[: max(0, mask.shape[0] - cut[0]), : max(0, mask.shape[1] - cut[1])]
    if flip and mask.size:
        at = np.random.default_rng(seed).integers(mask.size)
        mask.flat[at] = not mask.flat[at]
    pattern = pattern_of(mask, index_dtype)
    for br in (1, 2, 3, 4, 32):
        for bc in (1, 2, 3, 4):
            assert _core.has_block(*pattern, br, bc) == consists_of(mask, br, bc), (br, bc)
    found = _core.detect_block(*pattern)
    assert consists_of(mask, *found)
    if not mask.any():
        assert found == (1, 1)
        return
    br, bc = 1, 1
    while br < 32 and 2 * br <= mask.shape[0] and consists_of(mask, 2 * br, 1):
        br *= 2
    while bc < 4 and 2 * bc <= mask.shape[1] and consists_of(mask, 1, 2 * bc):
        bc *= 2
    assert found == (br, bc)


# --- checks ----------------------------------------------------------------------------------------------------------


@cases(80)
@given(mask=masks(st.integers(1, 12), st.integers(1, 12)), index_dtype=st.sampled_from(INDEX_DTYPES), seed=seeds)
def test_check_csr_sees_order_and_duplicates(mask, index_dtype, seed):
    indptr, indices, rows, cols = pattern_of(mask, index_dtype)
    nnz = len(indices)
    assert _core.check_csr(indptr, indices, rows, cols, nnz) == (True, True)
    rng = np.random.default_rng(seed)
    mixed = indices.copy()
    for a, b in itertools.pairwise(indptr):
        mixed[a:b] = rng.choice(indices[a:b], b - a) if b > a and rng.random() < 0.5 else rng.permutation(indices[a:b])
    of_rows = [mixed[a:b].tolist() for a, b in itertools.pairwise(indptr)]
    ascending = all(row == sorted(row) for row in of_rows)
    unique = all(len(set(row)) == len(row) for row in of_rows)
    assert _core.check_csr(indptr, mixed, rows, cols, nnz) == (ascending, ascending and unique)


FAULTS = {
    "negative rows": (([0], [], -1, 3, 0), r"\(-1, 3\) has a negative size"),
    "negative columns": (([0, 0], [], 1, -3, 0), r"\(1, -3\) has a negative size"),
    "too few pointers": (([0, 1], [0], 2, 3, 1), "2 entries; 2 rows need 3"),
    "too many pointers": (([0, 1, 1], [0], 1, 3, 1), "3 entries; 1 rows need 2"),
    "no pointer": (([], [], 0, 3, 0), "0 entries; 0 rows need 1"),
    "first pointer": (([1, 1], [0], 1, 3, 1), r"indptr\[0\] is 1"),
    "negative pointer": (([0, -1, 1], [0], 2, 3, 1), "descends from 0 to -1 at row 0"),
    "descending": (([0, 2, 1, 2], [0, 1], 3, 3, 2), "descends from 2 to 1 at row 1"),
    "beyond the columns": (([0, 5], [0, 1], 1, 3, 2), "ends at 5, but there are 2 column indices and 2 values"),
    "fewer than columns": (([0, 1], [0, 1], 1, 3, 2), "ends at 1, but there are 2 column"),
    "values": (([0, 2], [0, 1], 1, 3, 3), "2 column indices and 3 values"),
    "huge pointer": (([0, 1, 2**31 - 1, 2], [0, 1], 3, 3, 2), "descends from 2147483647 to 2 at row 2"),
    "column too large": (([0, 2], [0, 3], 1, 3, 2), r"column index 3 at position 1 is outside \[0, 3\)"),
    "negative column": (([0, 2], [0, -1], 1, 3, 2), "column index -1 at position 1"),
    "no columns": (([0, 1], [0], 1, 0, 1), r"column index 0 at position 0 is outside \[0, 0\)"),
}


@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
@pytest.mark.parametrize("kind", FAULTS)
def test_check_csr_names_the_fault(kind, index_dtype):
    (indptr, indices, rows, cols, n_values), words = FAULTS[kind]
    with pytest.raises(ValueError, match=words):
        _core.check_csr(np.array(indptr, np.int64), np.array(indices, index_dtype), rows, cols, n_values)


def test_check_csr_at_the_limits_of_the_index_types():
    for cols, index_dtype in ((2**31 - 1, np.int32), (2**62, np.int64)):
        indptr, last = np.array([0, 1]), np.array([cols - 1], index_dtype)
        assert _core.check_csr(indptr, last, 1, cols, 1) == (True, True)
        assert _core.max_column_count(last, cols) == 1
        assert _core.pack_strict(indptr, last, 1, cols, 1, 0)[0].tolist() == [0, 1]
        assert [part.tolist() for part in _core.pack_split(indptr, last, 1, cols)] == [[0, 1], [0], [0], [0]]


@cases(80)
@given(mask=masks(st.integers(2, 15), st.integers(1, 15)), seed=seeds)
def test_check_packing_accepts_exactly_the_strict_packings(mask, seed):
    rng = np.random.default_rng(seed)
    m = mask.shape[0]
    row_order = rng.permutation(m)
    set_ptr = np.unique(np.concatenate([[0, m], rng.integers(0, m + 1, rng.integers(0, m + 1))]))
    disjoint = all(mask[row_order[a:b]].sum(axis=0).max() <= 1 for a, b in itertools.pairwise(set_ptr))
    pattern = pattern_of(mask)
    if disjoint:
        _core.check_packing(*pattern, set_ptr, row_order)
    else:
        with pytest.raises(ValueError, match=r"column \d+ of set \d+ is used by rows \d+ and \d+"):
            _core.check_packing(*pattern, set_ptr, row_order)


@pytest.mark.parametrize(
    ("set_ptr", "row_order", "words"),
    [
        ([], [0, 1, 2], "set_ptr is empty"),
        ([0], [0, 1, 2], "set_ptr does not ascend"),
        ([1, 3], [0, 1, 2], "fails at set 0"),
        ([0, 2], [0, 1, 2], "fails at set 1"),
        ([0, 4], [0, 1, 2], "fails at set 1"),
        ([0, 2, 1, 3], [0, 1, 2], "fails at set 1"),
        ([0, -1, 3], [0, 1, 2], "fails at set 0"),
        ([0, 3], [0, 1], r"rows \(3\).*\(2\) lists"),
        ([0, 3], [0, 1, 2, 2], r"rows \(3\).*\(4\) lists"),
        ([0, 3], [0, 1, 1], r"row_order\[2\] is 1"),
        ([0, 3], [0, 3, 1], r"row_order\[1\] is 3"),
        ([0, 3], [-1, 0, 1], r"row_order\[0\] is -1"),
        ([0, 3], [0, 1, 2], "column 1 of set 0 is used by rows 0 and 2"),
    ],
)
def test_check_packing_names_the_fault(set_ptr, row_order, words):
    mask = np.array([[1, 1, 0], [0, 0, 1], [0, 1, 0]], bool)
    with pytest.raises(ValueError, match=words):
        _core.check_packing(*pattern_of(mask), np.array(set_ptr, np.int64), np.array(row_order, np.int64))


@pytest.mark.parametrize("function", [_core.check_packing, _core.pack_split, _core.detect_block])
def test_arrays_of_another_kind_are_refused(function):
    """The border reads raw memory: a wrong type or stride must not get through."""
    mask = np.eye(3, dtype=bool)
    indptr, indices, m, k = pattern_of(mask)
    more = (np.array([0, 3]), np.arange(3)) if function is _core.check_packing else ()
    for bad in (indptr.astype(np.int32), np.repeat(indptr, 2)[::2], indptr.astype(">i8"), indptr.reshape(1, -1)):
        with pytest.raises(TypeError, match="contiguous int64"):
            function(bad, indices, m, k, *more)
    for bad in (indices.astype(np.int16), indices.astype(float), indices[None]):
        with pytest.raises((TypeError, ValueError)):
            function(indptr, bad, m, k, *more)


# --- large shapes ----------------------------------------------------------------------------------------------------


@pytest.mark.budget
def test_few_entries_in_a_huge_shape():
    """Memory and time follow the entries, not the columns."""
    cols = 2**40
    indptr = np.array([0, 2, 2, 4, 6])
    indices = np.array([5, cols - 1, 7, 2**39, 5, 7])
    start = time.process_time()
    assert _core.check_csr(indptr, indices, 4, cols, 6) == (True, True)
    assert _core.max_column_count(indices, cols) == 2
    assert _core.detect_block(indptr, indices, 4, cols) == (1, 1)
    set_ptr, row_order = _core.pack_strict(indptr, indices, 4, cols, 1, 0)
    _core.check_packing(indptr, indices, 4, cols, set_ptr, row_order)
    assert len(set_ptr) - 1 == 2
    assert len(_core.pack_split(indptr, indices, 4, cols)[0]) - 1 == 2
    assert time.process_time() - start < 0.5


@pytest.mark.budget
@pytest.mark.parametrize("strategy", ["auto", "strict", "split"])
def test_a_full_column_of_a_large_matrix(strategy):
    """Every row in a set of its own: 100000 sets in less than 2 s and little more memory than the matrix."""
    code = f"""
import resource, time
import numpy as np, scipy.sparse, complsparse as cs
n = 100_000
rng = np.random.default_rng(0)
rows = np.concatenate([np.arange(n), np.repeat(np.arange(n), 2)])
columns = np.concatenate([np.full(n, 77), rng.integers(0, n, 2 * n)])
A = scipy.sparse.csr_array((np.ones(3 * n, np.float32), (rows, columns)), shape=(n, n))
A.sum_duplicates()
cs.from_scipy(scipy.sparse.eye_array(3, format="csr"), strategy={strategy!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
W = cs.from_scipy(A, strategy={strategy!r})
seconds = time.process_time() - start
assert W.lower_bound == n and W.n_sets == n, (W.lower_bound, W.n_sets)
assert (W.tocsr() != A).nnz == 0
megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
assert seconds < 2, seconds
assert megabytes < 150, megabytes
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.budget
def test_many_rows_of_one_entry():
    """The other extreme: 100000 rows, all in as few sets as a column has entries."""
    n = 100_000
    indices = (np.arange(n) % 1000).astype(np.int32)
    start = time.process_time()
    set_ptr, _ = _core.pack_strict(np.arange(n + 1), indices, n, 1000, 1, 0)
    assert len(set_ptr) - 1 == 100
    assert time.process_time() - start < 2


def test_the_packing_of_a_matrix_is_the_one_of_the_core():
    rng = np.random.default_rng(7)
    mask = rng.random((40, 60)) < 0.05
    W = cs.from_dense(mask.astype(np.float32), strategy="strict", block=(1, 1))
    set_ptr, row_order = _core.pack_strict(*pattern_of(mask), 1, 0)
    assert_array_equal(W.set_ptr, set_ptr)
    assert_array_equal(W.row_order, row_order)


# --- signals ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="not run: the platform has no interval timers")
@pytest.mark.parametrize(("n", "per_row", "width"), [(600_000, 1, 10), (20_000, 50, 400)], ids=["full", "scattered"])
@pytest.mark.parametrize("raising", [False, True])
def test_handlers_of_signals_run_while_a_pattern_is_packed(raising, n, per_row, width):
    """More often than the once that comes after any call; what they raise ends the packing."""
    drawn = np.random.default_rng(0).integers(0, width, (n, per_row), dtype=np.int32)
    indices = (drawn + width * np.arange(per_row, dtype=np.int32)).ravel()
    pattern = np.arange(n + 1) * per_row, indices, n, width * per_row, 1, 0
    ran = []

    def handler(number, frame):
        ran.append(number)
        if raising and len(ran) == 2:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        if raising:
            with pytest.raises(KeyboardInterrupt):
                _core.pack_strict(*pattern)
        else:
            set_ptr, _ = _core.pack_strict(*pattern)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(ran) >= 2
    if not raising:
        fullest = np.bincount(indices).max()
        assert len(set_ptr) - 1 == fullest if per_row == 1 else len(set_ptr) - 1 >= fullest
