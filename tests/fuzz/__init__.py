"""Generators of cases at the seams, each with a judge: what must be equal, or refused."""

import importlib.util
from pathlib import Path

NAMES = ("programs", "options", "jitted", "printed", "statements")
BESIDE_TORCH = ("memory",) if importlib.util.find_spec("torch") else ()  # whose judge is torch
GENERATORS = tuple(n for n in (*NAMES, *BESIDE_TORCH) if Path(__file__).with_name(f"{n}.py").exists())
