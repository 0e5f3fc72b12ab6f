"""Recording: handles, and how an operation on handles becomes a node.

A handle points at a node. In-place code records a new node and moves the handle. A handle made as a view
(a slice, a transpose, a reshape that shares memory) remembers its base, follows it when it changes, and
writes through to it. What is a view is NumPy's own answer: values lie in memory as the user's arrays would.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import LIBRARY, ChainruleError, ShapeError, TraceError, caller, place
from .deferred import Deferred, deferred, settled
from .entering import NUMBERS, entering
from .node import NO_PARAMS, Node
from .op import REGISTRY, Op, constant

_getframe = sys._getframe
REJECTED = (ValueError, TypeError, IndexError, OverflowError)  # what NumPy says of operands that do not go together


class _Libraries(dict[str, bool]):
    """Whether a file is a library's; each is looked at once."""

    def __missing__(self, filename: str) -> bool:
        self[filename] = found = filename.startswith(LIBRARY)
        return found


_LIBRARIES = _Libraries()


class State(threading.local):
    """What the current thread is doing.

    `hook` is called with every node recorded and the frame that made it, `check` with every
    cotangent of the reverse walk (node, input, cotangent). `depth` counts the derivatives being taken at the current level, `level` the batches (`vmap`) around; `array` is the
    type of handle that records at the current level. `observed` collects, for `jit`, what Python asks of traced values:
    a node and whether its value or only its truth was asked for; `active` are the variables of the derivatives being taken,
    `refused` is what a traced value has refused to do, for code that catches the error. `body` is the order of the first
    node of the innermost body (of a loop, a branch, a checkpoint, a batch): what is older belongs to the code around, and is
    not written into.
    """

    depth = 0
    level = 0
    array: Any = None
    recording = True
    hook: Any = None
    check: Any = None
    abstract: str | None = None
    observed: dict[Node, str] | None = None
    body = 0
    active: tuple[Node, ...] = ()
    refused: ChainruleError | None = None


state = State()


class Questions(dict[Node, str]):
    """What Python asks of traced values while a program is traced that is to be read, and at which lines of the user's.

    Beside "truth" and "value", "count": how many entries of a mask hold, on which the shape of what it takes depends. `sizes` tells
    whether the user's code asked for the length of an axis, so that another length could be another program.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[Node, str] = {}
        self.sizes = False

    def __setitem__(self, node: Node, kind: str) -> None:
        frame = caller()
        if frame is not None:
            self.places.setdefault(node, place(frame.f_code.co_filename, frame.f_lineno))
        super().__setitem__(node, kind)

    def setdefault(self, node: Node, default: str = "") -> str:
        """What was asked of a node already, or now."""
        if node not in self:
            self[node] = default
        return self[node]


class setting:
    """Change attributes of `state` for the duration of a block.

    A class, as a generator takes twice the time, and every derivative passes here four times.
    """

    __slots__ = ("before", "values")

    def __init__(self, **values: Any) -> None:
        self.values = values

    def __enter__(self) -> None:
        now = state.__dict__
        self.before = now.copy()
        now.update(self.values)

    def __exit__(self, *error: object) -> None:
        now, before = state.__dict__, self.before
        for k in self.values:
            if k in before:
                now[k] = before[k]
            else:
                del now[k]


class View:
    """How a handle depends on the memory of another: the operation, and the base's node when last seen.

    Args:
        arrays: further inputs of the operation.
        take: the part of the base's array, as NumPy takes it, where the operation computes a copy of it.
        read_only: that NumPy lets nobody write through it.

    `ask` tells whether the handle is a view at all, where that takes computing values: it is asked when somebody writes.
    """

    __slots__ = ("arrays", "ask", "base", "op", "params", "read_only", "seen", "take")

    def __init__(
        self,
        base: Handle,
        op: Op,
        params: Mapping[str, Any],
        arrays: tuple[Any, ...] = (),
        take: Callable[..., Any] | None = None,
        read_only: bool = False,
    ) -> None:
        self.base, self.op, self.params, self.seen = base, op, params, base.node
        self.arrays, self.take, self.read_only = arrays, take, read_only
        self.ask: Callable[[], bool] | None = None

    def of(self, whole: Any) -> Any:
        """The part of the base's array that the view is."""
        return self.op.value(whole, *self.arrays, **self.params) if self.take is None else self.take(whole)

    def read(self) -> Node:
        """The view of what its base is now."""
        self.seen = self.base.node
        whole = self.seen.value
        known = self.take(whole) if self.take is not None and type(whole) is np.ndarray else None
        return record(self.op, (self.base, *self.arrays), self.params, known).node


