"""Optimizers with torch's names and settings; each applies a rule of `chainrule.optim.rules` to its parameters in place."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import numpy as np

from ..errors import InputError
from ..tensors import changing
from ..tensors.modes import enable_grad, no_grad
from ..tensors.tensor import Tensor
from ..trace.handles import plain
from . import rules


def updated(rule: rules.Rule, p: Any, g: Any, s: rules.State, h: dict[str, Any]) -> tuple[Any, rules.State]:
    """One application of a rule that keeps the dtype of the parameter, also where the gradient has another."""
    g = g if g.dtype == p.dtype else g.astype(p.dtype)
    new, state = rule(p, g, s, h)
    return _like(new, p), {k: _like(v, p) if np.shape(v) else v for k, v in state.items()}


def _like(x: Any, p: Any) -> Any:
    return x if x.dtype == p.dtype else x.astype(p.dtype)


class Optimizer:
    """What all optimizers share: groups of parameters with settings of their own, and a state for each parameter.

    Args:
        params: parameters, or dicts with `params` and settings for those.
        defaults: the settings of groups that do not say otherwise.
    """

    rule: Callable[..., Any]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Any, dict[str, Any]] = defaultdict(dict)  # by parameter
        if isinstance(params, Tensor):
            raise InputError("params argument given to the optimizer should be an iterable of tensors", "pass [x]")
        given = list(params)
        if not given:
            raise InputError(
                "optimizer got an empty parameter list", "pass model.parameters(), of a model that has some"
            )
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters with settings of their own."""
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        if params and isinstance(params[0], tuple):  # named_parameters()
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise InputError(f"an optimizer takes tensors; got {type(p).__name__}", "pass model.parameters()")
            if not p.is_leaf:
                raise InputError(
                    "an optimizer takes leaf tensors; this one was computed", "make it with requires_grad=True"
                )
        known = {id(p) for g in self.param_groups for p in g["params"]}
        if any(id(p) in known for p in params):
            raise InputError("a parameter is in two groups of the optimizer", "put each into one")
        unknown = [k for k in group if k not in ("params", "initial_lr", "name") and k not in self.defaults]
        if unknown:
            raise InputError(
                f"{type(self).__name__} has no setting {unknown[0]!r}", f"it has {', '.join(self.defaults)}"
            )
        if any(
            not isinstance(group.get(k, 0.0), (int, float, tuple, list, bool)) for k in ("lr", "weight_decay", "betas")
        ):
            raise InputError(f"{type(self).__name__}: lr, betas and weight_decay must be numbers", "pass float(lr)")
        self.param_groups.append({**self.defaults, **group, "params": params})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                p.zero_grad(set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; `closure` computes the loss anew and returns it."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        rule = type(self).rule
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    g = p._grad
                    if g is not None:
                        new, self.state[p] = updated(rule, p.node.value, g.node.value, self.state[p], group)
                        changing.collect_here(p, new)
        return loss

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def state_dict(self) -> dict[str, Any]:
        """Settings and state, the parameters numbered in order."""
        number = {p: k for k, p in enumerate(self._parameters())}
        groups = [{**g, "params": [number[p] for p in g["params"]]} for g in self.param_groups]
        return {"state": {number.get(p, p): dict(s) for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, of an optimizer over parameters of the same shapes."""
        params = self._parameters()
        if [len(g["params"]) for g in state["param_groups"]] != [len(g["params"]) for g in self.param_groups]:
            raise InputError(
                "the saved state of the optimizer has other groups of parameters",
                "build the optimizer over the same network as the one that was saved",
            )
        for own, saved in zip(self.param_groups, state["param_groups"], strict=True):
            own.update({k: tuple(v) if isinstance(v, list) else v for k, v in saved.items() if k != "params"})
        ours = hasattr(
            type(self), "rule"
        )  # it keeps arrays, which compiled steps move in place; others keep what they like
        numbered = dict(enumerate(params)) | {str(k): p for k, p in enumerate(params)}
        self.state.clear()
        for k, s in state["state"].items():
            self.state[numbered.get(k, k)] = {n: copy.deepcopy(plain(v)) if ours else v for n, v in s.items()}

    def __repr__(self) -> str:
        groups = [", ".join(f"{k}={v}" for k, v in g.items() if k != "params") for g in self.param_groups]
        return f"{type(self).__name__}({'; '.join(groups)})"


def _unsupported(name: str, **options: Any) -> None:
    """Raise for what chooses between ways to the same result only where it asks for another one.

    `foreach` and `fused` do not change the result; `differentiable` and `capturable` would.
    """
    for k, v in options.items():
        if v:
            raise InputError(f"{name}: {k}=True is not supported", "leave it out")


def _checked(name: str, **least: tuple[float, float]) -> None:
    for k, (value, low) in least.items():
        if not isinstance(value, Real) or not value >= low:
            raise InputError(f"{name}: {k} is {value}", f"it must be a number, at least {low:g}")


class SGD(Optimizer):
    """Gradient descent, with momentum, Nesterov's momentum and weight decay, as torch defines them."""

    rule = staticmethod(rules.sgd)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _unsupported("SGD", differentiable=differentiable)
        _checked("SGD", lr=(lr, 0), momentum=(momentum, 0), weight_decay=(weight_decay, 0))
        if nesterov and (momentum <= 0 or dampening != 0):
            raise InputError("SGD: Nesterov's momentum needs a momentum, and no dampening")
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                "nesterov": nesterov, "maximize": maximize,
            },
        )  # fmt: skip


class Adam(Optimizer):
    """Steps scaled by running moments of the gradient. Source: Kingma and Ba, 2014."""

    rule = staticmethod(rules.adam)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        name = type(self).__name__
        _unsupported(
            name, capturable=capturable, differentiable=differentiable, decoupled_weight_decay=decoupled_weight_decay
        )
        _checked(name, lr=(lr, 0), eps=(eps, 0), weight_decay=(weight_decay, 0))
        if not all(0 <= b < 1 for b in betas):
            raise InputError(f"{name}: betas is {betas}", "both must be at least 0 and below 1")
        super().__init__(
            params,
            {
                "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )  # fmt: skip


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient. Source: Loshchilov and Hutter, 2017."""

    rule = staticmethod(rules.adamw)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _unsupported("AdamW", capturable=capturable, differentiable=differentiable)
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class RMSprop(Optimizer):
    """Steps scaled by a running mean of squared gradients. Source: Hinton, lecture 6e."""

    rule = staticmethod(rules.rmsprop)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _unsupported("RMSprop", capturable=capturable, differentiable=differentiable)
        _checked("RMSprop", lr=(lr, 0), alpha=(alpha, 0), eps=(eps, 0), momentum=(momentum, 0))
        super().__init__(
            params,
            {
                "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum,
                "centered": centered, "maximize": maximize,
            },
        )  # fmt: skip


class Adagrad(Optimizer):
    """Steps scaled by the sum of all squared gradients. Source: Duchi et al., 2011."""

    rule = staticmethod(rules.adagrad)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _unsupported("Adagrad", differentiable=differentiable)
        _checked("Adagrad", lr=(lr, 0), lr_decay=(lr_decay, 0), eps=(eps, 0))
        super().__init__(
            params,
            {
                "lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value, "eps": eps, "maximize": maximize,
            },
        )  # fmt: skip
