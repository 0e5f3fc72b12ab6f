"""Layers: linear maps, containers, regularisation, normalisation, embedding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..diff.transforms import stop_gradient
from ..errors import InputError, ShapeError
from ..ops.shape import cast
from ..tensors.creation import Generator
from ..tensors.devices import on_cpu
from ..tensors.modes import no_grad
from ..tensors.promotion import dtype_named, get_default_dtype
from ..tensors.storage import tracing
from ..tensors.tensor import Tensor
from ..trace.handles import dtype_of
from . import functional as F
from . import init
from .module import Module, Parameter


def empty(*shape: int, device: Any = None, dtype: Any = None) -> Any:
    """A parameter to be filled, of the default dtype unless said."""
    on_cpu(device)
    return Parameter(np.zeros(shape, get_default_dtype() if dtype is None else dtype_named(dtype)))


class Identity(Module):
    """The input as it is. It takes any arguments, so that it can stand for any layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input


class Linear(Module):
    """x W^T + b. Input (..., in_features), output (..., out_features); `weight` is (out_features, in_features).

    Initial values are uniform with bound 1 / sqrt(in_features), as in torch.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = empty(out_features, in_features, device=device, dtype=dtype)
        self.register_parameter("bias", empty(out_features, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        _uniform(self, self.in_features)

    def forward(self, input: Any) -> Any:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def _uniform(module: Module, fan_in: int) -> None:
    """Uniform within 1 / sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    for p in module.parameters(recurse=False):
        init.uniform_(p, -bound, bound)


class Sequential(Module):
    """Modules one after another; give them in order, or as a dict with names."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], dict) else enumerate(args)
        for k, m in named:
            self.add_module(str(k), m)

    def forward(self, input: Any) -> Any:
        for m in self:
            input = m(input)
        return input

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._modules.values()))

    def __len__(self) -> int:
        return len(self._modules)

    def __getitem__(self, idx: Any) -> Any:
        items = list(self._modules.items())
        return Sequential(dict(items[idx])) if isinstance(idx, slice) else items[idx][1]

    def __setitem__(self, idx: int, module: Module) -> None:
        self.add_module(list(self._modules)[idx], module)

    def append(self, module: Module) -> Sequential:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self


class ModuleList(Module):
    """A list of modules whose parameters are registered."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end."""
        for m in modules:
            self.append(m)
        return self

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._modules.values()))

    def __len__(self) -> int:
        return len(self._modules)

    def __getitem__(self, idx: Any) -> Any:
        items = list(self)
        return ModuleList(items[idx]) if isinstance(idx, slice) else items[idx]

    def __setitem__(self, idx: int, module: Module) -> None:
        self.add_module(list(self._modules)[idx], module)


class ModuleDict(Module):
    """A dict of modules whose parameters are registered."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add modules, or put others in their place."""
        for name, m in modules.items():
            self.add_module(name, m)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]  # type: ignore[return-value]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._modules))

    def __len__(self) -> int:
        return len(self._modules)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module | None]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module | None]]:
        """Names and modules."""
        return self._modules.items()


class Residual(Module):
    """x + inner(x)."""

    def __init__(self, *modules: Module) -> None:
        super().__init__()
        self.inner = modules[0] if len(modules) == 1 else Sequential(*modules)

    def forward(self, x: Any) -> Any:
        y = self.inner(x)
        if np.shape(x) != np.shape(y):
            raise ShapeError(
                f"Residual: the inner module turns {np.shape(x)} into {np.shape(y)}, which cannot be added",
                "make its output as wide as its input",
            )
        return x + y


class Flatten(Module):
    """The axes from `start_dim` to `end_dim` made one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        shape = np.shape(input)
        start, stop = self.start_dim % len(shape), self.end_dim % len(shape) + 1
        if start >= stop or not -len(shape) <= self.start_dim < len(shape):
            raise ShapeError(f"Flatten({self.start_dim}, {self.end_dim}) has no axes to join in {tuple(shape)}")
        return np.reshape(input, (*shape[:start], math.prod(shape[start:stop]), *shape[stop:]))


class Unflatten(Module):
    """One axis made into several."""

    def __init__(self, dim: int, unflattened_size: Iterable[int]) -> None:
        super().__init__()
        self.dim, self.size = dim, tuple(unflattened_size)

    def forward(self, x: Any) -> Any:
        shape = np.shape(x)
        at = self.dim % len(shape)
        return np.reshape(x, (*shape[:at], *self.size, *shape[at + 1 :]))


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise InputError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        return f"p={self.p}" + (", inplace=True" if self.inplace else "")


class Dropout(_Dropout):
    """In training, each entry zero with probability p and the others scaled by 1 / (1 - p).

    Args:
        p: the probability.
        inplace: change the input.
        generator: where the random numbers come from; the global generator when left out. (torch has none.)
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        super().__init__(p, inplace)
        self.generator = generator

    def forward(self, input: Any) -> Any:
        return F.dropout(input, self.p, self.training, self.inplace, generator=self.generator)


