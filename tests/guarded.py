# SPDX-License-Identifier: BSD-3-Clause
"""Products of operands that end, or begin, at a page without access. A step outside them ends the process.

Run by test_matmul.py in a process of its own: python guarded.py ISA_LEVEL
"""

import ctypes
import mmap
import sys

import numpy as np

import complsparse as cs

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


def main():
    cs._core.set_isa(sys.argv[1])
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64, np.int64):
        for at_end in (True, False):
            for m, k in ((1, 1), (3, 2), (5, 3), (7, 4), (9, 5), (13, 17), (30, 67), (8, 130)):
                for n in (1, 2, 3, 5, 8, 9, 16, 17, 31, 33, 67, 129):
                    check(dtype, m, k, n, rng.choice([0.05, 0.3, 1]), at_end, rng)


main()
