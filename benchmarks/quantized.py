# SPDX-License-Identifier: BSD-3-Clause
"""Products and convolutions of 8-bit numbers against dense rivals on 8-bit numbers, on one thread:
`python benchmarks/quantized.py` and `python benchmarks/quantized.py --convolutions`; and products of bfloat16 against
MKL's and ours of float32: `python benchmarks/quantized.py --bfloat16`.

All are calls from Python. The rivals take x (N, K), ours both orders; conversions are inside the timing. Results are
int32, or uint8 where the name says so; those of convolutions are uint8, 3 x 3 with a margin of 1 and one image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import rivals, timing
from benchmarks.rivals import halves, int8

BLOCKS = ((1, 1), (1, 4), (4, 4), (8, 4), (16, 4))
HALVES_BLOCKS = ((1, 1), (16, 1), (8, 2), (16, 2), (32, 2), (16, 4))
STAGES = ((64, 56), (128, 28), (256, 14), (512, 7))  # channels, pixels across
UNITS = ((1, "NCHW"), (8, "NCHW"), (8, "NHWC"), (16, "NHWC"))  # filters of a unit of four channels


def ours(shape: tuple[int, int], block: tuple[int, int], x: np.ndarray) -> dict[str, Callable[[], object]]:
    """One pattern, 15/16 sparse; checked."""
    cs = rivals.import_ours()
    rng = np.random.default_rng(1)
    D = np.where(cs.complementary_mask(shape, set_size=16, block=block, rng=rng), rng.integers(1, 127, shape), 0)
    W, by_feature = cs.from_dense(D.astype(np.int8)), np.ascontiguousarray(x.T)
    real, xf = cs.from_dense(D.astype(np.float32)), by_feature.astype(np.float32)
    Wq = cs.quantize(real)
    y, yt, y8, yf = (
        np.empty(size, dtype)
        for size, dtype in (
            ((shape[0], len(x)), np.int32),
            ((len(x), shape[0]), np.int32),
            ((len(x), shape[0]), np.uint8),
            ((shape[0], len(x)), np.float32),
        )
    )
    if not np.array_equal(cs.matmul(W, by_feature), D @ by_feature.astype(np.int64)):
        raise AssertionError(f"the product of {shape} with blocks {block} is wrong")
    scales = {"x_scale": 0.01, "out_scale": 0.5, "out_zero_point": 128}
    return {
        "matmul": lambda: cs.matmul(W, by_feature, out=y),
        "linear": lambda: cs.linear(x, W, out=yt),
        "qlinear, u8": lambda: cs.qlinear(x, Wq, out=y8, **scales),
        "float32": lambda: cs.matmul(real, xf, out=yf),
    }


def ours_of_halves(shape: tuple[int, int], block: tuple[int, int], x: np.ndarray) -> dict[str, Callable[[], object]]:
    """One pattern, 15/16 sparse, in bfloat16 and in float32; x of bfloat16. Checked."""
    cs = rivals.import_ours()
    rng = np.random.default_rng(1)
    mask = cs.complementary_mask(shape, set_size=16, block=block, rng=rng)
    D = np.where(mask, rng.standard_normal(shape), 0).astype(x.dtype)
    W, wide, by_feature = cs.from_dense(D), cs.from_dense(D.astype(np.float32)), np.ascontiguousarray(x.T)
    xf, xtf = by_feature.astype(np.float32), x.astype(np.float32)
    y, yt = np.empty((shape[0], len(x)), np.float32), np.empty((len(x), shape[0]), np.float32)
    if not np.allclose(cs.matmul(W, by_feature), D.astype(np.float64) @ xf, rtol=1e-3, atol=1e-3):
        raise AssertionError(f"the product of {shape} with blocks {block} is wrong")
    return {
        "matmul": lambda: cs.matmul(W, by_feature, out=y),
        "linear": lambda: cs.linear(x, W, out=yt),
        "matmul, float32": lambda: cs.matmul(wide, xf, out=y),
        "linear, float32": lambda: cs.linear(xtf, wide, out=yt),
    }


def our_convolution(channels: int, height: int, layout: str, x: np.ndarray) -> dict[str, Callable[[], object]]:
    """Filters of whole units of `height` filters and four channels of a tap, 15/16 sparse."""
    cs = rivals.import_ours()
    rng = np.random.default_rng(1)
    units = cs.complementary_mask((channels // height, 9 * channels // 4), set_size=16, rng=rng)
    mask = np.repeat(units.reshape(channels // height, channels // 4, 3, 3), height, axis=0).repeat(4, axis=1)
    filters = cs.from_filters(np.where(mask, rng.standard_normal(mask.shape), 0).astype(np.float32))
    Wq = cs.quantize(filters)
    given = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    y, real = np.empty(given.shape, np.uint8), given.astype(np.float32)
    scales = {"x_scale": 0.01, "out_scale": 0.5, "out_zero_point": 128, "padding": 1, "layout": layout}
    plan, yf = filters.plan_conv2d(given.shape, padding=1, layout=layout), np.empty(given.shape, np.float32)
    return {
        f"({height}, 1x4) {layout}, u8": lambda: cs.qconv2d(given, Wq, out=y, **scales),
        f"({height}, 1x4) {layout}, float32": lambda: plan(real, out=yf),
    }


def report(title: str, calls: dict[str, Callable[[], object]], others: list[str], rounds: int) -> None:
    samples = timing.race_python(calls, rounds, 1.0, 1, alone=True)
    best = min(others, key=samples.median)
    print(f"{title}: best rival {best}; disturbed samples {samples.disturbed:.0%}")
    for name in calls:
        print(f"  {name:26} {samples.median(name) / 1e3:9.1f} us  {samples.ratio(best, name):5.1f}x")


def convolutions(rounds: int) -> None:
    for channels, across in STAGES:
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, (1, channels, across, across), dtype=np.uint8)
        dense = rng.integers(-127, 128, (channels, channels, 3, 3), dtype=np.int8)
        calls = int8.onnxruntime_convolution(x, dense, 1) | int8.torch_convolution(x, dense, 1)
        others = list(calls)
        for height, layout in UNITS:
            calls |= our_convolution(channels, height, layout, x)
        report(f"3x3 {channels} channels, {across} x {across}", calls, others, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description="8-bit products against dense rivals.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--convolutions", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--shapes", nargs="+", default=["1024x1024"])
    parser.add_argument("-n", nargs="+", type=int, default=[16, 64, 256])
    args = parser.parse_args()
    rivals.set_threads(1)
    if args.convolutions:
        convolutions(args.rounds)
        return
    for text in args.shapes:
        rows, cols = map(int, text.split("x"))
        for n in args.n:
            rng = np.random.default_rng(0)
            if args.bfloat16:
                import ml_dtypes

                x, dense = (rng.standard_normal(size).astype(ml_dtypes.bfloat16) for size in ((n, cols), (rows, cols)))
                calls = halves.mkl_linear(x, dense)
                others = list(calls)
                for block in HALVES_BLOCKS:
                    made = ours_of_halves((rows, cols), block, x)
                    calls |= {f"{block} {name}": call for name, call in made.items()}
                report(f"{text}, N={n}, bfloat16", calls, others, args.rounds)
                continue
            x = rng.integers(0, 256, (n, cols), dtype=np.uint8)
            dense = rng.integers(-127, 128, (rows, cols), dtype=np.int8)
            calls = int8.onnxruntime_linear(x, dense) | int8.torch_linear(x, dense) | int8.mkl_linear(x, dense)
            others = list(calls)
            for block in BLOCKS:
                made = ours((rows, cols), block, x)
                calls |= {f"{block} {name}": call for name, call in made.items()}
            report(f"{text}, N={n}", calls, others, args.rounds)


if __name__ == "__main__":
    main()
