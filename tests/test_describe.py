# SPDX-License-Identifier: BSD-3-Clause
"""What `describe()` advises."""

import re

import numpy as np
import pytest
from oracle import random_csr

import complsparse as cs
from complsparse import _core
from complsparse._matrix import advice


def test_describe_says_what_a_dense_array_would_gain(monkeypatch, capsys):
    half, sparse = (random_csr(np.random.default_rng(3), (60, 70), d).packed() for d in (0.6, 0.1))
    times = iter([9.1e-6, 5e-6])
    monkeypatch.setattr(advice, "break_even", lambda *_: "")
    monkeypatch.setattr(advice, "best_seconds", lambda call, _: (call(), next(times))[1])
    half.describe()
    text = capsys.readouterr().out
    assert "would be about 1.8 times as fast for one vector (5.0 us against 9.1 us, one thread)" in text
    assert f"{100 * half.nnz / 4200:.0f}% of the positions are stored" in text
    sparse.describe()  # takes no time
    assert "would be" not in capsys.readouterr().out


def test_building_a_layout_is_no_part_of_the_time_beside_a_dense_array(monkeypatch):
    W = random_csr(np.random.default_rng(3), (60, 70), 0.6).packed()
    built = []
    monkeypatch.setattr(advice, "best_seconds", lambda call, _: built.append(len(W._layouts())) or 1.0)
    advice.dense_rival(W, W, np.dtype(np.float32))
    assert built[0] == 1


@pytest.mark.parametrize(("ours", "says"), [(1.0, False), (1.05, False), (1.2, True)])
def test_dense_is_advised_where_it_is_faster(ours, says):
    assert (advice.verdict(ours, 1.0, 0.9) is not None) == says


@pytest.mark.parametrize("limit", [0, 1, 17, 50])
def test_the_limit_of_winners_is_found(limit):
    assert advice.winners_limit(lambda k: k <= limit, 50) == limit


def test_describe_says_up_to_how_many_winners_gain(capsys):
    W = cs.random((256, 256), set_size=16, block=(16, 1), rng=0)
    W.describe()
    limit = int(re.search(r"they gain +up to about (\d+) of 256 in a vector", capsys.readouterr().out)[1])
    layouts = [_core.candidates(W, 1, np.float32, winners=k)[0]["layout"] for k in (limit, limit + 1)]
    assert layouts == ["columns", "dense"]
    endless = W * np.float32(np.inf)
    endless.describe()
    assert "always: weights that are not finite leave no other way" in capsys.readouterr().out
