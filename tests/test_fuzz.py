"""A slice of every generator, from a fixed seed; `make fuzz` runs them for as long as asked."""

import pytest
from fuzz import GENERATORS
from fuzz.harness import AGREED, run, shown

EXAMPLES = {
    "programs": 300,
    "options": 400,
    "jitted": 150,
    "printed": 120,
    "statements": 1000,
    "formulas": 200,
    "memory": 400,
}
SLICES = 2  # of each, so that two processes share the work
LEAST = 0.4  # the share that must agree: a generator whose cases are all refused tests nothing


@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("name", GENERATORS)
def test_no_generated_case_is_silently_wrong(name, part):
    tally = run(name, 7 + part, EXAMPLES[name] // SLICES)
    assert tally[AGREED] >= LEAST * sum(tally.values()), shown(tally)
