# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions and pools."""
