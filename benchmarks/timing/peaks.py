# SPDX-License-Identifier: BSD-3-Clause
"""What one core of this machine can do, measured, and the caches that it sees."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from benchmarks.timing.compiled import library


@functools.cache
def roof() -> dict[str, Any]:
    """Measured peaks of the current core: GFLOP/s, GB/s by cache level, fma fed from memory, gathers."""
    lib = library()
    sizes = {"L1": 16 << 10, "L2": 256 << 10, "L3": 6 << 20, "DRAM": 256 << 20}
    caches = cache_sizes()
    if caches.get("L3", 0) > 256 << 20:
        sizes["DRAM"] = 2 * caches["L3"]
    return {
        "vector_bytes": int(lib.vector_width()),
        "fma_gflops": {"float32": lib.fma_gflops_f32(), "float64": lib.fma_gflops_f64()},
        "fma_load_gflops": {
            "float32": {level: lib.fma_load_gflops_f32(sizes[level]) for level in ("L1", "L2", "L3")},
            "float64": {level: lib.fma_load_gflops_f64(sizes[level]) for level in ("L1", "L2", "L3")},
        },
        "load_gbytes": {level: lib.load_gbytes(size) for level, size in sizes.items()},
        "gather_gelements": {level: lib.gather_rate(sizes[level]) for level in ("L1", "L2", "L3")},
    }


def clock_ghz() -> float:
    """The clock of the current core, as it is now."""
    return float(library().clock_ghz())


@functools.cache
def cache_sizes() -> dict[str, int]:
    """Bytes of the caches one core sees, from sysfs; empty where the system does not tell."""
    found: dict[str, int] = {}
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind = (index / "type").read_text().strip()
            level = (index / "level").read_text().strip()
            size = (index / "size").read_text().strip()
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}"] = int(size[:-1]) * units[size[-1]] if size[-1] in units else int(size)
    return found
