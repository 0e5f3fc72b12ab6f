"""Special functions (values from SciPy, imported when first used)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .exponential import exp
from .kinds import Composite, Elementwise

FROM_SCIPY = "from scipy import special\n"
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)


def _scipy(name: str) -> Callable[..., Any]:
    def value(*args: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*args)

    return value


def _digamma(x: Any) -> Any:
    if np.iscomplexobj(x):
        raise TypeError("SciPy has the derivative of digamma for real numbers only")
    return _scipy("psi")(x)


def _special(name: str, partial: Any, of: str = "", **facts: Any) -> Elementwise:
    of = of or name
    return Elementwise(name, _scipy(of), (partial,), text=f"special.{of}({{0}})", prelude=FROM_SCIPY, **facts)


erf = _special(
    "erf",
    lambda x, y: TWO_OVER_SQRT_PI * exp(-x * x),
    scalar="math.erf({0})",
    latex=r"\operatorname{{erf}}({0})",
    range=(-1, 1),
    limits={-1.0: -math.inf, 1.0: math.inf},
    torch="torch.erf",
)
erfc = _special(
    "erfc",
    lambda x, y: -TWO_OVER_SQRT_PI * exp(-x * x),
    scalar="math.erfc({0})",
    latex=r"\operatorname{{erfc}}({0})",
    range=(0, 2),
    limits={2.0: -math.inf, 0.0: math.inf},
    torch="torch.erfc",
)
gammaln = _special(
    "gammaln",
    lambda x, y: digamma(x),
    aliases=("lgamma",),
    scalar="math.lgamma({0})",
    latex=r"\log\Gamma({0})",
    domain=((0.5, 4.0),),
    torch="torch.lgamma",
)
digamma = Elementwise(
    "digamma",
    _digamma,
    (lambda x, y: polygamma(x, n=1),),
    aliases=("psi",),
    text="special.psi({0})",
    prelude=FROM_SCIPY,
    latex=r"\psi({0})",
    domain=((0.5, 4.0),),
    torch="torch.digamma",
    jax="jax.scipy.special.digamma",
)
polygamma = Elementwise(
    "polygamma",
    lambda x, n=1: np.asarray(_scipy("polygamma")(n, x), np.asarray(x).dtype)[()],
    (lambda x, y, n=1: polygamma(x, n=n + 1),),
    text=lambda args, node: f"special.polygamma({node.params.get('n', 1)}, {args[0]})",
    prelude=FROM_SCIPY,
    domain=((0.5, 4.0),),
    torch=lambda args, node: f"torch.polygamma({node.params.get('n', 1)}, {args[0]})",
)
gelu = Composite(
    "gelu",
    lambda x: 0.5 * x * (1 + erf(x * math.sqrt(0.5))),
    aliases=("GELU",),
    entrywise=True,
    text="0.5 * {0.atom} * (1 + special.erf(np.sqrt(0.5) * {0.atom}))",
    scalar="0.5 * {0.atom} * (1 + math.erf(math.sqrt(0.5) * {0.atom}))",
    prelude=FROM_SCIPY,
    latex=r"\operatorname{{GELU}}({0})",
    doc="x times the standard normal distribution function of x.",
    torch="torch.nn.functional.gelu",
    jax="jax.nn.gelu({0}, approximate=False)",
)
