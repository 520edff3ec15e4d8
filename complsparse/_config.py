# SPDX-License-Identifier: BSD-3-Clause
"""Threads, ISA levels and what `show_config` prints. Reads the environment once, at import."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from typing import Any, Literal, overload

import numpy as np
import scipy
import threadpoolctl

from complsparse import _core

__version__ = "0.1.0"


def _choice(name: str, valid: dict[str, Any]) -> Any:
    text = os.environ.get(name)
    if text is None or text == "":
        return None
    if text.lower() not in valid:
        raise ValueError(f"{name}={text!r} is not valid; use one of: {', '.join(valid)}")
    return valid[text.lower()]


def _read_environment() -> None:
    levels = {level["name"]: level["name"] for level in _core.isa_levels() if level["supported"]}
    isa = _choice("COMPLSPARSE_ISA", levels)
    if isa is not None:
        _core.set_isa(isa)
    deterministic = _choice("COMPLSPARSE_DETERMINISTIC", {"0": False, "1": True})
    if deterministic is not None:
        _core.set_deterministic(deterministic)
    threads = os.environ.get("COMPLSPARSE_NUM_THREADS")
    if threads:
        if not threads.isdecimal() or len(threads) > 5 or not 1 <= int(threads) <= 65536:
            raise ValueError(f"COMPLSPARSE_NUM_THREADS={threads!r} is not valid; use a number from 1 to 65536")
        _core.set_num_threads(int(threads))


def _is_command_line() -> bool:
    """Whether this process is the command line. The package is imported before it: until then `-m` stands in argv."""
    if sys.argv[:1] == ["-m"]:
        return "complsparse" in sys.orig_argv[1:]
    return bool(sys.argv) and os.path.basename(sys.argv[0]) == "complsparse"


def isa_levels() -> list[str]:
    """The ISA levels that this CPU supports, weakest first. ``COMPLSPARSE_ISA`` caps the level in use.

    Examples
    --------
    >>> import complsparse as cs
    >>> cs.isa_levels()[0]
    'portable'
    """
    return [level["name"] for level in _core.isa_levels() if level["supported"]]


def microkernels() -> list[dict[str, Any]]:
    """The kernel table: one dict per micro-kernel with its name, operation, type, ISA level, tile and layout.

    ``runnable`` says whether the CPU supports its level. Tests and benchmarks parametrise themselves from this list.

    Examples
    --------
    >>> import complsparse as cs
    >>> {"name", "op", "type", "isa", "tile", "layout", "runnable"} <= set(cs.microkernels()[0])
    True
    """
    return _core.microkernels()


def set_num_threads(n: int) -> None:
    """Limit the threads of a product to `n`, for the whole process.

    The least of this, the OpenMP runtime's limit, the container's CPU quota and the cores left to the process counts.

    Parameters
    ----------
    n : int
        At least 1.

    Examples
    --------
    >>> import complsparse as cs
    >>> before = cs.get_num_threads()
    >>> cs.set_num_threads(1)
    >>> cs.get_num_threads()
    1
    >>> cs.set_num_threads(before)
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"n must be an integer, not {type(n).__name__}")
    if not 1 <= n <= 65536:
        raise ValueError(f"n={n} threads: use a number from 1 to 65536")
    _core.set_num_threads(int(n))


def get_num_threads() -> int:
    """The threads that a large product would use now."""
    return _core.get_num_threads()


@contextlib.contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Limit the threads of products inside a ``with`` block, for the whole process.

    Examples
    --------
    >>> import complsparse as cs
    >>> with cs.num_threads(1):
    ...     cs.get_num_threads()
    1
    """
    before = _core.thread_report()["own"]
    set_num_threads(n)
    try:
        yield
    finally:
        _core.set_num_threads(before)


class _ThreadController(threadpoolctl.LibController):  # type: ignore[misc]
    """Lets `threadpoolctl` see and limit the library."""

    user_api = "complsparse"
    internal_api = "complsparse"
    filename_prefixes = ("_core",)
    check_symbols = ("complsparse_get_num_threads", "complsparse_set_num_threads")

    def get_num_threads(self) -> int:
        return int(self.dynlib.complsparse_get_num_threads())

    def set_num_threads(self, num_threads: int) -> None:
        self.dynlib.complsparse_set_num_threads(num_threads)

    def get_version(self) -> str:
        return __version__

    def set_additional_attributes(self) -> None:
        self.threading_layer = _core.thread_report()["backend"]


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _configuration() -> dict[str, dict[str, Any]]:
    threads = _core.thread_report()
    build = _core.build_info()
    levels = _core.isa_levels()
    return {
        "version": {
            "complsparse": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        "build": {"compiler": build["compiler"], "flags": build["flags"]},
        "isa": {
            "selected": next(level["name"] for level in levels if level["selected"]),
            "supported": [level["name"] for level in levels if level["supported"]],
            "not supported by this CPU": [level["name"] for level in levels if not level["supported"]],
            "left out by the compiler": build["isa_levels_left_out"],
        },
        "threads": {
            "backend": threads["backend"],
            "in use": threads["effective"],
            "own limit": threads["own"] or "none",
            "runtime limit": threads["runtime"],
            "container quota": threads["quota"] or "none",
            "confined to cores": threads["confinement"] or "none",
            "forked": threads["forked"],
        },
        "caches": {name: f"{size // 1024} KiB" for name, size in _core.cache_sizes().items()},
        "deterministic": {"default": _core.get_deterministic()},
        "python": {"gil": getattr(sys, "_is_gil_enabled", lambda: True)()},
        "extras": {name: _is_installed(name) for name in ("rich", "matplotlib", "safetensors", "ml_dtypes", "mkl")},
    }


@overload
def show_config(mode: Literal["text"] = "text") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, dict[str, Any]]: ...
def show_config(mode: str = "text") -> dict[str, dict[str, Any]] | None:
    """Print how the library was built and what it would use here, with ``mode="dicts"`` return it.

    Examples
    --------
    >>> import complsparse as cs
    >>> cs.show_config(mode="dicts")["isa"]["supported"][0]
    'portable'
    """
    if mode not in ("text", "dicts"):
        raise ValueError(f"mode={mode!r} is not known; use 'text' or 'dicts'")
    configuration = _configuration()
    if mode == "dicts":
        return configuration
    for section, entries in configuration.items():
        print(f"{section}:")
        for name, value in entries.items():
            shown = ", ".join(value) or "none" if isinstance(value, list) else value
            print(f"  {name}: {shown}")
    return None


try:
    _read_environment()
except ValueError as wrong:
    if not _is_command_line():
        raise
    print(f"complsparse: error: {wrong}", file=sys.stderr)
    raise SystemExit(2) from None
threadpoolctl.register(_ThreadController)
