# SPDX-License-Identifier: BSD-3-Clause
"""Layouts for structured patterns: routed, blocks and shared row groups, and whatever else could serve a product.

Every candidate of the cost model is built and run, chosen or not.
"""

import bisect
import itertools
import re
import subprocess
import sys

import guarded
import hypothesis.strategies as st
import levels
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal
from oracle import Csr, Expected, assert_product, blocked_csr, cases, csr_of, draw, expected, strips_csr, windowed_csr
from strategies import structured
from test_data import files, read_lyra

import complsparse as cs
from complsparse import _core

BATCHES = sorted({1, 2, 3, 5, 6, 7, 8, 9, 11, 12, 15, 16, 17, 31, 33, 64, 65, 130, *levels.edges("routed")} - {0})
FINISHES = ((False, None), (True, None), (False, "relu"), (True, "relu"))  # (bias, activation)
# Each output is one sum whose order no batch size changes; a plan of `rows` may fall back on another layout.
ONE_ORDER = ("routed", "strips", "squares", "windows", "shared_row_groups", "row_groups")
ONE_COLUMN = ("strips", "squares", "windows")


def plan_of(W, n, layout, batch_major=False, bias=None, activation=None):
    """A plan with this layout, or None where it is no candidate."""
    names = [candidate["layout"] for candidate in _core.candidates(W, n, np.float32, batch_major)]
    if layout not in names:
        return None
    return _core.make_plan(W, n, np.float32, batch_major, bias, activation, False, names.index(layout))


def plans(W, n, batch_major=False, bias=None, activation=None):
    """(layout, plan) of every candidate."""
    for i, candidate in enumerate(_core.candidates(W, n, np.float32, batch_major)):
        yield candidate["layout"], _core.make_plan(W, n, np.float32, batch_major, bias, activation, False, i)


def family(name):
    """Of a micro-kernel: its name without the columns of its tile, as a plan is named for the widest that it uses."""
    return re.sub(r"x\d+_\w+$", "", name)


def some_columns(wanted, columns):
    return Expected(wanted.value[:, columns], wanted.bound[:, columns])


def check_candidates(S, batches, rng, must=(), W=None):
    """All candidates of all batch sizes and both memory orders, with bias and ReLU in turn, against the oracle; and
    the same bits for a column whatever stands beside it. Returns the names of the micro-kernels."""
    W = S.packed() if W is None else W
    m, k = S.shape
    X, bias = draw(rng, (k, max(batches)), np.float32), draw(rng, m, np.float32)
    wanted = {
        finish: expected(S, X, np.float32, bias=bias if finish[0] else None, relu=finish[1] is not None)
        for finish in FINISHES
    }
    first, layouts, names = {}, set(), set()
    finishes = itertools.cycle((*FINISHES, FINISHES[0], *FINISHES[2:], FINISHES[1]))
    for n, batch_major in itertools.product(batches, (False, True)):
        finish = next(finishes)
        x = np.ascontiguousarray(X[:, :n].T if batch_major else X[:, :n])
        for layout, f in plans(W, n, batch_major, bias if finish[0] else None, finish[1]):
            layouts.add(layout)
            names.add(f.microkernel)
            Y = f(x)
            Y = Y.T if batch_major else Y
            assert_product(Y.copy(), some_columns(wanted[finish], np.s_[:n]), np.float32, (f.microkernel, S.shape, n))
            if layout in ONE_ORDER:
                before = first.setdefault((layout, finish), Y)
                width = min(n, before.shape[1])
                assert_array_equal(Y[:, :width], before[:, :width], err_msg=f.microkernel)
                if width < n:
                    first[layout, finish] = Y
    assert layouts >= set(must), (layouts, must, S.shape)
    return names


# --- routed: sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [2, 3, 4, 7, 8, 9, 15, 16, 17, 20, 31, 32, 33, 48, 50, 63, 64])
def test_windows_of_every_width(isa, width):
    """One, two and four registers to a window, whole and not; one to eight entries of a row in each."""
    rng = np.random.default_rng(width)
    for per_window, (n_windows, ragged) in zip((1, 2, 3, 8), ((9, 0), (7, 1), (4, 0), (3, 0)), strict=True):
        if per_window < width:
            S = windowed_csr(rng, (67, n_windows * width + ragged), width, per_window)
            check_candidates(S, BATCHES, rng, must=["routed"] if width <= levels.widest_window_at(isa) else [])


@pytest.mark.parametrize("height", [1, 2, 3, 4, 8, 16])
def test_rows_around_units_and_groups_of_units(isa, height):
    """A unit is so many lanes of so many rows each, a group has four units; the last one lacks rows, or members."""
    rng = np.random.default_rng(height)
    unit = levels.lanes_at(isa) * height
    for i, rows in enumerate((1, 2, unit - 1, unit, unit + 1, 2 * unit, 3 * unit + 1, 4 * unit - 1, 4 * unit,
                              4 * unit + 1, 5 * unit, 7 * unit - 1, 8 * unit + 2)):  # fmt: skip
        width = (16, 9, 32, 20)[i % 4]
        S = windowed_csr(rng, (rows, 7 * width), width, 1, height)
        check_candidates(S, (1, 2, 4, 5, 8, 13, 64), rng, must=["routed"])


