# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark harness itself: does it time what it says, check what it times, and report what it measured?

Nothing here asserts how fast anything is.
"""

import ast
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys

# Last, so that the installed complsparse is the one that is tested.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import fit_costs, problems, rivals, timing
from benchmarks import regret as regret_script
from benchmarks.reports import machines, page
from benchmarks.reports.results import Results, load
from benchmarks.reports.tables import LOSS
from benchmarks.rivals import BATCH_MAJOR, FEATURE_MAJOR, Case, dense
from benchmarks.rivals.case import ALIGNMENT
from benchmarks.rivals.mkl_sparse import exact_blocks
from benchmarks.rows import Latest
from benchmarks.targets import batch_sizes, cost_fit, costs, judge, kernels, regret, regret_list, winners
from benchmarks.targets.costs import Measured, Product
from benchmarks.targets.target import judged
from benchmarks.timing import SMOKE, Candidate, Effort, Samples

ROOT = pathlib.Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler found")

small = problems.generated("bernoulli", (40, 56), 90)
blocky = problems.Problem("blocky", "small", lambda: sp.csr_array(np.kron(np.eye(6, 9), np.ones((4, 4)))))


def sleeper(name: str, microseconds: float) -> Candidate:
    """A candidate whose time is known: the C library's usleep, its argument for a context."""
    usleep = ctypes.CDLL(None).usleep
    address = ctypes.cast(usleep, ctypes.c_void_p).value
    assert address is not None
    return Candidate(name, address, int(microseconds))


def counter() -> tuple[Candidate, list[int]]:
    calls = [0]
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

    def count(_):
        calls[0] += 1

    function = prototype(count)
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return Candidate("counter", address, 0, keep=function), calls


def test_race_counts_and_orders_what_it_calls():
    slow, fast = sleeper("slow", 3000), sleeper("fast", 300)
    effort = Effort(sample_ms=0.1, min_calls=1, max_sample_ms=5.0, min_rounds=3, max_rounds=3, budget_s=0.0)
    samples = timing.race([slow, fast], effort)
    assert samples.ns.shape == (3, 2)
    assert samples.median("slow") >= 3000e3
    assert samples.median("fast") >= 300e3
    assert samples.ratio("slow", "fast") > 1


def test_race_calls_at_least_min_calls_a_sample():
    candidate, calls = counter()
    effort = Effort(sample_ms=0.001, min_calls=100, max_sample_ms=1000.0, min_rounds=2, max_rounds=2, budget_s=0.0)
    samples = timing.race([candidate], effort)
    assert samples.calls[0] >= 100
    assert calls[0] >= 3 * 100  # a round to learn how long a round takes, and two that count


def test_calls_in_turn():
    (first, first_calls), (second, second_calls) = counter(), counter()
    turns = timing.in_turn("both", [first, second])
    for _ in range(5):
        turns()
    assert (first_calls[0], second_calls[0]) == (3, 2)


def test_products_with_winners_are_measured_and_judged():
    problem = problems.balanced((48, 64), 4, 4)
    for n, fresh in ((1, False), (16, False), (1, True)):
        samples, record = winners.measure(
            problem, n, 0.1, 1, SMOKE, [winners.SPMMD, winners.SPARSE, winners.DENSE], fresh
        )
        assert record["winners"] == 6
        assert set(samples.names) == set(record["ratios"])
        assert record["ratios"][record["chosen"]] == 1
    named = {**record, "problem": "balanced_4096x4096_b16_s16", "ratios": {winners.SPMMD: 2.5, winners.DENSE: 100.0},
             "ns": {record["chosen"]: 1.0, winners.SPMMD: 2.5, winners.DENSE: 100.0},
             "forms": {winners.SPMMD: "W X", winners.DENSE: "gemv"}}  # fmt: skip
    linear = {"kind": "linear", "problem": "balanced_1024x1024_b16_s16", "winners": [1, 2], "r_squared": 0.5}
    assert [verdict.met for verdict in judged(winners.TARGETS, [named, linear])] == [True, False, False]


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_race_wants_names_of_their_own(names):
    with pytest.raises(ValueError, match="names of their own"):
        timing.race([Candidate(name, timing.address("empty_call"), 0) for name in names])


