"""Sizes that the text leaves open: axes and indices that meet are of one size, or the statement is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from ...trace.formula import identifier, pointed
from ..algebra.indices import Binder, free_index, fresh_index, size
from ..algebra.untyped import sp
from .context import RANDOM, Context, Use, ends, linear

Axis = tuple[str, int]  # the name of a variable, and which of its axes


@dataclass(frozen=True)
class _Use:
    """An index expression on an axis."""

    axis: Axis
    index: Any
    at: int


def is_sum(node: Any) -> bool:
    """Whether a call is a sum over named indices."""
    arguments = [c for c in node.children[1:] if c is not None]
    return (
        node.data == "call"
        and str(node.children[0]) == "sum"
        and (len(arguments) > 1 or (bool(arguments) and arguments[0].data == "range"))
    )


def binders_of(node: Any) -> Iterator[tuple[str, Any, Any]]:
    """The indices that a sum binds: the name, the token of the range or None, and the node; other nodes have no name."""
    *binders, _ = (c for c in node.children[1:] if c is not None)
    for b in binders:
        if b.data == "range":
            yield identifier(b.children[0]), b.children[1], b
        elif b.data == "name":
            yield identifier(b.children[0]), None, b
        elif b.data == "compare" and b.children[0].data == "name" and str(b.children[1]) in ("!=", "≠"):
            yield identifier(b.children[0].children[0]), None, b
        else:
            yield "", None, b


def infer(tree: Any, text: str, context: Context) -> None:
    """Find the sizes of variables that are indexed, the ranges of free indices, and of sums that write none."""
    _Sizes(text, context).run(tree)


class _Sizes:
    def __init__(self, text: str, context: Context) -> None:
        self.text, self.context = text, context
        self.uses: list[_Use] = []
        self.counts: dict[str, int] = {}
        self.names: set[str] = set()  # every name that stands in the text
        self.whole: set[str] = set()  # variables that stand without an index
        self.subscripts: dict[str, list[str]] = {}  # names in brackets that no sum binds, and of which variables
        self.ends: set[str] = set()  # names in the ends of ranges that no sum binds
        self.open: dict[Any, tuple[int, str]] = {}  # indices of sums without a range
        self.leader: dict[Any, Any] = {}

    # ---- walking -----------------------------------------------------------------------------------------------

    def run(self, tree: Any) -> None:
        context = self.context
        for dims in context.dims.values():
            context.sizes |= {str(d): d for d in dims if d.is_Symbol}
        self._walk(tree)
        for name in self.ends | {*self.subscripts}:
            if name in context.sizes:
                continue
            elsewhere = any(v in context.dims for v in self.subscripts.get(name, ()))
            if name in self.ends and not elsewhere:
                context.sizes[name] = size(name)
        arrays = self.counts.keys() | context.dims.keys()
        for name in sorted(context.sizes.keys() & arrays):
            raise InputError(
                f"{name} is a variable and a size in {self.text!r}", "give one of them another name", where=""
            )
        for name in {*self.subscripts} - context.sizes.keys():
            context.free[name] = Binder(
                free_index(name), sp.Integer(1), sp.Integer(1)
            )  # its ends are found by `settle`
        self._resolve()

    def _walk(self, tree: Any) -> None:
        stack: list[tuple[Any, Mapping[str, Any]]] = [(tree, {})]
        while stack:
            node, scope = stack.pop()
            children = [c for c in node.children if hasattr(c, "children")]
            if node.data in ("name", "call"):
                self.names.add(identifier(node.children[0]))
            if node.data == "name" and identifier(node.children[0]) not in scope:
                self.whole.add(identifier(node.children[0]))
            if node.data == "call" and is_sum(node):
                scope = self._bound(node, scope)
                children = [c for c in children if c.data not in ("range", "name") or c is children[-1]]
            head: Any = node.children[0] if node.children else None
            if node.data == "getitem" and head.data == "name" and str(head.children[0]) not in RANDOM:
                self._used(head.children[0], [c.children[0] for c in node.children[1:] if c is not None], node, scope)
                children = []
            elif node.data == "getitem" and str(head.children[0]) not in RANDOM:
                for c in children[1:]:
                    self._place(c.children[0], scope)
                children = [head]
            elif node.data == "target":
                self.names.add(identifier(head))
                subscripts = [c for c in node.children[1:] if c is not None]
                if subscripts:
                    self._used(head, subscripts, node, scope)
                else:
                    self.whole.add(identifier(head))
                children = []
            stack += [(c, scope) for c in children]

    def _bound(self, node: Any, scope: Mapping[str, Any]) -> Mapping[str, Any]:
        inner = dict(scope)
        for name, token, _ in binders_of(node):
            if not name or (name in inner and inner[name] not in scope.values()):
                continue
            index = inner[name] = fresh_index(name)
            if token is None:
                self.open[index] = node.meta.start_pos, name
            else:
                low, high = ends(token, self.text, lambda n, _: inner[n] if n in inner and n != name else self._end(n))
                self.context.ranges.bind(Binder(index, low, high))
        return inner

    def _end(self, name: str) -> Any:
        self.ends.add(name)
        self.names.add(name)
        return size(name)

    def _used(self, token: Any, subscripts: list[Any], node: Any, scope: Mapping[str, Any]) -> None:
        name = identifier(token)
        self.names.add(name)
        if self.counts.setdefault(name, len(subscripts)) != len(subscripts):
            raise pointed(
                self.text,
                node.meta.start_pos,
                f"{name} has {self.counts[name]} indices in one place and {len(subscripts)} here",
            )
        for k, s in enumerate(subscripts):
            index, free = self._place(s, scope)
            self.uses.append(_Use((name, k), index, s.meta.start_pos))
            for n in free:
                self.subscripts[n].append(name)

    def _place(self, node: Any, scope: Mapping[str, Any]) -> tuple[Any, list[str]]:
        """An index expression, and the names in it that neither a sum binds nor a declared size explains."""
        free: list[str] = []

        def integer(n: str, _: Any) -> Any:
            self.names.add(n)
            if n in scope:
                return scope[n]
            if n in self.context.sizes:
                return self.context.sizes[n]
            free.append(n)
            self.subscripts.setdefault(n, [])
            return free_index(n)

        return linear(node, self.text, integer), free

    # ---- unification -------------------------------------------------------------------------------------------

    def _find(self, a: Any) -> Any:
        while a in self.leader:
            a = self.leader[a]
        return a

    def _unite(self, a: Any, b: Any) -> None:
        a, b = self._find(a), self._find(b)
        if a != b:
            self.leader[a] = b

    def _resolve(self) -> None:
        context = self.context
        sized = {free_index(n): s for n, s in context.sizes.items()}
        self.uses = [_Use(u.axis, u.index.xreplace(sized), u.at) for u in self.uses]
        loose = {*self.open, *(b.index for b in context.free.values())}
        for u in self.uses:
            for i in u.index.free_symbols & loose:
                self._unite(("axis", *u.axis), ("index", i))
        known = self._declared()
        for root in dict.fromkeys(self._find(("axis", *u.axis)) for u in self.uses):
            if root not in known:
                known[root] = self._largest(root, loose)
        for name, count in self.counts.items():
            if name in context.dims:
                if len(context.dims[name]) != count:
                    raise InputError(
                        f"{name} was declared with {len(context.dims[name])} dimensions, and has {count} indices in {self.text!r}",
                        where="",
                    )
            else:
                context.dims[name] = tuple(known[self._find(("axis", name, k))] for k in range(count))
        for index, (place, name) in self.open.items():
            uses = [
                Use(u.index, context.dims[u.axis[0]][u.axis[1]], u.at)
                for u in self.uses
                if index in u.index.free_symbols
            ]
            if uses:
                context.binders[(place, name)] = _range(index, name, uses, self.text, context)

    def _declared(self) -> dict[Any, Any]:
        """The declared size of each class of axes; two different ones are refused."""
        known: dict[Any, tuple[Any, Axis]] = {}
        for name, dims in self.context.dims.items():
            for k, d in enumerate(dims):
                root = self._find(("axis", name, k))
                before, axis = known.setdefault(root, (d, (name, k)))
                if before != d:
                    raise InputError(
                        f"one index runs over axis {axis[1] + 1} of {axis[0]}, of size {before}, and over axis {k + 1} of {name}, of size {d}, in {self.text!r}",
                        "give them one size, or use two indices",
                        where="",
                    )
        return {root: d for root, (d, _) in known.items()}

    def _largest(self, root: Any, loose: set[Any]) -> Any:
        """The size of axes of which none was declared: the largest place that is used, or a name of its own."""
        uses = [u for u in self.uses if self._find(("axis", *u.axis)) == root]
        highest = [(self.context.ranges.highest(u.index), u) for u in uses if not u.index.free_symbols & loose]
        symbolic = [(e, u) for e, u in highest if not e.is_Integer]
        number = max((int(e) for e, _ in highest if e.is_Integer), default=1)
        if not symbolic:
            if len(highest) == len(uses) and not any(u.axis[0] in self.whole for u in uses):
                return sp.Integer(max(number, 1))
            taken = self.names | self.context.sizes.keys()
            made = size(next(n for n in (*"Knmpq", *(f"n{k}" for k in range(1, 999))) if n not in taken))
            self.context.sizes[str(made)] = made
            self.context.ranges.least[made] = number
            return made
        best, _ = symbolic[0]
        for e, u in symbolic[1:]:
            if self.context.ranges.nonnegative(e - best):
                best = e
            elif not self.context.ranges.nonnegative(best - e):
                raise pointed(
                    self.text,
                    u.at,
                    f"{u.axis[0]} is indexed up to {best} in one place, and up to {e} here",
                    f"give its size, as {u.axis[0]}='n', and one name to ends that are the same",
                )
        return best


# ---- ranges ------------------------------------------------------------------------------------------------------------


def settle(text: str, context: Context) -> None:
    """The ranges of the free indices, when the whole statement was read; every place that is indexed must exist."""
    for name, b in context.free.items():
        uses = [u for u in context.uses if b.index in u.index.free_symbols]
        if uses:
            low, high = _range(b.index, name, uses, text, context)
            context.free[name] = Binder(b.index, low, high)
            context.ranges.bind(context.free[name])
    for u in context.uses:
        for beyond, way, end in ((u.index - 1, "down", sp.Integer(1)), (u.size - u.index, "up", u.size)):
            if not context.require(sp.expand(beyond)):
                if u.index == 0:
                    raise pointed(text, u.at, "the indices of a statement begin at 1")
                reached = context.ranges.highest(u.index) if way == "up" else context.ranges.highest(-u.index) * -1
                raise pointed(
                    text,
                    u.at,
                    f"this is indexed {way} to {reached}, and its indices run from 1 to {u.size}",
                    f"let the index end at {end}, or say how the sizes compare, as given='{u.size} >= {reached}'",
                )


def _range(index: Any, name: str, uses: Sequence[Use], text: str, context: Context) -> tuple[Any, Any]:
    """The range in which an index must be for every place where it is used to exist."""
    lows: list[Any] = []
    highs: list[Any] = []
    for u in uses:
        c = u.index.coeff(index)
        if c not in (1, -1):
            raise pointed(text, u.at, f"{name} is multiplied here", "write x[i], x[i + 1] or x[n - i]")
        rest = u.index - c * index
        (lows if c == 1 else highs).append(sp.expand(c * (1 - rest)))
        (highs if c == 1 else lows).append(sp.expand(c * (u.size - rest)))
    found: list[Any] = []
    for ends_, sign in ((lows, 1), (highs, -1)):
        best = next(
            (e for e in ends_ if all(context.ranges.nonnegative(sp.expand(sign * (e - o))) for o in ends_)), None
        )
        if best is None:
            said = " and ".join(dict.fromkeys(map(str, ends_)))
            raise pointed(
                text,
                uses[0].at,
                f"{name} has no one range: its {'first' if sign == 1 else 'last'} value would be {said}",
                "use two indices, or say how the sizes compare, as given='n >= m'",
            )
        found.append(best)
    return found[0], found[1]
