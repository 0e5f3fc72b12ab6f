"""Deriving the staged program of a function or a formula."""

from __future__ import annotations

import functools
import keyword
import math
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..diff.rules import pulled_back, zeros_of
from ..diff.walk import accumulate, active_nodes, step_back
from ..errors import InputError, ShapeError
from ..ir.graph import Bundle, Graph
from ..ir.node import NO_PARAMS, Node, reachable
from ..ir.op import REGISTRY, constant, variable
from ..ir.recording import Handle, Questions, record, setting, state
from ..ir.simplify import simplified
from ..ops import by_name, loops
from ..ops.custom import custom
from ..ops.loops import Loop
from ..ops.primitive import Primitive
from ..ops.structured import Structured, pick
from ..trace.array import Array
from ..trace.formula import Formula
from ..trace.handles import dtype_of, plain
from ..trace.names import names_for
from .expression_text import by_its_name
from .functions import as_function, notes_on, samples, trace_graph
from .staged import Check, Line, LoopLine, Staged

LONGEST = 2_000  # stages of a program with loops written out
LOOPS = {"scan": "scan", "fori_loop": "scan", "while_loop": "while_loop", "cond": "switch", "switch": "switch"}


def _called() -> frozenset[str]:
    """What printed programs call by a bare name, as the operations say."""
    texts = [t for op in REGISTRY.values() for t in (op.text, op.scalar, op.prelude, op.scalar_prelude)]
    words = re.findall(r"(?<![.\w])([a-z_]\w*)\(", "\n".join(t for t in texts if isinstance(t, str)))
    functions = [op.name for op in REGISTRY.values() if hasattr(math, op.name)]
    modules = ("np", "math", "special", "torch", "jax", "jnp", "itertools", "ctx")
    return frozenset({*words, *functions, *modules, "places", "take", "class_entropy"})


CALLED = _called()  # no variable of a program has such a name


