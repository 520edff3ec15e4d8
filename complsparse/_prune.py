# SPDX-License-Identifier: BSD-3-Clause
"""Where pickles of version 0.1.0 look for the report of `prune`."""

from complsparse._patterns.report import KeptShare, PruneReport

__all__ = ["KeptShare", "PruneReport"]
