"""The table of values and gradients: one row for each node."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..programs.expression_text import NUMPY, expression
from ..programs.staged import Staged
from .show import shown


@dataclass(frozen=True)
class Row:
    """A node: its name, role (input, data, stage or output), operation as written, value and gradient."""

    name: str
    role: str
    operation: str
    value: Any
    gradient: Any


class Table:
    """Every node of a computation with its value and its gradient."""

    heads = ("name", "operation", "value", "gradient")

    def __init__(self, staged: Staged) -> None:
        self.rows = [
            *(
                Row(staged.names[v], "input" if v in staged.wrt else "data", "", v.value, staged.gradients.get(v))
                for v in staged.inputs
            ),
            *(
                Row(
                    staged.names[n],
                    "output" if n is staged.output else "stage",
                    str(expression(n, staged.names, NUMPY, lambda a: f"array{np.shape(a)}")),
                    n.value,
                    staged.gradients.get(n),
                )
                for n in staged.stages
            ),
        ]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def cells(self) -> list[tuple[str, str, str, str]]:
        """The rows as texts."""
        return [(r.name, r.operation or r.role, shown(r.value), shown(r.gradient)) for r in self.rows]

    def __str__(self) -> str:
        rows = [self.heads, *self.cells()]
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])

    __repr__ = __str__

    def markdown(self) -> str:
        """The table in Markdown."""
        rows = [self.heads, ("---",) * 4, *((f"`{a}`", f"`{b}`", c, d) for a, b, c, d in self.cells())]
        return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{h}</th>" for h in self.heads)
        body = "".join(
            f'<tr class="{row.role}">' + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>"
            for row, cells in zip(self.rows, self.cells(), strict=True)
        )
        return f'<table class="chainrule"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'

    def __rich__(self) -> Any:
        from rich.table import Table as RichTable

        table = RichTable(*self.heads, box=None, header_style="bold", pad_edge=False)
        for row, (name, operation, value, gradient) in zip(self.rows, self.cells(), strict=True):
            style = {"input": "green", "output": "bold"}.get(row.role, "")
            table.add_row(
                _literal(name, style), _literal(operation, "dim"), _literal(value), _literal(gradient, "blue")
            )
        return table


def _literal(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style=style)
