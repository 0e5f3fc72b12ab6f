"""Learning rates that change from epoch to epoch, with torch's names. Each is a formula for the rate after n steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InputError
from .optimizers import Optimizer


class LRScheduler:
    """Sets the rate of every group: `rate(base)` after `last_epoch` steps."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = 0) -> None:
        self.optimizer, self.last_epoch = optimizer, last_epoch
        self.base_lrs = [float(g["lr"]) for g in optimizer.param_groups]
        self._set()

    def rate(self, base: float, group: int) -> float:
        """The rate now, from the rate at the start."""
        raise NotImplementedError

    def _set(self) -> None:
        for k, (g, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            g["lr"] = self.rate(base, k)

    def step(self) -> None:
        """One epoch (or batch) further."""
        self.last_epoch += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The rates of all groups."""
        return [g["lr"] for g in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, as numbers and lists."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer" and not callable(v) and not _functions(v)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.__dict__.update(state)


def _functions(v: Any) -> bool:
    return isinstance(v, list) and any(callable(x) for x in v)


class StepLR(LRScheduler):
    """The rate times gamma after every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise InputError(f"StepLR: step_size is {step_size}", "give a positive number of epochs")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, base: float, group: int) -> float:
        return base * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """The rate times gamma at each of the milestones."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def rate(self, base: float, group: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, self.last_epoch)


class ExponentialLR(LRScheduler):
    """The rate times gamma after every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, base: float, group: int) -> float:
        return base * self.gamma**self.last_epoch


class CosineAnnealingLR(LRScheduler):
    """From the rate down to eta_min along half a cosine of T_max epochs, and up again. Source: Loshchilov and Hutter, 2016."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base: float, group: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2


class LambdaLR(LRScheduler):
    """The rate times a function of the epoch; one function, or one for each group."""

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise InputError(f"LambdaLR: {len(self.lr_lambdas)} functions for {groups} groups of parameters")
        super().__init__(optimizer)

    def rate(self, base: float, group: int) -> float:
        return base * self.lr_lambdas[group](self.last_epoch)


class OneCycleLR(LRScheduler):
    """Up to max_lr and down again over `total_steps` batches, the momentum the other way. Source: Smith, 2017."""

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        if total_steps is None:
            if not (epochs and steps_per_epoch):
                raise InputError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if anneal_strategy not in ("cos", "linear"):
            raise InputError(f"OneCycleLR: there is no strategy {anneal_strategy!r}", "choose cos or linear")
        groups = optimizer.param_groups
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        self.up, self.down = float(pct_start * total_steps) - 1, total_steps - 1
        self.max_lrs = [float(m) for m in ([max_lr] * len(groups) if isinstance(max_lr, (int, float)) else max_lr)]
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self.momenta = (max_momentum, base_momentum)
        self.cycled = next((k for k in ("momentum", "betas") if k in groups[0]), None) if cycle_momentum else None
        if cycle_momentum and self.cycled is None:
            raise InputError("OneCycleLR: the optimizer has no momentum to cycle", "pass cycle_momentum=False")
        super().__init__(optimizer)

    def _between(self, start: float, top: float, end: float) -> float:
        n = self.last_epoch
        a, b, where = (start, top, n / self.up) if n <= self.up else (top, end, (n - self.up) / (self.down - self.up))
        if self.anneal_strategy == "linear":
            return a + (b - a) * where
        return b + (a - b) / 2 * (1 + math.cos(math.pi * where))

    def rate(self, base: float, group: int) -> float:
        top = self.max_lrs[group]
        start = top / self.div_factor
        return self._between(start, top, start / self.final_div_factor)

    def _set(self) -> None:
        if self.last_epoch >= self.total_steps:
            raise InputError(
                f"OneCycleLR: step {self.last_epoch} of {self.total_steps}",
                "make the scheduler for as many steps as are taken",
            )
        super()._set()
        if self.cycled is None:
            return
        for g in self.optimizer.param_groups:
            high, low = self.momenta
            m = self._between(high, low, high)
            g[self.cycled] = m if self.cycled == "momentum" else (m, g["betas"][1])


class ReduceLROnPlateau(LRScheduler):
    """The rate times `factor` when a measure has not improved for `patience` epochs; `step(measure)`."""

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs") or not 0 < factor < 1:
            raise InputError("ReduceLROnPlateau: mode is min or max, threshold_mode rel or abs, factor between 0 and 1")
        self.mode, self.factor, self.patience, self.threshold = mode, factor, patience, threshold
        self.threshold_mode, self.cooldown, self.min_lr, self.eps = threshold_mode, cooldown, min_lr, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)

    def _set(self) -> None:
        """The rate changes in `step` only."""

    def _better(self, x: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1)
        if math.isinf(self.best):
            return sign * x > sign * self.best
        if self.threshold_mode == "rel":
            return sign * x > sign * self.best * (1 + sign * self.threshold)
        return sign * x > sign * self.best + margin

    def step(self, metrics: Any = None) -> None:  # type: ignore[override]
        """One epoch further, with the measure to watch."""
        if metrics is None:
            raise InputError("ReduceLROnPlateau.step needs the measure to watch", "write scheduler.step(loss)")
        x = float(metrics)
        self.last_epoch += 1
        if self._better(x):
            self.best, self.num_bad_epochs = x, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for g in self.optimizer.param_groups:
                new = max(g["lr"] * self.factor, self.min_lr)
                if g["lr"] - new > self.eps:
                    g["lr"] = new
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0


__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "StepLR",
]  # fmt: skip
