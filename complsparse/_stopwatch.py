# SPDX-License-Identifier: BSD-3-Clause
"""How long a call takes, for advice and pictures; benchmarks have a loop of their own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any


def best_seconds(call: Callable[[], Any], budget: float) -> float:
    """The shortest of as many calls as `budget` seconds allow, at least one."""
    best, end = math.inf, time.perf_counter() + budget
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            return best
