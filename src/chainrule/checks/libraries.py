"""Passes written for other libraries, as functions of NumPy arrays: torch's autograd.Function, jax's custom_vjp."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError


def as_functions(forward: Any, backward: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward and backward as functions of NumPy arrays."""
    if backward is not None and callable(backward) and callable(forward):
        return forward, backward
    if inspect.isclass(forward) and hasattr(forward, "apply"):
        return _torch_function(forward)
    if type(forward).__module__.startswith("jax"):
        return _jax_function(forward)
    raise InputError(
        "check_backward got no backward pass"
        if callable(forward)
        else "check_backward: the forward pass is no function",
        "pass a function of (cotangent, *args), a torch.autograd.Function or a jax.custom_vjp function",
    )


def _torch_function(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    import torch  # pyright: ignore[reportMissingImports]

    def tensor(x: Any) -> Any:
        """With the strides of the array, those of no length too."""
        repeated = tuple(slice(0, 1) if s == 0 and n else slice(None) for s, n in zip(x.strides, x.shape, strict=True))
        return torch.from_numpy(np.array(x[repeated], order="K")).expand(x.shape)

    def forward(*xs: Any) -> Any:
        return function.apply(*(torch.tensor(x) for x in xs)).detach().numpy()

    def backward(ct: Any, *xs: Any) -> Any:
        given = [tensor(x).requires_grad_(np.asarray(x).dtype.kind == "f") for x in xs]
        function.apply(*given).backward(tensor(np.asarray(ct)))
        return [None if x.grad is None else x.grad.numpy() for x in given]

    forward.__signature__ = _named(function.forward, 1)  # type: ignore[attr-defined]
    return forward, backward


def _jax_function(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    import jax  # pyright: ignore[reportMissingImports]

    def forward(*xs: Any) -> Any:
        with jax.enable_x64(True):
            return np.asarray(function(*xs))

    def backward(ct: Any, *xs: Any) -> Any:
        with jax.enable_x64(True):
            _, pullback = jax.vjp(function, *xs)
            return [np.asarray(g) for g in pullback(jax.numpy.asarray(ct))]

    forward.__signature__ = _named(getattr(function, "fun", function), 0)  # type: ignore[attr-defined]
    return forward, backward


def _named(f: Any, skip: int) -> inspect.Signature:
    kept = list(inspect.signature(f).parameters)[skip:]
    return inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in kept])
