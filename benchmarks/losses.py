# SPDX-License-Identifier: BSD-3-Clause
"""What pruning to a pattern costs: the table and the pictures of docs/guide/patterns.md.

``python benchmarks/losses.py -o docs/images`` draws, and prints the tables. The trained layer is read from the folder
of real matrices (`--data DIR`, `COMPLSPARSE_DATA`); without it only the random matrix is pruned.
"""

from __future__ import annotations

import argparse
from pathlib import Path

if not __package__:
    import _from_file  # noqa: F401

import matplotlib.pyplot as plt

from benchmarks import problems
from benchmarks.reports import losses
from benchmarks.reports.pictures.style import STYLE


def main() -> None:
    parser = argparse.ArgumentParser(description="What pruning to a pattern costs: tables and pictures.")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images"))
    parser.add_argument("--data", type=Path)
    args = parser.parse_args()
    matrices = losses.matrices(problems.data_folder(args.data))
    found = {name: losses.losses(A) for name, A in matrices.items()}
    for name, rows in found.items():
        print(f"\n{name}\n\n{losses.table(rows)}")
    with plt.rc_context(STYLE):
        losses.draw_losses(found, args.output / "pruning.png")
        losses.draw_patterns(args.output / "patterns.png")


if __name__ == "__main__":
    main()
