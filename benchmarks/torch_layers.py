# SPDX-License-Identifier: BSD-3-Clause
"""complsparse.torch: what tensors cost over arrays, modules over functions, and a step beside a masked one.

    python benchmarks/torch_layers.py

Calls of a table are timed in turn, on one thread, each at least ten times in a row; figures are the least of many such
samples, in microseconds.
"""

import timeit
from collections.abc import Callable

import torch

import complsparse as cs

ROUNDS, SECONDS = 40, 0.003  # samples of a call, and how long one takes


def least(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    numbers = {}
    for name, call in calls.items():
        call()
        numbers[name] = max(10, int(SECONDS / max(timeit.timeit(call, number=3) / 3, 1e-7)))
    found = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            found[name] = min(found[name], timeit.timeit(call, number=numbers[name]) / numbers[name])
    return {name: 1e6 * seconds for name, seconds in found.items()}


def show(title: str, calls: dict[str, Callable[[], object]]) -> None:
    found = least(calls)
    first = next(iter(found.values()))
    print(f"\n{title}")
    for name, time in found.items():
        print(f"  {name:<44}{time:>10.2f} us{time - first:>+10.2f}{time / first:>8.2f}x")


def tensors() -> None:
    layer = cs.torch.ComplementaryLinear(256, 256, density=0.05, rng=0)
    W, x, bias = layer.matrix(), torch.rand(1, 256), layer.bias.detach()
    array, offset, out = x.numpy(), bias.numpy(), torch.zeros(1, 256)
    plan, memory = W.plan(1, batch_major=True), out.numpy()
    of = {
        "linear": (lambda: cs.linear(array, W), lambda: cs.linear(x, W)),
        "linear with a bias": (lambda: cs.linear(array, W, offset), lambda: cs.linear(x, W, bias)),
        "linear, out=": (lambda: cs.linear(array, W, out=memory), lambda: cs.linear(x, W, out=out)),
        "a plan": (lambda: plan(array), lambda: plan(x)),
        "kwta_dense, 20 of 256": (lambda: cs.kwta_dense(array, 20), lambda: cs.kwta_dense(x, 20)),
    }
    for name, (of_array, of_tensor) in of.items():
        show(f"{name}, 256 x 256 at 5%, one vector", {"array": of_array, "tensor": of_tensor})


def modules() -> None:
    layer = cs.torch.ComplementaryLinear(1024, 1024, density=0.05, rng=0).eval()
    W, bias = layer.matrix(), layer.bias.detach()
    for n in (1, 64):
        x = torch.rand(n, 1024)
        array, offset = x.numpy(), bias.numpy()
        with torch.no_grad():
            show(
                f"1024 x 1024 at 5%, {n} vectors, no gradients",
                {
                    "cs.linear, arrays": lambda array=array, offset=offset: cs.linear(array, W, offset),
                    "ComplementaryLinear": lambda x=x: layer(x),
                    "sparse_linear": lambda x=x: cs.torch.sparse_linear(
                        x, layer.values, layer.positions, W.shape, bias
                    ),
                },
            )


def training() -> None:
    x, dy = torch.rand(64, 1024, requires_grad=True), torch.rand(64, 1024)
    mask = torch.from_numpy(cs.complementary_mask((1024, 1024), density=0.05, rng=0))
    dense = torch.randn(1024, 1024, requires_grad=True)

    def multiplied() -> None:
        torch.nn.functional.linear(x, dense * mask).backward(dy)
        with torch.no_grad():
            dense.sub_(dense.grad, alpha=1e-4)
        x.grad = dense.grad = None

    def step(layer: torch.nn.Module) -> Callable[[], None]:
        def run() -> None:
            layer(x).backward(dy)
            with torch.no_grad():
                layer.values.sub_(layer.values.grad, alpha=1e-4)
            x.grad = layer.values.grad = layer.bias.grad = None

        return run

    layers = {form: cs.torch.ComplementaryLinear(1024, 1024, pattern=mask, form=form) for form in ("masked", "packed")}
    show(
        "a step, 1024 x 1024 at 5%, 64 vectors: forward, both gradients, new values",
        {
            "packed": step(layers["packed"]),
            "dense weight times a mask": multiplied,
            "masked form": step(layers["masked"]),
        },
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    cs.set_num_threads(1)
    tensors()
    modules()
    training()
