"""Derivatives: graphs to graphs."""

from . import batch_rules, bodies, custom, loops, primitives

__all__ = ["batch_rules", "bodies", "custom", "loops", "primitives"]  # importing them registers their rules
