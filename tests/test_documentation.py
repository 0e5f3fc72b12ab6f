"""Every example in the documents and the docstrings runs and prints what it says; the tour writes its pictures."""

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule

ROOT = Path(__file__).parent.parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = [m.name for m in pkgutil.walk_packages(chainrule.__path__, "chainrule.") if not m.name.endswith("__main__")]


def run(test):
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    report: list[str] = []
    runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_document(path):
    text = path.read_text(encoding="utf-8").replace("```", "")
    run(doctest.DocTestParser().get_doctest(text, {}, path.name, str(path), 0))


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs={"np": np, "cr": chainrule}):
        if test.examples:
            run(test)


def test_links_lead_somewhere():
    import re

    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_tour():
    done = subprocess.run([sys.executable, str(ROOT / "examples" / "tour.py")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for text in ("g = x + y", "21016", "17324", "invden = 1 / den", "C7.16: 100 epochs"):
        assert text in done.stdout
    for name in ("D2", "D4a", "D4c", "D4d", "A9", "C7.12"):
        assert (ROOT / "tour" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (ROOT / "tour" / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")
    figures = {"digits, two hidden layers": 0.97, "digits, convolutional": 0.985}
    for name, least in figures.items():
        line = next(line for line in done.stdout.splitlines() if line.startswith(name))
        assert float(line.split("validation metric ")[1].split()[0]) >= least
