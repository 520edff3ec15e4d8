# SPDX-License-Identifier: BSD-3-Clause
"""Threads: how many, who limits them, fork, and several callers of one matrix at once."""

import concurrent.futures
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import threadpoolctl
from numpy.testing import assert_array_equal
from oracle import assert_product, draw, expected, random_csr

import complsparse as cs
from complsparse import _config, _core

pytestmark = pytest.mark.alone
parallel = pytest.mark.skipif(
    _core.thread_report()["backend"] == "serial", reason="not run: the library was built without threads"
)


# --- how many --------------------------------------------------------------------------------------------------------


def test_own_limit(threads):
    with threads(4):
        most = cs.get_num_threads()
        for n in (1, 2, 3, 100):
            cs.set_num_threads(n)
            assert cs.get_num_threads() == min(n, most)
        with cs.num_threads(1):
            assert cs.get_num_threads() == 1
        assert cs.get_num_threads() == most, "the limit before the with block is back"


def test_own_limit_is_restored_after_an_error():
    cs.set_num_threads(2)
    with pytest.raises(KeyError), cs.num_threads(1):
        raise KeyError
    assert _core.thread_report()["own"] == 2


@pytest.mark.parametrize("n", [0, -1, 65537, 10**30])
def test_numbers_out_of_range(n):
    before = _core.thread_report()
    with pytest.raises(ValueError, match=f"n={n}"):
        cs.set_num_threads(n)
    with pytest.raises(ValueError, match=f"n={n}"), cs.num_threads(n):
        pass
    assert _core.thread_report() == before


@pytest.mark.parametrize("n", [1.0, "2", None, True])
def test_numbers_of_another_type(n):
    with pytest.raises(TypeError, match=type(n).__name__):
        cs.set_num_threads(n)


@parallel
def test_threadpoolctl_sees_and_limits_the_library(threads):
    with threads(4):
        most = cs.get_num_threads()
        found = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "complsparse"]
        assert [info["num_threads"] for info in found] == [most]
        assert found[0]["version"] == cs.__version__
        assert found[0]["threading_layer"] == _core.thread_report()["backend"]
        with threadpoolctl.threadpool_limits(1, user_api="complsparse"):
            assert cs.get_num_threads() == 1
        assert cs.get_num_threads() == most
        with threadpoolctl.threadpool_limits(1):
            assert cs.get_num_threads() == 1
        assert cs.get_num_threads() == most


@pytest.mark.skipif(
    "OpenMP" not in _core.thread_report()["backend"], reason="not run: the library was built without OpenMP"
)
def test_the_limit_of_the_openmp_runtime_counts():
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        assert cs.get_num_threads() == 1
        assert cs.show_config(mode="dicts")["threads"]["runtime limit"] == 1


# --- environment -----------------------------------------------------------------------------------------------------

BAD = [
    ("COMPLSPARSE_NUM_THREADS", "0", "1 to 65536"),
    ("COMPLSPARSE_NUM_THREADS", "-3", "1 to 65536"),
    ("COMPLSPARSE_NUM_THREADS", "1.5", "1 to 65536"),
    ("COMPLSPARSE_NUM_THREADS", "many", "1 to 65536"),
    ("COMPLSPARSE_NUM_THREADS", "65537", "1 to 65536"),
    ("COMPLSPARSE_NUM_THREADS", "9" * 5000, "1 to 65536"),
    ("COMPLSPARSE_NUM_THREADS", "²", "1 to 65536"),
    ("COMPLSPARSE_ISA", "sse9", "portable"),
    ("COMPLSPARSE_ISA", "portable,avx2", "portable"),
    ("COMPLSPARSE_DETERMINISTIC", "yes", "0, 1"),
    ("COMPLSPARSE_DETERMINISTIC", "2", "0, 1"),
]


@pytest.mark.parametrize(("name", "text", "valid"), BAD, ids=lambda part: part[:24])
def test_bad_values_name_the_valid_ones(monkeypatch, name, text, valid):
    monkeypatch.setenv(name, text)
    with pytest.raises(ValueError) as caught:
        _config._read_environment()
    assert name in str(caught.value)
    assert valid in str(caught.value)


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ, **environment),
    )


