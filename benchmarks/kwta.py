# SPDX-License-Identifier: BSD-3-Clause
"""k-winners-take-all against partial sorts: the command line."""

if not __package__:
    import _from_file  # noqa: F401

from benchmarks.targets.contests import main

if __name__ == "__main__":
    raise SystemExit(main())
