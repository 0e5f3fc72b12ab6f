"""The conditions under which a program is right, as its own statements: what Python saw of values when it was traced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.node import Node
from ..trace.names import user_name
from .staged import Check, Staged

if TYPE_CHECKING:
    from .lines import Lines

Row = tuple[str, int]  # a statement, and the number of the stage that it makes or undoes; 0 for none
LONGEST = 80  # letters of the user's line in a message
DEEPEST = 3  # operations that are written within one condition


def inlined(s: Staged) -> set[Node]:
    """The values that only a check needs and that are written within it: used once, without a name of the user's, and short."""
    uses: dict[Node, int] = {c.node: 0 for c in s.checks}
    for n in s.asked:
        for p in n.parents:
            uses[p] = uses.get(p, 0) + 1
    depth: dict[Node, int] = {}
    for n in s.asked:
        below = 1 + max((depth.get(p, 0) for p in n.parents), default=0)
        if uses.get(n, 0) <= 1 and below <= DEEPEST and user_name(n) is None:
            depth[n] = below
    return set(depth)


class Checks:
    """Hands out the checks of a program, each when its value is known."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.waiting = sorted(lines.s.checks, key=lambda c: c.node.order, reverse=True)
        self.written: set[str] = set()

    def before(self, order: float = float("inf")) -> list[Row]:
        """The checks of values that were made before a node of that order."""
        rows: list[Row] = []
        while self.waiting and self.waiting[-1].node.order < order:
            check = self.waiting.pop()
            wrong, _ = condition(self.lines, check)
            if wrong not in self.written:
                self.written.add(wrong)
                rows += [(f"if {wrong}:", 0), (f"    raise ValueError({quoted(message(words(self.lines, check)))})", 0)]
        return rows


def condition(lines: Lines, c: Check) -> tuple[str, str]:
    """The condition under which the program is wrong, and in words the one under which it is right."""
    e, language = lines.text(c.node), lines.language
    if c.kind == "truth":
        return (f"not {e}", str(e)) if c.seen else (str(e), f"not {e}")
    if c.kind == "count":
        return f"{language.count.format(e)} != {c.seen}", f"{c.seen} entries of {e} that hold"
    if np.ndim(c.seen) == 0:
        atom = e.within(30)
        if c.seen != c.seen:
            return f"{atom} == {atom}", f"{e} = nan"
        return f"{atom} != {language.number(c.seen)}", f"{e} = {language.number(c.seen)}"
    return f"not {language.same.format(e, lines.text(c.seen))}", f"{e} as it was"


def words(lines: Lines, c: Check) -> str:
    """For what a program was printed, with the line of the user's code."""
    return condition(lines, c)[1] + (f" ({short(c.place)})" if c.place else "")


def message(said: str) -> str:
    """What is said where a condition does not hold."""
    return f"this program was printed for {said}; print it again at the new point"


def short(place: str) -> str:
    """`file:line: source` without the folders."""
    text = re.sub(r"^.*[/\\](?=[^/\\:]+:\d+)", "", place)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def quoted(text: str) -> str:
    """A text as Python writes it, in double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', "'") + '"'


def header(lines: Lines, given: Sequence[Node], free: Sequence[int] = ()) -> list[Row]:
    """For which inputs the program was printed: said where any is an array or holds something of its own, and checked.

    Args:
        given: the inputs.
        free: the positions of those whose first axis may have any length, the same for all.
    """
    s, language = lines.s, lines.language
    names = [lines.names[v] for v in given]
    constants = [f"{name}: {typed(x)} a constant" for name, x in lines.constants.items()]
    arrays = any(v.shape for v in given)
    rows: list[Row] = []
    if arrays or any(v.dtype != float for v in given) or s.notes or constants:
        letter = next(c for c in ("n", "m", "N", "M") if c not in {*names, *(n.split(" = ")[0] for n in s.notes)})
        said = [
            f"{name}: {typed(v.value, letter if k in free else '')}"
            for k, (name, v) in enumerate(zip(names, given, strict=True))
        ]
        rows.append((f"# printed for {', '.join([*said, *constants, *(f'{n} a constant' for n in s.notes)])}", 0))
    if arrays:
        first = next((names[k] for k in free), "")
        have: list[str] = []
        want: list[str] = []
        for k, (name, v) in enumerate(zip(names, given, strict=True)):
            if k not in free:
                have.append(f"{name}.shape" if v.shape else language.shape.format(name))
                want.append(str(v.shape))
            elif name != first:
                have.append(f"{name}.shape")
                want.append(f"({', '.join([f'len({first})', *map(str, v.shape[1:])])}{',' * (len(v.shape) == 1)})")
            else:
                have.append(f"{name}.shape[1:]" if len(v.shape) > 1 else f"{name}.ndim")
                want.append(str(v.shape[1:] or 1))
        shapes = f"{_together(have)} != {_together(want)}"
        whole = [n for n, v in zip(names, given, strict=True) if v.shape]
        kinds = language.exact.format(whole[0])
        if len(whole) > 1:
            kinds = f"any({language.exact.format('a')} for a in {_together(whole)})"
        wrong = "this program was printed for other shapes or dtypes; print it again for these"
        rows += [(f"if {shapes} or {kinds}:", 0), (f"    raise ValueError({quoted(wrong)})", 0)]
    return rows


def _together(parts: list[str]) -> str:
    """Several things as a tuple; one as itself."""
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def typed(x: Any, free: str = "") -> str:
    """The dtype and shape of a value: `f64[3, 2]`; `free` stands for the first length where that may be any."""
    dtype = np.asarray(x).dtype if not hasattr(x, "dtype") else x.dtype
    kind = {"f": "f", "i": "i", "u": "u", "c": "c"}.get(dtype.kind)
    name = f"{kind}{8 * dtype.itemsize}" if kind else dtype.name
    lengths = [*map(str, np.shape(x))]
    return f"{name}[{', '.join([free, *lengths[1:]] if free else lengths)}]" if lengths else name
