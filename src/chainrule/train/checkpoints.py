"""Checkpoints: everything a training needs to go on as if it had never stopped.

A checkpoint is one safetensors file with all arrays, and `checkpoint.json` with all the rest, which names the file.
The JSON is replaced last, in one step: at every moment it names a complete file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..nn.saving import packed, unpacked, write_atomically

NAME = "checkpoint.json"
SEPARATOR = "|"


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


def write_checkpoint(directory: str | Path, tree: Any) -> Path:
    """Save a tree of arrays, numbers and strings; afterwards older checkpoints of the directory are removed."""
    directory = Path(directory)
    arrays: dict[str, Any] = {}
    described = _taken(tree, "", arrays)
    data = packed(arrays)
    digest = hashlib.sha256(data).hexdigest()
    file = directory / f"checkpoint-{digest[:16]}.safetensors"
    write_atomically(file, data)
    text = json.dumps({"version": 1, "file": file.name, "sha256": digest, "tree": described})
    write_atomically(directory / NAME, text.encode())
    for old in directory.glob("checkpoint-*.safetensors"):
        if old != file:
            old.unlink(missing_ok=True)
    for left in directory.glob(".checkpoint*"):  # of a process that was killed while writing
        left.unlink(missing_ok=True)
    return file


def read_checkpoint(directory: str | Path) -> Any | None:
    """The tree that was saved last, or None if there is none.

    Raises:
        InputError: the files are damaged.
    """
    path = Path(directory) / NAME
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        file = path.parent / record["file"]
        if hashlib.sha256(file.read_bytes()).hexdigest() != record["sha256"]:
            raise InputError(f"{file} is damaged: its checksum differs from the one in {path}", where="")
        return _put_back(record["tree"], unpacked(file))
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the checkpoint in {directory} cannot be read: {type(error).__name__}: {error}",
            "restore the files, or train anew in another directory",
            where="",
        ) from None
