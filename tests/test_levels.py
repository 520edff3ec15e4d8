# SPDX-License-Identifier: BSD-3-Clause
"""ISA levels that the CPU lacks: listed, and never run, wherever in the order of preference they stand.

A build with -Dprobe_level=true has a level between others that no CPU has, and whose micro-kernels end the process.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from levels import BASELINE, edges, rows_at
from oracle import assert_product, draw, expected, random_csr

import complsparse as cs
from complsparse import _core

LEVELS = {level["name"]: level["supported"] for level in _core.isa_levels()}


@pytest.fixture(params=[name for name, supported in LEVELS.items() if not supported] or [None])
def lacking(request):
    """Each level of this build that the CPU lacks."""
    if request.param is None:
        pytest.skip("not run: the CPU has every level of this build (-Dprobe_level=true adds one)")
    return request.param


def test_its_rows_are_listed_as_not_runnable(lacking):
    rows = [row for row in cs.microkernels() if row["isa"] == lacking]
    assert rows
    assert not any(row["runnable"] for row in rows)
    assert lacking not in cs.isa_levels()


def test_it_cannot_be_selected(lacking):
    with pytest.raises(ValueError, match=f"{lacking}.*valid levels: {', '.join(cs.isa_levels())}"):
        _core.set_isa(lacking)
    environment = os.environ | {"COMPLSPARSE_ISA": lacking}
    done = subprocess.run([sys.executable, "-c", "import complsparse"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert f"COMPLSPARSE_ISA={lacking!r} is not valid; use one of: {', '.join(cs.isa_levels())}" in done.stderr


def test_products_pass_over_it(lacking, isa):
    """Every candidate for every width of a tile, at the levels before it and after it."""
    rng = np.random.default_rng(0)
    usable = {row["name"] for row in rows_at(isa)}
    S = random_csr(rng, (64, 96), 0.2)
    W = S.packed()
    for n in edges()[1:]:
        X = draw(rng, (96, n), np.float32)
        for winners in (None, 9):
            x = X if winners is None else cs.kwta(X, winners, axis=0)
            dense = X if winners is None else x.toarray()
            for i in range(len(_core.candidates(W, n, np.float32, winners=winners))):
                plan = _core.make_plan(W, n, np.float32, False, None, None, False, candidate=i, winners=winners)
                assert plan.microkernel in usable
                assert_product(plan(x), expected(S, dense, np.float32), np.float32, plan.microkernel)


def test_levels_are_in_the_order_of_preference():
    """The last that is supported is in use, and the first is what every CPU runs."""
    levels = list(LEVELS)
    assert levels[0] == BASELINE == cs.isa_levels()[0]
    assert cs.isa_levels() == [name for name in levels if LEVELS[name]]
    assert {row["isa"] for row in cs.microkernels() if row["runnable"]} <= set(cs.isa_levels())
