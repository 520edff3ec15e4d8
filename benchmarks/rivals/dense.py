# SPDX-License-Identifier: BSD-3-Clause
"""Dense gemm and gemv: MKL's, and those of the BLAS that NumPy and SciPy brought."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_blas
from threadpoolctl import threadpool_info

from benchmarks.rivals.case import Case, aligned, aligned_zeros
from benchmarks.rivals.mkl import Mkl, mkl, mkl_available
from benchmarks.rivals.peer import COL_MAJOR, LETTER, ROW_MAJOR, SUFFIX, Peer, Variant
from benchmarks.timing import address

# Who is loaded before this module loads anything else: the BLAS that numpy and scipy brought.
blas_at_import = [info for info in threadpool_info() if info["user_api"] == "blas"]


class _Dense(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("routine", "a", "b", "c")],
        *[(name, ctypes.c_int) for name in ("order", "trans_a", "trans_b", "m", "n", "k", "lda", "ldb", "ldc")],
    ]


_NO_TRANS, _TRANS, _PACKED = 111, 112, 151
_A_MATRIX, _B_MATRIX = 161, 162


def _dense_forms(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Arguments of gemm or gemv for y = W x or y = x W^T, row-major, with W stored as it is and stored transposed."""
    rows, columns = case.matrix.shape
    for trans, w in ((_NO_TRANS, case.dense), (_TRANS, case.dense_transposed)):
        word = "weights as they are" if trans == _NO_TRANS else "weights transposed"
        ldw = w.shape[1]
        if case.n == 1:
            yield word, {"w": w, "trans_a": trans, "m": w.shape[0], "n": w.shape[1], "lda": ldw}
        elif case.batch_major:
            trans_b = _TRANS if trans == _NO_TRANS else _NO_TRANS
            yield word, {"w": w, "side": "b", "trans_a": _NO_TRANS, "trans_b": trans_b, "m": case.n, "n": rows,
                         "k": columns, "lda": columns, "ldb": ldw, "ldc": rows}  # fmt: skip
        else:
            yield word, {"w": w, "side": "a", "trans_a": trans, "trans_b": _NO_TRANS, "m": rows, "n": case.n,
                         "k": columns, "lda": ldw, "ldb": case.n, "ldc": case.n}  # fmt: skip


class _DensePeer(Peer):
    """What the two dense rivals share: W as an array, and a context for the call."""

    def _dense_variant(
        self, case: Case, form: str, function: str, routine: int, w: Any, w_address: int, arguments: dict[str, int],
        w_first: bool, x: NDArray[Any] | None = None, y: NDArray[Any] | None = None,
        result: NDArray[Any] | None = None, settle_ns: float = 0.0, family: str = "unpacked",
    ) -> Variant:  # fmt: skip
        natural = x is None
        x = case.x if x is None else x
        y = case.new_output() if y is None else y
        result = case.as_columns(y) if result is None else result
        a, b = (w_address, x.ctypes.data) if w_first else (x.ctypes.data, w_address)
        context = _Dense(routine=routine, a=a, b=b, c=y.ctypes.data, **arguments)
        return self._variant(form, address(f"{function}_{SUFFIX[case.dtype]}"), ctypes.addressof(context),
                             (context, w, x, y), result, natural, settle_ns, family)  # fmt: skip


class MklDense(_DensePeer):
    """MKL's dense gemm and gemv: weights as they are, transposed, packed ahead; row- and column-major."""

    name = "MKL dense"

    def available(self) -> tuple[bool, str]:
        return mkl_available()

    def variants(self, case: Case) -> Iterator[Variant]:
        lib = mkl(case.threads)
        letter = LETTER[case.dtype]
        forms = list(_dense_forms(case))
        if case.n == 1:
            for word, form in forms:
                w = form.pop("w")
                yield self._dense_variant(case, f"gemv {word}", "cblas_gemv", lib.address(f"cblas_{letter}gemv"), w,
                                          w.ctypes.data, {"order": ROW_MAJOR, **form}, True)  # fmt: skip
        else:
            for word, form in forms:
                w, side = form.pop("w"), form.pop("side")
                yield self._dense_variant(case, f"gemm {word}", "cblas_gemm", lib.address(f"cblas_{letter}gemm"), w,
                                          w.ctypes.data, {"order": ROW_MAJOR, **form}, side == "a")  # fmt: skip
        yield self._packed(lib, case, case.n == 1 or not case.batch_major)
        if case.n > 1 and not case.batch_major:
            yield from self._column_major(lib, case)

    def _column_major(self, lib: Mkl, case: Case) -> Iterator[Variant]:
        """y^T = x^T W^T, with x and y column-major as if the caller had them so, and with transposing them timed."""
        rows, columns = case.matrix.shape
        gemm = lib.address(f"cblas_{LETTER[case.dtype]}gemm")
        for trans, w in ((_TRANS, case.dense), (_NO_TRANS, case.dense_transposed)):
            word = "column-major" if trans == _TRANS else "column-major, weights transposed"
            x = aligned(np.ascontiguousarray(case.x.T))
            y = aligned(np.full((case.n, rows), np.nan, case.dtype))
            form = {"order": COL_MAJOR, "trans_a": trans, "trans_b": _NO_TRANS, "m": rows, "n": case.n, "k": columns,
                    "lda": w.shape[1], "ldb": columns, "ldc": rows}  # fmt: skip
            variant = self._dense_variant(case, f"gemm {word}", "cblas_gemm", gemm, w, w.ctypes.data, form, True, x, y,
                                          y.T)  # fmt: skip
            yield variant
            yield self._transposing(case, variant, x, y)
        x = aligned(np.ascontiguousarray(case.x.T))
        y = aligned(np.full((case.n, rows), np.nan, case.dtype))
        variant = self._packed(lib, case, False, x, y)
        yield variant
        yield self._transposing(case, variant, x, y)

    def _packed(
        self, lib: Mkl, case: Case, first: bool, x: NDArray[Any] | None = None, y: NDArray[Any] | None = None
    ) -> Variant:
        """W packed ahead as the first operand of W x, or W^T as the second of x^T W^T."""
        letter = LETTER[case.dtype]
        rows, columns = case.matrix.shape
        w = case.dense
        m, n = (rows, case.n) if first else (case.n, rows)
        which = _A_MATRIX if first else _B_MATRIX
        size = getattr(lib.library, f"cblas_{letter}gemm_pack_get_size")(which, m, n, columns)
        packed = aligned_zeros((size,), np.uint8)
        alpha = ctypes.c_float(1) if letter == "s" else ctypes.c_double(1)
        getattr(lib.library, f"cblas_{letter}gemm_pack")(
            ROW_MAJOR, which, _NO_TRANS if first else _TRANS, m, n, columns, alpha, ctypes.c_void_p(w.ctypes.data),
            columns, ctypes.c_void_p(packed.ctypes.data),
        )  # fmt: skip
        form = {"order": ROW_MAJOR, "m": m, "n": n, "k": columns, "lda": columns, "ldb": case.n, "ldc": n,
                "trans_a": _PACKED, "trans_b": _NO_TRANS}  # fmt: skip
        if not first:
            form |= {"trans_a": _NO_TRANS, "trans_b": _PACKED, "ldb": columns}
        routine = lib.address(f"cblas_{letter}gemm_compute")
        name = "gemm packed" if x is None else "gemm packed, column-major"
        return self._dense_variant(
            case, name, "cblas_gemm_compute", routine, packed, packed.ctypes.data, form, first, x, y,
            None if y is None else y.T, family="packed",
        )  # fmt: skip


