"""A tensor as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.op import variable
from .promotion import Default


def shown(self: Any) -> str:
    """A tensor as torch prints it: four places, and what torch says of dtype and history."""
    values = np.asarray(self.value)
    whole = values.dtype.kind != "f" or bool(np.all(~np.isfinite(values) | (values == np.round(values))))
    text = np.array2string(
        values, separator=", ", prefix="tensor(", precision=4, floatmode="maxprec" if whole else "fixed"
    )
    if self.dtype not in (Default.dtype, np.int64, np.bool_):
        text += f", dtype=torch.{self.dtype}"
    if self.node.op is variable:
        text += ", requires_grad=True"
    elif self.requires_grad:
        text += f", grad_fn=<{self.node.op.name}>"
    return f"Parameter containing:\ntensor({text})" if self.is_parameter else f"tensor({text})"
