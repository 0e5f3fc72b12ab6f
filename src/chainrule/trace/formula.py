"""Formulas given as text, read by a real grammar. Nothing is ever evaluated as Python."""

from __future__ import annotations

import functools
import inspect
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ChainruleError, FormulaError, InputError
from ..ir.recording import Handle
from ..ops import arithmetic as ar
from ..ops import by_name
from ..ops import exponential as ex
from ..ops import linalg as la
from ..ops import piecewise as pw
from ..ops.unknown import unknown_functions
from . import functions as fn
from .handles import from_nested

MAX_LENGTH = 20_000  # characters; a longer one is no formula, and would take seconds to read
MAX_DEPTH = 200  # brackets

CONSTANTS = {"pi": np.pi, "π": np.pi, "e": np.e}
COMPARISONS = {
    ">": pw.greater, ">=": pw.greater_equal, "≥": pw.greater_equal, "<": pw.less, "<=": pw.less_equal, "≤": pw.less_equal,
    "==": pw.equal, "!=": pw.not_equal, "≠": pw.not_equal,
}  # fmt: skip


def _extreme(reduce: Any, pairwise: Any) -> Any:
    def function(*args: Any, **options: Any) -> Any:
        return reduce(args[0], **options) if len(args) == 1 else functools.reduce(pairwise, args)

    return function


FUNCTIONS: dict[str, Any] = {
    "max": _extreme(fn.max_, pw.maximum),
    "min": _extreme(fn.min_, pw.minimum),
    "softmax": fn.softmax,
    "log_softmax": fn.log_softmax,
    "logsumexp": fn.logsumexp,
    "norm": fn.norm,
    "T": fn.transpose,
}


