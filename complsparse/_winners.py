# SPDX-License-Identifier: BSD-3-Clause
"""Where pickles of version 0.1.0 look for `Winners`."""

from complsparse._ops.winners import Winners

__all__ = ["Winners"]
