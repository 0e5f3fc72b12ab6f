"""What users write on the command line: functions, points, shapes."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..trace.calls import parameters


def function_from(target: str) -> Callable[..., Any] | str:
    """The function that `FILE.py:FUNCTION` names, or the formula itself."""
    match = re.fullmatch(r"(.+\.py):(\w+)", target)
    if match is None:
        if target.endswith(".py"):
            raise InputError(f"which function of {target}?", f"write {target}:NAME", where="")
        return target
    path, name = Path(match[1]), match[2]
    if not path.is_file():
        raise InputError(f"there is no file {path}", where="")
    found = getattr(_loaded(path), name, None)
    if not callable(found):
        raise InputError(f"{path} has no function {name!r}", where="")
    return found


def _loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"cannot read {path} as Python", where="")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"{path} cannot be imported: {type(error).__name__}: {error}", where=f"{last.filename}:{last.lineno}"
        ) from error
    return module


def point_from(texts: Iterable[str], f: Any) -> dict[str, Any]:
    """The values in `x=-2,y=[1,2],z=@data.npy`."""
    values: dict[str, Any] = {}
    known = {} if isinstance(f, str) else parameters(f)
    for text in texts:
        for part in _parts(text):
            name, equals, value = part.partition("=")
            name = name.strip()
            if not equals or not name.isidentifier():
                raise InputError(f"cannot read {part!r} in --at", "write name=value, as --at x=-2,y=5", where="")
            if known and name not in known:
                raise InputError(f"there is no variable {name!r}", f"the variables are {', '.join(known)}", where="")
            if name in values:
                raise InputError(f"{name} is given twice", "give each variable one value", where="")
            whole = name in known and (known[name].annotation in (int, "int") or type(known[name].default) is int)
            values[name] = _value(name, value.strip(), whole)
    return values


def _parts(text: str) -> list[str]:
    """Split at the commas that stand outside brackets and quotes."""
    parts, depth, start, quoted = [], 0, 0, False
    for k, c in enumerate(text):
        if c == '"':
            quoted = not quoted
        elif not quoted:
            depth += (c in "[{") - (c in "]}")
            if c == "," and depth == 0:
                parts.append(text[start:k])
                start = k + 1
    return [p for p in (*parts, text[start:]) if p.strip()]


def _value(name: str, text: str, whole: bool) -> Any:
    if text.startswith("@"):
        return _from_file(Path(text[1:]))
    try:
        value = _json(name, text)
    except (json.JSONDecodeError, RecursionError):
        value = _number(name, text)
    return _floats(name, value, whole)


def _json(name: str, text: str) -> Any:
    """JSON whose numbers are floats hold them: 1e400 is not infinite."""
    return json.loads(text, parse_float=lambda t: _in_range(name, t), parse_int=lambda t: _whole(name, t))


def _whole(name: str, text: str) -> int:
    _in_range(name, text)
    return int(text)


def _number(name: str, text: str) -> float:
    """The number that a text means; Python's other spellings (1_000, digits of other scripts) are none."""
    try:
        if re.fullmatch(r"[-+.\w]+", text, re.ASCII) and "_" not in text:
            return _in_range(name, text)
    except ValueError:
        pass
    raise InputError(
        f"cannot read {text!r} as the value of {name}",
        "write a number, a JSON array such as [1, 2], or @file.npy",
        where="",
    )


def _in_range(name: str, text: str) -> float:
    value = float(text)
    vanished = value == 0 and any(c in "123456789" for c in text.lower().partition("e")[0])
    if vanished or (np.isinf(value) and "inf" not in text.lower()):
        raise InputError(f"{text} in {name} is beyond the range of numbers", "use 1e-300 to 1e300", where="")
    return value


def _floats(name: str, value: Any, whole: bool) -> Any:
    """Numbers as floats, lists as arrays, objects as dicts of those."""
    if isinstance(value, dict):
        return {k: _floats(f"{name}[{k!r}]", v, whole) for k, v in value.items()}
    if isinstance(value, list):
        return _array(name, value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value if whole else float(value)
    raise InputError(f"the value of {name} is {json.dumps(value)}, which is no number", where="")


def _array(name: str, value: list[Any]) -> Any:
    stack: list[Any] = [value]
    while stack:
        x = stack.pop()
        if isinstance(x, list):
            stack += x
        elif isinstance(x, bool) or not isinstance(x, (int, float)):
            raise InputError(f"the value of {name} holds {json.dumps(x)}, which is no number", where="")
    try:
        return np.array(value, float)
    except (ValueError, TypeError, OverflowError):
        raise InputError(
            f"the value of {name} is no array of numbers", "rows must have the same length", where=""
        ) from None


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"there is no file {path}", where="")
    try:
        if path.suffix == ".npy":
            value = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            value = _array(str(path), [_json(str(path), path.read_text(encoding="utf-8"))])[0]
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an empty file
                value = np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None)
    except (ValueError, TypeError, EOFError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"cannot read {path}: {error}", "give a .npy, .json, .csv or text file of numbers", where=""
        ) from None
    if value.dtype.kind not in "fiub" or (value.size == 0 and path.suffix != ".npy"):
        what = "is empty" if value.size == 0 else f"holds {value.dtype}"
        raise InputError(f"{path} {what}", "give a file of real numbers", where="")
    return value if value.dtype.kind == "f" else value.astype(float)


def shapes_from(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shapes in `W=3x2,b=3`."""
    return {name: tuple(map(int, dims)) for name, dims in _sizes(texts, r"\d+", "W=3x2").items()}


def sizes_from(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The sizes in `W=nxm,b=3`: numbers, or names without an x."""
    return _sizes(texts, r"[^\Wx]+", "W=nxm")


def _sizes(texts: Iterable[str], size: str, example: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for part in (p for t in texts for p in t.split(",")):
        match = re.fullmatch(rf"\s*(\w+)\s*=\s*({size}(?:x{size})*)\s*", part)
        if match is None:
            raise InputError(f"cannot read {part!r} in --shape", f"write --shape {example}", where="")
        found[match[1]] = tuple(match[2].split("x"))
    return found
