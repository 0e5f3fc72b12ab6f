"""Checking a backward pass written by hand: right or wrong, and if wrong, the likeliest slip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ChainruleError, InputError
from ..trace.calls import parameters
from .libraries import as_functions
from .oracles import Oracles, Reference, floating, reference, widened
from .slips import likeliest_slip

BESIDE = 1e-3  # how far the point is moved to judge the pass off kinks, relative to its size
COARSE = 0.05  # noise above this share of the gradient leaves nothing to be judged


@dataclass
class Finding:
    """What was found for one input: where, the error relative to the gradient's size, and the likeliest slip."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    error: float
    slip: str

    def __str__(self) -> str:
        return f"gradient of {self.name}: {self.slip} (shapes {', '.join(map(str, self.shapes))}, {self.dtype})"


class BackwardReport:
    """The verdict on a backward pass. It is true where the pass is right; `str` says what is wrong.

    Attributes:
        findings: one for each input that is wrong on the shapes given.
        elsewhere: the same on other shapes, for which the pass may not be meant; the verdict is without them. They are
            tried where the pass is right on those given.
        notes: kinks at the point, and what could not be judged.
        tried: the points, shapes and dtypes that the verdict rests on.
    """

    def __init__(
        self, findings: list[Finding], elsewhere: list[Finding], notes: list[str], tried: list[str], oracles: Oracles
    ) -> None:
        self.findings, self.elsewhere, self.tried, self.oracles = findings, elsewhere, tried, oracles
        self.notes = list(dict.fromkeys(notes))

    def __bool__(self) -> bool:
        return not self.findings

    def certificate(self) -> dict[str, str]:
        """What was tried; which independent oracles agreed with each other, how far, and where one does not apply."""
        o = self.oracles
        found = {"tried": "; ".join(self.tried)}
        return found | {oracle.name: str(oracle) for oracle in (o.traced, o.differences, o.complex_step)}

    def __str__(self) -> str:
        lines = ["wrong:", *_distinct(self.findings)] if self.findings else [self._right]
        if self.elsewhere:
            lines += [
                "on other shapes than those given, for which it may not be meant:",
                *_distinct([f for f in self.elsewhere if f is _first(self.elsewhere, f.name)]),
            ]
        return "\n".join([*lines, *(f"note: {n}" for n in self.notes)])

    @property
    def _right(self) -> str:
        return f"right: the backward pass agrees at {len(self.tried)} points, in the precisions that it takes"

    __repr__ = __str__


def _first(findings: list[Finding], name: str) -> Finding:
    return next(f for f in findings if f.name == name)


def _distinct(findings: list[Finding]) -> list[str]:
    """A line for each input and slip."""
    return [f"  {f}" for f in {(f.name, f.slip): f for f in reversed(findings)}.values()][::-1]


