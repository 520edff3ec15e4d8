# SPDX-License-Identifier: BSD-3-Clause
"""What activations must be, within a unit in the last place of float64, and how far from it something is.

In NumPy's extended precision, with series of its own for the normal distribution: ``x * scipy.special.ndtr(x)`` is
up to 2000 units off far below zero, where the rounding of x * x costs the exponential as many units as it is large, and
``x * scipy.special.expit(x)`` loses the subnormal results.
"""

import numpy as np

wide = np.longdouble


def bounded(x):
    """x where it matters: below, nothing is left of what vanishes, and -inf * 0 is not the limit."""
    return np.maximum(x, wide(-1e4))


def normal(x):
    """The normal distribution at x."""
    a = np.abs(x)
    density = np.exp(-a * a / 2) / np.sqrt(8 * np.arctan(wide(1)))
    near = np.minimum(a, 2)
    term = series = near
    for k in range(3, 90, 2):
        term = term * near * near / k
        series = series + term
    far = fraction = np.maximum(a, 2)
    for k in range(150, 0, -1):
        fraction = far + k / fraction
    tail = np.where(a < 2, wide(0.5) - density * series, density / fraction)
    return np.where(x < 0, tail, 1 - tail)


# Of x and the parameter, both of them wide.
activations = {
    "relu": lambda x, _: np.maximum(x, 0),
    "relu6": lambda x, _: np.clip(x, 0, 6),
    "leaky_relu": lambda x, slope: np.where(x < 0, x * slope, x),
    "silu": lambda x, _: bounded(x) / (1 + np.exp(-bounded(x))),
    "gelu": lambda x, _: bounded(x) * normal(bounded(x)),
    "hard_swish": lambda x, _: bounded(x) * np.clip(x + 3, 0, 6) / 6,
    "sigmoid": lambda x, _: 1 / (1 + np.exp(-bounded(x))),
    "tanh": lambda x, _: np.tanh(x),
}


def activated(name, x, parameter=0.01):
    """The activation of x, in float64."""
    with np.errstate(all="ignore"):
        return activations[name](np.asarray(x).astype(wide), wide(parameter)).astype(np.float64)


def units_off(found, expected):
    """By how many units in the last place found differs from expected, which is rounded to found's dtype first."""
    with np.errstate(all="ignore"):
        rounded = np.asarray(expected).astype(found.dtype)
        off = np.abs(found.astype(wide) - rounded.astype(wide)) / np.spacing(np.abs(rounded)).astype(wide)
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    return np.where(same, 0, np.where(np.isfinite(off), off, np.inf)).astype(np.float64)
