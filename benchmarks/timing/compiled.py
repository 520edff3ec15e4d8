# SPDX-License-Identifier: BSD-3-Clause
"""The compiled timing loop, the rivals' calls and the loops of the machine's peaks: compiled on first use, loaded."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCES = tuple(Path(__file__).with_name(name) for name in ("loop.cpp", "rivals.cpp", "roof.cpp"))
HEADERS = (Path(__file__).with_name("clock.hpp"),)
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread")
# What the loops that measure the machine's peaks may use, where the CPU has all of it; the first row that fits counts.
WIDTHS = (("avx512f", "avx2", "fma"), ("avx2", "fma"))


class NoCompiler(RuntimeError):
    """The timing loop cannot be compiled here."""


class CandidateStruct(ctypes.Structure):
    """`Candidate` of loop.cpp."""

    _fields_ = [("function", ctypes.c_void_p), ("context", ctypes.c_void_p), ("settle_ns", ctypes.c_double)]


def compiler() -> list[str]:
    """The C++ compiler to call: $CXX, or the first of c++, g++, clang++ on the path."""
    if os.environ.get("CXX"):
        return os.environ["CXX"].split()
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise NoCompiler("no C++ compiler found: set CXX, or install g++")


def compiler_version() -> str:
    try:
        done = subprocess.run([*compiler(), "--version"], capture_output=True, text=True, check=True)
    except (NoCompiler, OSError, subprocess.CalledProcessError) as error:
        return f"none ({error})"
    return done.stdout.splitlines()[0]


def cache_folder() -> Path:
    chosen = os.environ.get("COMPLSPARSE_BENCHMARK_CACHE")
    if chosen:
        return Path(chosen)
    return Path(tempfile.gettempdir()) / f"complsparse-benchmarks-{os.getuid()}"


def _machine_key() -> str:
    # A library built here is not for another CPU that shares the folder: it is as wide as this one.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return "".join(sorted({line for line in lines if line.startswith(("flags", "model name", "Features"))}))
    except OSError:
        return platform.processor()


def _width_flags() -> list[str]:
    words = set(_machine_key().split())
    return next((["-m" + feature for feature in width] for width in WIDTHS if words.issuperset(width)), [])


def _declared(lib: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of its functions."""
    pointer = ctypes.POINTER
    lib.calibrate.argtypes = [pointer(CandidateStruct), ctypes.c_int, *[ctypes.c_double] * 2, ctypes.c_int64,
                              pointer(ctypes.c_int64)]  # fmt: skip
    lib.calibrate.restype = None
    lib.race.argtypes = [pointer(CandidateStruct), ctypes.c_int, ctypes.c_int, pointer(ctypes.c_int64), ctypes.c_int,
                         ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]  # fmt: skip
    lib.race.restype = None
    lib.sparse_hint_mv.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    lib.sparse_hint_mm.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int] * 3]
    for name in ("load_gbytes", "fma_load_gflops_f32", "fma_load_gflops_f64", "gather_rate"):
        getattr(lib, name).argtypes = [ctypes.c_int64]
        getattr(lib, name).restype = ctypes.c_double
    for name in ("fma_gflops_f32", "fma_gflops_f64", "clock_ghz"):
        getattr(lib, name).restype = ctypes.c_double
    return lib


@functools.cache
def library() -> ctypes.CDLL:
    """The compiled timing loop; built on first use, kept in `cache_folder` under a hash of all that went into it."""
    command = [*compiler(), *FLAGS, *_width_flags()]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in (*SOURCES, *HEADERS)))
    key.update("\0".join([*command, compiler_version(), _machine_key()]).encode())
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise NoCompiler(f"{folder} belongs to somebody else: set COMPLSPARSE_BENCHMARK_CACHE")
    path = folder / f"timing-{key.hexdigest()[:20]}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            built = Path(scratch) / path.name
            done = subprocess.run([*command, *map(str, SOURCES), "-o", str(built)], capture_output=True, text=True)
            if done.returncode:
                raise NoCompiler(f"{' '.join(command)} failed:\n{done.stderr}")
            built.replace(path)
    return _declared(ctypes.CDLL(str(path)))


def address(name: str) -> int:
    """Where a function of the timing library lies."""
    found = ctypes.cast(getattr(library(), name), ctypes.c_void_p).value
    assert found is not None
    return found
