"""Generators of cases at the seams, each with a judge: what must be equal, or refused."""

from pathlib import Path

NAMES = ("programs", "options", "jitted", "printed", "statements", "formulas")
GENERATORS = tuple(n for n in NAMES if Path(__file__).with_name(f"{n}.py").exists())
