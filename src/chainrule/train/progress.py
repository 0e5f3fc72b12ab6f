"""The progress bar of a training: loss, metric, rate and remaining time. Quiet when piped."""

from __future__ import annotations

import sys
from typing import Any


class Bar:
    """Shows progress on the terminal, or nothing.

    Args:
        shown: whether to show; by default if the error stream is a terminal.
    """

    def __init__(self, epochs: int, steps: int, start: int, shown: bool | None) -> None:
        self.bar: Any = None
        self.steps = steps
        if sys.stderr.isatty() if shown is None else shown:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(compact=True),
                console=Console(stderr=True),
                refresh_per_second=5,
            )
            self.task = self.bar.add_task("", total=epochs * steps, completed=start, epoch=1, epochs=epochs, text="")

    def __enter__(self) -> Bar:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, epoch: int, step: int, loss: float, metric: float | None, lr: float) -> None:
        """Show where the training stands."""
        if self.bar is not None:
            text = f"loss {loss:.4g}" + ("" if metric is None else f"  metric {metric:.4g}") + f"  lr {lr:.3g}"
            self.bar.update(self.task, completed=(epoch - 1) * self.steps + step, epoch=epoch, text=text)
