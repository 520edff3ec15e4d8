# SPDX-License-Identifier: BSD-3-Clause
"""How the command line prints: tables, with rich where it is installed and as plain text elsewhere, and JSON."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from complsparse._cli.measure import COUNTED_NNZ, PROGRAM, compare_strategies, facts, means
from complsparse._files.trust import printable

WIDTH = 160  # of tables that go to a file or a pipe
NAME_WIDTH = 30


class Column(NamedTuple):
    title: str
    text: bool = False  # aligned to the left


class Table(NamedTuple):
    title: str
    columns: list[Column]
    rows: list[list[str]]
    sections: set[int]  # rows with a rule above them


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _ratio_style(cell: str) -> str | None:
    """Colours a ratio: who is faster."""
    try:
        ratio = float(cell.removesuffix("x")) if cell.endswith("x") else None
    except ValueError:  # a name that ends in x
        ratio = None
    if ratio is None:
        return None
    return f"[green]{cell}[/green]" if ratio >= 1 else f"[yellow]{cell}[/yellow]"


def print_table(table: Table) -> None:
    rows = [[printable(cell) for cell in row] for row in table.rows]
    table = table._replace(title=printable(table.title), rows=rows)
    if has("rich"):
        _print_rich(table)
    else:
        print(_plain(table))


def _print_rich(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else WIDTH)
    drawn = RichTable(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for column in table.columns:
        drawn.add_column(
            column.title, justify="left" if column.text else "right", no_wrap=not column.text, overflow="fold"
        )
    for i, row in enumerate(table.rows):
        if i in table.sections:
            drawn.add_section()
        drawn.add_row(*(_ratio_style(cell) or escape(cell) for cell in row))
    console.print(table.title, style="bold", markup=False, soft_wrap=True)
    console.print(drawn)


def _plain(table: Table) -> str:
    heads = [column.title.split("\n") for column in table.columns]
    depth = max(map(len, heads))
    head = [[lines[i] if i < len(lines) else "" for lines in heads] for i in range(depth)]
    widths = [max(len(row[i]) for row in [*head, *table.rows]) for i in range(len(table.columns))]

    def line(row: list[str]) -> str:
        padded = (
            cell.ljust(width) if column.text else cell.rjust(width)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        )
        return "  ".join(padded).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [table.title, rule, *map(line, head), rule]
    for i, row in enumerate(table.rows):
        lines += [""] if i in table.sections else []
        lines.append(line(row))
    return "\n".join([*lines, rule])


def print_json(document: dict[str, Any]) -> None:
    print(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """JSON knows no NaN: None stands for it."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def duration(seconds: float) -> str:
    for scale, unit in ((1e-6, "us"), (1e-3, "ms")):
        if seconds < 1000 * scale:
            return f"{seconds / scale:.3g} {unit}" if seconds < 999.5 * scale else f"{seconds / scale:.0f} {unit}"
    return f"{seconds:.3g} s"


def times(ratio: float | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.1f}x" if ratio >= 9.95 else f"{ratio:.2f}x"


# --- what the commands show -------------------------------------------------------------------------------------------


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
