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
from ..ops.shape import cast
from ..trace.array import Array
from ..trace.handles import dtype_of, plain, written
from . import devices, names
from .autograd import RETAINED, run_backward
from .operators import binary, collects, in_place, in_place_operator, index_parts, known, part_shape, twin, unary
from .promotion import CATEGORY, Default, converted, dtype_named, floating, number_dtype
from .storage import Shared, Storage, overwrite, tracing
from .views import a_view, part_of, read, tied, view


class Size(tuple[int, ...]):
    """The lengths of a tensor's axes."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of entries."""
        return int(np.prod(self))

    def __getitem__(self, k: Any) -> Any:
        found = super().__getitem__(k)
        return Size(found) if isinstance(found, tuple) else found

    def __add__(self, other: Any) -> Any:
        return Size(super().__add__(tuple(other)))

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"


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
                self._take(tie.storage.values)
        elif tie.base.node is not tie.seen and not self._left_behind(tie):
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

    def _left_behind(self, tie: View) -> bool:
        """Whether the tensor that this is a view of has other memory since (`x.data = y`), and this one the old."""
        base: Any = tie.base
        return not tracing() and hasattr(self, "_root") and base.storage is not self._root

    def _still_tied(self) -> None:
        """Raise where the memory of a view can no longer be reached."""
        tie: Any = self._view
        if a_view(tie) and self._left_behind(tie):
            raise InputError(
                "the tensor that this is a view of has other memory since (x.data = y)", "take a copy: x.clone()"
            )

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

    def _take(self, values: Any) -> None:
        """Move to a node with other values and the same history."""
        old = self._node
        if old.op is constant or old.op is variable:
            self._node = Node(old.op, (), old.params, values)
        else:
            self._node = Node(ar.alias, (old,), NO_PARAMS, values)
        tie: Any = self._view
        if tie.__class__ is Shared:
            tie.storage.hold(self._node)

    def may_change(self) -> Node:
        """The node to be replaced by an in-place operation, where one is allowed."""
        node = self.node
        self._still_tied()
        if state.recording:
            if collects(node):
                raise DerivativeError(
                    "a leaf Variable that requires grad is being used in an in-place operation",
                    "do it inside `with torch.no_grad():`",
                )
            base: Any = self
            while a_view(base._view):
                base = base._view.base
            if base is not self and collects(base.node):
                raise DerivativeError(
                    "a view of a leaf Variable that requires grad is being used in an in-place operation",
                    "do it inside `with torch.no_grad():`, or change a copy: x.clone()",
                )
        return node

    def become(self, new: Any, old: Node) -> None:
        """Take the value and the history of `new` in place; what was recorded from the node `old` has lost its values."""
        shape, dtype = old.shape, old.dtype
        if new.shape != shape:
            raise ShapeError(
                f"output with shape {list(shape)} doesn't match the broadcast shape {list(new.shape)}",
                "write x = x + y instead of x += y",
            )
        if new.dtype != dtype:
            if CATEGORY[new.dtype.kind] > CATEGORY[dtype.kind]:
                raise InputError(
                    f"result type {new.dtype} can't be cast to the desired output type {dtype}",
                    "write x = x + y instead of x += y, or convert first",
                )
            new = record(cast, (new,), {"dtype": dtype})
        tie: Any = self._view
        if a_view(tie):
            if getattr(tie, "read_only", False):
                raise InputError(
                    f"writing into the result of {tie.op.name} is not supported, though torch writes through it",
                    "write into the tensor itself, by an index",
                )
            base = tie.base
            self._node = old
            base.become(written(tie, new), base.node)
            tie.seen = None  # read anew: NumPy may hold the memory
            overwrite(old)
            return
        node = new.node
        if collects(old):
            node = Node(variable, (), old.params, node.value)
        elif not state.recording and old.op is not constant and not tracing():
            node = Node(ar.alias, (old,), NO_PARAMS, node.value)  # the history stays as it was
        elif node is old or node.op is variable:
            node = Node(constant, (), NO_PARAMS, node.value)
        self._move(node, old)

    def _move(self, node: Node, old: Node) -> None:
        self._node = node
        tie: Any = self._view
        if tie is None or tracing():
            overwrite(old)
            return
        if a_view(tie):  # written into the memory that it is a part of
            with setting(recording=False):
                tie.base.become(written(tie, Tensor(Node(constant, (), NO_PARAMS, node.value))), tie.base.node)
            tie.seen = None
            overwrite(old)
            return
        storage = tie.storage
        storage.change(node.value)
        overwrite(old)
        node.value = storage.values
        storage.hold(node)
        tie.seen = storage.version

    def assign(self, new: Handle) -> None:
        """In-place change; a leaf that requires a gradient may be changed under `no_grad` only."""
        self.become(new, self.may_change())

    def _collect_here(self, value: Any) -> None:
        """Take other values in place, as a leaf that collects a gradient. The node knows its tensor without keeping it alive."""
        old = self.node
        if old.op is variable and old.value.dtype is value.dtype:
            self._move(Node(variable, (), old.params, value), old)
            return
        if dtype_of(value).kind not in "fc":
            raise InputError(
                f"only Tensors of floating point and complex dtype can require gradients; this one is {dtype_of(value)}",
                "make it floating point, with dtype=torch.float32",
            )
        self._move(Node(variable, (), {"owner": weakref.ref(self)}, value), old)

    def _cast(self, dtype: Any) -> None:
        """Change the dtype of a leaf in place."""
        values = np.asarray(self.value).astype(dtype)[()]
        self._view = None
        self._node = Node(self._node.op, (), self._node.params, values)

    # ---- history ---------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether a derivative can flow back through this tensor; may be set on leaves."""
        return self.node.op is not constant and self._node.dtype.kind in "fc"

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        node = self.node
        if wanted and node.op is constant:
            if node.dtype.kind not in "fc":
                raise InputError(
                    f"only Tensors of floating point and complex dtype can require gradients; this one is {node.dtype}",
                    "make it floating point, with dtype=torch.float32",
                )
            self._node = Node(variable, (), {"owner": weakref.ref(self)}, node.value)
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
                self._grad._move(total, self._grad.node)

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
            self._still_tied()
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
        given = values if isinstance(values, Tensor) else tensor(np.asarray(plain(values)))
        if tracing():
            self._take(given.node.value)
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
        self._take(source.node.value)

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

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise DerivativeError(
                "only Tensors created explicitly by the user support the deepcopy protocol", "copy x.detach() instead"
            )
        node = self.node
        if self._view.__class__ is Shared:  # what shared memory does so in the copy
            shared = Shared(memo.get(id(self.storage)) or self.storage.__deepcopy__(memo))
            memo.setdefault(id(memo), []).append(self.storage)  # as copy.deepcopy keeps alive what it numbers
            made = Tensor(Node(constant, (), NO_PARAMS, shared.storage.values))
            made._view = shared  # type: ignore[assignment]
            shared.storage.hold(made._node)
        else:
            made = Tensor(Node(constant, (), NO_PARAMS, np.array(node.value)[()]))
        memo[id(self)] = made
        made.requires_grad = self.requires_grad
        made.is_parameter = self.is_parameter
        if self._grad is not None:
            made._grad = self._grad.__deepcopy__(memo)
        return made

    def __copy__(self) -> Tensor:
        if not self.is_leaf:
            raise DerivativeError(
                "only Tensors created explicitly by the user can be copied", "use x.clone(), or x.detach()"
            )
        made = self.detach()
        made.requires_grad, made.is_parameter = self.requires_grad, self.is_parameter
        return made

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise DerivativeError("a tensor with a history cannot be pickled", "pickle x.detach() instead")
        return _rebuilt, (np.array(self.value), self.requires_grad, self.is_parameter)

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

    def is_floating_point(self) -> bool:
        """Whether its entries are floats."""
        return self.dtype.kind == "f"

    def is_complex(self) -> bool:
        """Whether its entries are complex."""
        return self.dtype.kind == "c"

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

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = np.asarray(self.value)
        whole = values.dtype.kind != "f" or bool(np.all(~np.isfinite(values) | (values == np.round(values))))
        text = np.array2string(
            values, separator=", ", prefix="tensor(", precision=4, floatmode="maxprec" if whole else "fixed"
        )
        if self.dtype not in (Default.dtype, np.int64, np.bool_):
            text += f", dtype=torch.{self.dtype}"
        if self.node.op is variable:
            text += ", requires_grad=True"
        elif self.requires_grad:
            text += f", grad_fn=<{self.node.op.name}>"
        return f"Parameter containing:\ntensor({text})" if self.is_parameter else f"tensor({text})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    # ---- indexing --------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        template, arrays = index_parts(index)
        if arrays:
            return record(ix.getitem, (self, *arrays), {"index": template})
        return view(self, ix.getitem, index=template)

    def __setitem__(self, index: Any, value: Any) -> None:
        template, arrays = index_parts(index)
        tie: Any = value._view if isinstance(value, Handle) else None
        if a_view(tie) and tie.base is self and tie.op is ix.getitem and tie.params["index"] == template:
            return  # the end of a[i] += v: the view has written through already
        if not known(value):
            raise InputError(f"can't assign a {type(value).__name__} to a tensor", "assign a number or a tensor")
        dtype = self.dtype
        kind = number_dtype(value)
        if (kind or value.dtype).kind == "c" and dtype.kind != "c":
            raise InputError(f"a complex value cannot go into a tensor of dtype {dtype}")

        def put(x: Any) -> Any:
            new = converted(value, dtype)
            lead = len(np.shape(new)) - len(part_shape(x, template, arrays))
            if lead > 0 and not isinstance(new, (int, float)):
                new = names.FUNCTIONS["reshape"](new, np.shape(new)[lead:])  # axes of length one in front
            return record(ix.index_set, (x, new, *arrays), {"index": template})

        in_place(put, self, (), {})

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

    def __rpow__(self, other: Any) -> Any:
        return names.FUNCTIONS["pow"](other, self) if known(other) else NotImplemented

    def __rmatmul__(self, other: Any) -> Any:
        return names.FUNCTIONS["matmul"](other, self) if known(other) else NotImplemented

    def __rfloordiv__(self, other: Any) -> Any:
        return names.FUNCTIONS["floor_divide"](other, self) if known(other) else NotImplemented

    def __rmod__(self, other: Any) -> Any:
        return names.FUNCTIONS["remainder"](other, self) if known(other) else NotImplemented

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return names.FUNCTIONS["abs"](self)

    def __invert__(self) -> Any:
        return names.FUNCTIONS["bitwise_not"](self)

    def __eq__(self, other: Any) -> Any:
        return names.FUNCTIONS["eq"](self, other) if known(other) else NotImplemented

    def __ne__(self, other: Any) -> Any:
        return names.FUNCTIONS["ne"](self, other) if known(other) else NotImplemented

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise names.missing(f"a tensor has no {name!r} here", names.METHODS, name)

    vars().update(names.METHODS)
    vars().update({name: names.in_place_method(name, in_place) for name in names.IN_PLACE})
    vars().update({name: names.absent(name) for name in names.NUMPYS})


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A tensor with a copy of `data`.

    Args:
        data: a number, nested lists, an array or a tensor (whose history is left behind).
        dtype: as for NumPy. When left out, arrays keep theirs; Python floats become float32, as in torch.
        device: only the CPU.
        requires_grad: whether `backward()` is to collect a gradient here.
        pin_memory: has no meaning on the CPU; must be False.

    >>> u = tensor(3.0, requires_grad=True)
    >>> loss = (u * u).sin(); loss.backward(); u.grad
    tensor(-5.4668)
    """
    devices.on_cpu(device)
    if pin_memory:
        raise InputError("tensor: there is no memory to pin without an accelerator", "leave pin_memory out")
    values = _values(data)
    if dtype is None:
        if (
            values.dtype.kind in "fc"
            and not isinstance(data, (Handle, np.ndarray, np.generic))
            and not _holds_arrays(data)
        ):
            values = values.astype(Default.dtype if values.dtype.kind == "f" else np.result_type(Default.dtype, 1j))
        elif not values.size and not isinstance(data, (Handle, np.ndarray)):
            values = values.astype(Default.dtype)
        dtype_named(values.dtype)
    else:
        wanted = dtype_named(dtype)
        with np.errstate(all="ignore"):
            values = values.astype(wanted)
    made = Tensor(Node(constant, (), NO_PARAMS, values[()]))
    if requires_grad:
        made.requires_grad = True
    return made


def _holds_arrays(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic, Handle))


def _values(data: Any) -> np.ndarray[Any, Any]:
    """A fresh array of the numbers in nested lists, in which tensors may stand."""

    def bare(x: Any) -> Any:
        return (
            [bare(i) for i in x]
            if isinstance(x, (list, tuple))
            else np.asarray(x.value)
            if isinstance(x, Handle)
            else x
        )

    try:
        values = np.array(bare(data))
    except ValueError as error:
        raise ShapeError(f"expected sequences of equal length: {error}", "make all rows equally long") from None
    if values.dtype.kind not in "fciub":
        raise InputError(
            f"could not infer dtype of {type(data).__name__}: it holds something that is no number",
            "give numbers, nested lists of numbers, or arrays",
        )
    return values


def _rebuilt(values: Any, requires_grad: bool, is_parameter: bool) -> Tensor:
    """A tensor that was pickled."""
    made = tensor(values, requires_grad=requires_grad)
    made.is_parameter = is_parameter
    return made
