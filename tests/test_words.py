"""What the documentation of public names must say."""

import inspect
import re

import pytest

import chainrule as cr
import chainrule.torch as torch
import chainrule.train as train


def public():
    """Functions, and methods of classes, that users call with more than one argument, beside torch's and NumPy's own."""
    shown = (cr.Explanation, cr.Formula, train.History, torch.nn.Module)
    functions = [(n, getattr(m, n)) for m in (cr, train) for n in m.__all__ if inspect.isfunction(getattr(m, n))]
    methods = [
        (f"{c.__name__}.{n}", f)
        for c in shown
        for n, f in vars(c).items()
        if inspect.isfunction(f) and not n.startswith("_")
    ]
    return [
        pytest.param(f, id=name)
        for name, f in functions + methods
        if name != "Module.forward" and len(arguments(f)) > 1 and f.__module__.startswith("chainrule")
    ]


def arguments(f):
    return [n for n in inspect.signature(f).parameters if n != "self"]


def sections(text):
    """What a docstring says under `Args:` and its like, by title."""
    parts = re.split(r"^ *(Args|Returns|Raises|Attributes):$", inspect.cleandoc(text), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("f", public())
def test_every_argument_is_said(f):
    said = sections(f.__doc__).get("Args", "")
    names = {n.strip(" *") for heads in re.findall(r"^ {4}([\w*, ]+):", said, re.MULTILINE) for n in heads.split(",")}
    assert set(arguments(f)) <= names
