# SPDX-License-Identifier: BSD-3-Clause
"""A bar on the terminal while long work goes on; nothing anywhere else."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar on stderr, where that is a terminal; the function that it gives takes the name of the next item."""
    if total < 2 or sys.stderr is None or not sys.stderr.isatty() or importlib.util.find_spec("rich") is None:
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    parts = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total + 1)

        def step(name: str) -> None:
            bar.update(task, advance=1, description=f"{what} {name:.40}")

        yield step
