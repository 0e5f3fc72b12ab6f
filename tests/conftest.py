"""What every test shares."""

import os
from pathlib import Path

import pytest

import chainrule.ops  # noqa: F401  (declares the operations, before any test is begun)
from chainrule.ir.op import REGISTRY

os.environ.setdefault("CHAINRULE_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "native"))


@pytest.fixture(autouse=True)
def _declarations_stay_in_their_test():
    """Operations that a test declares are gone after it."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)
