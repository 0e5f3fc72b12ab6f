"""Learning rates that change from epoch to epoch, with torch's names: each says the next rate from the present one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import InputError
from .optimizers import Optimizer


class LRScheduler:
    """Sets the rate of every group after each step: what `get_lr` gives, from the rates as they are.

    Schedules of one optimizer therefore act one after another, and a rate that was changed by hand goes on from there.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise InputError(f"{type(optimizer).__name__} is not an Optimizer", "pass the optimizer first")
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for k, g in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                g.setdefault("initial_lr", g["lr"])
            elif "initial_lr" not in g:
                raise InputError(
                    f"param 'initial_lr' is not specified in param_groups[{k}] when resuming with last_epoch >= 0",
                    "load the optimizer's state first",
                )
        self.base_lrs = [float(g["initial_lr"]) for g in optimizer.param_groups]
        self._initial = True
        self.step()
        self._initial = False

    def get_lr(self) -> list[float]:
        """The rate of each group at the epoch that has come."""
        return [self.next_rate(g, k) for k, g in enumerate(self.optimizer.param_groups)]

    def next_rate(self, group: dict[str, Any], k: int) -> float:
        """The rate of one group, the k-th, at the epoch that has come."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """One epoch (or batch) further."""
        if epoch is not None:
            raise InputError("step(epoch) is deprecated", "call step() once an epoch")
        self.last_epoch += 1
        for g, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            g["lr"] = rate
        self._last_lr = [g["lr"] for g in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The rates of all groups after the last step."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, as numbers and lists."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer" and not callable(v) and not _functions(v)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.__dict__.update(state_dict)


def _functions(v: Any) -> bool:
    return isinstance(v, list) and any(callable(x) for x in v)


class StepLR(LRScheduler):
    """The rate times gamma after every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        if step_size < 1:
            raise InputError(f"StepLR: step_size is {step_size}", "give a positive number of epochs")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def next_rate(self, group: dict[str, Any], k: int) -> float:
        return group["lr"] * (self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else 1)


class MultiStepLR(LRScheduler):
    """The rate times gamma at each of the milestones."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def next_rate(self, group: dict[str, Any], k: int) -> float:
        return group["lr"] * self.gamma ** self.milestones.count(self.last_epoch)


class ExponentialLR(LRScheduler):
    """The rate times gamma after every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def next_rate(self, group: dict[str, Any], k: int) -> float:
        return group["lr"] if self._initial else group["lr"] * self.gamma


class CosineAnnealingLR(LRScheduler):
    """From the rate down to eta_min along half a cosine of T_max epochs, and up again. Source: Loshchilov and Hutter, 2016."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def next_rate(self, group: dict[str, Any], k: int) -> float:
        n, base, angle = self.last_epoch, self.base_lrs[k] - self.eta_min, math.pi / self.T_max
        if self._initial:
            return group["lr"] if n == 0 else self.eta_min + base * (1 + math.cos(n * angle)) / 2
        if (n - 1 - self.T_max) % (2 * self.T_max) == 0:  # the cosine before was -1
            return group["lr"] + base * (1 - math.cos(angle)) / 2
        share = (1 + math.cos(angle * n)) / (1 + math.cos(angle * (n - 1)))
        return share * (group["lr"] - self.eta_min) + self.eta_min


class LambdaLR(LRScheduler):
    """The first rate times a function of the epoch; one function, or one for each group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise InputError(f"LambdaLR: {len(self.lr_lambdas)} functions for {groups} groups of parameters")
        super().__init__(optimizer, last_epoch)

    def next_rate(self, group: dict[str, Any], k: int) -> float:
        return self.base_lrs[k] * self.lr_lambdas[k](self.last_epoch)


