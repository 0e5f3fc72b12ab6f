"""Calls: operations that native code leaves to NumPy. They run between its steps, on views of the same memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...ir.node import Node, Spec
from ...ops.loops import Loop

OURS = ("numpy", "scipy", "chainrule")


def _scalar(a: Any) -> Any:
    return a[()]


def _number(a: Any) -> Any:
    return a.item()


def _copy(a: Any) -> Any:
    return a[()].copy()


def results(n: Node) -> list[Spec]:
    """What a node gives: one value, or several."""
    several = isinstance(n.value, tuple) and not isinstance(n.value, Spec)
    return [Spec.of(v) for v in n.value] if several else [Spec.of(n.value)]


def called(n: Node) -> Callable[..., None]:
    """A node as a function of arrays that puts its results into the first of them, and reads the others.

    What the operation is given is what eager code gives it: numbers instead of arrays without axes, constants as they are. A user's
    function gets copies, as it may keep them.
    """
    count = len(results(n))
    value, params = n.op.value, n.params
    home = str(getattr(value, "__module__", None) or type(value).__module__).split(".")[0]
    foreign = home not in OURS or n.op.name == "custom" or isinstance(n.op, Loop)

    def reading(i: Node) -> Callable[[Any], Any] | None:
        spec = Spec.of(i.value)
        return _number if spec.weak else _copy if foreign else None if spec.shape else _scalar

    fixed = [None if type(i) is Node else i for i in n.inputs]
    places = [(k, reading(i)) for k, i in enumerate(n.inputs) if type(i) is Node]
    in_place = isinstance(value, np.ufunc) and count == 1

    def call(*arrays: Any) -> None:
        args = list(fixed)
        for (k, read), a in zip(places, arrays[count:], strict=True):
            args[k] = a if read is None else read(a)
        if in_place:
            value(*args, out=arrays[0], **params)
            return
        found = value(*args, **params)
        for given, target in zip((found,) if count == 1 else found, arrays, strict=False):
            if np.shape(given) != target.shape:
                raise ShapeError(
                    f"{n.op.name} gave an array of shape {np.shape(given)}, and its declaration says {target.shape}",
                    "correct the shape rule of the operation",
                )
            target[...] = given

    return call
