"""What can be said of a network: its sizes, what collapses, which units are twins, where gradients vanish."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..diff.transforms import value_and_grad
from ..errors import InputError
from ..ir.node import NO_PARAMS, Node, reachable
from ..ir.op import variable
from ..ir.recording import Handle, setting, state
from ..trace.array import Array
from .layers import Linear, Sequential
from .module import Module
from .observing import Call, watched
from .substitution import arrays_of, functional_call


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(r[k]) for r in (heads, *rows)) for k in range(len(heads))]
    return [
        "  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(r, widths, strict=True)))
        for r in (heads, *rows)
    ]


# ---- sizes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerSize:
    """One layer: its name and kind, the shape it gives, its parameters (weights and biases apart) and operations."""

    name: str
    kind: str
    shape: tuple[int, ...] | None
    weights: int
    biases: int
    operations: int | None


class Summary:
    """Counts of parameters and operations, layer by layer. `str` shows them as a table.

    Attributes:
        layers: a `LayerSize` for each.
        notes: what is worth knowing, such as linear layers that could be one.
    """

    def __init__(self, layers: list[LayerSize], notes: list[str]) -> None:
        self.layers, self.notes = layers, notes

    @property
    def weights(self) -> int:
        """Parameters without biases."""
        return sum(r.weights for r in self.layers)

    @property
    def parameters(self) -> int:
        """Parameters with biases."""
        return self.weights + sum(r.biases for r in self.layers)

    @property
    def operations(self) -> int | None:
        """Arithmetic operations of one forward pass, where an input was given."""
        found = [r.operations for r in self.layers if r.operations is not None]
        return sum(found) if found else None

    def __str__(self) -> str:
        rows = [
            (
                f"{r.name}: {r.kind}" if r.name else r.kind,
                "" if r.shape is None else "×".join(map(str, r.shape)),
                f"{r.weights:,}" if r.weights else "",
                f"{r.biases:,}" if r.biases else "",
                "" if r.operations is None else f"{r.operations:,}",
            )
            for r in self.layers
        ]
        total = ("total", "", f"{self.weights:,}", f"{self.parameters - self.weights:,}", "")
        if self.operations is not None:
            total = (*total[:4], f"{self.operations:,}")
        lines = _table(("layer", "output", "weights", "biases", "operations"), [*rows, total])
        lines.append(f"{self.weights:,} parameters without biases, {self.parameters:,} with them")
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__


def summary(model: Module | Sequence[int], input: Any = None) -> Summary:
    """Parameters and operations of a network.

    Args:
        model: a module; or the widths of a fully connected network, such as [8, 10, 10, 3].
        input: an example batch, or its shape (batch, ...), to know shapes and operations.

    >>> s = summary([8, 10, 10, 3])
    >>> s.weights, s.parameters
    (210, 233)
    """
    if not isinstance(model, Module):
        widths = list(model)
        if len(widths) < 2 or any(not isinstance(n, (int, np.integer)) or n < 1 for n in widths):
            raise InputError(f"the widths of a network are at least two positive integers; got {widths}")
        model = Sequential(*(Linear(a, b) for a, b in itertools.pairwise(widths)))
        input = (1, widths[0]) if input is None else input
        return _summary(model, input, [])
    return _summary(model, input, _collapsible(model))


def _summary(model: Module, input: Any, notes: list[str]) -> Summary:
    calls: dict[int, list[Call]] = {}
    counted: dict[int, int] = {}
    if input is not None:
        x = np.zeros(input, np.float32) if isinstance(input, tuple) else np.asarray(input)
        for call in _forward_calls(model, x):
            calls.setdefault(id(call.module), []).append(call)
        counted = {k: sum(_work(c) for c in found) for k, found in calls.items()}
    layers: list[LayerSize] = []
    for name, m in model.named_modules():
        own = list(m.named_parameters(recurse=False))
        if next(m.children(), None) is not None and not own:
            continue
        biases = sum(p.numel() for k, p in own if "bias" in k)
        made = calls[id(m)][-1].made if id(m) in calls else None
        layers.append(
            LayerSize(
                name,
                f"{type(m).__name__}({m.extra_repr()})",
                None if made is None else np.shape(made[0] if isinstance(made, tuple) else made),
                sum(p.numel() for _, p in own) - biases,
                biases,
                counted.get(id(m)),
            )
        )
    return Summary(layers, notes)


def _forward_calls(model: Module, x: Any) -> list[Call]:
    """The calls of one traced forward pass in evaluation mode."""
    before = model.training
    model.eval()
    try:
        with watched(model) as calls, setting(depth=state.depth + 1, recording=True):
            values = {k: Array(Node(variable, (), NO_PARAMS, v)) for part in arrays_of(model) for k, v in part.items()}
            functional_call(model, values, (Array(Node(variable, (), NO_PARAMS, x)),))
    finally:
        model.train(before)
    return calls


def _work(call: Call) -> int:
    """The operations of one call, those of modules inside included."""
    outputs = call.made if isinstance(call.made, tuple) else (call.made,)
    nodes = reachable([o.node for o in outputs if isinstance(o, Handle)], call.first)
    return sum(n.operations for n in nodes if n.order < call.last)


def _linear_pairs(model: Module) -> list[tuple[Sequential, int]]:
    return [
        (m, k)
        for m in model.modules()
        if isinstance(m, Sequential)
        for k in range(len(m) - 1)
        if type(m[k]) is Linear and type(m[k + 1]) is Linear
    ]


def _collapsible(model: Module) -> list[str]:
    notes: list[str] = []
    for m, k in _linear_pairs(model):
        a, b = m[k], m[k + 1]
        one = a.in_features * b.out_features + (b.out_features if a.bias is not None or b.bias is not None else 0)
        notes.append(
            f"layers {k} and {k + 1} are linear with nothing between them: together they express no more than one "
            f"Linear({a.in_features}, {b.out_features}) with {one:,} parameters instead of {a.count() + b.count():,}"
            + (f", of rank at most {a.out_features}" if a.out_features < min(a.in_features, b.out_features) else "")
            + "; nn.collapse makes them one"
        )
    return notes


def collapse(model: Sequential) -> Sequential:
    """The same function with neighbouring linear layers made one: W = W2 W1, b = W2 b1 + b2.

    >>> from chainrule.torch import nn
    >>> len(collapse(nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 3), nn.ReLU())))
    2
    """
    layers: list[Module] = []
    for m in model:
        before = layers[-1] if layers else None
        if type(m) is Linear and type(before) is Linear:
            layers[-1] = _product(before, m)
        else:
            layers.append(m)
    return Sequential(*layers)


def _product(first: Linear, second: Linear) -> Linear:
    w1, w2 = (np.asarray(m.weight.detach().value, float) for m in (first, second))
    b1, b2 = (0.0 if m.bias is None else np.asarray(m.bias.detach().value, float) for m in (first, second))
    has_bias = first.bias is not None or second.bias is not None
    made = Linear(first.in_features, second.out_features, has_bias)
    made.weight.data = (w2 @ w1).astype(first.weight.dtype)
    if has_bias:
        made.bias.data = np.broadcast_to(w2 @ np.broadcast_to(b1, w2.shape[1:]) + b2, w2.shape[:1]).astype(
            first.weight.dtype
        )
    return made


# ---- symmetry ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerSymmetry:
    """One weight matrix: groups of units that are equal and stay so, and how many gradients are exactly zero."""

    name: str
    units: int
    groups: list[list[int]]
    zero: int
    total: int


class Symmetry:
    """Which hidden units are copies of each other, and which gradients are exactly zero. `str` says it in words."""

    def __init__(self, layers: list[LayerSymmetry], steps: int) -> None:
        self.layers, self.steps = layers, steps

    @property
    def broken(self) -> bool:
        """Whether all units differ and some gradient of every layer is not zero."""
        return all(not layer.groups and layer.zero < layer.total for layer in self.layers)

    def __str__(self) -> str:
        lines: list[str] = []
        for layer in self.layers:
            if layer.groups:
                shown = "; ".join(_units(g) for g in layer.groups[:5])
                lines.append(
                    f"{layer.name}: {sum(map(len, layer.groups))} of {layer.units} units are copies ({shown}): same weights, same "
                    f"gradients, still equal after {self.steps} steps of gradient descent"
                )
            else:
                lines.append(f"{layer.name}: all {layer.units} units differ")
            if layer.zero == layer.total:
                lines.append(
                    f"  every gradient ({layer.total}) is exactly zero: this layer does not learn at this point"
                )
            elif layer.zero:
                lines.append(f"  {layer.zero} of {layer.total} gradients are exactly zero")
            else:
                lines.append(f"  none of the {layer.total} gradients is zero")
        return "\n".join(lines)

    __repr__ = __str__


def _units(group: list[int]) -> str:
    if len(group) > 2 and group == list(range(group[0], group[-1] + 1)):
        return f"{group[0]} to {group[-1]}"
    return ", ".join(map(str, group))


def symmetry(model: Module, loss: Callable[..., Any], x: Any, y: Any, steps: int = 3, lr: float = 0.1) -> Symmetry:
    """Which units stay identical, on a network and data as they are (zero or equal initial values make all alike).

    A group is reported when its units have the same weights in and out, and are still equal bit by bit after `steps` steps of
    gradient descent on (x, y).

    Args:
        model: the network; it is left as it is.
        loss: a function of (output, target) that gives a scalar.
        x: inputs (batch, ...).
        y: targets, as the loss takes them.
        steps: how many steps are tried.
        lr: their learning rate.
    """
    params, rest = arrays_of(model)
    objective = value_and_grad(lambda p: loss(functional_call(model, {**p, **rest}, (x,)), y))
    _, grads = objective(params)
    moved = params
    for _ in range(steps):
        _, g = objective(moved)
        moved = {k: p - lr * g[k] for k, p in moved.items()}
    weights = [k for k, p in params.items() if p.ndim >= 2]
    layers: list[LayerSymmetry] = []
    for n, name in enumerate(weights):
        bias = name.removesuffix("weight") + "bias"
        following = weights[n + 1] if n + 1 < len(weights) else None
        groups = []
        if following is not None:
            keys = [_rows(values, name, bias, following) for values in (params, moved)]
            groups = _equal(list(zip(*keys, strict=True)))
        mine = [grads[k] for k in (name, bias) if k in grads]
        zero = sum(int(np.sum(g == 0)) for g in mine)
        layers.append(
            LayerSymmetry(name.removesuffix(".weight"), params[name].shape[0], groups, zero, sum(g.size for g in mine))
        )
    return Symmetry(layers, steps)


def _rows(values: dict[str, Any], name: str, bias: str, following: str) -> list[bytes]:
    """What makes each unit of a layer: its weights in, its bias, and its weights out where they can be told."""
    w, out = values[name], values[following]
    units = w.shape[0]
    columns = out.shape[1] if out.ndim >= 2 else 0
    result: list[bytes] = []
    for k in range(units):
        parts = [w[k].tobytes()]
        if bias in values:
            parts.append(values[bias][k].tobytes())
        if columns and columns % units == 0:  # a flattened image gives every channel several columns
            share = columns // units
            parts.append(np.ascontiguousarray(out[:, k * share : (k + 1) * share]).tobytes())
        result.append(b"|".join(parts))
    return result


def _equal(keys: Sequence[Any]) -> list[list[int]]:
    found: dict[Any, list[int]] = {}
    for k, key in enumerate(keys):
        found.setdefault(key, []).append(k)
    return [g for g in found.values() if len(g) > 1]


# ---- flow --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerFlow:
    """One layer on given data: dead units (output the same zero for every example), size of output and of gradients."""

    name: str
    kind: str
    units: int
    dead: list[int]
    output: float
    gradient: float


class Flow:
    """How values and gradients run through a network, layer by layer. `str` shows a table, `plot` draws it."""

    def __init__(self, layers: list[LayerFlow], loss: float) -> None:
        self.layers, self.loss = layers, loss

    @property
    def vanishing(self) -> list[str]:
        """Layers whose gradient is less than a thousandth of the largest."""
        top = max((r.gradient for r in self.layers if math.isfinite(r.gradient)), default=0.0)
        return [r.name for r in self.layers if r.gradient < 1e-3 * top or r.gradient == 0]

    def __str__(self) -> str:
        rows = [
            (
                f"{r.name}: {r.kind}",
                f"{r.output:.3g}",
                f"{r.gradient:.3g}" if math.isfinite(r.gradient) else "",
                f"{len(r.dead)} of {r.units}" if r.units else "",
            )
            for r in self.layers
        ]
        lines = _table(("layer", "output (rms)", "gradient (norm)", "dead units"), rows)
        lines.append(f"loss {self.loss:.6g}")
        if self.vanishing:
            lines.append(f"vanishing gradients: {', '.join(self.vanishing)} (less than a thousandth of the largest)")
        dead = [f"{r.name} ({_units(r.dead)})" for r in self.layers if r.dead]
        if dead:
            lines.append(f"dead units, zero for every example given: {'; '.join(dead)}")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, path: Any = None) -> Any:
        """Bars of the gradient's norm and of the dead units by layer, drawn by matplotlib."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 1.2 + 0.35 * len(self.layers)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        names = [r.name for r in self.layers]
        shown = [r.gradient if math.isfinite(r.gradient) else 0.0 for r in self.layers]
        left.barh(names, shown, color=["C3" if n in self.vanishing else "C0" for n in names])
        if min((v for v in shown if v > 0), default=1) < 1e-2 * max(shown, default=1):
            left.set_xscale("log")
        left.set_xlabel("norm of the gradient of its parameters")
        right.barh(names, [100 * len(r.dead) / max(r.units, 1) for r in self.layers], color="C1")
        right.set_xlabel("dead units (%)")
        right.set_xlim(0, 100)
        left.invert_yaxis()
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure


