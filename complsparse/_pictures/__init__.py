# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of matrices, and of how fast they multiply."""
