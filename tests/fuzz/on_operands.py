# SPDX-License-Identifier: BSD-3-Clause
"""What callers hand over: foreign sparse matrices, winners, scalars and options; and products against SciPy's."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.optimize  # noqa: F401  what prune imports late is not to count as a case's memory
import scipy.sparse as sp

import complsparse as cs
from fuzz.registry import target

FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
PARTS = ("indptr", "indices", "data", "row", "col", "coords", "offsets", "rows")
NUMBERS = (0, 1, -1, 2, 3, 4, 5, 127, 2**31 - 1, -(2**31))
# fmt: off
ODD = (
    None, -1, 2**63, 2**70, -(2**70), 0.5, 1.5, float("nan"), float("inf"), 1e-300, "3", b"x", (), (0, 1), [1], {},
    True, np.True_, np.int8(2), np.uint64(2**64 - 1), np.float32(0.3), np.float64(2), 1j, Fraction(1, 2), object(),
    memoryview(b"abcd"), np.timedelta64(3), np.array(2), np.ones(3), np.ma.array([1.0], mask=True), (2**62, 2**62),
)
# fmt: on


def _odd(rng: np.random.Generator) -> Any:
    return ODD[int(rng.integers(len(ODD)))]


def _dense(rng: np.random.Generator, dtype: str, rows: int, cols: int) -> np.ndarray:
    return (rng.integers(-4, 5, (rows, cols)) * (rng.random((rows, cols)) < rng.random())).astype(dtype)


def _damage(rng: np.random.Generator, S: Any) -> None:
    if S.format == "dok":
        S._dict[(int(rng.choice(NUMBERS)), int(rng.choice(NUMBERS)))] = 1.0
        return
    names = [name for name in PARTS if hasattr(S, name)]
    name = names[int(rng.integers(len(names)))]
    part = getattr(S, name)
    what = int(rng.integers(5))
    if what == 0 and isinstance(part, np.ndarray) and part.size and part.dtype != object:
        part.reshape(-1)[int(rng.integers(part.size))] = int(rng.choice(NUMBERS[:8] if part.itemsize < 4 else NUMBERS))
        return
    changed: Any = part[: int(rng.integers(1 + len(part)))]
    if what == 1:
        changed = np.concatenate([part, part]) if isinstance(part, np.ndarray) else part + part
    elif what == 2:
        changed = _odd(rng)
    elif what == 3 and isinstance(part, np.ndarray) and part.dtype != object:
        changed = part.astype(str(rng.choice(["f8", "i8", "O", "u8", "i1"])))
    with contextlib.suppress(AttributeError, TypeError, ValueError, IndexError, OverflowError):  # scipy's own refusals
        setattr(S, name, changed)


@target(megabytes=128)
def foreign_matrices(rng: np.random.Generator) -> str:
    """Scipy matrices damaged after scipy accepted them: refused in words, or read as what their arrays say."""
    dense = _dense(rng, "f8", *(int(n) for n in rng.integers(1, 7, 2)))
    S = getattr(sp, f"{rng.choice(FORMATS)}_array")(dense)
    damaged = rng.random() < 0.9
    if damaged:
        _damage(rng, S)
    if rng.random() < 0.3:
        S.has_canonical_format = S.has_sorted_indices = True
    cols = dense.shape[1]
    W = cs.from_dense(np.ones((cols, 3)))
    entries = (
        lambda: cs.from_scipy(S).toarray(),
        lambda: cs.Winners.from_scipy(S, axis=int(rng.integers(2))).toarray(),
        lambda: cs.prune(S, set_size=1)[0].toarray(),
        lambda: cs.matmul(S, W),
    )
    which = int(rng.integers(len(entries)))
    try:
        found = entries[which]()
    except (ValueError, TypeError):
        assert damaged, "a sound matrix was refused"
        return "refused"
    if not damaged:
        expected = dense @ np.ones((cols, 3)) if which == 3 else dense
        assert np.array_equal(found, expected), "a sound matrix was read as another"
    return "read"


@target(megabytes=128)
def winners(rng: np.random.Generator) -> str:
    """Winners of random arrays and options: refused, or the rules hold and an index takes what NumPy's does."""
    shape: Any = tuple(int(n) for n in rng.integers(0, 5, int(rng.integers(1, 4))))
    nnz = int(rng.integers(0, 6))
    parts: list[Any] = [
        rng.integers(-3, 4, nnz).astype(str(rng.choice(["f4", "i1", "u1", "i8", "f2", "O"]))),
        rng.integers(-1, 6, nnz) if rng.random() < 0.3 else np.sort(rng.integers(0, 5, nnz)),
        np.concatenate([[0], np.sort(rng.integers(0, nnz + 1, int(rng.integers(0, 6))))]),
        shape,
        int(rng.integers(-3, 3)),
    ]
    if rng.random() < 0.3:
        parts[int(rng.integers(5))] = _odd(rng)
    try:
        w = cs.Winners(*parts)
    except (ValueError, TypeError):
        w = cs.Winners.from_dense(rng.integers(-1, 2, tuple(n + 1 for n in shape)).astype("f4"), axis=-1)
    dense = np.asarray(w)
    assert np.count_nonzero(dense) <= w.nnz == len(w.values) == len(w.indices) == w.indptr[-1]
    index = tuple(
        [slice(None), 0, -1, slice(1, None), [0, 0], ..., 9, None, [True]][int(i)] for i in rng.integers(0, 9, 2)
    )
    try:
        taken = w[index]
    except (IndexError, TypeError, ValueError):
        return "refused"
    assert np.array_equal(np.asarray(taken), dense[index]), f"w[{index}] is not what NumPy's is"
    return "taken"


