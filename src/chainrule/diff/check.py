"""Checking derivatives: forward mode, reverse mode and finite differences against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DerivativeError
from ..trace.calls import check_differentiable, name_of, parameters
from ..trace.handles import dtype_of, plain
from ..trace.tree import flatten, paths, unflatten
from .transforms import jvp, vjp


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    directions: int = 2,
) -> None:
    """Check the derivatives of `f` at a point, up to an order, in both modes.

    Forward mode is compared with central differences of fourth order along random directions, reverse mode with
    forward mode through random cotangents; derivatives of derivatives likewise.

    Args:
        f: a function of floating-point arguments.
        args: the point, one entry for each argument.
        order: how many times to differentiate.
        rtol, atol: tolerances relative to the size of the derivative, and absolute; from the dtype when left out.
        seed: of the random directions.
        directions: how many of them.

    Raises:
        DerivativeError: a derivative disagrees; the message names the input, its entry, both numbers and the order.

    >>> check_grads(lambda x: x**3, (2.0,), order=2)
    """
    args = tuple(args)
    names = list(parameters(f))
    labels = [names[k] if k < len(names) else f"argument {k}" for k in range(len(args))]
    for name, a in zip(labels, args, strict=True):
        check_differentiable(a, name)
    single = any(dtype_of(x) == np.float32 for a in args for x in flatten(a)[0])
    tolerance = (rtol or (2e-2 if single else 1e-5), atol or (1e-2 if single else 1e-6))
    _check(f, args, order, 1, labels, tolerance, np.random.default_rng(seed), directions, name_of(f))


def _check(
    f: Any,
    args: Any,
    order: int,
    at: int,
    labels: list[str],
    tolerance: tuple[float, float],
    rng: Any,
    directions: int,
    name: str,
) -> None:
    flat, treedef = flatten(args)
    places = [p for label, a in zip(labels, args, strict=True) for p in paths(a, label)]
    for _ in range(directions):
        v = [_random(rng, x) for x in flat]
        out, tangent = jvp(f, args, unflatten(treedef, v))
        ts, outs = flatten(tangent)[0], flatten(out)[0]
        numeric = _difference(f, flat, treedef, v)
        if not _close(ts, numeric, tolerance):
            _locate(f, flat, treedef, places, tolerance, at, name, "forward mode")
            raise DerivativeError(
                f"{name}: the derivative of order {at} disagrees along a random direction: forward mode {_shown(ts)}, differences {_shown(numeric)}",
                "check the rule of the operation that it uses, or whether the point lies on a kink",
            )
        u = [_random(rng, o) if dtype_of(o).kind in "fc" else np.zeros(np.shape(o)) for o in outs]
        _, pullback = vjp(f, *args)
        back = flatten(pullback(unflatten(flatten(out)[1], u)))[0]
        left = sum(float(np.vdot(a, t)) for a, t in zip(u, ts, strict=True))
        right = sum(float(np.vdot(b, w)) for b, w in zip(back, v, strict=True))
        scale = sum(float(np.vdot(np.abs(b), np.abs(w))) for b, w in zip(back, v, strict=True))
        if not abs(left - right) <= tolerance[1] + tolerance[0] * max(abs(left), scale):
            _locate(f, flat, treedef, places, tolerance, at, name, "reverse mode")
            raise DerivativeError(
                f"{name}: reverse mode and forward mode disagree at order {at}: {right:.9g} and {left:.9g}",
                "check the transpose of the operation that it uses",
            )
    if order > 1:
        for v in [[_random(rng, x) for x in flat]]:
            directional = unflatten(treedef, v)

            def derivative(*xs: Any) -> Any:
                return jvp(f, xs, directional)[1]

            _check(derivative, args, order - 1, at + 1, labels, tolerance, rng, directions, name)


def _random(rng: np.random.Generator, x: Any) -> Any:
    return rng.standard_normal(np.shape(plain(x))).astype(dtype_of(x))[()]


def _difference(f: Any, flat: list[Any], treedef: Any, v: list[Any]) -> list[Any]:
    """(8(f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h: the error is of order h^4."""
    h = 1e-2 if any(dtype_of(x) == np.float32 for x in flat) else 1e-3
    size = max((float(np.max(np.abs(d), initial=0)) for d in v), default=1.0) or 1.0
    h /= size

    def at(s: float) -> list[Any]:
        moved = [np.asarray(x + np.asarray(s * h, dtype_of(x)) * d)[()] for x, d in zip(flat, v, strict=True)]
        return [np.asarray(o, float) for o in flatten(f(*unflatten(treedef, moved)))[0]]

    return [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in zip(at(1), at(-1), at(2), at(-2), strict=True)]


def _close(found: Sequence[Any], expected: Sequence[Any], tolerance: tuple[float, float]) -> bool:
    rtol, atol = tolerance
    return all(
        np.all(np.abs(a - b) <= atol + rtol * np.max(np.abs(b), initial=1.0))
        for a, b in zip(found, expected, strict=True)
    )


def _shown(values: Sequence[Any]) -> str:
    return ", ".join(
        f"{float(v):.9g}" if np.ndim(v) == 0 else f"array{np.shape(v)} of norm {np.linalg.norm(v):.6g}" for v in values
    )


def _locate(
    f: Any,
    flat: list[Any],
    treedef: Any,
    places: list[str],
    tolerance: tuple[float, float],
    at: int,
    name: str,
    mode: str,
) -> None:
    """Find the first entry of an input whose column of the Jacobian is wrong, and raise about it."""
    out, pullback = vjp(f, *unflatten(treedef, flat))
    outs, out_tree = flatten(out)
    for k, x in enumerate(flat):
        for j in range(int(np.size(x))):
            e = [np.zeros(np.shape(y), dtype_of(y)) for y in flat]
            e[k].reshape(-1)[j] = 1
            expected = _difference(f, flat, treedef, [y[()] for y in e])
            if mode == "forward mode":
                found = flatten(jvp(f, unflatten(treedef, flat), unflatten(treedef, [y[()] for y in e]))[1])[0]
            else:
                found = [np.zeros(np.shape(o)) for o in outs]
                for i, o in enumerate(outs):
                    for m in range(int(np.size(o))):
                        u = [np.zeros(np.shape(p), dtype_of(p)) for p in outs]
                        u[i].reshape(-1)[m] = 1
                        back = flatten(pullback(unflatten(out_tree, [w[()] for w in u])))[0]
                        found[i].reshape(-1)[m] = np.asarray(back[k]).reshape(-1)[j]
            if not _close(found, expected, tolerance):
                entry = (
                    ""
                    if np.ndim(x) == 0
                    else "[" + ", ".join(str(int(i)) for i in np.unravel_index(j, np.shape(x))) + "]"
                )
                raise DerivativeError(
                    f"{name}: the derivative of order {at} with respect to {places[k]}{entry} is wrong in {mode}: expected {_shown(expected)}, found {_shown(found)}",
                    "check the rule of the operation that it uses, or whether the point lies on a kink",
                )
