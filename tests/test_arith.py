# SPDX-License-Identifier: BSD-3-Clause
"""The arithmetic of quantised numbers (`arith.hpp`), compiled as C++14, against Python's integers."""

import itertools
import pathlib
import shutil
import subprocess
from fractions import Fraction

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
INCLUDE = ROOT / "src" / "include"
FLAGS = ["-std=c++14", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-fno-exceptions"]
# What overflows ends the program.
SANITIZED = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]

pytestmark = pytest.mark.skipif(not INCLUDE.is_dir(), reason="not run: the source tree is absent")

RANGES = {"u8": range(256), "s8": range(-128, 128)}
CORNERS = {"u8": (0, 1, 2, 127, 128, 254, 255), "s8": (-128, -127, -1, 0, 1, 126, 127)}
LARGEST = 2**31 - 1


@pytest.fixture(scope="module", params=[[], SANITIZED], ids=["plain", "sanitized"])
def program(request, tmp_path_factory):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("not run: g++ is not installed")
    built = tmp_path_factory.mktemp("arith") / "arith"
    source = pathlib.Path(__file__).parent / "tools" / "arith.cpp"
    command = [compiler, *FLAGS, *request.param, "-I", str(INCLUDE), "-o", str(built), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if request.param and "cannot find" in done.stderr:
        pytest.skip("not run: g++ has no runtime of its sanitizer")
    assert done.returncode == 0, done.stderr
    return str(built)


@pytest.fixture(params=["u8", "s8"])
def agrees(request, program):
    """A function that compares a function of the header with one of Python, on cases drawn for a type."""

    def compare(name, cases, oracle):
        cases = list(cases(request.param))
        done = subprocess.run(
            [program, name, request.param],
            input=np.array(cases, dtype=np.int64).tobytes(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = np.frombuffer(done.stdout, dtype=np.int64).tolist()
        wanted = [int(oracle(*case)) for case in cases]
        wrong = [row for row in zip(cases, found, wanted, strict=True) if row[1] != row[2]]
        assert not wrong, wrong[:5]

    return compare


def test_products(agrees):
    agrees("multiply", lambda t: itertools.product(RANGES["s8"], RANGES[t]), lambda w, x: w * x)
    sums = (-(2**30), -1, 0, 1, 2**30)
    agrees(
        "multiply_accumulate",
        lambda t: itertools.product(sums, CORNERS["s8"], CORNERS[t]),
        lambda total, w, x: total + w * x,
    )


def test_zero_points_fold_into_the_bias(agrees):
    """For every zero point: sum w * (x - zero_point) + bias is sum w * x plus what was folded."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-128, 128, (300, 9)).tolist()

    def cases(t):
        return [(7, sum(w), zero_point) for w, zero_point in zip(weights, itertools.cycle(RANGES[t]))]

    agrees("folded_bias", cases, lambda bias, row_sum, zero_point: bias - row_sum * zero_point)
    for w, zero_point in zip(weights, itertools.cycle(RANGES["s8"])):
        x = rng.integers(-128, 128, 9).tolist()
        exact = sum(a * (b - zero_point) for a, b in zip(w, x)) + 7
        assert exact == sum(a * b for a, b in zip(w, x)) + (7 - sum(w) * zero_point)


def half_even(value, shift):
    return round(Fraction(value, 2**shift))


def test_shifts_round_half_to_even(agrees):
    near = [(value, shift) for shift in range(1, 12) for value in range(-3 * 2**shift - 2, 3 * 2**shift + 3)]
    far = [
        (sign * (top + around), shift)
        for shift in range(1, 63)
        for top in (2 ** (shift - 1), 2**shift, 3 * 2 ** (shift - 1), 2**62 - 2**31, LARGEST * LARGEST)
        if top + 2 < 2**63
        for around in (-1, 0, 1)
        for sign in (-1, 1)
    ]
    least = [(-(2**63), shift) for shift in range(1, 63)] + [(2**63 - 1, shift) for shift in range(1, 62)]
    agrees("shift_half_even", lambda _: near + far + least, half_even)


def requantized(total, multiplier, shift, zero_point, least, most):
    return min(max(half_even(total * multiplier, shift) + zero_point, least), most)


def test_requantising_near_ties_and_saturation(agrees):
    """Factors around 1/2, whose every second sum is a tie; all sums about both ends of the range."""

    def cases(t):
        least, most = RANGES[t][0], RANGES[t][-1]
        for shift, multiplier in itertools.product((1, 2, 5), (1, 3)):
            for zero_point in CORNERS[t]:
                ends = [(end - zero_point) * 2**shift // multiplier for end in (least, most)]
                sums = {end + around for end in ends for around in range(-(2**shift) - 2, 2**shift + 3)}
                yield from ((total, multiplier, shift, zero_point, least, most) for total in sums)

    agrees("requantize", cases, requantized)


def test_requantising_full_multipliers(agrees):
    """Multipliers of 31 bits: sums whose product lies closest to a tie, and the largest ones."""

    def cases(t):
        least, most = RANGES[t][0], RANGES[t][-1]
        multipliers = (2**30, 2**30 + 1, 3 * 2**29, 1518500250, LARGEST)
        for multiplier, shift in itertools.product(multipliers, (1, 2, 30, 31, 32, 37, 45, 61, 62)):
            ties = {(2 * n + 1) * 2 ** (shift - 1) // multiplier for n in range(-5, 5)}
            sums = {tie + around for tie in ties for around in (-1, 0, 1)} | {-LARGEST - 1, -LARGEST, LARGEST, 0}
            for total in sums:
                if -LARGEST - 1 <= total <= LARGEST:
                    yield total, multiplier, shift, CORNERS[t][2], least, most

    agrees("requantize", cases, requantized)


def test_requantising_random_cases(agrees):
    def cases(t):
        rng = np.random.default_rng(1)
        zero_points = rng.integers(RANGES[t][0], RANGES[t][-1] + 1, 20_000)
        sums = rng.integers(-(2**31), 2**31, 20_000) >> rng.integers(0, 31, 20_000)
        multipliers, shifts = rng.integers(0, 2**31, 20_000), rng.integers(1, 63, 20_000)
        low, high = np.sort(rng.integers(RANGES[t][0], RANGES[t][-1] + 1, (2, 20_000)), axis=0)
        return zip(*(a.tolist() for a in (sums, multipliers, shifts, zero_points, low, high)), strict=True)

    agrees("requantize", cases, requantized)


def test_activations(agrees):
    """Of numbers, and of ranges: a range that is cut clamps to the numbers that are cut."""
    agrees("relu", lambda t: itertools.product(RANGES[t], CORNERS[t]), max)

    def with_six(t):
        zeros_and_sixes = [(zero, six) for zero in CORNERS[t] for six in CORNERS[t] if six >= zero]
        return [(value, *pair) for value in RANGES[t] for pair in zeros_and_sixes]

    agrees("relu6", with_six, lambda value, zero, six: min(max(value, zero), six))

    def ranges(t):
        return list(itertools.combinations_with_replacement(CORNERS[t], 2))

    def clamped(least, most, value):
        return min(max(value, least), most)

    def cut(least, most, value, zero, six=None):
        number = clamped(least, most, value)
        return max(number, zero) if six is None else min(max(number, zero), six)

    agrees("clamp", lambda t: [(*r, v) for r in ranges(t) for v in RANGES[t]], clamped)
    agrees("clamp_relu", lambda t: [(*r, v, z) for r in ranges(t) for v in RANGES[t] for z in CORNERS[t]], cut)
    agrees(
        "clamp_relu6",
        lambda t: [(*r, v, *zs) for r in ranges(t) for v in CORNERS[t] for zs in ranges(t)],
        cut,
    )


def test_order_of_winners(agrees):
    """Larger values first, of equal ones the lower index: the keys' order and beats() are one."""

    def pairs(t):
        values = CORNERS[t][::2]
        return itertools.product(values, (0, 1, 65535), values, (0, 1, 65535))

    agrees("beats", pairs, lambda a, i, b, j: (-a, i) < (-b, j))
    agrees(
        "contest_key",
        lambda t: itertools.product(RANGES[t], (0, 1, 2, 32767, 65534, 65535)),
        lambda value, index: value * 65536 + 65535 - index,
    )


def test_keys_sort_as_stable_winners():
    """What the oracle of keys says is the order that complsparse.kwta has."""
    rng = np.random.default_rng(2)
    values = rng.integers(-3, 3, 500)
    keys = values * 65536 + 65535 - np.arange(500)
    np.testing.assert_array_equal(np.argsort(-keys), np.argsort(-values, kind="stable"))


def test_largest_and_least(agrees):
    agrees("maximum", lambda t: itertools.product(RANGES[t], CORNERS[t]), max)
    agrees("minimum", lambda t: itertools.product(RANGES[t], CORNERS[t]), min)
