"""A network as a picture: units and weights of a fully connected one, boxes for any other."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from ..nn import Linear, Module, Sequential, summary

MOST = 16  # units of a layer that are drawn one by one


def draw_network(model: Module, input: Any, path: str | Path | None = None) -> Any:
    """Draw a network with matplotlib: blue weights are positive, red ones negative, thick ones large.

    Args:
        model: any module.
        input: an example batch, or its shape.
        path: a .png, .svg or .pdf file to write.

    Returns:
        the matplotlib figure.
    """
    from matplotlib.figure import Figure

    layers = list(model) if isinstance(model, Sequential) else []
    dense = [m for m in layers if isinstance(m, Linear)]
    plain = dense and all(isinstance(m, Linear) or next(m.parameters(), None) is None for m in layers)
    figure = Figure(layout="constrained")
    ax = figure.subplots()
    ax.axis("off")
    if plain and all(a.out_features == b.in_features for a, b in itertools.pairwise(dense)):
        _units(ax, figure, layers)
    else:
        _boxes(ax, figure, model, input)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _places(n: int) -> tuple[list[int], Any]:
    """Which units of a layer are drawn, and how high."""
    shown = list(range(n)) if n <= MOST else [*range(MOST // 2), *range(n - MOST // 2, n)]
    y = np.linspace(0.5, -0.5, len(shown)) * (len(shown) - 1)
    if n > MOST:
        y[: MOST // 2] += 0.7
        y[MOST // 2 :] -= 0.7
    return shown, y


def _units(ax: Any, figure: Any, layers: list[Module]) -> None:
    dense = [m for m in layers if isinstance(m, Linear)]
    widths = [dense[0].in_features, *(m.out_features for m in dense)]
    columns = [_places(n) for n in widths]
    gap = 3.0
    for k, m in enumerate(dense):
        w = np.asarray(m.weight.detach().value)
        top = float(np.max(np.abs(w))) or 1.0
        for i, yi in zip(*columns[k], strict=True):
            for j, yj in zip(*columns[k + 1], strict=True):
                strength = abs(w[j, i]) / top
                color = "C0" if w[j, i] >= 0 else "C3"
                ax.plot(
                    [k * gap, (k + 1) * gap],
                    [yi, yj],
                    color=color,
                    lw=0.2 + 2 * strength,
                    alpha=0.15 + 0.6 * strength,
                    zorder=1,
                )
    after = [""] * len(widths)
    at = 0
    for m in layers:
        if isinstance(m, Linear):
            at += 1
        elif not after[at]:
            after[at] = type(m).__name__
    lowest = min(float(np.min(y)) for _, y in columns)
    for k, ((_, y), n) in enumerate(zip(columns, widths, strict=True)):
        ax.scatter([k * gap] * len(y), y, s=160, color="white", edgecolor="black", zorder=2)
        if n > MOST:
            ax.text(k * gap, 0, "⋮", ha="center", va="center", fontsize=18)
        name = "input" if k == 0 else after[k] or "linear"
        ax.text(k * gap, lowest - 0.9, f"{name}\n{n}", ha="center", va="top", fontsize=10)
    tallest = max(len(y) for _, y in columns)
    figure.set_size_inches(2 + 2.2 * len(widths), 1.8 + 0.38 * tallest)
    ax.margins(0.08, 0.12)


def _boxes(ax: Any, figure: Any, model: Module, input: Any) -> None:
    rows = summary(model, input).layers
    for k, r in enumerate(rows):
        label = r.kind if len(r.kind) < 60 else r.kind.split("(")[0]
        count = r.weights + r.biases
        shape = "" if r.shape is None else " → " + "×".join(map(str, r.shape[1:]))
        text = f"{r.name}: {label}{shape}" + (f"   {count:,} parameters" if count else "")
        ax.text(
            0.5, -k, text, ha="center", va="center", fontsize=10,
            bbox={"boxstyle": "round,pad=0.4", "facecolor": "#dbe9f6" if count else "#f3f3f3", "edgecolor": "#555555"},
        )  # fmt: skip
        if k:
            ax.annotate("", (0.5, -k + 0.3), (0.5, -k + 0.7), arrowprops={"arrowstyle": "->", "color": "#555555"})
    ax.set_xlim(0, 1)
    ax.set_ylim(-len(rows) + 0.4, 0.6)
    figure.set_size_inches(9, 0.55 * len(rows) + 0.5)
