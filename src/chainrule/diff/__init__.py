"""Derivatives: graphs to graphs."""

from . import batch_rules, bodies, custom, loops

__all__ = ["batch_rules", "bodies", "custom", "loops"]  # importing them registers their rules
