# SPDX-License-Identifier: BSD-3-Clause
"""Matrices in files."""
