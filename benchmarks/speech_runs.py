# SPDX-License-Identifier: BSD-3-Clause
"""What trained speech networks are worth: accuracy against words a second, of the folders that `train-gsc` filled.

``python benchmarks/speech_runs.py --data DIR RUN [RUN ...] [--plot FILE.png]``: a row for each configuration, with the
mean over its folds and starts and its standard error; in float32, and in int8, calibrated on clips that were heard.
What a row loses is the mean of the differences to the dense network of the same fold and start: some folds are harder
for all.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections import defaultdict

import numpy as np
import threadpoolctl

import complsparse as cs
from complsparse._cli.rivals import interleaved_medians
from complsparse.torch.speech import Images, read_clips

CALIBRATION = 256  # clips
ROUNDS = 41
BASELINE = "dense"


def configuration(run):
    """What runs of one row have in common."""
    if run["start"] and run["kind"] == "dense" and run["density"] < 1:
        name = f"dense, then {run['pattern']} at {1 - run['density']:.0%}"
    else:
        name = run["kind"].replace("_", "-")
        if run["kind"].startswith("sparse"):
            blocks = run["blocks"] if isinstance(run["blocks"], list) else [run["blocks"]]
            name += f", blocks {'/'.join(map(str, blocks))}"
        if run["kind"] == "sparse_sparse":
            name += f", winners {'/'.join(map(str, run['winners']))}"
        if run["start"] and run["kind"] != "dense":
            name += ", from dense"
        elif run["kind"].startswith("sparse") and not run["recipe"].get("relative_rate", False):
            name += ", at one rate"
    if run["start"]:
        name += f", {run['recipe']['epochs']} epochs more"
    return name + (", taught" if run["teacher"] else "")


def accuracies(folder, run, clips):
    """Of the network in its file, and in int8; with both networks."""
    learnt, tested = clips.split(run["fold"])
    images = Images(learnt)
    tests = Images(tested, like=images).plain().numpy()
    net = cs.nn.load(folder / "network.npz")
    some = np.random.default_rng(0).permutation(len(learnt.labels))[:CALIBRATION]
    quantized = net.quantize(images.plain()[some].numpy())
    right = [float((n(tests).argmax(1) == tested.labels).mean()) for n in (net, quantized)]
    return {
        "speakers and start": (run["fold"], run["recipe"]["seed"]),
        "float32": right[0],
        "int8": right[1],
        "noisy": run["noisy_6dB"],
        "nets": (net, quantized),
    }


def losses(found, baseline):
    """What each run loses beside the baseline's of the same fold and start, where there is one."""
    heard = {f["speakers and start"]: f["float32"] for f in baseline}
    return [heard[key] - f["float32"] for f in found if (key := f["speakers and start"]) in heard]


def words_per_second(nets):
    """One word at a time on one thread; all take turns."""
    x = np.random.default_rng(0).standard_normal((1, 1, 32, 32), dtype=np.float32)
    calls = {}
    for name, net in nets.items():
        plan, y = net.plan(x.shape), np.empty((1, 12), np.float32)
        calls[name] = lambda plan=plan, y=y: plan(x, out=y)
    with cs.num_threads(1), threadpoolctl.threadpool_limits(1, user_api="blas"):
        return {name: 1 / seconds for name, seconds in interleaved_medians(calls, ROUNDS).items()}


def mean(values):
    """In percent, with the standard error of the mean where there are several; nothing of none."""
    if not len(values):
        return ""
    values = 100 * np.array(values)
    spread = f" ± {values.std(ddof=1) / len(values) ** 0.5:.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"


def table(rows, speeds):
    yield (
        "| configuration | runs | weights | clean, % | less than dense | noise at 6 dB, % | int8, % "
        "| words/s | words/s in int8 |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, found in rows.items():
        lost = [] if name == BASELINE else losses(found, rows.get(BASELINE, []))
        values = ([f["float32"] for f in found], lost, *([f[key] for f in found] for key in ("noisy", "int8")))
        speed = [f"{speeds[name, dtype]:,.0f}" for dtype in ("float32", "int8")]
        cells = [name, str(len(found)), f"{found[0]['nets'][0].n_weights:,}", *map(mean, values), *speed]
        yield "| " + " | ".join(cells) + " |"


def draw(rows, speeds, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 5.5 + 0.16 * len(rows)), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    for i, (name, found) in enumerate(rows.items()):
        for dtype, marker in (("float32", "o"), ("int8", "s")):
            values = 100 * np.array([f[dtype] for f in found])
            error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0
            axes.errorbar(
                speeds[name, dtype], values.mean(), error, fmt=marker, color=f"C{i % 10}", capsize=3,
                mfc="white" if i >= 10 else None,
                label=f"{name} ({len(values)})" if dtype == "float32" else None,
            )  # fmt: skip
    axes.set_xscale("log")
    ticks = [1000, 2000, 5000, 10_000, 20_000, 30_000]
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel="words a second, one at a time, one thread", ylabel="right, %")
    axes.set_title("Circles: float32; squares: int8. In brackets: runs", fontsize="medium", loc="left")
    figure.legend(fontsize=8, loc="outside lower left")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=pathlib.Path, metavar="RUN")
    parser.add_argument("--data", required=True)
    parser.add_argument("--features")
    parser.add_argument("--plot", metavar="FILE.png")
    args = parser.parse_args()
    clips = read_clips(args.data, args.features)
    rows = defaultdict(list)
    for folder in args.runs:
        run = json.loads((folder / "result.json").read_text())
        rows[configuration(run)].append(accuracies(folder, run, clips))
    nets = {
        (name, dtype): found[0]["nets"][i]
        for name, found in rows.items()
        for i, dtype in enumerate(("float32", "int8"))
    }
    speeds = words_per_second(nets)
    print("\n".join(table(rows, speeds)))
    if args.plot:
        draw(rows, speeds, args.plot)


if __name__ == "__main__":
    main()
