# SPDX-License-Identifier: BSD-3-Clause
"""MKL's sparse products: the inspector-executor, and the product of two sparse matrices."""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.rivals.case import Case, WinnersCase, aligned, aligned_zeros
from benchmarks.rivals.mkl import Mkl, MklStatus, mkl, mkl_available
from benchmarks.rivals.peer import COL_MAJOR, LETTER, ROW_MAJOR, SUFFIX, Peer, Variant
from benchmarks.timing import address, library

_EXPECTED_CALLS = 100_000


class _SparseMv(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("routine", "handle", "x", "y")],
        ("status", ctypes.c_int),
    ]


class _SparseMm(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("routine", "copy_routine", "handle", "x", "y", "x_buffer", "y_buffer")],
        *[(name, ctypes.c_int64) for name in ("rows", "columns", "n", "panel")],
        *[(name, ctypes.c_int) for name in ("layout", "transpose", "status")],
    ]


@dataclass(frozen=True)
class _Handle:
    """A sparse_matrix_t, destroyed with its owner; keeps the arrays it points into."""

    value: int
    arrays: tuple[NDArray[Any], ...]


def exact_blocks(matrix: sp.csr_array) -> list[int]:
    """The square blocks that the pattern consists of without fill-in."""
    rows, columns = matrix.shape
    found = []
    for size in (2, 4, 8, 16):
        fits = matrix.nnz and not (rows % size or columns % size or matrix.nnz % (size * size))
        if not fits or matrix.tobsr((size, size)).data.size != matrix.nnz:
            break  # a larger block consists of the smaller ones
        found.append(size)
    return found


