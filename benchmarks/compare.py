# SPDX-License-Identifier: BSD-3-Clause
"""Ours against every rival on one product: the command line."""

if not __package__:
    import _from_file  # noqa: F401

from benchmarks.rivals.comparison import main

if __name__ == "__main__":
    raise SystemExit(main())
