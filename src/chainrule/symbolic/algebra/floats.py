"""Floating point: many points at once, to find where two expressions differ. What has no value is nan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .untyped import sp

CONSTANTS = {sp.pi: np.pi, sp.E: np.e, sp.EulerGamma: float(np.euler_gamma)}


class Floats:
    """Floats, and arrays of them."""

    def number(self, x: Any) -> Any:
        if x in CONSTANTS:
            return CONSTANTS[x]
        try:
            return float(x)
        except (OverflowError, TypeError):
            return np.nan

    def add(self, parts: Sequence[Any]) -> Any:
        made = 0.0
        for p in parts:
            made = made + p
        return made

    def multiply(self, parts: Sequence[Any]) -> Any:
        made = 1.0
        for p in parts:
            made = made * p
        return made

    def power(self, base: Any, exponent: Any, e: Any) -> Any:
        if e.is_Integer and -4 <= e <= 4:
            made = self.multiply([base] * abs(int(e)))
            return made if e > 0 else np.divide(1.0, np.where(np.equal(base, 0), np.nan, made))
        made = np.power(np.asarray(base, float), exponent)
        return np.where((np.equal(base, 0) & np.less(exponent, 0)) | np.isnan(base) | np.isnan(exponent), np.nan, made)

    def positive(self, x: Any) -> Any:
        return np.where(np.isnan(x), np.nan, np.greater(x, 0))

    def zero(self, x: Any) -> Any:
        return np.where(np.isnan(x), np.nan, np.equal(x, 0))

    def function(self, name: str, parts: Sequence[Any]) -> Any:
        return functions()[name](*parts) if name in functions() else np.nan


_FUNCTIONS: dict[str, Callable[..., Any]] = {}


def functions() -> dict[str, Callable[..., Any]]:
    """SymPy's names of functions -> functions of floats."""
    if not _FUNCTIONS:
        from scipy import special

        _FUNCTIONS.update(
            exp=np.exp, sin=np.sin, cos=np.cos, asin=np.arcsin, atan=np.arctan, floor=np.floor, ceiling=np.ceil, Abs=np.abs,
            log=lambda x: np.log(np.where(np.greater(x, 0), x, np.nan)),
            erf=special.erf, loggamma=lambda x: special.gammaln(np.where(np.greater(x, 0), x, np.nan)),
            digamma=lambda x: special.digamma(np.where(np.greater(x, 0), x, np.nan)),
            polygamma=lambda n, x: special.polygamma(int(np.max(n)), np.where(np.greater(x, 0), x, np.nan)),
        )  # fmt: skip
    return _FUNCTIONS
