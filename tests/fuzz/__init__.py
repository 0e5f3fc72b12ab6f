"""Generators of cases at the seams, each with a judge: what must be equal, or refused."""

import importlib.util

NAMES = ("programs", "options", "jitted", "printed", "statements", "formulas")
BESIDE_TORCH = ("memory",) if importlib.util.find_spec("torch") else ()  # whose judge is torch
GENERATORS = (*NAMES, *BESIDE_TORCH)
