"""Derivatives of expressions, with the rule that was used at each step named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .index_notation import ONE, Expectation, Tensor, total
from .indices import Binder, Pattern, fresh_index
from .meaning import DEFINITIONS, at_zero, opened, step
from .untyped import AppliedUndef, sp

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
    expression: Any,
    by: Any,
    steps: Steps | None = None,
    by_name: Mapping[str, Callable[[Any, int], Any]] = NONE,
    kinks: list[Pattern] | None = None,
) -> Any:
    """The derivative of an opened expression by a symbol or an indexed variable.

    Args:
        steps: where every application of a rule is collected, inner ones first.
        by_name: functions that need not be opened: name -> (the applied function, k) -> its partial by argument k.
        kinks: where the expressions are collected at whose zeros the derivative does not exist.
    """
    base = by.base if isinstance(by, sp.Indexed) else None
    around: list[Binder] = []  # the indices of the sums that surround what is being differentiated

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
            around.extend(Binder(*limit) for limit in e.limits)
            made = d(e.function)
            del around[len(around) - len(e.limits) :]
            return "the derivative of a sum is the sum of the derivatives", _sums(made, e.limits)
        if isinstance(e, sp.exp):
            return "the derivative of exp(u) is exp(u) du", e * d(e.args[0])
        if isinstance(e, sp.Pow):
            u, n = e.args
            if n.is_number or d(n) == 0:
                return "the power rule", n * u ** (n - 1) * d(u)
            return "u^v = exp(v log u)", e * d(n * sp.log(u))
        if isinstance(e, (step, at_zero)):
            if kinks is not None and (moves := d(e.args[0])) != 0:
                kinks.append(_kink(e.args[0], moves, around))
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
    for i, low, high in limits:
        body = total(body, i, low, high)
    return body


def _kink(u: Any, slope: Any, around: Sequence[Binder]) -> Pattern:
    """The zeros of u as a pattern; only of the entry that moves, where the slope is zero for all others."""
    binders = [b for b in around if b.index in u.free_symbols]
    for b in list(binders):
        deltas = [k for k in slope.atoms(sp.KroneckerDelta) if b.index in k.args]
        place = deltas[0].args[deltas[0].args[0] == b.index] if len(deltas) == 1 else None
        if place is not None and b.index not in place.free_symbols and slope.xreplace({deltas[0]: ONE * 0}) == 0:
            u = u.xreplace({b.index: place})
            binders = [o.replaced({b.index: place}) for o in binders if o is not b]
    return Pattern(u, tuple(b for b in binders if b.index in u.free_symbols))


class Argument(sp.Function):
    """A vector as the argument of an unknown function: the entry, its index, and its size."""

    nargs = 3


class Place(sp.Function):
    """The entry of a vector argument by which an unknown function was differentiated."""

    nargs = 1


def _unknown(e: Any, d: Callable[[Any], Any]) -> Any:
    """The chain rule through a function that is known by its name only."""
    parts: list[Any] = []
    for k, a in enumerate(arguments_of(e)):
        if isinstance(a, Argument):
            entry, index, size = a.args
            j = fresh_index()
            inner = d(entry.xreplace({index: j}))
            parts.append(total(partial(e, k, j) * inner, j, ONE, size))
        elif (inner := d(a)) != 0:
            parts.append(partial(e, k) * inner)
    return sp.Add(*parts)


def arguments_of(e: Any) -> list[Any]:
    """The arguments of an unknown function, without the entries by which it was differentiated."""
    return [a for a in e.args if not isinstance(a, Place)]


def partial(e: Any, k: int, place: Any = None) -> Any:
    """The partial derivative of an unknown function by its argument k: g'(x), or f_1(y, z) and f_12(y, z).

    Args:
        place: the entry, where the argument is a vector.
    """
    arguments, name = arguments_of(e), e.func.__name__
    places = [p for p in e.args if isinstance(p, Place)]
    if len(arguments) == 1:
        return named_partial(f"{name}'", arguments, [*places, *([] if place is None else [Place(place)])])
    base, _, positions = name.partition("_")
    vectors = iter(places)
    by = [(p, next(vectors) if isinstance(arguments[int(p) - 1], Argument) else None) for p in positions]
    by = sorted([*by, (str(k + 1), None if place is None else Place(place))], key=lambda pair: pair[0])
    return named_partial(f"{base}_{''.join(p for p, _ in by)}", arguments, [v for _, v in by if v is not None])


def named_partial(name: str, arguments: Sequence[Any], places: Sequence[Any] = ()) -> Any:
    """An unknown function, or a partial derivative of one."""
    return sp.Function(name, real=True)(*arguments, *places)


def gradient(
    f: Tensor,
    by: Tensor,
    layout: str,
    steps: Steps | None = None,
    notes: dict[str, Any] | None = None,
    kinks: list[Pattern] | None = None,
) -> Tensor:
    """The derivative of each entry of f by each entry of a variable.

    In denominator layout the axes of the variable come first, so that of z = W h by h is W.T; in numerator layout
    they come last. The gradient of a number has the shape of the variable in both.
    """
    fi, bi = f.indices(), by.indices()
    here: list[Pattern] = []
    entry = derivative(opened(f.entry(*fi), notes), by.entry(*bi), steps, kinks=here)
    if kinks is not None:
        entries = [Binder(i, ONE, d) for i, d in zip([*fi, *bi], [*f.dims, *by.dims], strict=True)]
        kinks += [
            Pattern(k.expression, (*k.binders, *(b for b in entries if b.index in k.expression.free_symbols)))
            for k in here
        ]
    first, second = (bi, fi) if layout == "denominator" else (fi, bi)
    dims = by.dims + f.dims if layout == "denominator" else f.dims + by.dims
    return Tensor(dims, lambda *i: entry.xreplace(dict(zip([*first, *second], i, strict=True))))
