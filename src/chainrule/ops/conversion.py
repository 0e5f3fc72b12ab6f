"""Values in other dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .broadcasting import dtype_of
from .kinds import Linear


def _cast_text(args: list[Any], node: Any) -> str:
    name = np.dtype(node.params["dtype"]).name
    return f"np.{name}({args[0]})" if np.ndim(node.value) == 0 else f"{args[0].atom}.astype({name!r})"


cast = Linear(
    "cast",
    lambda x, dtype: x.astype(dtype) if isinstance(x, np.ndarray) else np.asarray(x).astype(dtype)[()],
    (lambda ct, x, dtype: ct,),  # the rule for linear operations brings it back to the dtype of x
    text=_cast_text,
    latex="{0}",
    moves=True,
    keeps=True,
    entrywise=True,
    public=False,
    doc="The value in another dtype; nothing flows through an integer.",
    examples=((((2, 3),), {"dtype": np.dtype(float)}),),
    torch=lambda args, node: f"torch.as_tensor({args[0]}).to(torch.{np.dtype(node.params['dtype']).name})",
    jax=lambda args, node: f"jnp.asarray({args[0]}).astype({np.dtype(node.params['dtype']).name!r})",
)


def wide(x: Any, like: Any) -> Any:
    """A factor of a partial in the precision of the result, so that a gradient is as exact as the value."""
    if x.__class__ is like.__class__ is np.float64 or x.__class__ in (int, float):
        return x
    dtype, wanted = dtype_of(x), dtype_of(like)
    if dtype == wanted or wanted.kind not in "fc" or not np.can_cast(dtype, wanted):
        return x
    return cast(x, dtype=wanted)
