"""Derivatives of expressions, with the rule that was used at each step named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .algebra import AppliedUndef, sp
from .meaning import DEFINITIONS, at_zero, opened, step
from .tensors import Expectation, Tensor, fresh_index, total

# The elementary functions and their derivatives; everything else is opened into them first.
ELEMENTARY: dict[str, Callable[[Any], Any]] = {
    "exp": sp.exp,
    "log": lambda u: 1 / u,
    "sin": sp.cos,
    "cos": lambda u: -sp.sin(u),
    "asin": lambda u: 1 / sp.sqrt(1 - u**2),
    "atan": lambda u: 1 / (1 + u**2),
    "erf": lambda u: 2 * sp.exp(-(u**2)) / sp.sqrt(sp.pi),
    "loggamma": sp.digamma,
}


NONE: Mapping[str, Callable[[Any, int], Any]] = {}


class Undifferentiable(ValueError):
    """No rule is known for a part of the expression."""


Steps = dict[Any, tuple[str, Any]]  # what was differentiated -> the rule, and the derivative


def derivative(
    expression: Any, by: Any, steps: Steps | None = None, by_name: Mapping[str, Callable[[Any, int], Any]] = NONE
) -> Any:
    """The derivative of an opened expression by a symbol or an indexed variable.

    Args:
        steps: where every application of a rule is collected, inner ones first.
        by_name: functions that need not be opened: name -> (the applied function, k) -> its partial by argument k.
    """
    base = by.base if isinstance(by, sp.Indexed) else None

    def d(e: Any) -> Any:
        if e == by:
            return sp.Integer(1)
        if isinstance(e, sp.Indexed):
            pairs = zip(e.indices, by.indices, strict=True) if e.base == base else ()
            return sp.Mul(*(sp.KroneckerDelta(a, b) for a, b in pairs)) if e.base == base else sp.Integer(0)
        if not (e.has(by) if base is None else any(x.base == base for x in e.atoms(sp.Indexed))):
            return sp.Integer(0)
        rule, made = slope(e)
        if steps is not None and rule:
            steps[e] = rule, made
        return made

    def slope(e: Any) -> tuple[str, Any]:
        """The rule for the outermost operation, and what it gives."""
        if isinstance(e, sp.Add):
            return "", sp.Add(*map(d, e.args))
        if isinstance(e, sp.Mul):
            slopes = [d(f) for f in e.args]
            quotient = any(s != 0 and f.is_Pow and f.exp == -1 for f, s in zip(e.args, slopes, strict=True))
            rule = "the quotient rule" if quotient else "the product rule"
            made = sp.Add(*(sp.Mul(*e.args[:k], s, *e.args[k + 1 :]) for k, s in enumerate(slopes)))
            return rule if sum(s != 0 for s in slopes) > 1 else "", made
        if isinstance(e, sp.Sum):
            return "the derivative of a sum is the sum of the derivatives", _sums(d(e.function), e.limits)
        if isinstance(e, sp.exp):
            return "the derivative of exp(u) is exp(u) du", e * d(e.args[0])
        if isinstance(e, sp.Pow):
            u, n = e.args
            if n.is_number:
                return "the power rule", n * u ** (n - 1) * d(u)
            return "u^v = exp(v log u)", e * d(n * sp.log(u))
        if isinstance(e, (step, at_zero)):
            return "an indicator is constant on both sides of its jump", sp.Integer(0)
        if isinstance(e, Expectation):
            return "", Expectation(d(e.args[0]))
        return function(e, e.func.__name__)

    def function(e: Any, name: str) -> tuple[str, Any]:
        if name in by_name:
            return f"the derivative of {name}", sp.Add(
                *(by_name[name](e, k) * s for k, a in enumerate(e.args) if (s := d(a)) != 0)
            )
        if name in DEFINITIONS:
            return "", d(DEFINITIONS[name](*e.args))
        if isinstance(e, AppliedUndef):
            return "the chain rule, through a function of which nothing is known", _unknown(e, d)
        if name == "polygamma":
            return "", sp.polygamma(e.args[0] + 1, e.args[1]) * d(e.args[1])
        if name not in ELEMENTARY:
            raise Undifferentiable(name)
        rule = f"the derivative of {name}(u) is {ELEMENTARY[name](sp.Symbol('u', positive=True))} du"
        return rule, ELEMENTARY[name](e.args[0]) * d(e.args[0])

    return d(expression)


def _sums(body: Any, limits: Sequence[Any]) -> Any:
    for i, _, high in reversed(limits):
        body = total(body, i, high)
    return body


class Argument(sp.Function):
    """A vector as the argument of an unknown function: the entry, its index, and its size."""

    nargs = 3


def _unknown(e: Any, d: Callable[[Any], Any]) -> Any:
    """The chain rule through a function that is known by its name only."""
    parts: list[Any] = []
    for k, a in enumerate(e.args):
        if isinstance(a, Argument):
            entry, index, size = a.args
            j = fresh_index()
            inner = d(entry.subs(index, j))
            if inner != 0:
                parts.append(total(sp.Function(f"{e.func.__name__}'", real=True)(*e.args, j) * inner, j, size))
        else:
            inner = d(a)
            if inner != 0:
                parts.append(partial(e, k) * inner)
    return sp.Add(*parts)


def partial(e: Any, k: int) -> Any:
    """The partial derivative of an unknown function by its argument k: g'(x), or f_1(y, z) and f_12(y, z)."""
    name = e.func.__name__
    if len(e.args) == 1:
        return sp.Function(f"{name}'", real=True)(*e.args)
    base, _, positions = name.partition("_")
    return sp.Function(f"{base}_{''.join(sorted(positions + str(k + 1)))}", real=True)(*e.args)


def gradient(
    f: Tensor, by: Tensor, layout: str, steps: Steps | None = None, notes: dict[str, Any] | None = None
) -> Tensor:
    """The derivative of each entry of f by each entry of a variable.

    In denominator layout the axes of the variable come first, so that of z = W h by h is W.T; in numerator layout
    they come last. The gradient of a number has the shape of the variable in both.
    """
    fi, bi = f.indices(), by.indices()
    entry = derivative(opened(f.entry(*fi), notes), by.entry(*bi), steps)
    first, second = (bi, fi) if layout == "denominator" else (fi, bi)
    dims = by.dims + f.dims if layout == "denominator" else f.dims + by.dims
    return Tensor(dims, lambda *i: entry.subs(dict(zip([*first, *second], i, strict=True)), simultaneous=True))