@pytest.mark.parametrize("name", ["COMPLSPARSE_NUM_THREADS", "COMPLSPARSE_ISA", "COMPLSPARSE_DETERMINISTIC"])
def test_bad_values_raise_at_import(name):
    done = run("import complsparse", **{name: "nonsense"})
    assert done.returncode == 1
    assert f"ValueError: {name}='nonsense' is not valid; use" in done.stderr


@pytest.mark.parametrize("level", [level["name"] for level in _core.isa_levels() if not level["supported"]])
def test_a_level_that_the_cpu_lacks_is_refused(level):
    done = run("import complsparse", COMPLSPARSE_ISA=level)
    assert f"COMPLSPARSE_ISA='{level}' is not valid; use one of: {', '.join(cs.isa_levels())}" in done.stderr


def test_good_values():
    code = """
import complsparse as cs
config = cs.show_config(mode="dicts")
print(config["isa"]["selected"], config["threads"]["own limit"], config["deterministic"]["default"])
print(cs.from_dense([[1.0]]).plan(n=4).microkernel)
"""
    done = run(code, COMPLSPARSE_ISA="Portable", COMPLSPARSE_NUM_THREADS="3", COMPLSPARSE_DETERMINISTIC="1")
    assert done.stdout.split()[:3] == ["portable", "3", "True"], done.stderr
    assert done.stdout.split()[3].endswith("portable")
    empty = run(code, COMPLSPARSE_ISA="", COMPLSPARSE_NUM_THREADS="", COMPLSPARSE_DETERMINISTIC="")
    assert empty.stdout.split()[:3] == [cs.isa_levels()[-1], "none", "False"], empty.stderr


def test_show_config(capsys):
    cs.show_config()
    text = capsys.readouterr().out
    for word in ("compiler", "supported", "backend", "in use", "deterministic", "l1d"):
        assert word in text
    with pytest.raises(ValueError, match="'xml'"):
        cs.show_config(mode="xml")


# --- the pool --------------------------------------------------------------------------------------------------------

PRODUCT = """
import os, resource, time, warnings
import numpy as np, complsparse as cs
rng = np.random.default_rng(0)
W = cs.from_dense(np.where(rng.random((600, 600)) < 0.9, rng.standard_normal((600, 600)), 0).astype(np.float32))
X = rng.standard_normal((600, 256)).astype(np.float32)
with cs.num_threads(1):
    right = W @ X
n_threads = lambda: len(os.listdir("/proc/self/task"))
address_space = lambda: int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = lambda size: resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
"""
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="not run: what is seen in /proc of Linux")
several_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="not run: there is one core"
)


def run_alone(code, **environment):
    """In a process whose only threads are those of the library."""
    done = run(PRODUCT + code, OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="1", **environment)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@linux
@parallel
def test_helpers_start_on_first_need_and_stay():
    run_alone("""
alone, helpers = n_threads(), 0
for n in (2, 4, 3):
    cs.set_num_threads(n)
    helpers = max(helpers, cs.get_num_threads() - 1)
    for _ in range(1000):  # beside busy processes some are done alone
        assert np.array_equal(W @ X, right)
        if n_threads() >= alone + helpers:
            break
    assert n_threads() == alone + helpers, (n, n_threads(), alone)
""")


@linux
@parallel
def test_a_system_without_threads_to_give():
    """The stack of a thread finds no room: the caller does all, and asks again a second later."""
    run_alone("""
alone = n_threads()
limit(address_space() + (2 << 20))
for _ in range(20):
    assert np.array_equal(W @ X, right)
assert n_threads() == alone
limit(resource.RLIM_INFINITY)
time.sleep(1.1)
assert np.array_equal(W @ X, right) and n_threads() > alone
""")


@linux
@parallel
@several_cores
def test_a_process_that_is_confined_later():
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    code = """
import os, complsparse as cs
cores = sorted(os.sched_getaffinity(0))
before = cs.get_num_threads()
os.sched_setaffinity(0, cores[:1])
print(before, cs.get_num_threads(), cs.show_config(mode="dicts")["threads"]["confined to cores"])
os.sched_setaffinity(0, cores)
print(cs.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    before, confined, said, after = map(int, done.stdout.split())
    assert (confined, said, after) == (1, 1, before), done.stderr


@parallel
def test_helpers_without_work_sleep():
    """A moment after a product nobody waits awake: other processes have the cores."""
    done = run(
        """
