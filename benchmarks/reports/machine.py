# SPDX-License-Identifier: BSD-3-Clause
"""The machine record: what has to stand beside a figure for somebody else to make sense of it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from benchmarks import rivals, timing

# Flags that decide which micro-kernels exist here.
_FLAGS = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni",
          "avx512_bf16", "avx512_fp16", "avx512_vbmi", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16",
          "asimd", "asimddp", "sve", "sve2", "bf16", "i8mm")  # fmt: skip


def _cpu() -> tuple[str, list[int], list[str]]:
    """Its name, family and model (which tell apart what is sold under one name), and flags; what the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor(), [], []
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    flags = set(found.get("flags", found.get("Features", "")).split())
    model = [int(found[key]) for key in ("cpu family", "model") if found.get(key, "").isdigit()]
    return found.get("model name", platform.machine()), model, [flag for flag in _FLAGS if flag in flags]


def _ours() -> dict[str, Any]:
    there, why = rivals.Ours().available()
    if not there:
        return {"absent": why}
    cs = rivals.import_ours()
    configuration = cs.show_config(mode="dicts")
    return {"version": why, "isa": configuration["isa"]["selected"], "configuration": configuration}


def record(threads: int, roof: bool = False) -> dict[str, Any]:
    """Plain data; `roof` adds the measured peaks (about two seconds)."""
    cpu, model, flags = _cpu()
    found: dict[str, Any] = {
        "cpu": cpu,
        "model": model,
        "flags": flags,
        "cores": os.cpu_count(),
        "affinity": sorted(os.sched_getaffinity(0)),
        "threads": threads,
        "caches": timing.cache_sizes(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "compiler": timing.compiler_version(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": " ".join(rivals.scipy_blas()),
        "mkl": dict(zip(("there", "version"), rivals.MklSparse().available())),
        "complsparse": _ours(),
        "absent": rivals.absent(),
        "settings": {
            k: v
            for k, v in os.environ.items()
            if k.startswith(("COMPLSPARSE_", "OMP_", "MKL_", "OPENBLAS_")) and k != "COMPLSPARSE_DATA"
        },
    }
    if roof:
        found["roof"] = timing.roof()
    return found
