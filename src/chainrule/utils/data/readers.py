"""Readers of files: CSV, NumPy's `.npy` and `.npz`, and IDX (the format of MNIST). What they read is validated."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import InputError
from .datasets import TensorDataset


def read_csv(
    path: str | Path, target: str | int | None = None, delimiter: str = ",", dtype: Any = np.float32
) -> TensorDataset:
    """Numbers from a CSV file, the first line being names if it is not all numbers.

    Args:
        path: the file.
        target: the column to predict, by name or position; the data set then gives pairs (features, target). Targets that
            are all integers are int64, for classification.
        delimiter: what stands between entries.
        dtype: of the features.

    Raises:
        InputError: an entry that is no finite number, or a row of another length, named by line and column.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter)
            lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8: {error}", where="") from None
    if not lines:
        raise InputError(f"{path} is empty", where="")
    names: list[str] | None = None
    if not all(_is_number(c) for c in lines[0][1]):
        names = [c.strip() for c in lines[0][1]]
        lines = lines[1:]
    if not lines:
        raise InputError(f"{path} has names but no rows", where="")
    width = len(names or lines[0][1])
    columns = names or [str(k + 1) for k in range(width)]
    values = np.empty((len(lines), width))
    for k, (number, row) in enumerate(lines):
        if len(row) != width:
            raise InputError(f"{path}, line {number}: {len(row)} entries where {width} are expected", where="")
        for j, cell in enumerate(row):
            if not _is_number(cell) or not math.isfinite(float(cell)):
                problem = "is missing" if not cell.strip() else f"is {cell.strip()!r}, not a finite number"
                raise InputError(f"{path}, line {number}, column {columns[j]}: the entry {problem}", where="")
            values[k, j] = float(cell)
    if target is None:
        return TensorDataset(values.astype(dtype))
    at = _column(target, columns, path)
    y = values[:, at]
    whole = bool(np.all(y == np.round(y)))
    return TensorDataset(np.delete(values, at, axis=1).astype(dtype), y.astype(np.int64 if whole else dtype))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _column(target: str | int, columns: list[str], path: Path) -> int:
    if isinstance(target, str) and target in columns:
        return columns.index(target)
    if isinstance(target, int) and -len(columns) <= target < len(columns):
        return target % len(columns)
    raise InputError(f"{path} has no column {target!r}", f"its columns are {', '.join(columns)}", where="")


def read_numpy(path: str | Path, *names: str) -> TensorDataset:
    """Arrays from a `.npy` file, or some or all of the arrays of a `.npz` file. Pickled objects are refused."""
    path = Path(path)
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise InputError(f"{path} is not a NumPy file of plain arrays: {error}", where="") from None
    if isinstance(loaded, np.ndarray):
        arrays: dict[str, Any] = {path.stem: loaded}
    else:
        with loaded:
            missing = [n for n in names if n not in loaded.files]
            if missing:
                raise InputError(f"{path} has no array {missing[0]!r}", f"it has {', '.join(loaded.files)}", where="")
            arrays = {n: loaded[n] for n in names or loaded.files}
    for name, a in arrays.items():
        if a.dtype.kind not in "fiub":
            raise InputError(f"{path}: the array {name} has dtype {a.dtype}, not numbers", where="")
        if a.dtype.kind == "f" and not np.all(np.isfinite(a)):
            row = np.unravel_index(int(np.argmin(np.isfinite(a))), a.shape)
            raise InputError(f"{path}: the array {name} is {a[row]} at {tuple(map(int, row))}", where="")
    return TensorDataset(*arrays.values())


_IDX = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> np.ndarray[Any, Any]:
    """The array of an IDX file (MNIST's format), plain or compressed with gzip. Source: yann.lecun.com/exdb/mnist."""
    path = Path(path)
    with path.open("rb") as raw:
        head = raw.read(2)
        raw.seek(0)
        if head != b"\x1f\x8b":
            return _idx(raw, path)
        try:
            with gzip.open(raw) as file:
                return _idx(file, path)  # type: ignore[arg-type]
        except (EOFError, gzip.BadGzipFile) as error:
            raise InputError(f"{path} is damaged: {error}", where="") from None


def _idx(file: BinaryIO, path: Path) -> np.ndarray[Any, Any]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX:
        raise InputError(f"{path} is not an IDX file: it begins with {magic.hex(' ') or 'nothing'}", where="")
    head = file.read(4 * magic[3])
    shape = tuple(int(n) for n in np.frombuffer(head[: len(head) // 4 * 4], ">u4"))
    dtype = np.dtype(_IDX[magic[2]])
    want = math.prod(shape) * dtype.itemsize
    data = file.read() if len(shape) == magic[3] else b""
    if len(shape) != magic[3] or len(data) != want:
        raise InputError(f"{path}: {len(data):,} bytes of data where shape {shape} needs {want:,}", where="")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