import time
import numpy as np
import complsparse as cs

W = cs.random((512, 512), density=0.1, rng=0)
X = np.ones((512, 256), np.float32)
cs.set_num_threads(4)
for _ in range(20):
    W @ X
before = time.process_time()
time.sleep(1)
print(time.process_time() - before)
""",
        OPENBLAS_NUM_THREADS="1",
    )
    # Of three helpers, each of which stays awake for a millisecond; awake they would take a second or more.
    assert float(done.stdout) < 0.2, done.stderr


@parallel
def test_more_callers_than_the_pool_has_desks(threads):
    rng = np.random.default_rng(7)
    S = random_csr(rng, (600, 600), 0.9)
    W, X = S.packed(), draw(rng, (600, 256), np.float32)
    with threads(1):
        wanted = cs.matmul(W, X)
    with threads(4):
        results = at_once(24, lambda i: [cs.matmul(W, X) for _ in range(10)])
    for of_caller in results:
        for Y in of_caller:
            assert_array_equal(Y, wanted)


# --- memory of threads -----------------------------------------------------------------------------------------------


@linux
def test_a_thread_without_memory_for_its_workspace():
    run_alone("""
import threading
cs.set_num_threads(1)
x = np.asfortranarray(X)
out = np.zeros_like(X)
bound = W.plan(n=256).bind(x, out)
assert bound.workspace_bytes >= 1 << 15
outcomes = []
def multiply():
    hoard = []
    for size in (1 << 20, 1 << 14):  # what the allocator holds may be given away, too
        try:
            while True:
                hoard.append(bytearray(size))
        except MemoryError:
            pass
    for call in (bound, bound):
        try:
            call()
            outcomes.append("room")
        except MemoryError:
            outcomes.append("short")
    del hoard
    call()
    outcomes.append(np.array_equal(out, right))
start = threading.Event()
thread = threading.Thread(target=lambda: (start.wait(), multiply()))
thread.start()
limit(1)
start.set()
thread.join()
limit(resource.RLIM_INFINITY)
assert outcomes == ["short", "short", True], outcomes
""")


# --- fork ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="not run: the platform has no fork")
def test_a_hundred_forks_after_a_parallel_product():
    """Helpers do not survive a fork; a product in the child must not wait for them."""
    code = """
import os, signal, sys, time, warnings
import numpy as np, complsparse as cs
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
W = cs.from_dense(np.where(rng.random((600, 600)) < 0.9, rng.standard_normal((600, 600)), 0).astype(np.float32))
X = rng.standard_normal((600, 16)).astype(np.float32)
assert W.nnz >= 2 * 131072, "enough for threads even with one column"
one, many = W @ X[:, 0], W @ X
for i in range(100):
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        same = np.array_equal(W @ X[:, 0], one) and np.array_equal(W @ X, many)
        fresh = i % 10 != 0 or np.array_equal(cs.from_scipy(W.tocsr()) @ X, many)
        os._exit(0 if same and fresh and cs._core.thread_report()["forked"] else 1)
    if i % 10 == 0:
        assert np.array_equal(W @ X, many)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
assert np.array_equal(W @ X, many) and not cs._core.thread_report()["forked"]
"""
    done = run(code, OMP_NUM_THREADS="4")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="not run: the platform has no fork")
@pytest.mark.parametrize("work", ["W.prepare(16)", "W.prepare(1)", "W._packing.sets"])
def test_fork_while_another_thread_builds(work):
    """A layout that was being built in the parent is built anew in the child, where nobody else will finish it."""
    code = f"""
import os, signal, threading, time, warnings
import numpy as np, complsparse as cs
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
dense = np.where(rng.random((1500, 1500)) < 0.2, rng.standard_normal((1500, 1500)), 0)
X = rng.standard_normal((1500, 16))
for delay in (0.0, 0.001, 0.003, 0.01, 0.03):
    W = cs.from_dense(dense, strategy="split")
    builder = threading.Thread(target=lambda: {work})
    builder.start()
    time.sleep(delay)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        right = np.allclose(W @ X, dense @ X) and np.allclose(W @ X[:, 0], dense @ X[:, 0])
        right &= np.allclose(W.T @ X, dense.T @ X) and len(W._packing.sets) == 2
        os._exit(0 if right else 1)
    _, status = os.waitpid(child, 0)
    builder.join()
    assert status == 0, (delay, status)
