# SPDX-License-Identifier: BSD-3-Clause
"""Calls in a process of their own that may take only so much memory, C++'s included."""

import subprocess
import sys
import textwrap

CHILD = """
import resource
import numpy as np
import scipy.sparse
import complsparse as cs
cs.set_num_threads(1)
{setup}
with open("/proc/self/statm") as sizes:
    mapped = int(sizes.read().split()[0]) * resource.getpagesize()
limit = mapped + int({megabytes} * 2**20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
{call}
"""


def within(megabytes, setup, call):
    """Runs `setup`, then `call` with so many megabytes more; fails with what the process wrote if it ends badly."""
    code = CHILD.format(setup=textwrap.dedent(setup), call=textwrap.dedent(call), megabytes=megabytes)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
