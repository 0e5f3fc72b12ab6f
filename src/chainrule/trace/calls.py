"""Calling a user's function with some of its arguments traced."""

from __future__ import annotations

import contextlib
import inspect
import warnings
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ChainruleError, InputError, TraceError, caller
from ..ir.entering import entering
from ..ir.layout import alone, copied
from ..ir.node import NO_PARAMS, Node
from ..ir.recording import Handle, Shared, record, setting, state
from ..ops.arithmetic import alias
from ..ops.conversion import cast
from .array import recording_kind
from .handles import dtype_of, kind_of, lowered, plain
from .memory import overlapping
from .tree import TreeDef, children, flatten, map_leaves, paths, unflatten

Argnums = int | str | Sequence[int | str]


def called(f: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], locked: str = "") -> Any:
    """The result of the user's function on traced values, with the error that NumPy hides brought to light.

    `locked` says why arguments are read-only, where they are.
    """
    try:
        return f(*args, **kwargs)
    except TypeError:
        if not callable(f):
            raise InputError(
                f"a function is needed here, not {type(f).__name__} {f!r:.60}",
                "pass a function of numbers or arrays; cr.parse makes one of the text of a formula",
            ) from None
        raise
    except ValueError as error:
        if isinstance(error.__cause__, TraceError) and not isinstance(
            error, ChainruleError
        ):  # why a traced value cannot become a plain one
            raise error.__cause__ from None
        if locked and "read-only" in str(error) and not isinstance(error, ChainruleError):
            raise TraceError(locked, "pass a copy of one of them: x.copy()") from error
        raise


def name_of(f: Any) -> str:
    """The function's name, for messages and programs."""
    return getattr(f, "__name__", type(f).__name__)