_LIBRARY_NAMES = {
    "openblas": "OpenBLAS",
    "mkl": "MKL",
    "blis": "BLIS",
    "flexiblas": "FlexiBLAS",
    "accelerate": "Accelerate",
}


def scipy_blas() -> tuple[str, str]:
    """(name, version) of the library behind scipy.linalg.cython_blas: by what is loaded, else as built."""
    bundled = [info for info in blas_at_import if "scipy" in Path(info["filepath"]).parent.name]
    loaded = bundled or (blas_at_import if len(blas_at_import) == 1 else [])
    if loaded:
        api = loaded[0]["internal_api"]
        return _LIBRARY_NAMES.get(api, api), str(loaded[0]["version"])
    from scipy.__config__ import show

    built = show(mode="dicts")["Build Dependencies"]["blas"]
    name = built["name"].lower()
    for word, proper in _LIBRARY_NAMES.items():
        if word in name:
            return proper, str(built["version"])
    return f"BLAS {built['name']!r}", str(built["version"])


class ScipyBlas(_DensePeer):
    """Dense gemm and gemv of the BLAS behind NumPy and SciPy, by C address from scipy.linalg.cython_blas."""

    def __init__(self) -> None:
        self.name = f"{scipy_blas()[0]} dense"

    def available(self) -> tuple[bool, str]:
        try:
            self._routine("sgemm")
        except KeyError:
            return False, "scipy.linalg.cython_blas has no sgemm"
        return True, " ".join(scipy_blas())

    def _routine(self, name: str) -> int:
        capsule = cython_blas.__pyx_capi__[name]
        python = ctypes.pythonapi
        python.PyCapsule_GetName.restype = ctypes.c_char_p
        python.PyCapsule_GetName.argtypes = [ctypes.py_object]
        python.PyCapsule_GetPointer.restype = ctypes.c_void_p
        python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        found = python.PyCapsule_GetPointer(capsule, python.PyCapsule_GetName(capsule))
        assert isinstance(found, int)
        return found

    def variants(self, case: Case) -> Iterator[Variant]:
        letter = LETTER[case.dtype]
        # Its own pool of threads spins for tens of milliseconds after a job.
        settle = 50e6 if case.threads > 1 else 0.0
        for word, form in _dense_forms(case):
            w = form.pop("w")
            if case.n == 1:
                # The Fortran routine sees the row-major array as its transpose.
                other = _TRANS if form["trans_a"] == _NO_TRANS else _NO_TRANS
                form |= {"trans_a": other, "m": form["n"], "n": form["m"]}
                yield self._dense_variant(case, f"gemv {word}", "fortran_gemv", self._routine(f"{letter}gemv"), w,
                                          w.ctypes.data, form, True, settle_ns=settle)  # fmt: skip
                continue
            # Row-major c = a b is column-major c^T = b^T a^T: swap the operands and their sizes.
            side = form.pop("side")
            swapped = {"trans_a": form["trans_b"], "trans_b": form["trans_a"], "m": form["n"], "n": form["m"],
                       "k": form["k"], "lda": form["ldb"], "ldb": form["lda"], "ldc": form["ldc"]}  # fmt: skip
            yield self._dense_variant(case, f"gemm {word}", "fortran_gemm", self._routine(f"{letter}gemm"), w,
                                      w.ctypes.data, swapped, side == "b", settle_ns=settle)  # fmt: skip
