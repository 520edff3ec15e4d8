# SPDX-License-Identifier: BSD-3-Clause
"""What the commands show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from complsparse._cli.measure import COUNTED_NNZ, PROGRAM, compare_strategies, facts, means
from complsparse._tables import Column, Table, duration, times

NAME_WIDTH = 30


def _lines_of(record: dict[str, Any]) -> list[str]:
    """What the table says of a matrix, in lines beside its products."""
    name = record["name"] if len(record["name"]) <= NAME_WIDTH else f"...{record['name'][3 - NAME_WIDTH :]}"
    rows, cols = record["shape"]
    fill = f"{100 * record['packing_efficiency']:.0f}%, {duration(record['pack_seconds'])}"
    return [
        name,
        f"{rows}x{cols}, {100 * (1 - record['density']):.1f}% sparse",
        f"{record['strategy']} {record['n_sets']} sets, {fill}",
    ]


def results_table(title: str, records: list[dict[str, Any]], names: list[str], batches: Sequence[int]) -> Table:
    columns = [Column("matrix\nsets, fill, time to pack", True), *map(Column, ("N", "time", "GFLOP/s"))]
    columns += [Column("\n".join(name.split(" ", 1))) for name in names]
    rows: list[list[str]] = []
    sections = set()

    def add(lines: list[str], cells: list[list[str]]) -> None:
        sections.add(len(rows))
        for i in range(max(len(lines), len(cells))):
            line = lines[i] if i < len(lines) else ""
            rows.append([line, *(cells[i] if i < len(cells) else [""] * (len(columns) - 1))])

    for record in records:
        cells = []
        for product in record["products"]:
            speed = f"{product['gflops']:.1f}" if product["correct"] else "WRONG"
            ratios = [times(product["ratios"].get(name)) for name in names]
            cells.append([str(product["n"]), duration(product["seconds"][PROGRAM]), speed, *ratios])
        add(_lines_of(record), cells)
    averages = means(records, names, batches)
    if averages[0]["matrices"] > 1:
        cells = [[str(mean["n"]), "", "", *(times(mean["ratios"][name]) for name in names)] for mean in averages]
        counted = averages[0]["matrices"]
        add(
            ["geometric means over", f"{counted} of {len(records)} matrices", f"({COUNTED_NNZ} non-zeros or more)"],
            cells,
        )
    return Table(title, columns, rows, sections - {0})


def strategies_table(W: Any) -> Table:
    columns = [Column("strategy", True), *map(Column, ("sets", "lower bound", "full", "largest set", "packed in"))]
    rows = [
        [
            f"{name} (chosen)" if name == W.strategy else name,
            str(found["n_sets"]),
            str(W.lower_bound),
            f"{100 * found['packing_efficiency']:.1f}%",
            f"{found['set_size']} rows",
            duration(found["seconds"]),
        ]
        for name, found in compare_strategies(W).items()
    ]
    return Table("strategies", columns, rows, set())


def tensors_table(file: str, packed: dict[str, Any]) -> Table:
    columns = [Column(text) for text in ("shape", "dtype", "stored", "sparse", "block", "sets", "lower bound", "full")]
    columns += [Column("packing", True), Column("matrix", True)]
    rows = []
    for name, W in packed.items():
        density = facts(W)["density"]
        pattern = [str(W.nnz), f"{100 * (1 - density):.1f}%", f"{W.block[0]}x{W.block[1]}"]
        packing = [str(W.n_sets), str(W.lower_bound), f"{100 * W.packing_efficiency:.0f}%", W.strategy]
        rows.append([f"{W.shape[0]}x{W.shape[1]}", str(W.dtype), *pattern, *packing, name])
    return Table(f"{file}: {len(packed)} matrices (--tensor NAME shows one in detail)", columns, rows, set())
