# SPDX-License-Identifier: BSD-3-Clause
"""`ComplementaryMatrix` and what makes one. Pickles name this module."""

from complsparse._matrix.matrix import ComplementaryMatrix, _restore

__all__ = ["ComplementaryMatrix", "_restore"]
