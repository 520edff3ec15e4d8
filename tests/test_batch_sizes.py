# SPDX-License-Identifier: BSD-3-Clause
"""Batches of every width: how they are cut into tiles shows nowhere in the outputs, and no tile writes beyond them."""

import numpy as np
import pytest
import scipy.sparse as sp

import complsparse as cs
from complsparse import _core

WIDTHS = (131, 130, 129, 128, 127, 97, 96, 66, 65, 64, 63, 57, 56, 49, 48, 47, *range(41, 1, -1))
UNWRITTEN = 7.5
# Which loops run on row groups is the CPU maker's; these constants have those of all makers run.
LOOPS = ({"groups_spread": 0.0, "groups_tile_bytes": 256.0}, {"groups_spread": 1.0, "groups_tile_bytes": 128.0})


def drawn(height, dtype, shape=(72, 210)):
    """Rows of unequal counts, `height` neighbours sharing their columns; some own nothing."""
    rng = np.random.default_rng(height)
    share = rng.uniform(0, 0.4, (shape[0] // height, 1))
    share[1] = 0
    mask = (rng.random((shape[0] // height, shape[1])) < share).repeat(height, axis=0)
    return sp.csr_array(np.where(mask, rng.standard_normal(shape), 0).astype(dtype))


def plans(W, n, dtype, batch_major):
    """Those whose tiles are cut to the batch: row groups that share most, and stored rows where they serve."""
    layouts = [row["layout"] for row in _core.candidates(W, n, dtype, batch_major)]
    groups = "shared_row_groups" if "shared_row_groups" in layouts else "row_groups"
    for layout in (groups, "stored_rows"):
        if layout in layouts:
            at = layouts.index(layout)
            yield _core.make_plan(W, n, dtype, batch_major, None, None, False, candidate=at)


@pytest.mark.parametrize("level", cs.isa_levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("height", [1, 4, 8])
@pytest.mark.parametrize("loops", LOOPS, ids=["spread", "broadcast"])
def test_every_width_gives_the_bits_of_the_widest_and_writes_nothing_else(loops, height, dtype, level):
    matrix = drawn(height, dtype)
    W, levels = cs.from_scipy(matrix), _core.isa_levels()
    before, constants = next(row["name"] for row in levels if row["selected"]), _core.cost_constants()
    x = np.random.default_rng(5).standard_normal((matrix.shape[1], WIDTHS[0])).astype(dtype)
    exact, size = matrix.astype(np.float64) @ x.astype(np.float64), abs(matrix) @ abs(x)
    _core.set_isa(level)
    _core.set_cost_constants(loops)
    try:
        widest = {}
        for n in WIDTHS:
            for batch_major in (False, True):
                own = np.ascontiguousarray(x[:, :n].T if batch_major else x[:, :n])
                for plan in plans(W, n, dtype, batch_major):
                    memory = np.full(matrix.shape[0] * n + 200, UNWRITTEN, dtype)
                    y = memory[100:-100].reshape((n, matrix.shape[0]) if batch_major else (matrix.shape[0], n))
                    plan.bind(own, y)()
                    assert (np.r_[memory[:100], memory[-100:]] == UNWRITTEN).all(), n
                    found = y.T if batch_major else y
                    off = abs(found - exact[:, :n])
                    assert (off <= 100 * np.finfo(dtype).eps * size[:, :n]).all(), (n, batch_major)
                    kind = plan.microkernel.split("x")[0]  # groups of fours and of eights differ in nothing but speed
                    np.testing.assert_array_equal(found, widest.setdefault(kind, found)[:, :n], err_msg=f"{n} {kind}")
        assert len({name.split("_")[0] for name in widest}) > 1  # row groups, and stored rows
    finally:
        _core.set_isa(before)
        _core.set_cost_constants(constants)


def starting_at(x, offset):
    """A copy whose first element is so many bytes behind the start of a cache line."""
    memory = np.empty(x.nbytes + 128, np.uint8)
    first = -memory.ctypes.data % 64 + offset
    copy = memory[first : first + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


# Rows of 80, 96 and 112 floats that begin at cache lines are read where they lie, by tiles of fewer columns.
@pytest.mark.parametrize("n", [4, 16, 37, 48, 64, 80, 96, 100, 112, 144])
def test_loops_of_row_groups_give_the_same_bits(isa, n):
    matrix = drawn(1, np.float32, (140, 1100))
    x = np.random.default_rng(6).standard_normal((1100, n)).astype(np.float32)
    constants, found = _core.cost_constants(), {}
    try:
        for loops in LOOPS:
            _core.set_cost_constants(loops)
            plan = next(plans(cs.from_scipy(matrix), n, np.float32, False))
            for offset in (0, 4):
                found[plan.microkernel, offset] = plan(starting_at(x, offset))
    finally:
        _core.set_cost_constants(constants)
    assert isa not in ("avx512", "avx512vnni", "avx512vbmi", "amx") or len(found) == 4
    for y in found.values():
        np.testing.assert_array_equal(y, next(iter(found.values())))


def test_columns_of_a_wider_array_are_read_where_they_lie():
    """Rows apart by more than the batch is wide, the second of two batches of one array, and rows from the last on."""
    matrix = drawn(1, np.float32, (140, 1100))
    W, constants = cs.from_scipy(matrix), _core.cost_constants()
    wide = starting_at(np.random.default_rng(7).standard_normal((1100, 112)).astype(np.float32), 0)
    _core.set_cost_constants(LOOPS[1])
    try:
        for x in (
            wide[:, :48],
            wide[:, 48:],
            wide[:, 64:96],
            wide[::-1, :80],
            np.broadcast_to(wide[:1, :80], (1100, 80)),
        ):
            plan = next(plans(W, x.shape[1], np.float32, False))
            np.testing.assert_array_equal(plan(x), plan(x.copy()))
    finally:
        _core.set_cost_constants(constants)


def test_a_band_finds_its_rows_of_x_in_l1():
    """What stored rows cost: the neighbours of a band read the same rows of x, those of shuffled columns do not."""
    rng = np.random.default_rng(2)
    band = sp.csr_array(sp.diags_array(np.ones((11, 4000)), offsets=np.arange(-5, 6), shape=(4000, 4000)))
    costs = []
    for matrix in (band, sp.csr_array(band[:, rng.permutation(4000)][rng.permutation(4000)])):
        found = _core.candidates(cs.from_scipy(matrix), 128, np.dtype(np.float32), False)
        costs.append({row["layout"]: row["cost"] for row in found}["stored_rows"])
    assert costs[0] < 0.9 * costs[1]
