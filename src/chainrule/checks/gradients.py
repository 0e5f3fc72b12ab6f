"""Checking derivatives: forward mode, reverse mode and finite differences against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..diff.transforms import jvp, vjp
from ..errors import DerivativeError, InputError
from ..programs.functions import as_function
from ..trace.calls import check_differentiable, name_of, parameters
from ..trace.handles import dtype_of, plain
from ..trace.tree import flatten, paths, unflatten


def check_grads(
    f: Callable[..., Any] | str,
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
        f: a function of floating-point arguments, or a formula.
        args: the point, one entry for each argument.
        order: how many times to differentiate.
        rtol, atol: tolerances relative to the size of the derivative, and absolute; when left out, from the dtype and from what
            differences can tell.
        seed: of the random directions.
        directions: how many of them.

    Raises:
        DerivativeError: a derivative disagrees; the message names the input, its entry, both numbers and the order.
        InputError: nothing can be checked: the point lies on a kink or outside of the domain, the result is no real number.

    >>> check_grads(lambda x: x**3, (2.0,), order=2)
    """
    f = as_function(f)
    if not isinstance(args, (tuple, list)) or not args:
        raise InputError("check_grads takes the arguments as a tuple", "write check_grads(f, (2.0,))")
    for what, count in (("order", order), ("directions", directions)):
        if not isinstance(count, int) or count < 1:
            raise InputError(f"check_grads: {what} is {count!r}", "give a whole number from 1 on")
    args = tuple(args)
    names = list(parameters(f))
    labels = [names[k] if k < len(names) else f"argument {k}" for k in range(len(args))]
    for name, a in zip(labels, args, strict=True):
        check_differentiable(a, name)
    dtypes = [dtype_of(x) for a in args for x in flatten(a)[0]]
    if any(d.kind == "c" for d in dtypes):
        raise InputError("check_grads compares real derivatives, and was given a complex argument", "pass its real and its imaginary part")  # fmt: skip
    single = any(d.itemsize < 8 for d in dtypes)
    made = _Tolerance(rtol if rtol is not None else 2e-2 if single else 1e-5, atol, 1e-6 if single else 1e-15)
    _check(f, args, order, 1, labels, made, np.random.default_rng(seed), directions, name_of(f))


@dataclass(frozen=True)
class _Tolerance:
    """How far two numbers may be apart: relative to the larger one, absolutely (if asked), and by the rounding of values.

    `size` is that of the values of lower orders, whose rounding is in those of higher ones.
    """

    relative: float
    absolute: float | None
    rounding: float
    size: float = 0.0


@dataclass(frozen=True)
class _Differences:
    """Derivatives by differences along a direction; how far two steps are apart; whether there is a kink."""

    values: list[Any]
    errors: list[float]
    kink: bool