@target(megabytes=256)
def options(rng: np.random.Generator) -> str:
    """Scalars and options of all kinds in all places: an answer, or words."""
    x = rng.standard_normal((3, 4)).astype("f4")
    W = cs.from_dense(x)
    odd = _odd(rng)
    calls = (
        lambda: cs.kwta(x, odd),
        lambda: cs.kwta(x, 2, axis=odd),
        lambda: cs.kwta(x, 2, relu=odd),
        lambda: cs.kwta(x, 2, bias=odd),
        lambda: cs.kwta_dense(x, 2, boost=odd),
        lambda: cs.linear(x, W, odd),
        lambda: cs.linear(x, W, winners=odd),
        lambda: cs.linear(x, W, activation=odd),
        lambda: cs.linear(x, W, dtype=odd),
        lambda: cs.linear(x, W, out=odd),
        lambda: cs.linear(odd, W),
        lambda: cs.matmul(W, odd),
        lambda: W.plan(odd),
        lambda: W.plan(2, winners=odd),
        lambda: W.plan(2, bias=odd),
        lambda: cs.Winners.from_dense(x, threshold=odd),
        lambda: cs.random((4, 8), density=odd, rng=0),
        lambda: cs.random((4, 8), set_size=odd, rng=0),
        lambda: cs.random((4, 8), per_group=odd, set_size=4, rng=0),
        lambda: cs.complementary_mask((4, 8), block=odd, rng=0),
        lambda: cs.complementary_mask(odd, rng=0),
        lambda: cs.prune(x, density=odd),
        lambda: cs.from_dense(odd),
        lambda: cs.from_coo(odd, ([0], [0]), (1, 1)),
        lambda: cs.from_coo([1.0], (odd, odd), (1, 1)),
        lambda: cs.from_coo([1.0], ([0], [0]), odd),
        lambda: cs.ComplementaryMatrix(x, odd),
        lambda: cs.ComplementaryMatrix(x, dtype=odd),
        lambda: cs.ComplementaryMatrix(x, block=odd),
        lambda: W.with_values(odd),
    )
    try:
        calls[int(rng.integers(len(calls)))]()
    except (ValueError, TypeError):
        return "refused"
    return "answered"


@target(megabytes=256)
def products(rng: np.random.Generator) -> str:
    """Against SciPy: matrices, batches, dtypes, winners, bias and contests of small integers, whose sums are exact."""
    dtype = str(rng.choice(["f4", "f8", "i4", "i8"]))
    rows, cols = (int(n) for n in rng.integers(0, [1, 9, 90][int(rng.integers(3))], 2))
    n = int(rng.choice([0, 1, 2, 3, 8, 15, 16, 17, 33, 64, 70]))
    D, x = _dense(rng, dtype, rows, cols), _dense(rng, dtype, n, cols)
    S = sp.csr_array(D)
    W = cs.from_dense(D, strategy=str(rng.choice(["auto", "strict", "split"])))
    if rng.random() < 0.3:
        W = cs.from_dense(np.ascontiguousarray(D.T)).T
    bias = rng.integers(-4, 5, rows).astype(dtype) if rng.random() < 0.5 else None
    expected = (S @ x.T).T + (0 if bias is None else bias)
    form = str(rng.choice(["linear", "winners", "sparse", "matmul", "left", "contest", "sparse sparse"]))
    if form == "linear":
        found = cs.linear(np.asfortranarray(x) if rng.random() < 0.3 else x, W, bias)
    elif form == "winners":
        found = cs.linear(cs.Winners.from_dense(x), W, bias)
    elif form == "sparse":
        found = cs.linear(sp.csc_array(x), W, bias)
    elif form == "matmul":
        found = cs.matmul(W, x.T, bias=bias).T
    elif form == "left":
        found = cs.matmul(x, W.T, bias=bias)
    elif form == "sparse sparse":
        found, expected = (W @ sp.csr_array(x.T)), S @ sp.csr_array(x.T)
        found, expected = (np.asarray(a.todense() if sp.issparse(a) else a) for a in (found, expected))
    else:
        k = int(rng.integers(0, rows + 2))
        w = cs.linear(x, W, bias, winners=k)
        order = np.sort(np.argsort(-expected, axis=1, kind="stable")[:, :k], axis=1)
        found, expected = w.indices, order.ravel()
    assert np.array_equal(found, expected), f"{form}: {np.count_nonzero(found != expected)} values differ from SciPy's"
    return form
