"""Devices: there is one, the CPU. Others are refused by name."""

from __future__ import annotations

from typing import Any

from ..errors import InputError


class device:
    """Where tensors live: `device("cpu")`."""

    __slots__ = ("index", "type")

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        name = type.type if isinstance(type, device) else str(type)
        kind, _, number = name.partition(":")
        if kind != "cpu":
            raise InputError(f"there is no device {name!r}: tensors live on the CPU", "use torch.device('cpu')")
        self.type = kind
        self.index = index if index is not None else int(number) if number else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and self.type == other.type

    def __hash__(self) -> int:
        return hash(self.type)

    def __repr__(self) -> str:
        return f"device(type={self.type!r})"

    def __str__(self) -> str:
        return self.type


CPU = device()


def on_cpu(x: Any) -> None:
    """Raise unless a device is the CPU, or left open."""
    if x is not None:
        device(x)


def is_device(x: Any) -> bool:
    """Whether an argument of `to` names a device, rather than a dtype."""
    return isinstance(x, (device, str))


def is_available() -> bool:
    """False: there is no such device here."""
    return False


def device_count() -> int:
    """None of them."""
    return 0
