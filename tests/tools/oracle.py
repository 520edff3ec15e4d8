# SPDX-License-Identifier: BSD-3-Clause
"""What a product must be, computed with NumPy alone: values, error bounds, result dtypes; and matrices to multiply.

A float product C of stored entries A and dense X satisfies |C - C*| <= gamma_k (|A| |X|) for each component, with k the
stored entries of the row and gamma_k = k u / (1 - k u). An integer product is exact modulo 2**bits.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import HealthCheck, settings
from numpy.testing import assert_array_equal

import complsparse as cs

FORMS = ("W @ X", "X @ W", "linear")
COMPUTE = {  # the products of one type, and what NumPy calls it
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "i64": np.dtype(np.int64),
    "s32": np.dtype(np.int32),
}


def cases(n):
    """Settings of a property: n examples by default, more in proportion under another profile."""
    return settings(
        max_examples=max(1, n * settings().max_examples // 100),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


# --- dtypes ----------------------------------------------------------------------------------------------------------


def is_exact(dtype):
    return np.dtype(dtype).kind in "biu"


def result_dtype(w, x):
    """Of W (dtype w) times X (dtype x)."""
    w, x = np.dtype(w), np.dtype(x)
    if w == np.int8 and x in (np.int8, np.uint8):
        return np.dtype(np.int32)
    plain = np.result_type(w, x)
    return np.dtype(np.float32) if plain == np.float16 else plain


def compute_dtype(result):
    if is_exact(result):  # exact modulo 2**bits in any type as wide
        wide = (dtype for dtype in COMPUTE.values() if is_exact(dtype) and dtype.itemsize >= np.dtype(result).itemsize)
        return min(wide, key=lambda dtype: dtype.itemsize)
    return np.dtype(np.float64 if result == np.float64 else np.float32)


# --- products --------------------------------------------------------------------------------------------------------


class Expected(NamedTuple):
    value: np.ndarray  # exact modulo 2**64, or in a wider type than the one that is checked
    bound: np.ndarray  # of the error of each component


def _row_sums(indptr, terms):
    sums = np.zeros((len(indptr) - 1, *terms.shape[1:]), dtype=terms.dtype)
    owning = np.diff(indptr) > 0
    if owning.any():
        sums[owning] = np.add.reduceat(terms, indptr[:-1][owning], axis=0)
    return sums


def expected_columns(S, X, result, bias=None, relu=False):
    """S (M, K), whose stored zeros count, times X (K, n)."""
    compute = compute_dtype(result)
    if is_exact(compute):
        wide = compute
    else:
        wide = np.dtype(np.float64) if compute == np.float32 else np.dtype(np.longdouble)
    with np.errstate(all="ignore"):
        a = S.data.astype(compute).astype(wide)[:, None]
        x = X.astype(compute).astype(wide)
        terms = a * x[S.indices]
        value = _row_sums(S.indptr, terms)
        k = np.diff(S.indptr)[:, None]
        size = _row_sums(S.indptr, np.abs(terms))
        if bias is not None:
            offset = np.asarray(bias).astype(compute).astype(wide)[:, None]
            value, size, k = value + offset, size + np.abs(offset), k + 1
        if relu and is_exact(compute) and result != np.bool_:
            value = value.astype(result)  # the sign is the result's, after the wrap
        if relu:
            value = np.where(value < 0, np.zeros_like(value), value)
        if is_exact(compute):
            return Expected(value, np.zeros_like(value))
        info = np.finfo(compute)
        u = info.eps / 2
        gamma = k * u / (1 - k * u)
        # The reference rounds too, but 2**-29 (2**-11) as much; near zero the smallest number is what rounding costs.
        bound = size * gamma * (1 + 2.0**-9) + k * wide.type(info.smallest_subnormal)
        if result == np.float16:
            half = np.finfo(np.float16)
            bound += (np.abs(value) + bound) * (half.eps / 2) + wide.type(half.smallest_subnormal)
        return Expected(value, bound)


def expected(S, X, result, form="W @ X", bias=None, relu=False):
    """The product of one form; S is the matrix that the form names W, X has any axes in front."""
    X = np.asarray(X)
    if form == "X @ W":
        S = S.T
    features = -1 if X.ndim == 1 or form != "W @ X" else -2
    moved = np.moveaxis(X, features, 0)
    columns = moved.reshape(S.shape[1], int(np.prod(moved.shape[1:])))
    of_columns = expected_columns(S, columns, result, bias, relu)
    back = [np.moveaxis(part.reshape(S.shape[0], *moved.shape[1:]), 0, features) for part in of_columns]
    return Expected(*back)


def assert_product(actual, wanted, dtype, note=""):
    """`actual` has the dtype and shape, and lies within the bound; NaN and infinities stand exactly where they must."""
    assert type(actual) is np.ndarray
    assert (actual.dtype, actual.shape) == (np.dtype(dtype), wanted.value.shape), note
    if is_exact(dtype):
        exact = wanted.value != 0 if actual.dtype == np.bool_ else wanted.value.astype(dtype)
        assert_array_equal(actual, exact, err_msg=str(note))
        return
    finite = np.isfinite(wanted.value)
    if not finite.all():
        assert_array_equal(actual[~finite], wanted.value[~finite].astype(dtype), err_msg=str(note))
    error = np.abs(actual[finite].astype(wanted.value.dtype) - wanted.value[finite])
    outside = ~(error <= wanted.bound[finite])
    if outside.any():
        worst = np.argmax(np.where(outside, error, -1))
        where = tuple(int(i) for i in np.argwhere(finite)[worst])
        raise AssertionError(
            f"{note}: {outside.sum()} of {actual.size} outside the bound; at {where} {actual[where]!r} "
            f"for {wanted.value[where]!r}, error {error[worst]:.3g} > {wanted.bound[where]:.3g}"
        )


def apply(form, W, X, **options):
    if form == "W @ X":
        return cs.matmul(W, X, **options)
    if form == "X @ W":
        return cs.matmul(X, W, **options)
    return cs.linear(X, W, **options)


def input_shape(form, shape, n):
    """Of X for n columns (rows) of a W of this shape."""
    return {"W @ X": (shape[1], n), "X @ W": (n, shape[0]), "linear": (n, shape[1])}[form]


def output_features(form, shape):
    return shape[1] if form == "X @ W" else shape[0]


# --- matrices --------------------------------------------------------------------------------------------------------


class Csr(NamedTuple):
    """A canonical CSR matrix of any dtype, on NumPy alone."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple[int, int]

    @property
    def rows(self):
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    @property
    def T(self):
        order = np.argsort(self.indices, kind="stable")
        indptr = np.concatenate([[0], np.cumsum(np.bincount(self.indices, minlength=self.shape[1]))])
        return Csr(self.data[order], self.rows[order], indptr, self.shape[::-1])

    @property
    def pattern(self):
        """Where an entry is stored, zeros included."""
        mask = np.zeros(self.shape, dtype=bool)
        mask[self.rows, self.indices] = True
        return mask

    def packed(self, **options):
        return cs.from_coo(self.data, (self.rows, self.indices), self.shape, **options)


