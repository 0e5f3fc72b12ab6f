"""Sums over an index in normal form: linear, split into connected parts, with bound indices named in one canonical way."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .algebra import Undecided, sp
from .tensors import fresh_index

if TYPE_CHECKING:
    from .normal import Normal

MOST_SUMS = 5  # bound indices of one sum; their orders are all tried


def _has(normal: Normal, a: Any, index: Any) -> bool:
    return index in normal.written(a).free_symbols


def sum_of(normal: Normal, e: Any) -> Any:
    """A sum as a combination of atoms that are sums of products."""
    body = e.function
    for i, _, size in e.limits:
        body = _sum_over(normal, body, i, size)
    return body


def _sum_over(normal: Normal, body: Any, i: Any, size: Any) -> Any:
    terms, denominator = normal.monomials(normal.rational(body))
    inside: list[tuple[Any, int]] = []
    outside: Any = sp.Integer(1)
    number, factors = sp.factor_list(denominator)
    outside /= number
    for p, k in factors:
        if _has(normal, p, i):
            inside.append((p, -k))
        else:
            outside /= p**k
    made: Any = sp.Integer(0)
    for c, powers in terms:
        delta = next((a for a in powers if normal.kinds.get(a) == "delta" and _has(normal, a, i)), None)
        if delta is not None:
            j, k = normal.meaning[delta].args
            other = k if j == i else j
            rest = sp.Mul(*(a**n for a, n in powers.items() if a is not delta), *(p**n for p, n in inside))
            made += c * normal.rational(normal.written(rest).subs(i, other))
            continue
        free = sp.Mul(*(a**n for a, n in powers.items() if not _has(normal, a, i)))
        bound = [(a, n) for a, n in powers.items() if _has(normal, a, i)] + inside
        made += c * free * (_total(normal, bound, i, size) if bound else size)
    return made * outside


def _total(normal: Normal, factors: list[tuple[Any, int]], i: Any, size: Any) -> Any:
    """Sums of a product, split into connected parts, each with its bound indices named in one canonical way."""
    sizes = {i: size}
    product: list[Any] = []
    for a, n in factors:
        if normal.kinds.get(a) == "sum" and n > 0:
            for _ in range(n):  # a product of sums is one sum over all their indices
                inner = normal.meaning[a]
                new = {j: fresh_index() for j, _, _ in inner.limits}
                sizes |= {new[j]: high for j, _, high in inner.limits}
                product += sp.Mul.make_args(inner.function.xreplace(new))
        else:
            product += [normal.written(a)] * n if n > 0 else [normal.written(a) ** n]
    if len(sizes) > MOST_SUMS:
        raise Undecided(f"more than {MOST_SUMS} sums in one another")
    made: Any = sp.Integer(1)
    left = list(sizes)
    while left:
        part, found = {left[0]}, True
        while found:
            members = [f for f in product if f.free_symbols & part]
            found = {s for f in members for s in f.free_symbols if s in sizes} - part
            part |= found
        members = [f for f in product if f.free_symbols & part]
        left = [s for s in left if s not in part]
        made *= _named(normal, members, [s for s in sizes if s in part], sizes)
    return made * normal.rational(sp.Mul(*(f for f in product if not f.free_symbols & set(sizes))))


def _named(normal: Normal, members: list[Any], indices: list[Any], sizes: Mapping[Any, Any]) -> Any:
    if not members:
        return sp.Mul(*(sizes[i] for i in indices))
    body = sp.Mul(*members)
    depth = 1 + max(
        (
            int(str(s).split("b")[1].split(".")[0])
            for f in body.atoms(sp.Sum)
            for s, _, _ in f.limits
            if str(s).startswith("_b")
        ),
        default=0,
    )
    best = None
    for order in itertools.permutations(indices):
        new = [sp.Symbol(f"_b{depth}.{k}", integer=True, positive=True) for k in range(len(order))]
        made = sp.Sum(
            body.subs(dict(zip(order, new, strict=True)), simultaneous=True),
            *((n, 1, sizes[o]) for n, o in zip(new, order, strict=True)),
        )
        if best is None or str(made) < str(best):
            best = made
    return normal.atom("sum", best, best)
