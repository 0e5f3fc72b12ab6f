"""How time and memory of value and gradient grow over three decades of size, drawn to docs/images/growth.svg."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
STEPS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


def elementwise(n):
    import chainrule as cr

    f = lambda x: np.sum(np.tanh(x) * np.exp(-x * x) + np.log1p(x * x) * cr.sigmoid(x))
    return cr.jit(cr.value_and_grad(f)), np.random.default_rng(0).standard_normal(n)


def chain(n):
    import chainrule as cr

    def f(x):
        for k in range(n):
            x = np.sin(x) if k % 10 == 0 else x * 0.999 + 0.001
        return x

    return cr.grad(f), 0.5


def looped(n):
    import chainrule as cr

    return cr.jit(lambda x: cr.fori_loop(0, n, lambda i, c: np.sin(c) + 0.1 * x, x)), 0.5


CASES = {
    "compiled, entries of an array": (elementwise, SIZES),
    "eager, steps of a chain": (chain, STEPS),
    "compiled loop, steps": (looped, STEPS),
}


def peak() -> float:
    """The most memory (MB) that this process has used. (`ru_maxrss` would count that of the process it was forked from.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(case: str, n: int) -> None:
    """In a child: the median time of a call, and the growth of the process's memory."""
    make, _ = CASES[case]
    f, x = make(n)
    small, y = make(CASES[case][1][0])
    small(y)
    before = peak()
    f(x)
    times = []
    until = time.perf_counter() + 1.0
    while time.perf_counter() < until or len(times) < 3:
        start = time.perf_counter()
        f(x)
        times.append(time.perf_counter() - start)
    after = peak()
    print(json.dumps([statistics.median(times), after - before]))


def lines() -> list[str]:
    """A table, and the picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    text = [
        "## Growth",
        "",
        "Value and gradient over three decades of size: the exponent p of time ~ n^p, between the two largest sizes and over all.",
        "",
    ]
    text += [
        "| | smallest (us) | largest (us) | exponent, last decade | memory at the largest (MB) |",
        "|---|---|---|---|---|",
    ]
    for name, (_, sizes) in CASES.items():
        found = []
        for n in sizes:
            done = subprocess.run([sys.executable, __file__, name, str(n)], capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
        times, memory = (np.array(v) for v in zip(*found, strict=True))
        exponent = np.log(times[-1] / times[-3]) / np.log(sizes[-1] / sizes[-3])
        text.append(f"| {name} | {times[0] * 1e6:.3g} | {times[-1] * 1e6:.3g} | {exponent:.2f} | {memory[-1]:.0f} |")
        left.loglog(sizes, times, marker=".", label=name)
        right.loglog(sizes, np.maximum(memory, 0.1), marker=".", label=name)
    left.set_ylabel("seconds")
    right.set_ylabel("memory (MB)")
    for ax in (left, right):
        ax.set_xlabel("size")
        ax.grid(alpha=0.3)
    left.legend(fontsize=7)
    path = Path(__file__).parent.parent / "docs" / "images" / "growth.svg"
    figure.savefig(path)
    return [*text, "", "![time and memory against size](images/growth.svg)", ""]


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2]))
