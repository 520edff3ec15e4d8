# SPDX-License-Identifier: BSD-3-Clause
"""The command `train-gsc`: the GSC speech network learns from real speech."""

from __future__ import annotations

import argparse
import os
from typing import Any

from complsparse._cli.parser import BadInput, Parser, whole_number
from complsparse._config import num_threads
from complsparse._progress import progress
from complsparse._tables import Column, Table, duration, has, print_json, print_table
from complsparse.nn._gsc import Kind

KINDS: tuple[Kind, ...] = ("dense", "narrow", "sparse", "sparse_sparse")
SMOKE = {"epochs": 4, "every": 8}


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share above 0 and up to 1")
    return value


def arguments(sub: Parser) -> None:
    sub.epilog = (
        "Data: a folder of clips with index.csv (columns file, label, fold5). Accuracies are of one fold of speakers, "
        "whom the network has not heard. DIR gets log.csv, checkpoint.pt, network.npz, result.json and pictures; a run "
        "that was interrupted goes on from its checkpoint."
    )
    sub.add_argument("--data", metavar="DIR", help="the folder of clips (default: $COMPLSPARSE_DATA)")
    sub.add_argument("-o", "--output", metavar="DIR", required=True, help="the folder of the run")
    sub.add_argument("--kind", choices=KINDS, default="sparse", help="default: sparse")
    sub.add_argument("--blocks", type=whole_number(1, 16), nargs="+", default=[4, 8, 4], metavar="ROWS",
                     help="rows that share a pattern, one number or three (default: 4 8 4)")  # fmt: skip
    sub.add_argument("--winners", type=whole_number(1, 1500), nargs=3, default=[6, 6, 150], metavar="K",
                     help="of 64 in each pixel, twice, and of 1500 (default: 6 6 150)")  # fmt: skip
    sub.add_argument("--fold", type=whole_number(0, 4), default=0, help="of the speakers for the test (default: 0)")
    sub.add_argument("--seed", type=whole_number(0, 2**31 - 1), default=0, help="of everything drawn (default: 0)")
    sub.add_argument("--epochs", type=whole_number(1, 10_000), help="default: 30")
    sub.add_argument("--rate", type=_share, default=3e-3, help="the greatest learning rate (default: 0.003)")
    sub.add_argument("--teacher", metavar="FILE.pt", help="learn the scores of this dense model's checkpoint too")
    sub.add_argument(
        "--start",
        metavar="FILE.pt",
        help="begin with the weights of this dense model, as the patterns of --kind have room for them",
    )
    sub.add_argument(
        "--pattern",
        choices=("complementary", "magnitude"),
        default="complementary",
        help="how --start prunes for --kind dense (default: complementary)",
    )
    sub.add_argument("--density", type=_share, default=0.05, help="what is left then; 1 is all (default: 0.05)")
    sub.add_argument("--features", metavar="FILE.npz", help="where features are kept (default: in the cache folder)")
    sub.add_argument("--threads", type=whole_number(1, 1024), default=2, help="default: 2")
    sub.add_argument("--smoke", action="store_true", help="an eighth of the clips, 4 epochs: does it learn at all")


def run(args: argparse.Namespace) -> int:
    if not has("torch"):
        raise BadInput("train-gsc needs torch: pip install 'complsparse[speech]'")
    folder = args.data or os.environ.get("COMPLSPARSE_DATA")
    if not folder:
        raise BadInput("--data DIR: the folder of clips")
    if len(args.blocks) not in (1, 3):
        raise BadInput(f"--blocks {' '.join(map(str, args.blocks))}: one number, or three")
    import torch

    from complsparse.torch.speech import read_clips
    from complsparse.torch.speech._runs import Run

    clips = read_clips(folder, args.features, every=SMOKE["every"] if args.smoke else 1)
    torch.set_num_threads(args.threads)
    with num_threads(args.threads):
        training = Run(_setting(args), clips, args.output)
        left = training.setting.recipe.epochs - training.trainer.epochs_done
        with progress("training", left) as step:
            result = training.train(step)
    wrong = _wrong(result)
    if args.json:
        print_json({"version": 1, **result, "wrong": wrong})
    else:
        _show(args, result)
    for reason in wrong:
        print(f"WRONG: {reason}")
    return 1 if wrong else 0


def _setting(args: argparse.Namespace) -> Any:
    from complsparse.torch.speech._runs import Setting
    from complsparse.torch.speech._training import Recipe

    changed: dict[str, Any] = {"seed": args.seed, "learning_rate": args.rate}
    if args.epochs or args.smoke:
        changed["epochs"] = args.epochs or SMOKE["epochs"]
    if args.smoke:
        changed["batch"] = 32
    return Setting(
        kind=args.kind,
        blocks=args.blocks[0] if len(args.blocks) == 1 else tuple(args.blocks),
        winners=tuple(args.winners),
        fold=args.fold,
        recipe=Recipe(**changed),
        teacher=args.teacher,
        start=args.start,
        pattern=args.pattern,
        density=args.density,
    )


def _wrong(result: dict[str, Any]) -> list[str]:
    """What must not be so."""
    wrong = []
    if result["loss"] >= result["first_loss"] and not result["start"]:
        wrong.append(f"the loss went from {result['first_loss']:.3f} to {result['loss']:.3f}")
    if result["exported_decides_otherwise"]:
        wrong.append(f"the exported network decides otherwise on {result['exported_decides_otherwise']} clips")
    return wrong


def _show(args: argparse.Namespace, result: dict[str, Any]) -> None:
    rows = [
        ["right, clean", f"{100 * result['accuracy']:.2f}%"],
        ["right, noise 6 dB below the word", f"{100 * result['noisy_6dB']:.2f}%"],
        ["right, noise as loud", f"{100 * result['noisy_0dB']:.2f}%"],
        ["loss, first and last epoch", f"{result['first_loss']:.3f}, {result['loss']:.3f}"],
        ["weights", f"{result['weights']:,}"],
        ["clips learnt from, tested on", f"{result['learnt_from']:,}, {result['tested_on']:,}"],
        ["time", duration(result["seconds"])],
    ]
    if result["before_fine_tuning"] is not None:
        rows.insert(0, ["right before fine-tuning", f"{100 * result['before_fine_tuning']:.2f}%"])
    title = f"{args.kind.replace('_', '-')} on the GSC test split, speakers of fold {args.fold}"
    print_table(Table(title, [Column("", True), Column("")], rows, set()))
    print(f"the exported network decides as the trained one does on all {result['tested_on']:,} clips"
          if not result["exported_decides_otherwise"] else "")  # fmt: skip
    print(f"written to {args.output}: network.npz, checkpoint.pt, log.csv, result.json and pictures")