def csr_of(mask, data):
    """The entries of a bool mask, in row order."""
    rows, cols = np.nonzero(mask)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=mask.shape[0]))])
    return Csr(data, cols, indptr, mask.shape)


def draw(rng, shape, dtype):
    """Values that no product of moderate size takes out of range; integers of every size, because they may wrap."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        shape = np.broadcast_shapes(shape)
        return np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape).copy()
    scale = 2.0 ** rng.integers(-4, 5, shape) if dtype != np.float16 else 0.25
    return (rng.standard_normal(shape) * scale).astype(dtype)


def random_csr(rng, shape, density, dtype=np.float32, zeros=0.05):
    """Uneven rows, some empty, and a share of stored zeros; density 1 is full."""
    m, k = shape
    share = np.ones(m) if density >= 1 else np.minimum(density * rng.choice([0, 1, 1, 2], m), 1)
    counts = rng.binomial(k, share)
    indices = np.concatenate([np.zeros(0, int), *(np.sort(rng.choice(k, count, replace=False)) for count in counts)])
    data = draw(rng, len(indices), dtype)
    data[rng.random(len(data)) < zeros] = 0
    return Csr(data, indices, np.concatenate([[0], np.cumsum(counts)]), (m, k))


def windowed_csr(rng, shape, width, per_window=1, height=1, missing=0.0, dtype=np.float32):
    """Every row owns per_window of each `width` neighbouring columns, fewer in a ragged last window; a share of the
    entries is missing; `height` neighbouring rows have one pattern."""
    m, k = shape
    mask = np.zeros((-(-m // height), k), dtype=bool)
    for first in range(0, k, width):
        n = min(width, k - first)
        picks = rng.random((len(mask), n)).argsort(axis=1)[:, : round(per_window * n / width)]
        np.put_along_axis(mask, first + picks, True, axis=1)
    mask &= rng.random(mask.shape) >= missing
    mask = mask.repeat(height, axis=0)[:m]
    return csr_of(mask, draw(rng, mask.sum(), dtype))


def blocked_csr(rng, shape, density, side=4, dtype=np.float32):
    """Whole square blocks: rows of blocks of every length, the first empty, the last full."""
    m, k = shape[0] // side, shape[1] // side
    mask = rng.random((m, k)) < density * rng.choice([0, 0.3, 1, 1, 2], (m, 1))
    mask[0], mask[-1] = False, True
    mask = np.kron(mask, np.ones((side, side), dtype=bool))
    return csr_of(mask, draw(rng, mask.sum(), dtype))


def strips_csr(rng, shape, density, dtype=np.float32):
    """Sixteen rows to a pattern, its columns in quads that start anywhere; the first strip empty, the last full."""
    m, k = shape[0] // 16, shape[1]
    mask = np.zeros((m, k), dtype=bool)
    for strip in range(m):
        at = k if strip == 0 else rng.integers(0, 4)
        while at + 4 <= k:
            if strip == m - 1 or rng.random() < density:
                mask[strip, at : at + 4] = True
                at += 4
            else:
                at += rng.integers(1, 6)
    mask = np.repeat(mask, 16, axis=0)
    return csr_of(mask, draw(rng, mask.sum(), dtype))