@pytest.mark.parametrize("width", [8, 16, 31, 64])
def test_layers_around_superlayers(isa, width):
    """Four, six or eight layers share a word of ids, two layers a step; an odd number is filled up."""
    if width > levels.widest_window_at(isa):
        pytest.skip(f"not run: no window of {isa} has {width} columns")
    rng = np.random.default_rng(3)
    for layers, height in itertools.product((1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 24, 25), (1, 4)):
        S = windowed_csr(rng, (45 * height, layers * width), width, 1, height)
        check_candidates(S, (1, 3, 4, 8), rng, must=["routed"])


def test_x_shorter_than_a_window(isa):
    """A window's registers are loaded whole, also where x has fewer columns, or the last window stands over."""
    rng = np.random.default_rng(4)
    for cols in (2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 47, 63, 64, 65):
        for width in {2, cols - 1, cols, (cols + 1) // 2, 16, 20}:
            if 2 <= width <= min(cols, levels.widest_window_at(isa)):
                S = windowed_csr(rng, (37, cols), width)
                check_candidates(S, (1, 2, 4, 9), rng)
    check_candidates(windowed_csr(rng, (37, 5), 5), BATCHES, rng, must=["routed"])
    check_candidates(windowed_csr(rng, (37, 33), 11), BATCHES, rng, must=["routed"])


@pytest.mark.parametrize(("missing", "routed"), [(0.01, True), (0.03, True), (0.5, False)])
def test_rows_that_lack_entries(isa, missing, routed):
    """Up to a tenth of the slots is padding; a pattern with more of it is left to other layouts."""
    rng = np.random.default_rng(5)
    for width, per_window, height in ((16, 1, 1), (20, 1, 4), (16, 1, 2), (31, 2, 1), (7, 1, 1)):
        S = windowed_csr(rng, (8 * 30, 26 * width), width, per_window, height, missing)
        W = S.packed()
        assert (plan_of(W, 4, "routed") is not None) == routed
        check_candidates(S, (1, 3, 4, 8, 17, 40), rng, W=W)


def test_patterns_of_the_makers(isa):
    """What cs.random makes, with groups that reach into the ragged end, both sides of the matrix, and W.T of them."""
    rng = np.random.default_rng(6)
    shapes, blocks = ((96, 160), (101, 163)), ((1, 1), (4, 1), (2, 1))
    for shape, set_size, per_group, block in itertools.product(shapes, (16, 20, 33, 50), (1, 3), blocks):
        W = cs.random(shape, set_size=set_size, per_group=per_group, block=block, rng=rng)
        csr = W.tocsr()
        S = Csr(csr.data, csr.indices, csr.indptr.astype(np.int64), csr.shape)
        check_candidates(S, (1, 3, 8, 33), rng, W=W)
        check_candidates(S.T, (1, 3, 8, 33), rng, W=W.T)
    S = windowed_csr(rng, (16 * 9, 150), 16)
    must = ["routed"]
    check_candidates(S.T.T, BATCHES, rng, W=S.T.packed().T, must=must)  # found in the transpose, too


@pytest.mark.parametrize("batch_major", [False, True])
def test_every_form_of_a_product_chooses_what_plans_do(isa, batch_major):
    """cs.matmul and cs.linear of both sides, on patterns for which the routed layout is the cheapest."""
    rng = np.random.default_rng(7)
    S = windowed_csr(rng, (200, 323), 16)
    for T, W in ((S, S.packed()), (S.T, S.packed().T), (S, S.T.packed().T)):
        for n in (1, 2, 4, 7, 16, 33):
            X = draw(rng, (n, T.shape[1]), np.float32)
            x = X if batch_major else np.ascontiguousarray(X.T)
            actual = cs.linear(x, W) if batch_major else cs.matmul(W, x).T
            assert_product(np.ascontiguousarray(actual), expected(T, X, np.float32, "linear"), np.float32)
            assert_array_equal(actual, cs.matmul(X, W.T))
    if isa != levels.BASELINE:
        assert S.packed().plan(n=1).microkernel.startswith("routed_")


def test_these_patterns_run_every_routed_micro_kernel(isa):
    """What this file says of widths and heights it says of each kernel of this level's widest vectors."""
    rng = np.random.default_rng(8)
    names = set()
    for width, height in itertools.product((8, 16, 32, 64), (1, 2, 4)):
        S = windowed_csr(rng, (64, 3 * width), width, 1, height)
        if plan := plan_of(S.packed(), 8, "routed"):
            names.add(plan.microkernel)
    table = [row for row in levels.rows_at(isa) if row["name"].startswith(f"routed_f32_{levels.lanes_at(isa)}of")]
    assert {family(name) for name in names} == {family(row["name"]) for row in table}


# --- memory ----------------------------------------------------------------------------------------------------------


def in_steps(a, steps):
    """The same values, every so many elements apart, inside a larger array."""
    wide = np.full([n * abs(step) + 3 for n, step in zip(a.shape, steps, strict=True)], np.nan, a.dtype)
    view = wide[tuple(np.s_[::step] for step in steps)][tuple(np.s_[:n] for n in a.shape)]
    view[...] = a
    return view


def inside(a, order="C"):
    wide = np.full([n + 9 for n in a.shape], np.nan, a.dtype, order=order)
    view = wide[3:-6, 5:-4]
    view[...] = a
    return view


VIEWS = {
    "C": lambda a: a.copy(),
    "Fortran": lambda a: np.array(a, order="F"),
    "part": inside,
    "part of Fortran": lambda a: inside(a, "F"),
    "every 2nd column": lambda a: in_steps(a, (1, 2)),
    "every 2nd row": lambda a: in_steps(a, (2, 1)),
    "every 3rd of both": lambda a: in_steps(a, (3, 3)),
    "rows backwards": lambda a: in_steps(a, (-1, 1)),
    "columns backwards": lambda a: in_steps(a, (1, -1)),
    "backwards in steps": lambda a: in_steps(a, (-2, -3)),
    "Fortran backwards": lambda a: in_steps(a.T, (-1, -1)).T,
}


def memory_of(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


MATRICES = {
    "routed": lambda rng: windowed_csr(rng, (70, 83), 16),
    "routed, x is short": lambda rng: windowed_csr(rng, (70, 12), 6),
    "routed, four rows": lambda rng: windowed_csr(rng, (131, 120), 20, 1, 4),
    "routed, two rows": lambda rng: windowed_csr(rng, (68, 72), 9, 1, 2),
    "shared": lambda rng: windowed_csr(rng, (132, 250), 60, 20, 4, 0.2),
    "blocks": lambda rng: blocked_csr(rng, (76, 120), 0.2),
    "full blocks": lambda rng: blocked_csr(rng, (20, 40), 4.0),
    "strips": lambda rng: strips_csr(rng, (80, 131), 0.3),
}
every_matrix = pytest.mark.parametrize("matrix", MATRICES)


@pytest.mark.parametrize("view", VIEWS)
@every_matrix
def test_memory_of_operands(isa, matrix, view):
    """Any strides of x and out give the bits of plain arrays, and nothing beside out is written."""
    rng = np.random.default_rng(10)
    S = MATRICES[matrix](rng)
    W, bias = S.packed(), draw(rng, S.shape[0], np.float32)
    others = itertools.cycle([*VIEWS.values(), VIEWS["every 2nd row"]])
    finishes = itertools.cycle([*FINISHES, FINISHES[1]])
    for n, batch_major in itertools.product((1, 2, 3, 4, 5, 8, 12, 17, 33, 40), (False, True)):
        X = draw(rng, (n, S.shape[1]) if batch_major else (*S.shape[1:], n), np.float32)
        finish = next(finishes)
        for layout, f in plans(W, n, batch_major, bias if finish[0] else None, finish[1]):
            plain = f(X)
            this = VIEWS[view]
            for make_x, make_y in ((this, next(others)), (next(others), this), (this, this)):
                x, y = make_x(X), make_y(np.full(plain.shape, 7, np.float32))
                around, inputs = memory_of(y).copy(), memory_of(x).tobytes()
                assert f(x, out=y) is y
                note = (f.microkernel, matrix, n, batch_major, x.strides, y.strides)
                if layout in ONE_ORDER:
                    assert_array_equal(y, plain, err_msg=str(note))
                else:
                    form, given_bias = "linear" if batch_major else "W @ X", bias if finish[0] else None
                    wanted = expected(S, X, np.float32, form, given_bias, finish[1] is not None)
                    assert_product(y.copy(), wanted, np.float32, note)
                y[...] = 7
                assert memory_of(y).tobytes() == around.tobytes(), note
                assert memory_of(x).tobytes() == inputs


@every_matrix
def test_the_same_bits_at_every_address(isa, matrix):
    rng = np.random.default_rng(11)
    S = MATRICES[matrix](rng)
    W, bias = S.packed(), draw(rng, S.shape[0], np.float32)
    for n in (1, 4, 8, 20):
        X = draw(rng, (S.shape[1], n), np.float32)
        for _, f in plans(W, n, bias=bias):
            plain = f(X)
            for offset in range(16):
                x, y = (np.zeros(a.size + 32, np.float32) for a in (X, plain))
                start = (-x.ctypes.data % 64) // 4 + offset
                x = x[start : start + X.size].reshape(X.shape)
                x[...] = X
                start = (-y.ctypes.data % 64) // 4 + offset * 7 % 16
                y = y[start : start + plain.size].reshape(plain.shape)
                assert_array_equal(f(x, out=y), plain, err_msg=f"{f.microkernel} {offset}")


def test_one_vector_of_any_memory(isa):
    rng = np.random.default_rng(12)
    for matrix in MATRICES.values():
        S = matrix(rng)
        W, x = S.packed(), draw(rng, S.shape[1], np.float32)
        wanted = expected(S, x, np.float32)
        for _, f in plans(W, 1):
            plain = f(x)
            assert_product(plain, wanted, np.float32, f.microkernel)
            for view in (x[::-1].copy()[::-1], np.repeat(x, 3)[::3], x[:, None], x[None].T):
                assert_array_equal(f(view).ravel(), plain)
            out = np.full(2 * len(plain) + 1, 7, np.float32)
            f(x, out=out[1::2])
            assert_array_equal(out[1::2], plain)
            assert (out[::2] == 7).all()
            backwards = np.empty_like(plain)[::-1]
            assert_array_equal(f(x, out=backwards), plain)


@pytest.mark.parametrize("level", [level["name"] for level in _core.isa_levels()])
def test_nothing_is_read_or_written_outside_the_arrays(level):
    """Operands end (and begin) at pages that nobody may touch; a process of its own, as a fault ends it."""
    if level not in cs.isa_levels():
        pytest.skip(f"not run: {level} is not supported by this CPU")
    command = [sys.executable, guarded.__file__, level, "structured"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)


def rounded(S):
    """The matrix with values that bfloat16 holds."""
    return S._replace(data=(S.data.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32))


# --- threads ---------------------------------------------------------------------------------------------------------

LARGE = {
    "routed, narrow": lambda rng: rounded(windowed_csr(rng, (1031, 4300), 16)),
    "routed": lambda rng: windowed_csr(rng, (1031, 4100), 16),
    "routed, four rows": lambda rng: windowed_csr(rng, (1606, 4100), 20, 1, 4),
    "shared": lambda rng: windowed_csr(rng, (4 * 650, 900), 64, 20, 4, 0.2),
    "blocks": lambda rng: blocked_csr(rng, (2000, 900), 0.2),
    "strips": lambda rng: strips_csr(rng, (2000, 900), 0.2),
}


@pytest.mark.parametrize("matrix", LARGE)
def test_the_same_bits_for_every_number_of_threads(isa, threads, matrix):
    """Sizes at which two and four threads really share the work, among rows and among columns."""
    rng = np.random.default_rng(13)
    S = LARGE[matrix](rng)
    assert len(S.data) + sum(S.shape) > 4 * 131072 / 2  # multiplications from which a product uses two threads
    W, bias = S.packed(), draw(rng, S.shape[0], np.float32)
    for n, batch_major in ((1, False), (1, True), (2, False), (5, True), (17, False), (64, False), (67, True)):
        X = draw(rng, (S.shape[1], 5), np.float32)
        wanted = expected(S, X, np.float32, bias=bias, relu=True)
        X = X[:, np.arange(n) % 5]
        x = np.ascontiguousarray(X.T) if batch_major else X
        for layout, f in plans(W, n, batch_major, bias, "relu"):
            results = []
            for n_threads in (1, 2, 4):
                with threads(n_threads):
                    results.append(f(x))
            assert_array_equal(results[1], results[0], err_msg=f"{layout} {n}")
            assert_array_equal(results[2], results[0], err_msg=f"{layout} {n}")
            Y = results[0].T if batch_major else results[0]
            assert_product(np.ascontiguousarray(Y[:, :5]), some_columns(wanted, np.s_[:n]), np.float32, (layout, n))
            assert_array_equal(Y, Y[:, np.arange(n) % 5], err_msg=f"{layout} {n}")


# --- blocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [4, 8, 12, 16, 20, 32, 36, 60])
def test_blocks(isa, rows):
    """Rows of blocks of every length, taken four at a time by length; the shorter ones are padded."""
    rng = np.random.default_rng(rows)
    for cols, density in itertools.product((4, 8, 12, 64, 100, 400), (0.03, 0.2, 0.9)):
        check_candidates(blocked_csr(rng, (rows, cols), density), (1, 2, 5, 16, 33), rng, must=["squares"])


def test_blocks_of_equal_length(isa):
    """No row of blocks is padded: x is read in place, up to its end and no further."""
    rng = np.random.default_rng(14)
    for n_rows, n_cols, count in ((4, 9, 3), (8, 5, 5), (12, 40, 1), (16, 33, 7)):
        mask = np.zeros((n_rows, n_cols), bool)
        np.put_along_axis(mask, rng.random(mask.shape).argsort(axis=1)[:, :count], True, axis=1)
        mask = np.kron(mask, np.ones((4, 4), bool))
        check_candidates(csr_of(mask, draw(rng, mask.sum(), np.float32)), (1, 4), rng, must=["squares"])


# --- strips ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [16, 32, 48, 160])
def test_strips(isa, rows):
    """Strips of every length, quads that start at any column."""
    rng = np.random.default_rng(rows)
    for cols, density in itertools.product((4, 5, 7, 8, 63, 64, 400), (0.05, 0.3, 0.9)):
        check_candidates(strips_csr(rng, (rows, cols), density), (1, 2, 16), rng, must=["strips"])


def test_strips_in_blocks(isa):
    """Of 16 x 16, as some real layers come."""
    rng = np.random.default_rng(16)
    check_candidates(blocked_csr(rng, (96, 160), 0.3, side=16), (1, 4), rng, must=["strips", "squares"])


@pytest.mark.parametrize("view", VIEWS)
def test_strips_in_float64(isa, view):
    rng = np.random.default_rng(17)
    S = strips_csr(rng, (112, 101), 0.3, np.float64)
    X, bias = draw(rng, (101, 1), np.float64), draw(rng, 112, np.float64)
    W = S.packed()
    assert _core.candidates(W, 1, np.float64)[0]["layout"] == "strips"
    for has_bias, activation in FINISHES:
        f = W.plan(n=1, bias=bias if has_bias else None, activation=activation)
        assert f.microkernel.startswith("strips_f64")
        wanted = expected(S, X, np.float64, bias=bias if has_bias else None, relu=activation is not None)
        Y = VIEWS[view](np.full((112, 1), 7.0))
        assert_product(f(VIEWS[view](X), out=Y).copy(), wanted, np.float64, (view, has_bias, activation))


def test_non_finite_values_stay_with_the_rows_that_own_their_column(isa):
    """Strips have no padding: what a row does not own it does not see."""
    rng = np.random.default_rng(18)
    S = strips_csr(rng, (64, 60), 0.3)
    for column in range(0, 60, 7):
        X = draw(rng, (60, 1), np.float32)
        X[column] = np.nan
        Y = plan_of(S.packed(), 1, "strips")(X)
        assert_array_equal(np.isnan(Y[:, 0]), S.pattern[:, column])


@pytest.mark.parametrize("change", ["rows", "entry", "shift", "i64"])
def test_what_is_not_made_of_strips(isa, change):
    rng = np.random.default_rng(19)
    mask = strips_csr(rng, (80, 64), 0.3).pattern
    if change == "rows":
        mask = mask[:-1]
    elif change == "entry":
        mask[np.nonzero(mask)[0][3], np.nonzero(mask)[1][3]] = False
    elif change == "shift":
        mask = np.roll(mask, 4, axis=0)
    T = csr_of(mask, draw(rng, mask.sum(), np.int64 if change == "i64" else np.float32))
    W = T.packed()
    assert "strips" not in {candidate["layout"] for candidate in _core.candidates(W, 1, T.data.dtype)}
    if change != "i64":
        check_candidates(T, (1, 4), rng, W=W)


# --- whole blocks, and what is not made of them -----------------------------------------------------------------------


@pytest.mark.parametrize("change", ["rows", "cols", "entry", "shift", "f64"])
def test_what_is_not_made_of_whole_blocks(isa, change):
    rng = np.random.default_rng(15)
    S = blocked_csr(rng, (24, 40), 0.3)
    mask = S.pattern
    if change == "rows":
        mask = mask[:-1]
    elif change == "cols":
        mask = mask[:, :-2]
    elif change == "entry":
        mask[np.nonzero(mask)[0][3], np.nonzero(mask)[1][3]] = False
    elif change == "shift":
        mask = np.roll(mask, 2, axis=0)
    T = csr_of(mask, draw(rng, mask.sum(), np.float64 if change == "f64" else np.float32))
    W = T.packed()
    layouts = {candidate["layout"] for candidate in _core.candidates(W, 1, T.data.dtype)}
    assert "squares" not in layouts
    if change != "f64":
        check_candidates(T, (1, 4, 17), rng, W=W)


# --- shared row groups -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64], ids=["f32", "f64", "i64"])
def test_rows_in_fours(isa, dtype):
    """Of one pattern each: ragged panels, blocks of columns, fours without entries; and M that is no multiple of 4."""
    rng = np.random.default_rng(16)
    for rows, cols, density, shared in (
        (4, 3, 0.5, True),
        (8, 40, 0.3, True),
        (60, 300, 0.1, True),
        (61, 300, 0.1, False),
        (63, 300, 0.1, False),
        (132, 1300, 0.06, True),  # blocks of columns
        (260, 5000, 0.02, True),
        (2052, 130, 0.05, True),  # more rows than a panel has
        (4104, 700, 0.01, True),
    ):
        mask = (rng.random((-(-rows // 4), cols)) < density).repeat(4, axis=0)[:rows]
        mask[4:8] = False
        S = csr_of(mask, draw(rng, mask.sum(), dtype))
        W = S.packed()
        X = draw(rng, (cols, 70), dtype)[:, np.arange(70) % 11]
        wanted, first = expected(S, X[:, :11], np.dtype(dtype)), {}
        for n, batch_major in itertools.product((2, 4, 8, 17, 33, 70), (False, True)):
            layouts = [candidate["layout"] for candidate in _core.candidates(W, n, dtype, batch_major)]
            assert ("shared_row_groups" in layouts) == shared
            x = np.ascontiguousarray(X[:, :n].T if batch_major else X[:, :n])
            for i, layout in enumerate(layouts):
                Y = _core.make_plan(W, n, dtype, batch_major, None, None, False, i)(x)
                Y = np.ascontiguousarray(Y.T if batch_major else Y)
                note = (layout, rows, cols, n)
                assert_product(Y[:, :11].copy(), some_columns(wanted, np.s_[:n]), dtype, note)
                assert_array_equal(Y, Y[:, np.arange(n) % 11], err_msg=str(note))
                # Documented for row groups: a row's entries ascend, in one accumulator.
                if layout in ("shared_row_groups", "row_groups"):
                    before = first.setdefault("groups", Y)
                    width = min(n, before.shape[1])
                    assert_array_equal(Y[:, :width], before[:, :width])
                    first["groups"] = Y if width < n else before


# --- numbers ---------------------------------------------------------------------------------------------------------


@every_matrix
def test_nan_reaches_the_rows_that_own_its_column_and_no_others(isa, matrix):
    """Column j of x has its one NaN (infinity) at row j: the outputs that it reaches are the pattern, to the entry."""
    rng = np.random.default_rng(20)
    S = MATRICES[matrix](rng)
    S.data[rng.random(len(S.data)) < 0.1] = 0
    S.data[rng.random(len(S.data)) < 0.1] = -0.0
    W, pattern = S.packed(), S.pattern
    m, k = S.shape
    x, bias = draw(rng, (k, 1), np.float32), draw(rng, m, np.float32)
    columns = rng.permutation(k)
    for n, special in itertools.product((1, 4, 5, 12, 40), (np.nan, -np.inf)):
        for layout in (*ONE_ORDER, "stored_rows"):
            f = plan_of(W, n, layout, bias=bias)
            if f is None:
                continue
            clean = f(np.repeat(x, n, axis=1))
            for at in range(0, k if n > 1 else min(k, 40), n):
                some = np.resize(columns[at : at + n], n)
                X = np.repeat(x, n, axis=1)
                X[some, np.arange(n)] = special
                Y = f(X)
                assert_array_equal(np.isfinite(Y), ~pattern[:, some], err_msg=f"{f.microkernel} {special}")
                others = ~pattern[:, some]
                assert_array_equal(Y[others], clean[others], err_msg=f"{f.microkernel} {special}")


@pytest.mark.parametrize("height", [1, 2, 4])
def test_all_of_x_is_nan(isa, height):
    """Padding lies everywhere: a ragged last unit, an odd number of layers, rows that lack entries or own none."""
    rng = np.random.default_rng(21)
    for width, layers, rows in ((16, 13, 93), (20, 7, 61), (8, 9, 67), (5, 2, 30), (31, 5, 70)):
        S = windowed_csr(rng, (rows, layers * width), width, 1, height)
        mask = S.pattern
        mask[: min(height, rows // 20)] = False
        S = csr_of(mask, draw(rng, mask.sum(), np.float32))
        W, bias = S.packed(), draw(rng, rows, np.float32)
        owning = mask.any(axis=1)
        for n, special in itertools.product((1, 3, 4, 8, 20), (np.nan, np.inf)):
            f = plan_of(W, n, "routed", bias=bias)
            assert f is not None
            Y = f(np.full((S.shape[1], n), special, np.float32))
            assert not np.isfinite(Y[owning]).any()
            assert_array_equal(Y[~owning], np.repeat(bias[~owning, None], n, axis=1))


@every_matrix
def test_special_values_anywhere(isa, matrix):
    rng = np.random.default_rng(22)
    info = np.finfo(np.float32)
    special = np.array([np.nan, np.inf, -np.inf, 0, -0.0, info.smallest_subnormal, -info.tiny], np.float32)
    for share_w, share_x in ((0.03, 0), (0, 0.02), (0.02, 0.02), (1, 0.5)):
        S = MATRICES[matrix](rng)
        S = S._replace(data=np.where(rng.random(len(S.data)) < share_w, rng.choice(special, len(S.data)), S.data))
        W, bias = S.packed(), draw(rng, S.shape[0], np.float32)
        bias[::9] = rng.choice(special[:3], len(bias[::9]))
        for n in (1, 2, 4, 5, 8, 17, 40):
            X = draw(rng, (S.shape[1], n), np.float32)
            X = np.where(rng.random(X.shape) < share_x, rng.choice(special, X.shape), X)
            for with_bias, activation in FINISHES:
                given_bias = bias if with_bias else None
                wanted = expected(S, X, np.float32, bias=given_bias, relu=activation is not None)
                for _, f in plans(W, n, False, given_bias, activation):
                    assert_product(f(X), wanted, np.float32, (f.microkernel, n))


@every_matrix
def test_an_exact_zero_is_positive(isa, matrix):
    """Neither a padded lane nor a stored -0.0 turns the sign."""
    rng = np.random.default_rng(23)
    S = MATRICES[matrix](rng)
    for data, x in ((S.data, -0.0), (-np.abs(S.data), 0.0), (np.full_like(S.data, -0.0), -3.0), (S.data * 0 - 0.0, 5)):
        W = S._replace(data=data).packed()
        for n in (1, 2, 4, 8, 40):
            for _, f in plans(W, n):
                Y = f(np.full((S.shape[1], n), x, np.float32))
                assert not Y.any()
                assert not np.signbit(Y).any(), f.microkernel


@every_matrix
def test_small_and_large_numbers(isa, matrix):
    """Subnormals are exact; terms that differ by many orders of magnitude stay in the bound; sums overflow alone."""
    rng = np.random.default_rng(24)
    S = MATRICES[matrix](rng)
    tiny = np.finfo(np.float32).smallest_subnormal
    whole = S._replace(data=rng.integers(1, 9, len(S.data)).astype(np.float32))
    spread = S._replace(data=(S.data * 10.0 ** rng.integers(-18, 18, len(S.data))).astype(np.float32))
    row = int(np.argmax(np.diff(S.indptr) > 0))
    huge = S._replace(data=np.where(S.rows == row, np.float32(3e38), S.data))
    for n in (1, 4, 8, 21):
        counts = rng.integers(0, 5, (S.shape[1], n))
        exact = np.zeros((S.shape[0], n))
        np.add.at(exact, S.rows, whole.data[:, None].astype(np.float64) * counts[S.indices])
        for _, f in plans(whole.packed(), n):
            assert_array_equal(f(counts.astype(np.float32) * tiny), (exact * tiny).astype(np.float32))
        X = (draw(rng, (S.shape[1], n), np.float32) * 10.0 ** rng.integers(-18, 18, (S.shape[1], n))).astype(np.float32)
        for _, f in plans(spread.packed(), n):
            assert_product(f(X), expected(spread, X, np.float32), np.float32, f.microkernel)
        X = np.abs(draw(rng, X.shape, np.float32)) + 2
        with np.errstate(over="ignore"):
            wanted = expected(huge, X, np.float32)
        assert (wanted.value[row] > np.finfo(np.float32).max).all()
        others = np.arange(S.shape[0]) != row
        for _, f in plans(huge.packed(), n):
            Y = f(X)
            assert np.isposinf(Y[row]).all(), f.microkernel
            assert_product(Y[others], Expected(wanted.value[others], wanted.bound[others]), np.float32, f.microkernel)


# --- weights as bfloat16 ---------------------------------------------------------------------------------------------


def beyond_l2(isa):
    """The bytes that a matrix must exceed."""
    if not any(level == isa for level, _ in NARROW):
        pytest.skip(f"not run: {isa} has no micro-kernel for narrow weights")
    l2 = _core.cache_sizes()["l2"]
    if l2 > 4 << 20:
        pytest.skip(f"not run: a matrix beyond an L2 of {l2} bytes takes too long")
    return l2


NARROW = sorted({(row["isa"], row["name"]) for row in cs.microkernels() if "_bf16w_" in row["name"]})


@pytest.mark.parametrize(("width", "height", "layers"), [
    (8, 1, 131), (8, 4, 134), (11, 1, 133), (16, 1, 121), (16, 4, 129), (20, 4, 87), (32, 1, 95), (32, 4, 71),
])  # fmt: skip
def test_weights_that_bfloat16_holds(isa, width, height, layers):
    """Halved in memory beyond L2, to the bits that the float32 weights give: these are chosen again as soon as one
    more row has a value that bfloat16 does not hold."""
    l2 = beyond_l2(isa)
    rng = np.random.default_rng(width)
    rows = (int(l2 / 4 / layers / 0.97) + 20) // height * height + 2
    S = windowed_csr(rng, (rows, layers * width), width, 1, height, missing=0.02)  # padding in either half of a word
    odd = rng.random(len(S.data))
    S.data[odd < 0.02] = -0.0
    S.data[(odd >= 0.02) & (odd < 0.04)] = 1e-40
    S = rounded(S)
    wider = windowed_csr(rng, (rows + 2 * height, layers * width), width, 1, height)
    mask = wider.pattern
    # The same first rows; rounded up to whole groups of `height`.
    whole = -(-rows // height) * height
    mask[:rows] = S.pattern
    mask[rows:whole] = mask[rows - 1]
    wider_data = np.zeros(mask.shape, np.float32)
    wider_data[mask] = np.float32(1.1)
    wider_data[S.rows, S.indices] = S.data
    wider = csr_of(mask, wider_data[mask])
    W, V = S.packed(), wider.packed()
    X = draw(rng, (S.shape[1], 40), np.float32)
    wanted = expected(S, X[:, :5], np.float32)
    spoiled = X.copy()
    spoiled[rng.integers(0, S.shape[1], 3), rng.integers(0, 5, 3)] = np.nan
    spoiled[0, ::2], spoiled[width, 1::2] = np.inf, np.nan  # where padding reads
    reached = S.pattern.astype(np.float32) @ ~np.isfinite(spoiled) > 0
    assert not reached.all(axis=0).any()
    for n in (1, 4, 5, 11, 40):
        narrow, full = plan_of(W, n, "routed"), plan_of(V, n, "routed")
        assert "_bf16w_" in narrow.microkernel
        assert "_bf16w_" not in full.microkernel
        x = np.ascontiguousarray(X[:, :n])
        Y = narrow(x)
        assert_array_equal(Y, full(x)[:rows], err_msg=narrow.microkernel)
        assert_product(np.ascontiguousarray(Y[:, :5]), some_columns(wanted, np.s_[:n]), np.float32, (n, isa))
        x = np.ascontiguousarray(spoiled[:, :n])
        Y = narrow(x)
        assert_array_equal(Y, full(x)[:rows], err_msg=narrow.microkernel)
        assert_array_equal(np.isfinite(Y), ~reached[:, :n], err_msg=narrow.microkernel)


def test_every_narrow_micro_kernel_is_chosen(isa):
    """Of the parameters above, as the names tell."""
    l2 = beyond_l2(isa)
    rng = np.random.default_rng(30)
    names = set()
    for width, height in itertools.product((8, 16, 32), (1, 4)):
        S = windowed_csr(rng, (l2 // 4 // 40 // 4 * 4 + 8, 40 * width), width, 1, height)
        W = rounded(S).packed()
        names |= {plan_of(W, n, "routed").microkernel for n in (1, 8)}
    chosen = {family(name) for name in names if "_bf16w_" in name}
    assert chosen == {family(name) for level, name in NARROW if level == isa}


def test_a_value_that_bfloat16_does_not_hold(isa):
    """Any one low bit keeps all weights in float32; so does a matrix that L2 holds."""
    rng = np.random.default_rng(31)
    l2 = beyond_l2(isa)
    S = rounded(windowed_csr(rng, (l2 // 4 // 100 + 1, 1600), 16))
    last = S.data.copy()
    last.view(np.uint32)[-1] ^= 1
    X = draw(rng, (1600, 4), np.float32)
    for data, rows in ((last, S.shape[0]), (S.data, 200)):
        T = Csr(data[: S.indptr[rows]], S.indices[: S.indptr[rows]], S.indptr[: rows + 1], (rows, 1600))
        f = plan_of(T.packed(), 4, "routed")
        assert "_bf16w_" not in f.microkernel
        assert_product(f(X), expected(T, X, np.float32), np.float32)


# --- choosing --------------------------------------------------------------------------------------------------------

REQUESTS = tuple(itertools.product((1, 2, 4, 11, 12, 15, 16, 31, 32, 130), (False, True)))


@every_matrix
def test_choice_does_not_depend_on_what_was_asked_before(matrix):
    """Other batch sizes, candidates, the other side of the matrix and other ISA levels first: the same micro-kernel
    and the same bits as of a matrix that was asked for nothing else."""
    rng = np.random.default_rng(40)
    S = MATRICES[matrix](rng)
    X = draw(rng, (S.shape[1], 130), np.float32)

    def result(W, n, batch_major):
        f = W.plan(n=n, batch_major=batch_major)
        Y = f(np.ascontiguousarray(X[:, :n].T if batch_major else X[:, :n]))
        return f.microkernel, Y.tobytes()

    def kind(n, batch_major):  # requests that share a choice
        return bisect.bisect(_core.batch_widths(), n), batch_major and n > 1

    levels = cs.isa_levels()
    fresh = {}
    for level in levels:
        _core.set_isa(level)
        for request in REQUESTS:
            fresh[level, request] = result(S.packed(), *request)
    for level, other in itertools.product(levels, levels):
        W = S.packed()
        _core.set_isa(other)
        assert [name for name, _ in plans(W.T, 1)]
        first = [REQUESTS[i] for i in rng.permutation(len(REQUESTS))[:4]]
        for request in first:
            _core.candidates(W, request[0], np.float32, request[1])
            assert result(W, *request) == fresh[other, request]
        _core.set_isa(level)
        kept = {kind(*request) for request in first}  # "matrices that already hold layouts keep what they chose"
        for request in REQUESTS:
            _core.candidates(W, 4, np.float32)
            assert result(W, *request) == fresh[other if kind(*request) in kept else level, request], (level, other)


@pytest.mark.parametrize(
    "matrix",
    [
        *(name for name in MATRICES if name.startswith("routed")),
        *("shared", "blocks", "full blocks", "strips", "random"),
    ],
)
def test_candidates_of_one_level_after_those_of_another(matrix):
    rng = np.random.default_rng(41)
    if matrix == "random":
        mask = rng.random((64, 400)) < 0.1
        S = csr_of(mask, draw(rng, mask.sum(), np.float32))
    else:
        S = MATRICES[matrix](rng)
    W = S.packed()
    for level in (*cs.isa_levels()[::-1], *cs.isa_levels()):
        _core.set_isa(level)
        for n in (1, 4, 40):
            X = draw(rng, (S.shape[1], n), np.float32)
            for _, f in plans(W, n):
                assert_product(f(X), expected(S, X, np.float32), np.float32, (level, f.microkernel))


def test_candidates_and_costs():
    """Cheapest first, each layout once; a number that is no candidate is refused."""
    rng = np.random.default_rng(42)
    for make in MATRICES.values():
        W = make(rng).packed()
        for n, batch_major in REQUESTS:
            found = _core.candidates(W, n, np.float32, batch_major)
            costs = [candidate["cost"] for candidate in found]
            assert costs == sorted(costs)
            assert len({candidate["layout"] for candidate in found}) == len(found)
            first = _core.make_plan(W, n, np.float32, batch_major, None, None, False, 0)
            assert first.microkernel == W.plan(n=n, batch_major=batch_major).microkernel
            with pytest.raises(IndexError):
                _core.make_plan(W, n, np.float32, batch_major, None, None, False, len(found))


@pytest.mark.parametrize("n", [1, 5, 16, 24, 40, 130])
def test_columns_that_own_nothing(isa, n):
    """Sixteen of 2048 columns have entries: the others are not brought into tiles, whatever stands there."""
    rng = np.random.default_rng(43)
    used = np.sort(rng.choice(2048, 16, replace=False))
    mask = np.zeros((300, 2048), dtype=bool)
    mask[:, used] = rng.random((300, 16)) < 0.3
    S = csr_of(mask, draw(rng, mask.sum(), np.float32))
    W, X = S.packed(), np.full((2048, n), np.nan, np.float32)
    X[used] = draw(rng, (16, n), np.float32)
    if n > 1:
        assert {c["layout"] for c in _core.candidates(W, n, np.float32, False)} == {"row_groups", "stored_rows"}
    for _, f in plans(W, n):
        assert_product(f(X), expected(S, X, np.float32), np.float32, f.microkernel)


# --- real matrices, and any ------------------------------------------------------------------------------------------


@pytest.mark.data
def test_a_speech_vocoder(isa, data_folder):
    """Layers in 4x4 blocks with their biases: every layout that could serve them."""
    rng = np.random.default_rng(50)
    for path in files(data_folder / "lyra_wavegru" / "raw", "*_weights.raw.gz"):
        dense, bias = read_lyra(path)
        S = csr_of(dense != 0, dense[dense != 0])
        W = S.packed()
        X = draw(rng, (S.shape[1], 5), np.float32)
        wanted = expected(S, X, np.float32, bias=bias, relu=True)
        for n in (1, 16, 64):
            of = np.arange(n) % 5
            for layout, f in plans(W, n, False, bias, "relu"):
                Y = f(X[:, of])
                part = np.ascontiguousarray(Y[:, :5])
                assert_product(part, some_columns(wanted, np.s_[:n]), np.float32, (path.name, layout, n))
                assert_array_equal(Y, Y[:, of], err_msg=f"{path.name} {layout}")


@cases(80)
@given(
    S=structured(),
    n=st.one_of(st.sampled_from(BATCHES), st.integers(1, 70)),
    level=st.sampled_from(cs.isa_levels()),
    batch_major=st.booleans(),
    finish=st.sampled_from(FINISHES),
    views=st.tuples(st.sampled_from(sorted(VIEWS)), st.sampled_from(sorted(VIEWS))),
    n_threads=st.sampled_from([1, 2, 4]),
    transposed=st.booleans(),
    share=st.sampled_from([0, 0, 0.02]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_structured_product(threads, S, n, level, batch_major, finish, views, n_threads, transposed, share, seed):
    rng = np.random.default_rng(seed)
    _core.set_isa(level)
    W = S.packed()
    if transposed:
        S, W = S.T, W.T
    m, k = S.shape
    bias = draw(rng, m, np.float32) if finish[0] else None
    X = draw(rng, (n, k) if batch_major else (k, n), np.float32)
    X[rng.random(X.shape) < share] = rng.choice(np.array([np.nan, np.inf, -np.inf], np.float32))
    wanted = expected(S, X, np.float32, "linear" if batch_major else "W @ X", bias, finish[1] is not None)
    for layout, f in plans(W, n, batch_major, bias, finish[1]):
        x, y = VIEWS[views[0]](X), VIEWS[views[1]](np.full(wanted.value.shape, 7, np.float32))
        with threads(n_threads):
            f(x, out=y)
        assert_product(y.copy(), wanted, np.float32, (layout, f.microkernel, S.shape, n))
