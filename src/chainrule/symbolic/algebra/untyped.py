"""SymPy and mpmath, as values of type Any: their annotations do not cover what is used here."""

from __future__ import annotations

from typing import Any

import mpmath as _mpmath
import sympy as _sympy
from sympy.printing.latex import LatexPrinter as _LatexPrinter
from sympy.printing.printer import Printer as _Printer
from sympy.printing.str import StrPrinter as _StrPrinter

sp: Any = _sympy
mpmath: Any = _mpmath
iv: Any = mpmath.iv
mp: Any = mpmath.mp
clear_cache: Any = _sympy.core.cache.clear_cache
AppliedUndef: Any = _sympy.core.function.AppliedUndef
StrPrinter: Any = _StrPrinter
LatexPrinter: Any = _LatexPrinter
Printer: Any = _Printer


class Undecided(Exception):
    """An expression is outside what can be brought to a normal form."""
