# SPDX-License-Identifier: BSD-3-Clause
"""The bits of products, contests and winners are those that are on record (`data/recorded_grid.json`).

A change that means to change them records anew: python tests/tools/recorded_grid.py record --small \\
tests/data/recorded_grid.json, and says in CHANGELOG.md what differs.
"""

import json
import pathlib
import platform

import pytest
import recorded_grid

import complsparse as cs

RECORDED = pathlib.Path(__file__).parent / "data" / "recorded_grid.json"


def test_bits_are_those_on_record():
    recorded = json.loads(RECORDED.read_text())
    if recorded["about"]["machine"] != platform.machine():
        pytest.skip(f"not run: recorded on {recorded['about']['machine']}, this is {platform.machine()}")
    here = [key for key in recorded["cases"] if key.split(" | ")[1] in cs.isa_levels()]
    actual = recorded_grid.record(small=True)["cases"]
    # Which layouts are candidates depends on the cost model, and a little on the caches.
    both = [(key, at) for key in here for at in recorded["cases"][key].keys() & actual.get(key, {}).keys()]
    assert len(both) > 0.8 * sum(len(recorded["cases"][key]) for key in here), "layouts or cases have other names"
    differ = [
        f"{key} | {at}: {recorded['cases'][key][at]} became {actual[key][at]}"
        for key, at in sorted(both)
        if recorded["cases"][key][at] != actual[key][at]
    ]
    assert not differ, f"{len(differ)} of {len(both)} differ:\n" + "\n".join(differ[:40])
