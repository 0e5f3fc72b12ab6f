"""What is not in chainrule.torch: names, arguments and old ways to import are refused in words, alike in every module."""

import importlib
import types

import pytest

import chainrule as cr
import chainrule.torch as ct
from chainrule.errors import MissingError

MODULES = [
    "", ".autograd", ".cuda", ".func", ".linalg", ".nn", ".nn.functional", ".nn.init", ".nn.utils", ".optim", ".optim.lr_scheduler",
    ".utils", ".utils.data",
]  # fmt: skip


def functions(module):
    """The functions of a module by name, classes left out."""
    found = importlib.import_module(f"chainrule.torch{module}")
    return {n: getattr(found, n) for n in found.__all__ if isinstance(getattr(found, n), types.FunctionType)}


@pytest.mark.parametrize("names", ["nn", "optim, utils", "tensor"])
def test_an_old_import_says_where_the_name_went(names):
    for _ in range(2):  # also where the folder of that name has been imported
        with pytest.raises(ImportError, match=r"chainrule\.torch") as found:
            exec(f"from chainrule import {names}", {})
        assert isinstance(found.value, cr.ChainruleError)
        importlib.import_module("chainrule.torch.nn")


@pytest.mark.parametrize("module", MODULES)
def test_a_name_that_is_not_there_is_refused_by_every_module(module):
    with pytest.raises(MissingError, match="nothing_of_this_name is not here"):
        _ = importlib.import_module(f"chainrule.torch{module}").nothing_of_this_name


@pytest.mark.parametrize("module", ["", ".nn.functional", ".nn.init", ".nn.utils"])
def test_an_argument_that_a_function_does_not_have_is_refused(module):
    for name, f in functions(module).items():
        with pytest.raises(TypeError, match="nothing_of_this_name"):
            f(ct.ones(2, 2), nothing_of_this_name=1)
            pytest.fail(f"{name} swallowed an argument")


@pytest.mark.parametrize("module", [".nn.functional", ".nn.init", ".nn.utils"])
def test_a_function_says_in_words_which_arguments_it_takes(module):
    for f in functions(module).values():
        with pytest.raises(cr.ChainruleError):
            f(ct.ones(2, 2), nothing_of_this_name=1)
