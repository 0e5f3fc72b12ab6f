"""Relations of a number to zero: where a value is zero, what a condition asks for, why a gradient vanishes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import Enum
from typing import Any

from ..errors import InputError


class Relation(Enum):
    """A relation to zero; it prints as Python writes it, `> 0`.

    Attributes:
        sign: how it is written, without the zero.
        latex: the same as LaTeX.
        holds: whether a number has it, or for each entry of an array whether that has it.
    """

    ZERO = "=", "=", operator.eq
    NONZERO = "!=", r"\ne", operator.ne
    POSITIVE = ">", ">", operator.gt
    NONNEGATIVE = ">=", r"\ge", operator.ge
    NONPOSITIVE = "<=", r"\le", operator.le

    def __init__(self, sign: str, latex: str, test: Callable[[Any, Any], Any]) -> None:
        self.sign, self.latex = sign, latex
        self.holds: Callable[[Any], Any] = lambda x: test(x, 0)

    @classmethod
    def _missing_(cls, value: object) -> Relation:
        """As it is written in the declaration of an operation: `Relation("= 0")`."""
        for relation in cls:
            if str(relation) == value:
                return relation
        raise InputError(
            f"there is no relation {value!r}", f"choose one of {', '.join(map(repr, map(str, cls)))}", where=""
        )

    def __str__(self) -> str:
        return f"{self.sign} 0"


ZERO, NONZERO, POSITIVE, NONNEGATIVE, NONPOSITIVE = Relation
