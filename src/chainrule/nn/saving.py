"""Weights in files: safetensors, under torch's names. Nothing is pickled."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..tensors.creation import tensor
from ..tensors.tensor import Tensor
from ..trace.handles import plain
from .module import Module


def write_atomically(path: str | Path, data: bytes) -> None:
    """Put `data` at `path`: afterwards the file is as before or complete, whatever happens on the way.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    path = Path(path)
    try:
        _written(path, data)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}",
            "make room, or name a place that can be written to; what was there before is kept",
            where="",
        ) from error


def _written(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def packed(arrays: Mapping[str, Any]) -> bytes:
    """Arrays by name as the bytes of a safetensors file."""
    from safetensors.numpy import save as to_bytes

    return to_bytes({k: np.asarray(plain(v), order="C") for k, v in arrays.items()})


def unpacked(path: str | Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of a safetensors file by name."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        return dict(from_bytes(Path(path).read_bytes()))
    except SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file, or is damaged: {error}", where="") from None


def save(model: Module | Mapping[str, Any], path: str | Path) -> None:
    """Write the parameters and buffers of a module, or a state dict, as safetensors; torch reads them under the same names.

    Args:
        model: the module, or what its `state_dict()` gives.
        path: the file. It is replaced in one step: at every moment it is either the old or the new one.

    Raises:
        InputError: something holds no numbers, or the file cannot be written.

    >>> import chainrule as cr, tempfile, pathlib
    >>> net = cr.torch.nn.Linear(2, 1)
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "net.safetensors"
    >>> cr.save(net, file)
    >>> sorted(cr.load(file))
    ['bias', 'weight']
    """
    state = model.state_dict() if isinstance(model, Module) else model
    wrong = [k for k, v in state.items() if np.asarray(plain(v)).dtype.kind not in "fiub"]
    if wrong:
        raise InputError(f"{wrong[0]} holds no numbers", "save arrays and tensors only")
    write_atomically(path, packed(state))


def load(path: str | Path, model: Module | None = None) -> dict[str, Tensor]:
    """Read a state dict, and put it into a module where one is given. Files that torch's users saved are read alike.

    Args:
        path: a safetensors file.
        model: the module that takes the values, whose names and shapes must be those of the file.

    Raises:
        InputError: the file is damaged, or names other parameters than the module has; the module is then unchanged.
    """
    state = {k: tensor(v) for k, v in unpacked(path).items()}
    if model is not None:
        model.load_state_dict(state)
    return state
