"""Module: parameters by attribute, nested, with names; and the same module as a pure function of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import InputError, ShapeError
from ..tensors import changing
from ..tensors.creation import tensor
from ..tensors.namespace import asked
from ..tensors.tensor import Tensor
from ..trace.handles import plain


class _Marked(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.is_parameter


class Parameter(metaclass=_Marked):
    """A tensor that a module registers as its parameter when it is assigned as an attribute."""

    def __new__(cls, data: Any, requires_grad: bool = True) -> Tensor:  # type: ignore[misc]
        made = tensor(data, requires_grad=requires_grad)
        made.is_parameter = True
        return made


class IncompatibleKeys(NamedTuple):
    """What did not fit in `load_state_dict(strict=False)`."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A part of a network: parameters, buffers (values that are saved but not trained), and modules inside.

    Subclasses assign parameters and modules as attributes in `__init__`, and write `forward`.

    >>> from chainrule.torch import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(2, 3)
    ...         self.out = nn.Linear(3, 1)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).tanh())
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    training: bool
    changes: ClassVar[list[int]] = [0]  # how often an attribute of any module was set: who keeps what is derived from
    # modules sees by this one number that nothing changed

    def __init__(self) -> None:
        d = self.__dict__
        d["_parameters"], d["_buffers"], d["_modules"], d["_transient"] = {}, {}, {}, set()
        d["_compiled"] = {}  # programs made of this module by `train`; not part of what it is
        d["training"] = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses define it."""
        raise InputError(f"{type(self).__name__} has no forward", "define forward(self, x)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    # ---- attributes ----------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        Module.changes[0] += 1
        d = self.__dict__
        if "_parameters" not in d:
            if isinstance(value, (Module, Parameter)):
                raise InputError(
                    f"{type(self).__name__} assigns {name!r} before its __init__ has called super().__init__()",
                    "make super().__init__() the first line of __init__",
                )
            super().__setattr__(name, value)
            return
        for kind, registered in ((Parameter, d["_parameters"]), (Module, d["_modules"])):
            if isinstance(value, kind):
                self.__delattr__(name, missing_ok=True)
                registered[name] = value
                return
            if name in registered:
                if value is not None and kind is Parameter:
                    raise InputError(
                        f"{type(self).__name__}.{name} is a parameter, and {type(value).__name__} is not",
                        "wrap it: nn.Parameter(...), or change the values under no_grad with .copy_()",
                    )
                registered.pop(name)
        if name in d["_buffers"]:
            d["_buffers"][name] = value
            return
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        d = self.__dict__
        for registered in ("_parameters", "_buffers", "_modules"):
            if name in d.get(registered, ()):
                return d[registered][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str, missing_ok: bool = False) -> None:
        Module.changes[0] += 1
        for registered in (self._parameters, self._buffers, self._modules, self.__dict__):
            if name in registered:
                del registered[name]
                return
        if not missing_ok:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def register_parameter(self, name: str, parameter: Any) -> None:
        """Add a parameter.

        Args:
            name: as an attribute, without dots.
            parameter: a `Parameter`, or None to leave its place empty.
        """
        if parameter is None:
            Module.changes[0] += 1
            self._parameters[name] = None
        else:
            setattr(self, name, parameter)

    def register_buffer(self, name: str, value: Any, persistent: bool = True) -> None:
        """Add a value that is not trained, such as a running mean.

        Args:
            name: as an attribute, without dots.
            value: an array or a tensor, or None to leave its place empty.
            persistent: whether it is saved with the module.
        """
        Module.changes[0] += 1
        self._buffers[name] = value if value is None or isinstance(value, Tensor) else tensor(value)
        if not persistent:
            self._transient.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a module inside.

        Args:
            name: as an attribute, without dots.
            module: it, or None to leave its place empty.
        """
        if not (module is None or isinstance(module, Module)):
            raise InputError(
                f"{type(module).__name__} is not a Module", "for a function, write a Module with it as its forward"
            )
        Module.changes[0] += 1
        self._modules[name] = module

    register_module = add_module

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_compiled": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # ---- walking -------------------------------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all inside, each once, with their dotted names."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            inside = [(f"{name}.{k}" if name else k, m) for k, m in module._modules.items() if m is not None]
            stack += inside[::-1]

    def modules(self) -> Iterator[Module]:
        """This module and all inside."""
        return (m for _, m in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, with their names."""
        return ((k, m) for k, m in self._modules.items() if m is not None)

    def children(self) -> Iterator[Module]:
        """The modules directly inside."""
        return (m for _, m in self.named_children())

    def _named(self, registered: str, prefix: str, recurse: bool = True) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for name, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for k, value in getattr(module, registered).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{name}.{k}" if name else k), value

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All parameters with their dotted names; one that is shared comes once.

        Args:
            prefix: put before every name.
            recurse: whether those of modules inside are meant too.
        """
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """All parameters."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names.

        Args:
            prefix: put before every name.
            recurse: whether those of modules inside are meant too.
        """
        return self._named("_buffers", prefix, recurse)

    def buffers(self) -> Iterator[Tensor]:
        """All buffers."""
        return (b for _, b in self.named_buffers())

    # ---- modes ---------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Any:
        """Training mode, in which dropout drops and batch normalisation uses the batch."""
        for m in self.modules():
            m.training = mode
        return self

    def eval(self) -> Any:
        """Evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Whether the parameters are trained."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            p.zero_grad(set_to_none)

    def apply(self, function: Callable[[Module], Any]) -> Any:
        """Call a function on every module, those inside first."""
        for m in [*self.modules()][::-1]:
            function(m)
        return self

    def to(
        self, *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False, memory_format: Any = None
    ) -> Any:
        """The parameters and floating-point buffers in another dtype, in place.

        Args:
            args: as for `Tensor.to`: a dtype, a device, both, or a tensor of that dtype.
            device: the CPU, the only one.
            dtype: the same by name.
            non_blocking: makes no difference on the CPU.
            memory_format: not supported.
        """
        dtype, _ = asked(args, dtype, device, False, memory_format)
        if dtype is not None:
            if dtype.kind not in "fc":
                raise InputError(
                    f"a module has parameters of floating point; .to() got {dtype}", "give torch.float32 or float64"
                )
            for m in self.modules():
                for value in (*m._parameters.values(), *m._buffers.values()):
                    if value is not None and value.dtype.kind == "f":
                        changing.cast(value, dtype)
        return self

    def cpu(self) -> Any:
        """On the CPU, where it is."""
        return self

    def type(self, dst_type: Any) -> Any:
        """In another dtype."""
        return self.to(dtype=dst_type)

    def double(self) -> Any:
        """In float64."""
        return self.to(np.float64)

    def float(self) -> Any:
        """In float32."""
        return self.to(np.float32)

    # ---- saving --------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """The values of all parameters and buffers by name, without history, under torch's names."""
        found: dict[str, Tensor] = {}
        for name, module in self._all_named():
            for k, value in (*module._parameters.items(), *module._buffers.items()):
                if value is not None and k not in module._transient:
                    found[f"{name}.{k}" if name else k] = value.detach()
        return found

    def _all_named(self) -> Iterator[tuple[str, Module]]:
        """Every module under every name, so that what is shared is saved under each, as torch does."""
        stack: list[tuple[str, Module]] = [("", self)]
        while stack:
            name, module = stack.pop()
            yield name, module
            stack += [(f"{name}.{k}" if name else k, m) for k, m in module._modules.items() if m is not None][::-1]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Take parameters and buffers from a state: tensors, NumPy arrays, or torch tensors. All fit, or nothing changes.

        Args:
            state_dict: by dotted names, as `state_dict()` gives it.
            strict: whether every name must be on both sides.

        Returns:
            the names that are missing there, and those that are unknown here: both empty unless `strict` is False.

        Raises:
            InputError: a name is missing or unknown (with `strict`).
            ShapeError: a value has another shape than the parameter.
        """
        own, state = self.state_dict(), state_dict
        missing = [k for k in own if k not in state]
        unknown = [k for k in state if k not in own]
        if strict and (missing or unknown):
            raise InputError(
                f"the saved state does not fit {type(self).__name__}:"
                + (f" missing {', '.join(missing[:5])}" if missing else "")
                + (";" if missing and unknown else "")
                + (f" unknown {', '.join(unknown[:5])}" if unknown else ""),
                "build the same network as the one that was saved, or pass strict=False",
            )
        new = {
            k: np.asarray(plain(state[k]) if not hasattr(state[k], "detach") else _array(state[k]))
            for k in own
            if k in state
        }
        for k, value in new.items():
            if value.shape != own[k].shape:
                raise ShapeError(f"{k} has shape {own[k].shape} in the network and {value.shape} in the saved state")
        for name, module in self._all_named():
            for registered in (module._parameters, module._buffers):
                for k, value in registered.items():
                    full = f"{name}.{k}" if name else k
                    if value is not None and full in new:
                        value.data = new[full].astype(value.dtype)
        return IncompatibleKeys(missing, unknown)

    # ---- showing -------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What the module says of itself between its parentheses."""
        return ""

    def count(self) -> int:
        """The number of trained parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def __repr__(self) -> str:
        count = self.count()
        note = f"  # {count:,} parameters" if count else ""
        inside = [(k, repr(m).splitlines()) for k, m in self._modules.items()]
        if not inside:
            return f"{type(self).__name__}({self.extra_repr()}){note}"
        lines = [f"{type(self).__name__}({self.extra_repr()}{note}"]
        for k, (first, *rest) in inside:
            lines += [f"  ({k}): {first}", *(f"  {line}" for line in rest)]
        return "\n".join([*lines, ")"])


def _array(x: Any) -> Any:
    """The values of one of our tensors, or of one of torch's."""
    return x.detach().value if isinstance(x, Tensor) else x.detach().cpu().numpy()
