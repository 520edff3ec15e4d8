# SPDX-License-Identifier: BSD-3-Clause
"""The Verilog of exported folders: simulated, proven equal to an independent one, and rejected where it is not."""

import pathlib
import re
import subprocess

import numpy as np
import pytest
from hls_folders import MATRICES, MUTANTS, changed, make
from hls_tools import clang, tool

import complsparse as cs
from complsparse.hls.ir_to_verilog import NotStraightLine, convert, size_of

HERE = pathlib.Path(__file__).resolve().parent
RESULT = re.compile(
    r"RTL, (back to back|random stalls): (\d+) vectors, (\d+) outputs, (\d+) wrong; (\d+) words in (\d+) clocks, "
    r"the first sums after (\d+)"
)
LAYERS = {
    "dense, 1 lane": ("not balanced", {"lanes": 1}),
    "dense, 8 lanes": ("balanced", {"lanes": 8}),
    "dense, all lanes": ("balanced", {"lanes": 64}),
    "dense, run time": ("not balanced", {"lanes": 5, "ids": "runtime", "activations": "uint8"}),
    "selected, 8 lanes": ("balanced", {"lanes": 8, "route": "activations"}),
    "selected, run time": ("not balanced", {"lanes": 5, "route": "activations", "ids": "runtime"}),
    "selected, all lanes": ("blocks", {"lanes": 40, "route": "activations", "activations": "uint8"}),
    "winners, 1 lane": ("blocks", {"winners": 7}),
    "winners, 2 lanes": ("balanced", {"winners": 9, "parallel_winners": 2}),
    "winners, 5 lanes": ("not balanced", {"winners": 37, "parallel_winners": 5, "activations": "uint8"}),
    "winners, run time": ("balanced", {"winners": 7, "parallel_winners": 3, "ids": "runtime"}),
}


def simulate(folder):
    """The lines of `make rtl`, and its status."""
    tool("verilator"), tool("make"), tool("g++")
    done = make(folder, "rtl", f"CLANG={clang()}", "RTLFLAGS=-O0")
    lines = [line.groups() for line in RESULT.finditer(done.stdout)]
    assert len(lines) == 2, done.stdout + done.stderr
    return [(line[0], *map(int, line[1:])) for line in lines], done


def exported(folder, layer, **more):
    matrix, chosen = LAYERS[layer]
    W = MATRICES[matrix]()
    cs.hls.export(W, folder, **{"vectors": 60, **chosen, **more})
    return W, cs.hls.estimate(W, **chosen)


@pytest.mark.parametrize("layer", LAYERS)
def test_simulation_takes_a_word_in_every_clock(layer, tmp_path):
    W, estimate = exported(tmp_path / "layer", layer)
    (fast, stalled), done = simulate(tmp_path / "layer")
    assert done.returncode == 0
    assert "warning" not in done.stderr.lower()
    words = 60 * estimate.cycles_per_vector
    assert fast == ("back to back", 60, 60 * W.shape[0], 0, words, words, estimate.latency_cycles)
    assert stalled[:5] == ("random stalls", 60, 60 * W.shape[0], 0, words)
    assert stalled[5] > words


@pytest.fixture(scope="module")
def clocks_of_winners(tmp_path_factory):
    """Clocks of a vector in RTL simulation, by winners."""
    found = {}
    for winners in (2, 5, 16, 37, 64):
        folder = tmp_path_factory.mktemp("winners") / "layer"
        cs.hls.export(MATRICES["balanced"](), folder, winners=winners, vectors=20)
        (fast, _), done = simulate(folder)
        assert done.returncode == 0
        found[winners] = fast[5] / fast[1]
    return found


def test_clocks_are_proportional_to_winners(clocks_of_winners):
    """A line through 0 explains all of it; 64 winners are all columns."""
    winners, clocks = np.array(list(clocks_of_winners.items()), dtype=float).T
    slope = winners @ clocks / (winners @ winners)
    unexplained = ((clocks - slope * winners) ** 2).sum() / ((clocks - clocks.mean()) ** 2).sum()
    assert 1 - unexplained >= 0.999
    assert slope == pytest.approx(1)


