"""The update rules: pure functions of (parameter, gradient, state, settings), on plain arrays and on traced values alike.

The optimizers apply them in place to tensors; `chainrule.train.fit` compiles them into the training step.
A rule returns the new parameter and the new state, a dict whose values are arrays or numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

State = dict[str, Any]
Rule = Callable[[Any, Any, State, dict[str, Any]], tuple[Any, State]]


def started(p: Any, h: dict[str, Any]) -> State:
    """The state before the first step as zeros, for rules to which that is the same as none; otherwise nothing.

    A compiled step then has the same arguments from the first call on.
    """
    zero = np.zeros_like(p)
    if "betas" in h:
        names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if h["amsgrad"] else [])]
        return {"step": 0, **{n: zero.copy() for n in names}}
    if "alpha" in h:
        names = [
            "square_avg",
            *(["grad_avg"] if h["centered"] else []),
            *(["momentum_buffer"] if h["momentum"] else []),
        ]
        return {n: zero.copy() for n in names}
    if h.get("momentum") and not h["dampening"]:
        return {"momentum_buffer": zero}
    return {}


def _decayed(p: Any, g: Any, h: dict[str, Any]) -> Any:
    """The gradient with that of the weight penalty, of the sign that is asked for."""
    g = -g if h.get("maximize") else g
    return g + h["weight_decay"] * p if h["weight_decay"] else g


def sgd(p: Any, g: Any, s: State, h: dict[str, Any]) -> tuple[Any, State]:
    """Gradient descent with momentum, as torch defines it: v = m v + (1 - d) g, and p = p - lr v."""
    g = _decayed(p, g, h)
    if not h["momentum"]:
        return p - h["lr"] * g, s
    v = h["momentum"] * s["momentum_buffer"] + (1 - h["dampening"]) * g if "momentum_buffer" in s else np.copy(g)
    step = g + h["momentum"] * v if h["nesterov"] else v
    return p - h["lr"] * step, {"momentum_buffer": v}


def _adam(p: Any, g: Any, s: State, h: dict[str, Any]) -> tuple[Any, State]:
    b1, b2 = h["betas"]
    t = s.get("step", 0) + 1
    m = b1 * s.get("exp_avg", 0.0) + (1 - b1) * g
    v = b2 * s.get("exp_avg_sq", 0.0) + (1 - b2) * g * g
    new = {"step": t, "exp_avg": m, "exp_avg_sq": v}
    top = v
    if h["amsgrad"]:
        top = np.maximum(s["max_exp_avg_sq"], v) if "max_exp_avg_sq" in s else np.copy(v)
        new["max_exp_avg_sq"] = top
    scale = h["lr"] / (1 - b1**t)
    return p - scale * (m / (np.sqrt(top) / (1 - b2**t) ** 0.5 + h["eps"])), new


def adam(p: Any, g: Any, s: State, h: dict[str, Any]) -> tuple[Any, State]:
    """Steps scaled by running moments of the gradient. Source: Kingma and Ba, 2014."""
    return _adam(p, _decayed(p, g, h), s, h)


def adamw(p: Any, g: Any, s: State, h: dict[str, Any]) -> tuple[Any, State]:
    """Adam with the weight decay apart from the gradient. Source: Loshchilov and Hutter, 2017."""
    g = -g if h.get("maximize") else g
    return _adam(p * (1 - h["lr"] * h["weight_decay"]), g, s, h)


def rmsprop(p: Any, g: Any, s: State, h: dict[str, Any]) -> tuple[Any, State]:
    """Steps scaled by a running mean of squared gradients. Source: Hinton, lecture 6e."""
    g = _decayed(p, g, h)
    a = h["alpha"]
    square = a * s.get("square_avg", 0.0) + (1 - a) * g * g
    new = {"square_avg": square}
    spread = square
    if h["centered"]:
        new["grad_avg"] = a * s.get("grad_avg", 0.0) + (1 - a) * g
        spread = square - new["grad_avg"] ** 2
    step = g / (np.sqrt(spread) + h["eps"])
    if not h["momentum"]:
        return p - h["lr"] * step, new
    new["momentum_buffer"] = h["momentum"] * s.get("momentum_buffer", 0.0) + step
    return p - h["lr"] * new["momentum_buffer"], new


def adagrad(p: Any, g: Any, s: State, h: dict[str, Any]) -> tuple[Any, State]:
    """Steps scaled by the sum of all squared gradients. Source: Duchi et al., 2011."""
    g = _decayed(p, g, h)
    t = s.get("step", 0) + 1
    total = s.get("sum", h["initial_accumulator_value"]) + g * g
    rate = h["lr"] / (1 + (t - 1) * h["lr_decay"])
    return p - rate * g / (np.sqrt(total) + h["eps"]), {"step": t, "sum": total}
