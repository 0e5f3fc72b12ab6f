"""Modules that are a function with settings: their arguments are those of the function, in its order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..tensors.tensor import Tensor
from .module import Module

_NOT_SETTINGS = ("_stacklevel", "dtype", "training", "out")


def module_of(
    name: str, function: Callable[..., Any], doc: str, module: str, inputs: int = 1, *,
    order: Sequence[str] = (), check: Callable[[Any], None] | None = None,
) -> Any:  # fmt: skip
    """A module that applies a function: `inputs` arguments are given to it, the others when it is made.

    `order` is that of the arguments where the module has another than the function. Each setting is an attribute of its name, which may be changed; it is read at every call.
    """
    parameters = list(inspect.signature(function).parameters.values())[inputs:]
    # `weight` of the plain errors is a later argument of the functions alone
    kept = [p for p in parameters if p.name not in _NOT_SETTINGS]
    kept = [p for p in kept if not (p.name == "weight" and p is parameters[-1])]
    kept.sort(key=lambda p: order.index(p.name) if order else 0)
    signature = inspect.Signature(kept)
    names = tuple(p.name for p in kept)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        Module.__init__(self)
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}(): {error}; it takes {', '.join(names) or 'no arguments'}") from None
        given.apply_defaults()
        for key, value in given.arguments.items():
            if key in ("weight", "pos_weight"):
                self.register_buffer(key, value)
            else:
                setattr(self, key, value)
        if check is not None:
            check(self)

    def forward(self: Any, *xs: Any) -> Any:
        return function(*xs, **{k: getattr(self, k) for k in names})

    def extra_repr(self: Any) -> str:
        values = ((k, getattr(self, k)) for k in names)
        return ", ".join(
            f"{k}={v!r}" for k, v in values if v is not None and v is not False and not isinstance(v, Tensor)
        )

    made = type(
        name,
        (Module,),
        {
            "__init__": __init__, "forward": forward, "extra_repr": extra_repr, "__doc__": doc, "__module__": module,
            "settings": names,
        },
    )  # fmt: skip
    made.__init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD), *kept]
    )
    return made
