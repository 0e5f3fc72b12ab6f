"""What happened in a training, epoch by epoch, and its picture."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError


@dataclass
class History:
    """Lists with one entry for each epoch.

    Attributes:
        loss: the training loss, averaged over the examples.
        metric: the metric while training, averaged over the examples.
        validation_loss, validation_metric: on the validation data, after the epoch.
        lr: the learning rate of the first group.
        seconds: how long the epoch took.
        best_epoch: the epoch that was best on the watched loss, counted from 1.
        stopped: why the training ended early, or empty.
        notes: why steps ran uncompiled.
    """

    loss: list[float] = field(default_factory=list)
    metric: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_metric: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = ""
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.loss)

    def as_dict(self) -> dict[str, Any]:
        """As a tree of numbers and strings, for JSON."""
        return asdict(self)

    def plot(self, path: str | Path | None = None) -> Any:
        """The loss by epoch (and the metric), drawn by matplotlib; written to `path` (.png, .svg, .pdf) where given."""
        if not self.loss:
            raise InputError("there is nothing to draw: no epoch is complete", where="")
        from matplotlib.figure import Figure

        with_metric = bool(self.metric or self.validation_metric)
        figure = Figure(figsize=(9 if with_metric else 6, 4), layout="constrained")
        axes = figure.subplots(1, 2 if with_metric else 1, squeeze=False)[0]
        pairs = [("loss", self.loss, self.validation_loss)]
        pairs += [("metric", self.metric, self.validation_metric)] if with_metric else []
        for ax, (name, training, validation) in zip(axes, pairs, strict=True):
            for values, label in ((training, "training"), (validation, "validation")):
                if values:
                    ax.plot(range(1, len(values) + 1), values, label=label, marker="." if len(values) < 30 else None)
            ax.set_xlabel("epoch")
            ax.set_ylabel(name)
            ax.grid(alpha=0.3)
            if training and validation:
                ax.legend()
        if min(self.loss) > 0 and max(self.loss) / min(self.loss) > 50:
            axes[0].set_yscale("log")
        if path is not None:
            try:
                figure.savefig(path, dpi=150)
            except ValueError as error:
                raise InputError(
                    f"cannot draw to {path}: {error}", "name a .png, .svg or .pdf file", where=""
                ) from None
        return figure

    def terminal(self, width: int = 72, height: int = 14) -> str:
        """The loss by epoch as text.

        Args:
            width: in characters.
            height: in lines.
        """
        from uniplot import plot_to_string

        curves = [(self.loss, "training"), (self.validation_loss, "validation")]
        shown = [(v, label) for v, label in curves if v and all(map(math.isfinite, v))]
        if not shown:
            return ""
        values = [v for curve, _ in shown for v in curve]
        return plot_to_string(
            xs=[list(range(1, len(v) + 1)) for v, _ in shown],
            ys=[v for v, _ in shown],
            legend_labels=[label for _, label in shown],
            title="loss by epoch",
            lines=True,
            color=False,
            y_as_log=min(values) > 0 and max(values) > 50 * min(values),
            width=width,
            height=height,
        )

    def __str__(self) -> str:
        if not self.loss:
            return "no epoch is complete"
        parts = [f"{len(self.loss)} epochs", f"loss {self.loss[0]:.4g} to {self.loss[-1]:.4g}"]
        if self.metric:
            parts.append(f"metric {self.metric[-1]:.4g}")
        if self.validation_loss:
            parts.append(f"validation loss {self.validation_loss[-1]:.4g}")
        if self.validation_metric:
            parts.append(f"validation metric {self.validation_metric[-1]:.4g}")
        if self.stopped:
            parts.append(self.stopped)
        if self.notes:
            parts.append(f"steps ran uncompiled: {'; '.join(self.notes)}")
        return ", ".join(parts)

    __repr__ = __str__
