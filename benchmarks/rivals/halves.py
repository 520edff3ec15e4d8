# SPDX-License-Identifier: BSD-3-Clause
"""Dense products of bfloat16, called from Python: x (N, K), W (rows, K), results in float32."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mkl_linear(x: NDArray[Any], W: NDArray[Any]) -> dict[str, Callable[[], object]]:
    from benchmarks.rivals.mkl import mkl

    row_major, plain, transposed = 101, 111, 112
    (n, cols), rows = x.shape, len(W)
    y = np.empty((n, rows), np.float32)
    gemm = mkl(1).library.cblas_gemm_bf16bf16f32
    a, b, to = (array.ctypes.data_as(ctypes.c_void_p) for array in (x, W, y))  # which keep the arrays
    sizes = [ctypes.c_int(size) for size in (n, rows, cols)]
    across, down, out = (ctypes.c_int(size) for size in (cols, cols, rows))
    one, none = ctypes.c_float(1), ctypes.c_float(0)

    def call() -> None:
        gemm(row_major, plain, transposed, *sizes, one, a, across, b, down, none, to, out)

    call()
    wanted = x.astype(np.float64) @ W[:4].astype(np.float64).T
    if not np.allclose(y[:, :4], wanted, rtol=1e-3, atol=1e-2):
        raise AssertionError("cblas_gemm_bf16bf16f32 was called wrongly")
    return {"MKL gemm_bf16bf16f32": call}
