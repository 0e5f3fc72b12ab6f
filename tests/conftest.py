"""What every test shares."""

import pytest

from chainrule.ir.op import REGISTRY


@pytest.fixture(autouse=True)
def _declarations_stay_in_their_test():
    """Operations that a test declares are gone after it."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)
