# SPDX-License-Identifier: BSD-3-Clause
"""Fuzzing: random cases in processes of their own, under a limit of memory. README.md tells how."""
