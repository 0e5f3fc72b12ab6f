"""True statements by rewriting a term, and others by changing one thing in it; whether those are true, numbers decide."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from .terms import Term, parts, within

ONE, TWO = ("num", "1"), ("num", "2")


def replaced_at(t: Term, path: tuple[int, ...], new: Term) -> Term:
    return new if not path else (*t[: path[0]], replaced_at(t[path[0]], path[1:], new), *t[path[0] + 1 :])


def paths(t: Term) -> list[tuple[tuple[int, ...], Term]]:
    """Every term inside a term with the way to it."""
    return [((), t), *(((k, *p), x) for k, part in parts(t) for p, x in paths(part))]


def shifted(t: Any, name: str, by: int) -> Any:
    """A term with an index moved: i becomes i + by."""
    if not isinstance(t, tuple):
        return t
    if len(t) == 2 and isinstance(t[0], str) and isinstance(t[1], int):
        return (name, t[1] + by) if t[0] == name else t
    if t and t[0] == "sum" and t[1] == name:
        return ("sum", name, shifted(t[2], name, by), shifted(t[3], name, by), t[4])
    return tuple(shifted(x, name, by) for x in t)


def renamed(t: Any, name: str, new: tuple[str, int]) -> Any:
    """A term with another index, or a number, for one of its indices."""
    if not isinstance(t, tuple):
        return t
    if len(t) == 2 and isinstance(t[0], str) and isinstance(t[1], int):
        return (new[0], t[1] + new[1]) if t[0] == name else t
    if t and t[0] == "sum" and t[1] == name:
        return t
    return tuple(renamed(x, name, new) for x in t)


def mentions(t: Term, name: str) -> bool:
    return renamed(t, name, ("@", 0)) != t


def fresh(rng: random.Random) -> str:
    return rng.choice(["r", "s1", "t1", "l", "q", "ii", "jj"])


def rewritten(t: Term, rng: random.Random) -> Term:
    """A term that is equal wherever both are defined; the same one where no rule fits."""
    candidates = [(path, x, rule) for path, x in paths(t) for rule in RULES.get(x[0], ()) or ()]
    candidates += [((), t, rule) for rule in ANYWHERE]
    for _ in range(6):
        path, x, rule = rng.choice(candidates)
        made = rule(x, rng)
        if made is not None:
            return replaced_at(t, path, made)
    return t


# ---- rules: a term and a random number generator -> an equal term, or None ------------------------------------------------


def commuted(t: Term, rng: random.Random) -> Term:
    items = list(t[1:])
    rng.shuffle(items)
    return (t[0], *items)


def distributed(t: Term, rng: random.Random) -> Term | None:
    k = next((k for k, x in enumerate(t[1:], 1) if x[0] == "add"), None)
    if k is None:
        return None
    others = (*t[1:k], *t[k + 1 :])
    return ("add", *(("mul", x, *others) for x in t[k][1:]))


def last_off(t: Term, rng: random.Random) -> Term | None:
    _, name, low, high, body = t
    if low[0] == high[0] and high[1] < low[1]:
        return None
    return ("add", ("sum", name, low, (high[0], high[1] - 1), body), renamed(body, name, high))


def first_off(t: Term, rng: random.Random) -> Term | None:
    _, name, low, high, body = t
    if low[0] == high[0] and high[1] < low[1]:
        return None
    return ("add", renamed(body, name, low), ("sum", name, (low[0], low[1] + 1), high, body))


def moved(t: Term, rng: random.Random) -> Term:
    _, name, low, high, body = t
    by = rng.choice([-1, 1, 2])
    return ("sum", name, (low[0], low[1] + by), (high[0], high[1] + by), shifted(body, name, -by))


def called_otherwise(t: Term, rng: random.Random) -> Term | None:
    _, name, low, high, body = t
    new = fresh(rng)
    if mentions(body, new) or any(x[0] == "sum" and x[1] in (new, name) for x in within(body)):
        return None
    return ("sum", new, low, high, renamed(body, name, (new, 0)))


def apart(t: Term, rng: random.Random) -> Term | None:
    _, name, low, high, body = t
    if body[0] == "add":
        return ("add", *(("sum", name, low, high, x) for x in body[1:]))
    if body[0] == "mul":
        free = [x for x in body[1:] if not mentions(x, name)]
        rest = [x for x in body[1:] if mentions(x, name)]
        if free:
            return ("mul", *free, ("sum", name, low, high, ("mul", *rest, ONE)))
    return None


def swapped(t: Term, rng: random.Random) -> Term | None:
    _, name, low, high, body = t
    if body[0] != "sum" or name in (body[2][0], body[3][0]) or body[1] in (low[0], high[0]) or body[1] == name:
        return None
    return ("sum", body[1], body[2], body[3], ("sum", name, low, high, body[4]))


def linear(t: Term, rng: random.Random) -> Term | None:
    """An expectation of a sum."""
    return ("add", *(("E", x) for x in t[1][1:])) if t[1][0] == "add" else None


def names(t: Term) -> set[str]:
    """The variables that occur in a term."""
    return {x[1] for x in within(t) if x[0] in ("var", "whole", "entry")}


SLOPES: dict[str, Callable[[Term], Term]] = {
    "exp": lambda u: ("fn", "exp", u),
    "sin": lambda u: ("fn", "cos", u),
    "cos": lambda u: ("neg", ("fn", "sin", u)),
    "log": lambda u: ("div", ONE, u),
    "arctan": lambda u: ("div", ONE, ("add", ONE, ("pow", u, TWO))),
    "sigma": lambda u: ("mul", ("fn", "sigma", u), ("fn", "sigma", ("neg", u))),
    "tanh": lambda u: ("sub", ONE, ("pow", ("fn", "tanh", u), TWO)),
    "softplus": lambda u: ("fn", "sigma", u),
    "relu": lambda u: ("ind", ">", u, ("num", "0")),
    "abs": lambda u: ("fn", "sign", u),
}


def differentiated(t: Term, rng: random.Random) -> Term | None:
    """A derivative by one rule of the calculus."""
    _, by, body = t
    if by[0] == "whole":
        return None

    def d(u: Term) -> Term:
        return ("D", by, u) if by[1] in names(u) else ("num", "0")

    match body[0]:
        case "add":
            return ("add", *map(d, body[1:]))
        case "sub":
            return ("sub", d(body[1]), d(body[2]))
        case "mul" if len(body) == 3:
            return ("add", ("mul", d(body[1]), body[2]), ("mul", body[1], d(body[2])))
        case "div":
            top = ("sub", ("mul", d(body[1]), body[2]), ("mul", body[1], d(body[2])))
            return ("div", top, ("pow", body[2], TWO))
        case "fn" if body[1] in SLOPES:
            return ("mul", SLOPES[body[1]](body[2]), d(body[2]))
        case "pow" if body[2][0] == "num" and body[2][1].isdigit() and int(body[2][1]) > 1:
            return ("mul", body[2], ("pow", body[1], ("num", str(int(body[2][1]) - 1))), d(body[1]))
        case "sum" if by[0] == "entry" and not any(body[1] == i[0] for i in by[2]):
            return (*body[:4], d(body[4]))
        case "entry" if by[0] == "entry" and body[1] == by[1]:
            return ("mul", ONE, *(("same", "==", i, j) for i, j in zip(body[2], by[2], strict=True)))
        case "var" if by == body:
            return ONE
    return None


IDENTITIES: dict[str, list[Callable[[Term], Term]]] = {
    "relu": [lambda x: ("div", ("add", x, ("fn", "abs", x)), TWO), lambda x: ("mul", x, ("ind", ">", x, ("num", "0")))],
    "abs": [lambda x: ("add", ("fn", "relu", x), ("fn", "relu", ("neg", x))), lambda x: ("mul", x, ("fn", "sign", x))],
    "sign": [lambda x: ("sub", ("ind", ">", x, ("num", "0")), ("ind", "<", x, ("num", "0")))],
    "sigma": [lambda x: ("div", ONE, ("add", ONE, ("fn", "exp", ("neg", x)))), lambda x: ("sub", ONE, ("fn", "sigma", ("neg", x)))],
    "tanh": [lambda x: ("sub", ("mul", TWO, ("fn", "sigma", ("mul", TWO, x))), ONE)],
    "softplus": [lambda x: ("add", x, ("fn", "softplus", ("neg", x))), lambda x: ("fn", "log", ("add", ONE, ("fn", "exp", x)))],
    "exp": [lambda x: ("pow", ("fn", "exp", ("div", x, TWO)), TWO), lambda x: ("div", ONE, ("fn", "exp", ("neg", x)))],
    "sin": [lambda x: ("mul", TWO, ("fn", "sin", ("div", x, TWO)), ("fn", "cos", ("div", x, TWO)))],
    "cos": [lambda x: ("sub", ONE, ("mul", TWO, ("pow", ("fn", "sin", ("div", x, TWO)), TWO)))],
    "sqrt": [lambda x: ("pow", x, ("num", "1/2"))],
    "log": [lambda x: ("neg", ("fn", "log", ("div", ONE, x)))],
    "arctan": [lambda x: ("neg", ("fn", "arctan", ("neg", x)))],
}  # fmt: skip


def identity(t: Term, rng: random.Random) -> Term | None:
    name = t[1]
    if name in ("max", "min"):
        a, b = t[2:]
        return rng.choice([
            ("fn", name, b, a),
            ("neg", ("fn", "min" if name == "max" else "max", ("neg", a), ("neg", b))),
            ("add", a, ("fn", "relu", ("sub", b, a))) if name == "max" else ("sub", a, ("fn", "relu", ("sub", a, b))),
        ])  # fmt: skip
    return rng.choice(IDENTITIES[name])(t[2]) if name in IDENTITIES else None


def square(t: Term, rng: random.Random) -> Term | None:
    if t[2][0] == "num" and t[2][1].isdigit() and int(t[2][1]) >= 2:
        return ("mul", t[1], ("pow", t[1], ("num", str(int(t[2][1]) - 1))))
    return None


def variance(t: Term, rng: random.Random) -> Term:
    body = t[1]
    if rng.random() < 0.5:
        return ("sub", ("E", ("mul", body, body)), ("pow", ("E", body), TWO))
    return ("E", ("pow", ("sub", body, ("E", body)), TWO))


def indicator(t: Term, rng: random.Random) -> Term:
    other = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}[t[1]]
    return ("sub", ONE, (t[0], other, *t[2:]))


def zero(t: Term, rng: random.Random) -> Term:
    return ("sub", ("add", t, ONE), ONE)


def twice(t: Term, rng: random.Random) -> Term:
    return ("div", ("mul", TWO, t), TWO)


def negated(t: Term, rng: random.Random) -> Term:
    return ("neg", ("neg", t))


def subtracted(t: Term, rng: random.Random) -> Term:
    return ("add", t[1], ("neg", t[2]))


def divided(t: Term, rng: random.Random) -> Term:
    return ("mul", t[1], ("pow", t[2], ("num", "-1")))


Rule = Callable[[Term, random.Random], Any]
ANYWHERE: list[Rule] = [zero, twice, negated]
RULES: dict[str, list[Rule]] = {
    "add": [commuted], "mul": [commuted, distributed], "fn": [identity, identity], "pow": [square], "Var": [variance], "ind": [indicator],
    "same": [indicator], "sub": [subtracted], "div": [divided], "E": [linear], "D": [differentiated, differentiated],
    "sum": [last_off, first_off, moved, called_otherwise, apart, swapped],
}  # fmt: skip


# ---- changes ---------------------------------------------------------------------------------------------------------------


def changed(t: Term, rng: random.Random) -> Term:
    """A term with one thing in it changed: a sign, a bound, an index, an exponent, a factor."""
    for _ in range(8):
        path, x = rng.choice(paths(t))
        made = _changed(x, rng)
        if made is not None and made != x:
            return replaced_at(t, path, made)
    return ("add", t, ONE)


def _changed(x: Term, rng: random.Random) -> Term | None:
    kind = x[0]
    if kind == "num":
        return ("num", rng.choice(["1", "2", "3", "-1", "1/2"]))
    if kind == "sum":
        k = rng.choice([2, 3])
        return (*x[:k], (x[k][0], x[k][1] + rng.choice([-1, 1])), *x[k + 1 :])
    if kind == "entry":
        places = list(x[2])
        k = rng.randrange(len(places))
        if len(places) == 2 and rng.random() < 0.3:
            places.reverse()
        else:
            places[k] = (places[k][0], places[k][1] + rng.choice([-1, 1]))
        return ("entry", x[1], tuple(places))
    if kind == "sub":
        return ("add", x[1], x[2])
    if kind == "neg":
        return x[1]
    if kind == "fn" and len(x) == 3 and x[1] in IDENTITIES:
        return ("fn", rng.choice(sorted(IDENTITIES)), x[2])
    if kind == "ind":
        return ("ind", rng.choice([">", "<", ">=", "<=", "=="]), *x[2:])
    if kind == "same":
        return ("same", rng.choice(["==", "!="]), x[2], (x[3][0], x[3][1] + rng.choice([0, 1])))
    if kind == "index":
        return ("index", (x[1][0], x[1][1] + rng.choice([-1, 1])))
    if kind in ("add", "mul") and len(x) > 2:
        return x[1] if len(x) == 3 and rng.random() < 0.5 else ("mul" if kind == "add" else "add", *x[1:])
    if kind == "pow" and x[2][0] == "num":
        return ("pow", x[1], ("num", rng.choice(["1", "2", "3", "-1", "1/2", "3/2"])))
    return None
