"""The commands train, predict and inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..errors import InputError
from .app import _clean, _console, _write, app

Run = Annotated[Path, typer.Argument(metavar="RUN/", help="The directory that [cyan]train --save[/] wrote.")]
Maybe = typer.Option


@app.command(epilog="Example: [cyan]chainrule train digits --epochs 20 --plot loss.png --save run/[/]")
@_clean
def train(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE.py:MODEL]",
            help="xor, figure7.8, figure7.8-binary, digits, digits-cnn, moons; or a module in a file.",
        ),
    ] = None,
    data: Annotated[Path | None, Maybe("--data", help="Examples for FILE.py:MODEL: .csv, .npy or .npz.")] = None,
    column: Annotated[
        str | None, Maybe("--column", help="The column to predict (name or number); the last one.")
    ] = None,
    validate: Annotated[Path | None, Maybe("--validate", help="Held-out examples.")] = None,
    loss: Annotated[str | None, Maybe("--loss", help="mse, l1, huber, bce or cross-entropy.")] = None,
    optimizer: Annotated[str | None, Maybe("--optimizer", help="sgd, adam, adamw, rmsprop or adagrad.")] = None,
    lr: Annotated[float | None, Maybe("--lr", help="Learning rate.")] = None,
    epochs: Annotated[int | None, Maybe("--epochs", min=1, help="How often to go through the data.")] = None,
    batch_size: Annotated[int | None, Maybe("--batch-size", min=1, help="Examples in a step.")] = None,
    seed: Annotated[int | None, Maybe("--seed", help="Where the random numbers begin; 0.")] = None,
    patience: Annotated[
        int | None, Maybe("--patience", min=1, help="Stop after so many epochs that are no better.")
    ] = None,
    plot: Annotated[Path | None, Maybe("--plot", help="Draw the loss: .png, .svg or .pdf.")] = None,
    save: Annotated[Path | None, Maybe("--save", help="A directory for checkpoints.")] = None,
    resume: Annotated[
        Path | None, Maybe("--resume", metavar="RUN/", help="Go on with an interrupted training.")
    ] = None,
    changed: Annotated[
        bool, Maybe("--resume-changed", help="With --resume: go on although the data or settings are others.")
    ] = False,
) -> None:
    """Train a network, with a progress bar; what was interrupted goes on as if it had not been."""
    from . import training

    if plot is not None:
        _check_plot(plot)
    options = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "loss": loss, "optimizer": optimizer, "column": column,
        "data": None if data is None else str(data.resolve()),
        "validate": None if validate is None else str(validate.resolve()),
    }  # fmt: skip
    given = {k: v for k, v in options.items() if v is not None}
    if changed and resume is None:
        raise InputError("--resume-changed is for --resume", "give the directory: --resume RUN/", where="")
    if resume is not None:
        if target is not None or save is not None or seed is not None or (given.keys() - {"epochs"} and not changed):
            raise InputError(
                "--resume goes on with the training as it was begun",
                "give the directory, and --epochs for more; with --resume-changed, other data or settings too",
                where="",
            )
        settings = {**training.read_settings(resume), **given}
    elif target is None:
        raise InputError("what is to be trained?", f"give one of {training.names()}, or FILE.py:MODEL", where="")
    else:
        settings = {
            "target": str(Path(target.partition(".py:")[0] + ".py").resolve()) + ":" + target.partition(".py:")[2]
            if ".py" in target
            else target,
            "seed": seed or 0, **options,
        }  # fmt: skip
    going_on: Any = "changed" if changed else resume is not None
    _, history = training.run(settings, resume or save, going_on, patience)
    console = _console()
    console.print(str(history))
    if console.is_terminal:
        console.print(history.terminal(min(console.width - 12, 90)), highlight=False, markup=False)
    if plot is not None:
        history.plot(plot)
        console.print(f"wrote {plot}")
    if resume or save:
        console.print(f"saved in {resume or save}")


def _check_plot(path: Path) -> None:
    """Refuse a picture that could not be written, before the training."""
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"cannot draw to {path}", "name a .png, .svg or .pdf file", where="")
    if not path.parent.is_dir():
        raise InputError(f"there is no directory {path.parent} for {path.name}", where="")


@app.command(epilog="Example: [cyan]chainrule predict run/ data.csv -o predictions.csv[/]")
@_clean
def predict(
    run: Run,
    data: Annotated[Path, typer.Argument(help="Inputs without targets: .csv, .npy or .npz.")],
    output: Annotated[Path | None, Maybe("-o", "--output", help="Write to this file instead.")] = None,
) -> None:
    """Apply a trained network: one line for each example, the class or the values."""
    from ..nn import CrossEntropyLoss
    from ..train import predict as predicted
    from . import training

    made, _ = training.trained(run)
    inputs = training.read_data(data, None).arrays[0]
    shape = made.data.arrays[0].shape[1:]
    if inputs.shape[1:] != shape and int(np.prod(inputs.shape[1:])) == int(np.prod(shape)):
        inputs = inputs.reshape(-1, *shape)
    if inputs.shape[1:] != shape:
        raise InputError(f"{data} has inputs of shape {inputs.shape[1:]}; the network takes {shape}", where="")
    out = np.asarray(predicted(made.model, inputs))
    rows: Any = (
        np.argmax(out, axis=1)[:, None] if isinstance(made.loss, CrossEntropyLoss) else out.reshape(len(out), -1)
    )
    lines = [",".join(f"{v:.6g}" if out.dtype.kind == "f" else str(v) for v in row) for row in rows]
    _write("\n".join(lines), output)


@app.command(epilog="Example: [cyan]chainrule inspect run/[/]")
@_clean
def inspect(run: Run) -> None:
    """Show a trained network: its layers and counts, dead units, gradient norms, and pictures beside its checkpoints."""
    from ..nn import flow, summary
    from ..showing.network import draw_network
    from . import training

    made, history = training.trained(run)
    x, y = (a[:256] for a in (made.data.arrays[0], made.data.arrays[-1]))
    console = _console()
    console.print(str(history))
    console.print(str(summary(made.model, (1, *x.shape[1:]))), markup=False)
    found = flow(made.model, made.loss, x, y)
    console.print(f"\non {len(x)} training examples:\n{found}", markup=False)
    draw_network(made.model, (1, *x.shape[1:]), run / "network.png")
    found.plot(run / "flow.png")
    history.plot(run / "loss.png")
    console.print(f"\nwrote {run / 'network.png'}, {run / 'flow.png'}, {run / 'loss.png'}")
