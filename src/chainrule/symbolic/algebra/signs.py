"""Signs in normal form: of a product from its factors, and an atom s with s^3 = s where nothing is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .meaning import sign
from .untyped import Undecided, sp

if TYPE_CHECKING:
    from .normal import Normal


def sign_of(normal: Normal, u: Any) -> Any:
    """The sign of an expression as the product of the signs of its factors."""
    try:
        number, factors = normal.factored(u)
    except normal.again:
        raise
    except Undecided:  # a real number written with complex exponentials: its sign is an atom as a whole
        return _atom(normal, normal.written(normal.inner(u)))
    made: Any = sp.sign(number)
    for p, k in factors:
        s = sign_of_polynomial(normal, p)
        made *= s if k % 2 else s**2
    return made


def sign_of_polynomial(normal: Normal, p: Any) -> Any:
    """The sign of a polynomial in atoms: 1, an expression in the signs that it is made of, or an atom."""
    if normal.is_positive(p):
        return sp.Integer(1)
    signs = sorted(p.free_symbols, key=str)
    if len(signs) <= 2 and all(normal.kinds.get(a) == "sign" for a in signs):
        return _of_signs(normal, p, signs)
    return _atom(normal, normal.written(p))


def _of_signs(normal: Normal, p: Any, signs: Sequence[Any]) -> Any:
    """The sign of a polynomial in signs, by its values where each of them is -1, 0 or 1."""
    made: Any = sp.Integer(0)
    for values in itertools.product((-1, 0, 1), repeat=len(signs)):
        here = sp.sign(p.xreplace(dict(zip(signs, map(sp.Integer, values), strict=True))))
        chosen = (1 - s**2 if v == 0 else (s**2 + v * s) / 2 for s, v in zip(signs, values, strict=True))
        made += here * sp.Mul(*chosen)
    return sp.expand(made)


def _atom(normal: Normal, key: Any) -> Any:
    known = normal.given.sign(key)
    if known is not None:
        return sp.Integer(known)
    s = normal.atom("sign", key, sign(key))
    normal.relations[s] = (3, s)
    normal.undetermined[key] = None
    return s
