"""Checking a backward pass written by hand: right or wrong, and if wrong, the likeliest slip."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ChainruleError, InputError
from ..trace.calls import parameters
from .slips import Recorded, likeliest_slip, recorded

KINK = 1e-6  # how far around a point subgradients are looked for, relative to its size
ENTRIES = 400  # inputs up to this size are differenced entry by entry


@dataclass
class Finding:
    """What was found for one input, on one set of shapes: the error relative to the gradient's size, and the likeliest slip."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    error: float
    slip: str


@dataclass
class Oracle:
    """An independent way to the derivative: how many comparisons, the largest relative difference, and where it does not apply."""

    name: str
    comparisons: int = 0
    worst: float = 0.0
    left_out: list[str] = field(default_factory=list)


class BackwardReport:
    """The verdict on a backward pass. It is true where the pass is right; `str` says what is wrong.

    Attributes:
        findings: one for each input and set of shapes that is wrong.
        tried: the sets of shapes and dtypes that were tried.
    """

    def __init__(self, findings: list[Finding], tried: list[str], oracles: list[Oracle]) -> None:
        self.findings, self.tried, self.oracles = findings, tried, oracles

    def __bool__(self) -> bool:
        return not self.findings

    def certificate(self) -> dict[str, str]:
        """What was tried; which independent oracles agreed with each other, how far, and where one does not apply."""
        found = {"tried": "; ".join(self.tried)}
        for o in self.oracles:
            agreed = f"{o.comparisons} comparisons, largest relative difference {o.worst:.1e}" if o.comparisons else ""
            left_out = f"({'; '.join(dict.fromkeys(o.left_out))})" if o.left_out else ""
            found[o.name] = " ".join(p for p in (agreed or "not applied", left_out) if p)
        return found

    def __str__(self) -> str:
        if self:
            return f"right: the backward pass agrees on {len(self.tried)} sets of shapes and dtypes"
        lines = ["wrong:"]
        seen: set[tuple[str, str]] = set()
        for f in self.findings:
            if (f.name, f.slip) not in seen:
                seen.add((f.name, f.slip))
                lines.append(f"  gradient of {f.name}: {f.slip} (shapes {', '.join(map(str, f.shapes))}, {f.dtype})")
        return "\n".join(lines)

    __repr__ = __str__


def check_backward(
    forward: Callable[..., Any], backward: Any = None, args: Sequence[Any] = (), *, seed: int = 0
) -> BackwardReport:
    """Check a backward pass written by hand against independent derivatives of its forward pass.

    Args:
        forward: a NumPy function of the arguments returning an array; a `torch.autograd.Function`, or a `jax.custom_vjp`
            function, which bring their own backward pass.
        backward: a function of (cotangent, *args) returning a gradient for each argument (None for one without).
        args: the arguments at which to check; floating-point arrays are differentiated. The first (with those of
            its shape) is also tried with one and two further axes in front, and everything in float32, where both passes accept
            that.
        seed: of the random cotangents. (An all-ones cotangent, which hides errors in normalisation layers, is not enough.)

    Returns:
        a `BackwardReport`, which is true if the pass is right. At kinks and ties every subgradient is right.

    >>> import numpy as np
    >>> def forward(x, W):
    ...     return np.tanh(x @ W)
    >>> def backward(ct, x, W):
    ...     dz = ct * (1 - np.tanh(x @ W) ** 2)
    ...     return dz @ W, x.T @ dz
    >>> print(check_backward(forward, backward, (np.ones((2, 3)), np.eye(3) + 0.1 * np.arange(9).reshape(3, 3))))
    wrong:
      gradient of x: the transpose of a factor is missing: ... (shapes (2, 3), (3, 3), float64)
    """
    forward, backward = _given(forward, backward)
    arrays = [np.asarray(a) for a in args]
    if not any(a.dtype.kind == "f" for a in arrays):
        raise InputError(
            "check_backward: no argument is floating point", "pass arrays of floats, for instance args=(x, W)"
        )
    names = [*parameters(forward), *(f"argument {k}" for k in range(len(arrays)))][: len(arrays)]
    oracles = [
        Oracle("reverse mode of the traced forward pass"),
        Oracle("central differences at two steps"),
        Oracle("complex step"),
    ]
    findings: list[Finding] = []
    tried: list[str] = []
    for trial, given in enumerate(_variants(arrays, forward, seed)):
        rng = np.random.default_rng([seed, trial, 7919])  # not the numbers that the arguments may have been drawn from
        try:
            found = _checked(forward, backward, given, names, rng, oracles)
        except _Fails as error:
            if trial >= 2:
                continue  # a backward pass may be meant for fewer axes than its forward pass happens to take
            found = [Finding("every input", _shapes(given), given[0].dtype.name, np.inf, str(error))]
        tried.append(
            f"{', '.join(str(a.shape) for a in given)} {next(a.dtype.name for a in given if a.dtype.kind == 'f')}"
        )
        findings += found
    return BackwardReport(findings, tried, oracles)


