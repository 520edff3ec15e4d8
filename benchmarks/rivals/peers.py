# SPDX-License-Identifier: BSD-3-Clause
"""Ours and its rivals, each as C functions ready for the timing loop.

A peer is one class: `name`, `available()` with the reason when it is not, and `variants(case)`, which prepares its
operands and yields every form worth trying. A variant multiplies `case.x` (or a copy of its own, where a rival prefers
another layout) and is checked against a float64 reference before anything is timed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.metadata
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import cython_blas
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.problems.matrices import Problem
from benchmarks.timing.loop import Candidate, address, library

ALIGNMENT = 64
FEATURE_MAJOR = "feature-major"
BATCH_MAJOR = "batch-major"
LAYOUTS = (FEATURE_MAJOR, BATCH_MAJOR)

# Who is loaded before this module loads anything else: the BLAS that numpy and scipy brought.
_blas_at_import = [info for info in threadpool_info() if info["user_api"] == "blas"]


def aligned(array: NDArray[Any], order: str = "C") -> NDArray[Any]:
    """A copy whose data starts on a cache line."""
    buffer = np.empty(array.nbytes + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    copy = np.ndarray(array.shape, array.dtype, buffer, start, order=order)
    copy[...] = array
    return copy


def aligned_zeros(shape: tuple[int, ...], dtype: Any, order: str = "C") -> NDArray[Any]:
    return aligned(np.zeros(shape, dtype), order)


@dataclass(frozen=True)
class Case:
    """One product: W (M, K) times n columns. `x` and `y` are (K, n) and (M, n), or (n, K) and (n, M) when batch-major,
    or vectors when n is 1; C order, aligned."""

    problem: Problem
    n: int
    layout: str = FEATURE_MAJOR
    dtype: Any = np.float32
    threads: int = 1
    matrix: sp.csr_array = field(init=False, repr=False, compare=False)
    x: NDArray[Any] = field(init=False, repr=False, compare=False)

    def drawn(self, shape: tuple[int, int]) -> NDArray[Any]:
        """The n columns of x, in [-1, 1]."""
        return np.random.default_rng(self.n).uniform(-1, 1, shape)

    def __post_init__(self) -> None:
        dtype = np.dtype(self.dtype)
        object.__setattr__(self, "dtype", dtype)
        matrix = self.problem.csr(dtype)
        for part in ("data", "indices", "indptr"):
            setattr(matrix, part, aligned(getattr(matrix, part)))
        object.__setattr__(self, "matrix", matrix)
        drawn = self.drawn((matrix.shape[1], self.n)).astype(dtype)
        object.__setattr__(self, "x", aligned(self.as_called(drawn)))

    def as_called(self, columns: NDArray[Any]) -> NDArray[Any]:
        """A (rows, n) array in the shape that this case's arrays have."""
        if self.n == 1:
            return columns[:, 0]
        return columns.T if self.batch_major else columns

    def as_columns(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `as_called`, a view."""
        if self.n == 1:
            return array.reshape(-1, 1)
        return array.T if self.batch_major else array

    @property
    def batch_major(self) -> bool:
        return self.layout == BATCH_MAJOR

    @property
    def flops(self) -> int:
        return 2 * int(self.matrix.nnz) * self.n

    @property
    def csr_bytes(self) -> int:
        """What any product with CSR operands must at least move: W once, x once, y once."""
        rows, columns = self.matrix.shape
        w = self.matrix.nnz * (self.dtype.itemsize + 4) + 4 * (rows + 1)
        return int(w + (rows + columns) * self.n * self.dtype.itemsize)

    @functools.cached_property
    def dense(self) -> NDArray[Any]:
        return aligned(self.matrix.toarray())

    @functools.cached_property
    def dense_transposed(self) -> NDArray[Any]:
        return aligned(np.ascontiguousarray(self.dense.T))

    @functools.cached_property
    def _reference(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        exact = self.matrix.astype(np.float64)
        x = self.as_columns(self.x).astype(np.float64)
        # |x| <= 1: the row sums of |W| bound every sum of products. A dense rival adds zeros too: they round nothing.
        sums = np.asarray(abs(exact).sum(axis=1)).reshape(-1, 1)
        counts = np.diff(self.matrix.indptr).reshape(-1, 1)
        bound = np.finfo(self.dtype).eps * (counts + 2) * sums
        return exact @ x, bound

    def new_output(self) -> NDArray[Any]:
        y = self.as_called(np.full((self.matrix.shape[0], self.n), np.nan, self.dtype))
        return aligned(y)

    def check(self, name: str, y: NDArray[Any]) -> None:
        """Raise unless y (M, n) is the product, within the rounding of any order of summation."""
        exact, bound = self._reference
        wrong = ~(np.abs(y.astype(np.float64) - exact) <= bound)  # true for NaN as well
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise AssertionError(
                f"{name} is wrong at {wrong.sum()} places on {self}: "
                f"y[{row}, {column}] = {y[row, column]!r}, exact {exact[row, column]!r}"
            )

    def __str__(self) -> str:
        return f"{self.problem.name} n={self.n} {self.layout} {self.dtype} {self.threads}t"

    def __hash__(self) -> int:
        return hash((self.problem.name, self.n, self.layout, self.dtype, self.threads))


@dataclass(frozen=True)
class WinnersCase(Case):
    """A case whose vectors have `winners` entries each, at places of their own; the others are zero. Rivals for dense
    operands get the zeros."""

    winners: int = 0
    seed: int = 0

    def drawn(self, shape: tuple[int, int]) -> NDArray[Any]:
        rng = np.random.default_rng([self.n, self.winners, self.seed])
        x = np.zeros(shape)
        for column in range(shape[1]):
            places = rng.choice(shape[0], self.winners, replace=False)
            x[places, column] = rng.uniform(0.1, 1, self.winners)
        return x

    def columns_csr(self) -> sp.csr_array:
        """x (K, n) without its zeros."""
        csr = sp.csr_array(self.as_columns(self.x))
        for part in ("data", "indices", "indptr"):
            setattr(csr, part, aligned(getattr(csr, part)))
        return csr

    def __str__(self) -> str:
        return f"{super().__str__()} {self.winners} winners"

    def __hash__(self) -> int:
        return hash((super().__hash__(), self.winners, self.seed))


@dataclass(frozen=True)
class Variant:
    """One way of computing the product. `result` is a view (M, n) of what the call writes. `natural` is False when the
    variant works on arrays of another layout than the case's, as if the caller had them that way. `family` tells forms
    apart that a target speaks of by name: "csr" and "bsr", "packed" and "unpacked"."""

    peer: str
    form: str
    call: Candidate
    result: NDArray[Any] = field(repr=False, compare=False)
    natural: bool = True
    family: str = ""

    @property
    def name(self) -> str:
        return f"{self.peer}: {self.form}"


class _Transposed(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("function", "context", "x", "x_buffer", "y_buffer", "y")],
        *[(name, ctypes.c_int64) for name in ("rows", "columns", "n")],
    ]


class Peer:
    """Base of all: what the reports need to know."""

    name = ""

    def available(self) -> tuple[bool, str]:
        """(True, version) or (False, why not)."""
        raise NotImplementedError

    def variants(self, case: Case) -> Iterator[Variant]:
        raise NotImplementedError

    def _variant(
        self, form: str, function: int, context: int, keep: Any, result: NDArray[Any], natural: bool = True,
        settle_ns: float = 0.0, family: str = "",
    ) -> Variant:  # fmt: skip
        call = Candidate(f"{self.name}: {form}", function, context, keep, settle_ns)
        return Variant(self.name, form, call, result, natural, family)

    def _transposing(self, case: Case, variant: Variant, x: NDArray[Any], y: NDArray[Any]) -> Variant:
        """The variant, which reads x (n, K) and writes y (n, M), on the case's own arrays: both transposed inside."""
        out = case.new_output()
        rows, columns = case.matrix.shape
        context = _Transposed(variant.call.function, variant.call.context, case.x.ctypes.data, x.ctypes.data,
                              y.ctypes.data, out.ctypes.data, rows, columns, case.n)  # fmt: skip
        return self._variant(
            f"{variant.form}, transposed by the caller", address(f"transposed_{_suffix[case.dtype]}"),
            ctypes.addressof(context), (context, variant, out), out, family=variant.family,
        )  # fmt: skip


# --- ours -------------------------------------------------------------------------------------------------------------


def import_ours() -> Any:
    """The library; ImportError also for a source tree whose extension is not built."""
    import complsparse

    if not hasattr(complsparse, "from_scipy"):
        raise ImportError("the complsparse on the path is a folder without the library")
    return complsparse


class Ours(Peer):
    """complsparse, through the C function that a bound plan hands out."""

    name = "complsparse"

    def __init__(self, strategy: str = "auto") -> None:
        self.strategy = strategy

    def available(self) -> tuple[bool, str]:
        try:
            return True, import_ours().__version__
        except ImportError as error:
            return False, f"not importable: {error}"

    def convert(self, matrix: sp.csr_array) -> Any:
        return import_ours().from_scipy(matrix, strategy=self.strategy)

    def variants(self, case: Case) -> Iterator[Variant]:
        yield self.bound(self.convert(case.matrix), case)

    def bound(self, packed: Any, case: Case, form: str | None = None, plan: Any = None) -> Variant:
        """The variant of a matrix that is packed already, with the plan that it chooses or another."""
        batch_major = case.batch_major and case.n > 1
        plan = plan or packed.plan(case.n, dtype=case.dtype, batch_major=batch_major)
        y = case.new_output()
        bound = plan.bind(case.x, y)
        keep = (packed, plan, bound, case.x, y)
        return self._variant(form or plan.microkernel, bound.function, bound.context, keep, case.as_columns(y))


class OursWinners(Peer):
    """complsparse with `Winners`: every way that the plan knows, or the one that it takes."""

    name = Ours.name

    def available(self) -> tuple[bool, str]:
        return Ours().available()

    def plan(self, packed: Any, case: WinnersCase, candidate: int = -1) -> Any:
        core, batch_major = import_ours()._core, case.batch_major or case.n == 1
        return core.make_plan(packed, case.n, case.dtype, batch_major, None, None, False, candidate, case.winners)

    def ways(self, packed: Any, case: WinnersCase) -> list[str]:
        """Cheapest first, as the model sees it."""
        core = import_ours()._core
        return [way["layout"] for way in core.winners_candidates(packed, case.n, case.winners, case.dtype)]

    def variant(self, packed: Any, case: WinnersCase, form: str, candidate: int = -1) -> Variant:
        plan = self.plan(packed, case, candidate)
        axis = 1 if case.batch_major and case.n > 1 else 0
        w = import_ours().Winners.from_dense(case.x, axis=axis if case.n > 1 else -1)
        y = case.new_output()
        bound = plan.bind(w, y)
        keep = (packed, plan, bound, w, y)
        return self._variant(form, bound.function, bound.context, keep, case.as_columns(y))

    def all_ways(self, packed: Any, case: WinnersCase) -> list[Variant]:
        return [self.variant(packed, case, way, i) for i, way in enumerate(self.ways(packed, case))]


# --- MKL --------------------------------------------------------------------------------------------------------------


def find_mkl() -> tuple[str | None, str]:
    """(path of libmkl_rt, where it was found) or (None, where one looked)."""
    candidates: list[tuple[Path, str]] = []
    try:
        files = importlib.metadata.files("mkl") or []
        candidates += [(Path(str(f.locate())), "the mkl package") for f in files if f.name.startswith("libmkl_rt.so")]
    except importlib.metadata.PackageNotFoundError:
        pass
    candidates += [(path, sys.prefix) for path in sorted(Path(sys.prefix, "lib").glob("libmkl_rt.so*"))]
    if root := os.environ.get("MKLROOT"):
        candidates += [(path, "MKLROOT") for path in sorted(Path(root, "lib").rglob("libmkl_rt.so*"))]
    for path, where in candidates:
        if path.exists():
            return str(path.resolve()), where
    if found := ctypes.util.find_library("mkl_rt"):
        return found, "the system's libraries"
    return None, f"no libmkl_rt: neither an mkl package nor {sys.prefix}/lib nor MKLROOT nor the system's libraries"


class MklStatus(RuntimeError):
    """A call of MKL's sparse BLAS that did not return success."""


class Mkl:
    """libmkl_rt through ctypes: only to prepare operands and to learn addresses. One threading layer per process:
    sequential for one thread, GNU OpenMP for more, the runtime that our library uses too, so that no second pool of
    spinning threads sits on the cores."""

    _threads: int | None = None

    def __init__(self, threads: int) -> None:
        if Mkl._threads not in (None, threads):
            raise RuntimeError(f"MKL runs with {Mkl._threads} threads in this process; {threads} need a new one")
        path, where = find_mkl()
        if path is None:
            raise FileNotFoundError(where)
        if threads > 1 and (gomp := ctypes.util.find_library("gomp")):
            ctypes.CDLL(gomp, mode=ctypes.RTLD_GLOBAL)
            layer = 3  # MKL_THREADING_GNU
        else:
            layer = 0 if threads > 1 else 1  # MKL_THREADING_INTEL, MKL_THREADING_SEQUENTIAL
        self.path = path
        self.library = ctypes.CDLL(path)
        self.library.MKL_Set_Interface_Layer(0)  # 32-bit integers
        got = self.library.MKL_Set_Threading_Layer(layer)
        if got != layer and Mkl._threads is None:
            raise RuntimeError(f"MKL took threading layer {got} where {layer} was asked for")
        self.library.MKL_Set_Num_Threads(threads)
        self.library.MKL_Set_Dynamic(0)
        self.threads = threads
        Mkl._threads = threads
        self.library.cblas_sgemm_pack_get_size.restype = ctypes.c_size_t
        self.library.cblas_dgemm_pack_get_size.restype = ctypes.c_size_t

    @property
    def version(self) -> str:
        text = ctypes.create_string_buffer(198)
        self.library.MKL_Get_Version_String(text, 198)
        return text.value.decode().strip()

    def address(self, name: str) -> int:
        found = ctypes.cast(getattr(self.library, name), ctypes.c_void_p).value
        assert found is not None
        return found

    def call(self, name: str, *arguments: Any) -> None:
        if status := getattr(self.library, name)(*arguments):
            raise MklStatus(f"{name} returned status {status}")


@functools.cache
def mkl(threads: int) -> Mkl:
    return Mkl(threads)


def _mkl_available() -> tuple[bool, str]:
    path, where = find_mkl()
    if path is None:
        return False, where
    try:
        return True, mkl(Mkl._threads or 1).version
    except (OSError, RuntimeError) as error:
        return False, f"{path} ({where}) does not load: {error}"


_letter = {np.dtype(np.float32): "s", np.dtype(np.float64): "d"}
_suffix = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}
_ROW_MAJOR, _COL_MAJOR = 101, 102
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
        return _mkl_available()

    def variants(self, case: Case) -> Iterator[Variant]:
        lib = mkl(case.threads)
        forms: dict[str, Callable[[], _Handle]] = {"csr": lambda: self._csr(lib, case)}
        for block in exact_blocks(case.matrix):
            forms[f"bsr{block}"] = functools.partial(self._bsr, lib, case, block, _ROW_MAJOR, 0)
            # mm takes blocks stored by columns only with indices from 1, mv takes them anyhow.
            base = 0 if case.n == 1 else 1
            forms[f"bsr{block} stored by columns"] = functools.partial(self._bsr, lib, case, block, _COL_MAJOR, base)
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
        return self._create(lib, f"mkl_sparse_{_letter[case.dtype]}_create_csr", [*m.shape], arrays, [0])

    def _bsr(self, lib: Mkl, case: Case, block: int, layout: int, base: int) -> _Handle:
        m = case.matrix.tobsr((block, block))
        data = m.data if layout == _ROW_MAJOR else m.data.transpose(0, 2, 1)
        starts, indices = (aligned((part + base).astype(np.int32)) for part in (m.indptr, m.indices))
        arrays = (starts, indices, aligned(np.ascontiguousarray(data)))
        sizes = [*(side // block for side in m.shape), block]
        return self._create(lib, f"mkl_sparse_{_letter[case.dtype]}_create_bsr", sizes, arrays, [base, layout])

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
        routine = lib.address(f"mkl_sparse_{_letter[case.dtype]}_mv")
        context = _SparseMv(routine, handle.value, case.x.ctypes.data, y.ctypes.data)
        function = address(f"sparse_mv_{_suffix[case.dtype]}")
        yield self._variant(f"{storage} mv", function, ctypes.addressof(context), (context, handle, case.x, y),
                            case.as_columns(y), family=storage[:3])  # fmt: skip

    def _mm(self, lib: Mkl, case: Case, storage: str, create: Callable[[], _Handle]) -> Iterator[Variant]:
        rows, columns = case.matrix.shape
        n = case.n
        panels = [p for p in (64, 128) if n >= 256]
        for layout, word in ((_ROW_MAJOR, "row-major"), (_COL_MAJOR, "column-major"))[: min(n, 2)]:
            whole = self._hinted(lib, create, layout, n)
            natural = layout == (_COL_MAJOR if case.batch_major else _ROW_MAJOR)
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
                if layout == _ROW_MAJOR:
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
        letter = _letter[case.dtype]
        scratch = [aligned_zeros((size,), case.dtype) for size in buffers or ()]
        places = [b.ctypes.data for b in scratch] or [None, None]
        context = _SparseMm(
            lib.address(f"mkl_sparse_{letter}_mm"), lib.address(f"MKL_{letter.capitalize()}omatcopy"), handle.value,
            x.ctypes.data, y.ctypes.data, *places, *case.matrix.shape, case.n, panel, layout, int(transpose),
        )  # fmt: skip
        function = address(f"sparse_mm_{_suffix[case.dtype]}")
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
        routine = f"mkl_sparse_{_letter[csr.dtype]}_create_csr"
        handle = self._create(lib, routine, [*csr.shape], arrays, [0])
        self._optimize(lib, handle)
        return handle

    def _spmmd(
        self, lib: Mkl, case: Case, form: str, a: _Handle, b: _Handle, y: NDArray[Any], result: NDArray[Any]
    ) -> Variant:
        handles = (a, b)
        routine = lib.address(f"mkl_sparse_{_letter[case.dtype]}_spmmd")
        context = _SparseSpmmd(routine, a.value, b.value, y.ctypes.data, y.shape[1])
        variant = self._variant(form, address(f"sparse_spmmd_{_suffix[case.dtype]}"), ctypes.addressof(context),
                                (context, handles, y), result, family="spmmd")  # fmt: skip
        variant.call()
        if context.status:
            raise MklStatus(f"{variant.name} returned status {context.status} on {case}")
        return variant


class _InTurn(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("functions", "contexts")],
        *[(name, ctypes.c_int64) for name in ("count", "next")],
    ]


def in_turn(name: str, variants: list[Variant]) -> Candidate:
    """A candidate that calls the next of these at each call. All share the settling time of the first."""
    count = len(variants)
    functions = (ctypes.c_void_p * count)(*[v.call.function for v in variants])
    contexts = (ctypes.c_void_p * count)(*[v.call.context for v in variants])
    context = _InTurn(ctypes.addressof(functions), ctypes.addressof(contexts), count, 0)
    keep = (functions, contexts, context, variants)
    return Candidate(name, address("in_turn"), ctypes.addressof(context), keep, variants[0].call.settle_ns)


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
        return self._variant(form, address(f"{function}_{_suffix[case.dtype]}"), ctypes.addressof(context),
                             (context, w, x, y), result, natural, settle_ns, family)  # fmt: skip


class MklDense(_DensePeer):
    """MKL's dense gemm and gemv: weights as they are, transposed, packed ahead; row- and column-major."""

    name = "MKL dense"

    def available(self) -> tuple[bool, str]:
        return _mkl_available()

    def variants(self, case: Case) -> Iterator[Variant]:
        lib = mkl(case.threads)
        letter = _letter[case.dtype]
        forms = list(_dense_forms(case))
        if case.n == 1:
            for word, form in forms:
                w = form.pop("w")
                yield self._dense_variant(case, f"gemv {word}", "cblas_gemv", lib.address(f"cblas_{letter}gemv"), w,
                                          w.ctypes.data, {"order": _ROW_MAJOR, **form}, True)  # fmt: skip
        else:
            for word, form in forms:
                w, side = form.pop("w"), form.pop("side")
                yield self._dense_variant(case, f"gemm {word}", "cblas_gemm", lib.address(f"cblas_{letter}gemm"), w,
                                          w.ctypes.data, {"order": _ROW_MAJOR, **form}, side == "a")  # fmt: skip
        yield self._packed(lib, case, case.n == 1 or not case.batch_major)
        if case.n > 1 and not case.batch_major:
            yield from self._column_major(lib, case)

    def _column_major(self, lib: Mkl, case: Case) -> Iterator[Variant]:
        """y^T = x^T W^T, with x and y column-major as if the caller had them so, and with transposing them timed."""
        rows, columns = case.matrix.shape
        gemm = lib.address(f"cblas_{_letter[case.dtype]}gemm")
        for trans, w in ((_TRANS, case.dense), (_NO_TRANS, case.dense_transposed)):
            word = "column-major" if trans == _TRANS else "column-major, weights transposed"
            x = aligned(np.ascontiguousarray(case.x.T))
            y = aligned(np.full((case.n, rows), np.nan, case.dtype))
            form = {"order": _COL_MAJOR, "trans_a": trans, "trans_b": _NO_TRANS, "m": rows, "n": case.n, "k": columns,
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
        letter = _letter[case.dtype]
        rows, columns = case.matrix.shape
        w = case.dense
        m, n = (rows, case.n) if first else (case.n, rows)
        which = _A_MATRIX if first else _B_MATRIX
        size = getattr(lib.library, f"cblas_{letter}gemm_pack_get_size")(which, m, n, columns)
        packed = aligned_zeros((size,), np.uint8)
        alpha = ctypes.c_float(1) if letter == "s" else ctypes.c_double(1)
        getattr(lib.library, f"cblas_{letter}gemm_pack")(
            _ROW_MAJOR, which, _NO_TRANS if first else _TRANS, m, n, columns, alpha, ctypes.c_void_p(w.ctypes.data),
            columns, ctypes.c_void_p(packed.ctypes.data),
        )  # fmt: skip
        form = {"order": _ROW_MAJOR, "m": m, "n": n, "k": columns, "lda": columns, "ldb": case.n, "ldc": n,
                "trans_a": _PACKED, "trans_b": _NO_TRANS}  # fmt: skip
        if not first:
            form |= {"trans_a": _NO_TRANS, "trans_b": _PACKED, "ldb": columns}
        routine = lib.address(f"cblas_{letter}gemm_compute")
        name = "gemm packed" if x is None else "gemm packed, column-major"
        return self._dense_variant(
            case, name, "cblas_gemm_compute", routine, packed, packed.ctypes.data, form, first, x, y,
            None if y is None else y.T, family="packed",
        )  # fmt: skip


# --- the BLAS that numpy and scipy brought ----------------------------------------------------------------------------

_LIBRARY_NAMES = {
    "openblas": "OpenBLAS",
    "mkl": "MKL",
    "blis": "BLIS",
    "flexiblas": "FlexiBLAS",
    "accelerate": "Accelerate",
}


def scipy_blas() -> tuple[str, str]:
    """(name, version) of the library behind scipy.linalg.cython_blas: by what is loaded, else as built."""
    bundled = [info for info in _blas_at_import if "scipy" in Path(info["filepath"]).parent.name]
    loaded = bundled or (_blas_at_import if len(_blas_at_import) == 1 else [])
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
        letter = _letter[case.dtype]
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


# --- calls from Python ------------------------------------------------------------------------------------------------


def public_calls(case: Case, packed: Any | None = None) -> dict[str, Callable[[], object]]:
    """The same product as a user calls it from Python: ours with `out=`, a plan, and scipy, whose interface has no
    `out` and whose own C++ kernels (not a BLAS) are behind it. Checked like the variants."""
    calls: dict[str, Callable[[], object]] = {}
    matrix, x, transposed = case.matrix, case.x, case.matrix.T
    if case.batch_major and case.n > 1:
        calls["scipy"] = lambda: matrix @ x.T
        calls["scipy, x @ W.T"] = lambda: x @ transposed
    else:
        calls["scipy"] = lambda: matrix @ x
    results: dict[str, NDArray[Any]] = {
        name: case.as_columns(call()) if "W.T" in name else np.reshape(call(), (matrix.shape[0], case.n))
        for name, call in calls.items()
    }
    if packed is not None:
        cs = import_ours()
        y, z = case.new_output(), case.new_output()
        batch_major = case.batch_major and case.n > 1
        plan = packed.plan(case.n, dtype=case.dtype, batch_major=batch_major)
        calls["plan"] = lambda: plan(x, out=z)
        calls["public"] = (
            (lambda: cs.linear(x, packed, out=y)) if batch_major else (lambda: cs.matmul(packed, x, out=y))
        )
        for name, out in (("plan", z), ("public", y)):
            calls[name]()
            results[name] = case.as_columns(out)
    for name, result in results.items():
        case.check(name, result)
    return calls


def dense_rivals() -> list[Peer]:
    """MKL dense and the BLAS that scipy brought; once, where both are the same library."""
    return [MklDense()] if scipy_blas()[0] == "MKL" else [MklDense(), ScipyBlas()]


def rivals(dense: bool = True) -> list[Peer]:
    return [MklSparse(), *(dense_rivals() if dense else [])]


def all_peers() -> list[Peer]:
    return [Ours(), *rivals()]


def absent(peers: list[Peer] | None = None) -> dict[str, str]:
    """The peers that cannot run here, with the reason."""
    found = {}
    for peer in peers or all_peers():
        there, why = peer.available()
        if not there:
            found[peer.name] = why
    return found


def set_threads(threads: int) -> None:
    """One setting for ours and every rival, for the whole process. Call before anything is prepared."""
    threadpool_limits(limits=threads, user_api="blas")
    if find_mkl()[0] is not None:
        mkl(threads)
    if Ours().available()[0]:
        import_ours().set_num_threads(threads)
