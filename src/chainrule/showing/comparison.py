"""Two derivations beside each other, with what changed marked."""

from __future__ import annotations

import difflib
import html
import re
from dataclasses import dataclass

from ..documents import Document, Formula

WORDS = re.compile(r"\w+|\s+|.")


@dataclass(frozen=True)
class Change:
    """A formula that differs: as it was, and as it is; empty where it is new or gone."""

    before: str
    after: str


class Comparison:
    """What differs between the derivations of two computations, line by line.

    Attributes:
        changes: the formulas that differ, in order.
    """

    def __init__(self, first: Document, second: Document) -> None:
        self._rows = _rows(_formulas(first), _formulas(second))
        self.changes = [Change(a, b) for a, b in self._rows if a != b]

    def __str__(self) -> str:
        rows: list[str] = []
        for a, b in self._rows:
            if a == b:
                rows.append(f"  {a}")
            else:
                rows += [f"- {a}"] if a else []
                rows += [f"+ {b}"] if b else []
        return "\n".join([*rows, f"{len(self.changes)} of {len(self._rows)} lines differ"])

    __repr__ = __str__

    def html(self) -> str:
        """Two columns; what is gone is marked on the left, what is new on the right."""
        body = "".join(
            f"<tr{' class=changed' if a != b else ''}><td><code>{_marked(a, b, '#ffd9d9')}</code></td><td><code>{_marked(b, a, '#d3f4d3')}</code></td></tr>"
            for a, b in self._rows
        )
        return f'<table class="chainrule-comparison">{body}</table>\n'

    def _repr_html_(self) -> str:
        return self.html()

    def markdown(self) -> str:
        """The comparison as a block of code in the format of diff."""
        return f"```diff\n{self}\n```\n"


def _formulas(document: Document) -> list[str]:
    """The formulas of a document without the numbers of its point."""
    return [s.text for s in document.lines if isinstance(s, Formula)]


def _rows(a: list[str], b: list[str]) -> list[tuple[str, str]]:
    """Lines paired by what they define, then by likeness."""
    heads = [[s.partition(" = ")[0] for s in lines] for lines in (a, b)]
    rows: list[tuple[str, str]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(a=heads[0], b=heads[1], autojunk=False).get_opcodes():
        if tag == "equal":
            rows += zip(a[i:j], b[k:m], strict=True)
        else:
            rows += [(s, "") for s in a[i:j]]
            rows += [("", s) for s in b[k:m]]
    return rows


def _marked(text: str, other: str, colour: str) -> str:
    """The text with the words marked that the other one does not have."""
    if text == other:
        return html.escape(text)
    mine, theirs = WORDS.findall(text), WORDS.findall(other)
    parts: list[str] = []
    for tag, i, j, _, _ in difflib.SequenceMatcher(a=mine, b=theirs, autojunk=False).get_opcodes():
        words = html.escape("".join(mine[i:j]))
        parts.append(words if tag == "equal" or not words else f'<mark style="background:{colour}">{words}</mark>')
    return "".join(parts)
