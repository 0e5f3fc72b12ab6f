"""Run the benchmark: every library in a process of its own, in turn, medians; refuses a row whose results disagree.

    python bench/run.py [row ...]

Writes docs/benchmarks.md when all rows are run.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import adbench
import growth
import numpy as np
import rows_native
import rows_networks
from checkpointing import table as checkpointing
from explaining import table as explaining
from rows import ROWS

REGISTERED = rows_native, rows_networks, adbench  # importing them has added their rows
ROUNDS = int(os.environ.get("ROUNDS", "3"))
MODULES = {"jax jit": "jax", "torch eager": "torch", "autograd": "autograd"}


def measure(name: str, implementation: str) -> None:
    """In a child: time one implementation of one row, and print what it found."""
    _, make, repeats = ROWS[name]
    call, result = make()[implementation]()
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    check = [float(np.linalg.norm(np.asarray(x, float))) for x in result()] if result is not None else None
    number = max(1, min(repeats, int(0.02 / max(first, 1e-7))))
    times = []
    for _ in range(max(3, repeats // number)):
        start = time.perf_counter()
        for _ in range(number):
            call()
        times.append((time.perf_counter() - start) / number)
    print(json.dumps({"median": statistics.median(times), "first": first, "check": check}))


def child(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout.splitlines()[-1]


def compare(name: str) -> dict[str, float]:
    """The median of each implementation, in turn."""
    _, make, _ = ROWS[name]
    found: dict[str, list[dict]] = {}
    for _ in range(ROUNDS):
        for implementation in make():
            if importlib.util.find_spec(MODULES.get(implementation, "numpy")) is None:
                continue
            found.setdefault(implementation, []).append(json.loads(child(__file__, "--one", name, implementation)))
    checks = {k: v[0]["check"] for k, v in found.items() if v[0]["check"] is not None}
    reference = next(iter(checks.values()))
    for k, check in checks.items():
        if not np.allclose(check, reference, rtol=2e-3):
            raise SystemExit(f"{name}: the results of {k} disagree: {check}, {reference}")
    FIRST[name] = {k: statistics.median(r["first"] for r in v) for k, v in found.items()}
    return {k: statistics.median(r["median"] for r in v) for k, v in found.items()}


FIRST: dict[str, dict[str, float]] = {}


def imports() -> dict[str, float]:
    """How long `import x` takes, the start of Python taken off."""
    modules = [m for m in ("numpy", "chainrule", "autograd", "jax", "torch") if importlib.util.find_spec(m)]
    times: dict[str, list[float]] = {m: [] for m in ("", *modules)}
    for _ in range(4 * ROUNDS):
        for m in times:
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {m}" if m else ""], check=True)
            times[m].append(time.perf_counter() - start)
    bare = statistics.median(times.pop(""))
    return {m: statistics.median(t) - bare for m, t in times.items()}


MEMORY = """
import tracemalloc, chainrule as cr
n = 100_000
def chain(x):
    for _ in range(n):
        x = x * 0.999 + 0.001
    return x
cr.vjp(lambda x: x * x, 0.5)
tracemalloc.start()
out, pullback = cr.vjp(chain, 0.5)
print(tracemalloc.get_traced_memory()[0] / (2 * n))
"""

MILLION = """
import time, chainrule as cr
def chain(x):
    for _ in range(500_000):
        x = x * 0.999 + 0.001
    return x
start = time.perf_counter()
cr.grad(chain)(0.5)
print(time.perf_counter() - start)
"""

EXPLAIN = """
import time, chainrule as cr, statistics
cr.explain("x + y")
times = []
for _ in range(9):
    start = time.perf_counter()
    e = cr.explain("(x + s(y)) / (s(x) + (x + y)^2)", x=3, y=-4)
    str(e), e.draw().svg
    times.append(time.perf_counter() - start)
print(statistics.median(times))
"""


def table(title: str, times: dict[str, float], unit: float, first: dict[str, float] | None = None) -> list[str]:
    """The medians, best first; the first call, which traces and compiles, apart."""
    ours = next(v for k, v in times.items() if k.startswith("chainrule"))
    head = "| | median | relative to chainrule |" + (" first call (s) |" if first else "")
    lines = [f"## {title}", "", head, "|---|---|---|" + ("---|" if first else "")]
    for k, v in sorted(times.items(), key=lambda kv: kv[1]):
        lines.append(f"| {k} | {v * unit:.4g} | {v / ours:.2f} |" + (f" {first[k]:.3f} |" if first else ""))
    return [*lines, ""]


def main(names: list[str]) -> None:
    lines: list[str] = []
    for name in names or ROWS:
        title = ROWS[name][0]
        before = len(lines)
        lines += table(title, compare(name), 1e6 if "(us)" in title else 1, FIRST[name])
        print("\n".join(lines[before:]), flush=True)
    if names:
        return
    lines += [*checkpointing(), *explaining(), ""]
    lines += growth.lines()
    lines += table("import (ms), the start of Python taken off", imports(), 1e3)
    lines += [
        "## Sizes",
        "",
        f"- memory for each node of a scalar graph: {float(child('-c', MEMORY)):.0f} bytes",
        "- peak memory of training 784-512-512-10, batch 128, 30 steps, beyond the imports: "
        + ", ".join(f"{k} {float(child('-c', rows_networks.MEMORY, k)):.0f} MB" for k in ("chainrule", "torch")),
        f"- a chain of 1,000,000 nodes, built and differentiated: {float(child('-c', MILLION)):.1f} s",
        f"- `explain` of D4d with its program, table and drawing, after the first call: {float(child('-c', EXPLAIN)) * 1e3:.0f} ms",
        "",
    ]
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    head = [
        "# Benchmarks",
        "",
        f"Measured on {datetime.date.today()} by `make bench` on {os.cpu_count()} cores of {processor}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}. Each library in a process of its own, in turn, {ROUNDS} rounds, medians. "
        "A row is refused when the results of two libraries disagree.",
        "",
    ]
    path = Path(__file__).parent.parent / "docs" / "benchmarks.md"
    path.write_text("\n".join([*head, *lines]), encoding="utf-8")
    print("\n".join(lines[-16:]))
    print(f"wrote {path}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(*sys.argv[2:])
    else:
        main(sys.argv[1:])
