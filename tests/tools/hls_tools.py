# SPDX-License-Identifier: BSD-3-Clause
"""The tools that tests of circuits need, none of which the library does: where they are, or why a test is skipped."""

import functools
import os
import pathlib
import shutil

import pytest

INTEGERS = ("machine", "sanitized", "ap_int", "bit_int")
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def missing(what):
    """Skips the test; where tools must be there, it fails."""
    if os.environ.get("COMPLSPARSE_HLS_TOOLS") == "required":
        pytest.fail(f"{what}, and COMPLSPARSE_HLS_TOOLS=required")
    pytest.skip(f"not run: {what}")


def tool(*names):
    """The first of these programs that is installed."""
    for name in names:
        if found := shutil.which(name):
            return found
    return missing(f"{' or '.join(names)} is not installed")


def clang():
    """Debian's names; 15 is the first whose pointers have no type, which the Verilog printer counts on."""
    names = [f"clang++-{version}" for version in range(21, 14, -1)]
    return next(filter(None, map(shutil.which, names)), None) or missing("Clang 15 or later is not installed")


@functools.cache
def ap_types():
    """The folder of ap_int.h, from the wheel of hls4ml."""
    try:
        import importlib.metadata as metadata

        files = metadata.files("hls4ml") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith("vivado/ap_types/ap_int.h"):
            return str(pathlib.Path(file.locate()).parent)
    return None


def integers(kind):
    """Compiler and flags for a kind of integer."""
    if kind == "ap_int":
        folder = ap_types() or missing("ap_int.h: `pip install --no-deps hls4ml` brings it")
        # Its default constructor reads what it has not written.
        quiet = ("-Wno-uninitialized", "-Wno-maybe-uninitialized")
        return tool("g++"), ("-DCOMPLSPARSE_AP_INT", "-isystem", folder, *quiet)
    if kind == "bit_int":
        return clang(), ("-DCOMPLSPARSE_BIT_INT",)
    return tool("g++"), SANITIZERS if kind == "sanitized" else ()
