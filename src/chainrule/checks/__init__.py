"""Judging derivatives: gradients, backward passes written by hand, the first NaN, where a gradient is blocked."""
