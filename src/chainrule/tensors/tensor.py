"""Tensors: the imperative interface, with names and behaviour as torch has them."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DerivativeError, InputError, ShapeError, TraceError
from ..ir.deferred import settled
from ..ir.node import NO_PARAMS, Node
from ..ir.op import constant, variable
from ..ir.recording import Handle, View, record, setting, state
from ..ops import arithmetic as ar
from ..ops import indexing as ix
from ..trace.array import Array
from ..trace.handles import plain
from . import devices, namespace
from .autograd import RETAINED, run_backward
from .axes import Size
from .changing import become, leaf, left_behind, may_change, move, require_tied, take
from .copying import deep, pickled, shallow
from .indexing import index_parts, put
from .operators import binary, collects, in_place, in_place_operator, twin, unary
from .promotion import floating
from .storage import Shared, Storage, overwrite, tracing
from .text import shown
from .views import a_view, part_of, read, tied, view


class Tensor(Array):
    """An array that records what is computed from it, and collects its gradient; made by `tensor`.

    Its methods are the functions of `chainrule.torch`, under the same names.
    """

    __slots__ = ("__weakref__", "_grad", "_root", "is_parameter")

    rank = 1
    rebinds_scalars = False

    def __init__(self, node: Node, view: View | None = None) -> None:
        self._node = node
        self._view = view
        self._grad: Tensor | None = None
        self.is_parameter = False
        if view is not None and not tracing():
            self._root = self.storage
            self._root.hold(node)

    # ---- memory ----------------------------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        """The node of the current value; what shares memory that has changed is read anew."""
        tie: Any = self._view
        if tie is None:
            return self._node
        if tie.__class__ is Shared:
            if tie.seen != tie.storage.version:
                tie.seen = tie.storage.version
                take(self, tie.storage.values)
        elif tie.base.node is not tie.seen and not left_behind(self, tie):
            tie.seen = tie.base.node
            if collects(self._node):
                values = part_of(tie, tie.seen.value)
                self._node = Node(variable, (), self._node.params, values)
            else:
                with setting(recording=state.recording or self._node.op is not constant):
                    self._node = read(tie)
            if not tracing():
                self.storage.hold(self._node)
        return self._node

    @property
    def storage(self) -> Storage:
        """The memory behind this tensor, shared with those it is a view of."""
        tie: Any = self._view
        if tie is None:
            made = Storage(self._node.value)
            made.hold(self._node)
            self._view = tie = Shared(made)  # type: ignore[assignment]
        return tie.storage if tie.__class__ is Shared else tie.base.storage

    @property
    def _version(self) -> int:
        """How often the memory has been changed through a tensor, since it was first shared."""
        return self.storage.version

    may_change, become = may_change, become

    def assign(self, new: Handle) -> None:
        """In-place change; a leaf that requires a gradient may be changed under `no_grad` only."""
        self.become(new, self.may_change())

    # ---- history ---------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether a derivative can flow back through this tensor; may be set on leaves."""
        return self.node.op is not constant and self._node.dtype.kind in "fc"

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        node = self.node
        if wanted and node.op is constant:
            self._node = leaf(self, node.value)
        elif not wanted and self.requires_grad:
            if not self.is_leaf:
                raise DerivativeError(
                    "you can only change requires_grad flags of leaf variables", "use .detach() to stop the gradient"
                )
            self._node = Node(constant, (), NO_PARAMS, node.value)
        if self._view.__class__ is Shared:
            self.storage.hold(self._node)

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user, not computed."""
        return self.node.op in (constant, variable) or not self.requires_grad

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward()` has collected here; None before."""
        return self._grad

    @grad.setter
    def grad(self, given: Any) -> None:
        if given is not None:
            if not isinstance(given, Tensor):
                raise InputError(f"assigned grad is {type(given).__name__}", "assign a tensor, or None")
            if given.shape != self.shape or given.dtype != self.dtype:
                raise InputError(
                    f"assigned grad has shape {list(given.shape)} and dtype {given.dtype}, the tensor "
                    f"{list(self.shape)} and {self.dtype}"
                )
        self._grad = given

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Add the derivative of this tensor to the `.grad` of every leaf that it was computed from.

        Args:
            gradient: the cotangent, of this tensor's shape; 1 for a single entry when left out.
            retain_graph: keep the graph for another call.
            create_graph: record the backward pass too, so that `.grad` can be differentiated.
            inputs: the leaves to collect in; all when left out.

        Raises:
            DerivativeError: nothing to differentiate, not a scalar, a graph that is already freed, or values that the
                backward pass needs and that have been changed in place.
        """
        run_backward(self, gradient, retain_graph, create_graph, inputs)

    def accumulate(self, gradient: Any) -> None:
        """Add to `.grad`, in place where it exists."""
        given = (
            gradient
            if isinstance(gradient, Tensor)
            else Tensor(Node(constant, (), NO_PARAMS, np.array(plain(gradient))[()]))
        )
        if self._grad is None:
            self._grad = given
        else:
            total = (self._grad + given).node
            if self._grad._view is None:
                self._grad._node = total
            else:
                move(self._grad, total, self._grad.node)

    def retain_grad(self) -> None:
        """Let `backward()` collect the gradient of this computed tensor as well."""
        if not self.requires_grad:
            raise DerivativeError("can't retain_grad on Tensor that has requires_grad=False")
        if not self.is_leaf:
            RETAINED[self.node] = weakref.ref(self)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the collected gradient."""
        if set_to_none or self._grad is None:
            self._grad = None
        else:
            if self._grad.requires_grad:
                self._grad.detach_()
            self._grad.zero_()

    # ---- out of the graph ------------------------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same memory without history."""
        node = self.node
        if tracing():
            return view(self, ar.stop_gradient)
        tie: Any = self._view
        if a_view(tie):
            require_tied(self)
            return Tensor(Node(constant, (), NO_PARAMS, node.value), tied(tie, tie.base.detach()))
        storage = self.storage
        made = Tensor(Node(constant, (), NO_PARAMS, node.value))
        made._view = Shared(storage)  # type: ignore[assignment]
        storage.hold(made._node)
        return made

    def detach_(self) -> Tensor:
        """Leave the history behind, in place."""
        node = self.node
        if a_view(self._view):
            raise DerivativeError("can't detach views in-place", "use detach() instead")
        if self._view is not None and any(n is not node and n.op is not constant for n in self.storage.alive()):
            raise DerivativeError("can't detach in place a tensor of which there are views", "use detach() instead")
        self._node = Node(constant, (), NO_PARAMS, node.value)
        if self._view is not None:
            self.storage.hold(self._node)
        return self

    @property
    def data(self) -> Tensor:
        """The same memory without history. A tensor that is assigned here lends its memory to this one."""
        return self.detach()

    @data.setter
    def data(self, values: Any) -> None:
        given = (
            values if isinstance(values, Tensor) else Tensor(Node(constant, (), NO_PARAMS, np.array(plain(values))[()]))
        )
        if tracing():
            take(self, given.node.value)
            return
        if self._view is not None and given.storage is self.storage:
            if given._view.__class__ is Shared and self._view.__class__ is Shared:
                return  # x.data = x.data
            raise InputError("a tensor cannot be given a part of its own memory", "take a copy: x.data = y.clone()")
        overwrite(self.node)
        source = given.detach()
        if self.node.op is variable and given.dtype.kind not in "fc":
            raise InputError(f"a tensor that requires a gradient cannot have data of dtype {given.dtype}")
        self._view = source._view
        take(self, source.node.value)

    def item(self) -> Any:
        """The single entry as a Python number."""
        if self.numel() != 1:
            raise ShapeError(
                f"a Tensor with {self.numel()} elements cannot be converted to Scalar",
                "index it first, or use .tolist()",
            )
        return np.asarray(self.value).reshape(()).item()

    def tolist(self) -> Any:
        """The entries as nested lists of Python numbers."""
        return np.asarray(self.value).tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """The memory of a tensor that does not require a gradient, as a NumPy array: each sees what the other writes.

        Args:
            force: the values of any tensor, without its history.
        """
        if self.requires_grad:
            if force:
                return self.detach().numpy()
            raise TraceError(
                "can't call numpy() on Tensor that requires grad: the derivative would be lost", "use .detach().numpy()"
            )
        if tracing():
            return np.array(self.value)
        return self._memory()

    def _memory(self) -> Any:
        self.node  # noqa: B018  # read what has changed
        tie: Any = self._view
        if not a_view(tie):
            return self.storage.export()
        tie.seen = None
        return np.asarray(part_of(tie, tie.base._memory()))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        found = self.numpy()
        if dtype is not None and found.dtype != dtype:
            return found.astype(dtype)
        return np.array(found) if copy else found

    def clone(self, *, memory_format: Any = None) -> Tensor:
        """A copy with the same history and memory of its own."""
        if memory_format is not None:
            raise InputError("clone: memory_format is not supported: memory has one layout here")
        node = self.node
        return record(ar.alias, (self,), known=None if tracing() else np.array(settled(node.value))[()])

    __copy__, __deepcopy__, __reduce__ = shallow, deep, pickled

    # ---- what it is ------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The lengths of its axes."""
        return Size(self.node.shape)

    def size(self, dim: int | None = None) -> Any:  # type: ignore[override]
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of axes."""
        return len(self.node.shape)

    ndimension = dim

    def numel(self) -> int:
        """The number of entries."""
        return int(np.prod(self.node.shape))

    nelement = numel

    @property
    def itemsize(self) -> int:
        """The bytes of an entry."""
        return self.dtype.itemsize

    def element_size(self) -> int:
        """The bytes of an entry."""
        return self.dtype.itemsize

    @property
    def device(self) -> Any:
        """Where it is: on the CPU."""
        return devices.CPU

    @property
    def is_cuda(self) -> bool:
        """False: it is on the CPU."""
        return False

    def is_contiguous(self) -> bool:
        """Whether its entries lie in memory one after another."""
        return bool(np.asarray(self.value).flags.c_contiguous)

    def contiguous(self) -> Tensor:
        """The tensor itself, or a copy whose entries lie one after another."""
        return self if tracing() or self.is_contiguous() else self.clone()

    def __len__(self) -> int:
        if not self.node.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.node.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.node.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise ShapeError(
                f"Boolean value of Tensor with {'more than one value' if self.numel() else 'no values'} is ambiguous",
                "use .any() or .all()",
            )
        return super().__bool__()

    def __float__(self) -> float:  # type: ignore[override]
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:  # type: ignore[override]
        return complex(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.numel() != 1:
            raise InputError("only integer tensors of a single element can be converted to an index")
        return operator.index(self.item())

    def __contains__(self, x: Any) -> bool:
        return bool((self == x).any())

    __repr__ = shown
    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    # ---- indexing --------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        template, arrays = index_parts(index)
        if arrays:
            return record(ix.getitem, (self, *arrays), {"index": template})
        return view(self, ix.getitem, index=template)

    __setitem__ = put

    # ---- operators -------------------------------------------------------------------------------------------

    __add__, __radd__, __iadd__ = binary(ar.add), binary(ar.add, True), in_place_operator("add_")
    __mul__, __rmul__, __imul__ = binary(ar.multiply), binary(ar.multiply, True), in_place_operator("mul_")
    __sub__, __rsub__, __isub__ = binary(ar.subtract), binary(ar.subtract, True), in_place_operator("sub_")
    __truediv__ = binary(ar.divide, bring=floating)
    __rtruediv__, __itruediv__ = binary(ar.divide, True, bring=floating), in_place_operator("div_")
    __pow__, __ipow__ = twin("pow"), in_place_operator("pow_")
    __gt__, __ge__, __lt__, __le__ = map(twin, ("gt", "ge", "lt", "le"))
    __matmul__, __imatmul__ = twin("matmul"), None
    __floordiv__, __mod__, __ifloordiv__, __imod__ = (
        twin("floor_divide"), twin("remainder"), in_place_operator("floor_divide_"), in_place_operator("remainder_")
    )  # fmt: skip
    __and__, __or__, __xor__ = twin("bitwise_and"), twin("bitwise_or"), twin("bitwise_xor")
    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__
    __iand__, __ior__, __ixor__ = (
        in_place_operator("bitwise_and_"),
        in_place_operator("bitwise_or_"),
        in_place_operator("bitwise_xor_"),
    )
    __neg__ = unary(ar.negative)

    __rpow__, __rmatmul__ = twin("pow", True), twin("matmul", True)
    __rfloordiv__, __rmod__ = twin("floor_divide", True), twin("remainder", True)
    __eq__, __ne__ = twin("eq"), twin("ne")
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return namespace.FUNCTIONS["abs"](self)

    def __invert__(self) -> Any:
        return namespace.FUNCTIONS["bitwise_not"](self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise namespace.missing(f"a tensor has no {name!r} here", namespace.METHODS, name)

    vars().update(namespace.METHODS)
    vars().update({name: namespace.in_place_method(name, in_place) for name in namespace.IN_PLACE})
    vars().update({name: namespace.absent(name) for name in namespace.NUMPYS})
