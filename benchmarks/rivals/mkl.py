# SPDX-License-Identifier: BSD-3-Clause
"""libmkl_rt: where it is, how it is loaded, how it is called."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Any


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


def mkl_available() -> tuple[bool, str]:
    path, where = find_mkl()
    if path is None:
        return False, where
    try:
        return True, mkl(Mkl._threads or 1).version
    except (OSError, RuntimeError) as error:
        return False, f"{path} ({where}) does not load: {error}"
