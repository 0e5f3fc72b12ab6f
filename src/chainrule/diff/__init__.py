"""Derivatives: graphs to graphs."""

from . import bodies

__all__ = ["bodies"]  # importing it registers the rules of operations with bodies