def flow(model: Module, loss: Callable[..., Any], x: Any, y: Any) -> Flow:
    """Dead units and gradient norms of every layer on data (x, y), in evaluation mode.

    Args:
        model: the network; it is left as it is.
        loss: a function of (output, target) that gives a scalar.
        x: inputs (batch, ...).
        y: targets, as the loss takes them.
    """
    before = model.training
    model.eval()
    params, rest = arrays_of(model)
    try:
        with watched(model) as calls:
            value, grads = value_and_grad(
                lambda p: loss(functional_call(model, {**p, **rest}, (np.asarray(x),)), np.asarray(y))
            )(params)
    finally:
        model.train(before)
    layers: list[LayerFlow] = []
    for call in calls:
        if next(call.module.children(), None) is not None or isinstance(call.made, tuple):
            continue
        out = call.made
        while isinstance(out, Handle):
            out = out.node.value
        out = np.asarray(out)
        axes = tuple(k for k in range(out.ndim) if k != 1) if out.ndim > 1 else ()
        dead = np.flatnonzero(np.all(out == 0, axis=axes)).tolist() if out.ndim > 1 and out.dtype.kind == "f" else []
        mine = [grads[k] for k, _ in call.module.named_parameters(call.name, recurse=False) if k in grads]
        norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=float))) for g in mine)) if mine else math.nan
        layers.append(
            LayerFlow(
                call.name,
                type(call.module).__name__,
                out.shape[1] if out.ndim > 1 else 0,
                dead,
                float(np.sqrt(np.mean(np.square(out, dtype=float)))),
                norm,
            )
        )
    return Flow(layers, float(value))
