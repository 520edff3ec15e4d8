# SPDX-License-Identifier: BSD-3-Clause
"""Products of operands that end, or begin, at a page without access. A step outside them ends the process.

Run by test_matmul.py and test_structured.py in a process of its own:
python guarded.py ISA_LEVEL [structured|narrow]
"""

import ctypes
import itertools
import mmap
import sys

import numpy as np
from oracle import blocked_csr, windowed_csr

import complsparse as cs
from complsparse import _core

PAGE = mmap.PAGESIZE
NO_ACCESS = 0
libc = ctypes.CDLL(None, use_errno=True)


def guarded(shape, dtype, at_end):
    """An array right before (or after) a page without access."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-size // PAGE) + 1
    memory = mmap.mmap(-1, pages * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    forbidden = address + (pages - 1) * PAGE if at_end else address
    if libc.mprotect(ctypes.c_void_p(forbidden), ctypes.c_size_t(PAGE), NO_ACCESS) != 0:
        raise OSError(ctypes.get_errno(), "mprotect failed")
    return np.ndarray(shape, dtype, memory, (pages - 1) * PAGE - size if at_end else PAGE)


def check(dtype, m, k, n, density, at_end, rng):
    dense = np.where(rng.random((m, k)) < density, rng.integers(1, 9, (m, k)), 0).astype(dtype)
    W = cs.from_dense(dense)
    x, y, bias = (guarded(shape, dtype, at_end) for shape in ((k, n), (m, n), (m,)))
    x[...], bias[...] = rng.integers(-9, 9, x.shape), rng.integers(-9, 9, m)
    wanted = dense @ x  # small integers: exact in every type
    np.testing.assert_array_equal(cs.matmul(W, x, out=y), wanted)
    np.testing.assert_array_equal(cs.matmul(W, x, out=y, bias=bias), wanted + bias[:, None])
    x_rows, y_rows = guarded((n, k), dtype, at_end), guarded((n, m), dtype, at_end)
    x_rows[...] = x.T
    np.testing.assert_array_equal(cs.linear(x_rows, W, bias, out=y_rows), wanted.T + bias)
    np.testing.assert_array_equal(cs.matmul(y_rows, W), y_rows @ dense)
    np.testing.assert_array_equal(cs.matmul(W.T, y, out=x), dense.T @ y)
    p, q = guarded((m, n), dtype, at_end), guarded((n, k), dtype, at_end)
    p[...], q[...] = rng.integers(-9, 9, p.shape), rng.integers(-9, 9, q.shape)
    np.testing.assert_array_equal(cs.sampled_matmul(W, p, q).toarray(), np.where(dense != 0, p @ q, 0))


def check_candidates(W, D, n, batch_major, at_end, numbers, y_type, endings=((None, None),)):
    """Every layout that could serve the product of W, which is D, with these numbers; with each bias and activation."""
    x = guarded((n, D.shape[1]) if batch_major else (D.shape[1], n), numbers.dtype, at_end)
    y = guarded((n, D.shape[0]) if batch_major else (D.shape[0], n), y_type, at_end)
    x[...] = numbers.T if batch_major else numbers
    wanted = D @ numbers.astype(np.float64)
    names = []
    for i, candidate in enumerate(_core.candidates(W, n, numbers.dtype, batch_major)):
        names.append(candidate["layout"])
        for bias, activation in endings:
            y[...] = -(2**31)  # no result
            plan = _core.make_plan(W, n, numbers.dtype, batch_major, bias, activation, False, i)
            plan(x, out=y)
            finished = wanted if bias is None else wanted + bias[:, None]
            finished = finished if activation is None else np.maximum(finished, 0)
            np.testing.assert_array_equal(y, finished.T if batch_major else finished)
    return names


def check_pattern(S, n, at_end, rng):
    """Both matrices and both memory orders, with and without bias and ReLU."""
    S = S._replace(data=rng.integers(1, 9, len(S.data)).astype(np.float32))
    dense = np.zeros(S.shape, np.float32)
    dense[S.rows, S.indices] = S.data
    names = set()
    for W, D in ((S.packed(), dense), (S.packed().T, dense.T)):
        bias = guarded(D.shape[:1], np.float32, at_end)
        bias[...] = rng.integers(-9, 9, len(bias))
        numbers = rng.integers(-9, 9, (D.shape[1], n)).astype(np.float32)
        for batch_major in (False, True):
            endings = ((None, None), (bias, "relu"))
            names |= set(check_candidates(W, D, n, batch_major, at_end, numbers, np.float32, endings))
    return names


def check_structured(rng):
    names = set()
    for at_end in (True, False):
        for width in (3, 8, 9, 16, 17, 32, 33, 64):
            # Fewer columns than a window's registers hold, just as many, one more; some windows and a ragged one.
            for cols in (width, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 5 * width, 6 * width - 1):
                rows, height = ((37, 1), (67, 4), (6, 2), (131, 4), (259, 1))[rng.integers(5)]
                S = windowed_csr(rng, (rows, cols), width, rng.integers(1, 1 + min(3, width)), height)
                if len(S.data):
                    names |= check_pattern(S, rng.choice([1, 2, 3, 4, 5, 8, 9, 12, 13, 33]), at_end, rng)
        for shape in ((4, 4), (12, 8), (20, 36), (64, 64), (4, 400)):
            for density in (0.1, 1):
                for n in (1, 5, 17):
                    names |= check_pattern(blocked_csr(rng, shape, density), n, at_end, rng)
    assert names >= {"routed", "squares", "shared_row_groups", "row_groups", "windows"}, names


def check_narrow(rng):
    """Bytes and, where the package is there, bfloat16: rows that end within a vector, columns within a few bytes."""
    types = [(np.int8, np.uint8, np.int32), (np.int8, np.int8, np.int32)]
    try:
        import ml_dtypes
    except ImportError:
        pass
    else:
        types.append((ml_dtypes.bfloat16, ml_dtypes.bfloat16, np.float32))
    names = set()
    for shape, block in (((13, 17), (1, 1)), ((32, 68), (16, 4)), ((8, 131), (4, 2)), ((48, 33), (1, 4))):
        blocks = [-(-side // of_block) for side, of_block in zip(shape, block, strict=True)]
        mask = np.kron(rng.random(blocks) < 0.3, np.ones(block, bool))[: shape[0], : shape[1]]
        dense = np.where(mask, rng.integers(1, 9, shape), 0)
        for w_type, x_type, y_type in types:
            W = cs.from_dense(dense.astype(w_type))
            for n, batch_major, at_end in itertools.product(
                (*range(1, 18), 23, 31, 33, 63, 65), (False, True), (True, False)
            ):
                numbers = rng.integers(0 if x_type is np.uint8 else -9, 10, (shape[1], n)).astype(x_type)
                names |= set(check_candidates(W, dense, n, batch_major, at_end, numbers, y_type))
    assert names >= {"quads", "row_groups"}, names


def main():
    cs._core.set_isa(sys.argv[1])
    rng = np.random.default_rng(0)
    if sys.argv[2:] == ["structured"]:
        check_structured(rng)
        return
    if sys.argv[2:] == ["narrow"]:
        check_narrow(rng)
        return
    for dtype in (np.float32, np.float64, np.int64):
        for at_end in (True, False):
            for m, k in ((1, 1), (3, 2), (5, 3), (7, 4), (9, 5), (13, 17), (30, 67), (8, 130)):
                for n in (1, 2, 3, 5, 8, 9, 16, 17, 31, 33, 67, 129):
                    check(dtype, m, k, n, rng.choice([0.05, 0.3, 1]), at_end, rng)


if __name__ == "__main__":
    main()
