"""The schedule in words: what became one loop, what it moves and computes, and how near the machine's limits it runs."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np

from ...ir.op import Op
from ...ops.conversion import cast
from .index import count
from .memory import Buffer
from .nests import Nest
from .program import NativeProgram
from .steps import CallStep, CopyStep, FillStep, ProductStep, ScanStep


@functools.cache
def limits() -> tuple[float, float]:
    """Bytes a second of a large copy, and operations a second of a large product in float32, on this machine."""
    a, b = np.ones(1 << 24, np.uint8), np.empty(1 << 24, np.uint8)
    m = np.ones((512, 512), np.float32)

    def best(f: Any) -> float:
        f()
        times: list[float] = []
        for _ in range(5):
            start = time.perf_counter()
            f()
            times.append(time.perf_counter() - start)
        return min(times)

    return 2 * a.nbytes / best(lambda: np.copyto(b, a)), 2 * 512**3 / best(lambda: m @ m)


def _size(n: float, unit: str) -> str:
    for step, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= step:
            return f"{n / step:.3g} {prefix}{unit}"
    return f"{n:.0f} {unit}"


def _name(b: Buffer) -> str:
    return {"input": "in", "output": "out", "constant": "const", "temporary": "tmp"}[b.role] + str(b.number)


def lines(steps: list[Any], depth: int = 0) -> tuple[list[str], float, float]:
    """A line for each step, and the bytes and operations of all."""
    text: list[str] = []
    moved = work = 0.0
    for s in steps:
        if isinstance(s, Nest):
            n = 0 if s.empty else count(s.lengths)
            names = [e.kind.name for e in s.order if isinstance(e.kind, Op) and e.kind is not cast]
            done = {k: names.count(k) for k in dict.fromkeys(names)}
            b = float(sum(x.bytes for x in s.buffers()))
            w = float(n * len(names))
            what = ", ".join(k if c == 1 else f"{c} {k}" for k, c in done.items()) or "copy"
            made = ", ".join(f"{_name(x)}{'' if mode == 'store' else f' ({mode})'}" for _, x, _, mode, _ in s.results)
            line = f"loop over {'×'.join(map(str, s.lengths)) or 'one entry'}: {what} -> {made}"
        elif isinstance(s, ProductStep):
            m, k, n = s.sizes
            b = float(s.a.buffer.bytes + s.b.buffer.bytes + s.c.buffer.bytes)
            w = 2.0 * count(s.batch) * m * k * n
            batch = f"{count(s.batch)} times " if s.batch else ""
            line = f"product {batch}{m}×{k} @ {k}×{n} -> {_name(s.c.buffer)}"
        elif isinstance(s, ScanStep):
            inner, ib, iw = lines(s.body.steps, depth + 1)
            times = s.length if s.length > 0 else 1
            text += [f"{'  ' * depth}{f'{times:,} times' if s.length >= 0 else 'while the condition holds'}:", *inner]
            moved, work = moved + ib * times, work + iw * times
            continue
        elif isinstance(s, CallStep):
            b, w = float(sum(v.buffer.bytes for v in s.views())), 0.0
            made = ", ".join(map(_name, s.writes()))
            line = f"{s.words()} -> {made}"
        elif isinstance(s, (CopyStep, FillStep)):
            b, w = float(s.target.bytes if isinstance(s, CopyStep) else s.buffer.bytes), 0.0
            line = (
                f"copy -> {_name(s.target)}" if isinstance(s, CopyStep) else f"fill {_name(s.buffer)} with {s.value:g}"
            )
        else:
            continue
        moved, work = moved + b, work + w
        text.append(f"{'  ' * depth}{line}  [{_size(b, 'B')}, {_size(w, 'op')}]")
    return text, moved, work


def report(program: NativeProgram) -> str:
    """The whole schedule, with the time of a run beside what the machine's memory and products would need at least."""
    text, moved, work = lines(program.plan.steps)
    inputs = [np.ones(b.shape, b.dtype) for b in program.plan.inputs]
    times: list[float] = []
    with np.errstate(all="ignore"):
        for _ in range(5):
            start = time.perf_counter()
            program([x.copy() for x in inputs])
            times.append(time.perf_counter() - start)
    bandwidth, speed = limits()
    least = max(moved / bandwidth, work / speed)
    took = min(times)
    return "\n".join(
        [
            *text,
            f"workspace {_size(program.workspace, 'B')}; moved {_size(moved, 'B')}, {_size(work, 'op')}",
            f"a run took {took * 1e6:,.1f} us; at {_size(bandwidth, 'B/s')} and {_size(speed, 'op/s')} it needs {least * 1e6:,.1f} us at least: "
            f"{100 * min(least / took, 1):.0f} % of the roofline",
        ]
    )
