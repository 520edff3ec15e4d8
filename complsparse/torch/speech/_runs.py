# SPDX-License-Identifier: BSD-3-Clause
"""A training run in a folder: log, checkpoint, pictures, the exported network and what came out."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from complsparse._files.replacing import replacing
from complsparse.nn import Graph
from complsparse.torch._export import to_complsparse
from complsparse.torch._sparsify import ComplementarySparsityConfig, sparsify_
from complsparse.torch._weights import weight_of
from complsparse.torch.speech._augment import Images
from complsparse.torch.speech._features import WORDS, Clips
from complsparse.torch.speech._model import speech_model
from complsparse.torch.speech._pictures import draw_confusion, draw_curves
from complsparse.torch.speech._training import Recipe, Trainer, decisions

NOISE = {"noisy_0dB": 0.0, "noisy_6dB": -6 / (10 / np.log(10))}  # by the share of clip and noise, in logarithms
PRUNED = ("conv2", "linear")  # by fine-tuning: nearly all weights
Step = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """What a run trains.

    Attributes
    ----------
    kind, blocks, winners, boost_strength
        As `speech_model`.
    fold : int
        Of the speakers that the network is tested on; it learns from the others.
    recipe : Recipe
    teacher : path, optional
        The checkpoint of a model of kind "dense", whose scores are learnt too.
    start : path, optional
        Likewise: a dense model whose weights are what this one begins with. Its own speakers must have been the same.
        A kind that is "sparse" or "sparse_sparse" takes what has a place on its patterns; "dense" is pruned:
    pattern : {"complementary", "magnitude"}
        onto complementary sets, or to the greatest magnitudes of each layer.
    density : float
        What is left of the second convolution and the linear layer; 1: all.
    """

    kind: Any = "sparse"
    blocks: int | tuple[int, int, int] = (4, 8, 4)
    winners: tuple[int, int, int] = (6, 6, 150)
    boost_strength: float = 1.0
    fold: int = 0
    recipe: Recipe = field(default_factory=Recipe)
    teacher: str | None = None
    start: str | None = None
    pattern: str = "complementary"
    density: float = 0.05

    def model(self) -> nn.Module:
        """A new one, or one that begins with the weights of a dense one."""
        torch.manual_seed(self.recipe.seed)
        dense = None if self.start is None else dense_model(self.start, self.fold)
        if dense is not None and self.kind == "dense":
            return dense if self.density == 1 else pruned(dense, self.pattern, self.density)
        return speech_model(
            self.kind, blocks=self.blocks, winners=self.winners, boost_strength=self.boost_strength, start=dense,
            rng=self.recipe.seed,
        )  # fmt: skip


def dense_model(path: str | os.PathLike[str], fold: int) -> nn.Module:
    """The model of a checkpoint; ValueError where it is not dense or has heard the speakers that it is tested on."""
    state = torch.load(Path(path), weights_only=True)
    setting = json.loads(state["setting"])
    if setting["kind"] != "dense" or setting["start"] is not None:
        raise ValueError(f"{path}: a model of kind 'dense' is expected, not {setting['kind']!r}")
    if setting["fold"] != fold:
        raise ValueError(f"{path}: learnt from the speakers of fold {fold}, it was tested on fold {setting['fold']}")
    model = speech_model("dense")
    model.load_state_dict(state["trainer"]["model"])
    return model.eval()


def pruned(model: nn.Module, pattern: str, density: float) -> nn.Module:
    """Puts the second convolution and the linear layer on patterns, in place."""
    config = ComplementarySparsityConfig(density=density, form="masked")
    if pattern == "magnitude":
        config = ComplementarySparsityConfig(pattern="stored", form="masked")
        for name in PRUNED:
            weight = weight_of(model.get_submodule(name))
            lost = weight.abs().flatten().argsort()[: -round(density * weight.numel())]
            with torch.no_grad():
                weight.view(-1)[lost] = 0
    elif pattern != "complementary":
        raise ValueError(f"pattern={pattern!r} is not known; use 'complementary' or 'magnitude'")
    return sparsify_(model, config, lambda module, name: name in PRUNED)


class Run:
    """Trains, and keeps a folder up to date.

    The folder has ``log.csv``, a line an epoch; ``checkpoint.pt``; and in the end ``network.npz``, ``result.json``,
    ``learning-curve.png`` and ``confusion.png`` (where Matplotlib is installed). Where there is a checkpoint of the
    same setting, the run goes on from it.

    Parameters
    ----------
    setting : Setting
    clips : Clips
    folder : path
        Made where it is not there.
    """

    def __init__(self, setting: Setting, clips: Clips, folder: str | os.PathLike[str]) -> None:
        self.setting, self.folder = setting, Path(folder)
        learnt, tested = clips.split(setting.fold)
        self.images = Images(learnt)
        self.tests = Images(tested, like=self.images)
        teacher = None if setting.teacher is None else dense_model(setting.teacher, setting.fold)
        self.trainer = Trainer(setting.model(), self.images, setting.recipe, teacher)
        self.rows: list[dict[str, Any]] = []
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def _described(self) -> str:
        return json.dumps(asdict(self.setting), sort_keys=True)

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        if state["setting"] != self._described():
            raise ValueError(f"{path} is of another setting; choose another folder")
        self.trainer.load_state_dict(state["trainer"])
        self.rows = json.loads(state["rows"])

    def _save(self) -> None:
        state = {
            "setting": self._described(),
            "trainer": self.trainer.state_dict(),
            "rows": json.dumps(self.rows),
        }
        path = self.folder / "checkpoint.pt"
        with replacing(str(path)) as file:
            torch.save(state, file)

    def accuracy(self, images: torch.Tensor) -> float:
        return float((decisions(self.trainer.model, images) == self.tests.labels).float().mean())

    def train(self, step: Step = lambda name: None) -> dict[str, Any]:
        """All epochs that are left; what `result.json` holds."""
        trainer, plain = self.trainer, self.tests.plain()
        before = self.accuracy(plain) if self.setting.start is not None else None
        board = _board(self.folder)
        while trainer.epochs_done < self.setting.recipe.epochs:
            begin, rate = time.perf_counter(), trainer.learning_rate
            loss = trainer.epoch()
            row = {
                "epoch": trainer.epochs_done,
                "loss": loss,
                "accuracy": self.accuracy(plain),
                "learning_rate": rate,
                "seconds": time.perf_counter() - begin,
            }
            self.rows.append(row)
            self._log(board)
            self._save()
            step(f"loss {loss:.3f}, {100 * row['accuracy']:.1f}% right")
        if board is not None:
            board.close()
        return self._finish(before)

    def _log(self, board: Any) -> None:
        with (self.folder / "log.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0].keys())
            writer.writeheader()
            writer.writerows(self.rows)
        if board is not None:
            row = self.rows[-1]
            for name in ("loss", "accuracy", "learning_rate"):
                board.add_scalar(name, row[name], row["epoch"])

    def _finish(self, before: float | None) -> dict[str, Any]:
        plain = self.tests.plain()
        net = exported(self.trainer.model)
        net.save(self.folder / "network.npz")
        ours = net(plain.numpy()).argmax(1)
        theirs = decisions(self.trainer.model, plain)
        result = {
            **asdict(self.setting),
            "blocks": self.setting.blocks,
            "data": "GSC test split, speaker-disjoint folds",
            "learnt_from": len(self.images),
            "tested_on": len(self.tests),
            "loss": self.rows[-1]["loss"],
            "first_loss": self.rows[0]["loss"],
            "accuracy": float((theirs == self.tests.labels).float().mean()),
            **{name: self.accuracy(self.tests.noisy(level)) for name, level in NOISE.items()},
            "before_fine_tuning": before,
            "weights": net.n_weights,
            "exported_decides_otherwise": int((ours != theirs.numpy()).sum()),
            "seconds": sum(row["seconds"] for row in self.rows),
        }
        with replacing(str(self.folder / "result.json")) as file:
            file.write(json.dumps(result, indent=1).encode())
        if importlib.util.find_spec("matplotlib") is not None:
            draw_curves(self.rows, self.folder / "learning-curve.png")
            draw_confusion(self.tests.labels.numpy(), theirs.numpy(), WORDS, self.folder / "confusion.png")
        return result


def exported(model: nn.Module) -> Graph:
    """The network of a speech model."""
    return to_complsparse(model, torch.zeros(2, 1, 32, 32))


def _board(folder: Path) -> Any:
    """TensorBoard's writer, where it is installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder / "tensorboard")
