"""Data sets, loaders and readers, with names as torch has them."""

from . import data

__all__ = ["data"]
