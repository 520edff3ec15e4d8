# SPDX-License-Identifier: BSD-3-Clause
"""What the plan chose beside every candidate that it could have chosen: the command line."""

if not __package__:
    import _from_file  # noqa: F401

from benchmarks.targets.regret import main

if __name__ == "__main__":
    raise SystemExit(main())
