# SPDX-License-Identifier: BSD-3-Clause
"""Measured results, from files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "complsparse"
MKL_SPARSE = "MKL sparse"
MKL_DENSE = "MKL dense"
# What is drawn first and named first; peers that are not listed follow.
PEER_ORDER = (MKL_SPARSE, MKL_DENSE, "OpenBLAS dense")


@dataclass
class Results:
    machine: dict[str, Any] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=list)

    def kind(self, kind: str) -> list[dict[str, Any]]:
        return [case for case in self.cases if case.get("kind") == kind]

    def products(self) -> list[dict[str, Any]]:
        """Each product once, the last measurement of it; what was measured under other conditions stays apart."""
        found = {
            (c["problem"], c["n"], c["layout"], c["dtype"], c["threads"]): c
            for c in self.kind("matmul")
            if c.get("section") != "patterns, AVX2" and c.get("weights", c["dtype"]) == c["dtype"]
        }
        return list(found.values())

    def rivals(self, cases: Iterable[dict[str, Any]]) -> list[str]:
        found = {peer for case in cases for peer in case["peers"] if peer != OURS}
        return sorted(found, key=lambda p: (PEER_ORDER.index(p) if p in PEER_ORDER else len(PEER_ORDER), p))


def load(paths: Sequence[Path]) -> Results:
    """One set of results from several files of the same machine; the first names it."""
    results = Results()
    for path in paths:
        content = json.loads(path.read_text())
        if "benchmarks" in content:
            machine = content["machine_info"].get("record", {})
            results.cases += [b["extra_info"] for b in content["benchmarks"] if b["extra_info"].get("kind")]
        elif "cases" in content:
            machine = content["machine"]
            results.cases += content["cases"]
            results.targets += content["targets"]
        else:
            raise ValueError(f"{path} is neither a pytest-benchmark file nor one of accept.py")
        if not results.machine or ("roof" in machine and "roof" not in results.machine):
            results.machine = machine
    return results