def function_named(name: str) -> Any:
    """What a formula calls by `name`: an operation, an alias of one, or a NumPy function; None if unknown."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    version = fn.FUNCTIONS.get(getattr(np, name, None)) if name.isascii() else None
    return version or by_name(name)


@dataclass(frozen=True)
class Step:
    """One step of a formula: a function on earlier steps; `start` is where it stands in the text."""

    function: Any
    operands: tuple[int, ...]
    options: Mapping[str, Any]
    start: int
    name: str | None = None


class Formula:
    """A formula as a function of its variables.

    Call it with the variables by name, or by position in the order in which they first appear. It works on
    numbers, arrays and traced values, so every transform applies to it.

    >>> f = parse("(x + y)*z + x")
    >>> f(x=-2.0, y=5.0, z=-4.0)
    -14.0
    """

    def __init__(
        self,
        text: str,
        steps: Sequence[Step],
        variables: Sequence[str],
        result: int,
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        self.text, self.steps, self.variables, self.result = text, tuple(steps), tuple(variables), result
        self.shapes = dict(shapes)
        name = self.steps[result].name if steps else None
        self.__name__ = name or ("f" if "f" not in variables else "result")
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.__signature__ = inspect.Signature([inspect.Parameter(v, kind) for v in self.variables])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            given = self.__signature__.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InputError(
                f"{self.text!r}: {error}", f"its variables are {', '.join(self.variables) or 'none'}"
            ) from None
        for name, shape in self.shapes.items():
            if name in given and np.shape(given[name]) != shape:
                raise InputError(
                    f"{name} was declared with shape {shape}, and is given with shape {np.shape(given[name])}"
                )
        values: list[Any] = []
        for step in self.steps:
            if step.function is None:
                value = given[step.options["variable"]] if "variable" in step.options else step.options["value"]
            else:
                value = self._run(step, [values[k] for k in step.operands])
            if step.name and isinstance(value, Handle) and value.node.given_name is None:
                value.node.given_name = step.name
            values.append(value)
        return values[self.result]

    def _run(self, step: Step, operands: list[Any]) -> Any:
        try:
            return step.function(*operands, **step.options)
        except FormulaError:
            raise
        except (ChainruleError, ValueError, TypeError, IndexError) as error:
            what = error.what if isinstance(error, ChainruleError) else str(error)
            raise pointed(self.text, step.start, what, getattr(error, "fix", "")) from error

    def __repr__(self) -> str:
        return f"<formula {self.text!r}>"


def pointed(text: str, position: int, what: str, fix: str = "") -> FormulaError:
    """An error that shows the line of the formula with a caret under the position."""
    position = max(0, min(position, len(text)))
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)]
    column = position - start
    shift = max(0, column - 60)
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    shown = ("…" if shift else "") + line[shift : shift + 100] + ("…" if len(line) > shift + 100 else "")
    caret = " " * (column - shift + bool(shift)) + "^"
    row = f"line {text.count(chr(10), 0, position) + 1}, " if "\n" in text else ""
    return FormulaError(f"{what}\n    {shown}\n    {caret}  ({row}column {column + 1})", fix, where="")


def parse(text: str, functions: str | Sequence[str] = (), **shapes: tuple[int, ...]) -> Formula:
    """Read a formula.

    Args:
        text: numbers, names (Greek ones too), `+ - * / ^ ** @`, comparisons, indicators `1[z > 0]`, calls of
            every operation and its usual aliases, indices `x[0]`, and several statements
            `g = x + y; h = g*z; h + x`, separated by semicolons or new lines.
        functions: names that stand for any function, as "f, g"; see `chainrule.unknown`.
        **shapes: shapes of variables that are vectors or matrices, as `W=(3, 2)`.

    Returns:
        A `Formula`, a function of the variables in the text.

    Raises:
        FormulaError: the text cannot be read; the message points at the column.
    """
    return _Reader(text, shapes, unknown_functions(functions)).formula(syntax_tree(text))


def syntax_tree(text: str, extension: Path | None = None, start: str = "start") -> Any:
    """The syntax tree of a text, with errors that point at the place.

    Args:
        extension: a file that extends the grammar of formulas.
        start: the rule to begin with.
    """
    if not isinstance(text, str):
        raise InputError(f"a formula is a string, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"the formula has {len(text):,} characters; at most {MAX_LENGTH:,} are read",
            "write it as a Python function",
            where="",
        )
    _check_brackets(text)
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    try:
        return _grammar(extension, start).parse(text)
    except UnexpectedCharacters as error:
        raise pointed(
            text,
            error.pos_in_stream or 0,
            f"unexpected character {text[error.pos_in_stream or 0]!r}",
            _hint(text, error.pos_in_stream or 0),
        ) from None
    except UnexpectedToken as error:
        end = error.token.type == "$END"
        position = len(text) if end else error.token.start_pos or 0
        raise pointed(
            text,
            position,
            "the formula ends too early" if end else f"unexpected {str(error.token).strip() or 'end of line'!r}",
            _hint(text, position),
        ) from None
    except UnexpectedInput as error:
        raise pointed(text, error.pos_in_stream or 0, "cannot read this") from None


def _hint(text: str, position: int) -> str:
    before, here = text[:position].rstrip(), text[position : position + 1]
    if before[-1:].isalnum() and (here.isalpha() or here == "("):
        return "write products with *, as 2*x"
    return "expected a number, a name, a call or a bracket here" if here else "something is missing at the end"


def _check_brackets(text: str) -> None:
    """Refuse nesting too deep and brackets that do not match, with their place."""
    closing = {")": "(", "]": "["}
    opened: list[int] = []
    for k, c in enumerate(text):
        if c in "([":
            opened.append(k)
            if len(opened) > MAX_DEPTH:
                raise pointed(
                    text, k, f"more than {MAX_DEPTH} nested brackets", "name the inner parts: g = ...; h = ..."
                )
        elif c in ")]":
            if not opened or text[opened[-1]] != closing[c]:
                raise pointed(text, k, f"this {c!r} closes nothing")
            opened.pop()
    if opened:
        raise pointed(text, opened[-1], f"this {text[opened[-1]]!r} is never closed")


@functools.lru_cache(maxsize=4)
def _grammar(extension: Path | None = None, start: str = "start") -> Any:
    from lark import Lark

    files = [Path(__file__).with_name("grammar.lark"), *([extension] if extension else [])]
    source = "\n".join(f.read_text(encoding="utf-8") for f in files)
    return Lark(source, start=start, parser="lalr", propagate_positions=True, maybe_placeholders=True)


class _Reader:
    """Turns a syntax tree into steps, children before parents, without recursion."""

    def __init__(self, text: str, shapes: Mapping[str, Any], functions: Mapping[str, Any]) -> None:
        self.text, self.functions = text, functions
        self.shapes = {k: (v,) if isinstance(v, int) else tuple(v) for k, v in shapes.items()}
        self.steps: list[Step] = []
        self.known: dict[str, int] = {}
        self.variables: list[str] = []

    def formula(self, tree: Any) -> Formula:
        if not tree.children or all(c is None for c in tree.children):
            raise FormulaError("the formula is empty", "write something like (x + y)*z", where="")
        result = -1
        for statement in tree.children:
            if statement is None:
                continue
            if statement.data == "assign":
                token, body = statement.children
                result = self._named(self.value(body), identifier(token))
                self.known[identifier(token)] = result
            else:
                result = self.value(statement.children[0])
        unknown = [n for n in self.shapes if n not in self.variables]
        if unknown:
            raise InputError(
                f"a shape is declared for {unknown[0]!r}, which is no variable of the formula",
                f"its variables are {', '.join(self.variables) or 'none'}",
            )
        return Formula(self.text, self.steps, self.variables, result, self.shapes)

    def _named(self, k: int, name: str) -> int:
        step = self.steps[k]
        if step.function is not None and step.name is None:
            self.steps[k] = Step(step.function, step.operands, step.options, step.start, name)
        return k

    def value(self, tree: Any) -> int:
        """The step that computes a subtree."""
        done: dict[int, int] = {}
        stack: list[tuple[Any, bool]] = [(tree, False)]
        while stack:
            node, ready = stack.pop()
            parts = [c for c in node.children if hasattr(c, "children") and c.data not in ("option", "position", "cut")]
            if not ready:
                stack.append((node, True))
                stack += [(c, False) for c in reversed(parts)]
            else:
                done[id(node)] = self.emit(node, [done[id(c)] for c in parts])
        return done[id(tree)]

    def emit(self, node: Any, operands: list[int]) -> int:
        start = getattr(node.meta, "start_pos", 0)
        kind = node.data
        if kind == "number":
            text = str(node.children[0])
            return self._add(None, (), {"value": int(text) if text.isdigit() else float(text)}, start)
        if kind == "name":
            return self._variable(node.children[0])
        if kind == "call":
            return self._call(node, operands, start)
        if kind == "compare":
            return self._add(COMPARISONS[str(node.children[1])], operands, {}, start)
        if kind == "getitem":
            index = tuple(self._index(c) for c in node.children[1:])
            return self._add(_getitem, operands, {"index": index}, start)
        return self._add(_SIMPLE[kind], operands, {}, start)

    def _add(self, function: Any, operands: Any, options: Any, start: int) -> int:
        self.steps.append(Step(function, tuple(operands), options, start))
        return len(self.steps) - 1

    def _variable(self, token: Any) -> int:
        name = identifier(token)
        if name not in self.known:
            if name in CONSTANTS and name not in self.shapes:
                self.known[name] = self._add(None, (), {"value": CONSTANTS[name]}, token.start_pos)
            else:
                self.variables.append(name)
                self.known[name] = self._add(None, (), {"variable": name}, token.start_pos)
        return self.known[name]

    def _call(self, node: Any, operands: list[int], start: int) -> int:
        token = node.children[0]
        function = self.functions.get(str(token)) or function_named(str(token))
        if function is None:
            fix = f"{closest(str(token))}, or let it stand for any function: functions={str(token)!r}"
            raise pointed(self.text, token.start_pos, f"unknown function {str(token)!r}", fix)
        options: dict[str, Any] = {}
        for c in node.children[1:]:
            if getattr(c, "data", "") == "option":
                options[str(c.children[0])] = _number(c.children[1])
        if not operands:
            raise pointed(self.text, start, f"{token} needs an argument")
        return self._add(function, operands, options, start)

    def _index(self, node: Any) -> Any:
        if node.data == "position":
            return self._integer(node.children[0])
        low, _, high = node.children
        return slice(None if low is None else self._integer(low), None if high is None else self._integer(high))

    def _integer(self, token: Any) -> int:
        value = _number(token)
        if not isinstance(value, int):
            raise pointed(self.text, token.start_pos, "an index is an integer")
        return value


def _number(token: Any) -> int | float:
    text = str(token)
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def identifier(token: Any) -> str:
    """The name as an identifier: compatibility characters folded (x₁ is x1), primes spelled out."""
    return unicodedata.normalize("NFKC", str(token)).replace("'", "_prime")


def closest(name: str) -> str:
    """The known function whose name is nearest, as a question."""
    import difflib

    from ..ops import REGISTRY

    known = [*FUNCTIONS, *(n for op in REGISTRY.values() if op.public for n in (op.name, *op.aliases))]
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else "use a declared operation, such as exp, tanh, sigma, max"


def _getitem(x: Any, index: Any) -> Any:
    return x[index]


def _vector(*items: Any) -> Any:
    return from_nested(list(items))


_SIMPLE: dict[str, Any] = {
    "add": ar.add, "subtract": ar.subtract, "multiply": ar.multiply, "divide": ar.divide, "matmul": la.matmul,
    "negative": ar.negative, "positive": ar.positive, "power": ex.power, "abs": pw.absolute, "indicator": pw.indicator,
    "transpose": fn.transpose, "vector": _vector,
}  # fmt: skip
