# SPDX-License-Identifier: BSD-3-Clause
"""The coefficients of src/ukr/exponential.hpp and src/ukr/normal_tail.hpp, derived anew with mpmath.

``python docs/developer/derive_activations.py`` prints them as they stand there, the constant ones first, with the
largest relative error that they leave. Least squares at Chebyshev's points, weighted so that the relative error of the
result counts: within a bit of the best.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np

mp.mp.dps = 100
Function = Callable[[mp.mpf], mp.mpf]
Coefficients = list[mp.mpf]


def value(c: Coefficients, x: mp.mpf) -> mp.mpf:
    return mp.polyval(c[::-1], x)


def fit(f: Function, weight: Function, points: list[mp.mpf], m: int, n: int) -> tuple[Coefficients, Coefficients]:
    """p and q of degrees m and n, q(0) = 1, such that weight (p / q - f) is small at all points.

    Linear in the coefficients as weight (p - f q) / q, with the q of the round before as the last divisor.
    """
    p, q = [], [mp.mpf(1)]
    for _ in range(6 if n else 1):
        scale = [weight(x) / value(q, x) for x in points]
        rows = [
            [s * x**k for k in range(m + 1)] + [-s * f(x) * x**k for k in range(1, n + 1)]
            for s, x in zip(scale, points)
        ]
        solution = list(mp.lu_solve(mp.matrix(rows), mp.matrix([s * f(x) for s, x in zip(scale, points)])))
        p, q = solution[: m + 1], [mp.mpf(1), *solution[m + 1 :]]
    return p, q


def chebyshev(n: int) -> list[mp.mpf]:
    return [mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]


def rounded(c: Coefficients, dtype: type) -> Coefficients:
    return [mp.mpf(float(dtype(mp.nstr(x, 30)))) for x in c]


def show(name: str, c: Coefficients, dtype: type) -> None:
    suffix = "F" if dtype is np.float32 else ""
    print(f"{name} = {{{', '.join(f'{dtype(float(x))!s}{suffix}' for x in c)}}}")


def exponential(dtype: type, ln2_high: str, degree: int) -> None:
    """e^r = 1 + r + r^2 p(r) for what is left of an exponent: |r| <= ln(2) / 2, somewhat more because of rounding."""
    points = [x * mp.log(2) / 2 * mp.mpf("1.001") for x in chebyshev(100)]

    def rest(r: mp.mpf) -> mp.mpf:
        return mp.nsum(lambda k: r**k / mp.factorial(k + 2), [0, 60])

    p, _ = fit(rest, lambda r: r * r * mp.exp(-r), points, degree, 0)
    p = rounded(p, dtype)
    worst = max(abs((1 + r + r * r * value(p, r)) * mp.exp(-r) - 1) for r in points)
    print(f"\n// Exponential, {dtype.__name__}: 2^{float(mp.log(worst, 2)):.1f}")
    show("ln2_low", rounded([mp.log(2) - mp.mpf(float.fromhex(ln2_high))], dtype), dtype)
    show("rest", p, dtype)


def normal_tail(dtype: type, last: int, m: int, n: int) -> None:
    """e^(-a a / 2) / Q(a) = 2.5 a + p(a) / q(a) for 0 <= a <= last, with Q the normal distribution's upper tail.

    It is nearly a straight line: the fraction is all of it at 0, and ever less of it from there. Both polynomials begin
    in the upper half of a binade, where rounding errors are relatively small.
    """
    bend = 4  # half of the points are below
    at = [(1 + x) / 2 * last / (last + bend) for x in chebyshev(100)]
    points = [bend * u / (1 - u) for u in at]
    exact = {a: 2 * mp.exp(-a * a / 2) / mp.erfc(a / mp.sqrt(2)) for a in points}
    p, q = fit(lambda a: exact[a] - 2.5 * a, lambda a: 1 / exact[a], points, m, n)
    p, q = (rounded([x * 1.5 for x in c], dtype) for c in (p, q))
    worst = max(abs((2.5 * a + value(p, a) / value(q, a)) / exact[a] - 1) for a in points)
    print(f"\n// NormalTail, {dtype.__name__}: 2^{float(mp.log(worst, 2)):.1f}")
    show("over", p, dtype)
    show("under", q, dtype)


if __name__ == "__main__":
    exponential(np.float32, "0x1.62e4p-1", degree=4)
    exponential(np.float64, "0x1.62e42feep-1", degree=9)
    normal_tail(np.float32, last=15, m=5, n=4)
    normal_tail(np.float64, last=39, m=11, n=10)
