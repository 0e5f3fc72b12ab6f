"""The one exception family: what is wrong, at which line of the user's code, and what to do instead."""

from __future__ import annotations

import linecache
import os
import sys
from types import CodeType, FrameType

__all__ = [
    "ChainruleError",
    "DerivativeError",
    "DivergenceError",
    "FormulaError",
    "InputError",
    "MissingError",
    "MovedError",
    "ShapeError",
    "TraceError",
    "caller",
    "place",
]

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def _library_prefixes() -> tuple[str, ...]:
    numpy = sys.modules.get("numpy")
    prefixes = [_HERE, "<__array_function__"]
    if numpy is not None and numpy.__file__:
        prefixes.append(os.path.dirname(numpy.__file__) + os.sep)
    return tuple(prefixes)


LIBRARY = _library_prefixes()


def caller() -> FrameType | None:
    """The innermost frame that is neither chainrule's nor NumPy's: the user's line."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARY):
        frame = frame.f_back
    return frame


def line_of(code: CodeType, lasti: int) -> int:
    """The source line of the instruction at byte offset `lasti`."""
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= lasti < end and number is not None:
            line = number
    return line


def place(filename: str, line: int) -> str:
    """`file:line: source` as it stands in messages."""
    text = linecache.getline(filename, line).strip()
    return f"{filename}:{line}" + (f": {text}" if text else "")


class ChainruleError(Exception):
    """Base of every error that chainrule raises on purpose.

    Args:
        what: what is wrong, with the values or shapes involved.
        fix: what to do instead.
        where: `file:line: source`; found from the call stack when left out, `""` for none.
    """

    def __init__(self, what: str, fix: str = "", *, where: str | None = None) -> None:
        if where is None:
            frame = caller()
            where = place(frame.f_code.co_filename, frame.f_lineno) if frame else ""
        self.what, self.where, self.fix = what, where, fix
        parts = [what]
        if where:
            parts.append(f"  at {where}")
        if fix:
            parts.append(f"  {fix}")
        super().__init__("\n".join(parts))


class TraceError(ChainruleError, TypeError):
    """Code under a transform would lose a derivative, or uses what chainrule cannot trace."""


class InputError(ChainruleError, TypeError):
    """An argument has the wrong type, is missing, or cannot be differentiated."""


class ShapeError(ChainruleError, ValueError):
    """Shapes, or values, do not fit together."""


class DerivativeError(ChainruleError, ArithmeticError):
    """A derivative does not exist, has been freed, or disagrees with its check.

    Attributes:
        node: the node at which it was found, where one is to blame.
    """

    node: object = None


class DivergenceError(ChainruleError, ArithmeticError):
    """Training left the finite numbers; the message names the step, the layer and the first bad value."""


class MissingError(ChainruleError, AttributeError):
    """A name that is not there, or no longer: of a module, a tensor or a traced array. The message says what is near it."""


class MovedError(ChainruleError, ImportError):
    """A name that is imported from where it no longer is. The message says where it went."""


class FormulaError(ChainruleError, ValueError):
    """A formula given as text cannot be read; the message points at the column."""