def _check(
    f: Any,
    args: Any,
    order: int,
    at: int,
    labels: list[str],
    tolerance: _Tolerance,
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
        _check_results(outs, name)
        tolerance = replace(tolerance, size=max([tolerance.size, *map(_most, outs)]))
        numeric = _difference(f, flat, treedef, v, tolerance)
        if not _close(ts, numeric, outs, tolerance):
            _locate(f, flat, treedef, places, tolerance, at, name, "forward mode")
            _unclear(numeric, name, at)
            raise DerivativeError(
                f"{name}: the derivative of order {at} disagrees along a random direction: forward mode {_shown(ts)}, differences {_shown(numeric.values)}",
                "check the rule of the operation that it uses",
            )
        u = [_random(rng, o) if dtype_of(o).kind == "f" else np.zeros(np.shape(o)) for o in outs]
        _, pullback = vjp(f, *args)
        back = flatten(pullback(unflatten(flatten(out)[1], u)))[0]
        left = sum(float(np.vdot(a, t)) for a, t in zip(u, ts, strict=True))
        right = sum(float(np.vdot(b, w)) for b, w in zip(back, v, strict=True))
        scale = sum(float(np.vdot(np.abs(b), np.abs(w))) for b, w in zip(back, v, strict=True))
        sizes = (np.abs(a) * np.maximum(np.abs(o), tolerance.size) for a, o in zip(u, outs, strict=True))
        rounding = 1e3 * tolerance.rounding * sum(float(np.sum(s)) for s in sizes)
        allowed = tolerance.absolute if tolerance.absolute is not None else rounding
        if not abs(left - right) <= allowed + tolerance.relative * max(abs(left), scale):
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


def _check_results(outs: Sequence[Any], name: str) -> None:
    kinds = {dtype_of(o).kind for o in outs}
    if "c" in kinds:
        raise InputError(f"{name} returns complex numbers, and check_grads compares real derivatives", "return the real and the imaginary part")  # fmt: skip
    if "f" not in kinds:
        raise InputError(f"{name} returns no floating-point number: there is nothing to check", "return what is to be differentiated")  # fmt: skip
    if not all(np.isfinite(np.asarray(o)).all() for o in outs if dtype_of(o).kind == "f"):
        raise InputError(f"{name} is not finite at this point: there is nothing to check", "give a point of its domain")


def _unclear(d: _Differences, name: str, at: int) -> None:
    """Say so where differences mean nothing."""
    if d.kink:
        raise InputError(
            f"{name}: the derivative of order {at} cannot be checked here: the point lies on a kink, a jump or the edge of the domain",
            "move the point a little; at a kink a declared subgradient is used, see sensitivity()",
        )


def _random(rng: np.random.Generator, x: Any) -> Any:
    return rng.standard_normal(np.shape(plain(x))).astype(dtype_of(x))[()]


def _difference(f: Any, flat: list[Any], treedef: Any, v: list[Any], tolerance: _Tolerance) -> _Differences:
    """(8(f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h at two steps: the error is of order h^4.

    Steps that are small beside every entry come second: they stay in the domain where the first ones leave it.
    """
    h = 1e-2 if any(dtype_of(x).itemsize < 8 for x in flat) else 1e-3
    size = max((float(np.max(np.abs(d), initial=0)) for d in v), default=1.0) or 1.0
    nonzero = [float(np.min(np.abs(x)[x != 0], initial=1.0)) for x in map(np.asarray, flat)]
    found: _Differences | None = None
    for step in dict.fromkeys((h / size, h / size * min([1.0, *nonzero]))):
        with np.errstate(all="ignore"):
            found = _differences_at(f, flat, treedef, v, step, tolerance)
        if not found.kink:
            break
    assert found is not None
    return found


def _differences_at(
    f: Any, flat: list[Any], treedef: Any, v: list[Any], h: float, tolerance: _Tolerance
) -> _Differences:
    def at(s: float) -> list[Any]:
        moved = [np.asarray(_wide(x) + s * d)[()].astype(_wide(x).dtype) for x, d in zip(flat, v, strict=True)]
        return [np.asarray(o, float) for o in flatten(f(*unflatten(treedef, moved)))[0]]

    values = {s: at(s * h) for s in (-2, -1, -0.5, 0, 0.5, 1, 2)}
    made: list[Any] = []
    errors: list[float] = []
    kink = False
    for k in range(len(values[0])):
        y = {s: found[k] for s, found in values.items()}
        coarse = (8 * (y[1] - y[-1]) - (y[2] - y[-2])) / (12 * h)
        fine = (8 * (y[0.5] - y[-0.5]) - (y[1] - y[-1])) / (6 * h)
        noise = 10 * tolerance.rounding * max(_most(y[0]), tolerance.size) / h
        gaps = [np.abs(y[s] + y[-s] - 2 * y[0]) / (s * h) for s in (1, 0.5)]
        size, error = _most(fine), _most(fine - coarse)
        bent = np.max(gaps[1] - 0.75 * gaps[0], initial=0.0) > 1e-4 * size + 10 * noise
        kink |= not np.isfinite(error + size) or bool(bent) or error > 1e-2 * size + 1e2 * noise
        made.append(coarse)
        errors.append(error)
    return _Differences(made, errors, kink)


def _wide(x: Any) -> Any:
    return np.asarray(x, np.float32) if dtype_of(x) == np.float16 else np.asarray(x)


def _most(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _close(found: Sequence[Any], expected: _Differences, outs: Sequence[Any], tolerance: _Tolerance) -> bool:
    """Whether derivatives agree with differences, within what these can tell."""
    for a, b, error, out in zip(found, expected.values, expected.errors, outs, strict=True):
        rounding = 1e4 * tolerance.rounding * max(_most(out), tolerance.size)
        allowed = (
            tolerance.absolute if tolerance.absolute is not None else rounding + (0.0 if expected.kink else 10 * error)
        )
        if not np.all(np.abs(a - b) <= allowed + tolerance.relative * _most(b)):
            return False
    return True


def _shown(values: Sequence[Any]) -> str:
    return ", ".join(
        f"{float(v):.9g}" if np.ndim(v) == 0 else f"array{np.shape(v)} of norm {np.linalg.norm(v):.6g}" for v in values
    )


def _locate(
    f: Any,
    flat: list[Any],
    treedef: Any,
    places: list[str],
    tolerance: _Tolerance,
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
            expected = _difference(f, flat, treedef, [y[()] for y in e], tolerance)
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
            if not _close(found, expected, outs, tolerance):
                _unclear(expected, name, at)
                entry = (
                    ""
                    if np.ndim(x) == 0
                    else "[" + ", ".join(str(int(i)) for i in np.unravel_index(j, np.shape(x))) + "]"
                )
                raise DerivativeError(
                    f"{name}: the derivative of order {at} with respect to {places[k]}{entry} is wrong in {mode}: expected {_shown(expected.values)}, found {_shown(found)}",
                    "check the rule of the operation that it uses",
                )
