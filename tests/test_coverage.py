"""The coverage table: every operation has a row without an empty cell, and the page that shows it is fresh."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app
from chainrule.showing import coverage as cv

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"
OPS = cv.covered()


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_no_cell_is_empty(op):
    cells = cv.coverage(op)
    assert list(cells) == list(cv.COLUMNS)
    assert all(cells.values())
    assert cells["value"] == "yes"


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_what_flows_flows_every_way(op):
    """Reverse, forward and second order go together: a rule for one of them alone is half a declaration."""
    cells = cv.coverage(op)
    assert {cells[k] for k in ("reverse", "forward", "second order")} in ({"yes"}, {"nothing flows"})


def test_the_page_is_fresh():
    """After a change: `chainrule ops --output docs/operations.md`."""
    assert PAGE.read_text(encoding="utf-8") == cv.page()


def test_the_command_line_shows_one_operation():
    shown = CliRunner().invoke(app, ["ops", "tanh"]).output
    assert shown.startswith("tanh\n")
    assert "printed NumPy  yes" in shown
    unknown = CliRunner().invoke(app, ["ops", "tanhh"])
    assert unknown.exit_code == 2
    assert "tanh" in unknown.output


def test_a_column_that_fails_says_why():
    use = cv.Use.of(cv.named("tanh"))

    def broken(use):
        raise cv.InputError("nothing works here", "wait")

    assert cv._cell(broken, use) == "nothing works here"
    assert np.shape(use.f(*use.xs)) == (3,)