class _Nothing:
    node = None


class Alone(View):
    """Instead of a view: what else there is to know of the memory of a handle that is no part of another's."""

    __slots__ = ()

    def __init__(self) -> None:
        self.base, self.seen, self.ask = _Nothing, None, None  # type: ignore[assignment]


class Shared(Alone):
    """It belongs to several arguments, which cannot be written into one by one."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


class Cell(Alone):
    """It is an array without axes, where its value does not tell it from a scalar (under `vmap`)."""

    __slots__ = ()


class Handle:
    """A traced value. `chainrule.trace.Array` gives it NumPy's operators and methods."""

    __slots__ = ("_node", "_view")

    rank = 0  # when handles of two types meet, the result has the type of higher rank
    least = 0  # where this type records, the lowest rank of those that record with it
    records = True  # whether operations on it become nodes of a graph; otherwise `bind` carries them out

    def __init__(self, node: Node, view: View | None = None) -> None:
        self._node = node
        self._view = view

    @property
    def node(self) -> Node:
        """The node of the current value; a view whose base has changed is read anew."""
        view = self._view
        if view is not None and view.base.node is not view.seen and self.tied:
            self._node = view.read()
        return self._node

    @property
    def tied(self) -> bool:
        """Whether it is a view of another handle's memory; settled now, if it had not been asked."""
        view = self._view
        if view is not None and view.ask is not None:
            shared, view.ask = view.ask(), None
            if not shared:
                self._view = None
        return self._view is not None

    @property
    def value(self) -> Any:
        """The concrete value, a NumPy array or scalar. A compiled function is traced anew when it differs."""
        node = self.node
        if state.observed is not None:
            state.observed[node] = "value"
        return settled(node.value)

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes."""
        return self.node.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its entries."""
        return self.node.dtype


def bottom(x: Any) -> Any:
    """The plain value behind handles of every level."""
    while isinstance(x, Handle):
        x = x.node.value
    return x