def test_ratio_is_paired_by_round():
    samples = Samples(("a", "b"), np.array([[10.0, 5.0], [40.0, 20.0], [20.0, 10.0]]), (1, 1))
    assert samples.ratio("a", "b") == 2.0
    assert samples.median("a") == 20.0


def test_disturbed_rounds_are_left_out():
    ns = np.array([[1.0, 2.0], [1.0, 2.0], [9.0, 2.0], [1.0, 2.0]])
    share = np.array([[1.0, 1.0], [1.0, 1.0], [0.5, 1.0], [1.0, 1.0]])
    samples = Samples(("a", "b"), ns, (1, 1), share)
    assert samples.disturbed == 1 / 8
    assert samples.spread("a") == 0.0
    assert samples.ratio("b", "a") == 2.0
    assert Samples(("a", "b"), ns[1:3], (1, 1), share[1:3]).median("a") == 5.0  # too few quiet ones: all count


def test_roof_is_sane():
    roof = timing.roof()
    assert roof["fma_gflops"]["float32"] > roof["fma_gflops"]["float64"] > 0
    assert all(rate > 0 for rate in roof["load_gbytes"].values())


@pytest.mark.parametrize("name", ["bernoulli_64x96_90", "equal_64x96_90"])
def test_problems_are_the_same_every_time(name):
    first, second = (problems.get(name).csr(np.float64) for _ in range(2))
    assert first.dtype == np.float64
    assert first.has_canonical_format
    assert (first.indices == second.indices).all()
    assert (first.data == second.data).all()
    assert 0.05 < first.nnz / (64 * 96) < 0.15
    if name.startswith("equal"):
        assert set(np.diff(first.indptr)) == {10}