"""
    done = run(code, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr


# --- several callers -------------------------------------------------------------------------------------------------


def at_once(n, body):
    """Runs body(i) in n threads that start together."""
    start = threading.Barrier(n)

    def wait_and_run(i):
        start.wait()
        return body(i)

    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return [future.result(timeout=60) for future in [pool.submit(wait_and_run, i) for i in range(n)]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8], ids=lambda dtype: dtype.__name__)
def test_one_matrix_from_eight_threads(dtype):
    """All layouts are built by whoever comes first, while the others multiply."""
    rng = np.random.default_rng(1)
    S = random_csr(rng, (300, 700), 0.3, dtype)
    operands = {n: draw(rng, (700, n), dtype) for n in (1, 3, 16)}
    right = {n: draw(rng, (n, 300), dtype) for n in (1, 5)}
    other = S.packed()
    wanted = {n: cs.matmul(other, X) for n, X in operands.items()}
    wanted_right = {n: cs.matmul(X, other) for n, X in right.items()}
    for _ in range(3):
        W = S.packed()

        def body(i, W=W):
            order = np.random.default_rng(i).permutation(5)
            for which in order:
                if which < 3:
                    n = (1, 3, 16)[which]
                    assert_array_equal(cs.matmul(W, operands[n]), wanted[n])
                else:
                    n = (1, 5)[which - 3]
                    assert_array_equal(cs.matmul(right[n], W if i % 2 else W.T.T), wanted_right[n])
            return True

        assert all(at_once(8, body))


def test_prepare_from_eight_threads():
    rng = np.random.default_rng(2)
    S = random_csr(rng, (400, 600), 0.2)
    for _ in range(3):
        W = S.packed()
        at_once(8, lambda i, W=W: (W if i % 2 else W.T).prepare(n=(1, 16)[i // 2 % 2]))
        layouts = [(layout["layout"], layout["transposed"]) for layout in W._layouts()]
        assert sorted(layouts) == [("row_groups", False), ("row_groups", True), ("windows", False), ("windows", True)]
        for n in (1, 16):
            X = draw(rng, (600, n), np.float32)
            assert_product(cs.matmul(W, X), expected(S, X, np.float32), np.float32)


def test_one_plan_from_eight_threads():
    rng = np.random.default_rng(3)
    S = random_csr(rng, (500, 600), 0.4)
    f = S.packed().plan(n=4)
    operands = [draw(rng, (600, 4), np.float32) for _ in range(8)]
    results = at_once(8, lambda i: [f(operands[i]) for _ in range(10)])
    for X, of_thread in zip(operands, results):
        wanted = f(X)
        for Y in of_thread:
            assert_array_equal(Y, wanted)


def test_the_matrix_may_go_while_others_multiply():
    """Layouts live as long as a matrix, its transpose or a plan that uses them."""
    rng = np.random.default_rng(4)
    S = random_csr(rng, (50, 60), 0.3)
    x = draw(rng, 60, np.float32)
    wanted = cs.matmul(S.packed(), x)
    f = S.packed().plan(n=1)
    transposed = S.packed().T
    assert_array_equal(f(x), wanted)
    assert_array_equal(cs.matmul(x, transposed), wanted)
    bound_out = np.empty(50, np.float32)
    bound = S.packed().plan(n=1).bind(x.copy(), bound_out)
    bound()
    assert_array_equal(bound_out, wanted)


def test_more_tasks_than_a_desk_counts(threads):
    """A task for each of 70,000 images."""
    rng = np.random.default_rng(8)
    F = rng.integers(-3, 4, (5, 2, 2, 2)).astype(np.float32)
    x = rng.integers(-3, 4, (70_000, 2, 3, 3)).astype(np.float32)
    W = cs.from_filters(F)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(2, 3))
    with threads(3):
        y = cs.conv2d(x, W, 2)
    np.testing.assert_array_equal(y, np.einsum("nchwij,mcij->nmhw", windows, F))
