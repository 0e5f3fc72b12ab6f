"""Formulas given as text, read by a real grammar. Nothing is ever evaluated as Python."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ChainruleError, FormulaError, InputError
from ..ir.recording import Handle
from ..ops import arithmetic as ar
from ..ops.unknown import unknown_functions
from .handles import from_nested
from .spelling import CALLBACKS, check_spelling, identifier, meant, pointed
from .vocabulary import (
    ANY,
    COMPARISONS,
    CONSTANTS,
    SIGNS,
    SPELLED,
    arguments,
    closest,
    entry_of,
    function_named,
    matmul_transposed,
    negative_power,
)

MAX_LENGTH = 20_000  # characters; a longer one is no formula, and would take seconds to read
MAX_DEPTH = 200  # brackets
WHOLE = 15  # digits


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

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        try:
            given = self.__signature__.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InputError(f"{self.text!r}: {error}", self._variables(kwargs)) from None
        given = {name: real_value(name, x) for name, x in given.items()}
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

    def _variables(self, given: Mapping[str, Any]) -> str:
        taken = [name for name in given if name in CONSTANTS]
        also = f"; {taken[0]} is a number here: declare it with its shape, {taken[0]}=()" if taken else ""
        return f"its variables are {', '.join(self.variables) or 'none'}{also}"

    def _run(self, step: Step, operands: list[Any]) -> Any:
        try:
            value = step.function(*operands, **step.options)
        except FormulaError:
            raise
        except Exception as error:
            what = error.what if isinstance(error, ChainruleError) else str(error)
            raise pointed(self.text, step.start, what, getattr(error, "fix", "")) from error
        if type(value) is int:  # of whole numbers in the text; Python's never end
            value = value if abs(value) < 10**WHOLE else float(value)
        elif not isinstance(value, (Handle, int, float, complex, np.ndarray, np.generic)):
            raise pointed(self.text, step.start, f"this is a {type(value).__name__}, and no number or array")
        return value[()] if isinstance(value, np.ndarray) else value

    def __repr__(self) -> str:
        return f"<formula {self.text!r}>"


def real_value(name: str, x: Any) -> Any:
    """The value of a variable: numbers are real numbers (3 means 3.0), lists are arrays."""
    try:
        x = from_nested(x)
        if isinstance(x, (Handle, float)) or type(x).__module__.partition(".")[0] not in ("builtins", "numpy"):
            return x
        a = np.asarray(x)
    except (ValueError, TypeError) as error:
        raise InputError(f"the value of {name} is no array: {error}", "its rows have the same length") from None
    if a.dtype.kind not in "fciub":
        raise InputError(f"the value of {name} is a {type(x).__name__}", "give a number or an array of numbers")
    if a.dtype.kind in "iub":
        a = a.astype(float)
        return a if a.ndim else float(a)
    return x


def parse(text: str, /, functions: str | Sequence[str] = (), **shapes: int | tuple[int, ...]) -> Formula:
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
    return _Reader(text, shapes, unknown_functions(functions)).formula(syntax_tree(text, declared=shapes))


def syntax_tree(text: str, extension: Path | None = None, start: str = "start", declared: Collection[str] = ()) -> Any:
    """The syntax tree of a text, with errors that point at the place.

    Args:
        extension: a file that extends the grammar of formulas.
        start: the rule to begin with.
        declared: names that are variables, though they look like something else, as `df` and `dx` in `df/dx`.
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
    tree = _parsed(text, extension, start)
    for node in tree.find_data("norm"):  # ||x|| is norm(x)
        node.data, node.children = "call", [_named(node, "norm"), *node.children]
    check_spelling(text, tree, declared)
    return tree


def _named(node: Any, name: str) -> Any:
    """The token of a function that the text writes by a sign."""
    from lark import Token

    return Token("NAME", name, start_pos=node.meta.start_pos)


def _parsed(text: str, extension: Path | None, start: str) -> Any:
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    try:
        return _grammar(extension, start).parse(text)
    except UnexpectedCharacters as error:
        raise pointed(
            text,
            error.pos_in_stream or 0,
            f"unexpected character {text[error.pos_in_stream or 0]!r}",
            meant(text, error.pos_in_stream or 0),
        ) from None
    except UnexpectedToken as error:
        end = error.token.type == "$END"
        position = len(text) if end else error.token.start_pos or 0
        raise pointed(
            text,
            position,
            "the formula ends too early"
            if end
            else f"unexpected {text[position : error.token.end_pos].strip() or 'end of line'!r}",
            meant(text, position),
        ) from None
    except UnexpectedInput as error:
        raise pointed(text, error.pos_in_stream or 0, "cannot read this") from None


