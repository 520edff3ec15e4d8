# SPDX-License-Identifier: BSD-3-Clause
"""What trained speech networks lose in int8: `python benchmarks/quantized_speech.py DIR RUN ...`.

DIR has the clips, RUN is a folder of `python -m complsparse train-gsc --data DIR`. Scales come from 512 clips that the
network learnt from, decisions are those on all clips of its test fold.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--fold", type=int, default=0, help="of all runs")
    parser.add_argument("--features", type=Path, help="where features are kept")
    args = parser.parse_args()
    cs = rivals.import_ours()
    from complsparse.torch import speech

    learnt, tested = speech.read_clips(args.data, args.features).split(args.fold)
    images = speech.Images(learnt)
    words = speech.Images(tested, like=images).plain().numpy()
    which = np.random.default_rng(0).permutation(len(learnt.labels))[:CALIBRATION]
    calibration = images.plain().numpy()[which]
    for run in args.runs:
        net = cs.nn.load(run / "network.npz")
        decided = net(words).argmax(axis=1)
        for method in METHODS:
            small = net.quantize(calibration, method=method)
            found = small(words).argmax(axis=1)
            accuracy = {
                "float32": float(np.mean(decided == tested.labels)),
                "int8": float(np.mean(found == tested.labels)),
            }
            equal = float(np.mean(found == decided))
            print(json.dumps({"run": run.name, "method": method, "accuracy": accuracy, "equal_decisions": equal}))
        print(small.compare(words))


if __name__ == "__main__":
    main()
