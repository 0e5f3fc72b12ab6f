"""Derivatives: graphs to graphs."""

from . import batch_rules, bodies, control_flow, custom

__all__ = ["batch_rules", "bodies", "control_flow", "custom"]  # importing them registers their rules
