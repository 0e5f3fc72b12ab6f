"""The right gradient of a forward pass at one point: reverse mode in two precisions, differences, the complex step, subgradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import DerivativeError, InputError
from .slips import Recorded, largest, recorded

KINK = 1e-6  # how far around a point subgradients are looked for, relative to its size
ENTRIES = 400  # inputs up to this size are differenced entry by entry
NEARBY = 24  # points around a kink
TOGETHER = 60  # more entries than these, all on kinks, are looked at one by one

Arrays = dict[int, Any]


@dataclass
class Oracle:
    """An independent way to the derivative: how many comparisons, the largest relative difference, and where it does not apply."""

    name: str
    comparisons: int = 0
    worst: float = 0.0
    left_out: list[str] = field(default_factory=list[str])

    def compared(self, a: float, b: float) -> None:
        """One comparison more."""
        self.comparisons += 1
        self.worst = max(self.worst, abs(a - b) / (abs(a) + abs(b) + 1e-300) if a != b else 0.0)

    def __str__(self) -> str:
        agreed = f"{self.comparisons} comparisons, largest relative difference {self.worst:.1e}"
        left_out = f"({'; '.join(dict.fromkeys(self.left_out))})" if self.left_out else ""
        return " ".join(p for p in (agreed if self.comparisons else "not applied", left_out) if p)


@dataclass
class Oracles:
    """The three of them."""

    traced: Oracle = field(default_factory=lambda: Oracle("reverse mode of the traced forward pass"))
    differences: Oracle = field(default_factory=lambda: Oracle("central differences at two steps"))
    complex_step: Oracle = field(default_factory=lambda: Oracle("complex step"))


@dataclass
class Reference:
    """The gradients of sum(ct * forward) at one point.

    Attributes:
        gradients: by the position of the argument.
        noise: for each, how far reverse mode itself is from them in the precision of the arguments.
        size: for each, how large the terms are that add up to it, though they may cancel.
        hull: for each, the gradients found close by; None where the point is on no kink.
        graph: the traced forward pass, in double precision.
    """

    gradients: Arrays
    noise: dict[int, float]
    size: dict[int, float]
    hull: Callable[[int], Hull | None]
    graph: Recorded | None


def floating(x: Any) -> bool:
    """Whether an argument is differentiated."""
    return x.dtype.kind == "f"


def widened(args: list[Any], dtype: Any = np.float64) -> list[Any]:
    """The arguments with their floating-point ones in a precision."""
    return [a.astype(dtype) if floating(a) else a.copy() for a in args]


def reference(forward: Any, args: list[Any], ct: Any, wanted: list[int], oracles: Oracles) -> Reference:
    """The right gradients at a point, with what is known about how exact they are."""
    wide, wide_ct = widened(args), ct.astype(np.float64)
    graph = recorded(forward, wide, wanted)
    if graph is None:
        return _by_differences(forward, wide, wide_ct, wanted, oracles)
    double = graph.gradients(wide_ct)
    oracles.traced.comparisons += len(wanted)
    best = _exact(forward, args, wide_ct, wanted, double)
    own = double
    if args[wanted[0]].dtype != np.float64:
        narrow = recorded(forward, [a.copy() for a in args], wanted)
        own = narrow.gradients(ct) if narrow is not None else double
    _compare(forward, wide, wide_ct, wanted, double, oracles)
    noise = {k: _distance(own[k], best[k]) for k in wanted}
    size = {k: max(largest(best[k]), graph.size(wide_ct, k)) for k in wanted}
    near: list[Arrays] = []

    def hull(k: int) -> Hull | None:
        if not near:
            near.extend(_nearby(forward, wide, wide_ct, wanted, NEARBY, 1))

        def more(count: int) -> list[Any]:
            return [n[k] for n in _nearby(forward, wide, wide_ct, wanted, count, 2)]

        return _kink([n[k] for n in near], more, bool(np.all(np.isfinite(best[k]))))

    return Reference(best, noise, size, hull, graph)


def _exact(forward: Any, args: list[Any], ct: Any, wanted: list[int], double: Arrays) -> Arrays:
    """The gradients in extended precision where the forward pass takes it, in double precision elsewhere."""
    extended = recorded(forward, widened(args, np.longdouble), wanted)
    if extended is None:
        return double
    try:
        found = extended.gradients(ct.astype(np.longdouble))
    except (TypeError, ValueError):
        return double
    return {k: _chosen(np.asarray(found[k], np.float64), double[k]) for k in wanted}


def _chosen(extended: Any, double: Any) -> Any:
    return np.where(np.isfinite(extended), extended, double) if extended.shape == double.shape else double


def _distance(a: Any, b: Any) -> float:
    """The largest difference; infinite where the first is not finite and the second is."""
    if np.any(~np.isfinite(a) & np.isfinite(b)):
        return float("inf")
    both = np.isfinite(a) & np.isfinite(b)
    return largest(np.where(both, a, 0) - np.where(both, b, 0))


# ---- kinks ---------------------------------------------------------------------------------------------------------


@dataclass
class Hull:
    """The gradients close to a kink: between which values each entry lies, and which entries change together."""

    low: Any
    high: Any
    together: Any  # rows that span how they differ, where enough of them were found

    def holds(self, g: Any, slack: float) -> bool:
        """Whether a gradient is among them: between them entry by entry (where any is finite), and in their affine hull."""
        margin = slack + 1e-4 * (1 + np.fmax(np.abs(self.high), np.abs(self.low)))
        between = ((g >= self.low - margin) & (g <= self.high + margin)) | np.isnan(self.low)
        if not np.all(between) or self.together is None:
            return bool(np.all(between))
        middle = (self.low + self.high) / 2 if not len(self.together) else self.together[0]
        apart = (g - middle).reshape(-1)
        basis = self.together[1:].reshape(len(self.together) - 1, -1)
        rest = apart - basis.T @ (basis @ apart)
        return bool(np.all(np.abs(rest) <= 10 * margin.reshape(-1)))


def _nearby(forward: Any, wide: list[Any], ct: Any, wanted: list[int], count: int, seed: int) -> list[Arrays]:
    """The gradients at points close by."""
    rng = np.random.default_rng(seed)
    found: list[Arrays] = []
    for _ in range(count):
        moved = list(wide)
        for j in wanted:
            step = KINK * (1 + np.abs(wide[j])) * rng.uniform(0.5, 1, wide[j].shape)
            moved[j] = wide[j] + step * rng.choice([-1.0, 1.0], wide[j].shape)
        graph = recorded(forward, moved, wanted)
        if graph is not None:
            found.append(graph.gradients(ct))
    return found


def _kink(near: list[Any], more: Callable[[int], list[Any]], known: bool) -> Hull | None:
    """The hull of the gradients close by; None where they are all about the same, and the gradient is known."""
    if not near:
        return None
    stacked = np.where(np.isfinite(near), near, np.nan)
    low, high = np.fmin.reduce(stacked), np.fmax.reduce(stacked)
    size = 1 + np.nanmax(np.abs(high), initial=0.0)
    changing = int(np.sum(high - low > 1e3 * KINK * size))
    if not changing:
        return None if known else Hull(low, high, None)
    if changing > TOGETHER or np.any(np.isnan(stacked)):
        return Hull(low, high, None)
    stacked = np.array([*near, *more(2 * changing)])
    low, high = np.minimum.reduce(stacked), np.maximum.reduce(stacked)
    middle = stacked.mean(0)
    _, sizes, rows = np.linalg.svd((stacked - middle).reshape(len(stacked), -1), full_matrices=False)
    kept = rows[sizes > 1e3 * KINK * size]
    return Hull(low, high, np.concatenate([middle[None], kept.reshape(-1, *middle.shape)]))


# ---- independent oracles -----------------------------------------------------------------------------------------------


def _compare(forward: Any, wide: list[Any], ct: Any, wanted: list[int], found: Arrays, oracles: Oracles) -> None:
    """Directional derivatives by differences and by the complex step, beside those of reverse mode."""
    phi = _phi(forward, ct)
    rng = np.random.default_rng(0)
    for k in wanted:
        v = rng.standard_normal(wide[k].shape) * (largest(wide[k]) or 1.0)
        slope = float(np.sum(found[k] * v))
        _compare_differences(phi, wide, k, v, slope, oracles.differences)
        _compare_complex_step(forward, wide, ct, k, v, slope, oracles.complex_step)


def _compare_differences(phi: Any, wide: list[Any], k: int, v: Any, slope: float, oracle: Oracle) -> None:
    h = 1e-4
    values = [_along(phi, wide, k, v, s) for s in (h, h / 2)]
    best = (4 * values[1] - values[0]) / 3
    scale = abs(slope) + abs(best) + 1e-300
    here = phi(wide)
    gaps = [abs(phi(_moved(wide, k, s * v)) + phi(_moved(wide, k, -s * v)) - 2 * here) / s for s in (h, h / 2)]
    on_a_kink = gaps[1] > 0.75 * gaps[0] and gaps[1] > 1e-5 * scale
    if not np.isfinite(best + slope) or abs(values[0] - values[1]) > 1e-3 * scale or on_a_kink:
        oracle.left_out.append("near a kink, or where the values end, differences mean nothing")
        return
    rounding = 1e-11 * (abs(here) + scale) / h
    if abs(best - slope) <= 1e-2 * scale + rounding:
        oracle.compared(best, slope)
    elif abs(_along(phi, wide, k, v, h / 16) - best) <= 1e-2 * scale + 16 * rounding:
        raise DerivativeError(
            f"the derivative of the forward pass is {slope:.6g} by reverse mode and {best:.6g} by differences",
            "nothing can be judged by it: does it stop gradients, or keep a state?",
        )


def _compare_complex_step(forward: Any, wide: list[Any], ct: Any, k: int, v: Any, slope: float, oracle: Oracle) -> None:
    try:
        moved = [w.astype(complex) if floating(w) else w for w in wide]
        moved[k] = wide[k] + 1e-20j * v
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is thrown away
            out: Any = np.asarray(forward(*moved))
        if out.dtype.kind != "c":
            raise TypeError
        step = float(np.sum(ct * out.imag) / 1e-20)
    except Exception:  # whatever a function raises that was not written for complex numbers
        oracle.left_out.append("the forward pass does not take complex numbers")
        return
    if abs(step - slope) <= 1e-6 * abs(slope):
        oracle.compared(step, slope)
    else:
        oracle.left_out.append("the forward pass is not analytic")


def _phi(forward: Any, ct: Any) -> Callable[[list[Any]], float]:
    def phi(xs: list[Any]) -> float:
        out = np.asarray(forward(*(x.copy() for x in xs)), np.float64)
        return float(np.sum(np.where(ct == 0, 0.0, ct * out)))

    return phi


def _moved(xs: list[Any], k: int, step: Any) -> list[Any]:
    return [x + step if j == k else x for j, x in enumerate(xs)]


def _along(phi: Any, xs: list[Any], k: int, v: Any, h: float) -> float:
    return (phi(_moved(xs, k, h * v)) - phi(_moved(xs, k, -h * v))) / (2 * h)


def _by_differences(forward: Any, wide: list[Any], ct: Any, wanted: list[int], oracles: Oracles) -> Reference:
    """The gradients of a forward pass that cannot be traced, entry by entry, and from either side."""
    oracles.traced.left_out.append("the forward pass is not NumPy code that can be traced")
    if sum(wide[k].size for k in wanted) > ENTRIES:
        raise InputError(
            "the forward pass cannot be traced, and its inputs are too large to be differenced entry by entry",
            f"pass inputs of at most {ENTRIES} entries in all",
        )
    phi = _phi(forward, ct)
    sides = {k: _sides(phi, wide, k) for k in wanted}
    oracles.differences.comparisons += len(wanted)
    gradients = {k: central for k, (central, _, _) in sides.items()}
    size = {k: largest(g) for k, g in gradients.items()}

    def hull(k: int) -> Hull | None:
        _, left, right = sides[k]
        apart = np.abs(left - right) > 1e-3 * (1 + np.maximum(np.abs(left), np.abs(right)))
        return Hull(np.fmin(left, right), np.fmax(left, right), None) if np.any(apart) else None

    return Reference(gradients, dict.fromkeys(wanted, 0.0), size, hull, None)


def _sides(phi: Any, xs: list[Any], k: int) -> tuple[Any, Any, Any]:
    """Differences of fourth order around every entry, and of second order to its left and its right."""
    found = np.full((3, *xs[k].shape), np.nan)
    here = phi(xs)
    for at in np.ndindex(*xs[k].shape):
        v = np.zeros(xs[k].shape)
        v[at] = 1.0
        h = 1e-3 * max(1.0, abs(float(xs[k][at])))
        right, left = ([(phi(_moved(xs, k, s * t * v)) - here) / (s * t) for t in (h, h / 2)] for s in (1, -1))
        found[(0, *at)] = (4 * (right[1] + left[1]) - (right[0] + left[0])) / 6
        found[(1, *at)], found[(2, *at)] = 2 * left[1] - left[0], 2 * right[1] - right[0]
    return found[0], found[1], found[2]
