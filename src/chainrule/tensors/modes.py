"""Whether what is computed is recorded: torch's context managers, which are decorators as well."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ..ir.recording import state


class _Mode:
    """A block in which recording is on or off."""

    recording: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(state.recording)
        state.recording = self.recording

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state.recording = self._before.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            before, state.recording = state.recording, self.recording
            try:
                return function(*args, **kwargs)
            finally:
                state.recording = before

        return within


class no_grad(_Mode):
    """Record nothing inside: results do not require a gradient, and leaves may be changed in place.

    A context manager, and a decorator, with or without parentheses.
    """

    recording = False

    def __new__(cls, orig_func: Callable[..., Any] | None = None) -> Any:
        made = super().__new__(cls)
        made._before = []
        return made if orig_func is None else made(orig_func)

    def __init__(self, orig_func: Callable[..., Any] | None = None) -> None:
        super().__init__()


class enable_grad(no_grad):
    """Record inside, also within `no_grad`."""

    recording = True


class inference_mode(_Mode):
    """Here the same as `no_grad`."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.recording = state.recording and not mode


class set_grad_enabled(_Mode):
    """Record or not, from here on; as a context manager, until its end."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.recording = mode
        self._first = state.recording
        state.recording = mode

    def __enter__(self) -> None:
        self._before.append(self._first)
        state.recording = self.recording


def is_grad_enabled() -> bool:
    """Whether what is computed is recorded."""
    return state.recording
