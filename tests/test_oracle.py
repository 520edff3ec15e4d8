# SPDX-License-Identifier: BSD-3-Clause
"""What the tests compare with is right itself."""

import numpy as np
import pytest
from activations import activated, activations, units_off
from numpy.testing import assert_array_equal

# x, silu(x), gelu(x), by mpmath with 60 digits.
BY_MPMATH = [
    (-751.5, -5e-324, -0.0),
    (-720.0, -1.46320617774547e-310, -0.0),
    (-100.0, -3.720075976020836e-42, -0.0),
    (-38.5, -7.330324090652841e-16, -5.4e-323),
    (-37.5, -1.9408331271757007e-15, -1.7270073785932332e-306),
    (-20.25, -3.2505868065329306e-08, -3.596804726522879e-90),
    (-8.3, -0.0020621771792664746, -4.3206228882589113e-16),
    (-3.1, -0.13363249031736696, -0.0029995699609769054),
    (-2.0, -0.23840584404423512, -0.04550026389635842),
    (-1.3, -0.2784145220446738, -0.12584062996129342),
    (-0.7, -0.23226855948228373, -0.1693745565561511),
    (-0.01, -0.00497500020833125, -0.004960106436853684),
    (-1e-300, -5e-301, -5e-301),
    (0.3, 0.17233275504349768, 0.1853734266566858),
    (0.9, 0.6398545523625035, 0.7343458871879165),
    (1.7, 1.437409049357991, 1.6242387133104768),
    (2.6, 2.4202401071072983, 2.587880911138331),
    (5.5, 5.477614242562571, 5.499999895557407),
    (40.0, 40.0, 40.0),
]


@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_activations_agree_with_mpmath(name):
    x, silu, gelu = np.array(BY_MPMATH).T
    assert units_off(activated(name, x), {"silu": silu, "gelu": gelu}[name]).max() <= 1


@pytest.mark.parametrize("name", activations)
def test_activations_have_limits(name):
    above, below, nothing = activated(name, [np.inf, -np.inf, np.nan])
    for limit, x in ((above, 1e30), (below, -1e30)):
        near = activated(name, x)
        assert limit == (np.copysign(np.inf, near) if abs(near) > 1e20 else near)
    assert np.isnan(nothing)


def test_units_are_those_of_the_type_that_is_checked():
    found = np.array([1, 1 + 2**-23, 3 * 2**-149, np.nan, np.inf, np.inf, 1], np.float32)
    expected = np.array([1 + 2**-26, 1, 2**-149, np.nan, np.inf, 1, np.nan])
    assert_array_equal(units_off(found, expected), [0, 1, 2, 0, 0, np.inf, np.inf])
