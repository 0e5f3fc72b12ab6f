"""What is known of an operation stands on its declaration: no other part of the source holds a list of operations' names.

The syntax trees of the source are walked. Names in other vocabularies (NumPy's and torch's functions, the grammar of formulas, SymPy's
functions) are words of those, and the files that speak them are named here with the vocabulary.
"""

import ast
from pathlib import Path

import pytest

import chainrule
from chainrule.ops import REGISTRY

ROOT = Path(chainrule.__file__).parent
NAMES = {op.name for op in REGISTRY.values()}
SPOKEN = {  # by the beginning of a path: whose words stand there
    "ops/": "the declarations",
    "symbolic/": "SymPy's functions, and the rules of the grammar of statements",
    "trace/formula.py": "the rules of the grammar of formulas",
    "trace/spelling.py": "the rules of the grammar of formulas, and what people call variables",
    "trace/vocabulary.py": "the rules of the grammar of formulas, and its functions",
    "trace/functions/": "NumPy's functions",
    "trace/array.py": "NumPy's methods",
    "trace/lost.py": "the functions of math",
    "tensors/": "torch's functions",
    "torch/": "torch's functions",
    "nn/": "torch's functions",
    "optim/": "torch's options",
    "showing/comparison.py": "the opcodes of difflib",
    "train/": "options of fit",
    "programs/deriving.py": "functions that users call",
}
FILES = sorted(ROOT.rglob("*.py"))


def named(node):
    """Whether an expression is the name of an operation: `op.name`, `node.op.name`."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "name"
        and (
            (isinstance(node.value, ast.Name) and node.value.id == "op")
            or (isinstance(node.value, ast.Attribute) and node.value.attr == "op")
        )
    )


def literal(node):
    return isinstance(node, ast.Constant) and node.value in NAMES


def offences(source):
    """The lines on which an operation is told by its name, or several are listed by their names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(map(named, [node.left, *node.comparators])):
            yield node.lineno, "an operation is compared by its name: compare with the operation"
        elif (isinstance(node, ast.Subscript) and named(node.slice)) or (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and any(map(named, node.args))
        ):
            yield (
                node.lineno,
                "a table is asked by the name of an operation: key it by the operation, or declare the fact",
            )
        elif isinstance(node, ast.Match) and named(node.subject):
            yield node.lineno, "an operation is told by its name: compare with the operation"


def lists(source):
    """The lines on which names of operations are listed."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Dict):
            words = [k for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]
        elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            words = [k for k in node.elts if isinstance(k, ast.Constant) and isinstance(k.value, str)]
        else:
            continue
        if len(words) > 1 and sum(map(literal, words)) * 2 > len(words):
            yield node.lineno, f"names of operations are listed: {', '.join(w.value for w in words if literal(w))}"


def said(path, found):
    return [f"{path.relative_to(ROOT)}:{line}: {what}" for line, what in sorted(found)]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_operation_is_told_by_its_name(path):
    assert not said(path, offences(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_names_of_operations_are_listed(path):
    if not str(path.relative_to(ROOT)).startswith(tuple(SPOKEN)):
        assert not said(path, lists(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "line",
    [
        'node.op.name == "sum"',
        '"sum" != op.name',
        'n.op.name in ("sum", "mean")',
        "TABLE[node.op.name]",
        "TABLE.get(op.name)",
        'match n.op.name:\n    case "sum":\n        pass',
    ],
)
def test_the_walk_sees_it(line):
    assert list(offences(line))


@pytest.mark.parametrize(
    "line", ['FREE = ("reshape", "transpose")', 'T = {"tanh": 1, "exp": 2}', 'x in {"sum", "mean"}']
)
def test_the_walk_sees_a_list(line):
    assert list(lists(line))


def test_every_vocabulary_is_still_spoken():
    """A file that lists nothing needs no leave to."""
    for start in SPOKEN:
        assert any(str(p.relative_to(ROOT)).startswith(start) for p in FILES), start
