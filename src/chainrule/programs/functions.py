"""A function or a formula as a graph that is to be read: traced once, with what Python asked of its values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.deferred import settled
from ..ir.graph import Bundle, Graph
from ..ir.node import NO_PARAMS, Node, reachable
from ..ir.op import constant, variable
from ..ir.recording import Handle, Questions, remember_calls, setting, state
from ..trace.array import Array
from ..trace.asked import Asked
from ..trace.calls import called, check_differentiable, name_of, parameters
from ..trace.formula import Formula, parse, real_value
from ..trace.handles import dtype_of, plain
from ..trace.names import leaf_name
from ..trace.tree import flatten, paths, unflatten


def as_function(f: Any, shapes: Mapping[str, Any] | None = None) -> Callable[..., Any]:
    """A function from a function or the text of a formula."""
    if isinstance(f, str):
        return parse(f, **(shapes or {}))
    if not callable(f):
        raise InputError(f"expected a function or a formula, got {type(f).__name__}")
    return f


def trace_graph(
    f: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    abstract: str | None = None,
    hook: Callable[..., None] = remember_calls,
    asked: Questions | None = None,
) -> tuple[Graph, dict[Node, str], str]:
    """Record one call of `f` with every floating-point leaf as a variable.

    Args:
        asked: where what Python asks of traced values is noted; the nodes that depend on an input are further outputs.

    Returns:
        the graph, the names of its inputs, and the name of the function.
    """
    _check_call(f, args, kwargs)
    kind: type[Array] = Array if asked is None else Asked
    if isinstance(f, Formula):
        args = [real_value(f"argument {k + 1}", a) for k, a in enumerate(args)]
        kwargs = {name: real_value(name, v) for name, v in kwargs.items()}
    tree = (tuple(args), dict(kwargs))
    leaves, treedef = flatten(tree)
    names = list(parameters(f))
    labels = [p for k, a in enumerate(args) for p in paths(a, names[k] if k < len(names) else f"x{k}")]
    labels += [p for k, a in kwargs.items() for p in paths(a, k)]
    inputs: dict[Node, str] = {}
    handles: list[Any] = []
    for x, label in zip(leaves, labels, strict=True):
        if dtype_of(x).kind != "f":
            handles.append(x)
            continue
        node = Node(variable, (), NO_PARAMS, np.asarray(plain(x))[()])
        node.given_name = leaf_name(label)
        inputs[node] = node.given_name
        handles.append(kind(node))
    if not inputs:
        for name, a in [*zip(names, args, strict=False), *kwargs.items()]:
            check_differentiable(a, name)
        raise InputError(f"{name_of(f)} was given nothing to differentiate", "give it floats, for instance x=2.0")
    new_args, new_kwargs = unflatten(treedef, handles)
    reading = {} if asked is None else {"observed": asked, "array": Asked}
    with setting(depth=state.depth + 1, recording=True, hook=hook, abstract=abstract, **reading):
        result = called(f, new_args, new_kwargs)
    if not isinstance(result, Handle) or result.node.op is constant:
        if isinstance(result, Handle):
            result = result.node.value
        if flatten(result)[0] and not isinstance(result, (int, float, np.ndarray, np.generic)):
            raise InputError(f"{name_of(f)} returned a {type(result).__name__}", "return one number or array")
        raise InputError(
            f"the result of {name_of(f)} does not depend on its floating-point inputs", "then every derivative is zero"
        )
    graph = Graph(list(inputs), [result.node, *_asked_of(asked or {}, inputs)])
    for n in graph.nodes if asked is not None else ():
        n.value = Bundle(map(settled, n.value)) if isinstance(n.value, Bundle) else settled(n.value)
    if isinstance(f, Formula):  # its nodes were made by no line of the user's
        for n in graph.nodes:
            n.code = None
    return graph, inputs, name_of(f)


def _asked_of(asked: Mapping[Node, str], inputs: Collection[Node]) -> list[Node]:
    """The nodes of which something was asked that depends on an input."""
    known = set(inputs)
    for n in reachable(asked, min(n.order for n in inputs)):
        if any(type(i) is Node and i in known for i in n.inputs):
            known.add(n)
    return [n for n in asked if n in known]


def _check_call(f: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that the function does not take; a formula says so itself."""
    try:
        signature = None if isinstance(f, Formula) else inspect.signature(f)
    except (ValueError, TypeError):  # a function of NumPy may not say
        return
    try:
        if signature is not None:
            signature.bind(*args, **kwargs)
    except TypeError as error:
        raise InputError(f"{name_of(f)}: {error}", f"it is {name_of(f)}{signature}") from None


def notes_on(f: Any, args: Sequence[Any], kwargs: Mapping[str, Any], asked: Questions) -> list[str]:
    """What the program holds as it was given: arguments that are no floats, and random numbers."""
    names = list(parameters(f))
    kwargs = {} if isinstance(f, Formula) else kwargs  # of a formula they are real numbers, however they were written
    args = () if isinstance(f, Formula) else args
    given = [(names[k] if k < len(names) else f"x{k}", a) for k, a in enumerate(args)] + list(kwargs.items())
    found = [
        f"{path} = {np.array2string(np.asarray(x), separator=', ', threshold=8).replace(chr(10), ' ')}"
        for name, a in given
        for x, path in zip(flatten(a)[0], paths(a, name), strict=True)
        if dtype_of(x).kind != "f"
    ]
    return found + (["random numbers as they were drawn"] if "drawn" in asked.values() else [])


def samples(f: Callable[..., Any]) -> dict[str, Any]:
    """Generic values for the variables of a function: numbers, or arrays of the declared shapes."""
    rng = np.random.default_rng(0)
    shapes = f.shapes if isinstance(f, Formula) else {}
    names = [
        n
        for n, p in parameters(f).items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if not names:
        raise InputError(f"the parameters of {name_of(f)} are not known", "give the point, for instance x=2.0")
    return {n: rng.uniform(0.3, 0.9, shapes[n]) if n in shapes else float(rng.uniform(0.3, 0.9)) for n in names}
