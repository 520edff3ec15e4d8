# SPDX-License-Identifier: BSD-3-Clause
"""Hashes of what products and contests give on a fixed grid, to compare builds that must agree bit for bit.

    python tests/tools/recorded_grid.py record OUT.json [--small] [--only TEXT] [--without TEXT]
    python tests/tools/recorded_grid.py compare A.json [B.json] [--rename OLD=NEW] [--only TEXT] [--without TEXT]

Without B, the build that Python imports is run. Exit status 1: there are differences, and each is printed.

A key is `matrix | ISA level | product | layout`; its value says for each batch size three letters (18 bits of a hash)
for each variant of the call, in the order of `VARIANTS`, and a ! where NaN is among the outputs. Operands come from a
generator of our own and are the same under every NumPy (the matrices `made ...` are not: `cs.random` draws them). Keys
of the layout `chosen` depend on the cost model and on the caches of the CPU; a layout that is asked for gives its bits
on every CPU of the level, because block sizes do not show in them.
"""

import argparse
import base64
import functools
import hashlib
import itertools
import json
import platform
import sys

import numpy as np
import threadpoolctl

import complsparse as cs
from complsparse import _core

BATCHES = (1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 130, 256)
FEW_BATCHES = (1, 3, 8, 16, 17, 33, 65, 130)
VARIANTS = ("plain", "bias and relu", "strided", "NaN and infinities")
LETTERS = 3


# --- the same numbers everywhere -------------------------------------------------------------------------------------


