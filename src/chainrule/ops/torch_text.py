"""How torch writes what has axes: the parts that several declarations share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.node import Spec

Text = Callable[..., str]


def _dims(node: Any, name: str = "dim") -> str:
    """The axes of a reduction, as torch takes them."""
    axis = node.params.get("axis")
    keep = ", keepdim=True" if node.params.get("keepdims") else ""
    n = np.ndim(node.inputs[0].value)
    if axis is None or (len(axis) == n and not keep):
        return ""
    return f", {name}={tuple(axis)}{keep}"


def torch_reduced(function: str, always: bool = False) -> Text:
    """A reduction over axes."""

    def text(args: list[Any], node: Any) -> str:
        dims = _dims(node) or (f", dim={tuple(node.params['axis'])}" if always and node.params["axis"] else "")
        return f"torch.{function}({args[0]}{dims})"

    return text


def torch_extreme(name: str) -> Text:
    """The largest or smallest entry; of truth values whether any or all hold."""
    number, truth = torch_reduced(f"a{name}"), torch_reduced({"max": "any", "min": "all"}[name])
    return lambda args, node: (truth if Spec.of(node.value).dtype.kind == "b" else number)(args, node)  # type: ignore[operator]


def torch_place(name: str) -> Text:
    """The place of an entry along an axis."""

    def text(args: list[Any], node: Any) -> str:
        axis = node.params.get("axis")
        return f"torch.{name}({args[0]}{'' if axis is None else f', dim={axis}'})"

    return text


def torch_moment(function: str) -> Text:
    """A variance or a deviation."""

    return lambda args, node: f"torch.{function}({args[0]}{_dims(node)}, correction={node.params.get('ddof', 0)})"


def torch_products(args: list[Any], node: Any) -> str:
    """torch multiplies along one axis at a time."""

    text = str(args[0])
    n = np.ndim(node.inputs[0].value)
    for a in sorted((a % n for a in node.params["axis"]), reverse=True):
        text = f"torch.prod({text}, dim={a}, keepdim={bool(node.params.get('keepdims'))})"
    return text


def torch_joined(function: str, name: str = "dim") -> Text:
    """Arrays joined along an axis."""

    return lambda args, node: f"torch.{function}([{', '.join(args)}], {name}={node.params['axis']})"


def as_tuple(x: Any) -> tuple[int, ...]:
    """One number as a tuple of one."""

    return (x,) if isinstance(x, int) else tuple(x)
