# SPDX-License-Identifier: BSD-3-Clause
"""What trained speech networks lose in int8: `python benchmarks/quantized_speech.py DIR RUN ...`.

DIR has the clips, RUN is a folder of `python -m complsparse train-gsc --data DIR`. Scales come from 512 clips that the
network learnt from, decisions are those on all clips of its test fold. With `--causes`: what each rounding does alone,
all else in float32.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import rivals

CALIBRATION = 512
METHODS = ("minmax", ("percentile", 99.9))
NOISES = (1e-4, 1e-3, 1e-2)  # of the standard deviation of the input


class Rounded:
    """The float network, with some of what its network in integers rounds rounded.

    Of layer i: ``x`` is its activations, as they come (of winners, their values), ``w`` its weights; ``k`` the order in
    which the contest behind it ranks.
    """

    def __init__(self, cs, net, calibration):
        from complsparse.nn._quantize import prepared

        self.layers = [node.layer for node in prepared(net._network).nodes if node.layer is not None]
        products = [layer for layer in net.quantize(calibration).layers if hasattr(layer, "x_dtype")]
        borders = [
            (layer.arguments()["x_scale"], layer.arguments()["x_zero_point"], layer.x_dtype) for layer in products
        ]
        self.borders = [(cs.nn.Quantize(*of), cs.nn.Dequantize(*of)) for of in borders]
        self.quantize, self.KWinners = cs.quantize, cs.nn.KWinners
        self.causes = [f"{what}{i}" for i in range(len(products)) for what in "xw"]
        self.causes += [f"k{i}" for i in range(len(products)) if self._has_contest(i)]

    def _has_contest(self, product):
        """Behind this product, before the next one."""
        seen = -1
        for layer in self.layers:
            seen += hasattr(layer, "W")
            if seen == product and isinstance(layer, self.KWinners):
                return True
        return False

    def _near(self, i, x):
        to, back = self.borders[i]
        return back(to(x))

    def _near_weights(self, W):
        small = self.quantize(W)
        csr = small.tocsr()
        return W.with_values(csr.data * np.repeat(small.scale, np.diff(csr.indptr)))

    def __call__(self, x, causes):
        product = -1
        x = self._near(0, x) if "x0" in causes else x
        for layer in self.layers:
            if hasattr(layer, "W"):
                product += 1
                if f"w{product}" in causes:
                    layer = layer.with_arguments(W=self._near_weights(layer.W))
            if isinstance(layer, self.KWinners):
                x = self._contest(layer, product, x, causes)
            else:
                x = layer(x)
                if hasattr(layer, "W") and not self._has_contest(product) and f"x{product + 1}" in causes:
                    x = self._near(product + 1, x)
        return x

    def _contest(self, layer, product, x, causes):
        rounded = self._near(product + 1, x)
        won = np.asarray(layer(rounded if f"k{product}" in causes else x).toarray()) != 0
        return np.where(won, rounded if f"x{product + 1}" in causes else x, np.float32(0))


def equal(a, b):
    return float(np.mean(a.argmax(axis=1) == b.argmax(axis=1)))


def report_causes(cs, name, net, calibration, words):
    rounded = Rounded(cs, net, calibration)
    exact = rounded(words, ())
    cases = {
        "none": (), **{cause: (cause,) for cause in rounded.causes},
        "all but contests": tuple(cause for cause in rounded.causes if cause[0] != "k"), "all": rounded.causes,
    }  # fmt: skip
    for case, causes in cases.items():
        print(
            json.dumps({"run": name, "rounded": case, "equal_decisions": equal(exact, rounded(words, causes))}),
            flush=True,
        )
    rng = np.random.default_rng(0)
    for share in NOISES:
        noisy = words + (share * words.std() * rng.standard_normal(words.shape)).astype(np.float32)
        print(
            json.dumps({"run": name, "noise": share, "equal_decisions": equal(exact, rounded(noisy, ()))}), flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--features", type=Path, help="where features are kept")
    parser.add_argument("--causes", action="store_true", help="what each rounding does alone")
    args = parser.parse_args()
    cs = rivals.import_ours()
    from complsparse.torch import speech

    clips = speech.read_clips(args.data, args.features)
    for run in args.runs:
        learnt, tested = clips.split(json.loads((run / "result.json").read_text())["fold"])
        images = speech.Images(learnt)
        words = speech.Images(tested, like=images).plain().numpy()
        which = np.random.default_rng(0).permutation(len(learnt.labels))[:CALIBRATION]
        calibration = images.plain().numpy()[which]
        net = cs.nn.load(run / "network.npz")
        if args.causes:
            report_causes(cs, run.name, net, calibration, words)
            continue
        decided = net(words).argmax(axis=1)
        for method in METHODS:
            small = net.quantize(calibration, method=method)
            found = small(words).argmax(axis=1)
            accuracy = {
                "float32": float(np.mean(decided == tested.labels)),
                "int8": float(np.mean(found == tested.labels)),
            }
            equal_ones = float(np.mean(found == decided))
            print(json.dumps({"run": run.name, "method": method, "accuracy": accuracy, "equal_decisions": equal_ones}))
        print(small.compare(words))


if __name__ == "__main__":
    main()
