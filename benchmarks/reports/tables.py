# SPDX-License-Identifier: BSD-3-Clause
"""Tables of what was measured: the sections of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.reports.results import MKL_SPARSE, OURS, Results
from benchmarks.targets import regret
from benchmarks.timing import geometric_mean

LOSS = "▼"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """The first `left` columns are text, the others numbers, aligned to the right."""
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def microseconds(ns: float | None) -> str:
    if ns is None:
        return ""
    us = ns / 1e3
    return f"{us:.3f}" if us < 1 else f"{us:.2f}" if us < 100 else f"{us:,.0f}"


def ratio_text(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.2f}" if ratio >= 1 else f"**{ratio:.2f}** {LOSS}"


def machine_section(machine: dict[str, Any]) -> str:
    caches = ", ".join(
        f"{level} {size >> 10} KB" if size < 1 << 20 else f"{level} {size / (1 << 20):g} MB"
        for level, size in machine.get("caches", {}).items()
    )
    ours = machine.get("complsparse", {})
    rows = [
        ("processor", f"{machine.get('cpu')}, {machine.get('cores')} cores; {caches}"),
        ("instruction sets", " ".join(machine.get("flags", []))),
        ("threads", f"{machine.get('threads')}, pinned to core(s) {machine.get('affinity')}"),
        ("system, compiler", f"{machine.get('system')}; {machine.get('compiler')}"),
        ("complsparse", f"{ours.get('version', ours.get('absent'))}, ISA level {ours.get('isa')}"),
        ("MKL", (machine.get("mkl") or {}).get("version", "")),
        ("other BLAS", str(machine.get("blas"))),
        ("Python, NumPy, SciPy", f"{machine.get('python')}, {machine.get('numpy')}, {machine.get('scipy')}"),
    ]
    if machine.get("settings"):
        rows.append(("settings", ", ".join(f"{k}={v}" for k, v in machine["settings"].items())))
    for name, why in machine.get("absent", {}).items():
        rows.append(("absent", f"{name}: {why}"))
    if roof := machine.get("roof"):
        peak = roof["fma_gflops"]
        loads = ", ".join(f"{level} {rate:.0f}" for level, rate in roof["load_gbytes"].items())
        rows.append(
            ("measured peaks, one core", f"{peak['float32']:.0f} GFLOP/s float32, {peak['float64']:.0f} float64; "
             f"loads in GB/s: {loads}")
        )  # fmt: skip
    return markdown_table(["machine", ""], rows, left=2)


def conditions(cases: Sequence[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return sorted(
        {(c["dtype"], c["layout"], c["threads"]) for c in cases}, key=lambda k: (k[2], k[0], k[1] != "feature-major")
    )


def means_section(results: Results, cases: Sequence[dict[str, Any]]) -> str:
    """Geometric means per group and N; the losses behind each are counted."""
    rivals = results.rivals(cases)
    header = ["matrices", "N", "cases", *[f"{r} / ours" for r in rivals], f"lost to {MKL_SPARSE}", "lowest"]
    rows = []
    for group in dict.fromkeys(c["group"] for c in cases):
        for n in sorted({c["n"] for c in cases if c["group"] == group}):
            chosen = [c for c in cases if c["group"] == group and c["n"] == n]
            cells = []
            for rival in rivals:
                ratios = [r for c in chosen if (r := c["peers"].get(rival, {}).get("ratio"))]
                cells.append(ratio_text(geometric_mean(ratios) if ratios else None))
            sparse = [r for c in chosen if (r := c["peers"].get(MKL_SPARSE, {}).get("ratio"))]
            lost = str(sum(r < 1 for r in sparse)) if sparse else ""
            rows.append([group, str(n), str(len(chosen)), *cells, lost, ratio_text(min(sparse, default=None))])
    return markdown_table(header, rows)


def cases_section(results: Results, cases: Sequence[dict[str, Any]]) -> str:
    rivals = results.rivals(cases)
    header = ["matrix", "micro-kernel", "best MKL sparse", "shape", "non-zeros", "N", "ours, us", "GFLOP/s"]
    for rival in rivals:
        header += [f"{rival}, us", "ratio"]
    header += ["call from Python, us", "SciPy from Python, us"]
    rows = []
    for case in sorted(cases, key=lambda c: (c["group"], c["problem"], c["n"])):
        ours = case["peers"].get(OURS, {})
        python = case.get("python_ns", {})
        scipy = [ns for name, ns in python.items() if name.startswith("scipy")]
        row = [
            case["problem"].rpartition("/")[2], ours.get("variant", ""),
            case["peers"].get(MKL_SPARSE, {}).get("variant", ""),
            "x".join(map(str, case["shape"])), f"{case['nnz']:,}", str(case["n"]), microseconds(ours.get("ns")),
            f"{ours['gflops']:.1f}" if ours else "",
        ]  # fmt: skip
        for rival in rivals:
            found = case["peers"].get(rival, {})
            row += [microseconds(found.get("ns")), ratio_text(found.get("ratio"))]
        row += [microseconds(python.get("public")), microseconds(min(scipy, default=None))]
        rows.append(row)
    return markdown_table(header, rows, left=3)


def targets_section(targets: Sequence[dict[str, Any]]) -> str:
    marks = {True: "met", False: f"**missed** {LOSS}", None: "not measured"}
    rows = [[t["what"], t["target"], t["figure"], marks[t["met"]], t["worst"]] for t in targets]
    return markdown_table(["target", "bound", "measured", "", "lowest cases, or what it is made of"], rows, left=5)


def overhead_section(records: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for record in records for name in record["ns"]))
    header = ["8 x 8, microseconds a call", *["vector" if r["n"] is None else f"{r['n']} columns" for r in records]]
    rows = [[f"`{name}`", *[microseconds(r["ns"].get(name)) for r in records]] for name in names]
    return markdown_table(header, rows)


def packing_section(results: Results) -> str:
    parts = []
    rows = [
        [{"pack": "packing alone", "from_scipy": "`cs.from_scipy`"}[r["kind"]], r["strategy"], r["problem"],
         f"{r['nnz']:,}", f"{r['million_nonzeros_per_second']:.0f}"]
        for r in [*results.kind("pack"), *results.kind("from_scipy")]
    ]  # fmt: skip
    if rows:
        parts.append(markdown_table(["what", "strategy", "matrix", "non-zeros", "million a second"], rows, left=3))
    rows = [
        [r["problem"], str(r["n"]), microseconds(r["prepare_ns"]), microseconds(r["public_ns"]),
         microseconds(r["scipy_ns"]), f"{r['multiplies']:.1f}"]
        for r in results.kind("break_even")
    ]  # fmt: skip
    if rows:
        header = ["matrix", "N", "convert and prepare, us", "ours, us", "SciPy, us", "multiplies until it has paid"]
        parts.append(markdown_table(header, rows))
    return "\n\n".join(parts)


def regret_section(records: Sequence[dict[str, Any]]) -> str:
    rows = [
        [r["problem"], str(r["n"]), r["chosen"], r["best"], str(len(r["ns"])), f"{r['regret']:.1%}"]
        for r in sorted(records, key=lambda r: -r["regret"])
    ]
    table = markdown_table(["matrix", "N", "chosen", "best", "candidates", "regret"], rows)
    return f"Geometric mean {regret.mean(records):.1%}: the chosen candidate's time over the fastest one's.\n\n{table}"
