# SPDX-License-Identifier: BSD-3-Clause
"""What pruning to a pattern costs: the command line."""

if not __package__:
    import _from_file  # noqa: F401

from benchmarks.reports.losses import main

if __name__ == "__main__":
    raise SystemExit(main())