def test_bands_arrows_and_power_laws():
    band, arrow, law = (problems.get(name).csr() for name in ("banded_60x40_2", "arrow_60x60_1", "powerlaw_300x200_5"))
    rows, columns = band.nonzero()
    assert (abs(columns - rows * 40 // 60) <= 2).all()
    assert band.nnz == sum(abs(j - i * 40 // 60) <= 2 for i in range(60) for j in range(40))
    assert set(zip(*arrow.nonzero())) == {
        (i, j) for i in range(60) for j in range(60) if abs(i - j) <= 1 or i == 0 or j == 0
    }
    assert 0.5 * 1500 < law.nnz <= 1500
    assert np.sort(np.diff(law.indptr))[-15:].sum() > 0.2 * law.nnz  # a twentieth of the rows
    assert (law != problems.get("powerlaw_300x200_5").csr()).nnz == 0


def test_the_list_of_regret_is_fixed():
    made = regret_list.made()
    assert len(made) == len(set(made)) == 295
    assert regret_list.matrices(None)[:3] == regret_list.matrices(None)[:3] != made[:3]
    assert sorted(regret_list.matrices(None)) == sorted(made)
    folder = problems.data_folder()
    if folder is not None:
        assert len(set(regret_list.matrices(folder))) == 400
    products = regret_list.products_of("bernoulli_48x256_95", None)
    assert products == regret_list.products_of("bernoulli_48x256_95", None)
    assert products[0] == Product("bernoulli_48x256_95", 1, "f")
    assert sum(p.winners is not None for p in products) in (1, 2)
    assert len(products) >= 6


def test_regret_goes_on_with_a_record(tmp_path, capsys):
    path = tmp_path / "here.json"
    slow = [Measured(m.product, {name: 1 + 0.5 * i for i, name in enumerate(reversed(m.cycles))})
            for m in times_of_the_model()]  # fmt: skip
    costs.write(path, costs.record(slow, {"cpu": "a processor", "model": [1, 2]}))
    assert regret_script.main(["--json", str(path), "--seconds", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    chosen_last = max(0.5 * (len(m.cycles) - 1) for m in slow)
    assert lines[1].split()[:2] == ["all", f"{len(slow)}"]
    assert lines[1].split()[3] == f"{100 * chosen_last:.2f}%"
    assert len(costs.measured_of(costs.read(path))) == len(slow)
    costs.write(path, costs.record(slow, {"cpu": "a processor", "model": [1, 2]}) | {"isa": "another"})
    with pytest.raises(ValueError, match="a record of another"):
        regret.resumed(path)


def test_smtx_is_read_and_checked(tmp_path):
    path = tmp_path / "small.smtx"
    path.write_text("2, 3, 3\n0 1 3\n2 0 1\n")
    matrix = problems.read_smtx(path, seed=1)
    assert (matrix.toarray() != 0).tolist() == [[False, False, True], [True, True, False]]
    path.write_text("2, 3, 4\n0 1 3\n2 0 1\n")
    with pytest.raises(ValueError, match="3 columns for 2 rows and 4 entries"):
        problems.read_smtx(path, seed=1)


def test_missing_data_is_named(tmp_path):
    assert problems.real_problems(None) == []
    with pytest.raises(problems.NoData, match="no dlmc matrices"):
        problems.real_problems(tmp_path, ["dlmc"])
    with pytest.raises(problems.NoData, match="not a folder"):
        problems.data_folder(tmp_path / "nowhere")
    with pytest.raises(problems.NoData, match="no data folder"):
        problems.get("dlmc/anything")


def test_exact_blocks():
    assert exact_blocks(small.csr()) == []
    assert exact_blocks(blocky.csr()) == [2, 4]


@pytest.mark.parametrize("peer", rivals.all_peers(), ids=lambda peer: peer.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("problem", [small, blocky], ids=str)
def test_every_variant_is_right(peer, dtype, problem):
    there, why = peer.available()
    if not there:
        pytest.skip(f"{peer.name}: {why}")
    for layout in (FEATURE_MAJOR, BATCH_MAJOR):
        for n in (1, 5, 300):
            case = Case(problem, n, layout, dtype, threads=rivals.Mkl._threads or 1)
            variants = list(peer.variants(case))
            assert len({v.name for v in variants}) == len(variants) > 0
            for variant in variants:
                variant.result[...] = np.nan
                variant.call()
                case.check(variant.name, variant.result)


def test_blas_is_named_by_its_library():
    name, version = rivals.scipy_blas()
    assert rivals.ScipyBlas().name.startswith(name)
    assert name != "MKL" or any(info["internal_api"] == "mkl" for info in dense.blas_at_import)
    assert version


def test_a_wrong_result_is_found():
    case = Case(small, 5)
    right = (case.matrix.astype(np.float64) @ case.x).astype(np.float32)
    case.check("right", right)
    for wrong in (right + 1e-3, np.where(np.arange(5) == 3, np.nan, right)):
        with pytest.raises(AssertionError, match="wrong at"):
            case.check("wrong", wrong)


def test_layouts_of_a_case():
    assert Case(small, 1).x.shape == (56,)
    assert Case(small, 5).x.shape == (56, 5)
    case = Case(small, 5, BATCH_MAJOR)
    assert case.x.shape == (5, 56)
    assert case.new_output().shape == (5, 40)
    assert case.x.ctypes.data % ALIGNMENT == 0
    assert case.flops == 2 * case.matrix.nnz * 5


def test_comparison_keeps_the_best_variants():
    case = Case(small, 16, BATCH_MAJOR, threads=rivals.Mkl._threads or 1)
    result = rivals.compare(case, effort=SMOKE)
    record = json.loads(json.dumps(result.record()))
    assert record["nnz"] == case.matrix.nnz
    for peer in result.peers():
        assert record["peers"][peer]["ns"] == min(
            result.samples.median(v.name) for v in result.variants if v.peer == peer
        )


def times_of_the_model() -> list[Measured]:
    """Products whose candidates take what the constants in use say."""
    names = ("balanced_64x96_b1_s16", "balanced_64x96_b4_s16", "bernoulli_64x96_90")
    found = [Measured(Product(name, n, order), {}) for name in names for n, order in ((1, "f"), (16, "f"), (64, "b"))]
    found.append(Measured(Product("balanced_64x96_b4_s16", 1, "f", 20), {}))
    model = cost_fit.Model(found, costs.isa())
    in_use = rivals.import_ours()._core.cost_constants()
    return [Measured(m.product, of) for m, of in zip(found, model.costs(in_use), strict=True)]


def test_choices_of_known_constants_are_fitted_from_their_times():
    model = cost_fit.Model(times_of_the_model(), costs.isa())
    known = rivals.import_ours()._core.cost_constants()
    wrong = known | {name: 0.2 * known[name] for name in ("groups_vector", "groups_entry")}
    assert cost_fit.worst(model.regrets(known)).ratio == 1
    assert cost_fit.worst(model.regrets(wrong)).ratio > 1.1
    found = cost_fit.fitted([model], wrong)
    assert cost_fit.worst(model.regrets(found)).ratio < 1.05
    assert found["l2_share"] == known["l2_share"]  # nothing here is larger than L2
    assert rivals.import_ours()._core.cost_constants() == known


def test_constants_are_judged_by_a_record(tmp_path, capsys):
    path = tmp_path / "here.json"
    found = costs.record(times_of_the_model(), {"cpu": "a processor", "model": [1, 2]})
    costs.write(path, found | {"fitted": rivals.import_ours()._core.cost_constants()})
    assert len(costs.measured_of(costs.read(path))) == 10
    assert fit_costs.main(["--judge", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "a processor" in lines[0]
    assert [line.split()[:5:2] for line in lines[1:]] == [["in", "mean", "worst"], ["here", "0.00%", "0.00%"]]


def test_every_candidate_is_measured():
    measured, _ = costs.measure(Product("balanced_64x96_b4_s16", 64, "f"), None, SMOKE)
    assert measured.cycles.keys() >= {"stored_rows", "row_groups"}
    assert min(measured.cycles.values()) > 0


def test_constants_are_printed_as_they_are_declared():
    in_use = rivals.import_ours()._core.cost_constants()
    text = fit_costs.struct_text(in_use | {"winner": 4.25})
    assert "winner = 4.25, unforeseen = " in text
    assert text.count(" = ") == len(in_use)


def test_a_row_of_the_kernel_table_that_nothing_runs_is_named():
    row = {**kernels.table()[0], "name": "nothing_f32_4x4_of_the_kind"}
    with pytest.raises(LookupError, match="runs nothing_f32_4x4_of_the_kind"):
        kernels.measure(row, 1, SMOKE)


MAY_IMPORT = {
    "timing": set(),
    "problems": set(),
    "rivals": {"timing", "problems"},
    "targets": {"timing", "problems", "rivals"},
    "reports": {"timing", "problems", "rivals", "targets"},
}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_one_way(room):
    folder = pathlib.Path(__file__).resolve().parents[1] / "benchmarks"
    for path in (folder / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (parts := node.module.split("."))[0] == "benchmarks":
                assert set(parts[1:2] or [name.name for name in node.names]) <= MAY_IMPORT[room] | {room}, path


def matmul_record(**changes):
    both = {"variant": "v", "spread": 0.0, "calls_per_sample": 1, "gflops": 1.0}
    record = {
        "kind": "matmul", "section": "ratios", "problem": "bernoulli_8x8_98", "group": "random", "n": 1,
        "dtype": "float32", "layout": FEATURE_MAJOR, "threads": 1, "shape": [8, 8], "nnz": 6000, "flops": 100,
        "csr_bytes": 50,
        "peers": {"complsparse": {"ns": 10.0, "ratio": 1.0, **both}, "MKL sparse": {"ns": 25.0, "ratio": 2.5, **both}},
        "python_ns": {"public": 30.0, "scipy": 60.0},
    }  # fmt: skip
    return record | changes


def test_targets_are_judged():
    lost = matmul_record(problem="lost", peers={"MKL sparse": {"ratio": 0.5}})
    uncounted = matmul_record(problem="tiny", nnz=10, peers={"MKL sparse": {"ratio": 0.01}})
    lines = {verdict.what: verdict for verdict in judge([matmul_record(), lost, uncounted])}
    mean = lines["MKL sparse / ours, geomean, N = 1 (2 cases)"]
    assert mean.figure.text == f"{(2.5 * 0.5) ** 0.5:.2f}"
    assert mean.met is False
    assert lines["the same, 98% random, N = 1 (1 cases)"].met is True
    lowest = next(verdict for what, verdict in lines.items() if what.startswith("lowest single ratio"))
    assert lowest.figure.text == "0.50"
    assert lines["MKL sparse / ours, geomean, N = 16"].met is None


def test_report_marks_losses(tmp_path):
    slow = matmul_record(problem="slow_one")
    slow["peers"]["MKL sparse"] = slow["peers"]["MKL sparse"] | {"ratio": 0.5}
    results = Results(machine={"cpu": "a processor"}, cases=[matmul_record(), slow])
    index, tables = (path.read_text() for path in page.write_markdown(results, tmp_path, [], tmp_path))
    assert f"**0.50** {LOSS}" in tables
    assert "2.50" in tables
    assert "a processor" in tables
    assert "a processor" in index


def test_the_report_begins_with_sentences_of_its_figures(tmp_path):
    lost = matmul_record(problem="lost")
    lost["peers"]["MKL sparse"] = lost["peers"]["MKL sparse"] | {"ratio": 0.4}
    packed = matmul_record(problem="packed", group="balanced")
    packed["peers"]["MKL sparse"] = packed["peers"]["MKL sparse"] | {"ratio": 9.0}
    grid = [
        {"kind": "grid", "problem": "p", "height": height, "weight_sparsity": 0.95,
         "points": [{"share": 0.1, "winners": 3, "way": "w", "ns": 1.0, "ratio": ratio}, {"share": 1.0, "ratio": 1.0,
                     "winners": 9, "way": "w", "ns": 1.0}]}
        for height, ratio in ((1, 41.0), (16, 150.0))
    ]  # fmt: skip
    results = Results(machine={"cpu": "a processor"}, cases=[matmul_record(), lost, packed, *grid])
    index, _ = page.write_markdown(results, tmp_path, list(page.FIRST), tmp_path)
    text = index.read_text()
    assert "product 1.00 times at N = 1 (geometric means); 1 of 2 products are lost, the worst at 0.40." in text
    assert "95% of the weights" in text
    assert (
        "one multiplication of 200 is left: with one vector MKL's dense product takes as long as 41 products in (1, 1) "
        "blocks, 150 products in (16, 1) blocks." in text
    )
    assert "1.0 times as fast without structure, 9.0 times as fast in patterns that pack perfectly at N = 1." in text
    places = [text.index(f"({picture})") for picture in page.FIRST]
    assert places == sorted(places)


def test_machines_stand_beside_each_other(tmp_path):
    for cpu, ratio in (("Maker(R) One", 2.0), ("Other Two", 0.5)):
        record = matmul_record()
        record["peers"]["MKL sparse"] = record["peers"]["MKL sparse"] | {"ratio": ratio}
        machine = {"cpu": cpu, "complsparse": {"version": "1.2", "isa": "avx2"}}
        machines.keep(Results(machine=machine, cases=[record]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maker-one-avx2.json", "other-two-avx2.json"]
    head, _, row = machines.side_by_side(tmp_path).splitlines()
    assert "Maker(R) One, avx2 (1.2, " in head
    assert row == f"| random | 1 | 2.00 (1) | **0.50** {LOSS} (1) |"
    assert machines.keep(Results(machine={"cpu": "x"}), tmp_path) is None
    assert machines.side_by_side(tmp_path / "none") == ""


def test_report_refuses_other_files(tmp_path):
    path = tmp_path / "other.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="neither"):
        load([path])


# --- rows of pytest-benchmark -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """Twice the smallest product, as a user asks for it."""
    folder = tmp_path_factory.mktemp("runs")
    chosen = ["-k", "test_matmul and bernoulli_256x320_95-n1-feature-major-float32", "--benchmark-smoke"]
    # A pytest of its own: not a worker of the one that runs this, and without the options of that one.
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    for name in ("one", "two"):
        command = [sys.executable, "-m", "pytest", ROOT / "benchmarks", *chosen, "-q", "-p", "no:cacheprovider"]
        command.append(f"--benchmark-json={folder / name}.json")
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT, env=alone)
        assert done.returncode == 0, done.stdout
    return folder


def test_each_side_of_a_product_is_a_row_of_one_group(two_runs):
    found = json.loads((two_runs / "one.json").read_text())["benchmarks"]
    assert {row["group"] for row in found} == {"bernoulli_256x320_95 n=1 feature-major float32 1t"}
    medians = {row["param"].rpartition("-")[2]: row["stats"]["median"] for row in found}
    (record,) = [row["extra_info"] for row in found if "kind" in row["extra_info"]]
    there = [peer.name for peer in rivals.all_peers() if peer.available()[0]]
    from_python = ["complsparse_from_Python", "scipy_from_Python"]
    assert sorted(medians) == sorted([name.replace(" ", "_") for name in there] + from_python)
    for name in there:  # the rows are the race that the record tells of
        assert medians[name.replace(" ", "_")] == pytest.approx(record["peers"][name]["ns"] * 1e-9)
    assert medians["scipy_from_Python"] == pytest.approx(record["python_ns"]["scipy"] * 1e-9)
    assert medians["complsparse_from_Python"] == pytest.approx(record["python_ns"]["public"] * 1e-9)


def test_a_run_is_one_case_of_the_report(two_runs):
    results = load([two_runs / "one.json"])
    assert [case["problem"] for case in results.products()] == ["bernoulli_256x320_95"]


def test_pytest_benchmark_compares_two_runs(two_runs):
    command = [sys.executable, "-m", "pytest_benchmark", "compare", two_runs / "one.json", two_runs / "two.json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=two_runs)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complsparse_from_Python") == 2


def test_what_was_measured_last_is_kept_and_nothing_else():
    latest, asked = Latest(), []

    def measure(name):
        return latest(name, lambda: asked.append(name) or len(asked))

    assert [measure(name) for name in ("a", "a", "b", "b", "a")] == [1, 1, 2, 2, 3]
    with pytest.raises(ZeroDivisionError):
        latest("c", lambda: 1 // 0)
    assert measure("c") == 4
    assert asked == ["a", "b", "a", "c"]


def test_steps_are_over_the_fastest_wider_batch():
    found = batch_sizes.steps([1, 2, 3, 4], [30.0, 20.0, 10.0, 16.0])
    assert [(s.n, s.wider, s.factor) for s in found] == [(1, 3, 3.0), (2, 3, 2.0), (3, 3, 1.0), (4, 4, 1.0)]


def test_targets_of_batch_sizes_name_the_worst_matrix():
    record = {"kind": "batch sizes", "section": "batch sizes", "layout": FEATURE_MAJOR, "n": [16, 33, 64, 129],
              "nnz": 9000, "mkl_ns": [4.0, 8.0, 30.0, 1.0]}  # fmt: skip
    records = [record | {"problem": "even", "ns": [2.0, 5.0, 10.0, 20.0]},
               record | {"problem": "steep", "ns": [2.0, 12.0, 10.0, 20.0]}]  # fmt: skip
    step, half, least, mean = judged(batch_sizes.TARGETS, records)
    assert (step.figure.value, half.figure.value, least.figure.value) == (1.2, 1.2, 8 / 12)
    assert step.figure.detail.startswith(f"steep {FEATURE_MAJOR} 1.20")
    assert (step.holds, half.holds) == (False, False)
    assert mean.figure.value == pytest.approx((8 / 5 * 8 / 12) ** 0.5)
    assert mean.figure.text.endswith("N = 33")


def test_a_sweep_measures_every_size():
    quick = timing.SMOKE
    record = batch_sizes.sweep("bernoulli_64x96_90", BATCH_MAJOR, (1, 2, 33, 64), quick, mkl=False)
    assert record["n"] == [1, 2, 33, 64]
    assert len(record["ns"]) == len(record["variants"]) == 4
    assert min(record["ns"]) > 0
    assert not record["mkl_ns"]
