# SPDX-License-Identifier: BSD-3-Clause
"""A deep network whose weights and activations are sparse: the example of docs/guide/winners.md at full size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

LAYERS, NEURONS, INPUTS, THRESHOLD = 30, 1024, 1200, 0.3


def guide(cs: Any) -> dict[str, Any]:
    """The names that the sessions of docs/guide/winners.md define, its example among them; `cs` is the library."""
    page = Path(__file__).resolve().parents[2] / "docs" / "guide" / "winners.md"
    example = page.read_text().partition("## Example")[2]
    names: dict[str, Any] = {"np": np, "cs": cs}
    for block in re.findall(r"^```pycon\n(.*?)^```$", example, re.MULTILINE | re.DOTALL):
        lines = [line[4:] for line in block.splitlines() if line.startswith((">>> ", "... "))]
        exec("\n".join(lines), names)
    return names