def opened(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with the named operations replaced by what they are made of; checkpoints are written out."""
    ops: set[Any] = set()
    for name in names:
        op = REGISTRY.get(LOOPS.get(name, name)) or by_name(name)
        if op is None or (op.body is None and not isinstance(op, Loop)):
            made = sorted([*LOOPS, *(o.name for o in REGISTRY.values() if o.body is not None and o.public)])
            raise InputError(
                f"cannot open {name!r}: it is {'no operation' if op is None else 'primitive'}",
                f"these can be opened: {', '.join(made)}",
                where="",
            )
        ops.add(op)
    if not ops and not any(isinstance(n.op, Structured) for n in graph.nodes):
        return graph

    kept: set[Node] = set()

    def step(n: Node, args: list[Any]) -> Any:
        if n.op is pick and isinstance(args[0], tuple):
            return args[0][n.params["index"]]
        if isinstance(n.op, Structured):
            return _unrolled(n.params["graph"].replay(args))
        if isinstance(n.op, Loop) and n.op in ops:
            return _unrolled(n.op.value(*args, **n.params))
        made = n.op.body(*args, **n.params) if n.op in ops and n.op.body else record(n.op, tuple(args), n.params)
        if isinstance(made, Handle):
            node = made.node
            node.code, node.lasti, node.outer, node.given_name = n.code, n.lasti, n.calls[1:], n.given_name
            kept.add(node)
        return made

    def _unrolled(results: Sequence[Any]) -> Bundle:
        since = min(n.order for n in graph.inputs)
        inner = reachable([r.node for r in results if isinstance(r, Handle)], since)
        if len(inner) > LONGEST:
            raise InputError(
                f"a loop of this length has more than {LONGEST:,} stages when it is written out",
                "explain it with fewer steps, or explain one step of it",
                where="",
            )
        kept.update(inner)
        return Bundle(results)

    outs = graph.walk([Array(n) for n in graph.inputs], step)
    result = Graph(graph.inputs, [o.node for o in outs])
    for n in result.nodes:
        if n not in kept:  # made by the body of an operation: no line of the user's
            n.code = None
    return result


def stage(
    f: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    wrt: Sequence[str] | str | None = None,
    open: Collection[str] | str = (),
    shapes: Mapping[str, Any] | None = None,
) -> Staged:
    """Trace `f` and derive its staged program.

    Without arguments, every variable is a number (or has its declared shape), and a branch on a value is an error.
    """
    f = as_function(f, shapes)
    given = dict(kwargs or {})
    no_point = not args and not given
    if no_point:
        given = samples(f)
    asked = Questions()
    graph, inputs, name = trace_graph(f, args, given, abstract="" if no_point else None, asked=asked)
    checks = _checks(asked, graph, isinstance(f, Formula))
    notes = notes_on(f, args, given, asked)
    with setting(depth=state.depth + 1, recording=True):
        graph = opened(graph, (open,) if isinstance(open, str) else listed("open", open))
    for c, n in zip(checks, graph.outputs[1:], strict=True):
        c.node = n
    made = _derived(graph, inputs, name, wrt)
    made.checks, made.notes, made.sizes = checks, notes, asked.sizes
    return made


def _checks(asked: Questions, graph: Graph, formula: bool) -> list[Check]:
    """What Python saw of every value that it asked for."""
    seen: dict[str, Callable[[Any], Any]] = {"truth": bool, "value": lambda v: v, "count": np.count_nonzero}
    return [
        Check(n, asked[n], seen[asked[n]](n.value), "" if formula else asked.places.get(n, ""))
        for n in graph.outputs[1:]
    ]


def _derived(graph: Graph, inputs: dict[Node, str], name: str, wrt: Sequence[str] | str | None) -> Staged:
    """The staged program of a graph whose further outputs are what was asked for."""
    output: Node = graph.outputs[0]
    if dtype_of(output.value).kind != "f":
        raise ShapeError(
            f"{name} returned {dtype_of(output.value)}: nothing can be differentiated through it",
            "return a floating-point value",
        )
    seeds = {} if output.shape == () else {output: _seed(output)}
    first = Graph(graph.inputs, [output])
    return _staged(first, inputs, name, _chosen(inputs, wrt), seeds, graph.outputs[1:])


def _seed(output: Node) -> Node:
    return Node(variable, (), NO_PARAMS, np.ones(output.shape, output.dtype)[()])


def _staged(
    graph: Graph,
    inputs: dict[Node, str],
    name: str,
    wrt: list[Node],
    seeds: dict[Node, Node],
    asked: Sequence[Node] = (),
) -> Staged:
    whole = [n for n in Graph(graph.inputs, [*graph.outputs, *asked]).nodes if n.op is not constant]
    stages = _with_all_results([n for n in graph.nodes if n.op is not constant])
    own = set(stages)
    extra = [n for n in whole if n not in own]
    if any(isinstance(n.op, Loop) for n in extra):  # loops are functions of the program, whoever needs them
        stages, extra = whole, []
    functions = {n.params["call"].name: n.params["call"].owner.function for n in whole if n.op is custom}
    output = graph.outputs[0] if len(graph.outputs) == 1 and type(graph.outputs[0]) is Node else None
    reserved = {*CALLED, *functions, *(op.name for op in REGISTRY.values() if op.public and by_its_name(op))}
    names = names_for([*stages, *extra], inputs, output, name if name.isidentifier() else "f", reserved)
    taken = {*reserved, *names.values(), *keyword.kwlist}
    gradient_names = {n: _free(f"d{v}", taken) for n, v in names.items()}
    s = Staged(
        name, list(inputs), wrt, stages, list(graph.outputs), [], names, gradient_names, {}, {}, seeds, functions
    )
    s.asked, s.variables = extra, set(seeds.values())
    with setting(depth=state.depth + 1, recording=True):
        for n in stages:
            if isinstance(n.op, Loop):
                s.bodies[n] = [_body(g, values) for g, values in loops.examples(n)]
        _backward(s)
    _drop_dead(s, asked)
    return s


def _body(graph: Graph, values: Sequence[Any]) -> Staged:
    """The staged program of the body of a loop: every result has a cotangent of its own."""
    inputs = [Node(variable, (), NO_PARAMS, np.asarray(v)[()]) for v in values]
    labels = [old.given_name or f"x{k}" for k, old in enumerate(graph.inputs)]
    results = graph.replay([Array(n) for n in inputs])
    inner = Graph(inputs, [r.node if isinstance(r, Handle) else r for r in results])
    outputs = [o for o in inner.outputs if type(o) is Node and dtype_of(o.value).kind == "f"]
    wrt = [n for n in inputs if dtype_of(n.value).kind == "f"]
    return _staged(inner, dict(zip(inputs, labels, strict=True)), "result", wrt, {o: _seed(o) for o in outputs})


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def listed(option: str, given: Any) -> list[str]:
    """The names that an option was given."""
    if not isinstance(given, Collection) or not all(isinstance(w, str) for w in given):
        raise InputError(
            f"{option} is a name, or a list of names, and was given {given!r}",
            f"a variable called {option} needs another name here",
            where="",
        )
    return list(dict.fromkeys(given))


def _chosen(inputs: dict[Node, str], wrt: Sequence[str] | str | None) -> list[Node]:
    if wrt is None:
        return list(inputs)
    wanted = [w.strip() for w in wrt.split(",")] if isinstance(wrt, str) else listed("wrt", wrt)
    by = {v: k for k, v in inputs.items()}
    for w in wanted:
        if w not in by:
            raise InputError(
                f"there is no variable {w!r} to differentiate with respect to",
                f"the variables are {', '.join(by)}",
                where="",
            )
    return [by[w] for w in wanted]


def _backward(s: Staged) -> None:
    """Walk back over the stages; every gradient that is complete becomes a variable of the lines before it."""
    active = active_nodes(s.stages, s.wrt)
    parts: dict[Node, list[Any]] = {o: [Array(v)] for o, v in s.seeds.items() if o in active}
    if not s.seeds and s.outputs[0] in active:
        parts[s.output] = [np.ones((), s.output.dtype)[()]]
    number = {n: k for k, n in enumerate(s.stages, 1)}

    def passed(n: Node, given: list[Any]) -> Iterator[tuple[Any, list[Any]]]:
        positions = [p for p, i in enumerate(n.inputs) if type(i) is Node and i in active]
        if isinstance(n.op, Loop):
            yield from _loop_back(s, n, number[n], parts, positions)
            return
        ct = functools.reduce(operator.add, given) if isinstance(n.value, tuple) else _complete(s, n, given)
        args = [Array(i) if type(i) is Node else i for i in n.inputs]
        for p, c in zip(positions, pulled_back(n.op, positions, ct, _output(s, n), args, n.params), strict=True):
            if c is not None:
                target: Any = n.inputs[p]
                if not isinstance(c, tuple):  # picking one of several results is no line of its own
                    s.lines.append(Line(target, _simple(c, s), number[n], target in parts))
                yield target, [c]

    accumulate(s.stages, parts, passed, operator.iadd)
    for v in s.wrt:
        if v in parts:
            if v in s.outputs and v not in s.seeds:  # the function gives back its argument
                s.lines.append(Line(v, parts[v][0], 0, False))
            _complete(s, v, parts[v])
        else:
            s.gradients[v] = zeros_of(v.value)


def _with_all_results(stages: list[Node]) -> list[Node]:
    """Stages in which all the results of a primitive are picked: the derivative of one may need the others."""
    taken = {(n.inputs[0], n.params["index"]) for n in stages if n.op is pick}
    found: list[Node] = []
    for n in stages:
        found.append(n)
        for k, name in enumerate(n.op.outputs if isinstance(n.op, Primitive) else ()):
            if isinstance(n.value, tuple) and (n, k) not in taken:
                found.append(Node(pick, (n,), {"index": k, "count": len(n.value)}, n.value[k]))
                found[-1].given_name = name
    return found


def _output(s: Staged, n: Node) -> Any:
    """The value of a stage, as its derivative is written with it: several results by their names."""
    if not isinstance(n.op, Primitive) or not isinstance(n.value, tuple):
        return Array(n)
    picks = {p.params["index"]: p for p in s.stages if p.op is pick and p.inputs[0] is n}
    return Bundle(Array(picks[k]) for k in range(len(n.value)))


def _loop_back(
    s: Staged, n: Node, k: int, parts: dict[Node, list[Any]], positions: Sequence[int]
) -> Iterator[tuple[Any, list[Any]]]:
    """Undo a loop in one line; the values of its gradients are computed at once."""
    ct = functools.reduce(operator.add, parts[n])
    values = Bundle(None if c is None else plain(c) for c in ct)
    args = n.values
    line = LoopLine(n, k, [], [None if c is None else _simple(c, s) for c in ct])
    for p, c in zip(positions, pulled_back(n.op, positions, values, n.value, args, n.params), strict=True):
        if c is not None:
            target: Any = n.inputs[p]
            part = Node(variable, (), NO_PARAMS, c)
            line.results.append((p, target, part, target in parts))
            yield target, [Array(part)]
    s.lines.append(line)


def local_partial(n: Node, p: Node) -> Any:
    """The derivative of one scalar node by another that it reads, over all the places where it stands."""
    one = np.ones((), n.dtype)[()]
    parts = [step_back(n, k, one) for k, i in enumerate(n.inputs) if i is p]
    return sum(0.0 if c is None else c for c in parts)


def local_expression(s: Staged, n: Node, k: int) -> Any:
    """How a stage carries a gradient back to its input k: its local partial, or for arrays the map from its gradient."""
    args = [Array(i) if type(i) is Node else i for i in n.inputs]
    ct: Any = np.ones((), n.dtype)[()]
    if n.shape != ():
        ct = Array(s.cotangents.get(n) or s.seeds[n])
    with setting(depth=state.depth + 1, recording=True):
        c = pulled_back(n.op, [k], ct, Array(n), args, n.params)[0]
    return 0.0 if c is None else _simple(c, s)


def _complete(s: Staged, n: Node, parts: list[Any]) -> Any:
    """The gradient of a node whose contributions are all there: a constant, or a variable with its value."""
    total = sum((plain(p) for p in parts[1:]), plain(parts[0]))
    s.gradients[n] = total
    if np.ndim(total) == 0 and all(_constant(p, s) for p in parts):
        return np.asarray(total)[()]
    if n in s.seeds and len(parts) == 1:
        s.cotangents[n] = s.seeds[n]
        return Array(s.seeds[n])
    node = Node(variable, (), NO_PARAMS, total)
    s.cotangents[n] = node
    s.variables.add(node)
    return Array(node)


def _above(node: Node, s: Staged) -> tuple[list[Node], list[Node]]:
    """The nodes of an expression down to those that have names, and these."""
    inner: list[Node] = []
    named: list[Node] = []
    stack, seen = [node], {node}
    while stack:
        n = stack.pop()
        if n in s.names or n in s.variables:
            named.append(n)
            continue
        inner.append(n)
        for p in n.parents:
            if p not in seen:
                seen.add(p)
                stack.append(p)
    return inner, named


def _constant(x: Any, s: Staged) -> bool:
    """Whether a contribution is a number that was computed from no variable."""
    if not isinstance(x, Handle):
        return True
    inner, named = _above(x.node, s)
    return not named and all(n.inputs or n.op is constant for n in inner)


def _simple(c: Any, s: Staged) -> Any:
    if not isinstance(c, Handle):
        return float(c) if np.ndim(c) == 0 else c
    return simplified(sorted(_above(c.node, s)[0], key=lambda n: n.order), c.node)


def _drop_dead(s: Staged, asked: Sequence[Node]) -> None:
    """Keep the backward lines that a wanted gradient needs, and the forward stages that they, the result or a check need."""
    owner = {v: n for n, v in s.cotangents.items()}
    needed_gradients = set(s.wrt)
    needed_values = {o for o in (*s.outputs, *asked) if type(o) is Node}
    kept: list[Line | LoopLine] = []

    def need(expression: Any) -> None:
        for n in _above(expression, s)[1] if type(expression) is Node else ():
            if n in owner:
                needed_gradients.add(owner[n])
            else:
                needed_values.add(n)

    for line in reversed(s.lines):
        if isinstance(line, LoopLine):
            if any(target in needed_gradients for _, target, _, _ in line.results):
                for i in (*line.cotangents, *line.stage.inputs):
                    need(i)
                kept.append(line)
        elif line.target in needed_gradients:
            need(line.expression)
            kept.append(line)
    s.lines = kept[::-1]
    forward = set(reachable(needed_values))
    s.live_stages = [n for n in s.stages if n in forward]
