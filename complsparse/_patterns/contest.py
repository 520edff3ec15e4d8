# SPDX-License-Identifier: BSD-3-Clause
"""Who gets which block column: each member of a set a given number of them, no column to two members.

`assigned` finds the owners of the greatest total weight, `greedy` good ones fast. Both take weights of shape (sets,
members, groups, width), none of them negative, and return owners of shape (sets, groups, width); every set and group is
a contest of its own. Each member gets `quota` columns, `extras` of the members one more.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from complsparse._patterns.pattern import NOBODY

Weights = NDArray[np.float64]
Owners = NDArray[np.int32]

_LARGEST_SQUARE = 256  # copies of members, above which columns are moved one by one instead
_ONE = 2.0**48  # the greatest weight of a contest as an integer: sums along any path stay inside int64
_FAR = 2**61
_TIE = 2**14  # equal weights differ by less, as integers
_RAISES = 20  # of each member's price, on average, before columns are moved one by one


# --- the greatest weight ----------------------------------------------------------------------------------------------


def assigned(weights: Weights, quota: int, extras: int) -> Owners:
    """Owners of the greatest total weight; `_moved` rounds weights to 1 part in 10**10 of the greatest."""
    n_sets, members, n_groups, width = weights.shape
    owners = np.full((n_sets, n_groups, width), NOBODY, dtype=np.int32)
    if quota == 0 and extras == width:
        copies = 1  # fewer columns than members: each goes to somebody
    elif extras == 0 and (quota == 1 or members * quota <= _LARGEST_SQUARE):
        copies = quota
    else:
        for s, g in np.ndindex(n_sets, n_groups):
            owners[s, g] = _moved(weights[s, :, g], quota, extras)
        return owners
    from scipy.optimize import linear_sum_assignment  # slow to import, and few need it

    for s, g in np.ndindex(n_sets, n_groups):
        winners, columns = linear_sum_assignment(np.repeat(weights[s, :, g], copies, axis=0), maximize=True)
        owners[s, g, columns] = winners // copies
    return owners


def _moved(weights: Weights, quota: int, extras: int) -> NDArray[np.intp]:
    """The owners of one contest, shape (width,), by successive shortest paths: a transportation problem.

    Every column starts with the member that values it most, less a price; then members that own too many columns pass
    them on, each time along the path of columns that loses the least weight. What is left is the optimum (Ahuja,
    Magnanti and Orlin, Network Flows, 1993, section 9.7). Two nodes are no members: one owns the columns that nobody
    gets, and a pool lends each of `extras` members the right to one column more.
    """
    members, width = weights.shape
    nobody, pool = members, members + 1
    # Integers, so that no sum along a cycle is rounded; among equal weights chance decides, so that few have to move.
    worth = np.zeros((members + 1, width), dtype=np.int64)
    worth[:members] = np.rint(weights * (_ONE / (weights.max(initial=0.0) or 1.0)))
    worth[:members] += np.random.default_rng(0).integers(_TIE, size=weights.shape)
    wanted = np.full(members + 1, quota)
    wanted[nobody] = width - members * quota - extras
    owner = _auctioned(worth, wanted)
    surplus = np.append(np.bincount(owner, minlength=members + 1) - wanted, -extras)

    loss = np.full((members + 2, members + 2), _FAR)  # of passing a column on, from row to column
    column = np.zeros((members + 1, members + 1), dtype=np.intp)  # the one to pass on
    loss[:members, pool] = 0

    def weigh(node: int) -> None:
        owned = np.flatnonzero(owner == node)
        if len(owned) == 0:
            loss[node, : members + 1] = _FAR
            return
        losses = worth[node, owned] - worth[:, owned]
        best = losses.argmin(axis=1)
        column[node] = owned[best]
        loss[node, : members + 1] = losses[np.arange(members + 1), best]
        loss[node, node] = _FAR

    for node in range(members + 1):
        weigh(node)
    while (surplus > 0).any():
        path = _shortest_path(loss, surplus)
        surplus[path[0]] -= 1
        surplus[path[-1]] += 1
        for giver, taker in itertools.pairwise(path):
            if taker == pool:
                loss[giver, pool], loss[pool, giver] = _FAR, 0
            elif giver == pool:
                loss[taker, pool], loss[pool, taker] = 0, _FAR
            else:
                owner[column[giver, taker]] = taker
        for node in path:
            if node != pool:
                weigh(node)
    return np.where(owner == nobody, NOBODY, owner)


def _auctioned(worth: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    """Owners that are the best for the numbers of columns they get, which are nearly those that are wanted.

    The node that owns the most columns too many raises its price until only as many as it wants stay; the others go to
    whoever values them most, less the price. An owner that is the best at any prices is the best for its numbers.
    """
    n_nodes, _ = worth.shape
    offers = worth - np.where(wanted > 0, 0, 4 * int(_ONE))[:, None]
    owner: NDArray[np.intp] = offers.argmax(axis=0)
    surplus = np.bincount(owner, minlength=n_nodes) - wanted
    for _ in range(_RAISES * n_nodes):
        node = int(surplus.argmax())
        if surplus[node] < 2:
            break
        owned = np.flatnonzero(owner == node)
        others = offers[:, owned]
        others[node] = -_FAR
        lead = offers[node, owned] - others.max(axis=0)
        rise = np.partition(lead, surplus[node] - 1)[surplus[node] - 1]
        leaving = lead <= rise
        owner[owned[leaving]] = others[:, leaving].argmax(axis=0)
        offers[node] -= rise
        surplus = np.bincount(owner, minlength=n_nodes) - wanted
    return owner


def _shortest_path(loss: NDArray[np.int64], surplus: NDArray[np.int64]) -> list[int]:
    """From any node with too many columns to any with too few (Bellman and Ford); no cycle gains anything."""
    nodes = np.arange(len(loss))
    distance = np.where(surplus > 0, 0, _FAR)
    before = np.full(len(loss), -1)
    while True:
        through = distance[:, None] + loss
        nearest = through.argmin(axis=0)
        found = through[nearest, nodes]
        better = (found < distance) & (found < _FAR // 2)
        if not better.any():
            break
        distance[better] = found[better]
        before[better] = nearest[better]
    short = np.flatnonzero(surplus < 0)
    path = [int(short[distance[short].argmin()])]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return path[::-1]


# --- greedy -----------------------------------------------------------------------------------------------------------


def greedy(weights: Weights, quota: int, extras: int) -> Owners:
    """Owners as found by going through the weights from the greatest to the least and taking what still fits.

    The extras follow once everybody has the quota. Weights that differ by less than 1 part in a million count as equal.
    """
    n_sets, members, n_groups, width = weights.shape
    # Contests last: every step is the same for all of them.
    keys = weights.transpose(1, 3, 0, 2).astype(np.float32, order="C").reshape(members, width, -1)
    # Equal weights would be taken one by one; made slightly unequal, many are taken at once.
    keys += np.float32(1e-30)
    keys *= np.random.default_rng(0).uniform(1 - 2.0**-20, 1, (members, width, 1)).astype(np.float32)
    owners = np.full((width, n_sets * n_groups), NOBODY, dtype=np.int32)
    if quota:
        _take(keys.copy() if extras else keys, owners, quota)
    if extras:
        np.copyto(keys, -1, where=(owners != NOBODY)[None])
        more = np.full_like(owners, NOBODY)
        _take(keys.copy(), more, 1)
        taken = np.where(more != NOBODY, np.take_along_axis(keys, np.maximum(more, 0)[None], axis=0)[0], -1)
        heaviest = np.argpartition(-taken, extras - 1, axis=0)[:extras]
        np.put_along_axis(owners, heaviest, np.take_along_axis(more, heaviest, axis=0), axis=0)
    return np.ascontiguousarray(owners.T).reshape(n_sets, n_groups, width)


def _take(keys: NDArray[np.float32], owners: Owners, quota: int) -> None:
    """Gives each member `quota` columns, as far as there are any with a key above 0; `keys` is used up.

    A weight is certainly taken if no member values the column more and the member values fewer other columns more than
    it may still take. All such weights are taken in each round: the order among them does not matter.
    """
    members, width, n_contests = keys.shape
    left = np.full((members, n_contests), min(quota, width))
    contests = np.arange(n_contests)
    while len(contests):
        least = _least_that_fits(keys, left)
        chosen = keys >= least[:, None]
        chosen &= keys == np.maximum(keys.max(axis=0), 0)
        place = np.flatnonzero(chosen)
        if len(place) == 0:
            return
        place = place[_last_of_each(place % (width * len(contests)), width * len(contests))]
        member, column, contest = np.unravel_index(place, keys.shape)
        fits = _first_of_each(member * len(contests) + contest, left.ravel())
        member, column, contest = member[fits], column[fits], contest[fits]
        owners[column, contests[contest]] = member
        left -= np.bincount(member * len(contests) + contest, minlength=left.size).reshape(left.shape)
        cap = np.full((width, len(contests)), np.inf, dtype=np.float32)
        cap[column, contest] = -1
        np.minimum(keys, cap, out=keys)
        np.minimum(keys, np.where(left > 0, np.float32(np.inf), np.float32(-1))[:, None], out=keys)
        going = left.any(axis=0)
        if 4 * np.count_nonzero(going) < 3 * len(contests):
            keys, left, contests = keys[:, :, going], left[:, going], contests[going]


def _least_that_fits(keys: NDArray[np.float32], left: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of each member and contest: the least key that it would take if nobody else took any, shape as `left`."""
    if int(left.max()) == 1:
        return np.asarray(keys.max(axis=1))
    ranked = np.sort(keys, axis=1)
    place = keys.shape[1] - np.maximum(left, 1)
    return np.take_along_axis(ranked, place[:, None], axis=1)[:, 0]


def _last_of_each(items: NDArray[np.intp], size: int) -> NDArray[np.bool_]:
    """The positions at which an item, in [0, size), comes up for the last time."""
    positions = np.arange(len(items))
    last = np.empty(size, dtype=np.intp)
    last[items] = positions
    return np.asarray(last[items] == positions)


def _first_of_each(items: NDArray[np.intp], most: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The positions at which an item comes up for at most the ``most[item]``-th time."""
    counts = np.bincount(items, minlength=len(most))
    if (counts <= most).all():
        return np.ones(len(items), dtype=np.bool_)
    order = np.argsort(items, kind="stable")
    start = np.cumsum(counts) - counts
    rank = np.empty(len(items), dtype=np.intp)
    rank[order] = np.arange(len(items)) - start[items[order]]
    return np.asarray(rank < most[items])