class Numbers:
    """A counter run through splitmix64, seeded by a name: only exact operations lie between it and the values."""

    def __init__(self, name):
        self._at = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")

    def words(self, shape):
        count = int(np.prod(shape))
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(self._at)
        self._at = (self._at + count * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (z ^ (z >> np.uint64(31))).reshape(shape)

    def uniform(self, shape):
        return (self.words(shape) >> np.uint64(11)) * 2.0**-53

    def values(self, shape, dtype):
        """Floats of several magnitudes whose sums round, integers of every size."""
        dtype = np.dtype(dtype)
        if dtype.kind in "biu":
            return self.words(shape).astype(dtype)
        if dtype.itemsize == 2:
            return (self.uniform(shape) / 2 - 0.25).astype(np.float32).astype(dtype)
        scale = 2.0 ** (self.words(shape) % np.uint64(9)).astype(np.float64) / 16
        return ((2 * self.uniform(shape) - 1) * scale).astype(dtype)


# --- matrices --------------------------------------------------------------------------------------------------------


def unstructured(numbers, shape, density):
    """Every fifth row is empty, where there are as many; every seventh owns twice its share."""
    share = np.full((shape[0], 1), float(density))
    share[4::5], share[6::7] = 0, 2 * density
    return numbers.uniform(shape) < share


def windows(numbers, shape, width, per_window=1, height=1, missing=0.0):
    """Each row owns per_window of each `width` neighbouring columns; `height` rows share a pattern."""
    rows, cols = -(-shape[0] // height), shape[1]
    mask = np.zeros((rows, cols), bool)
    for first in range(0, cols, width):
        n = min(width, cols - first)
        order = numbers.words((rows, n)).argsort(axis=1, kind="stable")
        np.put_along_axis(mask, first + order[:, : -(-per_window * n // width)], True, axis=1)
    mask &= numbers.uniform(mask.shape) >= missing
    return mask.repeat(height, axis=0)[: shape[0]]


def blocks(numbers, shape, side, density):
    """Whole blocks: `side` is (rows, columns) of one; the last row of blocks is full."""
    mask = numbers.uniform((shape[0] // side[0], shape[1] // side[1])) < density
    mask[-1] = True
    return np.kron(mask, np.ones(side, bool))


def strips(numbers, shape, density):
    """Sixteen rows to a pattern, its columns in fours that start anywhere."""
    mask = np.zeros((shape[0] // 16, shape[1]), bool)
    for strip, row in enumerate(mask):
        at = strip % 4
        while at + 4 <= shape[1]:
            taken, gap = numbers.uniform(2)
            row[at : at + 4] = taken < density
            at += 4 + (0 if taken < density else int(5 * gap))
    return mask.repeat(16, axis=0)


def gaps(numbers, shape, density):
    mask = unstructured(numbers, shape, density)
    mask[:, shape[1] // 4 : shape[1] // 2] = False
    return mask


MASKS = {
    "1x1": (unstructured, (1, 1), 1),
    "5x3 full": (unstructured, (5, 3), 1),
    "9x17 30%": (unstructured, (9, 17), 0.3),
    "12x20 empty": (unstructured, (12, 20), 0),
    "37x67 10%": (unstructured, (37, 67), 0.1),
    "64x64 50%": (unstructured, (64, 64), 0.5),
    "40x300 90%": (unstructured, (40, 300), 0.9),
    "129x513 3%": (unstructured, (129, 513), 0.03),
    "257x1025 5%": (unstructured, (257, 1025), 0.05),
    "5x2047 wide": (unstructured, (5, 2047), 0.1),
    "2049x34 tall": (unstructured, (2049, 34), 0.08),
    "600x900 hypersparse": (unstructured, (600, 900), 0.0006),
    "150x2400 gaps": (gaps, (150, 2400), 0.04),
    "67x145 windows 16": (windows, (67, 145), 16),
    "67x81 windows 9": (windows, (67, 81), 9),
    "70x150 windows 30": (windows, (70, 150), 30),
    "70x330 windows 64": (windows, (70, 330), 64, 2),
    "131x180 windows 20, 4 rows": (windows, (131, 180), 20, 1, 4),
    "132x128 windows 32, 2 rows": (windows, (132, 128), 32, 3, 2),
    "240x416 windows 16, 2% missing": (windows, (240, 416), 16, 1, 1, 0.02),
    "132x250 4 rows": (windows, (132, 250), 60, 20, 4, 0.2),
    "136x250 8 rows": (windows, (136, 250), 60, 9, 8, 0.1),
    "128x250 2 rows": (windows, (128, 250), 50, 5, 2, 0.1),
    "76x120 blocks 4x4": (blocks, (76, 120), (4, 4), 0.2),
    "20x40 blocks 4x4": (blocks, (20, 40), (4, 4), 0.9),
    "96x160 blocks 16x16": (blocks, (96, 160), (16, 16), 0.3),
    "96x161 blocks 4x1": (blocks, (96, 161), (4, 1), 0.1),
    "96x161 blocks 16x1": (blocks, (96, 161), (16, 1), 0.1),
    "80x131 strips": (strips, (80, 131), 0.3),
}
MADE = {
    f"made {br}x{bc}, set_size {set_size}": (set_size, per_group, (br, bc))
    for set_size, per_group, (br, bc) in (
        (16, 1, (1, 1)), (20, 3, (1, 1)), (33, 1, (2, 1)), (16, 1, (4, 1)), (20, 2, (8, 1)), (10, 1, (16, 1)),
        (10, 1, (4, 4)),
    )
}  # fmt: skip
OTHER_TYPES = ("9x17 30%", "37x67 10%", "129x513 3%", "2049x34 tall", "600x900 hypersparse", "132x250 4 rows",
               "76x120 blocks 4x4", "80x131 strips")  # fmt: skip
SMALL = ("9x17 30%", "37x67 10%", "129x513 3%", "600x900 hypersparse", "67x145 windows 16", "70x330 windows 64",
         "131x180 windows 20, 4 rows", "132x250 4 rows", "136x250 8 rows", "76x120 blocks 4x4",
         "80x131 strips")  # fmt: skip
BEYOND_L2 = (1536, 8192)  # more float32 than an L2 of two megabytes holds, in one of sixteen columns


@functools.cache
def mask_of(name):
    make, shape, *options = MASKS[name]
    return make(Numbers(name), shape, *options)


@functools.cache
def entries_of(name, dtype):
    """(values, (rows, cols), shape)."""
    if name == "beyond L2, bfloat16":
        mask = windows(Numbers(name), BEYOND_L2, 16)
        values = Numbers(name).values(mask.sum(), np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        return values.view(np.float32), np.nonzero(mask), mask.shape
    if name in MADE:
        set_size, per_group, block = MADE[name]
        W = cs.random((112, 200), set_size=set_size, per_group=per_group, block=block, rng=7, dtype=np.float32).tocoo()
        return W.data, (W.row, W.col), W.shape
    mask = mask_of(name)
    values = Numbers(name + dtype).values(mask.sum(), dtype_of(dtype))
    values[::19] = 0  # stored zeros count
    return values, np.nonzero(mask), mask.shape


def dtype_of(name):
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def matrix(name, dtype="float32"):
    data, coordinates, shape = entries_of(name, dtype)
    return cs.from_coo(data, coordinates, shape)


# --- one case --------------------------------------------------------------------------------------------------------


def digest(*arrays, letters=LETTERS):
    found, nan = hashlib.sha256(), False
    for array in arrays:
        array = np.ascontiguousarray(array)
        if array.dtype.kind == "f" and np.isnan(array).any():
            # Which of two operands passes its sign and payload on is the compiler's choice.
            array, nan = np.where(np.isnan(array), array.dtype.type(np.nan), array), True
        found.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return base64.b64encode(found.digest()).decode()[:letters] + ("!" if nan else "")


@functools.cache
def input_of(shape, dtype, special=False):
    x = Numbers(f"x {shape} {dtype}").values(shape, dtype_of(dtype))
    if special:
        odd = Numbers(f"odd {shape}").words(shape) % np.uint64(41)
        for i, value in enumerate((np.nan, np.inf, -np.inf, -0.0)):
            x[odd == i] = value
    x.setflags(write=False)
    return x


def spread(array, transposed=False):
    """The same values inside a larger array: every second column, or transposed."""
    if transposed:
        return array.T.copy().T
    wide = np.zeros((array.shape[0], 2 * array.shape[1] + 3), array.dtype)
    view = wide[:, 1 : 2 * array.shape[1] : 2]
    view[...] = array
    return view


def variants(call, shape_x, shape_y, dtype, out_dtype, bias_axis, light=False):
    """Digests of the four variants of one product; call(x, out, bias, activation) fills out."""
    found = []
    for variant in VARIANTS:
        special = variant == "NaN and infinities"
        if (special and np.dtype(out_dtype).kind != "f") or (light and variant == "strided"):
            continue
        x, y, bias, activation = input_of(shape_x, dtype, special), np.full(shape_y, 7, out_dtype), None, None
        if variant == "bias and relu":
            bias, activation = input_of((shape_y[bias_axis],), np.dtype(out_dtype).name), "relu"
        if variant == "strided":
            transposed = sum(shape_x) % 2 == 0
            x, y = spread(x, transposed), spread(y, not transposed)
        with cs.num_threads(2 if variant == "bias and relu" else 1):
            call(x, y, bias, activation)
        found.append(digest(y))
    return " ".join(found)


def plan_call(W, n, dtype, batch_major, deterministic, candidate):
    def call(x, y, bias, activation):
        plan = _core.make_plan(W, n, dtype, batch_major, bias, activation, deterministic, candidate)
        if activation:
            plan.bind(x, y)()
        else:
            plan(x, out=y)

    return call


def of_plans(W, n, dtype, light=False, deterministic=False, chosen=False):
    """(product, layout, digests) of everything that could serve a batch of n columns."""
    out_dtype = np.dtype(dtype).name
    for side, batch_major in itertools.product(("W", "W.T"), (False, True)):
        M = W if side == "W" else W.T
        shape_x, shape_y = ((n, size) if batch_major else (size, n) for size in M.shape[::-1])
        product = f"linear {side}" if batch_major else f"{side} @ X"
        found = _core.candidates(M, n, dtype, batch_major)
        ways = [(candidate["layout"], False, i) for i, candidate in enumerate(found)]
        if deterministic:
            ways.append(("deterministic", True, -1))
        if chosen:
            ways.append(("chosen", False, -1))
        for layout, ordered, i in ways:
            call = plan_call(M, n, dtype, batch_major, ordered, i)
            bias_axis = -1 if batch_major else 0
            yield product, layout, variants(call, shape_x, shape_y, out_dtype, out_dtype, bias_axis, light)


def of_functions(W, n, x_dtype):
    """(product, digests) of the public functions, with x of any dtype."""
    for product, shape_x, shape_y, function in (
        ("W @ X", (W.shape[1], n), (W.shape[0], n), lambda x, **options: cs.matmul(W, x, **options)),
        ("X @ W", (n, W.shape[0]), (n, W.shape[1]), lambda x, **options: cs.matmul(x, W, **options)),
        ("linear", (n, W.shape[1]), (n, W.shape[0]), lambda x, **options: cs.linear(x, W, **options)),
    ):
        out_dtype = function(np.zeros(shape_x, dtype_of(x_dtype))).dtype

        def call(x, y, bias, activation, function=function):
            function(x, out=y, bias=bias, activation=activation)

        yield product, variants(call, shape_x, shape_y, x_dtype, out_dtype, 0 if product == "W @ X" else -1)


def alive(shape, dtype, share, axis):
    x = input_of(shape, dtype).copy()
    x[Numbers(f"alive {shape} {share}").uniform(shape) >= share] = 0
    return cs.Winners.from_dense(x, axis=axis)


def of_winners(W, n, dtype, share, chosen):
    for product, shape_x, shape_y, axis in (
        ("winners, W @ X", (W.shape[1], n), (W.shape[0], n), 0),
        ("winners, X @ W", (n, W.shape[0]), (n, W.shape[1]), -1),
        ("winners, linear", (n, W.shape[1]), (n, W.shape[0]), -1),
    ):
        w, right = alive(shape_x, dtype, share, axis), product.endswith("X @ W")
        bias = input_of((shape_y[0 if axis == 0 else 1],), dtype)
        features_last = product.endswith("linear")
        side = W.T if right else W
        ways = [(way["layout"], i) for i, way in enumerate(_core.candidates(side, n, dtype, winners=w.nnz // n))]
        for layout, i in ways + [("chosen", -1)] * chosen:
            if layout == "dense" and not chosen:
                continue
            y, finished = np.full(shape_y, 7, dtype), np.full(shape_y, 7, dtype)
            with cs.num_threads(1):
                _core.winners_into(W, w, w.values, y, right, features_last, None, None, i)
            with cs.num_threads(2):
                if right:
                    _core.winners_into(W, w, w.values, finished, right, False, bias, "relu", i)
                else:
                    _core.make_plan(W, n, dtype, features_last, bias, "relu", False, i, w.nnz).bind(w, finished)()
            found = [digest(y), digest(finished)]
            if layout == "chosen":
                strided = spread(np.full(shape_y, 7, dtype))
                function = cs.linear if features_last else cs.matmul
                function(*((w, W) if features_last or right else (W, w)), out=strided)
                found.append(digest(strided))
            yield f"{product}, {share:.0%}", layout, " ".join(found)


# --- contests --------------------------------------------------------------------------------------------------------

CONTESTS = ("float32", "float64", "int8", "uint8", "int32", "int64", "float16", "bfloat16")


def digest_of(w):
    return digest(w.values, w.indices, w.indptr, letters=6)


def of_contests(dtype, small):
    """(contest, shape, digest) of k winners: lengths round the vectors of every level, ties, biases, boosts, axes."""
    lengths = (1, 7, 16, 65, 130, 257) if small else (1, 7, 16, 17, 63, 65, 130, 257, 513, 1500)
    for n, batch in itertools.product(lengths, (1, 3, 17, 33)):
        x = input_of((batch, n), dtype)
        tied = (x.astype(np.float32) * 2).astype(np.int64).astype(x.dtype)
        for name, array in (("wide", x), ("ties", tied), ("odd", None)):
            if name == "odd":
                if x.dtype.kind != "f":
                    continue
                array = input_of((batch, n), dtype, True)
            found = []
            for i, k in enumerate(sorted({1, n // 10 + 1, n // 2, n})):
                with cs.num_threads(1 + i % 2):
                    found.append(cs.kwta(array, k))
                    found.append(cs.kwta(np.ascontiguousarray(array.T), k, axis=0))
                    found.append(cs.kwta(spread(array), k, relu=True))
            yield name, f"{batch}x{n}", " ".join(map(digest_of, found))
        bias, boost = input_of((n,), "float32"), np.abs(input_of((n,), "float32")) + 1
        if x.dtype.kind in "iu":
            bias = (bias * 8).astype(np.int32)
        k = n // 4 + 1
        ranked = (
            x >> 12 if x.dtype == np.int64 else x
        )  # what float64, in which boosted integers are ranked, tells apart
        found = [
            cs.kwta(x, k, bias=bias),
            cs.kwta(ranked, k, boost=boost),
            cs.kwta(ranked, k, bias=bias, boost=boost, relu=True),
            cs.kwta(x.T, k, axis=0, bias=bias),
        ]
        dense = cs.kwta_dense(x, k, bias=bias, relu=True)
        yield "bias and boost", f"{batch}x{n}", " ".join([*map(digest_of, found), digest(dense, letters=6)])
    x = input_of((3, 5, 6, 4), dtype)
    for axis in (0, 1, 2, -1, (0, 1), (1, 3), (1, 2, 3)):
        yield "axes", f"axis {axis}", digest_of(cs.kwta(x, 3, axis=axis)) + " " + digest(cs.kwta_dense(x, 4, axis=axis))


# --- the grid --------------------------------------------------------------------------------------------------------


def keep(key, only, without):
    return all(text in key for text in only) and not any(text in key for text in without)


class Recorder:
    def __init__(self, only, without):
        self.cases, self._only, self._without = {}, only, without

    def add(self, parts, at, value):
        key = " | ".join(parts)
        if keep(key, self._only, self._without):
            self.cases.setdefault(key, {})[str(at)] = value


def record_level(recorder, level, small):
    names = [*SMALL] if small else [*MASKS, *MADE]
    typed = [(name, "float32") for name in names]
    typed += [(name, dtype) for dtype in ("float64", "int64") for name in OTHER_TYPES if name in names or not small]
    for name, dtype in typed:
        title = name if dtype == "float32" else f"{name} {dtype}"
        W = matrix(name, dtype)
        for n in FEW_BATCHES if small or dtype != "float32" else BATCHES:
            for product, layout, value in of_plans(W, n, np.dtype(dtype), n > 130, n in (1, 16, 33), not small):
                recorder.add((title, level, product, layout), n, value)
    for name, dtype, n, share in itertools.product(
        [name for name in ("37x67 10%", "257x1025 5%", "132x250 4 rows", "136x250 8 rows", "96x161 blocks 16x1",
                           "76x120 blocks 4x4", "128x250 2 rows") if not small or name in names],
        ("float32", "float64", "int64"), (1, 3, 16, 33), (0.05, 0.3)):  # fmt: skip
        title = name if dtype == "float32" else f"{name} {dtype}"
        W = matrix(name, dtype)
        for product, layout, value in of_winners(W, n, dtype, share, not small):
            recorder.add((title, level, product, layout), n, value)
    for name, (w_dtype, x_dtype) in itertools.product(
        OTHER_TYPES[:3],
        (("int8", "int8"), ("int8", "uint8"), ("int32", "int32"), ("int32", "float32"), ("bool", "int8"),
         ("float16", "float16"), ("float16", "float32"), ("bfloat16", "bfloat16"), ("bfloat16", "float32"),
         ("float32", "bfloat16"), ("float32", "float64"), ("float64", "float32"), ("int8", "float16"))):  # fmt: skip
        if small and (name == OTHER_TYPES[2] or "float" in w_dtype + x_dtype):
            continue  # which layout serves a product of floats is the cost model's choice
        W = matrix(name, w_dtype)
        for n in (1, 3, 16, 33):
            for product, value in of_functions(W, n, x_dtype):
                layout = "chosen" if "float" in w_dtype + x_dtype else "exact"
                recorder.add((f"{name} {w_dtype} with {x_dtype}", level, product, layout), n, value)
    for name, dtype in itertools.product(OTHER_TYPES[:4], ("float32", "float64", "int64", "float16", "int8")):
        W = matrix(name)
        for depth in (1, 7, 16, 33, 65):
            P, Q = input_of((W.shape[0], depth), dtype), input_of((depth, W.shape[1]), dtype)
            G, H = cs.sampled_matmul(W, P, Q), cs.sampled_matmul(W.T, spread(Q.T), spread(P.T))
            value = f"{digest(G.tocsr().data)} {digest(H.tocsr().data)}"
            recorder.add((f"{name} {dtype}", level, "sampled_matmul", "csr"), depth, value)
    for dtype in CONTESTS:
        for contest, shape, value in of_contests(dtype, small):
            recorder.add((f"kwta {dtype}", level, contest, "vectors"), shape, value)
    name = "beyond L2, bfloat16"
    if not small:
        W = matrix(name)
        for n in (1, 4, 8, 33):
            for product, layout, value in of_plans(W, n, np.float32, True, False, True):
                recorder.add((name, level, product, layout), n, value)


def record(small=False, only=(), without=()):
    """The recording of the build that is imported, all levels of this CPU."""
    recorder = Recorder(only, without)
    before = next(level["name"] for level in _core.isa_levels() if level["selected"])
    with threadpoolctl.threadpool_limits(1, user_api="blas"), np.errstate(all="ignore"):
        try:
            for level in cs.isa_levels():
                _core.set_isa(level)
                record_level(recorder, level, small)
        finally:
            _core.set_isa(before)
    about = {
        "machine": platform.machine(),
        "levels": list(cs.isa_levels()),
        "small": small,
        "variants": list(VARIANTS),
        "complsparse": cs.__version__,
    }
    return {"about": about, "cases": recorder.cases}


def written(recording):
    """JSON with one line to a key, so that a diff names what changed."""
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}"
                       for key, value in sorted(recording["cases"].items()))  # fmt: skip
    return f'{{"about": {json.dumps(recording["about"])},\n"cases": {{\n{lines}\n}}}}\n'


# --- comparing -------------------------------------------------------------------------------------------------------


def renamed(cases, names):
    """Keys with parts or words of another name."""
    found = {}
    for key, value in cases.items():
        parts = key.split(" | ")
        parts[3] = names.get(parts[3], parts[3])
        found[" | ".join(parts)] = value
    return found


def differences(a, b):
    """(what differs, keys of a only, keys of b only); of keys in both, batches that only one has are no difference."""
    found = []
    for key in sorted(a.keys() & b.keys()):
        for at in a[key].keys() & b[key].keys():
            first, second = a[key][at].split(), b[key][at].split()
            if first != second:
                places = [i for i, pair in enumerate(itertools.zip_longest(first, second)) if pair[0] != pair[1]]
                found.append((key, at, places, [first[i] if i < len(first) else None for i in places],
                              [second[i] if i < len(second) else None for i in places]))  # fmt: skip
    return found, sorted(a.keys() - b.keys()), sorted(b.keys() - a.keys())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["record", "compare"])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--small", action="store_true", help="only what tests/test_recorded_grid.py compares")
    parser.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="a layout of A, as B names it")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="keys that contain it")
    parser.add_argument("--without", action="append", default=[], metavar="TEXT", help="no keys that contain it")
    options = parser.parse_args()
    if options.action == "record":
        with open(options.files[0], "w") as file:
            file.write(written(record(options.small, options.only, options.without)))
        return 0
    recordings = []
    for path in options.files[:2]:
        with open(path) as file:
            recordings.append(json.load(file))
    if len(recordings) == 1:
        recordings.append(record(recordings[0]["about"]["small"], options.only, options.without))
    a, b = (
        {key: value for key, value in recording["cases"].items() if keep(key, options.only, options.without)}
        for recording in recordings
    )
    found, only_a, only_b = differences(renamed(a, dict(text.split("=") for text in options.rename)), b)
    for key, at, places, first, second in found:
        print(f"differs: {key} | {at} | places {places}: {first} became {second}")
    for title, keys in (("only in A", only_a), ("only in B", only_b)):
        for key in keys:
            print(f"{title}: {key}")
    print(f"{len(found)} differences, {len(only_a)} keys only in A, {len(only_b)} only in B, {len(a)} compared")
    return 1 if found or only_a or only_b else 0


if __name__ == "__main__":
    sys.exit(main())
