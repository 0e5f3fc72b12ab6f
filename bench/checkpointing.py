"""Problem C7.11: peak memory and time of deep networks with and without checkpoints, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc

import numpy as np

import chainrule as cr

WIDTH, BATCH = 256, 256


def run(layers: int, how: str) -> None:
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((WIDTH, WIDTH)).astype("f4") / 16 for _ in range(layers)]
    x = rng.standard_normal((BATCH, WIDTH)).astype("f4")
    plain = how == "plain"
    options = {} if plain else {how.split("=")[0]: int(how.split("=")[1])}

    def loss(weights):
        steps = [lambda h, w=w: np.maximum(h @ w, 0) for w in weights]
        if plain:
            h = x
            for f in steps:
                h = f(h)
        else:
            h = cr.checkpoint_sequential(steps, x, **options)
        return np.mean(h**2)

    g = cr.grad(loss)
    g(weights)
    times = []
    for _ in range(3 if layers <= 100 else 1):
        start = time.perf_counter()
        g(weights)
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    gradients = g(weights)
    peak = tracemalloc.get_traced_memory()[1] - sum(a.nbytes for a in gradients)
    check = float(sum(np.sum(a.astype(float)) for a in gradients))
    print(json.dumps({"time": sorted(times)[len(times) // 2], "peak": peak, "check": check}))


def table() -> list[str]:
    lines = [
        "## Checkpointing: ReLU layers of 256, batch 256, float32",
        "",
        "Peak memory beyond parameters and gradients, and time, for keeping every tenth value (C7.11) and for the binomial schedule.",
        "",
        "| layers | how | peak (MB) | of plain | time (s) | of plain |",
        "|---|---|---|---|---|---|",
    ]
    for layers in (10, 50, 100, 1000):
        found = {}
        for how in ("plain", "every=10", "memory=4"):
            done = subprocess.run(
                [sys.executable, __file__, str(layers), how], capture_output=True, text=True, check=True
            )
            found[how] = json.loads(done.stdout.splitlines()[-1])
            if found[how]["check"] != found["plain"]["check"]:
                raise SystemExit(f"checkpointing {layers} {how}: the gradients differ")
        base = found["plain"]
        for how, r in found.items():
            lines.append(
                f"| {layers} | {how} | {r['peak'] / 1e6:.1f} | {r['peak'] / base['peak']:.2f} | {r['time']:.3f} | {r['time'] / base['time']:.2f} |"
            )
    return [*lines, ""]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(int(sys.argv[1]), sys.argv[2])
    else:
        print("\n".join(table()))
