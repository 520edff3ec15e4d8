# SPDX-License-Identifier: BSD-3-Clause
"""Results that every thread and every process must find right."""

import os
import threading
from collections.abc import Callable

CALLERS, CALLS = 4, 50


def is_right_everywhere(is_right: Callable[[], bool]) -> bool:
    """In several threads at once, in a child that is forked afterwards, and here again."""
    found: list[bool] = []
    callers = [
        threading.Thread(target=lambda: found.append(all(is_right() for _ in range(CALLS)))) for _ in range(CALLERS)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    child = os.fork()
    if child == 0:
        os._exit(0 if is_right() else 1)
    return found == [True] * CALLERS and os.waitpid(child, 0)[1] == 0 and is_right()
