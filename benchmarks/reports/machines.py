# SPDX-License-Identifier: BSD-3-Clause
"""Figures of several machines side by side: a small file for each, written with the report of that machine."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

from benchmarks.reports.conclusions import compared, ratios_to
from benchmarks.reports.results import MKL_SPARSE, Results
from benchmarks.reports.tables import markdown_table, ratio_text
from benchmarks.timing import geometric_mean

FOLDER = Path(__file__).resolve().parents[1] / "machines"


def summary(results: Results) -> dict[str, Any]:
    """The geometric means of a machine, by group of matrices and batch."""
    found: dict[str, Any] = {
        "cpu": results.machine.get("cpu"),
        "isa": results.machine.get("complsparse", {}).get("isa"),
        "version": results.machine.get("complsparse", {}).get("version"),
        "measured": datetime.date.today().isoformat(),
        "means": [],
    }
    cases = compared(results)
    for group in dict.fromkeys(c["group"] for c in cases):
        for n in sorted({c["n"] for c in cases if c["group"] == group}):
            ratios = ratios_to(MKL_SPARSE, [c for c in cases if c["group"] == group and c["n"] == n])
            if ratios:
                mean = {"group": group, "n": n, "cases": len(ratios), "ratio": round(geometric_mean(ratios), 3)}
                found["means"].append(mean)
    return found


def keep(results: Results, folder: Path = FOLDER) -> Path | None:
    """Writes the summary under the name of the machine; nothing where there are no products to sum up."""
    found = summary(results)
    if not found["means"] or not found["cpu"]:
        return None
    words = re.findall(r"[a-z0-9.]+", f"{found['cpu']} {found['isa']}".lower().replace("(r)", ""))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{'-'.join(words)}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def side_by_side(folder: Path = FOLDER) -> str:
    """A table with a column for each machine; "" where fewer than one is known."""
    machines = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not machines:
        return ""
    means = [{(m["group"], m["n"]): m for m in machine["means"]} for machine in machines]
    header = ["matrices", "N", *(f"{m['cpu']}, {m['isa']} ({m['version']}, {m['measured']})" for m in machines)]
    rows = []
    for key in dict.fromkeys(key for of in means for key in of):
        cells = [f"{ratio_text(of[key]['ratio'])} ({of[key]['cases']})" if key in of else "" for of in means]
        rows.append([key[0], str(key[1]), *cells])
    return markdown_table(header, rows)
