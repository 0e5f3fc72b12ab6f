"""Copies of tensors, as Python's `copy` and `pickle` ask for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DerivativeError
from ..ir.node import NO_PARAMS, Node
from ..ir.op import constant
from .storage import Shared


def deep(self: Any, memo: dict[int, Any]) -> Any:
    """A copy with memory of its own; tensors that share memory do so in the copy."""
    if not self.is_leaf:
        raise DerivativeError(
            "only Tensors created explicitly by the user support the deepcopy protocol", "copy x.detach() instead"
        )
    node = self.node
    if self._view.__class__ is Shared:  # what shared memory does so in the copy
        shared = Shared(memo.get(id(self.storage)) or self.storage.__deepcopy__(memo))
        memo.setdefault(id(memo), []).append(self.storage)  # as copy.deepcopy keeps alive what it numbers
        made = type(self)(Node(constant, (), NO_PARAMS, shared.storage.values))
        made._view = shared  # type: ignore[assignment]
        shared.storage.hold(made._node)
    else:
        made = type(self)(Node(constant, (), NO_PARAMS, np.array(node.value)[()]))
    memo[id(self)] = made
    made.requires_grad = self.requires_grad
    made.is_parameter = self.is_parameter
    if self.grad is not None:
        made.grad = deep(self.grad, memo)
    return made


def shallow(self: Any) -> Any:
    """Another tensor of the same memory."""
    if not self.is_leaf:
        raise DerivativeError(
            "only Tensors created explicitly by the user can be copied", "use x.clone(), or x.detach()"
        )
    made = self.detach()
    made.requires_grad, made.is_parameter = self.requires_grad, self.is_parameter
    return made


def pickled(self: Any) -> Any:
    """What is pickled of a tensor: its values, and whether it collects a gradient."""
    if not self.is_leaf:
        raise DerivativeError("a tensor with a history cannot be pickled", "pickle x.detach() instead")
    return _rebuilt, (type(self), np.array(self.value), self.requires_grad, self.is_parameter)


def _rebuilt(kind: Any, values: Any, requires_grad: bool, is_parameter: bool) -> Any:
    made = kind(Node(constant, (), NO_PARAMS, values[()]))
    made.requires_grad, made.is_parameter = requires_grad, is_parameter
    return made
