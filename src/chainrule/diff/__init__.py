"""Derivatives: graphs to graphs."""

from . import batch_rules, kinds

__all__ = ["batch_rules", "kinds"]  # the tables of the ways to batch, and of the rules of each kind
