# SPDX-License-Identifier: BSD-3-Clause
"""Tables and pictures from measured results:

    python benchmarks/report.py results.json [more.json ...] -o docs/performance

Reads what `pytest benchmarks --benchmark-json=...` and `accept.py -o ...` write; makes `index.md` and, where the cases
are there, `ratios.png`, `roofline.png`, `crossover.png`, `scaling.png` and `choice.png`. Every measured case is in the
tables, losses marked.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.timing.loop import geometric_mean

OURS = "complsparse"
MKL_SPARSE = "MKL sparse"
MKL_DENSE = "MKL dense"
LOSS = "▼"
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


# --- Markdown ---------------------------------------------------------------------------------------------------------


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


def _groups(cases: Sequence[dict[str, Any]]) -> list[tuple[str, str, int]]:
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


HOW = f"""All times are medians of interleaved rounds of one compiled loop that calls ours and every rival through
function pointers: operands prepared, outputs allocated, at least 100 calls a sample where a call takes under 0.4 ms,
copies on the caller's side timed on both sides. A ratio is the rival's best variant over ours, the median over the
rounds: above 1 we are faster; {LOSS} marks what we lose. The two columns "from Python" are calls of the public
interface, Python included. `MKL sparse` is the inspector-executor with hints and `mkl_sparse_optimize`; its variants
(row- and column-major, 64- and 128-wide panels at N >= 256, block form where the pattern is exact square blocks) are
all tried, the best one is named."""


PATTERNS = """One line per target, met where every matrix of it reaches the bound. x and y are plain C-order arrays:
what a rival needs transposed, packed or copied it does within the timing. The column before the last is the mean over
the rival's best form if it got such arrays for nothing. `AVX2 forced`: a process of its own, both sides held to it."""


def regret_section(records: Sequence[dict[str, Any]]) -> str:
    rows = [
        [r["problem"], str(r["n"]), r["chosen"], r["best"], str(len(r["ns"])), f"{r['regret']:.1%}"]
        for r in sorted(records, key=lambda r: -r["regret"])
    ]
    mean = geometric_mean([1 + r["regret"] for r in records]) - 1
    table = markdown_table(["matrix", "N", "chosen", "best", "candidates", "regret"], rows)
    return f"Geometric mean {mean:.1%}: the chosen candidate's time over the fastest one's.\n\n{table}"


GRID = ("Times faster than MKL dense, one vector, 1024 x 1024, as the plan chooses; in brackets the two sparsities "
        "multiplied.")  # fmt: skip


def write_markdown(results: Results, folder: Path, pictures: Sequence[str]) -> Path:
    parts = ["# Performance", "Generated by `python benchmarks/report.py`; not edited by hand.",
             machine_section(results.machine), HOW]  # fmt: skip
    from benchmarks.targets import patterns

    verdicts = patterns.verdicts(results.cases)
    names = {f"{v.target.what}, N = {v.target.n}: {rival} / ours" for v in verdicts for rival in v.target.bounds}
    if targets := [t for t in results.targets if t["what"] not in names]:
        parts += ["## Targets", targets_section(targets)]
    if verdicts:
        parts += ["## Patterns that pack perfectly", PATTERNS, patterns.table(verdicts)]
    if sweeps := patterns.sweep_tables(results.cases):
        parts += ["## Time against density", *sweeps]
    from benchmarks.targets import winners as spspmm

    if grid := spspmm.grid_table(results.cases):
        parts += ["## Two sparsities", GRID, grid]
    if regrets := results.kind("regret"):
        parts += ["## The plan's choice", regret_section(regrets)]
    captions = {
        "ratios.png": "Each dot is a matrix, small ones too; the bar is their geometric mean, shaded is where we lose.",
        "roofline.png": "One core. Intensity counts each byte of W (as CSR), x and y once. MKL sparse in grey.",
        "crossover.png": "Time of a 1024 x 1024 product against sparsity: where the lines cross, sparse begins to win.",
        "scaling.png": "Time against density: on a line through the origin only non-zeros cost anything.",
        "sparsities.png": "Weights and activations, both sparse: what is measured beside the two multiplied.",
        "choice.png": "Which pattern for which sparsity and batch: where we lose, the cell has the winner's colour.",
    }
    for picture in pictures:
        parts.append(f"![{captions[picture]}]({picture})\n\n*{captions[picture]}*")
    products = results.products()
    for dtype, layout, threads in _groups(products):
        chosen = [c for c in products if (c["dtype"], c["layout"], c["threads"]) == (dtype, layout, threads)]
        many = "one thread" if threads == 1 else f"{threads} threads"
        parts += [f"## {dtype}, {layout} x, {many}", means_section(results, chosen), "### Every case",
                  cases_section(results, chosen)]  # fmt: skip
    if records := results.kind("overhead"):
        parts += ["## What a call costs", overhead_section(records)]
    if packing := packing_section(results):
        parts += ["## Packing", packing]
    if records := results.kind("scaling"):
        rows = [
            [r["problem"], str(r["n"]), *[microseconds(ns) for ns in r["ns"].values()], f"{r['speedup']:.2f}"]
            for r in records
        ]
        parts += ["## Two threads", markdown_table(["matrix", "N", "one, us", "two, us", "speed-up"], rows)]
    path = folder / "index.md"
    path.write_text("\n\n".join(parts) + "\n")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Markdown and pictures from benchmark results.")
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/performance"))
    chosen = parser.parse_args(arguments)
    results = load(chosen.results)
    chosen.output.mkdir(parents=True, exist_ok=True)
    from benchmarks.reports import pictures

    drawn = pictures.draw(results, chosen.output)
    print(write_markdown(results, chosen.output, drawn))
    return 0
