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
    seed: Annotated[int, Maybe("--seed", help="Where the random numbers begin.")] = 0,
    patience: Annotated[
        int | None, Maybe("--patience", min=1, help="Stop after so many epochs that are no better.")
    ] = None,
    plot: Annotated[Path | None, Maybe("--plot", help="Draw the loss: .png, .svg or .pdf.")] = None,
    save: Annotated[Path | None, Maybe("--save", help="A directory for checkpoints.")] = None,
    resume: Annotated[
        Path | None, Maybe("--resume", metavar="RUN/", help="Go on with an interrupted training.")
    ] = None,
) -> None:
    """Train a network, with a progress bar; what was interrupted goes on as if it had not been."""
    from . import training

    if resume is not None:
        if target is not None or save is not None:
            raise InputError("--resume goes on with the training as it was begun", "give the directory only", where="")
        settings = training.read_settings(resume)
        if epochs is not None:
            settings["epochs"] = epochs
    elif target is None:
        raise InputError("what is to be trained?", f"give one of {training.names()}, or FILE.py:MODEL", where="")
    else:
        settings = {
            "target": str(Path(target.partition(".py:")[0] + ".py").resolve()) + ":" + target.partition(".py:")[2]
            if ".py" in target
            else target,
            "seed": seed, "epochs": epochs, "batch_size": batch_size, "lr": lr, "loss": loss, "optimizer": optimizer,
            "data": None if data is None else str(data.resolve()), "column": column,
            "validate": None if validate is None else str(validate.resolve()),
        }  # fmt: skip
    _, history = training.run(settings, resume or save, resume is not None, patience)
    console = _console()
    console.print(str(history))
    if console.is_terminal:
        console.print(history.terminal(min(console.width - 12, 90)), highlight=False, markup=False)
    if plot is not None:
        history.plot(plot)
        console.print(f"wrote {plot}")
    if resume or save:
        console.print(f"saved in {resume or save}")


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
