# SPDX-License-Identifier: BSD-3-Clause
"""Patterns that pack without a gap, and matrices pruned to them."""
