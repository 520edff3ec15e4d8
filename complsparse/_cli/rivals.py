# SPDX-License-Identifier: BSD-3-Clause
"""What the command line compares with: scipy, NumPy's dense product, and MKL where it is installed.

Every side is called the way a Python program calls it, so the times include what the call costs. The benchmarks of the
source tree time the kernels alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.metadata
import math
import os
import statistics
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import threadpoolctl
from numpy.typing import NDArray

from complsparse._config import num_threads

SCIPY, NUMPY, MKL_DENSE, MKL_SPARSE = "scipy", "NumPy dense", "MKL dense", "MKL sparse"
MAX_DENSE_BYTES = 2**29  # a dense form above this is not made
EXPECTED_CALLS = 100_000  # what MKL is told, so that it spends its time on optimising
SAMPLE_SECONDS = 5e-4  # a sample is at least this long, so that reading the clock costs nothing
# The pools of threads of different libraries spin for a while after a job, on the cores that the next side needs.
PAUSE_SECONDS, MOST_PAUSED_ROUNDS = 0.05, 5

Call = Callable[[], Any]


# --- timing -----------------------------------------------------------------------------------------------------------


def _sample(call: Call, repeats: int, pause: float = 0.0) -> float:
    if pause:
        time.sleep(pause)
        call()  # wakes the threads
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def interleaved_medians(calls: dict[str, Call], rounds: int, pause: float = 0.0) -> dict[str, float]:
    """Seconds per call: the median over rounds in which every side has its turn, in alternating order.

    Values that overflow or are NaN are no reason to warn: what is timed has been checked.
    """
    repeats = {}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    collecting = gc.isenabled()
    gc.disable()
    try:
        with np.errstate(all="ignore"):
            for name, call in calls.items():
                call()
                repeats[name] = max(1, math.ceil(SAMPLE_SECONDS / max(_sample(call, 2, pause), 1e-9)))
            for turn in range(rounds):
                for name in list(calls) if turn % 2 == 0 else reversed(list(calls)):
                    samples[name].append(_sample(calls[name], repeats[name], pause))
    finally:
        if collecting:
            gc.enable()
    return {name: statistics.median(times) for name, times in samples.items()}


# --- checking ---------------------------------------------------------------------------------------------------------


class Reference:
    """The product in float64 by scipy, and how far a product in another float type may be from it.

    The bound is the one of the documentation: |C - C*| <= gamma_k (|A| |B|), component by component, with k the stored
    entries of the row and gamma_k = k u / (1 - k u).
    """

    def __init__(self, csr: Any, x: NDArray[Any]) -> None:
        with np.errstate(all="ignore"):
            exact = csr.astype(np.float64)
            wide = x.astype(np.float64)
            self.product = exact @ wide
            self.magnitude = abs(exact) @ abs(wide)
        self.counts = np.diff(csr.indptr).reshape((-1,) + (1,) * (x.ndim - 1))

    def _gamma(self, dtype: Any) -> NDArray[np.float64]:
        ku = self.counts * (np.finfo(dtype).eps / 2)
        return np.where(ku < 1, ku / np.maximum(1 - ku, 1e-16), np.inf)

    def agrees(self, y: NDArray[Any]) -> bool:
        """Whether every element of y is within the bound; the reference has rounding errors of its own."""
        with np.errstate(all="ignore"):
            smallest = float(np.finfo(y.dtype).smallest_subnormal)
            bound = (self._gamma(y.dtype) + self._gamma(np.float64)) * self.magnitude + self.counts * smallest
            near = np.abs(y - self.product) <= bound
            same = (y == self.product.astype(y.dtype)) | (np.isnan(y) & np.isnan(self.product))
        return bool((near | same).all())


# --- MKL --------------------------------------------------------------------------------------------------------------


def find_mkl() -> str | None:
    """The path of libmkl_rt: of the installed package `mkl`, of this environment, or of MKLROOT."""
    candidates: list[Path] = []
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        files = importlib.metadata.files("mkl") or []
        candidates += [Path(str(file.locate())) for file in files if file.name.startswith("libmkl_rt.so")]
    folders = [Path(sys.prefix, "lib")] + [Path(root, "lib") for root in [os.environ.get("MKLROOT")] if root]
    for folder in folders:
        candidates += sorted(folder.glob("libmkl_rt.so*"))
    return next((str(path.resolve()) for path in candidates if path.exists()), None)


class _Description(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("type", "mode", "diag")]


_GENERAL, _NO_TRANSPOSE, _ROW_MAJOR, _DENSE_NO_TRANSPOSE = 20, 10, 101, 111
_SEQUENTIAL, _INTEL, _GNU = 1, 0, 3  # threading layers


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _ints(*values: int) -> list[ctypes.c_int]:
    return [ctypes.c_int(value) for value in values]


class Mkl:
    """MKL's sparse inspector-executor and dense BLAS through ctypes."""

    def __init__(self, path: str, threads: int) -> None:
        # More than one thread: the OpenMP runtime that this library uses too, so that two pools do not compete.
        gnu = threads > 1 and _load_gomp()
        self._library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        self._library.MKL_Set_Interface_Layer(0)  # 32-bit indices
        self._library.MKL_Set_Threading_Layer(_SEQUENTIAL if threads == 1 else _GNU if gnu else _INTEL)
        self._library.MKL_Set_Num_Threads(threads)
        text = ctypes.create_string_buffer(198)
        self._library.MKL_Get_Version_String(text, 198)
        words = text.value.decode(errors="replace").split()
        self.version = next((word.partition("-")[0] for word in words if word[:1].isdigit()), "of unknown version")

    def sparse(self, csr: Any, x: NDArray[Any], y: NDArray[Any]) -> Call:
        """y = csr @ x with hints and `mkl_sparse_optimize`; arrays row-major, as the caller has them."""
        letter, scalar = self._types(csr.dtype)
        starts, columns = csr.indptr.astype(np.int32), csr.indices.astype(np.int32)
        handle = ctypes.c_void_p()
        create = getattr(self._library, f"mkl_sparse_{letter}_create_csr")
        ends = ctypes.c_void_p(starts.ctypes.data + starts.itemsize)
        _check(create(ctypes.byref(handle), *_ints(0, *csr.shape), _at(starts), ends, _at(columns), _at(csr.data)))
        description = _Description(_GENERAL, 0, 0)
        arguments: tuple[Any, ...]
        operation, layout = _ints(_NO_TRANSPOSE, _ROW_MAJOR)
        if x.ndim == 1:
            hint = self._library.mkl_sparse_set_mv_hint(handle, operation, description, ctypes.c_int(EXPECTED_CALLS))
            function = getattr(self._library, f"mkl_sparse_{letter}_mv")
            arguments = (operation, scalar(1), handle, description, _at(x), scalar(0), _at(y))
        else:
            n = x.shape[1]
            hint = self._library.mkl_sparse_set_mm_hint(
                handle, operation, description, layout, *_ints(n, EXPECTED_CALLS)
            )
            function = getattr(self._library, f"mkl_sparse_{letter}_mm")
            size = ctypes.c_int(n)
            arguments = (operation, scalar(1), handle, description, layout, _at(x), size, size, scalar(0), _at(y), size)
        _check(hint)
        _check(self._library.mkl_sparse_optimize(handle))

        def call(keep: Any = (starts, columns, csr, x, y)) -> None:
            function(*arguments)

        _check(function(*arguments))
        weakref.finalize(call, self._library.mkl_sparse_destroy, handle)
        return call

    def dense(self, matrix: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> Call:
        """y = matrix @ x by cblas_?gemv or cblas_?gemm, row-major."""
        letter, scalar = self._types(matrix.dtype)
        rows, columns = matrix.shape
        head = _ints(_ROW_MAJOR, _DENSE_NO_TRANSPOSE)
        arguments: tuple[Any, ...]
        if x.ndim == 1:
            function = getattr(self._library, f"cblas_{letter}gemv")
            one = ctypes.c_int(1)
            sizes = _ints(rows, columns)
            arguments = (*head, *sizes, scalar(1), _at(matrix), sizes[1], _at(x), one, scalar(0), _at(y), one)
        else:
            function = getattr(self._library, f"cblas_{letter}gemm")
            m, n, k, no = _ints(rows, x.shape[1], columns, _DENSE_NO_TRANSPOSE)
            arguments = (*head, no, m, n, k, scalar(1), _at(matrix), k, _at(x), n, scalar(0), _at(y), n)

        def call(keep: Any = (matrix, x, y)) -> None:
            function(*arguments)

        return call

    @staticmethod
    def _types(dtype: Any) -> tuple[str, Any]:
        return ("s", ctypes.c_float) if dtype == np.float32 else ("d", ctypes.c_double)


def _load_gomp() -> bool:
    for library in threadpoolctl.threadpool_info():
        if library["prefix"] == "libgomp":
            ctypes.CDLL(library["filepath"], mode=ctypes.RTLD_GLOBAL)
            return True
    return False


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"MKL returned status {status}")