def frozen(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A constant array as it is kept in a graph: later changes of the user's array must not reach it."""
    if x.flags.writeable:
        x = x.copy(order="K")
        x.flags.writeable = False
    return x


def record(op: Op, args: tuple[Any, ...], params: Mapping[str, Any] = NO_PARAMS, known: Any = None) -> Any:
    """Compute `op` on `args`, at least one of them a handle, record it, and return a handle of the same type.

    `known` is the value, where it has been computed already.
    """
    if state.level:
        return _record_leveled(op, args, params, known)
    inputs: list[Any] = []
    values: list[Any] = []
    kind: Any = None
    history = False
    for a in args:
        if isinstance(a, Handle):
            node = a._node if a._view is None else a.node
            inputs.append(node)
            values.append(node.value)
            if kind is None or a.rank > kind.rank:
                kind = a.__class__
            if node.op is not constant:
                history = True
        else:
            if a.__class__ in NUMBERS:
                inputs.append(a)
            else:
                a = entering(a)
                inputs.append(frozen(a) if a.__class__ is np.ndarray else a)
            values.append(a)
    try:
        if known is not None:
            value = known
        else:
            value = op.value(*values, **params) if state.observed is None else deferred(op, values, params)
    except ChainruleError:
        raise
    except REJECTED as error:
        raise _explained(op, inputs, error) from error
    if not history or not state.recording:
        if not history or state.observed is None:
            return kind(Node(constant, (), NO_PARAMS, value))
        inputs = [_stopped(i) for i in inputs]  # under jit it is computed, but nothing flows through it
    return kind(_located(op, tuple(inputs), params, value, _getframe(2)))


def _stopped(x: Any) -> Any:
    return Node(REGISTRY["stop_gradient"], (x,), NO_PARAMS, x.value) if type(x) is Node and x.op is not constant else x


def record_with_number(op: Op, a: Handle, number: float, reflected: bool = False) -> Any:
    """`record` for the commonest case, an operator between a handle and a Python number."""
    node = a._node if a._view is None else a.node
    if node.op is constant or state.level or not state.recording or state.observed is not None:
        return record(op, (number, a) if reflected else (a, number))
    x = node.value
    try:
        value = op.value(number, x) if reflected else op.value(x, number)
    except REJECTED as error:
        raise _explained(op, [number, node] if reflected else [node, number], error) from error
    inputs = (number, node) if reflected else (node, number)
    return a.__class__(_located(op, inputs, NO_PARAMS, value, _getframe(2)))


def _record_leveled(op: Op, args: tuple[Any, ...], params: Mapping[str, Any], known: Any) -> Any:
    """`record` under batching: the type of highest rank takes the operation, all other inputs are constants to it."""
    kind: Any = max((type(a) for a in args if isinstance(a, Handle)), key=lambda k: k.rank)
    if not kind.records:
        try:
            return kind.bind(op, args, params)
        except REJECTED as error:
            if isinstance(error, ChainruleError):
                raise
            raise _explained(op, [a.node if isinstance(a, Handle) else a for a in args], error) from error
    inputs: list[Any] = [a.node if isinstance(a, Handle) and a.rank == kind.rank else a for a in args]
    inputs = [frozen(i) if i.__class__ is np.ndarray else i for i in map(entering, inputs)]
    values = [i.value if type(i) is Node else i for i in inputs]
    value = op(*values, **params) if known is None else known  # type: ignore[operator]
    history = any(type(i) is Node and i.op is not constant for i in inputs)
    if not history or not state.recording:
        if not history or state.observed is None:
            return kind(Node(constant, (), NO_PARAMS, value))
        inputs = [_stopped(i) for i in inputs]
    return kind(_located(op, tuple(inputs), params, value, _getframe(3)))


def _located(op: Op, inputs: tuple[Any, ...], params: Mapping[str, Any], value: Any, frame: Any) -> Node:
    """A node that knows the user's line: the innermost frame from `frame` outward that is no library's."""
    code = frame.f_code
    while _LIBRARIES[code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
        code = frame.f_code
    made = Node(op, inputs, params, value, code, frame.f_lasti)  # type: ignore[arg-type]
    if state.hook is not None:
        state.hook(made, frame)
    return made


def remember_calls(node: Node, frame: Any) -> None:
    """A hook: keep the calls around the line that made a node, where a returned value gets its name."""
    node.outer = _outer(frame)


def _outer(frame: Any) -> tuple[Any, ...]:
    """The calls around `frame` in the user's code, innermost first."""
    calls: list[Any] = []
    frame = frame.f_back
    while frame is not None and not frame.f_code.co_filename.startswith(LIBRARY):
        calls.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(calls)


def _explained(op: Op, inputs: list[Any], error: Exception) -> ChainruleError:
    """NumPy's complaint with the shape of every operand, and where each came from."""
    lines = [f"{op.name}: {error}"]
    for k, i in enumerate(inputs):
        made = f", made at {i.place}" if type(i) is Node and i.code is not None else ""
        value = i.value if type(i) is Node else i
        value = (
            np.broadcast_to(np.zeros((), value.dtype), value.shape) if isinstance(value, (Handle, Deferred)) else value
        )
        name = f" {i.given_name}" if type(i) is Node and i.given_name else ""
        lines.append(f"    operand {k + 1}{name}: shape {np.shape(value)}, {np.asarray(value).dtype}{made}")
    what = "\n".join(lines)
    if isinstance(error, TypeError):
        return TraceError(what, "convert the operands, for instance with .astype(float)")
    return ShapeError(what, "make the shapes agree, for instance with reshape, transpose or np.newaxis")
