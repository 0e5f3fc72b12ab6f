"""Functions of which nothing is known but that they are smooth, and their partial derivatives."""

from __future__ import annotations

from typing import Any

from ...trace.formula import pointed
from ..algebra.derivative import Argument, partial
from ..algebra.index_notation import Tensor
from ..algebra.indices import fresh_index
from ..algebra.meaning import kept
from .context import Context


def unknown_function(context: Context, text: str, base: str, positions: str, values: list[Tensor], node: Any) -> Tensor:
    """A function of which nothing is known but that it is smooth, or a partial derivative of it."""

    def wrong(what: str, fix: str = "") -> Exception:
        return pointed(text, node.meta.start_pos, what, fix)

    count = context.arity.setdefault(base, len(values))
    if count != len(values):
        raise wrong(f"{base} has {count} arguments in one place and {len(values)} here")
    if any(not 1 <= int(p) <= count for p in positions):
        raise wrong(f"{base} has {count} argument{'s' * (count != 1)}, and is differentiated by another one here")
    if count > 1 and len(positions) and "'" in str(node.children[0]):
        raise wrong(f"{base} has {count} arguments", f"say by which one, as {base}_1 or {base}_{count}")
    arguments: list[Any] = []
    for v in values:
        if v.rank > 1:
            raise wrong(f"{base} stands for a function of numbers or vectors, not of {v}")
        i = fresh_index()
        arguments.append(Argument(v.entry(i), i, v.dims[0]) if v.rank else v.scalar)
    made = kept(base)(*arguments)
    vectors = [p for p in positions if values[int(p) - 1].rank]
    if len(vectors) > 1 or (vectors and len(positions) > 1):
        raise wrong("a second derivative by a vector cannot be written here")

    def entry(*places: Any) -> Any:
        e = made
        for p in sorted(positions):
            e = partial(e, int(p) - 1, *places)
        return e

    return Tensor([values[int(p) - 1].dims[0] for p in vectors], entry)
