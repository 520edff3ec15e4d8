# SPDX-License-Identifier: BSD-3-Clause
"""Tables for people, with rich where it is installed and as plain text elsewhere; JSON for programs."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from typing import Any, NamedTuple

import numpy as np

from complsparse._files.trust import printable

WIDTH = 160  # of tables that go to a file or a pipe


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
        print(plain_table(table))


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


def plain_table(table: Table) -> str:
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
