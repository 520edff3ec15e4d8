# SPDX-License-Identifier: BSD-3-Clause
"""Tables and pictures from measured results:

    python benchmarks/report.py results.json [more.json ...] -o docs/performance

Reads what `pytest benchmarks --benchmark-json=...` and `accept.py -o ...` write; makes `index.md` (what there is to
conclude), `tables.md` (every measured case, losses marked) and, where the cases are there, `ratios.png`,
`roofline.png`, `crossover.png`, `scaling.png`, `sparsities.png` and `choice.png`. A summary of the machine is kept in
`benchmarks/machines`, and the page shows all summaries beside each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    import _from_file  # noqa: F401

from benchmarks.reports import machines, pictures
from benchmarks.reports.page import write_markdown
from benchmarks.reports.results import load


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Markdown and pictures from benchmark results.")
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/performance"))
    parser.add_argument("--machines", type=Path, default=machines.FOLDER, help="where summaries of machines are kept")
    chosen = parser.parse_args(arguments)
    results = load(chosen.results)
    chosen.output.mkdir(parents=True, exist_ok=True)
    drawn = pictures.draw(results, chosen.output)
    kept = machines.keep(results, chosen.machines)
    for path in (*write_markdown(results, chosen.output, drawn, chosen.machines), *([kept] if kept else [])):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
