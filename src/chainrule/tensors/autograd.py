"""backward() and grad(): the reverse walk from tensors to the leaves that collect."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..diff.walk import reverse
from ..errors import DerivativeError, InputError, ShapeError
from ..ir.node import NO_PARAMS, Node, reachable
from ..ir.op import Op, constant, variable
from ..ir.recording import Handle, setting, state
from ..trace.calls import users_warnings
from ..trace.handles import plain

freed = Op("freed", lambda: None, public=False, doc="A value whose history backward() has freed.")

# Computed tensors that asked for their gradient, by node; an entry goes with its node.
RETAINED: weakref.WeakKeyDictionary[Node, weakref.ref[Any]] = weakref.WeakKeyDictionary()


def _cotangent(x: Any, gradient: Any, create_graph: bool) -> Any:
    """The gradient that was given for an output, checked; 1 where none was."""
    if x.node.op is constant:
        raise DerivativeError(
            "element 0 of tensors does not require grad and does not have a grad_fn: nothing it was computed from requires a gradient",
            "make its inputs with requires_grad=True",
        )
    if gradient is None:
        if int(np.prod(x.shape)) != 1:
            raise DerivativeError(
                f"grad can be implicitly created only for scalar outputs; this one has shape {list(x.shape)}",
                "pass backward(gradient) of that shape, or reduce it first",
            )
        gradient = np.ones(x.shape, x.dtype)[()]
    elif np.shape(plain(gradient)) != x.shape:
        raise ShapeError(
            f"the gradient has shape {list(np.shape(plain(gradient)))}, the tensor {list(x.shape)}",
            "pass a gradient of the tensor's shape",
        )
    if create_graph:
        return (
            gradient
            if isinstance(gradient, Handle)
            else type(x)(Node(constant, (), NO_PARAMS, np.asarray(gradient, x.dtype)[()]))
        )
    return np.array(plain(gradient), x.dtype)[()]


def _walked(
    outputs: Sequence[Any], cotangents: Sequence[Any], leaves: list[Node], nodes: list[Node], live: Any, kept: Any
) -> list[Any]:
    if any(n.op is freed for n in nodes):
        raise DerivativeError(
            "trying to backward through the graph a second time: its saved values have already been freed by the first",
            "pass retain_graph=True to the first backward()",
        )
    with setting(depth=state.depth + 1, recording=True), users_warnings():
        return reverse([o.node for o in outputs], cotangents, leaves, live=live, nodes=list(nodes), kept=kept)


def _free(nodes: Sequence[Node]) -> None:
    for n in nodes:
        if n.inputs:
            n.op, n.inputs = freed, ()


def run_backward(x: Any, gradient: Any, retain_graph: bool | None, create_graph: bool, inputs: Any) -> None:
    """`x.backward(...)`: collect in `.grad` of every leaf, and of the tensors that retain theirs."""
    ct = _cotangent(x, gradient, create_graph)
    nodes = reachable([x.node])
    leaves = [n for n in nodes if n.op is variable and "owner" in n.params]
    if inputs is not None:
        wanted = {i.node for i in (inputs if isinstance(inputs, (list, tuple)) else [inputs])}
        if any(n.op is not variable for n in wanted):
            raise InputError("backward: inputs that are not leaves are not supported", "use torch.autograd.grad")
        leaves = [n for n in leaves if n in wanted]
    kept = {n: None for n in nodes if n in RETAINED} if RETAINED and inputs is None else None
    found = _walked([x], [ct], leaves, nodes, type(x) if create_graph else None, kept)
    for n, g in zip(leaves, found, strict=True):
        owner = n.params["owner"]()
        if owner is not None:
            owner.accumulate(np.zeros(n.shape, n.dtype)[()] if g is None else g)
    for n, g in (kept or {}).items():
        owner = RETAINED[n]()
        if owner is not None and g is not None:
            owner.accumulate(g)
    if not (create_graph if retain_graph is None else retain_graph):
        _free(nodes)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The derivatives of the outputs (their sum, weighted by `grad_outputs`) in each of the inputs.

    Args:
        outputs: a tensor, or several.
        inputs: the tensors to differentiate with respect to, leaves or not.
        grad_outputs: the cotangent of each output; 1 for a single entry when left out.
        retain_graph: keep the graph; as `create_graph` when left out.
        create_graph: record the derivatives, so that they can be differentiated.
        allow_unused: give None for an input that the outputs do not depend on, instead of an error.
        is_grads_batched: not supported.
        materialize_grads: give zeros instead of None.

    >>> from chainrule.tensors.creation import tensor
    >>> x = tensor(2.0, requires_grad=True)
    >>> (g,) = grad(x**3, x, create_graph=True)
    >>> g.item(), grad(g, x)
    (12.0, (tensor(12.),))
    """
    if is_grads_batched:
        raise InputError("grad: is_grads_batched is not supported", "call it once for each cotangent")
    outs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    ins = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    given = list(grad_outputs) if isinstance(grad_outputs, (list, tuple)) else [grad_outputs] * len(outs)
    if len(given) != len(outs):
        raise InputError(f"grad: {len(outs)} outputs and {len(given)} grad_outputs")
    for i in ins:
        if not i.requires_grad:
            raise DerivativeError("one of the differentiated Tensors does not require grad")
    cts = [_cotangent(o, g, create_graph) for o, g in zip(outs, given, strict=True)]
    nodes = reachable([o.node for o in outs])
    wanted = dict.fromkeys(i.node for i in ins)
    kept: dict[Node, Any] = dict.fromkeys(wanted)
    kind = type(outs[0])
    leaves = [n for n in wanted if n.op is variable]
    if any(n.op is not variable for n in wanted):  # leaves behind a computed input are walked to, not collected in
        leaves += [n for n in nodes if n.op is variable and n not in wanted]
    found = dict(zip(leaves, _walked(outs, cts, leaves, nodes, kind if create_graph else None, kept), strict=True))
    results: list[Any] = []
    for i in ins:
        g = found.get(i.node) if i.node.op is variable else kept[i.node]
        if g is None and materialize_grads:
            g = np.zeros(i.shape, i.dtype)[()]
        if g is None and not allow_unused:
            raise DerivativeError(
                "one of the differentiated Tensors appears to not have been used in the graph",
                "set allow_unused=True if this is the desired behavior",
            )
        results.append(
            g if g is None or isinstance(g, Handle) else kind(Node(constant, (), NO_PARAMS, np.array(plain(g))[()]))
        )
    if not (create_graph if retain_graph is None else retain_graph):
        _free(nodes)
    return tuple(results)


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """`backward` of several tensors, one after another."""
    if grad_variables is not None:
        raise InputError("backward: grad_variables is deprecated", "pass grad_tensors")
    given = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
    cts = list(grad_tensors) if isinstance(grad_tensors, (list, tuple)) else [grad_tensors] * len(given)
    keep = create_graph if retain_graph is None else retain_graph
    for k, (x, ct) in enumerate(zip(given, cts, strict=True)):
        x.backward(ct, keep or k < len(given) - 1, create_graph, inputs)