@np.errstate(all="ignore")
def check_backward(
    forward: Callable[..., Any], backward: Any = None, args: Sequence[Any] = (), *, seed: int = 0
) -> BackwardReport:
    """Check a backward pass written by hand against independent derivatives of its forward pass.

    Args:
        forward: a NumPy function of the arguments returning an array; a `torch.autograd.Function`, or a `jax.custom_vjp`
            function, which bring their own backward pass.
        backward: a function of (cotangent, *args) returning a gradient for each argument (None for one without).
        args: the arguments at which to check; floating-point arrays are differentiated. The pass is judged there and at a
            point beside, in double and in single precision, in memory of several layouts, and called again. Shapes other
            than these are tried too, and told apart: the verdict does not rest on them.
        seed: of the random cotangents. (An all-ones cotangent, which hides errors in normalisation layers, is not enough.)

    Returns:
        a `BackwardReport`, which is true if the pass is right. At kinks and ties every subgradient is right.

    Raises:
        InputError: there is nothing to judge: no floating-point argument, values that are not finite, several outputs.

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
    forward, backward = as_functions(forward, backward)
    arrays = _arrays(args)
    names = [*parameters(forward), *(f"argument {k}" for k in range(len(arrays)))][: len(arrays)]
    check = _Check(forward, backward, names, Oracles(), [])
    wide = widened(arrays)
    _check_output(forward, wide)
    finite = _finite(forward, wide)
    findings: list[Finding] = []
    tried: list[str] = []
    for trial, (what, given) in enumerate(_points(wide, seed)):
        rng = np.random.default_rng([seed, trial, 7919])  # not the numbers that the arguments may have been drawn from
        if trial and not np.array_equal(_finite(forward, given), finite):
            continue  # outside of the domain, or beyond the precision
        found = check.at(given, rng, 10.0 if what == "beside" else 1.0)
        for f in found if what == "beside" else ():
            f.slip += ", beside the point given"
        findings += found
        tried.append(f"{', '.join(str(a.shape) for a in given)} {_precision(given)}{f', {what}' * (what != 'given')}")
        if findings:
            break
    if not findings:
        findings = check.again(wide, np.random.default_rng([seed, 7919]))
    elsewhere: list[Finding] = []
    for trial, given in enumerate(_other_shapes(wide, forward, seed) if not findings else ()):
        rng = np.random.default_rng([seed, trial, 104729])
        apart = _Check(forward, backward, names, Oracles(), [])
        try:
            elsewhere += apart.at(given, rng, 1.0)
        except ChainruleError:
            continue  # what cannot be judged there is not asked for
    return BackwardReport(findings, elsewhere, check.notes, tried, check.oracles)


def _arrays(args: Sequence[Any]) -> list[Any]:
    arrays: list[Any] = []
    for k, x in enumerate(args):
        try:
            a = np.asarray(x)
        except ValueError as error:
            raise InputError(f"check_backward: argument {k} is no array: {error}", "give its rows one length") from None
        arrays.append(a)
        if a.dtype.kind not in "fiub":
            raise InputError(
                f"check_backward: argument {k} is an array of {a.dtype}", "pass arrays of real numbers, or of integers"
            )
    if not any(map(floating, arrays)):
        raise InputError(
            "check_backward: no argument is floating point", "pass arrays of floats, for instance args=(x, W)"
        )
    return arrays


def _check_output(forward: Any, args: list[Any]) -> None:
    """The forward pass gives one array of finite real numbers, the same at every call."""
    first, second = (forward(*(a.copy() for a in args)) for _ in range(2))
    if isinstance(first, (tuple, list, dict)):
        raise InputError(
            "check_backward: the forward pass returns several outputs",
            "check them one at a time: lambda *args: forward(*args)[0]",
        )
    out = np.asarray(first)
    if out.dtype.kind != "f":
        raise InputError(f"check_backward: the forward pass returns {out.dtype}", "return floating-point numbers")
    if np.any(np.isnan(out)):
        raise InputError("check_backward: the forward pass gives NaN at this point", "pass arguments of its domain")
    if not np.array_equal(out, np.asarray(second)):
        raise InputError(
            "check_backward: the forward pass gives other values when it is called again",
            "draw what is random outside, and pass it as an argument",
        )


def _finite(forward: Any, args: list[Any]) -> Any:
    """Where the output is finite; nothing where the forward pass fails."""
    try:
        return np.isfinite(np.asarray(forward(*(a.copy() for a in args))))
    except Exception:  # a point beside may lie outside of the domain, and the user's function may say so
        return None


def _precision(args: list[Any]) -> str:
    return next(a.dtype.name for a in args if floating(a))


# ---- where it is judged ------------------------------------------------------------------------------------------------


def _points(wide: list[Any], seed: int) -> Iterator[tuple[str, list[Any]]]:
    """The arguments as given, beside (off kinks; upwards and downwards, where a domain ends), and in single precision."""
    yield "given", wide
    rng = np.random.default_rng(seed)
    steps = [_step(a, rng) for a in wide]
    yield "beside", [a + s if floating(a) else a for a, s in zip(wide, steps, strict=True)]
    for sign in (1, -1):
        yield "beside", [a + sign * np.abs(s) if floating(a) else a for a, s in zip(wide, steps, strict=True)]
    single = widened(wide, np.float32)
    if all(np.array_equal(np.isfinite(a), np.isfinite(b)) for a, b in zip(wide, single, strict=True)):
        yield "given", single


def _step(a: Any, rng: Any) -> Any:
    """A random step of the size of the entries."""
    sizes = np.abs(a[np.isfinite(a)]) if floating(a) else np.zeros(0)
    scale = float(np.max(sizes, initial=0.0)) or 1.0
    return BESIDE * scale * rng.uniform(0.3, 1.0, a.shape) * rng.choice([-1.0, 1.0], a.shape)


def _other_shapes(arrays: list[Any], forward: Any, seed: int) -> Iterator[list[Any]]:
    """One and two further axes in front of the first argument (and of those of its shape), and a first axis of length one."""
    rng = np.random.default_rng(seed)
    first = next(k for k, a in enumerate(arrays) if floating(a))
    shape = arrays[first].shape
    base = np.shape(forward(*(a.copy() for a in arrays)))
    for lead in ((2,), (2, 3)):
        if len(shape) + len(lead) > 4:
            continue
        more = [
            a + rng.standard_normal((*lead, *shape)) * 0.3 * (1 + np.abs(a)) if a.shape == shape and floating(a) else a
            for a in arrays
        ]
        if _shape_of(forward, more) == (*lead, *base):
            yield more
    if shape and shape[0] > 1 and base and base[0] == shape[0]:
        fewer = [a[:1] if a.shape[:1] == shape[:1] else a for a in arrays]
        if _shape_of(forward, fewer) == (1, *base[1:]):
            yield fewer


def _shape_of(forward: Any, args: list[Any]) -> tuple[int, ...] | None:
    try:
        return np.shape(forward(*(a.copy() for a in args)))
    except Exception:  # the forward pass does not take these shapes
        return None


# ---- one point -----------------------------------------------------------------------------------------------------


class _Fails(Exception):
    """The backward pass raises, or returns what is no list of gradients."""


@dataclass
class _Check:
    forward: Any
    backward: Any
    names: list[str]
    oracles: Oracles
    notes: list[str]

    def at(self, args: list[Any], rng: Any, upstream: float) -> list[Finding]:
        """The findings at a point, with a random upstream gradient of a size."""
        wanted = [k for k, a in enumerate(args) if floating(a)]
        out = np.asarray(self.forward(*(a.copy() for a in args)))
        ct = (upstream * rng.standard_normal(out.shape)).astype(out.dtype)
        right = reference(self.forward, args, ct, wanted, self.oracles)
        try:
            given = self._gradients(ct, args)
        except _Fails as error:
            return [Finding("every input", _shapes(args), _precision(args), np.inf, str(error))]
        findings: list[Finding] = []
        for k in wanted:
            slip, error = self._judged(given[k], right, args, k, ct)
            if slip:
                findings.append(Finding(self.names[k], _shapes(args), _precision(args), error, slip))
        return findings

    def _gradients(self, ct: Any, args: list[Any], layout: Callable[[Any], Any] = np.array) -> list[Any]:
        """What the pass returns, a gradient for each argument."""
        upstream, copies = layout(ct), [layout(a) for a in args]
        try:
            given = self.backward(upstream, *copies)
        except ChainruleError:
            raise
        except Exception as error:
            raise _Fails(f"the backward pass fails: {type(error).__name__}: {error}") from None
        if not np.array_equal(upstream, ct, equal_nan=True):
            raise _Fails("the backward pass changes the upstream gradient, which others read too")
        for name, a, copy in zip(self.names, args, copies, strict=True):
            if not np.array_equal(copy, a, equal_nan=floating(a)):
                raise _Fails(f"the backward pass changes its argument {name}")
        found = list(given) if isinstance(given, (tuple, list)) else [given]
        wanted = [k for k, a in enumerate(args) if floating(a)]
        if len(found) == len(wanted) != len(args):
            by_input = dict(zip(wanted, found, strict=True))
            found = [by_input.get(k) for k in range(len(args))]
        if len(found) != len(args):
            raise _Fails(f"{len(found)} gradients are returned for {len(args)} arguments")
        return [None if g is None else np.array(g) for g in found]

    def _judged(self, g: Any, right: Reference, args: list[Any], k: int, ct: Any) -> tuple[str, float]:
        """The likeliest slip (empty if the gradient is right), and the relative error."""
        r, name = right.gradients[k], self.names[k]
        scale = right.size[k] or 1.0
        relative = _tolerance(args[k].dtype, right)
        tolerance = relative * scale + 10 * right.noise[k]
        if g is None:
            return ("", 0.0) if not np.any(np.abs(r) > tolerance) else ("no gradient is returned", np.inf)
        if g.dtype.kind not in "fiub":
            return f"it is an array of {g.dtype}", np.inf
        g = g.astype(np.float64)
        error = np.inf
        if g.shape == r.shape:
            known = np.isfinite(r)
            error = _worst(g, r, known) / scale
            if not error * scale > tolerance and np.all(known):
                return "", error
            hull = right.hull(k)
            if hull is not None and hull.holds(g, tolerance):
                self.notes.append(f"the point lies on a kink in {name}: every subgradient is right there")
                return "", error
            decided = known if hull is None else known | np.isfinite(hull.low)
            if np.any(decided & ~np.isfinite(g)):
                return "it is not finite", np.inf
            if not np.all(decided):
                count = np.sum(~decided)
                self.notes.append(f"the derivative by {name} is not finite in {count} entries: they are not judged")
            if not error * scale > tolerance and not np.any(decided & ~known):
                return "", error
            if right.graph is not None and error * scale <= relative * right.graph.rounded(ct.astype(np.float64), k):
                return "", error
            if right.noise[k] > COARSE * scale:
                self.notes.append(f"{args[k].dtype} is too coarse for the forward pass: {name} is not judged in it")
                return "", error

        def close(a: Any) -> bool:
            return np.shape(a) == r.shape and _worst(a, r, np.isfinite(r)) <= 10 * tolerance

        slip = likeliest_slip(g, r, args, k, ct, right.graph, close)
        return slip or f"it differs by {error:.1e} of its size, and no single slip explains it", error

    def again(self, args: list[Any], rng: Any) -> list[Finding]:
        """The findings of further calls at one point: after another call, and on memory of other layouts."""
        shape = np.shape(self.forward(*(a.copy() for a in args)))
        ct = rng.standard_normal(shape)
        expanded = np.broadcast_to(rng.standard_normal((*shape[:-1], 1)) if shape else rng.standard_normal(()), shape)
        trials: list[tuple[str, Any, Callable[[Any], Any]]] = [
            ("called again, it gives another gradient", ct, np.array),
            ("it is wrong where arrays are stored by columns", ct, lambda a: np.array(a, order="F")),
            ("it is wrong where arrays are strided", ct, _strided),
            ("it is wrong where arrays are stored backwards", ct, lambda a: np.flip(np.flip(a).copy())),
            (
                "it is wrong where the upstream gradient is expanded",
                expanded,
                lambda a: a if a is expanded else a.copy(),
            ),
        ]
        findings: list[Finding] = []
        for slip, upstream, layout in trials:
            try:
                first = self._gradients(np.array(upstream), args)
                second = self._gradients(upstream, args, layout)
            except _Fails as error:
                if layout is np.array or "fails" not in str(error):
                    return [Finding("every input", _shapes(args), _precision(args), np.inf, str(error))]
                self.notes.append(f"on memory of another layout {error}")
                continue
            for k, (a, b) in enumerate(zip(first, second, strict=True)):
                if floating(args[k]) and not _alike(a, b):
                    findings.append(Finding(self.names[k], _shapes(args), _precision(args), np.inf, slip))
        return findings


def _shapes(args: list[Any]) -> tuple[tuple[int, ...], ...]:
    return tuple(a.shape for a in args)


def _strided(a: Any) -> Any:
    """The array as every other entry of a larger one."""
    if not a.ndim:
        return a.copy()
    larger = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    larger[..., ::2] = a
    return larger[..., ::2]


def _alike(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    if a.shape != b.shape:
        return False
    size = float(np.max(np.abs(a[np.isfinite(a)]), initial=0.0)) if a.dtype.kind in "fiu" else 1.0
    return bool(np.allclose(a, b, rtol=1e-6, atol=1e-9 * size, equal_nan=True))


def _worst(g: Any, r: Any, known: Any) -> float:
    """The largest difference among the entries that are known; NaN is as far as can be."""
    apart = np.abs(np.where(known, g, 0) - np.where(known, r, 0))
    return float(np.max(np.where(np.isnan(apart), np.inf, apart), initial=0.0))


def _tolerance(dtype: Any, right: Reference) -> float:
    """From the precision and the number of operations behind an entry; differences alone are less exact."""
    if right.graph is None:
        return 1e-6 if dtype == np.float64 else 1e-3
    nodes = right.graph.graph.nodes
    work = sum(max(1, n.values[0].size if hasattr(n.values[0], "size") else 1) for n in nodes)
    return 32 * float(np.finfo(dtype).eps) * float(np.sqrt(work) + 8)
