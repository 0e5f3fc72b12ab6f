"""Handing a graph to another library: `jit(f, backend="jax")` and `backend="torch"`."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.graph import Graph
from ..ir.node import Node, Spec
from ..ops.loops import Loop, split, split_while, while_loop
from ..ops.loops import scan as scan_loop
from ..programs.expression_text import Language, expression
from ..programs.languages import JAX_HELPERS, JAX_LANGUAGE, TORCH_HANDED, TORCH_HELPERS

BACKENDS = ("native", "numpy", "jax", "torch")


def _written(
    graph: Graph, language: Language, namespace: dict[str, Any], loop: Callable[[Node], Any], put: Callable[[Any], Any]
) -> Any:
    """The graph as a function of a list of inputs, in the namespace of the other library."""
    names: dict[Node, str] = {n: f"x{k}" for k, n in enumerate(graph.inputs)}
    own: dict[str, Any] = dict(namespace)

    def array(x: Any) -> str:
        name = f"c{len(own)}"
        own[name] = put(x)
        return name

    lines = [f"    {names[i]} = inputs[{k}]" for k, i in enumerate(graph.inputs)]
    for k, n in enumerate(graph.nodes):
        if isinstance(n.op, Loop):
            name = f"loop{len(own)}"
            own[name] = loop(n)
            given = ", ".join(
                str(expression(i, names, language, array)) if type(i) is not Node else names[i] for i in n.inputs
            )
            text = f"{name}({given})"
        else:
            text = str(expression(n, names, language, array))
        names[n] = f"v{k}"
        lines.append(f"    v{k} = {text}")
    outputs = ", ".join(names[o] if type(o) is Node else str(expression(o, {}, language, array)) for o in graph.outputs)
    exec("\n".join(["def run(inputs):", *lines, f"    return [{outputs}]"]), own)
    return own["run"]


def handed(graph: Graph, backend: str) -> Callable[[Sequence[Any]], list[Any]]:
    """A function of the graph's inputs as NumPy arrays that another library computes.

    Raises:
        InputError: the library is not installed, or has no form for an operation.
    """
    computed = [o for o in graph.outputs if type(o) is Node]
    specs = [Spec.of(o.value) for o in computed]
    try:
        run = (_jax if backend == "jax" else _torch)(Graph(graph.inputs, computed))
    except ImportError:
        raise InputError(
            f"{backend} is not installed", f"pip install 'chainrule[{backend}]', or leave backend= out"
        ) from None

    def call(values: Sequence[Any]) -> list[Any]:
        try:
            found = run(values)
        except (RuntimeError, TypeError, ValueError) as error:  # what the library cannot do, it says in many ways
            raise InputError(f"{backend} cannot run this: {error}", "leave backend= out") from error
        rest = iter(np.asarray(o, s.dtype)[()] for o, s in zip(found, specs, strict=True))
        return [next(rest) if type(o) is Node else o for o in graph.outputs]

    return call


def _jax(graph: Graph) -> Callable[[Sequence[Any]], list[Any]]:
    import jax  # pyright: ignore[reportMissingImports]
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

    namespace: dict[str, Any] = {"jax": jax, "jnp": jnp, "np": np, "itertools": itertools}
    exec(JAX_HELPERS, namespace)

    def loop(n: Node) -> Any:
        p = n.params
        if n.op is scan_loop:
            body, carried = write(p["body"]), p["carried"]

            def scan(*args: Any) -> list[Any]:
                carry, xs, same = split(args, p)
                types = [Spec.of(i.value).dtype for i in p["body"].inputs[:carried]]

                def step(c: Any, x: Any) -> Any:
                    out = body([*c, *x, *same])
                    return [jnp.asarray(o, t) for o, t in zip(out[:carried], types, strict=True)], out[carried:]

                first = [jnp.asarray(a, t) for a, t in zip(carry, types, strict=True)]
                last, ys = jax.lax.scan(step, first, xs, length=p["length"])
                return [*last, *ys]

            return scan
        if n.op is while_loop:
            body, test, carried = write(p["body"]), write(p["test"]), p["carried"]
            types = [Spec.of(i.value).dtype for i in p["body"].inputs[:carried]]

            def run_while(*args: Any) -> Any:
                carry, outside, inside = split_while(args, p)
                return jax.lax.while_loop(
                    lambda c: test([*c, *outside])[0],
                    lambda c: [jnp.asarray(o, t) for o, t in zip(body([*c, *inside])[:carried], types, strict=True)],
                    [jnp.asarray(a, t) for a, t in zip(carry, types, strict=True)],
                )

            return run_while
        branches = [write(g) for g in p["branches"]]
        return lambda index, *args: jax.lax.switch(index, [functools.partial(_listed, b) for b in branches], *args)

    def write(g: Graph) -> Any:
        return _written(g, JAX_LANGUAGE, namespace, loop, jnp.asarray)

    with jax.enable_x64(True):
        run = jax.jit(write(graph))

    def call(values: Sequence[Any]) -> list[Any]:
        with jax.enable_x64(True):
            return run([v if type(v) in (float, int, bool) else jnp.asarray(v) for v in values])

    return call


def _listed(run: Any, *args: Any) -> Any:
    return run(list(args))


def _torch(graph: Graph) -> Callable[[Sequence[Any]], list[Any]]:
    import torch  # pyright: ignore[reportMissingImports]

    namespace: dict[str, Any] = {"torch": torch, "np": np, "itertools": itertools}
    exec(TORCH_HELPERS, namespace)

    def loop(n: Node) -> Any:
        p = n.params
        if n.op is scan_loop:
            body, carried = write(p["body"]), p["carried"]

            def scan(*args: Any) -> list[Any]:
                carry, xs, same = split(args, p)
                columns: list[list[Any]] = []
                for t in range(p["length"]):
                    out = body([*carry, *(x[t] for x in xs), *same])
                    carry = out[:carried]
                    columns.append([torch.as_tensor(o) for o in out[carried:]])
                return [*carry, *(torch.stack(list(c)) for c in zip(*columns, strict=True))]

            return scan
        if n.op is while_loop:
            body, test, carried = write(p["body"]), write(p["test"]), p["carried"]

            def run_while(*args: Any) -> Any:
                carry, outside, inside = split_while(args, p)
                while bool(test([*carry, *outside])[0]):
                    carry = body([*carry, *inside])[:carried]
                return carry

            return run_while
        branches = [write(g) for g in p["branches"]]
        return lambda index, *args: branches[min(max(int(index), 0), len(branches) - 1)](list(args))

    def put(x: Any) -> Any:
        return torch.tensor(np.array(x))

    def write(g: Graph) -> Any:
        return _written(g, TORCH_HANDED, namespace, loop, put)

    run = write(graph)

    def call(values: Sequence[Any]) -> list[Any]:
        with torch.no_grad():
            found = run([v if type(v) in (int, bool) else torch.as_tensor(np.array(v)) for v in values])
        return [o.numpy() if torch.is_tensor(o) else o for o in found]

    return call
