# SPDX-License-Identifier: BSD-3-Clause
"""Ours against every rival on one product: all variants checked, a heat, a final."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import timing
from benchmarks.rivals.case import Case
from benchmarks.rivals.everybody import all_rivals
from benchmarks.rivals.mkl_sparse import MklSparse
from benchmarks.rivals.ours import Ours
from benchmarks.rivals.peer import Peer, Variant
from benchmarks.timing import HEAT, Effort, Samples

# A variant this much slower than the best of its peer in the heat does not run in the final.
HEAT_MARGIN = 1.25
# (from this many ns a call, how many variants of a contest run in its final): samples of slow calls are long, and the
# heat tells their order well.
FINALISTS = ((1.6e6, 1), (0.4e6, 2))


@dataclass(frozen=True)
class Comparison:
    """The final samples of one case: ours (if it is there) and the fastest variants of each rival."""

    case: Case
    samples: Samples
    variants: tuple[Variant, ...]
    heat: dict[str, float]  # every variant that was checked, with its time in the heat (ns)

    def ns(self, peer: str) -> float | None:
        best = self.best(peer)
        return None if best is None else self.samples.median(best.name)

    def best(
        self, peer: str, containing: str = "", family: str | None = None, natural: bool | None = None
    ) -> Variant | None:
        """The fastest variant of a peer, among those whose form contains a word, of a family, on the case's arrays."""
        mine = [
            v for v in self.variants
            if v.peer == peer and containing in v.form
            and family in (None, v.family) and natural in (None, v.natural)
        ]  # fmt: skip
        return min(mine, key=lambda v: self.samples.median(v.name), default=None)

    def ratio(
        self,
        peer: str,
        ours: str = Ours.name,
        containing: str = "",
        family: str | None = None,
        natural: bool | None = None,
    ) -> float | None:
        """Time of the peer's best variant over ours: above 1 we are faster."""
        rival, mine = self.best(peer, containing, family, natural), self.best(ours)
        if rival is None or mine is None:
            return None
        return self.samples.ratio(rival.name, mine.name)

    def peers(self) -> list[str]:
        return list(dict.fromkeys(v.peer for v in self.variants))

    def record(self) -> dict[str, Any]:
        """All of it as plain data."""
        out: dict[str, Any] = {
            "problem": self.case.problem.name, "group": self.case.problem.group, "n": self.case.n,
            "layout": self.case.layout, "dtype": self.case.dtype.name, "threads": self.case.threads,
            "shape": list(self.case.matrix.shape), "nnz": int(self.case.matrix.nnz), "flops": self.case.flops,
            "csr_bytes": self.case.csr_bytes, "rounds": len(self.samples.ns), "disturbed": self.samples.disturbed,
            "peers": {}, "heat_ns": self.heat,
        }  # fmt: skip
        for peer in self.peers():
            best = self.best(peer)
            assert best is not None
            out["peers"][peer] = {
                "variant": best.form, "ns": self.samples.median(best.name), "spread": self.samples.spread(best.name),
                "calls_per_sample": self.samples.calls[self.samples.names.index(best.name)],
                "ratio": self.ratio(peer), "gflops": self.case.flops / self.samples.median(best.name),
            }  # fmt: skip
            out["peers"][peer]["families"] = self._families(peer)
        if self.case.batch_major:
            out["ratio_to_column_major"] = self.ratio(MklSparse.name, containing="column-major")
        return out

    def _families(self, peer: str) -> list[dict[str, Any]]:
        """The best of each family of a peer, on the case's own arrays and on others given to it for nothing."""
        found = []
        for family, natural in dict.fromkeys((v.family, v.natural) for v in self.variants if v.peer == peer):
            best = self.best(peer, family=family, natural=natural)
            assert best is not None
            found.append({
                "family": family, "natural": natural, "variant": best.form, "ns": self.samples.median(best.name),
                "calls_per_sample": self.samples.calls[self.samples.names.index(best.name)],
                "ratio": self.ratio(peer, family=family, natural=natural),
            })  # fmt: skip
        return found


def _of_peer(variant: Variant) -> Hashable:
    return variant.peer


def checked(case: Case, variants: Sequence[Variant]) -> list[Variant]:
    """The variants, each of which has multiplied once and was right; AssertionError otherwise."""
    for variant in variants:
        variant.result[...] = case.unset  # variants may share an output: none may shine with another's result
        variant.call()
        case.check(variant.name, variant.result)
    return list(variants)


def fastest(case: Case, variants: Sequence[Variant]) -> Variant:
    """The best of them in a heat, all checked."""
    heat = timing.race([v.call for v in checked(case, variants)], replace(HEAT, alone=case.threads == 1))
    return min(variants, key=lambda v: heat.median(v.name))


def compare(
    case: Case,
    rivals: Sequence[Peer] | None = None,
    effort: Effort | None = None,
    ours: Sequence[Variant] | None = None,
    contest: Callable[[Variant], Hashable | None] = _of_peer,
) -> Comparison:
    """Check every variant against the reference, drop the slow ones in a heat, race the rest.

    `ours`: variants to use instead of the default plan (several of them are all kept and reported under their forms).
    `contest`: variants of which it says the same compete for the final, None keeps one out of it.
    """
    effort = replace(effort or Effort(), alone=case.threads == 1)
    variants: list[Variant] = list(ours or [])
    contenders: list[Peer] = [] if ours is not None else [Ours()]
    contenders += all_rivals() if rivals is None else rivals
    for peer in contenders:
        if peer.available()[0]:
            variants += peer.variants(case)
    if not variants:
        raise RuntimeError("nothing to race: neither complsparse nor any rival is here")
    checked(case, variants)
    heat_effort = HEAT if effort.min_rounds > 1 else timing.SMOKE
    heat = timing.race([v.call for v in variants], replace(heat_effort, alone=effort.alone))
    contests: dict[Hashable, list[Variant]] = {}
    for v in variants:
        if (which := contest(v)) is not None:
            contests.setdefault(which, []).append(v)
    chosen: set[str] = set()
    for rivals_of_one in contests.values():
        rivals_of_one.sort(key=lambda v: heat.median(v.name))
        best = heat.median(rivals_of_one[0].name)
        most = next((count for slow, count in FINALISTS if best >= slow), len(rivals_of_one))
        chosen.update(v.name for v in rivals_of_one[:most] if heat.median(v.name) <= HEAT_MARGIN * best)
    # MKL's column-major path is a target of its own where x is batch-major, even if another variant beats it.
    column_major = [v for v in variants if case.batch_major and v.peer == MklSparse.name and "column-major" in v.form]
    fastest = min(column_major, key=lambda v: heat.median(v.name), default=None)
    final = [v for v in variants if v.peer == Ours.name or v is fastest or v.name in chosen]
    samples = timing.race([v.call for v in final], effort)
    return Comparison(case, samples, tuple(final), {v.name: heat.median(v.name) for v in variants})