class MklSparse(Peer):
    """MKL's inspector-executor: hints with many expected calls, `mkl_sparse_optimize`, then mv or mm."""

    name = "MKL sparse"

    def available(self) -> tuple[bool, str]:
        return mkl_available()

    def variants(self, case: Case) -> Iterator[Variant]:
        lib = mkl(case.threads)
        forms: dict[str, Callable[[], _Handle]] = {"csr": lambda: self._csr(lib, case)}
        for block in exact_blocks(case.matrix):
            forms[f"bsr{block}"] = functools.partial(self._bsr, lib, case, block, ROW_MAJOR, 0)
            # mm takes blocks stored by columns only with indices from 1, mv takes them anyhow.
            base = 0 if case.n == 1 else 1
            forms[f"bsr{block} stored by columns"] = functools.partial(self._bsr, lib, case, block, COL_MAJOR, base)
        kinds = [(self._mv if case.n == 1 else self._mm, storage) for storage in forms]
        if case.n == 1:
            kinds.append((self._mm, "csr"))
        for kind, storage in kinds:
            for variant in kind(lib, case, storage, forms[storage]):
                variant.call()
                keep = variant.call.keep
                if status := (keep[1].call.keep if isinstance(keep[1], Variant) else keep)[0].status:
                    # A block form that MKL does not offer is no variant; CSR it must have.
                    if storage == "csr":
                        raise MklStatus(f"{variant.name} returned status {status} on {case}")
                    continue
                yield variant

    def _csr(self, lib: Mkl, case: Case) -> _Handle:
        m = case.matrix
        starts = aligned(m.indptr)
        arrays = (starts, m.indices, m.data)
        return self._create(lib, f"mkl_sparse_{LETTER[case.dtype]}_create_csr", [*m.shape], arrays, [0])

    def _bsr(self, lib: Mkl, case: Case, block: int, layout: int, base: int) -> _Handle:
        m = case.matrix.tobsr((block, block))
        data = m.data if layout == ROW_MAJOR else m.data.transpose(0, 2, 1)
        starts, indices = (aligned((part + base).astype(np.int32)) for part in (m.indptr, m.indices))
        arrays = (starts, indices, aligned(np.ascontiguousarray(data)))
        sizes = [*(side // block for side in m.shape), block]
        return self._create(lib, f"mkl_sparse_{LETTER[case.dtype]}_create_bsr", sizes, arrays, [base, layout])

    def _create(
        self, lib: Mkl, routine: str, sizes: list[int], arrays: tuple[NDArray[Any], ...], how: list[int]
    ) -> _Handle:
        starts, indices, data = arrays
        value = ctypes.c_void_p()
        integers = [*how, *sizes]
        pointers = [starts.ctypes.data, starts.ctypes.data + starts.itemsize, indices.ctypes.data, data.ctypes.data]
        lib.call(routine, ctypes.byref(value), *integers, *map(ctypes.c_void_p, pointers))
        handle = _Handle(value.value or 0, arrays)
        weakref.finalize(handle, lib.library.mkl_sparse_destroy, ctypes.c_void_p(handle.value))
        return handle

    def _optimize(self, lib: Mkl, handle: _Handle) -> None:
        lib.call("mkl_sparse_optimize", ctypes.c_void_p(handle.value))

    def _mv(self, lib: Mkl, case: Case, storage: str, create: Callable[[], _Handle]) -> Iterator[Variant]:
        handle = create()
        if status := library().sparse_hint_mv(lib.address("mkl_sparse_set_mv_hint"), handle.value, _EXPECTED_CALLS):
            raise MklStatus(f"mkl_sparse_set_mv_hint returned status {status}")
        self._optimize(lib, handle)
        y = case.new_output()
        routine = lib.address(f"mkl_sparse_{LETTER[case.dtype]}_mv")
        context = _SparseMv(routine, handle.value, case.x.ctypes.data, y.ctypes.data)
        function = address(f"sparse_mv_{SUFFIX[case.dtype]}")
        yield self._variant(f"{storage} mv", function, ctypes.addressof(context), (context, handle, case.x, y),
                            case.as_columns(y), family=storage[:3])  # fmt: skip

    def _mm(self, lib: Mkl, case: Case, storage: str, create: Callable[[], _Handle]) -> Iterator[Variant]:
        rows, columns = case.matrix.shape
        n = case.n
        panels = [p for p in (64, 128) if n >= 256]
        for layout, word in ((ROW_MAJOR, "row-major"), (COL_MAJOR, "column-major"))[: min(n, 2)]:
            whole = self._hinted(lib, create, layout, n)
            natural = layout == (COL_MAJOR if case.batch_major else ROW_MAJOR)
            if case.batch_major and not natural:
                y = case.new_output()
                yield self._mm_variant(lib, case, f"{storage} mm {word}, transposed by the caller", whole, layout,
                                       case.x, y, case.as_columns(y),
                                       buffers=(columns * n, rows * n), transpose=True)  # fmt: skip
                continue
            if natural:
                x, y = case.x, case.new_output()
                result = case.as_columns(y)
            else:
                # Column-major arrays, as if the caller had them so: MKL's best case, no conversion is counted.
                x = aligned(np.ascontiguousarray(case.x.T))
                y = aligned(np.full((n, rows), np.nan, case.dtype))
                result = y.T
            variant = self._mm_variant(lib, case, f"{storage} mm {word}", whole, layout, x, y, result, natural)
            yield variant
            if not natural:
                yield self._transposing(case, variant, x, y)
            for panel in panels:
                handle = self._hinted(lib, create, layout, panel)
                form = f"{storage} mm {word} {panel}-wide"
                yield self._mm_variant(lib, case, form, handle, layout, x, y, result, natural, panel=panel)
                if layout == ROW_MAJOR:
                    yield self._mm_variant(lib, case, f"{form}, copied", handle, layout, x, y, result, natural,
                                           panel=panel, buffers=(columns * panel, rows * panel))  # fmt: skip

    def _hinted(self, lib: Mkl, create: Callable[[], _Handle], layout: int, n: int) -> _Handle:
        handle = create()
        hint = lib.address("mkl_sparse_set_mm_hint")
        if status := library().sparse_hint_mm(hint, handle.value, layout, n, _EXPECTED_CALLS):
            raise MklStatus(f"mkl_sparse_set_mm_hint returned status {status}")
        self._optimize(lib, handle)
        return handle

    def _mm_variant(
        self, lib: Mkl, case: Case, form: str, handle: _Handle, layout: int, x: NDArray[Any], y: NDArray[Any],
        result: NDArray[Any], natural: bool = True, *, panel: int = 0, buffers: tuple[int, int] | None = None,
        transpose: bool = False,
    ) -> Variant:  # fmt: skip
        letter = LETTER[case.dtype]
        scratch = [aligned_zeros((size,), case.dtype) for size in buffers or ()]
        places = [b.ctypes.data for b in scratch] or [None, None]
        context = _SparseMm(
            lib.address(f"mkl_sparse_{letter}_mm"), lib.address(f"MKL_{letter.capitalize()}omatcopy"), handle.value,
            x.ctypes.data, y.ctypes.data, *places, *case.matrix.shape, case.n, panel, layout, int(transpose),
        )  # fmt: skip
        function = address(f"sparse_mm_{SUFFIX[case.dtype]}")
        return self._variant(form, function, ctypes.addressof(context), (context, handle, x, y, scratch), result,
                             natural, family=form[:3])  # fmt: skip


class _SparseSpmmd(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("routine", "a", "b", "c")],
        *[(name, ctypes.c_int) for name in ("ldc", "status")],
    ]


class MklSpmmd(MklSparse):
    """MKL's product of two sparse matrices with a dense result, in both orientations: W X, and X^T W^T."""

    name = "MKL spmmd"

    def __init__(self) -> None:
        self._weights: dict[str, _Handle] = {}  # by form: one for all cases, which must have one matrix

    def variants(self, case: Case) -> Iterator[Variant]:
        lib = mkl(case.threads)
        assert isinstance(case, WinnersCase)
        rows, x = case.matrix.shape[0], case.columns_csr()
        y = aligned(np.full((rows, case.n), np.nan, case.dtype))
        w = self._of_weights(lib, "W X", case.matrix)
        yield self._spmmd(lib, case, "W X", w, self._handle(lib, x), y, y)
        z = aligned(np.full((case.n, rows), np.nan, case.dtype))
        w = self._of_weights(lib, "X^T W^T", case.matrix.T)
        yield self._spmmd(lib, case, "X^T W^T", self._handle(lib, x.T), w, z, z.T)

    def _of_weights(self, lib: Mkl, form: str, w: Any) -> _Handle:
        if form not in self._weights:
            self._weights[form] = self._handle(lib, w)
        return self._weights[form]

    def _handle(self, lib: Mkl, matrix: Any) -> _Handle:
        csr = sp.csr_array(matrix)
        arrays = tuple(aligned(array) for array in (csr.indptr, csr.indices, csr.data))
        routine = f"mkl_sparse_{LETTER[csr.dtype]}_create_csr"
        handle = self._create(lib, routine, [*csr.shape], arrays, [0])
        self._optimize(lib, handle)
        return handle

    def _spmmd(
        self, lib: Mkl, case: Case, form: str, a: _Handle, b: _Handle, y: NDArray[Any], result: NDArray[Any]
    ) -> Variant:
        handles = (a, b)
        routine = lib.address(f"mkl_sparse_{LETTER[case.dtype]}_spmmd")
        context = _SparseSpmmd(routine, a.value, b.value, y.ctypes.data, y.shape[1])
        variant = self._variant(form, address(f"sparse_spmmd_{SUFFIX[case.dtype]}"), ctypes.addressof(context),
                                (context, handles, y), result, family="spmmd")  # fmt: skip
        variant.call()
        if context.status:
            raise MklStatus(f"{variant.name} returned status {context.status} on {case}")
        return variant
