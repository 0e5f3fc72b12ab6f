"""Somebody's staged program as text: which lines compute values, and which lines compute gradients of what."""

from __future__ import annotations

import ast
import difflib
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...errors import FormulaError

MODULES = ("math", "np", "numpy", "torch", "jnp", "cr")


@dataclass(frozen=True)
class Written:
    """One assignment of a program.

    Attributes:
        number: of its line, from 1.
        source: the line.
        target: the name that it assigns.
        adds: whether it is `+=`.
        text: the right side as a formula.
        of: the value whose gradient it computes; empty for a value.
        note: how its name was understood, where that is not obvious.
    """

    number: int
    source: str
    target: str
    adds: bool
    text: str
    of: str = ""
    note: str = ""


class _Plain(ast.NodeTransformer):
    """`math.exp(x)` as `exp(x)`, `w[0]` as `w0`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id in MODULES:
            return ast.copy_location(ast.Name(node.attr), node)
        if isinstance(node.value, ast.Name) and node.attr == "grad":
            return ast.copy_location(ast.Name(f"d{node.value.id}"), node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if (
            isinstance(node.value, ast.Name)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, int)
        ):
            return ast.copy_location(ast.Name(f"{node.value.id}{node.slice.value}"), node)
        return node


def read_program(source: str) -> list[Written]:
    """The assignments of a program of numbers; forward ones first, then those of gradients.

    Raises:
        FormulaError: a line is no assignment of a formula; the message shows it.
    """
    source = textwrap.dedent(source).strip()
    lines = source.splitlines()
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        number = error.lineno or 1
        raise _unreadable(lines, number, (error.offset or 1) - 1, f"this is no Python: {error.msg}") from None
    body: Sequence[ast.stmt] = tree.body
    if len(body) == 1 and isinstance(body[0], ast.FunctionDef):
        body = body[0].body
    found: list[Written] = []
    known: list[str] = []
    for statement in body:
        if isinstance(statement, (ast.Return, ast.Import, ast.ImportFrom)) or (
            isinstance(statement, ast.Expr) and isinstance(statement.value, (ast.Constant, ast.Call))
        ):
            continue
        made = _assignment(statement, lines)
        of, note = _gradient_of(made.target, [*known, *_free(found)], known[-1] if known else "")
        if of:
            made = Written(made.number, made.source, made.target, made.adds, made.text, of, note)
        else:
            known.append(made.target)
        found.append(made)
    return found


def _assignment(statement: ast.stmt, lines: Sequence[str]) -> Written:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value, adds = statement.targets[0], statement.value, False
    elif isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
        target, value, adds = statement.target, statement.value, True
    else:
        raise _unreadable(
            lines,
            statement.lineno,
            statement.col_offset,
            "only assignments `name = formula` and `name += formula` are read",
        )
    plain = _Plain()
    name = plain.visit(target)
    if not isinstance(name, ast.Name):
        raise _unreadable(lines, statement.lineno, statement.col_offset, "a line assigns one name")
    text = ast.unparse(plain.visit(value))
    return Written(statement.lineno, lines[statement.lineno - 1].strip(), name.id, adds, text)


def _unreadable(lines: Sequence[str], number: int, column: int, what: str) -> FormulaError:
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    return FormulaError(f"{what}\n    {line}\n    {' ' * max(0, column)}^  (line {number})", where="")


def _free(written: Iterable[Written]) -> list[str]:
    """The names that the forward lines read and do not assign: the inputs."""
    assigned = {w.target for w in written}
    names = [n for w in written if not w.of for n in re.findall(r"[^\W\d]\w*(?!\w*\()", w.text)]
    return [n for n in dict.fromkeys(names) if n not in assigned]


def _gradient_of(target: str, known: Sequence[str], output: str) -> tuple[str, str]:
    """Of which value a name is the gradient: dx, d_x, df_dx, dfd_x, grad_x, x_grad; and a note where it was guessed."""
    if target in known:
        return "", ""
    stems = [
        m[1]
        for p in (rf"d{re.escape(output)}_?d?_?(\w+)", r"d_?(\w+)", r"grad_?(\w+)", r"(\w+?)_grad")
        if (m := re.fullmatch(p, target))
    ]
    for stem in stems:
        if stem in known:
            return stem, ""
    for stem in stems:
        near = difflib.get_close_matches(stem, known, 1, cutoff=0.75)
        if near:
            return near[0], f"{target} is read as the gradient of {near[0]}"
    return "", ""
