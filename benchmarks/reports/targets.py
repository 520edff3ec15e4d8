# SPDX-License-Identifier: BSD-3-Clause
"""Tables of the acceptance run: targets, patterns, time against density, two sparsities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.rivals import MklDense
from benchmarks.targets import patterns
from benchmarks.targets.target import Records, Verdict
from benchmarks.timing import geometric_mean


def acceptance_table(verdicts: Sequence[Verdict]) -> str:
    rows = ["| target | bound | measured | | lowest cases, or what it is made of |", "|---|---|---|---|---|"]
    marks = {True: "met", False: "**missed**", None: "-"}
    rows += [f"| {v.what} | {v.bound} | {v.figure.text} | {marks[v.met]} | {v.figure.detail} |" for v in verdicts]
    return "\n".join(rows)


def of_patterns(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those that have a table of their own."""
    return [verdict for verdict in verdicts if verdict.target in patterns.TARGETS]


def patterns_table(verdicts: Sequence[Verdict], records: Records) -> str:
    """The targets for patterns that pack perfectly, with what was measured: a line for every rival."""
    rows = [
        "| pattern | N | over | bound | mean | lowest | | each | with arrays in the rival's layout | from Python, us |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    before = None
    for verdict in of_patterns(verdicts):
        target = verdict.target
        row = (target.row, str(target.cases[0].n))
        [rival] = target.rivals
        found = patterns.products(target, records)
        python = ", ".join(f"{r['python_ns']['public'] / 1e3:.2f}" for r in found.values() if r["kind"] == "matmul")
        first, python = (" | ", "") if row == before else (" | ".join(row), python)
        before = row
        about = f"| {first} | {rival} | {target.bound.value:g}"
        if verdict.figure.value is None:
            rows.append(f"{about} | {verdict.figure.text} | | - | | | |")
            continue
        ratios = list(patterns.over(found, rival).values())
        free = patterns.over(found, f"{patterns.peer_of(rival)}, free")
        figures = f"{geometric_mean(ratios):.2f} | {min(ratios):.2f}"
        rows.append(f"{about} | {figures} | {_mark(verdict)} | {verdict.figure.detail} | "
                    f"{geometric_mean(list(free.values())):.2f} | {python} |")  # fmt: skip
    return "\n".join(rows)


def _mark(verdict: Verdict) -> str:
    if verdict.target.aim:
        return {None: "-", True: "aim reached", False: "aim missed"}[verdict.holds]
    return {None: "-", True: "met", False: "**missed**"}[verdict.met]


def sweep_tables(records: Sequence[dict[str, Any]]) -> list[str]:
    """A table for every kind of sweep among the records."""
    mine = sorted(
        (r for r in records if r["kind"] in ("sweep", "choice")), key=lambda r: (r["kind"] != "sweep", r["n"])
    )
    kinds = dict.fromkeys(r["kind"] for r in mine)
    return [_sweep_table([r for r in mine if r["kind"] == kind]) for kind in kinds]


def _sweep_table(records: Sequence[dict[str, Any]]) -> str:
    """Time against density, in microseconds: one row per block height, batch size and side."""
    rows: list[str] = []
    for record in records:
        sizes = list(dict.fromkeys(p["set_size"] for p in record["points"]))
        if not rows:
            head = [f"{100 * (1 - 1 / size):.3g}%" for size in sizes]
            rows = ["| N | block | us | " + " | ".join(head) + " | R² | intercept / 80% time |"]
            rows.append("|---" * (len(head) + 5) + "|")
        for line in record["fits"]:
            mine = [p for p in record["points"] if p["height"] == line["height"]]
            cells = [f"{p['ns'][line['peer']] / 1e3:.2f}" for p in mine]
            rows.append(f"| {record['n']} | ({line['height']}, 1) | {line['peer']} | {' | '.join(cells)} | "
                        f"{line['r_squared']:.4f} | {100 * line['share']:.1f}% |")  # fmt: skip
        if dense := record.get("dense"):
            cells = [f"{dense['ns'] / 1e3:.2f}"] * len(sizes)
            rows.append(f"| {record['n']} | | {MklDense.name} | {' | '.join(cells)} | | |")
    return "\n".join(rows)


def grid_table(records: Sequence[dict[str, Any]]) -> str:
    """Times faster than dense, by weight and activation sparsity; in brackets the two sparsities multiplied."""
    lines = []
    for height in dict.fromkeys(r["height"] for r in records if r["kind"] == "grid"):
        rows = [r for r in records if r["kind"] == "grid" and r["height"] == height]
        shares = [point["share"] for point in rows[0]["points"]]
        lines.append(f"| ({height}, 1): weights | " + " | ".join(f"{1 - s:.0%} of x zero" for s in shares) + " |")
        lines.append("|---" * (len(shares) + 1) + "|")
        for row in rows:
            ideal = 1 / (1 - row["weight_sparsity"])
            cells = [f"{p.get('ratio', float('nan')):.0f} ({ideal / p['share']:.0f})" for p in row["points"]]
            lines.append(f"| {row['weight_sparsity']:.1%} zero | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
