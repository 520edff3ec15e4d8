# SPDX-License-Identifier: BSD-3-Clause
"""Training of the speech network: features, augmentation, models, runs in a folder, and the command."""

import csv
import json
import pathlib
import sys

# Last, so that the installed complsparse is the one that is tested.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pytest
import scipy.io.wavfile

import complsparse as cs
from complsparse.__main__ import main

torch = pytest.importorskip("torch", reason="not run: torch is not installed")

from complsparse.torch import speech  # noqa: E402
from complsparse.torch.speech import _augment, _features, _runs  # noqa: E402

QUICK = {"epochs": 2, "batch": 24, "bfloat16": False}


def made_clips(n=96, folds=2):
    """Spectrograms in which each word sounds at bands of its own."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 12
    log_mel = rng.normal(-4, 1, (n, 126, 32))
    for i, label in enumerate(labels):
        log_mel[i, 20:100, 2 * label : 2 * label + 4] += 4
    return speech.Clips(
        log_mel.astype(np.float16), labels.astype(np.uint8), (np.arange(n) // 12 % folds).astype(np.uint8)
    )


# --- features ---------------------------------------------------------------------------------------------------------


def write_folder(folder, rows, rate=16_000, dtype=np.int16):
    """An index, and tones of a second for its files; the band of each clip."""
    rng = np.random.default_rng(1)
    bands = {}
    for name, *_ in rows:
        band = int(rng.integers(4, 30))
        bands[name], hertz = band, 15.625 * float(_features.mel_bank()[band].argmax())
        time = np.arange(rate) / rate
        tone = 0.4 * np.sin(2 * np.pi * hertz * time) + 0.01 * rng.standard_normal(rate)
        (folder / name).parent.mkdir(exist_ok=True)
        scipy.io.wavfile.write(folder / name, rate, (tone * 2**15).astype(dtype))
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "fold5"), *rows])
    return bands


ROWS = [(f"{word}/{i}.wav", word, i % 5) for word in ("yes", "no", "_silence_") for i in range(10)]


def test_features_are_those_of_the_definition(tmp_path):
    write_folder(tmp_path, ROWS)
    clips = speech.read_clips(tmp_path, tmp_path / "kept.npz")
    assert clips.log_mel.shape == (30, 126, 32)
    _, samples = scipy.io.wavfile.read(tmp_path / ROWS[7][0])
    padded = np.concatenate([np.zeros(512), samples / 2**15, np.zeros(512)])
    frame = 41
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1023)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(513), np.arange(1024)) / 1024)
    power = np.abs(waves @ (padded[frame * 128 : frame * 128 + 1024] * window)) ** 2
    edges = np.interp(np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 8000 / 700), 34),
                      2595 * np.log10(1 + np.arange(16001) / 2 / 700), np.arange(16001) / 2)  # fmt: skip
    hertz = np.arange(513) * 15.625
    expected = [
        np.log(power @ np.interp(hertz, edges[band : band + 3], [0, 1, 0], left=0, right=0) + 1024e-7)
        for band in range(32)
    ]
    np.testing.assert_allclose(clips.log_mel[7, frame].astype(float), expected, atol=0.02)


def test_a_tone_is_loudest_in_its_band(tmp_path):
    bands = write_folder(tmp_path, ROWS)
    clips = speech.read_clips(tmp_path, tmp_path / "kept.npz")
    for (name, *_), image in zip(ROWS, clips.log_mel, strict=True):
        assert image[60].argmax() == bands[name]
    assert [speech.WORDS[label] for label in clips.labels[::10]] == ["yes", "no", "_silence_"]
    assert np.array_equal(clips.folds, np.arange(30) % 5)


def test_features_are_kept_until_the_index_changes(tmp_path):
    write_folder(tmp_path, ROWS)
    first = speech.read_clips(tmp_path, tmp_path / "kept.npz")
    for name, *_ in ROWS:
        (tmp_path / name).unlink()
    again = speech.read_clips(tmp_path, tmp_path / "kept.npz")
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    with (tmp_path / "index.csv").open("a") as file:
        file.write("no/99.wav,no,0\n")
    with pytest.raises(FileNotFoundError):
        speech.read_clips(tmp_path, tmp_path / "kept.npz")


def test_short_clips_end_in_silence():
    tone = np.sin(np.arange(8000)).astype(np.float32)
    image = _features.log_mel(tone)
    assert image.shape == (126, 32)
    np.testing.assert_allclose(image[-1].astype(float), np.log(1024e-7), atol=0.01)


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"index\.csv"):
        speech.read_clips(tmp_path)
    write_folder(tmp_path, [("a/1.wav", "maybe", 0)])
    with pytest.raises(ValueError, match="label 'maybe'"):
        speech.read_clips(tmp_path, tmp_path / "kept.npz")
    write_folder(tmp_path, [("a/1.wav", "yes", 0)], rate=8000)
    with pytest.raises(ValueError, match="8000 samples a second; 16000"):
        speech.read_clips(tmp_path, tmp_path / "kept.npz")
    write_folder(tmp_path, [("a/1.wav", "yes", 0)], dtype=np.int32)
    with pytest.raises(ValueError, match="int32; int16"):
        speech.read_clips(tmp_path, tmp_path / "kept.npz")
    (tmp_path / "index.csv").write_text("name\nx\n")
    with pytest.raises(ValueError, match="columns file, label and fold5"):
        speech.read_clips(tmp_path, tmp_path / "kept.npz")


def test_folds_share_no_speaker():
    clips = made_clips()
    learnt, tested = clips.split(1)
    assert (learnt.folds != 1).all()
    assert (tested.folds == 1).all()
    assert len(learnt.labels) + len(tested.labels) == len(clips.labels)
    with pytest.raises(ValueError, match="fold=7 is none of 0, 1"):
        clips.split(7)


# --- images -----------------------------------------------------------------------------------------------------------


def test_images_are_standardised_by_band():
    clips = made_clips()
    images = speech.Images(clips)
    frames = clips.log_mel.astype(np.float32)
    mean, std = frames.mean((0, 1)), frames.std((0, 1))
    expected = ((frames[:, ::4] - mean) / std).transpose(0, 2, 1)[:, None]
    np.testing.assert_allclose(images.plain().numpy(), expected, atol=2e-3)
    other = speech.Images(clips.chosen(np.arange(5)), like=images)
    assert torch.equal(other.plain(), images.plain()[:5])


def test_no_augmentation_changes_nothing():
    images = speech.Images(made_clips())
    which = torch.tensor([3, 50, 7])
    varied = images.varied(which, _augment.NONE, torch.Generator())
    assert torch.equal(varied, images.plain(which))


def one(**how):
    return speech.Augmentation(**{"shift": 0, "stretch": 0, "pitch": 0, "gain": 0, "noise": 0, "masks": 0, **how})


def test_shifted_images_are_other_frames_of_the_same_clip():
    clips = made_clips()
    images = speech.Images(clips)
    varied = images.varied(torch.arange(90), one(shift=12), torch.Generator().manual_seed(0))
    frames = images._standardised(images.frames[:90].float())  # all of them
    starts = set()
    for image, of_clip in zip(varied, frames, strict=True):
        found = [
            s for s in range(-12, 13) if torch.equal(image, of_clip[..., (torch.arange(32) * 4 + s).clamp(0, 125)])
        ]
        assert found
        starts.update(found)
    assert len(starts) > 15


def test_gain_moves_all_bands_alike():
    images = speech.Images(made_clips())
    which = torch.arange(60)
    moved = (
        images.varied(which, one(gain=1.5), torch.Generator().manual_seed(0)) - images.plain(which)
    ) / images.scale[:, None]
    of_clip = moved.flatten(1).mean(1)
    assert (moved - of_clip[:, None, None, None]).abs().max() < 0.02
    assert 1 < of_clip.abs().max() <= 1.5


def test_pitch_moves_bands_and_masks_wipe_stretches():
    images = speech.Images(made_clips())
    which = torch.arange(60)
    moved = images.varied(which, one(pitch=0.2), torch.Generator().manual_seed(0))
    before = (images.plain(which) / images.scale[:, None] + images.mean[:, None]).mean((1, 3)).argmax(1)
    after = (moved / images.scale[:, None] + images.mean[:, None]).mean((1, 3)).argmax(1)
    assert 3 <= (before - after).abs().max() <= 8
    masked = images.varied(which, one(masks=5), torch.Generator().manual_seed(0))
    gone = (masked == 0) & (images.plain(which) != 0)
    assert gone.any()
    for image in gone[:, 0]:
        rows, columns = image.all(1).sum(), image.all(0).sum()
        assert rows <= 5
        assert columns <= 5


def test_noise_is_as_loud_as_was_asked():
    clips = made_clips()
    images = speech.Images(clips)
    own = torch.from_numpy(clips.log_mel[:, :128:4].astype(np.float32)).exp()
    for level in (0.0, -2.0):
        total = (images.noisy(level)[:, 0].transpose(1, 2) / images.scale + images.mean).exp()
        added = (total - own).sum((1, 2)) / own.sum((1, 2))
        np.testing.assert_allclose(added.log().numpy(), level, atol=0.05)
    varied = images.varied(torch.arange(60), one(noise=0.5), torch.Generator().manual_seed(0))
    same = (varied - images.plain(torch.arange(60))).flatten(1).abs().amax(1) < 1e-3
    assert 15 < same.sum() < 45


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dense", "narrow", "sparse", "sparse_sparse"])
def test_models_are_those_of_gsc_network(kind):
    model = speech.speech_model(kind, rng=0)
    net = _runs.exported(model.eval())
    theirs = cs.nn.gsc_network(kind, rng=0)
    weights = [layer.W for layer in net.layers if layer.multiplications]
    expected = [layer.W for layer in theirs.layers if layer.multiplications]
    assert [type(w) for w in weights[:3]] == [type(w) for w in expected[:3]]
    assert isinstance(weights[3], cs.ComplementaryMatrix) == (kind == "sparse_sparse")
    assert net.n_weights == theirs.n_weights
    if kind == "sparse":
        assert [w.n_sets for w in weights[:3]] == [w.n_sets for w in expected[:3]]
    x = np.random.default_rng(0).standard_normal((3, 1, 32, 32)).astype(np.float32)
    with torch.no_grad():
        assert np.array_equal(net(x).argmax(1), model(torch.from_numpy(x)).argmax(1).numpy())


@pytest.mark.parametrize("blocks", [1, 4, 8, 16, (4, 8, 4)])
def test_blocks_of_rows(blocks):
    model = speech.speech_model("sparse", blocks=blocks, rng=0)
    rows = (blocks, min(blocks, 8), blocks) if isinstance(blocks, int) else blocks
    for layer, b, nnz in zip((model.conv1, model.conv2, model.linear), rows, (768, 12800, 96000), strict=True):
        assert len(layer.values) == nnz
        mask = layer.mask.flatten(1)
        for first in range(0, len(mask) - b + 1, b):
            assert (mask[first : first + b] == mask[first]).all()
    with pytest.raises(ValueError, match="kind='wide'"):
        speech.speech_model("wide")


@pytest.mark.parametrize("kind", ["sparse", "sparse_sparse"])
@pytest.mark.parametrize("blocks", [1, (4, 8, 4)])
def test_sparse_models_begin_with_a_dense_one(kind, blocks):
    """On the patterns that keep most of it, all of them full."""
    torch.manual_seed(1)
    dense = speech.speech_model("dense")
    for norm in (dense.norm1, dense.norm3):
        norm.running_mean.normal_()
    model = speech.speech_model(kind, blocks=blocks, start=dense, rng=0)
    born = speech.speech_model(kind, blocks=blocks, rng=0)
    for name, kept in (("conv1", 0.4), ("conv2", 0.16), ("linear", 0.07)):
        layer, weight = model.get_submodule(name), dense.get_submodule(name).weight.detach()
        assert torch.equal(layer.weight, weight * layer.mask)
        assert layer.kept_energy == pytest.approx(float(layer.weight.detach().square().sum() / weight.square().sum()))
        assert kept < layer.kept_energy < 0.7
        assert layer.values.shape == born.get_submodule(name).values.shape
        W, theirs = layer.matrix(), born.get_submodule(name).matrix()
        assert (W.packing_efficiency, W.n_sets) == (theirs.packing_efficiency, theirs.n_sets)
        if name != "conv1":  # drawn: others would keep more
            random = weight.flatten()[born.get_submodule(name).positions]
            assert layer.values.detach().abs().sum() > random.abs().sum()
    assert torch.equal(model.norm3.running_mean, dense.norm3.running_mean)
    assert torch.equal(model.words.weight, dense.words.weight)
    assert torch.equal(model.words.bias, dense.words.bias)
    with pytest.raises(ValueError, match="kind 'narrow' begins with no other's weights"):
        speech.speech_model("narrow", start=dense)


# --- training ---------------------------------------------------------------------------------------------------------


def trainer(kind="sparse_sparse", **recipe):
    torch.manual_seed(0)
    model = speech.speech_model(kind, rng=0)
    images = speech.Images(made_clips())
    return speech.Trainer(model, images, speech.Recipe(**{**QUICK, **recipe}))


def test_the_loss_falls_and_contests_end_plain():
    training = trainer(epochs=3)
    losses = [training.epoch() for _ in range(3)]
    assert losses[-1] < losses[0]
    for contest in (training.model.pooled1[1], training.model.active3):
        assert contest.boost_strength == 0
        assert contest.progress == 1
        assert contest.duty_cycle.max() > 0
    with pytest.raises(RuntimeError, match="all 3 epochs"):
        training.epoch()


def test_contests_close_in_steps():
    training = trainer(anneal_until=0.5, boost_until=0.5)
    contest = training.model.active3
    alive = []
    for progress in (0.0, 0.25, 0.5, 1.0):
        training._close_in(progress)
        contest.train()
        alive.append((contest.winners(1500), float(contest.boost_strength)))
    assert alive == [(1500, 1.0), (round(1500 * (0.1 + 0.9 * 0.5**3)), 0.5), (150, 0.0), (150, 0.0)]


def test_a_run_that_stops_goes_on_as_if_it_had_not():
    straight = trainer()
    losses = [straight.epoch() for _ in range(2)]
    first, second = trainer(), trainer()
    first.epoch()
    second.load_state_dict(first.state_dict())
    assert second.epoch() == losses[1]
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_statistics_are_taken_again():
    training = trainer(epochs=1, augmentation=_augment.NONE)
    training.epoch()
    model, norm = training.model, training.model.norm1
    with torch.no_grad():
        seen = model.conv1(training.images.plain())
    np.testing.assert_allclose(norm.running_mean.numpy(), seen.mean((0, 2, 3)).numpy(), atol=0.02)
    assert norm.momentum == 0.1


def test_only_weights_decay():
    training = trainer(weight_decay=0.5)
    others, *decaying = training._optimiser.param_groups
    assert [group["weight_decay"] for group in (others, *decaying)] == [0.0, *[0.5] * len(decaying)]
    assert sorted(len(p) for group in decaying for p in group["params"]) == [768, 12800, 18000, 96000]
    assert sorted(len(p) for p in others["params"]) == sorted([12, 64, 64, 64, 64, 1500, 1500])


def test_weights_that_are_born_greater_learn_at_greater_rates():
    """By the root of the share that is left of a layer; those of a dense layer have its size, and its rate."""
    rates = {768: (25 / 12) ** 0.5, 12800: 8**0.5, 96000: 5.0, 18000: 1.0}
    training = trainer(learning_rate=0.01)
    others, *groups = training._optimiser.param_groups
    assert others["max_lr"] == pytest.approx(0.01)
    assert {len(p): group["max_lr"] for group in groups for p in group["params"]} == pytest.approx(
        {n: 0.01 * rate for n, rate in rates.items()}
    )
    training = trainer(learning_rate=0.01, relative_rate=False)
    assert {group["max_lr"] for group in training._optimiser.param_groups} == {0.01}
    model = speech.speech_model("sparse", start=speech.speech_model("dense"), rng=0)
    training = speech.Trainer(model, speech.Images(made_clips()), speech.Recipe(learning_rate=0.01, batch=32))
    assert {group["max_lr"] for group in training._optimiser.param_groups} == {0.01}


def test_a_batch_must_fill():
    with pytest.raises(ValueError, match="96 clips do not fill a batch of 97"):
        trainer(batch=97)


# --- runs -------------------------------------------------------------------------------------------------------------


def setting(kind, **changed):
    return _runs.Setting(kind=kind, recipe=speech.Recipe(**QUICK), **changed)


@pytest.fixture(scope="module")
def dense_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense")
    return folder, _runs.Run(setting("dense"), made_clips(), folder).train()


def test_a_run_fills_its_folder(dense_run):
    folder, result = dense_run
    names = {path.name for path in folder.iterdir()}
    assert {"log.csv", "checkpoint.pt", "network.npz", "result.json"} <= names
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert (
        json.loads((folder / "result.json").read_text())["accuracy"]
        == result["accuracy"]
        == float(rows[-1]["accuracy"])
    )
    assert result["exported_decides_otherwise"] == 0
    _, tested = made_clips().split(0)
    images = speech.Images(tested, like=speech.Images(made_clips().split(0)[0]))
    heard = cs.nn.load(folder / "network.npz")(images.plain().numpy()).argmax(1)
    assert (heard == tested.labels).mean() == pytest.approx(result["accuracy"])


def test_pictures_of_a_run(dense_run):
    pytest.importorskip("matplotlib", reason="not run: matplotlib is not installed")
    folder, _ = dense_run
    for name in ("learning-curve.png", "confusion.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_a_run_goes_on_in_its_folder_alone(dense_run):
    folder, result = dense_run
    again = _runs.Run(setting("dense"), made_clips(), folder)
    assert again.trainer.epochs_done == 2
    assert again.train()["accuracy"] == result["accuracy"]
    with pytest.raises(ValueError, match="is of another setting"):
        _runs.Run(setting("narrow"), made_clips(), folder)


def test_a_teacher_is_learnt_from(dense_run, tmp_path):
    teacher = str(dense_run[0] / "checkpoint.pt")
    run = _runs.Run(setting("narrow", teacher=teacher), made_clips(), tmp_path)
    images, labels = next(run.trainer._varied())
    loss = run.trainer._loss(images, labels).item()
    scores, wanted = (m(images).detach().double().numpy() / 2 for m in (run.trainer.model, run.trainer.teacher))
    p, q = (np.exp(s) / np.exp(s).sum(1, keepdims=True) for s in (wanted, scores))
    apart = 4 * (p * np.log(p / q)).sum(1).mean()
    q1 = np.exp(2 * scores) / np.exp(2 * scores).sum(1, keepdims=True)
    target = np.full(q1.shape, 0.1 / 12) + 0.9 * np.eye(12)[labels.numpy()]
    expected = 0.3 * -(target * np.log(q1)).sum(1).mean() + 0.7 * apart
    assert loss == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="it was tested on fold 0"):
        _runs.Run(setting("narrow", teacher=teacher, fold=1), made_clips(), tmp_path)


@pytest.mark.parametrize("pattern", ["complementary", "magnitude"])
@pytest.mark.parametrize("density", [0.2, 0.05])
def test_fine_tuning(dense_run, tmp_path, pattern, density):
    start = str(dense_run[0] / "checkpoint.pt")
    run = _runs.Run(setting("dense", start=start, pattern=pattern, density=density), made_clips(), tmp_path)
    dense = _runs.dense_model(start, 0)
    for name, total in (("conv2", 102_400), ("linear", 2_400_000)):
        layer, weight = run.trainer.model.get_submodule(name), dense.get_submodule(name).weight.detach()
        assert len(layer.values) == pytest.approx(density * total, rel=0.03)
        assert torch.equal(layer.values.detach(), weight.flatten()[layer.positions])
        left = weight.flatten().abs()[layer.positions]
        if pattern == "magnitude":
            assert left.min() >= weight.abs().flatten().kthvalue(total - len(left)).values
        else:
            assert layer.matrix().packing_efficiency >= 0.8
    result = run.train()
    assert result["before_fine_tuning"] is not None
    assert result["exported_decides_otherwise"] == 0
    assert result["weights"] == pytest.approx(1600 + 18000 + density * 2_502_400, rel=0.03)


def test_a_sparse_network_learns_on_from_a_dense_one(dense_run, tmp_path):
    """Which teaches it, too; and the dense one itself goes on."""
    dense = str(dense_run[0] / "checkpoint.pt")
    given = setting("sparse_sparse", start=dense, teacher=dense, winners=(16, 16, 150))
    result = _runs.Run(given, made_clips(), tmp_path / "sparse").train()
    assert (result["weights"], result["exported_decides_otherwise"]) == (127_568, 0)
    assert result["before_fine_tuning"] is not None
    run = _runs.Run(setting("dense", start=dense, density=1.0), made_clips(), tmp_path / "dense")
    model, before = run.trainer.model, _runs.dense_model(dense, 0)
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in model.state_dict().items())
    assert run.train()["weights"] == 2_522_000


def test_rows_of_the_table(dense_run):
    """Accuracies of the network in the folder, and in int8; means with their standard errors."""
    from benchmarks import speech_runs

    folder, result = dense_run
    run = json.loads((folder / "result.json").read_text())
    found = speech_runs.accuracies(folder, run, made_clips())
    assert found["float32"] == pytest.approx(result["accuracy"])
    assert abs(found["int8"] - found["float32"]) < 0.1
    assert speech_runs.configuration(run) == "dense"
    tuned = {**run, "start": "x", "pattern": "magnitude", "density": 0.1}
    assert speech_runs.configuration(tuned) == "dense, then magnitude at 90%, 2 epochs more"
    on = {**run, "start": "x", "teacher": "x", "density": 1.0}
    assert speech_runs.configuration(on) == "dense, 2 epochs more, taught"
    later = {**run, "kind": "sparse", "blocks": 1, "start": "x", "teacher": "x"}
    assert speech_runs.configuration(later) == "sparse, blocks 1, from dense, 2 epochs more, taught"
    wins = {**run, "kind": "sparse_sparse", "blocks": [4, 8, 4], "winners": [6, 6, 150], "teacher": "x"}
    assert speech_runs.configuration(wins) == "sparse-sparse, blocks 4/8/4, winners 6/6/150, taught"
    assert speech_runs.mean([0.9, 0.92, 0.94]) == "92.0 ± 1.2"
    assert speech_runs.mean([0.9]) == "90.0"
    lines = list(speech_runs.table({"dense": [found]}, {("dense", "float32"): 1310.4, ("dense", "int8"): 2641}))
    assert lines[2].startswith("| dense | 1 | 2,522,000 | ")
    assert lines[2].endswith(" | 1,310 | 2,641 |")


def test_only_dense_models_teach_and_start(tmp_path):
    _runs.Run(setting("narrow"), made_clips(), tmp_path).train()
    with pytest.raises(ValueError, match="kind 'dense' is expected, not 'narrow'"):
        _runs.dense_model(tmp_path / "checkpoint.pt", 0)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_trains(tmp_path, capsys):
    write_folder(tmp_path, [(f"{word}/{i}.wav", word, i % 2) for word in ("yes", "no", "_silence_") for i in range(48)])
    given = ["train-gsc", "--data", str(tmp_path), "-o", str(tmp_path / "run"), "--features", str(tmp_path / "f.npz"),
             "--kind", "sparse_sparse", "--blocks", "8", "--epochs", "2", "--threads", "1", "--json"]  # fmt: skip
    assert main(given) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["wrong"] == []
    assert document["loss"] < document["first_loss"]
    assert (document["blocks"], document["learnt_from"], document["tested_on"]) == (8, 72, 72)
    assert main(given[:-1]) == 0  # again: from its checkpoint
    assert "decides as the trained one does on all 72 clips" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--blocks", "4", "8"], "one number, or three"),
        (["--density", "0", "--data", "."], "share"),
        (["--data", "no-such-folder"], "no index.csv"),
    ],
)
def test_bad_arguments_of_the_command(tmp_path, capsys, given, words):
    assert main(["train-gsc", "--data", str(tmp_path), "-o", str(tmp_path / "run"), *given]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.data
def test_smoke(data_folder, tmp_path, capsys):
    """The loss falls, and the exported network decides as the trained one."""
    pytest.importorskip("soundfile", reason="not run: soundfile is not installed")
    assert main(["train-gsc", "--data", str(data_folder), "-o", str(tmp_path), "--smoke", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["loss"] < document["first_loss"]
    assert document["exported_decides_otherwise"] == 0
    assert document["accuracy"] > 2 / 12
