"""The command line."""

from . import train_commands
from .app import app

__all__ = ["app", "train_commands"]
