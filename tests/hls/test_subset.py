# SPDX-License-Identifier: BSD-3-Clause
"""The HLS header keeps to what synthesis takes; each rule rejects a fixture that breaks it."""

import pathlib
import re
import subprocess

import pytest
from hls_blocks import HARNESS, Layer, run, struct
from hls_pragmas import complaints
from hls_tools import clang, missing, tool

import complsparse as cs

INCLUDE = pathlib.Path(cs.hls.get_include())
HEADERS = sorted((INCLUDE / "complsparse").rglob("*.hpp"))
FLAGS = ["-std=c++14", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-fno-exceptions", "-fno-rtti", "-fsyntax-only"]


@pytest.fixture(scope="module")
def violations():
    try:
        from hls_subset import violations
    except ImportError:
        missing("libclang: `pip install libclang` brings it")
    return violations


def test_there_are_headers():
    assert {"layer.hpp", "kwinners.hpp", "convolution.hpp", "pool.hpp"} <= {path.name for path in HEADERS}


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_headers_keep_to_the_subset(path, violations):
    assert violations(path, INCLUDE) == []


BROKEN = {
    "heap": "inline int f() { int *const p = new int[2]; return p[0]; }",
    "exception": "inline int f(int a) { if (a) throw 1; return a; }",
    "virtual": "struct A { virtual int f(); };",
    "while": "inline int f(int a) { while (a < 9) a += 2; return a; }",
    "goto": "inline int f(int a) { again: if (a < 9) { ++a; goto again; } return a; }",
    "recursion": "inline int f(int a) { return a < 2 ? a : f(a - 1); }",
    "bound at run time": "inline int f(int n) { int s = 0; for (int i = 0; i < n; ++i) s += i; return s; }",
    "loop variable": "inline int f() { int s = 0; for (int i = 0; i < 9; ++i) { s += i; i += 1; } return s; }",
    "loop": "inline int f() { int s = 0; for (int i = 9; i > 0; --i) s += i; return s; }",
    "floating point": "inline int f(int a) { const double b = a; return int(b); }",
    "function pointer": "inline int f(int (*g)(int)) { return g(1); }",
    "pointer to pointer": "inline int f(int **a) { return **a; }",
    "pointer without extent": "inline int f(const int *a) { return a[1]; }",
    "mutable static": "inline int f() { static int calls; return ++calls; }",
    "include": "#include <vector>\nusing numbers = std::vector<int>;",
    "length at run time": "inline int f(int n) { int a[n]; a[0] = n; return a[0]; }",
    "lambda": "inline int f(int a) { return [a] { return a; }(); }",
    "system": "#include <stdlib.h>\ninline int f(int a) { return abs(a); }",
    "error": "inline int f() { return nobody; }",
}


@pytest.mark.parametrize("rule", BROKEN)
def test_the_subset_checker_rejects(rule, violations, tmp_path):
    path = tmp_path / "broken.hpp"
    path.write_text(f"{BROKEN[rule]}\n")
    assert rule in {found for _, found, _ in violations(path, INCLUDE)}


def test_the_subset_checker_accepts_what_the_rules_allow(violations, tmp_path):
    path = tmp_path / "fine.hpp"
    path.write_text(
        "#include <stdint.h>\ntemplate <class C> inline int f(const int (&a)[C::n], const int b[C::n]) {\n"
        "    constexpr int half = C::n / 2;\n    int sum = 0;\n"
        "    for (int i = 0; i < half; ++i) sum += a[i] == i ? b[i] : 0;\n    return sum;\n}\n"
    )
    assert violations(path, INCLUDE) == []


# --- pragmas ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_pragmas_are_spelt_right(path):
    assert complaints(path.read_text()) == []


def test_every_engine_has_one_pipelined_loop():
    pipelines = {path.name: path.read_text().count("#pragma HLS PIPELINE II = 1") for path in HEADERS}
    assert {name: count for name, count in pipelines.items() if count} == {
        "engine.hpp": 1, "requantise.hpp": 2, "kwinners.hpp": 2, "convolution.hpp": 1, "pool.hpp": 1,
    }  # fmt: skip


GOOD = """\
inline int f(const int (&a)[4]) {
    int sums[4];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 0
#endif
    for (int i = 0; i < 4; ++i) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        sums[i] = a[i];
    }
    return sums[0];
}
"""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("PIPELINE", "PIPELIN", "unknown"),
        ("II = 1", "I = 1", "no option I"),
        ("II = 1", "II = one", "no option II=one"),
        ("variable = sums", "variable = sum", "no variable 'sum'"),
        ("variable = sums ", "", "no variable ''"),
        ("complete", "completely", "no option completely"),
        ("    for (int i = 0; i < 4; ++i) {", "    {", "first line of a loop"),
        ("#ifdef __SYNTHESIS__", "#ifdef SYNTHESIS", "is not between"),
        ("#pragma HLS PIPELINE II = 1", '_Pragma("HLS PIPELINE II = 1")', "_Pragma"),
        ("#pragma HLS", "#pragma HSL", "unknown"),
    ],
)
def test_the_pragma_linter_rejects(old, new, complaint):
    assert complaints(GOOD) == []
    assert old in GOOD
    assert any(complaint in what for _, what in complaints(GOOD.replace(old, new)))


# --- compilers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", ["g++", "clang"])
@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_headers_compile_alone_without_warnings(path, compiler, tmp_path):
    source = tmp_path / "alone.cpp"
    source.write_text(f'#include "{path.relative_to(INCLUDE).as_posix()}"\n' * 2)
    run([clang() if compiler == "clang" else tool("g++"), *FLAGS, "-I", str(INCLUDE), str(source)])


# What breaks a configuration, and the sentence that says so.
SENTENCES = {
    "lanes": (9, "lanes must be from 1 to the columns of the matrix"),
    "id_bits": (1, "id_bits is too narrow: kernel ids must count the members of a set"),
    "sum_bits": (17, "sum_bits is too narrow: the sum of the fullest row can overflow"),
    "rows": (17, "the sets have fewer places than the matrix has rows"),
    "fullest_row": (9, "a row has at most one entry in a column"),
    "sets": (0, "a layer has at least one set with one member"),
    "weight_bits": (9, "weights have 2 to 8 bits"),
}


@pytest.mark.parametrize("constant", [None, *SENTENCES])
@pytest.mark.parametrize("compiler", ["g++", "clang"])
def test_broken_configurations_get_a_sentence(constant, compiler, tmp_path):
    layer = Layer(8, 8, 4, 4, 4, 2)
    constants = dict(layer.constants)
    if constant:
        constants[constant] = SENTENCES[constant][0]
    source = tmp_path / "refused.cpp"
    types = {name: of.replace("id_bits", "4").replace("sum_bits", "20") for name, of in layer.types.items()}
    source.write_text(
        f'#include "{HARNESS}"\n{struct("C", constants, types)}\n'
        "int groups() { return complsparse::hls::Shape<C>::groups; }\n"
    )
    program = clang() if compiler == "clang" else tool("g++")
    done = subprocess.run(
        [program, *FLAGS, "-I", str(INCLUDE), str(source)], capture_output=True, text=True, check=False
    )
    if constant is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode != 0
        assert SENTENCES[constant][1] in done.stderr
        failed = "static_assert failed|static assertion failed"
        assert len(re.findall("error:", done.stderr)) == len(re.findall(failed, done.stderr)), done.stderr
