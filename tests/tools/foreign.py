# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of other libraries."""


class Foreign:
    """An array of another library: DLPack is all it speaks."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()