class Dropout1d(_Dropout):
    """In training, whole channels of (batch, channels, length) zero with probability p."""

    def forward(self, input: Any) -> Any:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """In training, whole channels of (batch, channels, height, width) zero with probability p."""

    def forward(self, input: Any) -> Any:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Embedding(Module):
    """Rows of a table: integers of any shape to (..., embedding_dim). The row `padding_idx` is zero, and not trained."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Any = None,
        _freeze: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if max_norm is not None or scale_grad_by_freq or sparse:
            raise InputError("Embedding: max_norm, scale_grad_by_freq and sparse are not supported", "leave them out")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise InputError(f"Embedding: padding_idx {padding_idx} must be within {num_embeddings} rows")
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        if _weight is None:
            self.weight = init.normal_(empty(num_embeddings, embedding_dim, device=device, dtype=dtype))
            if padding_idx is not None:
                with no_grad():
                    self.weight[padding_idx] = 0
        else:
            if tuple(_weight.shape) != (num_embeddings, embedding_dim):
                raise ShapeError(
                    f"Embedding: the table has shape {tuple(_weight.shape)}, not {num_embeddings, embedding_dim}"
                )
            self.weight = Parameter(_weight)
        if _freeze:
            self.weight.requires_grad = False

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """A table that is given, not to be trained unless `freeze=False`."""
        rows, columns = embeddings.shape
        return cls(rows, columns, padding_idx, _weight=embeddings, _freeze=freeze)

    def forward(self, input: Any) -> Any:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


def _affine(module: Module, shape: Any, weight: bool, bias: bool, device: Any, dtype: Any) -> None:
    """Register a scale of ones and a shift of zeros, or None in the place of one."""
    for name, fill, wanted in (("weight", init.ones_, weight), ("bias", init.zeros_, bias)):
        module.register_parameter(name, fill(empty(*shape, device=device, dtype=dtype)) if wanted else None)


class LayerNorm(Module):
    """Mean 0 and variance 1 along the last axes, then scaled and shifted. Source: Ba et al., 2016."""

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        _affine(self, self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: Any) -> Any:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class RMSNorm(Module):
    """Root mean square 1 along the last axes, then scaled. Source: Zhang and Sennrich, 2019."""

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        _affine(self, self.normalized_shape, elementwise_affine, False, device, dtype)

    def forward(self, x: Any) -> Any:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(Module):
    """Mean 0 and variance 1 over each group of channels of an example. Source: Wu and He, 2018."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None,
        dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise InputError(f"GroupNorm: num_channels {num_channels} must be divisible by num_groups {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        _affine(self, (num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Any) -> Any:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class BatchNorm(Module):
    """Mean 0 and variance 1 for each channel over the batch; in evaluation with the means of training.

    Source: Ioffe and Szegedy, 2015.
    """

    ranks = (2, 3, 4)

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        _affine(self, (num_features,), affine, affine and bias, device, dtype)
        kind = get_default_dtype() if dtype is None else dtype_named(dtype)
        self.register_buffer("running_mean", np.zeros(num_features, kind) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features, kind) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.asarray(0) if track_running_stats else None)

    def forward(self, input: Any) -> Any:
        shape = np.shape(input)
        if len(shape) not in self.ranks or shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}({self.num_features}) got an input of shape {tuple(shape)}",
                f"give (batch, {self.num_features}, ...) with {' or '.join(map(str, self.ranks))} axes",
            )
        if not self.training and self.running_mean is not None:
            return F.normalised(input, self.running_mean, self.running_var, self.weight, self.bias, self.eps)
        mean, var, count = F.batch_moments(input)
        if self.training and self.running_mean is not None:
            self.num_batches_tracked = self.num_batches_tracked + 1
            m: Any = self.momentum
            if m is None:  # the mean of all batches so far
                m = 1.0 / self.num_batches_tracked
            self.running_mean = _moved(self.running_mean, mean, m)
            self.running_var = _moved(self.running_var, var * (count / (count - 1)), m)
        return F.normalised(input, mean, var, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


def _moved(kept: Any, new: Any, share: Any) -> Any:
    """A running value, a share of the way to a new one: of the same dtype, and in the same memory where it has any."""
    kind = dtype_of(kept)
    moved = (1 - share) * kept + share * stop_gradient(new)
    moved = moved if dtype_of(moved) == kind else cast(moved, dtype=kind)
    if isinstance(kept, Tensor) and isinstance(moved, Tensor) and not tracing():
        with no_grad():
            return kept.copy_(moved)
    return moved


class BatchNorm1d(BatchNorm):
    """Batch normalisation of (batch, channels) or (batch, channels, length)."""

    ranks = (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch normalisation of (batch, channels, height, width)."""

    ranks = (4,)
