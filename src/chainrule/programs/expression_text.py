"""Expressions as text: one printer, and a table for each language."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.node import Node
from ..ir.op import Op, constant

ATOM, POSTFIX, PRODUCT, SUM = 100, 50, 20, 10


class Text(str):
    """A piece of code and how strongly it binds."""

    binding: int

    def __new__(cls, text: str, binding: int = ATOM) -> Text:
        made = super().__new__(cls, text)
        made.binding = binding
        return made

    def within(self, binding: int) -> str:
        """The text, in parentheses if it binds less than asked."""
        return str(self) if self.binding >= binding else f"({self})"

    @property
    def atom(self) -> str:
        """For a place that binds tightly: before a dot, a bracket, a power."""
        return self.within(POSTFIX)

    @property
    def tight(self) -> str:
        """For the right of a product or a quotient."""
        return self.within(PRODUCT + 1)


class Language:
    """How a language writes operations and constants.

    Args:
        template: the text of an operation as a template or a function of (arguments, node), or None if it has none.
        number: how a number is written.
        array: how a constant array is written.
        fitted: the arguments of an operation, written so that its dtype is the one it has in NumPy.
        boxed: whether numbers are objects that `+=` changes for all who hold them.
        ones, zeros, copy: how one writes an array like another, of ones and of zeros, and a copy.
        same, count: whether two arrays are equal, and how many entries of a mask hold.
        exact: whether an array is not floating point.
        shape: the shape of what may be a number.
    """

    def __init__(
        self,
        name: str,
        template: Callable[[Op], str | Callable[..., str | None] | None],
        number: Callable[[Any], Text],
        infix: bool = True,
        array: Callable[[Any], str] | None = None,
        ones: str = "np.ones_like({0})",
        zeros: str = "np.zeros_like({0})",
        copy: str = ".copy()",
        same: str = "np.array_equal({0}, {1})",
        count: str = "np.count_nonzero({0})",
        exact: str = '{0}.dtype.kind != "f"',
        shape: str = "np.shape({0})",
        boxed: bool = False,
        fitted: Callable[[Node, list[Text]], list[Text]] | None = None,
    ) -> None:
        self.name, self.template, self.number, self.infix = name, template, number, infix
        self.array, self.ones, self.zeros, self.copy = array or array_text, ones, zeros, copy
        self.same, self.count, self.exact, self.shape = same, count, exact, shape
        self.boxed, self.fitted = boxed, fitted


def write(node: Any, names: Mapping[Node, str], language: Language, arrays: Callable[[Any], str] | None = None) -> Text:
    """The expression of a node down to the nodes that have names.

    Args:
        node: a node, or a constant.
        names: what to call the nodes at which to stop.
        arrays: gives the name of a constant array.
    """
    if type(node) is Node and node in names:
        name = names[node]
        return name if isinstance(name, Text) else Text(name)
    return expression(node, names, language, arrays)


def expression(
    node: Any, names: Mapping[Node, str], language: Language, arrays: Callable[[Any], str] | None = None
) -> Text:
    """The operation of a node on its inputs, though the node itself may have a name."""
    if type(node) is not Node:
        if np.ndim(node) == 0:
            return language.number(node)
        return Text(arrays(node) if arrays is not None else language.array(node))
    if node.op is constant:
        return expression(node.value, names, language, arrays)
    args = [write(i, names, language, arrays) for i in node.inputs]
    if language.fitted is not None:
        args = language.fitted(node, args)
    template = language.template(node.op)
    text = template(args, node) if callable(template) else None if template is None else template.format(*args)
    if text is None and language.infix and node.op.infix is not None:
        return _infix(node.op.infix, args)
    if text is None:
        raise InputError(f"the operation {node.op.name!r} cannot be written in {language.name}", where="")
    return text if isinstance(text, Text) else Text(text, _binding_of(text, node.op))


def _infix(infix: tuple[str, int], args: list[Text]) -> Text:
    symbol, binding = infix
    if len(args) == 1:  # a sign binds into a product: -(a * b) is (-a) * b
        inner = args[0] if args[0].binding == PRODUCT else args[0].within(binding)
        return Text(f"{symbol}{inner}", min(binding, args[0].binding))
    left, right = args
    lean = binding + 1 if symbol == "**" else binding
    return Text(f"{left.within(lean)} {symbol} {right.within(binding if symbol == '**' else binding + 1)}", binding)


def _binding_of(text: str, op: Op) -> int:
    """How strongly a written template binds, from the operators that stand outside its brackets."""
    depth, found = 0, ATOM
    for k, c in enumerate(text):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif depth == 0 and c in "+-" and (k == 0 or text[k - 1] == " "):
            found = min(found, 30 if k == 0 else SUM)
        elif depth == 0 and c in "*/@" and text[k - 1] == " ":
            found = min(found, 40 if text[k : k + 2] == "**" else PRODUCT)
        elif depth == 0 and c in "<>=" and text[k - 1] == " ":
            found = min(found, 5)
    return found


def python_number(x: Any) -> Text:
    """A number as Python writes it."""
    if isinstance(x, bool) or np.asarray(x).dtype.kind == "b":
        return Text(str(bool(x)))
    if isinstance(x, int) or np.asarray(x).dtype.kind in "iu":
        text = repr(int(x))
    elif np.iscomplexobj(x):
        return Text(f"({complex(x)!r})")
    elif not math.isfinite(x):
        return Text(f"float('{float(x)}')")
    else:
        text = str(x) if np.asarray(x).dtype.name == "float32" else repr(float(x))
    return Text(text, 30 if text.startswith("-") else ATOM)


def is_identity(x: Any) -> bool:
    """Whether an array is an identity matrix of floats."""
    return np.ndim(x) == 2 and len(x) > 1 and x.dtype.kind == "f" and np.array_equal(x, np.eye(len(x)))


def array_text(x: Any) -> str:
    """A constant array as NumPy writes it."""
    if not np.size(x):
        return f"np.zeros({np.shape(x)}, dtype={np.asarray(x).dtype.name!r})"
    dtype = np.asarray(x).dtype
    kind = "" if dtype.name in ("float64", "int64", "bool") else f", dtype={dtype.name!r}"
    if np.size(x) > 1 and np.all(x == np.reshape(x, -1)[0]):
        return f"np.full({np.shape(x)}, {python_number(np.reshape(x, -1)[0])}{kind})"
    if is_identity(x):
        return f"np.eye({len(x)}{kind})"
    text = np.array2string(np.asarray(x), separator=", ", threshold=2**31, floatmode="unique").replace("\n", "")
    text = re.sub(r"\b(nan|inf)\b", r"np.\1", " ".join(text.split()).replace("[ ", "["))
    return f"np.array({text}{kind})"


def _numpy_template(op: Op) -> str | Callable[..., str] | None:
    if op.text is not None or op.infix is not None:
        return op.text
    found = _of_numpy(op)
    if found is not None:
        return lambda args, node: f"np.{found}({', '.join(args)})"
    return lambda args, node: f"{op.name}({', '.join([*args, *(f'{k}={v!r}' for k, v in node.params.items())])})"


def _of_numpy(op: Op) -> str | None:
    """The name in NumPy of a function that the operation implements."""
    names = (getattr(f, "__name__", "") for f in op.numpy)
    return next((n for n, f in zip(names, op.numpy, strict=True) if getattr(np, n, None) is f), None)


def by_its_name(op: Op) -> bool:
    """Whether a program calls the operation itself: nothing is declared of how it is written."""
    return op.text is None and op.infix is None and _of_numpy(op) is None


def _scalar_template(op: Op) -> str | Callable[..., str | None] | None:
    if op.scalar is not None or op.infix is not None:
        return op.scalar if op.scalar is not None else None
    if op.numpy and hasattr(math, op.name):
        return lambda args, node: f"{op.name}({', '.join(args)})"
    return None


def _strong(node: Node, args: list[Text]) -> list[Text]:
    """A number of NumPy's keeps its type where a Python number would take another: `np.float32(2.0) * mask`."""
    dtypes = [getattr(v, "dtype", None) for v in node.values]
    numbers = [k for k, i in enumerate(node.inputs) if isinstance(i, np.floating)]
    if not numbers or node.dtype.kind != "f":
        return args
    floats = [d for k, d in enumerate(dtypes) if k not in numbers and d is not None and d.kind == "f"]
    if (np.result_type(*floats) if floats else np.dtype(float)) == node.dtype:
        return args
    return [Text(f"np.{node.inputs[k].dtype.name}({a})") if k in numbers else a for k, a in enumerate(args)]


NUMPY = Language("NumPy", _numpy_template, python_number, fitted=_strong)
SCALAR = Language("scalar Python", _scalar_template, python_number)
