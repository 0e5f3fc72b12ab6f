"""Complex numbers.

The convention: the cotangent of z = x + iy is dL/dx - i dL/dy, as in jax. Then the transpose of multiplication by c is
multiplication by c, holomorphic rules are what they are on the real line, and only the operations here are special.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arithmetic import reciprocal
from .kinds import Elementwise, Linear

real = Linear(
    "real",
    lambda z: np.real(z)[()],
    (lambda ct, z: ct,),
    numpy=(np.real,),
    text="np.real({0})",
    torch="torch.real",
    latex=r"\operatorname{{Re}}({0})",
    entrywise=True,
    examples=((((2, 3),), {}),),
    doc="The real part.",
)
imag = Linear(
    "imag",
    lambda z: np.imag(z)[()],
    (lambda ct, z: -1j * ct if np.iscomplexobj(z) else 0.0 * ct,),
    numpy=(np.imag,),
    text="np.imag({0})",
    torch="torch.imag({0.atom} + 0j)",
    latex=r"\operatorname{{Im}}({0})",
    entrywise=True,
    examples=((((2, 3),), {}),),
    doc="The imaginary part.",
)
conj = Linear(
    "conj",
    np.conjugate,
    (lambda ct, z: conj(ct),),
    numpy=(np.conjugate,),
    aliases=("conjugate",),
    text="np.conj({0})",
    torch="torch.conj",
    latex=r"\overline{{{0}}}",
    entrywise=True,
    examples=((((2, 3),), {}),),
    doc="The complex conjugate.",
)


def _turn(z: Any) -> Any:
    return -1j * reciprocal(z) if np.iscomplexobj(z) else 0.0 * z


angle = Elementwise(
    "angle",
    lambda z: np.angle(z)[()],
    (lambda z, y: _turn(z),),
    numpy=(np.angle,),
    text="np.angle({0})",
    torch="torch.angle",
    latex=r"\arg({0})",
    range=(-math.pi, math.pi),
    doc="The angle of a complex number, in radians.",
)
