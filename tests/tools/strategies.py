# SPDX-License-Identifier: BSD-3-Clause
"""Hypothesis strategies: matrices whose sizes lie round the edges of the tiles, with all that scipy lets in."""

import hypothesis.strategies as st
import levels
import numpy as np
import scipy.sparse
from oracle import blocked_csr, strips_csr, windowed_csr

SIZES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33)
FLOATS = tuple(map(np.dtype, "efdg"))
INTEGERS = tuple(map(np.dtype, "bBhHiIlLqQ"))
DTYPES = (np.dtype(np.bool_), *INTEGERS, *FLOATS)
SCIPY_DTYPES = tuple(dtype for dtype in DTYPES if dtype != np.float16)
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")

sizes = st.sampled_from(SIZES)
shapes = st.tuples(sizes, sizes)
dtypes = st.sampled_from(DTYPES)
scipy_dtypes = st.sampled_from(SCIPY_DTYPES)
formats = st.sampled_from(FORMATS)
seeds = st.integers(0, 2**32 - 1)


def draw_values(rng, dtype, count):
    """Values with every sign of trouble: -0.0, NaN with a payload, infinities, subnormals, zeros, extremes."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return rng.random(count) < 0.8
    if dtype.kind in "iu":
        return rng.integers(0, 256, (count, dtype.itemsize), dtype=np.uint8).view(dtype).reshape(count)
    values = rng.standard_normal(count).astype(dtype)
    info = np.finfo(dtype)
    special = np.array([-0.0, 0.0, np.inf, -np.inf, np.nan, info.smallest_subnormal, -info.max, info.tiny], dtype=dtype)
    odd = rng.random(count) < 0.3
    values[odd] = rng.choice(special, int(odd.sum()))
    payload = {2: (np.uint16, 0x7E55), 4: (np.uint32, 0xFFC12345), 8: (np.uint64, 0x7FF8DEADBEEF0001)}.get(
        dtype.itemsize
    )
    if payload is not None:
        values.view(payload[0])[rng.random(count) < 0.05] = payload[1]
    return values


def unaligned(array):
    """The same values one byte off."""
    raw = np.zeros(array.nbytes + 1, dtype=np.uint8)
    raw[1:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return np.ndarray(array.shape, array.dtype, raw, 1)


def same_bits(a, b):
    """Equal dtype, shape and bits; the padding of a long double is no value."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype == np.longdouble:
        return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a), np.signbit(b))
    return a.tobytes() == b.tobytes()


@st.composite
def triplets(draw, dtypes=dtypes, shapes=shapes, duplicates=True):
    """(data, (rows, cols)), shape: unsorted, with duplicates and stored zeros."""
    (m, k), dtype, rng = draw(shapes), draw(dtypes), np.random.default_rng(draw(seeds))
    if m * k == 0:
        count = 0
    elif duplicates:
        count = draw(st.integers(0, 2 * (m + k)))
    else:
        count = draw(st.integers(0, m * k))
    places = rng.integers(0, m * k, count) if duplicates else rng.permutation(m * k)[:count]
    index_dtype = draw(st.sampled_from([np.int32, np.int64]))
    rows, cols = (places // max(k, 1)).astype(index_dtype), (places % max(k, 1)).astype(index_dtype)
    return (draw_values(rng, dtype, count), (rows, cols)), (m, k)


@st.composite
def scipy_matrices(draw, formats=formats, dtypes=scipy_dtypes, shapes=shapes, duplicates=False):
    """A scipy.sparse array or matrix of any format; with `duplicates`, coo, csr and csc as assembly leaves them."""
    (data, (rows, cols)), shape = draw(triplets(dtypes, shapes, duplicates))
    container = draw(st.sampled_from(["array", "matrix"]))
    name = draw(formats)
    make = getattr(scipy.sparse, f"{name}_{container}")
    if duplicates and name in ("csr", "csc"):
        major, minor, n = (rows, cols, shape[0]) if name == "csr" else (cols, rows, shape[1])
        order = np.argsort(major, kind="stable")
        indptr = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=n))]).astype(rows.dtype)
        return make((data[order], minor[order], indptr), shape=shape)
    coo = scipy.sparse.coo_array((data, (rows, cols)), shape=shape)
    if name == "bsr":
        divisors = [(r, c) for r in (1, 2, 3) for c in (1, 2, 3) if shape[0] % r == 0 and shape[1] % c == 0]
        return make(coo.tobsr(blocksize=draw(st.sampled_from(divisors))))
    if name == "lil" and data.dtype == np.longdouble:
        make = getattr(scipy.sparse, f"dok_{container}")  # scipy's LIL narrows to float64 on the way out
    return make(coo)


@st.composite
def patterns(draw, max_rows=33, max_cols=33):
    """A small bool matrix of any density, some columns full, some rows empty."""
    m, k = draw(st.integers(0, max_rows)), draw(st.integers(0, max_cols))
    rng = np.random.default_rng(draw(seeds))
    mask = rng.random((m, k)) < draw(st.sampled_from([0.02, 0.1, 0.3, 0.9]))
    if draw(st.booleans()):
        mask[:, rng.random(k) < 0.1] = True
    mask[rng.random(m) < 0.2] = False
    return mask


@st.composite
def structured(draw):
    """A float32 `oracle.Csr` that one of the layouts for structured patterns is for, or that just fails to be."""
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(["blocks", "strips", "windows", "windows", "windows"]))
    if kind == "blocks":
        shape = 4 * draw(st.integers(1, 30)), 4 * draw(st.integers(1, 40))
        return blocked_csr(rng, shape, draw(st.sampled_from([0.05, 0.2, 0.7])))
    if kind == "strips":
        return strips_csr(rng, (16 * draw(st.integers(1, 9)), draw(st.integers(4, 200))), draw(st.floats(0, 1)))
    height, per_window = draw(st.sampled_from([1, 1, 2, 3, 4, 8])), draw(st.integers(1, 8))
    width = draw(st.integers(max(2, per_window), 64))
    lanes = draw(st.sampled_from(levels.LANES))
    rows = max(
        1, lanes * height * draw(st.integers(0, 9)) + draw(st.integers(-1, 1)) * draw(st.sampled_from([1, height]))
    )
    cols = width * draw(st.integers(1, 13)) + draw(st.sampled_from([0, 0, 1, width // 2, width - 1]))
    missing = draw(st.sampled_from([0, 0, 0.01, 0.04, 0.3]))
    return windowed_csr(rng, (min(rows, 400), cols), width, per_window, height, missing)
