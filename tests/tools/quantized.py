# SPDX-License-Identifier: BSD-3-Clause
"""What layers on 8-bit numbers must be: real arithmetic in fractions, sums in int64, dense."""

from fractions import Fraction

import numpy as np

LIMITS = {"uint8": (0, 255), "int8": (-128, 127)}


def half_even(numerator, shift):
    """numerator / 2**shift; `round` of a Fraction is to the nearest integer, halves to the even one."""
    return round(Fraction(int(numerator), 2 ** int(shift)))


def factor(real):
    """(multiplier, shift) of a positive number below 2**30: 31 bits of it, or those above 2**-62."""
    exact = Fraction(real)
    shift = 0
    while shift < 62 and round(exact * 2 ** (shift + 1)) < 2**31:
        shift += 1
    return round(exact * 2**shift), shift


def rounded_bias(bias, units):
    """In numbers of float64, as documented: one division, rounded half to even."""
    return np.array(
        [round(Fraction(float(np.float64(b) / u))) for b, u in zip(bias, units, strict=True)], dtype=np.int64
    )


def expected(sums, Wq, out_dtype, *, x_scale, bias=None, activation=None, out_scale=None, out_zero_point=0):
    """Of sums (rows, features) with their zero point taken off, in int64: the outputs."""
    units = [float(x_scale) * float(scale) for scale in Wq.scale]
    if bias is not None:
        sums = sums + rounded_bias(bias, units)
    if out_scale is None:
        y = sums.astype(np.float64) * np.array(units)
        if activation is not None:
            y = np.maximum(y, 0)
        return (np.minimum(y, 6) if activation == "relu6" else y).astype(np.float32)
    low, high = LIMITS[np.dtype(out_dtype).name]
    if activation is not None:
        low = out_zero_point
    if activation == "relu6":
        high = min(high, round(Fraction(6 / out_scale)) + out_zero_point)
    factors = [factor(unit / out_scale) for unit in units]
    rows = [
        [
            min(max(half_even(int(total) * multiplier, shift) + out_zero_point, low), high)
            for total, (multiplier, shift) in zip(row, factors, strict=True)
        ]
        for row in sums.tolist()
    ]
    return np.array(rows, dtype=out_dtype).reshape(sums.shape)


def linear_sums(xq, Wq, zero_point=0):
    """Of x (rows, K): every x counts from the zero point."""
    return (xq.astype(np.int64) - zero_point) @ Wq.toarray().astype(np.int64).T
