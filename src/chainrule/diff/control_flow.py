"""Structured control flow: scan, fori_loop, while_loop, cond, switch, and their derivatives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.graph import Bundle, Graph
from ..ir.node import NO_PARAMS, Node
from ..ir.op import variable
from ..ir.recording import Handle, record, state
from ..ops import loops as op
from ..ops.loops import Loop
from ..ops.structured import picked
from ..trace.array import recording_kind
from ..trace.bodies import body, owned
from ..trace.calls import parameters
from ..trace.handles import dtype_of, kind_of
from ..trace.memory import own
from ..trace.names import leaf_name
from ..trace.tree import TreeDef, flatten, paths, unflatten
from .bodies import opened
from .rules import zeros_of
from .walk import forward, reverse

# ---- the functions users call --------------------------------------------------------------------------------


def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int | None = None) -> tuple[Any, Any]:
    """A loop over the first axis of arrays that carries a value from step to step.

    Args:
        f: a function of (carry, x) returning (carry, y); `carry` keeps its structure and shapes. Under a transform it is
            traced once, so it may not branch on traced values: use `cond` inside.
        init: the first carry, a tree.
        xs: a tree of arrays with the same first axis, or None.
        length: the number of steps, where `xs` is None.

    Returns:
        (the last carry, the y of all steps stacked).

    >>> last, ys = scan(lambda c, x: (c + x, c * x), 0.0, np.array([1.0, 2.0, 3.0]))
    >>> float(last), ys
    (6.0, array([0., 2., 9.]))
    """
    xs_leaves, xs_tree = flatten(xs)
    sizes = {np.shape(x)[0] if np.shape(x) else None for x in xs_leaves} | ({length} if length is not None else set())
    if len(sizes) != 1 or None in sizes:
        raise ShapeError(
            f"scan: the first axes of xs differ, or there is none: {sorted(map(str, sizes))}",
            "give arrays with the same first axis, or xs=None with length=",
        )
    n: Any = next(iter(sizes))
    carry_leaves, carry_tree = flatten(init)
    if n == 0 or not _traced((*carry_leaves, *xs_leaves)):
        return _plain_scan(f, init, xs_leaves, xs_tree, n)
    examples = [*carry_leaves, *op.rows(xs_leaves, 0)]
    ys_tree: list[TreeDef] = []

    def step(*leaves: Any) -> list[Any]:
        given = list(leaves)
        carry, y = _pair(
            f(unflatten(carry_tree, given[: len(carry_leaves)]), unflatten(xs_tree, given[len(carry_leaves) :]))
        )
        out, out_tree = flatten(carry)
        _same(carry_leaves, carry_tree, out, out_tree, "scan")
        ys, tree = flatten(y)
        ys_tree.append(tree)
        return [*out, *ys]

    graph, same = _body(step, examples, _names(f, (init, xs)))
    params = {"body": graph, "carried": len(carry_leaves), "scanned": len(xs_leaves), "length": n}
    results = _recorded(op.scan, (*carry_leaves, *xs_leaves, *same), params, len(graph.outputs))
    return unflatten(carry_tree, results[: len(carry_leaves)]), unflatten(ys_tree[0], results[len(carry_leaves) :])


def _plain_scan(f: Any, carry: Any, xs: list[Any], xs_tree: TreeDef, n: int) -> tuple[Any, Any]:
    columns: list[list[Any]] = []
    tree: TreeDef | None = None
    for t in range(n):
        carry, y = _pair(f(owned(carry), owned(unflatten(xs_tree, op.rows(xs, t)))))
        leaves, tree = flatten(y)
        columns.append(leaves)
    if tree is None:
        return owned(carry), np.zeros(0)
    return owned(carry), unflatten(tree, op.stacked([list(c) for c in zip(*columns, strict=True)], 0))


def fori_loop(lower: int, upper: int, body: Callable[[Any, Any], Any], init: Any) -> Any:
    """`for i in range(lower, upper): carry = body(i, carry)`, as one operation.

    Args:
        lower: the first `i`.
        upper: the end, not included.
        body: a function of (i, carry) returning the next carry, of the same structure, shapes and dtypes. Under a transform
            it is traced once, so it may not branch on traced values: use `cond` inside.
        init: the first carry, a tree.

    Returns:
        The last carry.

    >>> fori_loop(0, 3, lambda i, c: c * 2 + i, 1.0)
    12.0
    """
    if not _traced(flatten(init)[0]):
        kinds = [type(x) for x in flatten(init)[0]]
        for i in np.arange(int(lower), int(upper)):  # of the dtype that it has under transforms
            init = body(i, owned(init))
        leaves, treedef = flatten(owned(init))
        return unflatten(
            treedef,
            [float(x) if k is float and type(x) is np.float64 else x for x, k in zip(leaves, kinds, strict=False)],
        )
    steps = np.arange(int(lower), int(upper))

    def step(c: Any, i: Any) -> tuple[Any, None]:
        return body(i, c), None

    names = [*parameters(body), "i", "carry"]
    step.__signature__ = inspect.Signature(
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in (names[1], names[0])]
    )  # type: ignore[attr-defined]
    return scan(step, init, steps)[0]


def while_loop(test: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, max_steps: int | None = None) -> Any:
    """`while test(carry): carry = body(carry)`, as one operation.

    Args:
        test: a function of the carry returning a truth value.
        body: a function of the carry returning the next one, of the same structure and shapes. Both are traced once.
        init: the first carry, a tree.
        max_steps: an error if the condition still holds after so many steps. The reverse pass keeps the carry of every step.

    >>> while_loop(lambda c: c < 100, lambda c: c * 2, 3.0)
    192.0
    """
    leaves, treedef = flatten(init)
    if not _traced(leaves):
        steps = 0
        while bool(test(owned(init))):
            if max_steps is not None and steps >= max_steps:
                raise InputError(
                    f"while_loop: the condition still holds after {max_steps} steps",
                    "raise max_steps, or check the condition",
                )
            init, steps = body(owned(init)), steps + 1
        return owned(init)

    def step(*xs: Any) -> list[Any]:
        out, tree = flatten(body(unflatten(treedef, list(xs))))
        _same(leaves, treedef, out, tree, "while_loop")
        return out

    inner, inside = _body(step, leaves, _names(body, (init,)))
    condition, outside = _body(lambda *xs: [test(unflatten(treedef, list(xs)))], leaves, _names(test, (init,)))
    params = {"body": inner, "test": condition, "carried": len(leaves), "tested": len(outside), "limit": max_steps}
    return unflatten(treedef, _recorded(op.while_loop, (*leaves, *outside, *inside), params, len(leaves)))


def cond(predicate: Any, true: Callable[..., Any], false: Callable[..., Any], *operands: Any) -> Any:
    """`true(*operands)` or `false(*operands)`, as one operation: also where Python's `if` cannot be used, inside loops and `vmap`.

    Args:
        predicate: a truth value, or a number that counts as one where it is not zero.
        true: a function of the operands.
        false: another, whose result has the same structure and shapes.
        operands: trees of numbers and arrays.

    >>> cond(True, lambda x: x + 1, lambda x: x - 1, 3.0)
    4.0
    """
    truth = np.asarray(predicate) != 0 if not isinstance(predicate, Handle) else predicate
    index: Any = int(truth) if not isinstance(truth, Handle) else truth.astype(int)  # type: ignore[attr-defined]
    if isinstance(index, Handle):
        index.node.code = None
    return switch(index, [false, true], *operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`, as one operation; an index out of range means the nearest branch.

    Args:
        index: a whole number.
        branches: functions of the operands; they return trees of the same structure and shapes.
        operands: trees of numbers and arrays.

    >>> switch(1, [lambda x: x, lambda x: x**2, lambda x: x**3], 3.0)
    9.0
    """
    leaves, treedef = flatten(operands)
    if not _traced((index, *leaves)) and state.depth == state.level == 0:
        return owned(branches[int(np.clip(int(index), 0, len(branches) - 1))](*owned(operands)))
    trees: list[TreeDef] = []
    shapes: list[list[tuple[int, ...]]] = []

    def flat(f: Callable[..., Any]) -> Callable[..., list[Any]]:
        def run(*xs: Any) -> list[Any]:
            out, tree = flatten(f(*unflatten(treedef, list(xs))))
            trees.append(tree)
            shapes.append([np.shape(o) for o in out])
            return out

        return run

    with np.errstate(all="ignore"):  # a branch that is not taken may have no value here
        made = [_body(flat(f), leaves, _names(f, operands)) for f in branches]
    if any(t != trees[0] for t in trees):
        raise InputError("switch: the branches return different structures", "return the same tree from each")
    if any(s != shapes[0] for s in shapes):
        raise ShapeError(f"switch: the branches return different shapes {shapes}", "return the same shapes from each")
    same = [h for _, hs in made for h in hs]
    graphs: list[Graph] = []
    start = 0
    for g, hs in made:  # every branch takes all the inputs, and reads its own
        graphs.append(g.widened(len(leaves), start, len(same)))
        start += len(hs)
    return unflatten(
        trees[0], _recorded(op.switch, (index, *leaves, *same), {"branches": tuple(graphs)}, len(shapes[0]))
    )