class OneCycleLR(LRScheduler):
    """Up to max_lr and down again over `total_steps` batches, the momentum the other way. Source: Smith, 2017.

    With `three_phase` down to the first rate as fast as up, then to the last.
    """

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
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if not (epochs and steps_per_epoch):
                raise InputError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if anneal_strategy not in ("cos", "linear"):
            raise InputError(f"OneCycleLR: there is no strategy {anneal_strategy!r}", "choose cos or linear")
        if not 0 <= pct_start <= 1:
            raise InputError(f"OneCycleLR: expected float between 0 and 1 pct_start, but got {pct_start}")
        groups = optimizer.param_groups
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        self.cycled = next((k for k in ("betas", "momentum") if k in groups[0]), None) if cycle_momentum else None
        if cycle_momentum and self.cycled is None:
            raise InputError("OneCycleLR: the optimizer has no momentum to cycle", "pass cycle_momentum=False")
        up = float(pct_start * total_steps) - 1
        ends = [up, 2 * up, total_steps - 1] if three_phase else [up, total_steps - 1]
        self.phases: list[list[list[float]]] = []  # for each group, for each phase: its end, two rates, two momenta
        tops, highs, lows = (_listed(x, groups) for x in (max_lr, max_momentum, base_momentum))
        for g, top, high, low in zip(groups, tops, highs, lows, strict=True):
            start = top / div_factor
            rates = [start, top, *([start] if three_phase else []), start / final_div_factor]
            momenta = [high, low, high, *([high] if three_phase else [])]
            self.phases.append(
                [[end, rates[k], rates[k + 1], momenta[k], momenta[k + 1]] for k, end in enumerate(ends)]
            )
            if last_epoch == -1:
                g["initial_lr"] = start
        super().__init__(optimizer, last_epoch)

    def _between(self, a: float, b: float, where: float) -> float:
        if self.anneal_strategy == "linear":
            return a + (b - a) * where
        return b + (a - b) / 2 * (1 + math.cos(math.pi * where))

    def next_rate(self, group: dict[str, Any], k: int) -> float:
        n = self.last_epoch
        if n > self.total_steps:
            raise InputError(
                f"Tried to step {n} times. The specified number of total steps is {self.total_steps}",
                "make the scheduler for as many steps as are taken",
            )
        phases = self.phases[k]
        at = next((i for i, p in enumerate(phases) if n <= p[0]), len(phases) - 1)
        start = phases[at - 1][0] if at else 0.0
        end, a, b, high, low = phases[at]
        where = (n - start) / (end - start)
        if self.cycled is not None:
            m = self._between(high, low, where)
            group[self.cycled] = m if self.cycled == "momentum" else (m, *group["betas"][1:])
        return self._between(a, b, where)


def _listed(x: float | Sequence[float], groups: Sequence[Any]) -> list[float]:
    """A number for each group."""
    found = [float(x)] * len(groups) if isinstance(x, (int, float)) else [float(v) for v in x]
    if len(found) != len(groups):
        raise InputError(f"{len(found)} values were given for {len(groups)} groups of parameters")
    return found


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
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs") or not 0 < factor < 1:
            raise InputError("ReduceLROnPlateau: mode is min or max, threshold_mode rel or abs, factor between 0 and 1")
        self.mode, self.factor, self.patience, self.threshold = mode, factor, patience, threshold
        self.threshold_mode, self.cooldown, self.eps = threshold_mode, cooldown, eps
        self.min_lrs = _listed(min_lr, optimizer.param_groups)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        self.optimizer, self.last_epoch = optimizer, 0
        self._last_lr = [g["lr"] for g in optimizer.param_groups]

    def _better(self, x: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1)
        if math.isinf(self.best):
            return sign * x > sign * self.best
        if self.threshold_mode == "rel":
            return sign * x > sign * self.best * (1 + sign * self.threshold)
        return sign * x > sign * self.best + margin

    def step(self, metrics: Any = None, epoch: int | None = None) -> None:  # type: ignore[override]
        """One epoch further, with the measure to watch."""
        if epoch is not None:
            raise InputError("step(metrics, epoch) is deprecated", "call step(metrics) once an epoch")
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
            for g, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                new = max(g["lr"] * self.factor, least)
                if g["lr"] - new > self.eps:
                    g["lr"] = new
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [g["lr"] for g in self.optimizer.param_groups]


__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "StepLR",
]  # fmt: skip
