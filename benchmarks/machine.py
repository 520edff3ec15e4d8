# SPDX-License-Identifier: BSD-3-Clause
"""The machine record, as it stands beside every figure: `python benchmarks/machine.py`."""

from __future__ import annotations

import json

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import rivals, timing
from benchmarks.reports import machine


def main() -> None:
    timing.pin(1)
    rivals.set_threads(1)
    print(json.dumps(machine.record(1, roof=True), indent=1))


if __name__ == "__main__":
    main()