def parameters(f: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a function by name; empty for one that does not tell."""
    try:
        return _known[f]
    except (KeyError, TypeError):
        pass
    try:
        found = dict(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        return {}
    with contextlib.suppress(TypeError):  # cannot be referred to weakly, or has no hash: asked again next time
        _known[f] = found
    return found


_known: weakref.WeakKeyDictionary[Any, dict[str, inspect.Parameter]] = weakref.WeakKeyDictionary()


@dataclass
class Selection:
    """The arguments to differentiate with respect to, and how to put others in their place."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    where: list[int | str]
    single: bool

    @property
    def chosen(self) -> list[Any]:
        return [self.args[w] if isinstance(w, int) else self.kwargs[w] for w in self.where]

    def replaced(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = list(self.args), dict(self.kwargs)
        for w, v in zip(self.where, values, strict=True):
            if isinstance(w, int):
                args[w] = v
            else:
                kwargs[w] = v
        return tuple(args), kwargs


def select(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Argnums) -> Selection:
    """Find the arguments that `argnums` means in a call."""
    names = list(parameters(f))
    where: list[int | str] = []
    chosen, single = _chosen(argnums)
    for a in chosen:
        if isinstance(a, str):
            if a in kwargs:
                where.append(a)
                continue
            if a not in names or names.index(a) >= len(args):
                raise InputError(
                    f"{name_of(f)} got no argument named {a!r}", f"its parameters are {', '.join(names) or 'unknown'}"
                )
            a = names.index(a)
        if not -len(args) <= a < len(args):
            if 0 <= a < len(names) and names[a] in kwargs:
                where.append(names[a])
                continue
            missing = f" ({names[a]!r})" if 0 <= a < len(names) else ""
            raise InputError(
                f"{name_of(f)} was called with {len(args)} positional arguments; argument {a}{missing} is missing",
                "pass it, or choose another argnums",
            )
        where.append(a % len(args))
    if len(set(where)) != len(where):
        raise InputError(f"argnums={argnums!r} names an argument of {name_of(f)} twice", "name each argument once")
    return Selection(args, kwargs, where, single)


def _chosen(argnums: Any) -> tuple[tuple[int | str, ...], bool]:
    """The positions and names that `argnums` holds, and whether it is one rather than a sequence of them."""
    single = not isinstance(argnums, (tuple, list, range))
    chosen = (argnums,) if single else tuple(argnums)
    if not all(a.__class__ is int or a.__class__ is str for a in chosen):
        chosen = tuple(int(a) if isinstance(a, np.integer) else a for a in chosen)
        if any(isinstance(a, bool) or not isinstance(a, (int, str)) for a in chosen):
            raise InputError(
                f"argnums={argnums!r} says nothing about arguments", "give a position, a name, or a tuple of them"
            )
    return chosen, single


def check_differentiable(tree: Any, name: str) -> None:
    """Raise unless every leaf is floating point."""
    leaves, _ = flatten(tree)
    if not leaves:
        raise InputError(
            f"{name} is {type(tree).__name__} {tree!r:.60}: there is nothing in it to differentiate",
            "pass floats or arrays of floats",
        )
    if all(dtype_of(x).kind in "fc" for x in leaves):
        return
    for x, path in zip(leaves, paths(tree, name), strict=True):
        dtype = dtype_of(x)
        if dtype.kind in "iub":
            word = {"b": "boolean"}.get(dtype.kind, "an integer")
            raise InputError(
                f"{path} is {word} ({dtype}, value {_short(x)}): a derivative needs floating point",
                f"pass {_short(plain(x), float)} or {path}.astype(float)",
            )
        if dtype.kind not in "fc":
            raise InputError(
                f"{path} has dtype {dtype}: a derivative needs floating point", "pass numbers or arrays of floats"
            )


def _short(x: Any, kind: Any = None) -> str:
    value = plain(x)
    return (
        repr(kind(value) if kind else value)
        if np.ndim(value) == 0
        else "an array of floats"
        if kind
        else f"shape {np.shape(value)}"
    )


@dataclass
class Trace:
    """One traced call: the variables it was given, and what came out."""

    leaves: list[Node]
    structure: list[TreeDef]
    kinds: list[bool]
    outputs: list[Any]
    output_tree: TreeDef
    aux: Any
    live: type[Handle] | None


def traced_call(
    f: Callable[..., Any],
    selection: Selection,
    leaf: Callable[[Any], Handle],
    *,
    has_aux: bool = False,
    copy: bool = False,
) -> Trace:
    """Call `f` with fresh variables in place of the selected arguments."""
    flat: list[Any] = []
    written: list[str] = []
    structure: list[TreeDef] = []
    for w, tree in zip(selection.where, selection.chosen, strict=True):
        name = _argument_name(f, w)
        check_differentiable(tree, name)
        if state.hook is not None:  # somebody looks at the nodes: let them have names
            written += paths(tree, name)
        leaves, treedef = flatten(tree)
        flat += map(entering, leaves) if state.observed is None else map(_native, leaves)
        structure.append(treedef)
    live = kind_of(flat) or (recording_kind() if state.depth > 0 else None)
    handles = [leaf(copied(x) if copy and isinstance(x, np.ndarray) else x) for x in flat]
    rest_args, rest_kwargs, locked = _apart(f, selection, flat, handles)
    nodes = [h.node for h in handles]
    for node, name in zip(nodes, written, strict=False):
        node.given_name = name
    rest = iter(handles)
    whole = Selection(rest_args, rest_kwargs, selection.where, selection.single)
    args, kwargs = whole.replaced([treedef.build(rest) for treedef in structure])
    inside = setting(depth=state.depth + 1, recording=True, active=(*state.active, *nodes))
    with inside, users_warnings(), _lent(flat) if live else contextlib.nullcontext():
        result = called(f, args, kwargs, locked)
    aux = None
    if has_aux:
        if not (isinstance(result, tuple) and len(result) == 2):
            raise InputError(
                f"with has_aux=True, {name_of(f)} must return a pair (value, aux); it returned {type(result).__name__}",
                where="",
            )
        result, aux = result
    outputs, output_tree = flatten(result)
    return Trace(nodes, structure, [type(_seen(x)) is float for x in flat], outputs, output_tree, aux, live)


def _native(x: Any) -> Any:
    """An argument as it enters a graph, also one that another transform has let in with its foreign byte order."""
    foreign = isinstance(x, Handle) and not x.dtype.isnative
    return record(cast, (x,), {"dtype": x.dtype.newbyteorder("=")}) if foreign else entering(x)


@contextlib.contextmanager
def _lent(leaves: Sequence[Any]) -> Generator[None]:
    """A block in which arguments of another transform are written into by nobody: what is differentiated is what they were."""
    why = Shared("an argument is written into by another name while the derivative by it is taken")
    held = [x for x in leaves if isinstance(x, Handle) and x._view is None]
    for x in held:
        x._view = why
    try:
        yield
    finally:
        for x in held:
            x._view = None


def _seen(x: Any) -> Any:
    """An argument as the function sees it where nothing is traced."""
    return x.node.value if isinstance(x, Handle) else x


def as_float(x: Any) -> Any:
    """A float64 scalar as the Python float that it is where everything was one; anything else as it is."""
    if not isinstance(x, Handle):
        return float(x) if type(x) is np.float64 else x
    if state.observed is None or state.depth > 1 or state.level:  # inside another derivative it is a scalar of NumPy's
        return x
    value = x.node.value
    return type(x)(Node(alias, (x.node,), NO_PARAMS, float(value))) if type(value) is np.float64 else x


MANY = 1000  # so many leaves of other arguments are looked at


def _apart(
    f: Callable[..., Any], selection: Selection, flat: list[Any], handles: list[Handle]
) -> tuple[tuple[Any, ...], dict[str, Any], str]:
    """The arguments, of which those that share memory with each other cannot be written into, and why.

    A write into one would change the other, which has a derivative of its own.
    """
    if not any(isinstance(x, (np.ndarray, Handle)) and np.shape(x) for x in flat):
        return selection.args, selection.kwargs, ""
    taken = set(selection.where)
    others = {k: x for k, x in (*enumerate(selection.args), *selection.kwargs.items()) if k not in taken}
    plain_arrays: list[Any] = []
    named = list(zip(selection.where, selection.chosen, strict=True))
    for w, x in others.items():
        if len(plain_arrays) < MANY and (isinstance(x, (np.ndarray, Handle)) or children(x)):
            plain_arrays += flatten(x)[0]
            named.append((w, x))
    pairs = overlapping([*flat, *plain_arrays])
    if not pairs:
        return selection.args, selection.kwargs, ""
    names = [p for w, tree in named for p in paths(tree, _argument_name(f, w))]
    locked: dict[int, Any] = {}
    why = ""
    for j, k in pairs:
        why = f"{names[j]} and {names[k]} share memory, so that a write into one changes the other"
        for i in (j, k):
            if i < len(handles):
                handles[i]._view = Shared(why)
            else:
                x = plain_arrays[i - len(flat)]
                locked[id(x)] = _locked(x, why)

    def apart(tree: Any) -> Any:
        """The argument itself, unless something in it is locked: what the function puts into it is the user's to see."""
        if not any(id(x) in locked for x in flatten(tree)[0]):
            return tree
        return map_leaves(lambda x: locked.get(id(x), x), tree)

    args = tuple(a if k in taken else apart(a) for k, a in enumerate(selection.args))
    return args, {k: a if k in taken else apart(a) for k, a in selection.kwargs.items()}, why


def _locked(x: Any, why: str) -> Any:
    """The same array, to read from."""
    if isinstance(x, Handle):
        return type(x)(x.node, Shared(why))
    y = x.view()
    y.flags.writeable = False
    return y


def _argument_name(f: Callable[..., Any], where: int | str) -> str:
    if isinstance(where, str):
        return where
    names = list(parameters(f))
    return names[where] if where < len(names) else f"argument {where}"


def _at_users_line(kind: str, flag: int) -> None:
    """NumPy's floating-point warning, at the user's line instead of one of ours."""
    frame = caller()
    if frame is None:
        warnings.warn(f"{kind} encountered", RuntimeWarning, stacklevel=2)
    else:
        where = frame.f_code.co_filename, frame.f_lineno
        warnings.warn_explicit(
            f"{kind} encountered",
            RuntimeWarning,
            *where,
            registry=frame.f_globals.setdefault("__warningregistry__", {}),
        )


def users_warnings() -> Any:
    """A context in which NumPy's warnings (where they are on) point at the user's line."""
    modes = {kind: "call" for kind, mode in np.geterr().items() if mode == "warn"}
    return np.errstate(call=_at_users_line, **modes) if modes else contextlib.nullcontext()  # type: ignore[arg-type]


def finished(tree: Any, live: Any) -> Any:
    """A result as it goes out: plain values from the outermost transform, traced ones from an inner one."""
    if live:
        return tree
    leaves, treedef = flatten(tree)
    return unflatten(treedef, [lowered(x) for x in leaves])


def owned(leaves: Sequence[Any], floats: Sequence[bool]) -> list[Any]:
    """Arrays that nobody else holds, so that changing one in place changes nothing else; floats for floats."""
    seen: set[int] = set()
    result: list[Any] = []
    for x, is_float in zip(leaves, floats, strict=True):
        if is_float:
            x = as_float(x) if isinstance(x, Handle) else float(x)
        elif isinstance(x, np.ndarray):
            if not alone(x, seen):
                x = x.copy()
            seen.add(id(x))
        result.append(x)
    return result
