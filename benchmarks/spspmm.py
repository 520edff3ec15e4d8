# SPDX-License-Identifier: BSD-3-Clause
"""Products with sparse activations: the command line."""

if not __package__:
    import _from_file  # noqa: F401

from benchmarks.targets.winners import main

if __name__ == "__main__":
    raise SystemExit(main())
