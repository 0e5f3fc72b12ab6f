"""Drawn numbers: under `jit` they are inputs, which the compiled program fills anew at every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir.node import Node
from ..ir.op import drawn
from ..ir.recording import state
from .array import recording_kind


def draw(sample: Callable[[], Any]) -> Any:
    """The numbers that `sample` gives."""
    if state.observed is None:
        return sample()
    node = Node(drawn, (), {"draw": sample}, sample())
    state.observed[node] = "drawn"
    return recording_kind()(node)
