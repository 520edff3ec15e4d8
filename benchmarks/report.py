# SPDX-License-Identifier: BSD-3-Clause
"""Tables and pictures from measured results: the command line."""

if not __package__:
    import _from_file  # noqa: F401

from benchmarks.reports.tables import main

if __name__ == "__main__":
    raise SystemExit(main())
