# SPDX-License-Identifier: BSD-3-Clause
"""Matrices of 8-bit weights of many patterns, and every way to multiply them against sums in int64."""

import numpy as np
from numpy.testing import assert_array_equal
from quantized import LIMITS, factor

import complsparse as cs
from complsparse import _core

PATTERNS = ("balanced", "bernoulli", "ragged", "blocks", "band", "full")


def draw_numbers(rng, shape, dtype):
    """Of a type of 8 bits: all of them, or its extremes alone."""
    low, high = LIMITS[np.dtype(dtype).name]
    if rng.random() < 0.25:
        return rng.choice(np.array([low, low, high, 0], dtype), shape)
    return rng.integers(low, high, shape, dtype=dtype, endpoint=True)


def draw_mask(rng, rows, cols, pattern):
    if pattern == "balanced":
        return cs.random((rows, cols), set_size=int(rng.integers(2, 40)), rng=rng).toarray() != 0
    if pattern == "blocks":
        height = int(rng.choice([2, 4, 8, 16]))
        mask = rng.random((-(-rows // height), cols)) < rng.uniform(0.02, 0.5)
        return np.repeat(mask, height, axis=0)[:rows]
    if pattern == "band":
        return abs(np.subtract.outer(np.arange(rows), np.arange(cols) * rows / max(cols, 1))) < rng.integers(1, 40)
    share = {"bernoulli": rng.uniform(0.005, 0.3), "ragged": rng.random((rows, 1)) ** 6, "full": 1.0}[pattern]
    return rng.random((rows, cols)) < share


def draw_weights(rng, rows, cols, pattern):
    """Dense, and packed: stored zeros may be among the numbers."""
    mask = draw_mask(rng, rows, cols, pattern)
    W = cs.from_dense(mask.astype(np.int8))
    W = W.with_values(draw_numbers(rng, W.nnz, np.int8))
    return W.toarray(), W


def exact_sums(D, x):
    """x (n, columns)."""
    return x.astype(np.int64) @ D.astype(np.int64).T


def check_equal(found, wanted, *words):
    """Words are put together where they are read."""
    if not np.array_equal(found, wanted):
        assert_array_equal(found, wanted, err_msg=", ".join(map(str, words)))


def check_dense(rng, D, W, n, dtype, batch_major):
    """Every candidate of a batch, with bias and ReLU; the layouts that there were."""
    x = draw_numbers(rng, (n, D.shape[1]), dtype)
    sums, layouts = exact_sums(D, x), []
    bias = rng.integers(-(2**20), 2**20, D.shape[0], dtype=np.int32) if rng.random() < 0.5 else None
    activation = "relu" if rng.random() < 0.5 else None
    wanted = sums if bias is None else sums + bias
    wanted = np.maximum(wanted, 0) if activation else wanted
    for i, candidate in enumerate(_core.candidates(W, n, dtype, batch_major)):
        f = _core.make_plan(W, n, dtype, batch_major, bias, activation, False, i)
        y = f(x if batch_major else x.T.copy())
        check_equal(y if batch_major else y.T, wanted, f.microkernel, D.shape, n)
        out = np.full((2 * n, D.shape[0]) if batch_major else (D.shape[0], 2 * n), 7, np.int32)
        apart = out[::2] if batch_major else out[:, ::2]
        f(x if batch_major else x.T, out=apart)
        check_equal(apart if batch_major else apart.T, wanted, f.microkernel, D.shape, n)
        assert (out[1::2] if batch_major else out[:, 1::2]).tobytes() == np.full(out.size // 2, 7, np.int32).tobytes()
        layouts.append(candidate["layout"])
    return layouts


def check_winners(rng, D, W, n, dtype, k):
    x = draw_numbers(rng, (n, D.shape[1]), dtype)
    w = cs.kwta(x, k)
    for i in range(len(_core.candidates(W, n, dtype, winners=k))):
        f = _core.make_plan(W, n, dtype, True, None, None, False, i, winners=k)
        check_equal(f(w), exact_sums(D, w.toarray()), f.microkernel, D.shape, n, k)
    assert_array_equal(cs.linear(w, W), exact_sums(D, w.toarray()))


def requantized(sums, factors, zero_point, low, high):
    """In int64, which holds all products: sums times multiplier / 2**shift, rounded half to even."""
    multipliers, shifts = (np.array(part, dtype=np.int64) for part in zip(*factors, strict=True))
    products = sums * multipliers
    below = products >> shifts
    twice = (products - (below << shifts)) * 2
    whole = np.int64(1) << shifts
    return np.clip(below + ((twice > whole) | ((twice == whole) & (below % 2 == 1))) + zero_point, low, high)


def check_quantized(rng, D, W, n, dtype):
    """`qlinear` with any zero points and scales, also of outputs that saturate."""
    scale = rng.choice(np.exp(rng.uniform(-9, 0, 3)).astype(np.float32), D.shape[0])  # few: their factors are fractions
    Wq = cs._matrix._restore({**W._state(), "scale": scale})
    x, out_dtype = draw_numbers(rng, (n, D.shape[1]), dtype), str(rng.choice(["uint8", "int8"]))
    x_zero, out_zero = (int(rng.integers(*LIMITS[of], endpoint=True)) for of in (dtype, out_dtype))
    x_scale, out_scale = np.exp(rng.uniform(-9, 0)), np.exp(rng.uniform(-9, 2))
    sums = exact_sums(D, x) - x_zero * D.sum(axis=1, dtype=np.int64)
    found = {of_row: factor(float(x_scale) * float(of_row) / float(out_scale)) for of_row in set(scale.tolist())}
    factors = [found[of_row] for of_row in scale.tolist()]
    wanted = requantized(sums, factors, out_zero, *LIMITS[out_dtype])
    y = cs.qlinear(
        x, Wq, x_scale=x_scale, x_zero_point=x_zero, out_scale=out_scale, out_zero_point=out_zero, out_dtype=out_dtype
    )
    check_equal(y, wanted, "qlinear", D.shape, n, x_zero, out_zero)