def _names(f: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """What the parameters of a body are called, one name for each leaf."""
    names = [*parameters(f), *(f"x{k}" for k in range(len(args)))]
    return [leaf_name(p) for name, a in zip(names, args, strict=False) for p in paths(a, name)]


# ---- tracing bodies ------------------------------------------------------------------------------------------


def _traced(xs: Sequence[Any]) -> bool:
    return any(isinstance(x, Handle) for x in xs) or state.depth > 0 or state.level > 0


def _pair(result: Any) -> tuple[Any, Any]:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise InputError(
            "scan: the function must return a pair (carry, y)", "return (carry, None) if there is nothing to stack"
        )
    return result


def _same(before: list[Any], tree: TreeDef, after: list[Any], new_tree: TreeDef, what: str) -> None:
    if tree != new_tree:
        raise InputError(
            f"{what}: the carry changes its structure", "return a carry of the same structure as the first"
        )
    for a, b in zip(before, after, strict=True):
        if np.shape(a) != np.shape(b):
            raise ShapeError(
                f"{what}: the carry changes its shape from {np.shape(a)} to {np.shape(b)}",
                "return a carry of the same shapes as the first",
            )


def _body(
    f: Callable[..., list[Any]], examples: Sequence[Any], names: Sequence[str] = ()
) -> tuple[Graph, list[Handle]]:
    """The graph of a body whose inputs have these names, and handles for what it closes over."""
    kind = recording_kind()
    message = "the body of a loop or a branch is traced once, so it cannot branch on a traced value"
    with body(f, depth=state.depth + 1, recording=True, abstract=message):
        inputs = [Node(variable, (), NO_PARAMS, _example(x, kind)) for x in examples]
        for node, name in zip(inputs, names, strict=False):
            node.given_name = name
        results = f(*map(kind, inputs))
    graph = Graph(inputs, [r.node if isinstance(r, kind) else own(r) for r in results])
    return graph.closed(), [*(kind(n) for n in graph.outside), *graph.captured]


def _example(x: Any, kind: type[Handle]) -> Any:
    """The value of an input of a body, while it is traced."""
    x = own(x)
    if isinstance(x, kind):
        return x.node.value
    return x if isinstance(x, (Handle, np.ndarray)) else np.asarray(x)[()]


def _recorded(operation: Loop, inputs: tuple[Any, ...], params: dict[str, Any], count: int) -> list[Any]:
    if not any(isinstance(x, Handle) for x in inputs):
        return list(operation.value(*inputs, **params))
    bundle = record(operation, inputs, params)
    bundle.node.code = None  # the user's name belongs to what is picked from it
    return [_laid_out(r) for r in picked(bundle, count)]


def _laid_out(r: Any) -> Any:
    """A result just picked, which nobody else holds: its own node takes the place in memory that a copy would have."""
    made = own(r)
    if isinstance(r, Handle) and made.node is not r.node and r.records:
        r.node.value = made.node.value
        return r
    return made


# ---- derivatives ---------------------------------------------------------------------------------------------


def _step_back(graph: Graph, args: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
    """The cotangents of the inputs of one run of a graph."""
    leaves, results = opened(graph.replay, args, {}, listed=True)
    pairs = [(r.node, c) for r, c in zip(results, cts, strict=True) if isinstance(r, Handle) and c is not None]
    live = kind_of((*args, *(c for _, c in pairs)))
    wanted = [v for v in leaves if v is not None]
    found = iter(reverse([o for o, _ in pairs], [c for _, c in pairs], wanted, live=live, release=True))
    return [None if v is None else next(found) for v in leaves]


def _step_forward(graph: Graph, args: Sequence[Any], ts: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The values and tangents of one run of a graph."""
    leaves, results = opened(graph.replay, args, {}, listed=True)
    pairs = [(v, t) for v, t in zip(leaves, ts, strict=True) if v is not None and t is not None]
    nodes = [r.node for r in results if isinstance(r, Handle)]
    found = iter(
        forward([v for v, _ in pairs], [t for _, t in pairs], nodes, live=kind_of((*args, *(t for _, t in pairs))))
    )
    return graph.replay(list(args)), [next(found) if isinstance(r, Handle) else None for r in results]


def _plus(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def _scan_vjp(positions: Sequence[int], ct: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    graph, carried, length = params["body"], params["carried"], params["length"]
    carry, xs, same = op.split(args, params)
    states = [carry]
    for t in range(length - 1):
        states.append(graph.replay([*states[-1], *op.rows(xs, t), *same])[:carried])
    back, ys = list(ct[:carried]), ct[carried:]
    columns: list[list[Any]] = [[] for _ in xs]
    total: list[Any] = [None] * len(same)
    for t in reversed(range(length)):
        at = [*states[t], *op.rows(xs, t), *same]
        found = _step_back(graph, at, [*back, *(None if y is None else op.rows([y], t)[0] for y in ys)])
        back = found[:carried]
        for column, c, x in zip(columns, found[carried : carried + len(xs)], at[carried:], strict=False):
            column.append(zeros_of(x) if c is None else c)
        total = [_plus(a, b) for a, b in zip(total, found[carried + len(xs) :], strict=True)]
    result = [*back, *op.stacked([c[::-1] for c in columns], 0), *total]
    return [result[k] if dtype_of(args[k]).kind in "fc" else None for k in positions]


def _scan_jvp(ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Bundle:
    graph, carried, length = params["body"], params["carried"], params["length"]
    carry, xs, same = op.split(args, params)
    moving, txs, tsame = op.split(ts, params)
    columns: list[list[Any]] = []
    for t in range(length):
        rows = [None if v is None else op.rows([v], t)[0] for v in txs]
        values, tangents = _step_forward(graph, [*carry, *op.rows(xs, t), *same], [*moving, *rows, *tsame])
        carry, moving = values[:carried], tangents[:carried]
        columns.append(
            [zeros_of(v) if u is None else u for v, u in zip(values[carried:], tangents[carried:], strict=True)]
        )
    return Bundle([*moving, *op.stacked([list(c) for c in zip(*columns, strict=True)], 0)])


def _while_vjp(positions: Sequence[int], ct: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    carried, tested = params["carried"], params["tested"]
    states = op.trajectory(args, params["body"], params["test"], carried, tested, params["limit"])
    inside = list(args[carried + tested :])
    back, total = list(ct), [None] * len(inside)
    for carry in reversed(states[:-1]):
        found = _step_back(params["body"], [*carry, *inside], back)
        back = found[:carried]
        total = [_plus(a, b) for a, b in zip(total, found[carried:], strict=True)]
    result = [*back, *[None] * tested, *total]
    return [result[k] if dtype_of(args[k]).kind in "fc" else None for k in positions]


def _while_jvp(ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Bundle:
    carried, tested = params["carried"], params["tested"]
    states = op.trajectory(args, params["body"], params["test"], carried, tested, params["limit"])
    inside, tinside = list(args[carried + tested :]), list(ts[carried + tested :])
    moving = list(ts[:carried])
    for carry in states[:-1]:
        _, moving = _step_forward(params["body"], [*carry, *inside], [*moving, *tinside])
    return Bundle(moving)


def _switch_vjp(positions: Sequence[int], ct: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    found = [None, *op.select(args[0], params["branches"], lambda g: _step_back(g, args[1:], list(ct)))]
    return [found[k] for k in positions]


def _switch_jvp(ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Bundle:
    return Bundle(op.select(args[0], params["branches"], lambda g: _step_forward(g, args[1:], ts[1:])[1]))


_BACK: dict[Loop, Any] = {op.scan: _scan_vjp, op.while_loop: _while_vjp, op.switch: _switch_vjp}
_FORWARD: dict[Loop, Any] = {op.scan: _scan_jvp, op.while_loop: _while_jvp, op.switch: _switch_jvp}


def loop_vjp(
    loop: Loop, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """A loop, run backward."""
    return _BACK[loop](positions, ct, args, params)


def loop_jvp(loop: Loop, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Bundle:
    """A loop that carries tangents beside its values."""
    return _FORWARD[loop](ts, out, args, params)
