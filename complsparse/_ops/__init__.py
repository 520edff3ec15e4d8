# SPDX-License-Identifier: BSD-3-Clause
"""What the fast checks in `_core` refuse: converted and computed all the same, or explained in words."""
