"""Checkpoints: everything a training needs to go on as if it had never stopped.

A checkpoint is one safetensors file with all arrays, and `checkpoint.json` with all the rest, which names the file.
The JSON is replaced last, in one step: at every moment it names a complete file. Both carry checksums.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..nn.saving import packed, unpacked, write_atomically

NAME = "checkpoint.json"
LOCK = ".lock"
SEPARATOR = "|"
VERSION = 2


def _taken(tree: Any, prefix: str, arrays: dict[str, Any]) -> Any:
    """The tree with its arrays moved into `arrays`, and their names in their places."""
    if isinstance(tree, np.ndarray) or (isinstance(tree, np.generic) and tree.dtype.kind in "fiub"):
        arrays[prefix] = np.asarray(tree)
        return {"array": prefix, "scalar": isinstance(tree, np.generic)}
    if isinstance(tree, dict):
        return {"dict": [[k, _taken(v, f"{prefix}{SEPARATOR}{k}", arrays)] for k, v in tree.items()]}
    if isinstance(tree, (list, tuple)):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [_taken(v, f"{prefix}{SEPARATOR}{k}", arrays) for k, v in enumerate(tree)]}
    return {"value": tree}


def _put_back(tree: Any, arrays: dict[str, Any]) -> Any:
    (kind, content), *more = tree.items()
    if kind == "array":
        return arrays[content][()] if dict(more).get("scalar") else arrays[content]
    if kind == "dict":
        return {k: _put_back(v, arrays) for k, v in content}
    if kind in ("list", "tuple"):
        items = [_put_back(v, arrays) for v in content]
        return items if kind == "list" else tuple(items)
    return content


def _digest(x: Any) -> str:
    data = x if isinstance(x, bytes) else json.dumps(x, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def write_checkpoint(directory: str | Path, tree: Any) -> Path:
    """Save a tree of arrays, numbers and strings; afterwards older checkpoints of the directory are removed.

    Args:
        directory: it is made where it is missing.
        tree: dicts, lists and tuples of arrays, numbers, strings, truth values and None.

    Raises:
        InputError: it cannot be written (the disk is full, the folder is read-only); the checkpoint before is kept.
    """
    directory = Path(directory)
    arrays: dict[str, Any] = {}
    described = _taken(tree, "", arrays)
    data = packed(arrays)
    digest = _digest(data)
    file = directory / f"checkpoint-{digest[:16]}.safetensors"
    record = {"version": VERSION, "file": file.name, "sha256": digest, "tree": described}
    text = json.dumps({**record, "checksum": _digest(record)})
    write_atomically(file, data)
    write_atomically(directory / NAME, text.encode())
    with contextlib.suppress(OSError):  # what is left over is no harm
        for old in directory.glob("checkpoint-*.safetensors"):
            if old != file:
                old.unlink(missing_ok=True)
        for left in directory.glob(".checkpoint*"):  # of a process that was killed while writing
            left.unlink(missing_ok=True)
    return file


def read_checkpoint(directory: str | Path) -> Any | None:
    """The tree that was saved last, or None if there is none.

    Raises:
        InputError: the files are damaged, or were written by another version.
    """
    path = Path(directory) / NAME
    if not path.is_file():
        return None
    fix = "restore the files, or train anew in another directory"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or not isinstance(record.get("version"), int):
            raise InputError(f"{path} is not a checkpoint", fix, where="")
        if record["version"] != VERSION:
            raise InputError(
                f"{path} is a checkpoint of version {record['version']}; this chainrule reads version {VERSION}",
                "go on with the chainrule that wrote it, or train anew in another directory",
                where="",
            )
        if record.pop("checksum", None) != _digest(record):
            raise InputError(f"{path} is damaged: its checksum differs from its content", fix, where="")
        file = path.parent / record["file"]
        if _digest(file.read_bytes()) != record["sha256"]:
            raise InputError(f"{file} is damaged: its checksum differs from the one in {path}", fix, where="")
        return _put_back(record["tree"], unpacked(file))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the checkpoint in {directory} cannot be read: {type(error).__name__}: {error}", fix, where=""
        ) from None


@contextlib.contextmanager
def locked(directory: str | Path) -> Generator[None]:
    """A run directory that no other training writes to meanwhile. The system takes the lock away from a process that dies.

    Raises:
        InputError: another training is at work there, or the directory cannot be made.
    """
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = open(directory / LOCK, "a+b")  # noqa: SIM115  (closed below, which gives the lock back)
    except OSError as error:
        raise InputError(
            f"{directory} cannot be used for checkpoints: {error.strerror or error}",
            "name a directory that can be written to",
            where="",
        ) from None
    with file:
        if not _taken_by_us(file):
            raise InputError(
                f"another training is writing to {directory}", "wait for it, or choose another directory", where=""
            )
        yield


def _taken_by_us(file: Any) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
