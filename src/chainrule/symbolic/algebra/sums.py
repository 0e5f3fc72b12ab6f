"""Sums over an index in normal form: linear, split into connected parts, bound indices without names, ranges split at common ends.

Two sums are the same atom only where their terms are the same up to the names of bound indices *and* their ranges are the
same. Sums of the same terms over different ranges are written with the sum over a common part and single terms:
with A(e) the sum from a common beginning to e, a sum from a to b is A(b) - A(a - 1), which holds wherever b >= a - 1.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .budget import MOST_WRITTEN
from .indices import Binder, fresh_index, same
from .meaning import step
from .untyped import Undecided, sp

if TYPE_CHECKING:
    from .normal import Normal

MOST_SUMS = 5  # bound indices of one sum
MOST_ORDERS = 24
MOST_PEELED = 6  # terms by which two ranges may differ at an end
HALF = sp.Rational(1, 2)


@functools.lru_cache(maxsize=64)
def bound_index(depth: int, k: int) -> Any:
    """The k-th index of a sum in normal form; sums inside it have a lower depth."""
    return sp.Dummy(f"b{depth}_{k}", integer=True)


def depth_of(e: Any) -> int:
    """The depth of the sums inside an expression in normal form; 0 where there are none."""
    return max((d for d in map(_depth, e.atoms(sp.Dummy)) if d), default=0)


def _depth(s: Any) -> int:
    head, _, _ = s.name.partition("_")
    return int(head[1:]) if head[:1] == "b" and head[1:].isdigit() else 0


def sum_of(normal: Normal, e: Any) -> Any:
    """A sum as a combination of atoms that are sums of products."""
    new = {i: fresh_index() for i, _, _ in e.limits}
    body = e.function.xreplace(new)
    binders = [Binder(new[i], low.xreplace(new), high.xreplace(new)) for i, low, high in e.limits]
    for b in binders:
        normal.ranges.bind(b)
    for b in binders:
        if normal.ranges.nonnegative(sp.expand(b.high - b.low)):
            body = _over(normal, body, b)
        else:
            with normal.formally():
                body = _over(normal, body, b)
    return body


def _over(normal: Normal, body: Any, b: Binder) -> Any:
    """The sum of an expression over one index."""
    ranges = normal.ranges
    if ranges.nonnegative(b.low - b.high - 1):
        return sp.Integer(0)
    if b.low.is_Integer and b.high.is_Integer and b.high - b.low < MOST_WRITTEN:
        written = normal.written(normal.rational(body))
        return sp.Add(
            *(normal.rational(written.xreplace({b.index: sp.Integer(k)})) for k in range(int(b.low), int(b.high) + 1))
        )
    made = normal.rational(body)
    picked = _picked(normal, normal.written(made), b)
    if picked is not None:
        return picked
    terms, denominator = normal.monomials(made)
    inside: list[tuple[Any, int]] = []
    outside: Any = sp.Integer(1)
    number, factors = normal.factors_of(denominator)
    outside /= number
    for p, k in factors:
        if _has(normal, p, b.index):
            inside.append((p, -k))
        else:
            outside /= p**k
    total: Any = sp.Integer(0)
    for c, powers in terms:
        free = sp.Mul(*(a**n for a, n in powers.items() if not _has(normal, a, b.index)))
        bound = [(a, n) for a, n in powers.items() if _has(normal, a, b.index)] + inside
        total += c * free * _product(normal, bound, b)
    return total * outside


def _has(normal: Normal, a: Any, index: Any) -> bool:
    return index in normal.written(a).free_symbols


def _picked(normal: Normal, body: Any, b: Binder) -> Any:
    """The sum of terms that look at whether the index is at some place: what they are there, and the sum of the others."""
    for d in sorted(body.atoms(sp.KroneckerDelta), key=str):
        if b.index not in d.free_symbols or depth_of(d):
            continue
        gap = sp.expand(d.args[0] - d.args[1])
        c = gap.coeff(b.index)
        place = sp.expand(b.index - c * gap)
        if c not in (1, -1) or b.index in place.free_symbols:
            continue
        others = body.xreplace({d: sp.Integer(0)})
        at = {b.index: place}
        difference = body.xreplace({d: sp.Integer(1)}).xreplace(at) - others.xreplace(at)
        within = _from(normal, place - b.low) * _from(normal, b.high - place)
        if within == 0:
            return _over(normal, others, b)
        with normal.formally():
            there = normal.rational(within) * normal.rational(difference)
        return _over(normal, others, b) + there
    return None


def _from(normal: Normal, e: Any) -> Any:
    """1 where an integer expression is >= 0, and 0 elsewhere."""
    ranges = normal.ranges
    e = sp.expand(e)
    if ranges.nonnegative(e):
        return sp.Integer(1)
    if ranges.nonnegative(-e - 1):
        return sp.Integer(0)
    for k in range(1, 4):
        if ranges.nonnegative(e + k):
            return 1 - sp.Add(*(same(e + m, sp.Integer(0)) for m in range(1, k + 1)))
    return step(e + HALF)


# ---- products under a sum ----------------------------------------------------------------------------------------------


def _product(normal: Normal, factors: list[tuple[Any, int]], b: Binder) -> Any:
    """The sum of a product, split into connected parts."""
    if all(a == b.index and n > 0 for a, n in factors):
        return _of_powers(normal, sum(n for _, n in factors), b)
    binders = [b]
    product: list[Any] = []
    for a, n in factors:
        if normal.kinds.get(a) == "sum" and 0 < n <= MOST_SUMS:
            for _ in range(n):  # a product of sums is one sum over all their indices
                inner = normal.meaning[a]
                new = {j: fresh_index() for j, _, _ in inner.limits}
                binders += [Binder(new[j], low.xreplace(new), high.xreplace(new)) for j, low, high in inner.limits]
                product += sp.Mul.make_args(inner.function.xreplace(new))
        elif n > 0:
            product += [normal.written(a)] * n if n <= MOST_SUMS else [normal.written(a) ** n]
        else:
            product.append(normal.written(a) ** n)
    if len(binders) > MOST_SUMS:
        raise Undecided(f"more than {MOST_SUMS} sums in one another")
    for x in binders:
        normal.ranges.bind(x)
    made: Any = sp.Integer(1)
    for part in _connected(product, binders):
        indices = {x.index for x in part}
        members = [f for f in product if f.free_symbols & indices]
        made *= _canonical(normal, members, part)
    rest = [f for f in product if not any(x.index in f.free_symbols for x in binders)]
    return made * normal.rational(sp.Mul(*rest))


def _connected(product: Sequence[Any], binders: Sequence[Binder]) -> Iterator[list[Binder]]:
    """Indices that stand in one factor, or one in the range of another, belong together."""
    links = [f.free_symbols for f in product]
    links += [{b.index} | b.low.free_symbols | b.high.free_symbols for b in binders]
    left = list(binders)
    while left:
        part = {left[0].index}
        for _ in binders:
            part |= {x.index for x in binders if any(x.index in s and s & part for s in links)}
        yield [x for x in binders if x.index in part]
        left = [x for x in left if x.index not in part]


def _length(normal: Normal, b: Binder) -> Any:
    """The number of terms of a sum."""
    count = sp.expand(b.high - b.low + 1)
    if normal.ranges.nonnegative(count):
        return count
    normal.empty[count] = None
    return normal.atom("count", count, sp.Sum(1, (bound_index(1, 0), b.low, b.high)))


def _of_powers(normal: Normal, n: int, b: Binder) -> Any:
    """The sum of i^n in closed form (Faulhaber)."""
    count = sp.expand(b.high - b.low + 1)
    if n == 0:
        return _length(normal, b)
    if n > 8 or not normal.ranges.nonnegative(count):
        normal.empty[count] = None
        i = bound_index(1, 0)
        return normal.atom("range", (i**n, b.low, b.high), sp.Sum(i**n, (i, b.low, b.high)))
    x = sp.Symbol("x")
    to = (sp.bernoulli(n + 1, x + 1) - sp.bernoulli(n + 1, 0)) / (n + 1)  # 0^n + 1^n + ... + x^n
    return sp.expand(to.xreplace({x: b.high}) - to.xreplace({x: b.low - 1}))


def _canonical(normal: Normal, members: list[Any], binders: list[Binder]) -> Any:
    """The sum of a connected product as atoms, whatever its indices are called, and in whatever order they stand."""
    if not members:
        if any(x.index in b.low.free_symbols | b.high.free_symbols for x in binders for b in binders):
            raise Undecided("a count of pairs")
        return sp.Mul(*(_length(normal, b) for b in binders))
    before = binders
    for k in range(len(binders)):
        members, binders = _shifted(members, binders, k)
    if binders != before:  # with i - 1 for i there may be several terms
        limits = ((b.index, b.low, b.high) for b in reversed(binders))
        return normal.rational(sp.Sum(sp.Mul(*members), *limits))
    depth = 1 + max(depth_of(f) for f in members)
    found: list[tuple[Any, Any, list[Binder]]] = []
    for order in _orders(members, binders):
        new = {b.index: bound_index(depth, k) for k, b in enumerate(order)}
        named = [f.xreplace(new) for f in members]
        ordered = [Binder(new[b.index], b.low.xreplace(new), b.high.xreplace(new)) for b in order]
        key = (sorted(map(str, named)), str(ordered)) if len(binders) > 1 else ()
        found.append((key, sp.Mul(*named), ordered))
    _, body, ordered = min(found, key=lambda f: f[0])
    indices = {b.index for b in ordered}
    if any((b.low.free_symbols | b.high.free_symbols) & indices for b in ordered):  # one range depends on another
        return _atom(normal, body, ordered)
    return _split(normal, body, ordered, 0)


def _shifted(members: list[Any], binders: list[Binder], k: int) -> tuple[list[Any], list[Binder]]:
    """An index moved so that the first place at which it stands is the index itself: x[i + 1] over 0..n is x[i] over 1..n + 1."""
    b = binders[k]
    places = {p for f in members for x in f.atoms(sp.Indexed) for p in x.indices if b.index in p.free_symbols}
    for sign in (1, -1):
        rests = {sp.expand(p - sign * b.index) for p in places}
        if not rests or any(b.index in r.free_symbols for r in rests):
            continue
        first = next((r for r in rests if all((o - r).is_Integer and o - r >= 0 for o in rests)), None)
        if first is None or (sign == 1 and first == 0) or _dependent(binders, b.index):
            continue
        new = fresh_index()
        by = {b.index: sp.expand(sign * (new - first))}
        low, high = (b.low, b.high) if sign == 1 else (-b.high, -b.low)
        moved = Binder(new, sp.expand(low + first), sp.expand(high + first))
        return [f.xreplace(by) for f in members], [*binders[:k], moved, *binders[k + 1 :]]
    return members, binders


def _dependent(binders: Sequence[Binder], index: Any) -> bool:
    return any(index in b.low.free_symbols | b.high.free_symbols for b in binders)


def _orders(members: Sequence[Any], binders: Sequence[Binder]) -> Iterator[tuple[Binder, ...]]:
    """The orders of indices that are worth comparing: by what is seen of each alone, in every order where that is the same."""
    if len(binders) == 1:
        yield tuple(binders)
        return
    here, other = bound_index(99, 0), bound_index(99, 1)

    def seen(b: Binder) -> Any:
        by = {x.index: here if x is b else other for x in binders}
        ranges = [str(e.xreplace(by)) for e in (b.low, b.high)]
        return sorted(str(f.xreplace(by)) for f in members if b.index in f.free_symbols), ranges

    groups = [list(g) for _, g in itertools.groupby(sorted(binders, key=seen), key=seen)]
    orders = itertools.product(*(itertools.permutations(g) for g in groups))
    for parts in itertools.islice(orders, MOST_ORDERS):
        yield tuple(b for part in parts for b in part)


# ---- ranges ------------------------------------------------------------------------------------------------------------


def _atom(normal: Normal, body: Any, binders: Sequence[Binder]) -> Any:
    made = sp.Sum(body, *((b.index, b.low, b.high) for b in reversed(binders)))
    return normal.atom("sum", made, made)


def _split(normal: Normal, body: Any, binders: Sequence[Binder], k: int) -> Any:
    """A sum by sums of the same terms over common ranges, and single terms; the indices before the k-th are done."""
    if k == len(binders):
        return _atom(normal, body, binders)
    b = binders[k]
    count = sp.expand(b.high - b.low + 1)
    if not normal.ranges.nonnegative(count):  # it may be empty in a way that A(b) - A(a - 1) does not tell
        normal.empty[count] = None
        return _split(normal, body, binders, k + 1)
    begin = _beginning(normal, (body, k), sp.expand(b.low - 1))
    made: Any = sp.Integer(0)
    for sign, end in ((1, b.high), (-1, sp.expand(b.low - 1))):
        common, single = _end(normal, (body, k), begin, end)
        if common is not None:
            part = Binder(b.index, sp.expand(begin + 1), common)
            made += sign * _split(normal, body, [*binders[:k], part, *binders[k + 1 :]], k + 1)
        for place in single:
            term = body.xreplace({b.index: place})
            others = [x for x in binders if x is not b]
            if others:
                term = sp.Sum(term, *((x.index, x.low, x.high) for x in reversed(others)))
            with normal.formally():
                made += sign * normal.rational(term)
    return made


def _beginning(normal: Normal, terms: Any, before: Any) -> Any:
    """From where sums of these terms are counted: the place before the first of any of them, as far as that can be told."""
    known = normal.beginnings.setdefault(terms, [])
    for e in known:
        if normal.ranges.nonnegative(sp.expand(before - e)):
            return e
    later = [e for e in known if normal.ranges.nonnegative(sp.expand(e - before))]
    normal.beginnings[terms] = [*(e for e in known if e not in later), before]
    if later:
        raise normal.again
    return before


def _end(normal: Normal, terms: Any, begin: Any, end: Any) -> tuple[Any, list[Any]]:
    """A common end of sums of these terms (None where nothing is left to sum), and the places from there to this one."""
    if end == begin:
        return None, []
    constant, symbolic = end.as_coeff_Add()
    if (end - begin).is_Integer and end - begin <= MOST_WRITTEN:
        return None, [sp.expand(begin + k) for k in range(1, int(end - begin) + 1)]
    ends = normal.ends.setdefault((terms, begin, symbolic), [])
    if constant not in ends:
        ends.append(constant)
        if len(ends) > 1:
            raise normal.again
    near = [c for c in ends if 0 <= constant - c <= MOST_PEELED]
    least = min((c for c in near if normal.ranges.nonnegative(sp.expand(symbolic + c - begin))), default=constant)
    return symbolic + least, [symbolic + c for c in range(int(least) + 1, int(constant) + 1)]
