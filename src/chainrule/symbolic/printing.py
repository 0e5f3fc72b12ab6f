"""Expressions as text that the grammar reads back, and as LaTeX."""

from __future__ import annotations

from typing import Any

from ..compile.latex import symbol
from .algebra import LatexPrinter, Printer, StrPrinter, sp
from .derivative import Argument


def _sides(u: Any) -> tuple[Any, Any]:
    """The two sides of u > 0: what is subtracted stands on the right."""
    negative = [t for t in sp.Add.make_args(u) if t.could_extract_minus_sign()]
    right = sp.Add(*(-t for t in negative))
    return u + right, right


class _Ordered(Printer):
    """Sums begin with what is added, and end with what is subtracted."""

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
        ranges = ", ".join(f"{i}=1..{high}" for i, _, high in expr.limits)
        return f"sum({ranges}, {self._print(expr.function)})"

    def _print_KroneckerDelta(self, expr: Any) -> str:
        return f"δ[{expr.args[0]}, {expr.args[1]}]"

    def _print_Exp1(self, expr: Any) -> str:
        return "e"

    def _print_Expectation(self, expr: Any) -> str:
        return f"E[{self._print(expr.args[0])}]"

    def _print_Argument(self, expr: Any) -> str:
        return self._print(expr.args[0])

    def _print_Function(self, expr: Any) -> str:
        if expr.func.__name__.endswith("'") and isinstance(expr.args[0], Argument):
            return f"{expr.func.__name__}({self._print(expr.args[0])})[{self._print(expr.args[-1])}]"
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
        return self._print(expr.args[0])

    def _print_Expectation(self, expr: Any, exp: Any = None) -> str:
        text = rf"\mathbb{{E}}\left[{self._print(expr.args[0])}\right]"
        return text if exp is None else f"{text}^{{{exp}}}"

    def _print_Function(self, expr: Any, exp: Any = None) -> str:
        name = expr.func.__name__
        if name.endswith("'") and isinstance(expr.args[0], Argument):
            return rf"{name}\left({self._print(expr.args[0])}\right)_{{{self._print(expr.args[-1])}}}"
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


def readable(expression: Any) -> Any:
    """The expression with its bound indices called i, j, k, and so on."""
    bound = {i for s in expression.atoms(sp.Sum) for i, _, _ in s.limits if i.name.startswith("_")}
    taken = {s.name for s in expression.free_symbols}
    letters = (c for c in "ijklmnpqrstuvw" if c not in taken)
    names = {i: sp.Symbol(next(letters), integer=True, positive=True) for i in sorted(bound, key=lambda i: i.name)}
    return expression.xreplace(names)


def text(expression: Any) -> str:
    """The expression as text."""
    return _Text({"order": None}).doprint(readable(expression))


def latex(expression: Any) -> str:
    """The expression as LaTeX."""
    return _Latex({"ln_notation": False, "fold_short_frac": False, "mul_symbol": r" \, "}).doprint(readable(expression))
