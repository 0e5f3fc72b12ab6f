"""Tensors: the imperative interface, with names and behaviour as torch has them."""

from __future__ import annotations

import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import DerivativeError, InputError, ShapeError, TraceError
from ..ir.node import NO_PARAMS, Node, reachable
from ..ir.op import Op, constant, variable
from ..ir.recording import Handle, View, setting, state
from ..trace import functions as fn
from ..trace.calls import users_warnings
from ..trace.handles import dtype_of, plain
from .tensor_names import TorchNames
from .walk import reverse

freed = Op("freed", lambda: None, public=False, doc="A value whose history backward() has freed.")


class Tensor(TorchNames):
    """An array that records what is computed from it, and collects its gradient.

    Made by `tensor`. It has NumPy's operators and functions, a method for every operation (`x.sin()`,
    `x.sigmoid()`), and torch's names where the two differ (`dim`, `keepdim`).
    """

    __slots__ = ("__weakref__", "grad", "is_parameter")

    rank = 1
    rebinds_scalars = False

    def __init__(self, node: Node, view: View | None = None) -> None:
        super().__init__(node, view)
        self.grad: Tensor | None = None
        self.is_parameter = False

    # ---- history -------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether a derivative can flow back through this tensor; may be set on leaves."""
        return self.node.op is not constant

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and self.node.op is constant:
            self._collect_here(self.value)
        elif not wanted and self.requires_grad:
            if not self.is_leaf:
                raise DerivativeError(
                    "requires_grad can be turned off for leaf tensors only", "use .detach() to stop the gradient"
                )
            self._node = Node(constant, (), NO_PARAMS, self.value)

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user, not computed."""
        return self.node.op in (constant, variable)

    def _collect_here(self, value: Any) -> None:
        """Become a leaf that collects a gradient. The node knows its tensor without keeping it alive."""
        if dtype_of(value).kind != "f":
            raise InputError(
                f"a tensor of dtype {dtype_of(value)} cannot require a gradient",
                "make it floating point, with dtype=float",
            )
        self._node = Node(variable, (), {"owner": weakref.ref(self)}, value)

    def backward(self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the derivative of this tensor to the `.grad` of every leaf that it was computed from.

        Args:
            gradient: the cotangent, of this tensor's shape; 1 for a single entry when left out.
            retain_graph: keep the graph for another call.
            create_graph: record the backward pass too, so that `.grad` can be differentiated.

        Raises:
            DerivativeError: nothing to differentiate, not a scalar, or a graph that is already freed.
        """
        node = self.node
        if node.op is constant:
            raise DerivativeError(
                "this tensor does not require a gradient, and nothing it was computed from does",
                "make its inputs with requires_grad=True",
            )
        if gradient is None:
            if self.numel() != 1:
                raise DerivativeError(
                    f"a gradient can be created implicitly for scalar outputs only; this one has shape {self.shape}",
                    "pass backward(gradient) of that shape, or reduce it first",
                )
            gradient = np.ones(self.shape, self.dtype)[()]
        elif np.shape(plain(gradient)) != self.shape:
            raise ShapeError(
                f"the gradient has shape {np.shape(plain(gradient))}, the tensor {self.shape}",
                "pass a gradient of the tensor's shape",
            )
        nodes = reachable([node])
        if any(n.op is freed for n in nodes):
            raise DerivativeError(
                "trying to go backward through the graph a second time: its values were freed by the first",
                "pass retain_graph=True to the first backward()",
            )
        leaves = [n for n in nodes if n.op is variable and "owner" in n.params]
        if create_graph:
            ct: Any = gradient if isinstance(gradient, Handle) else tensor(np.asarray(gradient, self.dtype))
        else:
            ct = np.array(plain(gradient), self.dtype)[()]
        with setting(depth=state.depth + 1, recording=True), users_warnings():
            found = reverse([node], [ct], leaves, live=Tensor if create_graph else None, nodes=list(nodes))
        for n, g in zip(leaves, found, strict=True):
            owner = n.params["owner"]()
            if owner is not None and g is not None:
                owner.accumulate(g)
        if not (retain_graph or create_graph):
            for n in nodes:
                if n.inputs:
                    n.op, n.inputs = freed, ()

    def accumulate(self, gradient: Any) -> None:
        """Add to `.grad`, in place where it exists."""
        given = (
            gradient
            if isinstance(gradient, Tensor)
            else Tensor(Node(constant, (), NO_PARAMS, np.array(plain(gradient))[()]))
        )
        if self.grad is None:
            self.grad = given
        else:
            self.grad._node = (self.grad + given).node

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the collected gradient."""
        self.grad = None if set_to_none or self.grad is None else tensor(np.zeros(self.shape, self.dtype))

    def assign(self, new: Handle) -> None:
        """In-place change; a leaf that requires a gradient may be changed under `no_grad` only."""
        if self.node.op is not variable:
            super().assign(new)
            return
        if state.recording:
            raise DerivativeError(
                "a leaf tensor that requires a gradient is being changed in place",
                "do it inside `with chainrule.no_grad():`",
            )
        if np.shape(new.value) != self.shape:
            raise ShapeError(f"an in-place operation cannot change the shape {self.shape} to {np.shape(new.value)}")
        self._collect_here(np.array(new.value, self.dtype)[()])

    @classmethod
    def _constant(cls, value: Any) -> Tensor:
        return cls(Node(constant, (), NO_PARAMS, value))

    def _cast(self, dtype: Any) -> None:
        """Change the dtype of a leaf in place."""
        values = np.asarray(self.value).astype(dtype)
        if self.node.op is variable:
            self._collect_here(values)
        else:
            self._node = Node(constant, (), NO_PARAMS, values)

    # ---- out of the graph ----------------------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same values without history."""
        return Tensor(Node(constant, (), NO_PARAMS, self.value))

    @property
    def data(self) -> Tensor:
        """The values without history; assigning to it changes the values and keeps the rest."""
        return self.detach()

    @data.setter
    def data(self, values: Any) -> None:
        with setting(recording=False):
            self.assign(tensor(np.asarray(plain(values))))

    def item(self) -> Any:
        """The single entry as a Python number."""
        if self.numel() != 1:
            raise ShapeError(
                f".item() needs a tensor with one entry; this one has shape {self.shape}",
                "index it first, or use .tolist()",
            )
        return np.asarray(self.value).reshape(()).item()

    def tolist(self) -> Any:
        """The entries as nested lists of Python numbers."""
        return np.asarray(self.value).tolist()

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a NumPy array (a copy), for a tensor that does not require a gradient."""
        if self.requires_grad:
            raise TraceError("numpy() of a tensor that requires a gradient would lose it", "use .detach().numpy()")
        return np.array(self.value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.numpy(), dtype)

    def __float__(self) -> float:  # type: ignore[override]
        return float(self.item())

    def clone(self) -> Tensor:
        """A copy with the same history."""
        return fn.copy(self)

    def __repr__(self) -> str:
        values = np.asarray(self.value)
        whole = values.dtype.kind != "f" or bool(np.all(~np.isfinite(values) | (values == np.round(values))))
        text = np.array2string(
            values, separator=", ", prefix="tensor(", precision=4, floatmode="maxprec" if whole else "fixed"
        )
        if self.dtype.name not in ("float32", "int64", "bool"):
            text += f", dtype={self.dtype}"
        if self.node.op is variable:
            text += ", requires_grad=True"
        elif self.requires_grad:
            text += f", grad_fn=<{self.node.op.name}>"
        return f"tensor({text})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`.

    Args:
        data: a number, nested lists, an array or a tensor (whose history is left behind).
        dtype: as for NumPy. When left out, arrays keep theirs; Python floats become float32, as in torch.
        requires_grad: whether `backward()` is to collect a gradient here.

    >>> u = tensor(3.0, requires_grad=True)
    >>> loss = (u * u).sin(); loss.backward(); u.grad
    tensor(-5.4668)
    """
    values = np.array(plain(data))
    if values.dtype == object:
        raise InputError(
            f"cannot make a tensor of {type(data).__name__}: its rows differ in length, or it holds something that is no number"
        )
    if dtype is None and not isinstance(data, (Handle, np.ndarray, np.generic)) and values.dtype.kind == "f":
        dtype = np.float32
    made = Tensor(Node(constant, (), NO_PARAMS, values.astype(dtype or values.dtype)[()]))
    if requires_grad:
        made.requires_grad = True
    return made


@contextmanager
def no_grad() -> Generator[None]:
    """Record nothing inside: results do not require a gradient, and leaves may be changed in place.

    A context manager, and a decorator as `@no_grad()`.
    """
    with setting(recording=False):
        yield
