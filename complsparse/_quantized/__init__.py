# SPDX-License-Identifier: BSD-3-Clause
"""Weights and activations of 8 bits, and the layers that multiply them."""