# --- simulations that must fail ---------------------------------------------------------------------------------------


def edited(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def flipped_bit_of_the_table(folder):
    path = folder / "rtl" / "layer.v"
    path.write_text(
        re.sub(r"(table_words\[3\] = \d+'h)(\w)", lambda m: f"{m[1]}{int(m[2], 16) ^ 1:x}", path.read_text())
    )


def swapped_lanes_of_the_input(folder):
    edited(folder / "rtl" / "layer.v", "x <= in_x;", "x <= {in_x[7:0], in_x[X-1:8]};")


BROKEN = {
    "flipped bit of the table": flipped_bit_of_the_table,
    "swapped lanes": swapped_lanes_of_the_input,
    "sums that are not cleared": lambda folder: edited(
        folder / "rtl" / "layer.v", "if (reset | (fetched & last & ~stall)) sums", "if (reset) sums"
    ),
    "words lost under stalls": lambda folder: edited(
        folder / "rtl" / "layer.v", "wire stall = fetched & last & out_valid & ~out_ready;", "wire stall = 0;"
    ),
    "a clock without a word": lambda folder: edited(
        folder / "rtl" / "layer.v", "in_ready = ~stall;", "in_ready = ~stall & ~(fetched & last);"
    ),
    "a step that adds a lane twice": lambda folder: edited(
        folder / "rtl" / "step.cpp",
        "accumulate<Config>(x, weights, ids, sums, next);",
        "accumulate<Config>(x, weights, ids, sums, next);\n    next[0][0] += x[0];",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_simulation_rejects(fault, tmp_path):
    exported(tmp_path / "layer", "dense, 8 lanes")
    BROKEN[fault](tmp_path / "layer")
    (fast, stalled), done = simulate(tmp_path / "layer")
    assert done.returncode != 0
    if fault == "words lost under stalls":
        assert fast[3] == 0
        assert stalled[3] > 0 or stalled[1] < 60
    elif fault == "a clock without a word":
        assert fast[3] == stalled[3] == 0
        assert fast[5] > fast[4]
    else:
        assert fast[3] > 0


@pytest.mark.parametrize("mutant", MUTANTS)
def test_simulation_of_a_written_table_rejects(mutant, tmp_path):
    exported(tmp_path / "layer", "winners, run time")
    changed(tmp_path / "layer" / "tables.hpp", *MUTANTS[mutant])
    (fast, _), done = simulate(tmp_path / "layer")
    assert done.returncode != 0
    assert fast[3] > 0


# --- the printer ------------------------------------------------------------------------------------------------------


def verilog(tmp_path, body, parameters="const signed char (&a)[4], int (&b)[4]", ports=("a", "b"), flags=()):
    source = tmp_path / "f.cpp"
    source.write_text(f'extern "C" void f({parameters}) {{ {body} }}\n')
    command = [clang(), "-O2", "-fno-vectorize", "-fno-slp-vectorize", *flags, "-S", "-emit-llvm", "-o", "-"]
    ir = subprocess.run([*command, str(source)], capture_output=True, text=True, check=True).stdout
    return convert(ir, "f", list(ports))


def test_the_printer_takes_straight_lines(tmp_path):
    text = verilog(tmp_path, "for (int i = 0; i < 4; ++i) b[i] = (a[i] * 5 - 7) ^ (a[3 - i] >> 1);")
    assert re.match(r"module f \(\n  input \[31:0\] a,\n  output \[127:0\] b\n\);", text)
    assert text.count("assign b[") == 4


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("for (int i = 0; i < 4; ++i) b[a[i] & 3] = 1;", "getelementptr"),
        ("for (int i = 0; i < a[0]; ++i) b[0] += a[1];", "br |is loaded and stored|phi"),
        ("b[0] = __builtin_popcount(a[0]);", "call|is neither"),
        ("b[0] += a[0];", "is loaded and stored"),
        ("b[0] = a[0] / 3;", "sdiv|udiv"),
        ("if (a[0] > 0) b[0] = __builtin_popcount(a[1]);", "br |call"),
        ("b[0] = 1;", "a is neither loaded nor stored"),
        ("b[0] = (int)(a[0] * 0.3f);", "sitofp|float"),
    ],
)
def test_the_printer_refuses_what_is_no_circuit_of_one_clock(body, what, tmp_path):
    with pytest.raises(NotStraightLine, match=what):
        verilog(tmp_path, body)


# --- proof ------------------------------------------------------------------------------------------------------------


# Rows, columns and density of a matrix, and its design.
PROOFS = {
    "1 lane": ((8, 16), 1 / 4, {"lanes": 1}),
    "3 lanes": ((8, 16), 1 / 4, {"lanes": 3}),
    "2 winners": ((4, 8), 1 / 4, {"winners": 4, "parallel_winners": 2}),
}


def step_of(folder, proof):
    """The exported step's Verilog, and its sizes."""
    shape, density, chosen = PROOFS[proof]
    cs.hls.export(cs.random(shape, density=density, dtype=np.int8, rng=0), folder, **chosen)
    done = make(folder, "build/step.v", f"CLANG={clang()}")
    assert done.returncode == 0, done.stderr
    config = (folder / "config.hpp").read_text()
    names = ("lanes", "sets", "set_size", "id_bits", "sum_bits")
    sizes = {name: int(re.search(rf"\b{name} = (\d+)", config)[1]) for name in names}
    unsigned = "activation_t" in config and "Unsigned<activation_bits>" in config
    return folder / "build" / "step.v", {**sizes, "unsigned_x": int(unsigned)}


def proven(step, sizes, reference, folder):
    """Whether the step equals the reference for all inputs. Yosys makes one circuit of both that tells a difference,
    ABC proves it constant: it finds the points inside at which both agree, which a SAT solver alone would not."""
    parameters = " ".join(f"-set {name.upper()} {value}" for name, value in sizes.items())
    script = (
        f"read_verilog {step}; read_verilog -sv {reference}; chparam {parameters} reference_step; proc; opt -full; "
        "miter -equiv -flatten complsparse_step reference_step miter; hierarchy -top miter; proc; flatten; opt -full; "
        "opt_share; opt -full; chtype -set $eq t:$eqx; chtype -set $ne t:$nex; techmap; opt -full; aigmap; clean; "
        "write_aiger miter.aig"
    )
    subprocess.run([tool("yosys"), "-q", "-p", script], check=True, cwd=folder, timeout=600)
    command = [tool("yosys-abc", "berkeley-abc"), "-c", "read_aiger miter.aig; iprove"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, timeout=600)
    (answer,) = re.findall(r"^(UNSATISFIABLE|SATISFIABLE|UNDECIDED)", done.stdout, re.MULTILINE)
    assert answer != "UNDECIDED"
    return answer == "UNSATISFIABLE"


@pytest.mark.parametrize("proof", PROOFS)
def test_the_step_is_proven_equal_to_an_independent_one(proof, tmp_path):
    step, sizes = step_of(tmp_path / "layer", proof)
    assert proven(step, sizes, HERE / "reference_step.sv", tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("== member", "== (member ^ 1)"),  # a flipped id
        ("== member ? more", "== member && lane != 0 ? more"),  # a dropped slot
        ("x[8 * lane +: 8]}", "x[8 * (LANES - 1 - lane) +: 8]}"),  # swapped lanes
    ],
)
@pytest.mark.parametrize("proof", ["2 winners", "3 lanes"])
def test_the_proof_refutes(old, new, proof, tmp_path):
    step, sizes = step_of(tmp_path / "layer", proof)
    text = (HERE / "reference_step.sv").read_text()
    assert old in text
    mutant = tmp_path / "mutant.sv"
    mutant.write_text(text.replace(old, new))
    assert not proven(step, sizes, mutant, tmp_path)


def test_numbers_in_memory_are_as_wide_as_the_compiler_lays_them_out():
    assert [size_of(f"i{bits}")[0] for bits in (1, 8, 9, 16, 17, 32, 33, 64)] == [1, 1, 2, 2, 4, 4, 8, 8]
    assert size_of("[3 x [5 x i20]]") == (60, 20)
    for kind in ("float", "ptr", "i65", "<4 x i32>"):
        with pytest.raises(NotStraightLine):
            size_of(kind)
