"""Expressions as text that the grammar reads back, and as LaTeX."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from ...programs.latex import symbol
from .derivative import Place
from .untyped import LatexPrinter, Printer, StrPrinter, sp


def _sides(u: Any) -> tuple[Any, Any]:
    """The two sides of u > 0: what is subtracted stands on the right."""
    negative = [t for t in sp.Add.make_args(u) if t.could_extract_minus_sign()]
    right = sp.Add(*(-t for t in negative))
    return u + right, right


class _Ordered(Printer):
    """Sums begin with what is added, and end with what is subtracted; a vector is written with a dot for its index."""

    def _entry(self, argument: Any) -> str:
        entry, index, _ = argument.args
        return self._print(entry.xreplace({index: sp.Symbol("·", integer=True)}))

    def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:
        return sorted(super()._as_ordered_terms(expr, order), key=lambda t: t.could_extract_minus_sign())


class _Text(_Ordered, StrPrinter):
    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        return super()._print_Pow(expr, rational).replace("**", "^")

    def _print_step(self, expr: Any) -> str:
        left, right = _sides(expr.args[0])
        return f"1[{self._print(left)} > {self._print(right)}]"

    def _print_at_zero(self, expr: Any) -> str:
        left, right = _sides(expr.args[0])
        return f"1[{self._print(left)} == {self._print(right)}]"

    def _print_Sum(self, expr: Any) -> str:
        ranges = ", ".join(
            f"{i}={self._print(low)}..{self._print(high)}".replace(" ", "") for i, low, high in reversed(expr.limits)
        )
        return f"sum({ranges}, {self._print(expr.function)})"

    def _print_KroneckerDelta(self, expr: Any) -> str:
        return f"δ[{expr.args[0]}, {expr.args[1]}]"

    def _print_Exp1(self, expr: Any) -> str:
        return "e"

    def _print_Expectation(self, expr: Any) -> str:
        return f"E[{self._print(expr.args[0])}]"

    def _print_Argument(self, expr: Any) -> str:
        return self._entry(expr)

    def _print_Function(self, expr: Any) -> str:
        places = [a for a in expr.args if isinstance(a, Place)]
        if places:
            inside = ", ".join(self._print(a) for a in expr.args if not isinstance(a, Place))
            return f"{expr.func.__name__}({inside})[{', '.join(self._print(p.args[0]) for p in places)}]"
        return super()._print_Function(expr)

    def _print_Abs(self, expr: Any) -> str:
        return f"abs({self._print(expr.args[0])})"

    def _print_ceiling(self, expr: Any) -> str:
        return f"ceil({self._print(expr.args[0])})"

    def _print_loggamma(self, expr: Any) -> str:
        return f"gammaln({self._print(expr.args[0])})"


class _Latex(_Ordered, LatexPrinter):
    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        return r"\cdot" if expr.name == "·" else symbol(expr.name)

    def _print_step(self, expr: Any, exp: Any = None) -> str:
        left, right = _sides(expr.args[0])
        text = rf"\mathbb{{1}}[{self._print(left)} > {self._print(right)}]"
        return text if exp is None else f"{text}^{{{exp}}}"

    def _print_at_zero(self, expr: Any, exp: Any = None) -> str:
        left, right = _sides(expr.args[0])
        return rf"\mathbb{{1}}[{self._print(left)} = {self._print(right)}]"

    def _print_Argument(self, expr: Any) -> str:
        return self._entry(expr)

    def _print_Expectation(self, expr: Any, exp: Any = None) -> str:
        text = rf"\mathbb{{E}}\left[{self._print(expr.args[0])}\right]"
        return text if exp is None else f"{text}^{{{exp}}}"

    def _print_Function(self, expr: Any, exp: Any = None) -> str:
        name = expr.func.__name__
        places = ", ".join(self._print(a.args[0]) for a in expr.args if isinstance(a, Place))
        if places:
            inside = ", ".join(self._print(a) for a in expr.args if not isinstance(a, Place))
            return rf"{name}\left({inside}\right)_{{{places}}}"
        body = ", ".join(self._print(a) for a in expr.args)
        if name == "sigma":
            head = r"\sigma"
        elif len(name.rstrip("'0123456789_")) == 1:
            base, _, positions = name.partition("_")
            head = f"{base}_{{{positions}}}" if positions else base
        else:
            return super()._print_Function(expr, exp)
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{head}{power}\left({body}\right)"


def names_of(expression: Any, bound: Sequence[Any] = ()) -> dict[Any, Any]:
    """For each bound index the name that it is shown by: its own where that is free, or else i, j, k, and so on.

    Args:
        bound: indices that are bound by something around the expression.
    """
    inside = [i for s in expression.atoms(sp.Sum) for i, _, _ in s.limits]
    indices = sorted({i for i in [*bound, *inside] if isinstance(i, sp.Dummy)}, key=lambda i: i.dummy_index)
    taken = {s.name for s in expression.free_symbols if s.is_Symbol and not isinstance(s, sp.Dummy)}
    letters = (c for c in itertools.chain("ijklmnpqrstuvw", (f"i{k}" for k in range(1, 999))) if c not in taken)
    return {i: sp.Symbol(next(letters), integer=True) for i in indices}


def readable(expression: Any) -> Any:
    """The expression with its bound indices called i, j, k, and so on."""
    names = names_of(expression) if expression.has(sp.Sum) else {}
    return expression.xreplace(names) if names else expression


def text(expression: Any) -> str:
    """The expression as text."""
    return _Text({"order": None}).doprint(readable(expression))


def latex(expression: Any) -> str:
    """The expression as LaTeX."""
    return _Latex({"ln_notation": False, "fold_short_frac": False, "mul_symbol": r" \, "}).doprint(readable(expression))
