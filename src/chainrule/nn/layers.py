"""Layers: linear maps, containers, regularisation, normalisation, embedding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..tensors.creation import Generator
from ..diff.transforms import stop_gradient
from ..errors import ShapeError
from . import functional as F
from . import init
from .module import Module, Parameter


def empty(*shape: int) -> Any:
    """A parameter to be filled."""
    return Parameter(np.zeros(shape, np.float32))


class Identity(Module):
    """The input as it is."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def forward(self, x: Any) -> Any:
        return x


class Linear(Module):
    """x W^T + b. Input (..., in_features), output (..., out_features); `weight` is (out_features, in_features).

    Initial values are uniform with bound 1 / sqrt(in_features), as in torch.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = empty(out_features, in_features)
        self.register_parameter("bias", empty(out_features) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        _uniform(self, self.in_features)

    def forward(self, x: Any) -> Any:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def _uniform(module: Module, fan_in: int) -> None:
    """Uniform within 1 / sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    for p in module.parameters(recurse=False):
        init.uniform_(p, -bound, bound)


class Sequential(Module):
    """Modules one after another; give them in order, or as a dict with names."""

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        named = modules[0].items() if len(modules) == 1 and isinstance(modules[0], dict) else enumerate(modules)
        for k, m in named:
            self.add_module(str(k), m)

    def forward(self, x: Any) -> Any:
        for m in self:
            x = m(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._modules.values()))

    def __len__(self) -> int:
        return len(self._modules)

    def __getitem__(self, k: Any) -> Any:
        items = list(self)
        return Sequential(*items[k]) if isinstance(k, slice) else items[k]

    def append(self, module: Module) -> Sequential:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self


class ModuleList(Module):
    """A list of modules whose parameters are registered."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for m in modules:
            self.append(m)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._modules.values()))

    def __len__(self) -> int:
        return len(self._modules)

    def __getitem__(self, k: int) -> Module:
        return list(self)[k]


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

    def forward(self, x: Any) -> Any:
        shape = np.shape(x)
        start, stop = self.start_dim % len(shape), self.end_dim % len(shape) + 1
        return np.reshape(x, (*shape[:start], math.prod(shape[start:stop]), *shape[stop:]))


class Unflatten(Module):
    """One axis made into several."""

    def __init__(self, dim: int, unflattened_size: Iterable[int]) -> None:
        super().__init__()
        self.dim, self.size = dim, tuple(unflattened_size)

    def forward(self, x: Any) -> Any:
        shape = np.shape(x)
        at = self.dim % len(shape)
        return np.reshape(x, (*shape[:at], *self.size, *shape[at + 1 :]))


class Dropout(Module):
    """In training, each entry zero with probability p and the others scaled by 1 / (1 - p)."""

    def __init__(self, p: float = 0.5, generator: Generator | None = None) -> None:
        super().__init__()
        self.p, self.generator = p, generator

    def forward(self, x: Any) -> Any:
        return F.dropout(x, self.p, self.training, self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Embedding(Module):
    """Rows of a table: integers of any shape to (..., embedding_dim)."""

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = init.normal_(empty(num_embeddings, embedding_dim))

    def forward(self, index: Any) -> Any:
        return F.embedding(index, self.weight)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"


class LayerNorm(Module):
    """Mean 0 and variance 1 along the last axes, then scaled and shifted. Source: Ba et al., 2016."""

    def __init__(self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        for name, fill in (("weight", init.ones_), ("bias", init.zeros_)):
            self.register_parameter(name, fill(empty(*self.normalized_shape)) if elementwise_affine else None)

    def forward(self, x: Any) -> Any:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class BatchNorm(Module):
    """Mean 0 and variance 1 for each channel over the batch; in evaluation with the means of training.

    Source: Ioffe and Szegedy, 2015.
    """

    ranks = (2, 3, 4)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        for name, fill in (("weight", init.ones_), ("bias", init.zeros_)):
            self.register_parameter(name, fill(empty(num_features)) if affine else None)
        self.register_buffer("running_mean", np.zeros(num_features, np.float32) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features, np.float32) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.asarray(0) if track_running_stats else None)

    def forward(self, x: Any) -> Any:
        shape = np.shape(x)
        if len(shape) not in self.ranks or shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}({self.num_features}) got an input of shape {shape}",
                f"give (batch, {self.num_features}, ...) with {' or '.join(map(str, self.ranks))} axes",
            )
        if not self.training and self.running_mean is not None:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.eps)
        axes = (0, *range(2, len(shape)))
        count = math.prod(shape[a] for a in axes)
        if count < 2:
            raise ShapeError(
                f"{type(self).__name__}: one value for each channel has no variance (input {shape})",
                "train with batches of more than one example (drop_last=True), or call eval()",
            )
        mean = np.mean(x, axis=axes)
        var = np.mean((x - np.reshape(mean, (-1,) + (1,) * (len(shape) - 2))) ** 2, axis=axes)
        if self.running_mean is not None:
            m = self.momentum
            kept = self.running_mean.dtype
            self.running_mean = (1 - m) * self.running_mean + m * stop_gradient(mean).astype(kept)
            self.running_var = (1 - m) * self.running_var + m * count / (count - 1) * stop_gradient(var).astype(kept)
            self.num_batches_tracked = self.num_batches_tracked + 1
        return F.batch_norm(x, mean, var, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(BatchNorm):
    """Batch normalisation of (batch, channels) or (batch, channels, length)."""

    ranks = (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch normalisation of (batch, channels, height, width)."""

    ranks = (4,)