# --- all of them ------------------------------------------------------------------------------------------------------


def _numpy_blas() -> str:
    """The BLAS behind NumPy by its own name; never called MKL unless it is."""
    names = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS", "flexiblas": "FlexiBLAS"}
    for library in threadpoolctl.threadpool_info():
        if library["user_api"] == "blas" and ("numpy" in library["filepath"] or library["internal_api"] == "mkl"):
            return f"{names.get(library['internal_api'], library['internal_api'])} {library['version']}"
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{built['name']} {built['version']}"


class Rivals:
    """Who is here, and their calls for one product. Use as a context: inside, everybody has the same threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.present = {SCIPY: f"scipy {scipy.__version__}", NUMPY: f"NumPy {np.__version__} with {_numpy_blas()}"}
        self.absent: dict[str, str] = {}
        self._mkl: Mkl | None = None
        path = find_mkl()
        if path is None:
            self.absent["MKL"] = "not installed (pip install mkl)"
            return
        try:
            self._mkl = Mkl(path, threads)
        except (OSError, AttributeError) as error:
            self.absent["MKL"] = f"{path} does not load: {error}"
            return
        self.present |= dict.fromkeys((MKL_DENSE, MKL_SPARSE), f"MKL {self._mkl.version}")

    @property
    def names(self) -> list[str]:
        return list(self.present)

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        with num_threads(self.threads), threadpoolctl.threadpool_limits(limits=self.threads, user_api="blas"):
            yield

    def medians(self, calls: dict[str, Call], rounds: int) -> dict[str, float]:
        if self.threads == 1:
            return interleaved_medians(calls, rounds)
        return interleaved_medians(calls, min(rounds, MOST_PAUSED_ROUNDS), PAUSE_SECONDS)

    def calls(self, csr: Any, x: NDArray[Any], reference: Reference) -> tuple[dict[str, Call], dict[str, str]]:
        """Their calls for csr @ x, and why some have none. A wrong product is a reason."""
        shape = (csr.shape[0], *x.shape[1:])
        calls: dict[str, Call] = {SCIPY: lambda: csr @ x}
        with np.errstate(all="ignore"):
            outputs: dict[str, NDArray[Any]] = {SCIPY: csr @ x}
        without: dict[str, str] = {}

        def output(name: str) -> NDArray[Any]:
            return outputs.setdefault(name, np.zeros(shape, dtype=csr.dtype))

        if csr.shape[0] * csr.shape[1] * csr.dtype.itemsize <= MAX_DENSE_BYTES:
            dense = csr.toarray()
            y = output(NUMPY)
            calls[NUMPY] = lambda: np.matmul(dense, x, out=y)
            if self._mkl is not None and x.size and csr.shape[0]:
                calls[MKL_DENSE] = self._mkl.dense(dense, x, output(MKL_DENSE))
        else:
            reason = f"the dense form takes more than {MAX_DENSE_BYTES >> 20} MiB"
            without |= {name: reason for name in (NUMPY, MKL_DENSE) if name in self.present}
        if self._mkl is not None and csr.nnz:
            try:
                calls[MKL_SPARSE] = self._mkl.sparse(csr, x, output(MKL_SPARSE))
            except RuntimeError as error:
                without[MKL_SPARSE] = str(error)
        for name in list(calls):
            with np.errstate(all="ignore"):
                calls[name]()
            if not reference.agrees(outputs[name]):
                del calls[name]
                without[name] = "the product is outside the bound"
        return calls, without