def _check_brackets(text: str) -> None:
    """Refuse nesting too deep and brackets that do not match, with their place."""
    closing = {")": "(", "]": "["}
    opened: list[int] = []
    for k, c in enumerate(re.sub(r"#[^\n]*", lambda comment: " " * len(comment[0]), text)):
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


@functools.lru_cache(maxsize=8)
def _grammar(extension: Path | None = None, start: str = "start") -> Any:
    from lark import Lark

    files = [Path(__file__).with_name("grammar.lark"), *([extension] if extension else [])]
    source = "\n".join(f.read_text(encoding="utf-8") for f in files)
    return Lark(
        source,
        start=start,
        parser="lalr",
        propagate_positions=True,
        maybe_placeholders=True,
        lexer_callbacks=dict(CALLBACKS),
    )


class _Reader:
    """Turns a syntax tree into steps, children before parents, without recursion."""

    def __init__(self, text: str, shapes: Mapping[str, Any], functions: Mapping[str, Any]) -> None:
        self.text, self.functions = text, functions
        self.shapes = {name: _shape(name, v) for name, v in shapes.items()}
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
            return self._add(None, (), {"value": self._literal(node.children[0])}, start)
        if kind == "name":
            return self._variable(node.children[0])
        if kind == "call":
            return self._call(node, operands, start)
        if kind == "compare":
            return self._add(COMPARISONS[str(node.children[1])], operands, {}, start)
        if kind == "getitem":
            index = tuple(self._index(c) for c in node.children[1:])
            return self._add(entry_of, operands, {"index": index}, start)
        if kind == "power" and self._is_negative(operands[1]):
            return self._add(negative_power, operands, {}, start)
        if kind == "matmul" and node.children[1].data == "transpose":
            return self._add(matmul_transposed, operands, {}, start)
        return self._add(SIGNS[kind], operands, {}, start)

    def _literal(self, token: Any) -> int | float:
        value = _number(token)
        digits = str(token).lower().partition("e")[0]
        if not np.isfinite(value) or (value == 0 and any(c in "123456789" for c in digits)):
            raise pointed(
                self.text, token.start_pos, f"{token} is beyond the range of numbers", "scale it: use 1e-300 to 1e300"
            )
        return value

    def _is_negative(self, k: int) -> bool:
        """Whether a step is a number below zero, as it is written."""
        step = self.steps[k]
        if step.function is ar.negative:
            return "value" in self.steps[step.operands[0]].options
        return step.options.get("value", 0) < 0

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
        name = str(token)
        function = self.functions.get(name) or function_named(name)
        if function is None:
            raise pointed(self.text, token.start_pos, f"unknown function {name!r}", self._instead(name))
        if not operands:
            raise pointed(self.text, start, f"{token} needs an argument")
        options = {str(c.children[0]): _number(c.children[1]) for c in node.children[1:] if _is_option(c)}
        if name not in self.functions:
            self._check_arguments(name, [c for c in node.children[1:] if not _is_option(c)])
        return self._add(function, operands, options, start)

    def _instead(self, name: str) -> str:
        if name in SPELLED:
            return f"write {SPELLED[name]}"
        product = f"a product is {name}*(...); " if len(name) == 1 or name in CONSTANTS or name in self.known else ""
        return f"{product}{closest(name)}, or let it stand for any function: functions={name!r}"

    def _check_arguments(self, name: str, given: Sequence[Any]) -> None:
        """Refuse arguments that the function does not have, and options given by position, which read as arguments."""
        least, most = arguments(name)
        if not least <= len(given) <= most:
            count = f"{least}" if least == most else f"{least} to {most}" if most < ANY else f"{least} or more"
            fix = "write log(x)/log(2)" if name in ("log", "ln") else "options have names: sum(x, axis=0)"
            at = given[most] if len(given) > most else given[-1]
            plural = "s" * (most != 1)
            raise pointed(self.text, at.meta.start_pos, f"{name} takes {count} argument{plural}, not {len(given)}", fix)

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
    """Whole numbers stay whole as long as a float holds them."""
    text = str(token)
    return int(text) if text.lstrip("+-").isdigit() and len(text) < WHOLE else float(text)


def _is_option(node: Any) -> bool:
    return getattr(node, "data", "") == "option"


def _shape(name: str, given: Any) -> tuple[int, ...]:
    shape: tuple[Any, ...] = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if not all(type(n) is int and n >= 0 for n in shape):
        raise InputError(
            f"{given!r} is no shape of {name}", f"write {name}=3, {name}=(3, 2), or {name}=() for a number"
        )
    return shape
