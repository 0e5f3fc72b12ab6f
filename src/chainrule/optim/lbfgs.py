"""L-BFGS, with torch's settings and stopping rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import InputError
from ..nn.utils import vector_to_parameters
from ..trace.handles import plain
from .optimizers import Optimizer


def direction(g: Any, pairs: list[tuple[Any, Any]], scale: float) -> Any:
    """-H g for the inverse Hessian that the pairs (step, change of gradient) imply: the two-loop recursion.

    Source: Nocedal, 1980.
    """
    q = -g
    used: list[tuple[float, float, Any, Any]] = []
    for s, y in reversed(pairs):
        rho = 1.0 / float(y @ s)
        a = rho * float(s @ q)
        q = q - a * y
        used.append((rho, a, s, y))
    q = q * scale
    for rho, a, s, y in reversed(used):
        q = q + s * (a - rho * float(y @ q))
    return q


class LBFGS(Optimizer):
    """A quasi-Newton method with a short memory; `step` takes a closure that computes the loss and its gradients.

    Args:
        line_search_fn: None for steps of length lr, as in torch; or "strong_wolfe", found by SciPy's line search, whose
            steps may differ from torch's.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn not in (None, "strong_wolfe"):
            raise InputError(f"LBFGS: there is no line search {line_search_fn!r}", "choose None or 'strong_wolfe'")
        super().__init__(
            params,
            {
                "lr": lr, "max_iter": max_iter, "max_eval": max_eval or max_iter * 5 // 4,
                "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )  # fmt: skip
        if len(self.param_groups) != 1:
            raise InputError("LBFGS takes all parameters in one group")

    def _flat_grad(self) -> Any:
        return np.concatenate(
            [
                np.zeros(p.numel(), p.dtype) if p.grad is None else np.ravel(np.asarray(p.grad.detach().value))
                for p in self._parameters()
            ]
        )

    def _flat(self) -> Any:
        return np.concatenate([np.ravel(np.asarray(p.detach().value)) for p in self._parameters()])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` steps; returns the loss before the first."""
        if closure is None:
            raise InputError(
                "LBFGS.step needs a closure", "pass a function that computes the loss, calls backward() and returns it"
            )
        h = self.param_groups[0]
        first = closure()
        loss, g = float(plain(first)), self._flat_grad()
        s = self.state.setdefault(self._parameters()[0], {"pairs": [], "count": 0, "scale": 1.0})
        evaluations = 1
        for _ in range(h["max_iter"]):
            if np.max(np.abs(g)) <= h["tolerance_grad"]:
                break
            s["count"] += 1
            if s["count"] == 1:
                d: Any = -g
            else:
                y, step = g - s["before"], s["d"] * s["t"]
                curvature = float(y @ step)
                if curvature > 1e-10:
                    s["pairs"] = [*s["pairs"], (step, y)][-h["history_size"] :]
                    s["scale"] = curvature / float(y @ y)
                d = direction(g, s["pairs"], s["scale"])
            s["before"], before = g, loss
            t = min(1.0, 1.0 / float(np.sum(np.abs(g)))) * h["lr"] if s["count"] == 1 else h["lr"]
            slope = float(g @ d)
            s["d"], s["t"] = d, t
            if slope > -h["tolerance_change"]:
                break
            if h["line_search_fn"] is not None:
                loss, g, t, used = self._searched(closure, loss, g, d, t)
                s["t"] = t
            else:
                vector_to_parameters(self._flat() + (t * d).astype(d.dtype), self._parameters())
                loss, g, used = float(plain(closure())), self._flat_grad(), 1
            evaluations += used
            if (
                evaluations >= h["max_eval"]
                or np.max(np.abs(g)) <= h["tolerance_grad"]
                or np.max(np.abs(d * t)) <= h["tolerance_change"]
                or abs(loss - before) < h["tolerance_change"]
            ):
                break
        return first

    def _searched(
        self, closure: Callable[[], Any], loss: float, g: Any, d: Any, t: float
    ) -> tuple[float, Any, float, int]:
        """A step that satisfies the strong Wolfe conditions, tried first at length t."""
        from scipy.optimize import line_search

        start, parameters = self._flat(), self._parameters()
        seen: dict[bytes, tuple[float, Any]] = {}

        def at(x: Any) -> tuple[float, Any]:
            key = x.tobytes()
            if key not in seen:
                vector_to_parameters(x, parameters)
                seen[key] = float(plain(closure())), self._flat_grad().astype(float)
            return seen[key]

        x0 = start.astype(float)
        found = line_search(
            lambda x: at(x)[0], lambda x: at(x)[1], x0, t * d.astype(float), g.astype(float), loss, maxiter=25
        )[0]
        length = t if found is None else t * float(found)
        value, gradient = at(x0 + length * d.astype(float))
        vector_to_parameters(start + (length * d).astype(d.dtype), parameters)
        return value, gradient.astype(g.dtype), length, len(seen)


def _no_rule(*_: Any) -> Any:
    raise InputError("LBFGS evaluates the loss several times a step", "call step(closure) in a loop of your own")


LBFGS.rule = staticmethod(_no_rule)
