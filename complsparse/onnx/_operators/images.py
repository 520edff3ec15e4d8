# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions, pools, and images of other sizes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from complsparse import nn
from complsparse.onnx._nodes import Op
from complsparse.onnx._operators.integers import product_of_integers
from complsparse.onnx._operators.table import built, computed, is_one_zero
from complsparse.onnx._operators.windows import Windows, padding_of, windows
from complsparse.onnx._tensors import MOST_DENSE


def check_image(op: Op, x: Any) -> None:
    if x.ndim < 3:
        raise op.refuse(f"an input of shape {x.shape}; (N, C, and one axis or more of an image) is expected")


@built("Conv")
def convolution_layer(op: Op, build: Any) -> Any:
    """Of constant filters and images of one or two axes."""
    W, bias = build.weights(op, 1), build.constant(op, 2) if op.has(2) else None
    if W is None or W.ndim not in (3, 4) or (op.has(2) and bias is None):
        return None
    made = product_of_integers(op, build, 0, bias)
    if made is not None:
        return made
    padding = padding_of(op, W.ndim - 2)
    if padding is None:
        return None
    n = W.ndim - 2
    kernel = tuple(W.shape[2:])
    if op.ints("kernel_shape", kernel) != kernel:
        raise op.refuse(f"kernel_shape {op.ints('kernel_shape')} for filters of shape {tuple(W.shape)}")
    given = {
        "stride": op.ints("strides", (1,) * n), "padding": padding, "dilation": op.ints("dilations", (1,) * n),
        "groups": op.int("group", 1), "bias": bias,
    }  # fmt: skip
    if n == 1:
        given = {name: value[0] if isinstance(value, tuple) else value for name, value in given.items()}
        return build.add(op, nn.Conv1d(build.filters(W), kernel[0], **given), build.value(op, 0))
    return build.add(op, nn.Conv2d(build.filters(W), kernel, **given), build.value(op, 0))


