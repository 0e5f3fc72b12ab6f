"""The book of worked problems: it builds, which runs every check in it, and it leaves no problem out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "problems"
PROBLEMS = {
    "a": ["A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9"],
    "b": ["B1a", "B1b", "B2"],
    "c": [f"C7.{k}" for k in range(1, 18)],
    "d": ["D1", "D2", "D3a", "D3b", "D3c", "D4a", "D4c", "D4d"],
    "e": ["E1.2a", "E1.2b", "E1.2d", "E1.3", "E1.4a", "E1.4c", "E1.4d", "E1.4e"],
}


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    out = tmp_path_factory.mktemp("book")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return out


def test_the_book_builds_and_every_answer_in_it_is_verified(book):
    for page in (*PROBLEMS, "index", "errata"):
        text = (book / f"{page}.html").read_text(encoding="utf-8")
        assert "Traceback" not in text
        assert "DISAGREES" not in text
    for page in PROBLEMS:
        assert "<svg" in (book / f"{page}.html").read_text(encoding="utf-8")


def test_formulas_are_mathml_without_leftovers(book):
    for page in PROBLEMS:
        for formula in re.findall(r"<math.*?</math>", (book / f"{page}.html").read_text(encoding="utf-8"), re.S):
            assert "\\" not in formula


@pytest.mark.parametrize("page", PROBLEMS)
def test_every_problem_has_a_section_and_an_independent_check(page):
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    heads = " ".join(s.splitlines()[0] for s in sections)
    for problem in PROBLEMS[page]:
        assert re.search(rf"\b{re.escape(problem)}\b", heads), f"{problem} has no section"
    for section in sections:
        assert "assert " in section, f"{section.splitlines()[0]} checks nothing"


def test_the_errata_are_quoted_and_refuted():
    text = (PAGES / "errata.md").read_text(encoding="utf-8")
    for where in ("A1", "A3", "A4", "A9", "B1b", "C7.1", "C7.10", "C7.15", "D1c", "D3b", "E1.3b"):
        assert where in text
