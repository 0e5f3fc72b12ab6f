"""Memory that tensors share, and what becomes of values that were recorded before they were changed in place.

A tensor is a node of the graph, and nodes are values: an in-place operation makes a new node, and the tensor moves to
it. What torch says of memory is said by three small things on top. A `Storage` is the cell that `detach`, `data` and
`numpy` share; whoever finds that its version has moved on reads it anew. A node whose values were changed after they
were recorded holds an `Overwritten`: a backward pass that needs them is refused, one that does not goes on. And only
where NumPy holds the memory as well is anything written into memory at all.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..errors import DerivativeError, InputError
from ..ir.node import NO_PARAMS, Node
from ..ir.op import Op, constant
from ..ir.recording import Handle, record, state


class Overwritten(NDArrayOperatorsMixin):
    """The shape and dtype of a value that has been changed in place since it was recorded; all else is refused."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of entries."""
        return int(np.prod(self.shape))

    def _refused(self, *_: Any, **__: Any) -> NoReturn:
        raise DerivativeError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"a {self.dtype} tensor of shape {self.shape}",
            "change it after backward(), or change a copy: x.clone()",
        )

    __array__ = __array_ufunc__ = __getitem__ = __len__ = __bool__ = __float__ = __iter__ = _refused

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refused()


def tracing() -> bool:
    """Whether values are those of a program being compiled or batched, in which nothing is ever overwritten."""
    return state.observed is not None or bool(state.level)


def overwrite(node: Node) -> None:
    """Take the values of a node away: they have been changed in place."""
    if node.value.__class__ is not Overwritten and not tracing():
        node.value = Overwritten(node.shape, node.dtype)


class Storage:
    """The values of one tensor and all that share memory with it.

    `version` counts the changes made through tensors. `exported` says that NumPy holds the memory too, so that changes
    must be written into it. `nodes` are those whose values are this memory, or a part of it.
    """

    __slots__ = ("__weakref__", "exported", "nodes", "values", "version")

    def __init__(self, values: Any, exported: bool = False) -> None:
        self.values, self.version, self.exported = values, 0, exported
        self.nodes: list[weakref.ref[Node]] = []

    def hold(self, node: Node) -> None:
        """Remember a node whose values are here."""
        nodes = self.nodes
        if len(nodes) > 64 and len(nodes).bit_count() == 1:  # forget the dead ones now and then
            nodes[:] = [r for r in nodes if r() is not None]
        nodes.append(weakref.ref(node))

    def alive(self) -> Iterator[Node]:
        """The nodes whose values are here and that are still in use."""
        return (node for node in (r() for r in self.nodes) if node is not None)

    def change(self, values: Any) -> None:
        """Other values, seen by all who share them."""
        if self.exported:
            if not self.values.flags.writeable:
                raise InputError("the tensor shares the memory of a read-only array", "take a copy first: x.clone()")
            np.copyto(self.values, values, casting="unsafe")
        else:
            self.values = values
        for node in self.alive():
            overwrite(node)
        self.nodes = []
        self.version += 1

    def export(self) -> Any:
        """The memory as an array that may be written into; what NumPy writes there is seen by every sharer."""
        if not self.exported:
            whole = self.values
            self.values = np.array(whole, order="K")  # its own: a value may be part of another, or of two gradients
            for node in self.alive():
                if node.value is whole:
                    node.value = self.values
            self.exported = True
        return self.values

    def __deepcopy__(self, memo: dict[int, Any]) -> Storage:
        made = memo[id(self)] = Storage(np.array(self.values)[()])
        return made


class Shared:
    """A tensor's hold on a storage: the version that it has seen."""

    __slots__ = ("seen", "storage")

    def __init__(self, storage: Storage) -> None:
        self.storage, self.seen = storage, storage.version


def decided(op: Op, args: tuple[Any, ...], params: Mapping[str, Any] = NO_PARAMS) -> Any:
    """The result of an operation that gives integers or truth values: nothing flows back, and nothing is recorded.

    In a program that is being compiled it is, since the program computes it anew.
    """
    like: Any = next((a for a in args if isinstance(a, Handle)), None)
    if tracing() or like is None:
        return record(op, args, params) if like is not None else op.value(*args, **params)
    try:
        value = op.value(*(a.node.value if isinstance(a, Handle) else a for a in args), **params)
    except (ValueError, TypeError, IndexError):
        return record(op, args, params)  # which says what is wrong, and where
    return type(like)(Node(constant, (), NO_PARAMS, value))