def _given(forward: Any, backward: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward and backward as functions of NumPy arrays."""
    if backward is not None:
        return forward, backward
    if inspect.isclass(forward) and hasattr(forward, "apply"):
        return _torch_function(forward)
    if type(forward).__module__.startswith("jax"):
        return _jax_function(forward)
    raise InputError(
        "check_backward got no backward pass",
        "pass a function of (cotangent, *args), a torch.autograd.Function or a jax.custom_vjp function",
    )


def _torch_function(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    import torch  # pyright: ignore[reportMissingImports]

    def forward(*xs: Any) -> Any:
        return function.apply(*(torch.tensor(x) for x in xs)).detach().numpy()

    def backward(ct: Any, *xs: Any) -> Any:
        given = [torch.tensor(x, requires_grad=np.asarray(x).dtype.kind == "f") for x in xs]
        function.apply(*given).backward(torch.tensor(ct))
        return [None if x.grad is None else x.grad.numpy() for x in given]

    forward.__signature__ = _named(function.forward, 1)  # type: ignore[attr-defined]
    return forward, backward


def _jax_function(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    import jax  # pyright: ignore[reportMissingImports]

    def forward(*xs: Any) -> Any:
        with jax.enable_x64(True):
            return np.asarray(function(*xs))

    def backward(ct: Any, *xs: Any) -> Any:
        with jax.enable_x64(True):
            _, pullback = jax.vjp(function, *xs)
            return [np.asarray(g) for g in pullback(jax.numpy.asarray(ct))]

    forward.__signature__ = _named(getattr(function, "fun", function), 0)  # type: ignore[attr-defined]
    return forward, backward


def _named(f: Any, skip: int) -> inspect.Signature:
    kept = list(inspect.signature(f).parameters)[skip:]
    return inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in kept])


def _variants(arrays: list[Any], forward: Callable[..., Any], seed: int) -> list[list[Any]]:
    """The arguments as given, in both precisions, and with axes in front of the first where the forward pass takes that."""
    rng = np.random.default_rng(seed)
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    found = [wide, [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]]
    first = next(k for k, a in enumerate(arrays) if a.dtype.kind == "f")
    base = np.shape(forward(*wide))
    for lead in ((2,), (2, 3)):
        if wide[first].ndim + len(lead) > 4:
            continue
        more = list(wide)
        for k, a in enumerate(wide):
            if a.shape == wide[first].shape and a.dtype.kind == "f":
                more[k] = a + rng.standard_normal((*lead, *a.shape)) * 0.3 * (1 + np.abs(a))
        try:
            shape = np.shape(forward(*more))
        except Exception:  # the forward pass does not take this shape
            continue
        if len(shape) == len(base) + len(lead) and shape[: len(lead)] == lead:
            found.append(more)
    return found


# ---- one set of arguments ----------------------------------------------------------------------------------------------


class _Fails(Exception):
    """The backward pass raises."""


def _checked(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    args: list[Any],
    names: list[str],
    rng: Any,
    oracles: list[Oracle],
) -> list[Finding]:
    out = np.asarray(forward(*args))
    ct = rng.standard_normal(out.shape).astype(out.dtype)
    wanted = [k for k, a in enumerate(args) if a.dtype.kind == "f"]
    reference, graph = _reference(forward, args, ct, wanted, oracles)
    try:
        given = backward(ct, *(a.copy() for a in args))
    except ChainruleError:
        raise
    except Exception as error:
        raise _Fails(f"the backward pass fails: {type(error).__name__}: {error}") from None
    given = list(given) if isinstance(given, (tuple, list)) else [given]
    if len(given) == len(wanted) != len(args):
        by_input = dict(zip(wanted, given, strict=True))
    elif len(given) == len(args):
        by_input = dict(enumerate(given))
    else:
        return [
            Finding(
                "every input",
                _shapes(args),
                out.dtype.name,
                np.inf,
                f"{len(given)} gradients are returned for {len(args)} arguments",
            )
        ]
    findings: list[Finding] = []
    for k in wanted:
        g, r = by_input[k], reference[k]
        slip, error = _judged(g, r, forward, args, k, ct, graph, wanted)
        if slip:
            findings.append(Finding(names[k], _shapes(args), args[k].dtype.name, error, slip))
    return findings


def _shapes(args: list[Any]) -> tuple[tuple[int, ...], ...]:
    return tuple(a.shape for a in args)


def _reference(
    forward: Any, args: list[Any], ct: Any, wanted: list[int], oracles: list[Oracle]
) -> tuple[dict[int, Any], Any]:
    """The gradients of sum(ct * forward) in float64, and the traced graph where there is one; the oracles compared."""
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in args]
    traced, differences, complex_step = oracles
    graph = recorded(forward, wide, wanted)

    def phi(xs: list[Any]) -> float:
        return float(np.sum(ct.astype(np.float64) * np.asarray(forward(*xs), np.float64)))

    if graph is None:
        traced.left_out.append("the forward pass is not NumPy code that can be traced")
        small = sum(args[k].size for k in wanted) <= ENTRIES
        if not small:
            raise InputError(
                "the forward pass cannot be traced, and its inputs are too large to be differenced entry by entry",
                f"pass inputs of at most {ENTRIES} entries in all",
            )
        found = {k: _differenced(phi, wide, k) for k in wanted}
        differences.comparisons += len(wanted)
        return found, None
    found = graph.gradients(ct.astype(np.float64))
    traced.comparisons += len(wanted)
    rng = np.random.default_rng(0)
    for k in wanted:
        v = rng.standard_normal(wide[k].shape)
        slope = float(np.sum(found[k] * v))
        values = [_along(phi, wide, k, v, h) for h in (1e-4, 5e-5)]
        best = (4 * values[1] - values[0]) / 3
        scale = abs(slope) + abs(best) + 1e-12
        if abs(values[0] - values[1]) > 1e-3 * scale:
            differences.left_out.append("near a kink, where differences mean nothing")
        else:
            differences.comparisons += 1
            differences.worst = max(differences.worst, abs(best - slope) / scale)
        try:
            moved = [w.astype(complex) for w in wide]
            moved[k] = wide[k] + 1e-20j * v
            with np.errstate(all="ignore"):
                out: Any = np.asarray(forward(*moved))
            if out.dtype.kind != "c":
                raise TypeError
            step = float(np.sum(ct * out.imag) / 1e-20)
        except Exception:
            complex_step.left_out.append("the forward pass does not take complex numbers")
            continue
        if abs(step - slope) <= 1e-6 * (abs(slope) + 1e-12):
            complex_step.comparisons += 1
            complex_step.worst = max(complex_step.worst, abs(step - slope) / (abs(slope) + 1e-12))
        else:
            complex_step.left_out.append("the forward pass is not analytic")
    return found, graph


def _along(phi: Any, xs: list[Any], k: int, v: Any, h: float) -> float:
    def at(t: float) -> float:
        moved = list(xs)
        moved[k] = xs[k] + t * v
        return phi(moved)

    return (at(h) - at(-h)) / (2 * h)


def _differenced(phi: Any, xs: list[Any], k: int) -> Any:
    """Central differences of fourth order, entry by entry."""
    found = np.zeros(xs[k].shape)
    for at in np.ndindex(*xs[k].shape):
        v = np.zeros(xs[k].shape)
        v[at] = 1.0
        h = 1e-3 * max(1.0, abs(float(xs[k][at])))
        found[at] = (4 * _along(phi, xs, k, v, h / 2) - _along(phi, xs, k, v, h)) / 3
    return found


def _judged(
    g: Any, r: Any, forward: Any, args: list[Any], k: int, ct: Any, graph: Recorded | None, wanted: list[int]
) -> tuple[str, float]:
    """The likeliest slip (empty if the gradient is right), and the relative error."""
    if g is None:
        return ("", 0.0) if not np.any(r) else ("no gradient is returned", np.inf)
    g = np.asarray(g, np.float64)
    scale = float(np.max(np.abs(r), initial=0.0))
    if graph is not None:
        scale = max(scale, graph.size(ct.astype(np.float64), k))
    scale = scale or 1.0
    tolerance = _tolerance(args[k].dtype, graph, r)
    if g.shape == r.shape:
        error = float(np.max(np.abs(g - r), initial=0.0)) / scale
        if error <= tolerance or (
            graph is not None and _subgradient(g, forward, args, k, ct, wanted, tolerance * scale)
        ):
            return "", error
        if not np.all(np.isfinite(g)) and np.all(np.isfinite(r)):
            return "it is not finite", np.inf
    else:
        error = np.inf

    def close(a: Any) -> bool:
        return np.shape(a) == r.shape and float(np.max(np.abs(a - r), initial=0.0)) <= 10 * tolerance * scale

    return likeliest_slip(
        g, r, args, k, ct, graph, close
    ) or f"it differs by {error:.1e} of its size, and no single slip explains it", error


def _tolerance(dtype: Any, graph: Recorded | None, r: Any) -> float:
    """From the precision and the number of operations behind an entry; differences alone are less exact."""
    if graph is None:
        return 1e-6 if dtype == np.float64 else 1e-3
    work = sum(max(1, n.values[0].size if hasattr(n.values[0], "size") else 1) for n in graph.graph.nodes)
    return 32 * float(np.finfo(dtype).eps) * float(np.sqrt(work) + 8)


def _subgradient(g: Any, forward: Any, args: list[Any], k: int, ct: Any, wanted: list[int], slack: float) -> bool:
    """Whether the gradient lies between those found close by: at a kink or a tie every one of them is right."""
    rng = np.random.default_rng(1)
    low: Any = None
    high: Any = None
    for _ in range(24):
        moved = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in args]
        for j in wanted:
            moved[j] = moved[j] + KINK * (1 + np.abs(moved[j])) * rng.choice([-1.0, 1.0], moved[j].shape) * rng.uniform(
                0.5, 1, moved[j].shape
            )
        near = recorded(forward, moved, wanted)
        if near is None:
            return False
        found = near.gradients(ct.astype(np.float64))[k]
        low = found if low is None else np.minimum(low, found)
        high = found if high is None else np.maximum(high, found)
    spread = float(np.max(np.abs(high - low), initial=0.0))
    if spread < 1e3 * KINK * (1 + float(np.max(np.abs(high), initial=0.0))):
        return False  # no kink here
    margin = slack + 1e2 * KINK * (1 + np.abs(high))
    return bool(np.all((g >= low - margin) & (g <= high + margin)))
