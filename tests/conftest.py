# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of all tests: ISA levels, threads, the folder of real matrices; the profiles of hypothesis."""

import contextlib
import os
import pathlib

import pytest
import threadpoolctl
from hypothesis import HealthCheck, settings

import complsparse as cs
from complsparse import _core

# No deadline: a busy machine is no failure. The same examples in every run, so that a failure can be run again;
# --hypothesis-profile=long draws new ones, and many.
settings.register_profile("complsparse", deadline=None, derandomize=True, database=None)
settings.register_profile(
    "long", deadline=None, max_examples=5000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("complsparse")


@pytest.fixture(autouse=True)
def _same_configuration():
    """Whatever a test selects, the next one finds what it would have found alone."""
    isa = next(level["name"] for level in _core.isa_levels() if level["selected"])
    deterministic, threads = _core.get_deterministic(), _core.thread_report()["own"]
    yield
    _core.set_isa(isa)
    _core.set_deterministic(deterministic)
    _core.set_num_threads(threads)


@pytest.fixture(params=[level["name"] for level in _core.isa_levels()])
def isa(request):
    """Each ISA level of the table in turn: matrices made in the test use its micro-kernels."""
    if request.param not in cs.isa_levels():
        pytest.skip(f"not run: {request.param} is not supported by this CPU")
    _core.set_isa(request.param)
    return request.param


@pytest.fixture
def threads():
    """``with threads(n):`` products use n threads, also where there are fewer cores."""

    @contextlib.contextmanager
    def limit(n):
        with threadpoolctl.threadpool_limits(n, user_api="openmp"), cs.num_threads(n):
            yield

    return limit


@pytest.fixture(scope="session")
def data_folder():
    """The folder of real matrices, which is no part of the project."""
    beside = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = pathlib.Path(os.environ.get("COMPLSPARSE_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("not run: the folder of real matrices is absent (COMPLSPARSE_DATA names it)")
    return folder