@built("MaxPool", "AveragePool")
def pool_layer(op: Op, build: Any) -> Any:
    kernel = op.ints("kernel_shape")
    padding = padding_of(op, len(kernel))
    if len(kernel) != 2 or len(op.outputs) > 1 or not isinstance(padding, tuple) or op.int("ceil_mode", 0):
        return None
    if any(p > k // 2 for pair, k in zip(padding, kernel, strict=True) for p in pair) or not build.is_float(op, 0):
        return None
    given: dict[str, Any] = {"stride": op.ints("strides", (1, 1)), "padding": padding}
    dilation = op.ints("dilations", (1, 1))
    if op.kind == "MaxPool":
        return build.add(op, nn.MaxPool2d(kernel, dilation=dilation, **given), build.value(op, 0))
    if dilation != (1, 1):
        return None
    inside = bool(op.int("count_include_pad", 0))
    return build.add(op, nn.AvgPool2d(kernel, count_include_pad=inside, **given), build.value(op, 0))


@built("GlobalAveragePool")
def global_pool_layer(op: Op, build: Any) -> Any:
    return build.add(op, nn.GlobalAvgPool2d(), build.value(op, 0)) if build.ndim(op, 0) == 4 else None


@computed("Conv")
def convolution(op: Op, x: Any, w: Any, bias: Any = None) -> Any:
    return convolved(op, x, w, bias, 0)


def convolved(op: Op, x: Any, w: Any, bias: Any, fill: Any) -> Any:
    """With any number of spatial axes; `fill` is what lies around the image."""
    check_image(op, x)
    groups = op.int("group", 1)
    if w.ndim != x.ndim or groups < 1 or x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise op.refuse(f"an input of shape {x.shape}, filters of shape {w.shape} and {groups} groups")
    found = windows(op, x.shape[2:], w.shape[2:])
    n = x.ndim - 2
    if is_one_zero(x) and not np.any(fill) and np.isfinite(w).all():  # which shapes are found by
        y = np.broadcast_to(np.result_type(x, w).type(0), (x.shape[0], w.shape[0], *found.out))
        return y if bias is None else y + bias.reshape(-1, *[1] * n)
    parts = found.of(x, fill)
    parts = parts.reshape(x.shape[0], groups, w.shape[1], *parts.shape[2:])
    filters = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    sums = [
        np.tensordot(parts[:, g], filters[g], axes=([1, *range(2 + n, 2 + 2 * n)], [1, *range(2, 2 + n)]))
        for g in range(groups)
    ]
    y = np.moveaxis(np.concatenate(sums, axis=-1), -1, 1)
    return y if bias is None else y + bias.reshape(-1, *[1] * n)


@built("ConvTranspose")
def transposed_convolution_layer(op: Op, build: Any) -> Any:
    """Of constant filters, where no size of the result is asked for."""
    W, bias, shape = build.constant(op, 1), build.constant(op, 2), build.shape(op, 0)
    how = op.str("auto_pad", "NOTSET", ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    if W is None or (op.has(2) and bias is None) or shape is None or W.ndim < 3 or len(shape) != W.ndim:
        return None
    if how.startswith("SAME") or op.ints("output_shape", None) is not None or not build.is_float(op, 0):
        return None
    found, out = transposed_windows(op, shape[2:], W.shape[2:])
    groups = op.int("group", 1)
    if math.prod((shape[0], W.shape[1] * groups, *out)) > MOST_DENSE:
        raise op.refuse(f"images of size {out}")
    before, behind = zip(*found.pads, strict=True)
    layer = nn.ConvTranspose(
        W=W, bias=bias, stride=found.strides, padding=(*before, *behind), dilation=found.dilations,
        output_padding=op.ints("output_padding", (0,) * len(out)), groups=groups,
    )  # fmt: skip
    return build.add(op, layer, build.value(op, 0))


@computed("ConvTranspose")
def transposed_convolution(op: Op, x: Any, w: Any, bias: Any = None) -> Any:
    check_image(op, x)
    groups, n = op.int("group", 1), x.ndim - 2
    if w.ndim != x.ndim or groups < 1 or x.shape[1] != w.shape[0] or x.shape[1] % groups:
        raise op.refuse(f"an input of shape {x.shape}, filters of shape {w.shape} and {groups} groups")
    found, out = transposed_windows(op, x.shape[2:], w.shape[2:])
    full = [max(o + a, (i - 1) * s + span) for o, (a, _), i, s, span in
            zip(out, found.pads, x.shape[2:], found.strides, found.spans, strict=True)]  # fmt: skip
    if math.prod((x.shape[0], w.shape[1] * groups, *full)) > MOST_DENSE:
        raise op.refuse(f"images of size {full}")
    y = np.zeros((x.shape[0], groups, w.shape[1], *full), dtype=x.dtype)
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups, -1)
    filters = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    for tap, at in found.taps():
        of_tap = filters[(slice(None), slice(None), slice(None), *tap)]
        part = np.einsum("ngip,gio->ngop", grouped, of_tap, optimize=True)
        y[(slice(None), slice(None), slice(None), *at)] += part.reshape(*part.shape[:3], *x.shape[2:])
    inside = tuple(slice(a, a + o) for (a, _), o in zip(found.pads, out, strict=True))
    y = y.reshape(x.shape[0], -1, *full)[(slice(None), slice(None), *inside)]
    return y if bias is None else y + bias.reshape(-1, *[1] * n)


def transposed_windows(op: Op, spatial: Any, kernel: Any) -> tuple[Windows, list[int]]:
    """The windows of the convolution whose transpose this is; the size of the result."""
    n = len(spatial)
    strides, dilations = op.ints("strides", (1,) * n), op.ints("dilations", (1,) * n)
    more, flat = op.ints("output_padding", (0,) * n), op.ints("pads", (0,) * (2 * n))
    wanted = op.ints("output_shape", None)
    how = op.str("auto_pad", "NOTSET", ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    if wanted is not None:
        wanted = wanted[-n:]
    checked = (("strides", strides, 1, n), ("dilations", dilations, 1, n), ("pads", flat, 0, 2 * n),
               ("output_padding", more, 0, n), ("output_shape", wanted or (1,) * n, 1, n))  # fmt: skip
    for name, values, least, size in checked:
        if len(values) != size or not all(least <= v < 2**31 for v in values):
            raise op.refuse(f"{name} {values} for {n} spatial axes")
    if op.ints("kernel_shape", tuple(kernel)) != tuple(kernel) or 0 in kernel:
        raise op.refuse(f"kernel_shape {op.ints('kernel_shape', None)} for filters of {tuple(kernel)}")
    pads = list(zip(flat[:n], flat[n:], strict=True))
    out = []
    for i in range(n):
        reach = (spatial[i] - 1) * strides[i] + more[i] + (kernel[i] - 1) * dilations[i] + 1
        if wanted is None and how in ("NOTSET", "VALID"):
            out.append(reach - (sum(pads[i]) if how == "NOTSET" else 0))
        else:
            out.append(wanted[i] if wanted is not None else spatial[i] * strides[i])
            both = max(0, reach - out[i])
            less, rest = both // 2, both - both // 2
            pads[i] = (less, rest) if how == "SAME_UPPER" else (rest, less)
        if out[i] <= 0:
            raise op.refuse(f"an image of size {out[i]} along axis {i + 2}")
    if how == "VALID":
        pads = [(0, 0)] * n
    return Windows(tuple(kernel), strides, dilations, tuple(pads), tuple(spatial)), out


@computed("MaxPool")
def max_pool(op: Op, x: Any) -> Any:
    check_image(op, x)
    found = windows(op, x.shape[2:], None, pool=True)
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    n = x.ndim - 2
    parts = found.of(x, least)
    flat = parts.reshape(*parts.shape[: 2 + n], -1)
    if len(op.outputs) < 2:
        return flat.max(axis=-1)
    return flat.max(axis=-1), _places(op, x, found, flat.argmax(axis=-1))


def _places(op: Op, x: Any, found: Windows, tap: Any) -> Any:
    """In x as one row, of the tap that is the largest in each window."""
    n = x.ndim - 2
    taps = np.unravel_index(tap, found.kernel)
    at = []
    for i in range(n):
        first = np.arange(found.out[i]).reshape(-1, *[1] * (n - 1 - i)) * found.strides[i] - found.pads[i][0]
        at.append(first + taps[i] * found.dilations[i])
    images = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * n)
    if op.int("storage_order", 0):
        at = at[::-1]
    sizes = x.shape[:1:-1] if op.int("storage_order", 0) else x.shape[2:]
    return images * math.prod(sizes) + np.ravel_multi_index(tuple(at), sizes, mode="clip")


@computed("AveragePool")
def average_pool(op: Op, x: Any) -> Any:
    check_image(op, x)
    found = windows(op, x.shape[2:], None, pool=True)
    kernel_axes = tuple(range(x.ndim, 2 * x.ndim - 2))
    sums = found.of(x, 0).sum(axis=kernel_axes)
    inside = np.ones((1, 1, *x.shape[2:]), dtype=x.dtype)
    if op.int("count_include_pad", 0):
        around = [(a, b) for a, b in found.pads]
        inside = np.pad(inside, [(0, 0), (0, 0), *around], constant_values=1)
        found = found._replace(pads=((0, 0),) * len(around))
    return sums / found.of(inside, 0).sum(axis=kernel_axes)


@computed("LpPool")
def lp_pool(op: Op, x: Any) -> Any:
    check_image(op, x)
    p = op.int("p", 2)
    found = windows(op, x.shape[2:], None, pool=True)
    powers = np.abs(found.of(x, 0)) ** p
    return (powers.sum(axis=tuple(range(x.ndim, 2 * x.ndim - 2))) ** (1 / p)).astype(x.dtype)


@computed("GlobalAveragePool", "GlobalMaxPool")
def global_pool(op: Op, x: Any) -> Any:
    check_image(op, x)
    function = np.mean if op.kind == "GlobalAveragePool" else np.max
    return function(x, axis=tuple(range(2, x.ndim)), keepdims=True)


@built("Resize", "Upsample")
def resize_layer(op: Op, build: Any) -> Any:
    """By constant factors or to constant sizes, of images whose filter is not widened and of which no part is cut."""
    shape = build.shape(op, 0)
    old = op.kind == "Upsample" or op.version < 11
    places = (1, None) if old else (2, 3)  # of factors and sizes
    scales, sizes = (build.constant(op, i) if i is not None and op.has(i) else None for i in places)
    if op.kind == "Upsample" and not op.has(1):
        scales = np.array(op.floats("scales"))
    scales, sizes = (None if given is None or given.size == 0 else given.reshape(-1) for given in (scales, sizes))
    if shape is None or 0 in shape or (scales is None) == (sizes is None) or not build.is_float(op, 0):
        return None
    how = "asymmetric" if old else op.str("coordinate_transformation_mode", "half_pixel")
    mode = op.str("mode", "nearest", ("nearest", "linear", "cubic", "bilinear"))
    if how == "tf_crop_and_resize" or (op.int("antialias", 0) and mode != "nearest"):
        return None
    if op.str("keep_aspect_ratio_policy", "stretch") != "stretch":
        return None
    if how == "align_corners" and scales is not None and (scales % 1).any():
        return None  # ONNX counts parts of a place then
    resized_axes(op, shape, None, scales, sizes)
    axes = op.ints("axes", None)
    layer = nn.Resize(
        sizes=None if sizes is None else tuple(int(n) for n in sizes), scales=scales, axes=axes or None,
        mode="linear" if mode == "bilinear" else mode, coordinates=how,
        rounding="floor" if old else op.str("nearest_mode", "round_prefer_floor"),
        cubic=op.float("cubic_coeff_a", -0.75), exclude_outside=bool(op.int("exclude_outside", 0)),
    )  # fmt: skip
    return build.add(op, layer, build.value(op, 0))


@computed("Resize", shaped_by=(1, 2, 3))
def resize(op: Op, x: Any, roi: Any = None, scales: Any = None, sizes: Any = None) -> Any:
    return _resized(op, x, roi, scales, sizes)


@computed("Upsample", shaped_by=(1,))
def upsample(op: Op, x: Any, scales: Any = None) -> Any:
    return _resized(op, x, None, op.floats("scales") if scales is None else scales, None)


def _resized(op: Op, x: Any, roi: Any, scales: Any, sizes: Any) -> Any:
    mode = op.str("mode", "nearest", ("nearest", "linear", "cubic", "bilinear"))
    if op.kind == "Resize" and op.version < 11:
        scales, roi = roi, None
    y: Any = x if x.dtype.kind == "f" else x.astype(np.float32)
    for axis, (scale, out, start, end) in resized_axes(op, x.shape, roi, scales, sizes).items():
        at = _coordinates(op, x.shape[axis], out, scale, start, end)
        if mode == "nearest":
            y = np.take(y, _nearest(op, at, x.shape[axis]), axis=axis)
        else:
            y = _interpolated(op, y, axis, at, min(1.0, scale), mode == "cubic")
        if op.str("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
            beyond = (at < 0) | (at > x.shape[axis] - 1)
            shape = [-1 if i == axis else 1 for i in range(x.ndim)]
            y = np.where(beyond.reshape(shape), y.dtype.type(op.float("extrapolation_value", 0.0)), y)
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        y = np.clip(np.rint(y), limits.min, limits.max)
    return y.astype(x.dtype, copy=False)


def resized_axes(op: Op, shape: Any, roi: Any, scales: Any, sizes: Any) -> dict[int, tuple[float, int, float, float]]:
    """Of the axes that change: scale, size, and the part of the axis that is read."""
    axes = [op.axis(axis, len(shape)) for axis in (op.ints("axes", None) or range(len(shape)))]
    crop = op.str("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
    wanted = sizes if sizes is not None and len(sizes) else None
    given = scales if wanted is None else wanted
    if given is None or len(given) != len(axes) or (crop and (roi is None or len(roi) != 2 * len(axes))):
        raise op.refuse(f"scales {scales} or sizes {sizes} for {len(axes)} axes")
    if wanted is not None:
        factors = [float(n) / shape[axis] if shape[axis] else 1.0 for n, axis in zip(wanted, axes, strict=True)]
        policy = op.str("keep_aspect_ratio_policy", "stretch", ("stretch", "not_larger", "not_smaller"))
        if policy != "stretch":
            factors = [(min if policy == "not_larger" else max)(factors)] * len(axes)
            wanted = [int(factors[0] * shape[axis] + 0.5) for axis in axes]
    else:
        factors = [float(f) for f in given]
        if not all(0 < f < 2**31 for f in factors):
            raise op.refuse(f"scales {factors}")
    found = {}
    for i, axis in enumerate(axes):
        part = (float(roi[i]), float(roi[i + len(axes)])) if crop else (0.0, 1.0)
        out = int(wanted[i]) if wanted is not None else math.floor(shape[axis] * factors[i] * (part[1] - part[0]))
        if out != shape[axis] or factors[i] != 1 or crop:
            found[axis] = (factors[i], out, *part)
    if any(out < 0 for _, out, _, _ in found.values()) or (
        math.prod(found[i][1] if i in found else n for i, n in enumerate(shape)) > MOST_DENSE
    ):
        raise op.refuse(f"an array of shape {shape} with sizes {[f[1] for f in found.values()]}")
    return found


def _coordinates(op: Op, size: int, out: int, scale: float, start: float, end: float) -> Any:
    """In the input, of each place in the output."""
    how = op.str("coordinate_transformation_mode", "half_pixel")
    if op.kind == "Upsample" or op.version < 11:
        how = "asymmetric"
    at = np.arange(out, dtype=np.float64)
    if how == "asymmetric":
        return at / scale
    if how == "half_pixel" or (how == "pytorch_half_pixel" and out > 1):
        return (at + 0.5) / scale - 0.5
    if how == "pytorch_half_pixel":
        return np.zeros(out)
    if how == "half_pixel_symmetric":
        adjusted = out / (scale * size) if size else 1.0
        return size / 2 * (1 - adjusted) + (at + 0.5) / scale - 0.5
    if how == "align_corners":
        return at * (size - 1) / (scale * size - 1) if out > 1 else np.zeros(out)
    if how == "tf_crop_and_resize":
        if out > 1:
            return start * (size - 1) + at * (end - start) * (size - 1) / (out - 1)
        return np.full(out, 0.5 * (start + end) * (size - 1))
    raise op.refuse(f"coordinate_transformation_mode {how!r}")


def _nearest(op: Op, at: Any, size: int) -> Any:
    how = op.str("nearest_mode", "round_prefer_floor")
    if op.kind == "Upsample" or op.version < 11:
        how = "floor"
    rounded = {"round_prefer_floor": lambda: np.ceil(at - 0.5), "round_prefer_ceil": lambda: np.floor(at + 0.5),
               "floor": lambda: np.floor(at), "ceil": lambda: np.ceil(at)}.get(how)  # fmt: skip
    if rounded is None:
        raise op.refuse(f"nearest_mode {how!r}")
    return np.clip(rounded(), 0, max(0, size - 1)).astype(np.int64)


def _interpolated(op: Op, x: Any, axis: int, at: Any, scale: float, cubic: bool) -> Any:
    """Along one axis: each output is a sum of neighbours, of more of them where antialiasing widens the filter."""
    size = x.shape[axis]
    antialias = bool(op.int("antialias", 0))
    stretch = scale if antialias else 1.0
    reach = (2 if cubic else 1) / stretch
    first = np.floor(at - reach).astype(np.int64) + 1
    n_taps = math.ceil(2 * reach)
    taps = first[:, None] + np.arange(n_taps)
    weights = _filter(op, (taps - at[:, None]) * stretch, cubic)
    inside = (taps >= 0) & (taps < size)
    if op.int("exclude_outside", 0):
        weights = np.where(inside, weights, 0)
    with np.errstate(all="ignore"):
        weights = weights / weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((len(at), size))
    for tap, weight in itertools.zip_longest(np.clip(taps, 0, size - 1).T, weights.T):
        np.add.at(matrix, (np.arange(len(at)), tap), weight)
    return np.moveaxis(np.tensordot(matrix.astype(x.dtype), x, axes=(1, axis)), 0, axis)


def _filter(op: Op, distance: Any, cubic: bool) -> Any:
    d = np.abs(distance)
    if not cubic:
        return np.maximum(0, 1 - d)
    a = op.float("cubic_coeff_a", -0.75)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
