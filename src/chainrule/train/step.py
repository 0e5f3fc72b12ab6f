"""One training step, compiled: forward, backward and update in one program, which does what the eager step does.

The program works on the memory of the parameters, so that the model is always where the last step left it, and what happens
to the model between two steps is seen by the next. What the code of model and loss reads is watched (see `world`); where it
changes, the step is traced anew, and where it cannot be compiled, it runs uncompiled, with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter
from sys import getrefcount
from typing import Any

import numpy as np

from ..errors import ChainruleError, InputError, ShapeError, TraceError
from ..ir.node import Node
from ..ir.recording import Handle
from ..nn.module import Module
from ..nn.substitution import replaced
from ..nn.traced import fixed
from ..nn.utils import clip_grad_norm_
from ..optim.optimizers import Optimizer, updated
from ..optim.rules import started
from ..tensors import changing
from ..tensors.creation import tensor
from ..tensors.modes import enable_grad
from ..tensors.storage import Shared, overwrite
from ..tensors.tensor import Tensor
from ..trace.handles import plain
from ..trace.tree import map_leaves
from .compiled import Compiled, Uncompilable
from .divergence import divergence
from .gradients import gradients, in_place, labels_known

MOVING = ("lr", "betas")  # settings that schedules change: arguments of the program; the others are compiled in
KEPT = 32  # compiled steps that a module keeps
LOSS = "(loss)."  # before the names of what belongs to the loss
ARRAY = frozenset((np.ndarray,))
STEP, ZERO_GRAD = Optimizer.step, Optimizer.zero_grad  # what the loop calls of an optimizer
LOOP = frozenset(("step", "zero_grad"))
node_of, tie_of = attrgetter("_node"), attrgetter("_view")


def named(model: Module, loss: Any, registered: str) -> dict[str, Tensor]:
    """The parameters or buffers of a model and its loss; those of the loss under `(loss).name`."""
    found: dict[str, Tensor] = dict(getattr(model, f"named_{registered}")())
    if isinstance(loss, Module):
        known = {id(t) for t in found.values()}
        found |= {LOSS + k: t for k, t in getattr(loss, f"named_{registered}")() if id(t) not in known}
    return found


def _alone() -> int:
    """The count of references to the node of a tensor that a step holds and no graph does."""
    held = tensor(0.0)
    nodes = list(map(node_of, [held]))
    return next(map(getrefcount, nodes))


ALONE = _alone()


class Step:
    """The step that moves a model by one batch.

    Args:
        model: the network.
        loss: a function of (output, target), or a loss module.
        optimizer: over parameters of the model (and of the loss); those it leaves out stay as they are.
        clip: the largest norm of all gradients together, or None.

    Attributes:
        note: why the last step ran uncompiled; empty where it was compiled.

    >>> import chainrule as cr, numpy as np
    >>> net = cr.torch.nn.Linear(2, 1)
    >>> step = Step(net, cr.torch.nn.MSELoss(), cr.torch.optim.SGD(net.parameters(), lr=0.1))
    >>> losses = [step((np.ones((4, 2), "f4"), np.ones((4, 1), "f4")))[0] for _ in range(50)]
    >>> losses[-1] < 1e-6 and step.note == ""
    True
    """

    def __init__(
        self, model: Module, loss: Callable[..., Any], optimizer: Optimizer, clip: float | None = None
    ) -> None:
        self.model, self.loss, self.optimizer, self.clip = model, loss, optimizer, clip
        self.note = ""
        self.guests: dict[str, Tensor] = {}
        self.moving: tuple[str, ...] = MOVING
        self.momentum: list[Any] = []
        self.look()

    # ---- what there is -----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Find the parameters and buffers, the settings, and the program that belongs to them."""
        parameters, buffers = (named(self.model, self.loss, r) for r in ("parameters", "buffers"))
        names = {id(p): k for k, p in parameters.items()}
        groups = self.optimizer.param_groups
        group = {names[id(p)]: k for k, g in enumerate(groups) for p in g["params"] if id(p) in names}
        if not group:
            raise InputError(
                f"the optimizer holds no parameter of {type(self.model).__name__}: its {groups[0]['params'][0].shape} is another's",
                "build it with model.parameters()",
            )
        self.trained = {k: p for k, p in parameters.items() if k in group and p.requires_grad}
        if not self.trained:
            raise InputError(
                "nothing is trained: no parameter of the optimizer requires a gradient",
                "set requires_grad = True for some of them",
            )
        self.rest = {**{k: p for k, p in parameters.items() if k not in self.trained}, **buffers}
        self.group = {k: group[k] for k in self.trained}
        self.buffers = buffers
        self.tensors = [*self.trained.values(), *self.rest.values()]
        for t in filter(tie_of, self.tensors):
            t.node  # noqa: B018  # read what has changed in shared memory
        self.nodes = list(map(node_of, self.tensors))
        self.alone = [ALONE] * len(self.nodes)
        self.changes = Module.changes[0]
        self.settings: list[dict[str, Any]] = []
        self._settings()
        self._values()

    def _settings(self) -> None:
        """The settings of the groups: those that move, and, in the key of the program, the others."""
        groups = self.optimizer.param_groups
        self.groups = [{**g, "params": list(g["params"])} for g in groups]
        momentum = [g.get("momentum") for g in groups]
        if momentum != self.momentum:  # a schedule moves it too; whether it is zero stays compiled in
            self.moving = (*MOVING, "momentum") if self.momentum and all(momentum) and all(self.momentum) else MOVING
            self.momentum = momentum
        self.rates = [{k: g[k] for k in self.moving if k in g} for g in groups]
        settings = [{k: v for k, v in g.items() if k not in self.moving and k != "params"} for g in groups]
        if settings == self.settings:
            return
        self.settings = settings
        rule = getattr(type(self.optimizer), "rule", None)
        key = id(self.loss), self.clip, rule, repr(settings), tuple(self.group.items())
        known = self.model._compiled
        if key not in known:
            while len(known) >= KEPT:
                known.pop(next(iter(known)))
            known[key] = self._program(settings)
        self.compiled: Compiled = known[key]

    def _values(self) -> None:
        """The arrays that the tensors hold now, and the state of the optimizer."""
        self.params = {k: p._node.value for k, p in self.trained.items()}
        self.others = {k: t._node.value for k, t in self.rest.items()}
        state = self.optimizer.state
        self.moments = {
            k: state.get(p) or started(p._node.value, self.optimizer.param_groups[self.group[k]])
            for k, p in self.trained.items()
        }
        self.owners = list(map(state.get, self.trained.values()))

    def _current(self) -> bool:
        """See what changed since the last step: comparisons of what is nearly always the same object, paid at every step.

        Returns whether some memory is shared.
        """
        groups, get, tensors = self.optimizer.param_groups, self.optimizer.state.get, self.tensors
        tied = any(map(tie_of, tensors))
        if tied:
            for t in filter(tie_of, tensors):
                t.node  # noqa: B018  # read what has changed in shared memory
        now = [Module.changes[0], *map(node_of, tensors), *groups, *map(get, self.trained.values())]
        if not same(now, [self.changes, *self.nodes, *self.groups, *self.owners]):
            self._see()
            tied = any(map(tie_of, self.tensors))
        return tied

    def _see(self) -> None:
        """Take over what has changed."""
        groups = self.optimizer.param_groups
        nodes = list(map(node_of, self.tensors))
        if Module.changes[0] != self.changes or not same(nodes, self.nodes):
            self.look()
            return
        if not same(groups, self.groups):
            if not same([g["params"] for g in groups], [g["params"] for g in self.groups]):
                self.look()
                return
            self._settings()
        if not same(list(map(self.optimizer.state.get, self.trained.values())), self.owners):
            self._values()

    def arrays(self) -> dict[str, Any]:
        """Copies of all parameters and buffers by name."""
        return {k: np.array(t.node.value) for k, t in {**self.trained, **self.rest}.items()}

    # ---- moving ------------------------------------------------------------------------------------------------

    def __call__(self, batch: Sequence[Any]) -> tuple[float, Any]:
        """Move the model by one batch (inputs..., target); the loss before, and the output.

        Raises:
            DivergenceError: the loss or a gradient is not finite; the model is then as before.
        """
        value, out, good = self.move(batch)
        if not good:
            raise divergence(self, batch, "the step")
        return value, out

    def move(self, batch: Sequence[Any]) -> tuple[float, Any, bool]:
        """The loss before, the output, and whether all was finite: otherwise the model is as before."""
        tied = self._current()
        batch = tuple(batch)
        if not ARRAY.issuperset(map(type, batch)):
            batch = tuple(np.asarray(tensor(x).node.value) for x in batch)  # lists as tensors are made of them
        kind = type(self.optimizer)
        if kind.step is not STEP or kind.zero_grad is not ZERO_GRAD or not LOOP.isdisjoint(vars(self.optimizer)):
            self.note = f"{kind.__name__} has a step or zero_grad of its own"
            return self._eagerly(batch)
        if (tied or list(map(getrefcount, self.nodes)) != self.alone) and not self._part():
            self.note = "two of its parameters and buffers share memory"
            return self._eagerly(batch)
        try:
            found = self.compiled(self.params, self.others, self.moments, self.rates, batch)
        except Uncompilable as why:
            found, self.note = None, str(why)
        except (ChainruleError, IndexError):  # an index or a class out of range
            found = None
        else:
            self.note = ""
        if found is None or (not found[-1] and np.isfinite(found[-3])):
            return self._eagerly(
                batch
            )  # which says in its own words what is wrong with a label, an index or a gradient
        params, changed, moments, value, out, good = found
        if not same(params, self.params):
            for k, v in params.items():
                self.params[k] = put(self.trained[k], v)
        for k, v in changed.items():
            self.others[k] = v
            if k not in self.guests:
                self.rest[k]._node.value = v  # no graph holds the node: see above
        if self.guests:
            self._tell({**self.params, **changed})
        if good:
            state = self.optimizer.state
            if len(moments) == len(self.trained):
                self.moments, self.owners = moments, [*moments.values()]
                state.update(zip(self.trained.values(), self.owners))  # noqa: B905  # it costs
            else:  # parameters that the loss does not depend on stay as they are, and have no state
                self.moments = {**self.moments, **moments}
                state.update((self.trained[k], s) for k, s in moments.items())
                self.owners = list(map(state.get, self.trained.values()))
        return float(value), out, bool(good)

    def _part(self) -> bool:
        """Before a step in place: see to it that nobody else looks at the memory of a parameter or buffer.

        A graph of the user's that holds its node has lost its values, as after every in-place change. Tensors that share the
        memory (`detach()`, `data`, `state_dict()`) get the new values after the step, which works on a copy. Returns False
        where two of the step's own share memory, so that each would have to see what becomes of the other.
        """
        for k, (name, t) in enumerate(chain(self.trained.items(), self.rest.items())):
            if t._view is not None and not _left_alone(t):
                self.guests[name] = t
                if name in self.params:
                    self.params[name] = np.array(t.node.value)
                continue
            node = t._node
            if getrefcount(node) > self.alone[k] + 1:  # the name `node` here is one more
                t._node = self.nodes[k] = Node(node.op, (), node.params, node.value)
                overwrite(node)
        if len({id(t.storage) for t in self.guests.values()}) == len(self.guests):
            return True
        self.guests = {}
        self._values()
        return False

    def _tell(self, values: dict[str, Any]) -> None:
        """Give the new values to tensors whose memory is shared."""
        for name, t in self.guests.items():
            if name in values:
                changing.move(t, Node(t.node.op, (), t.node.params, values[name]), t.node)
        self.guests = {}
        self.nodes = list(map(node_of, self.tensors))

    def _eagerly(self, batch: Sequence[Any]) -> tuple[float, Any, bool]:
        """The same step, uncompiled."""
        put_back = self.keep_buffers()
        *inputs, target = (tensor(x) for x in batch)
        with enable_grad():
            self.optimizer.zero_grad()
            out = self.model(*inputs)
            loss = self.loss(out, target)
            value = float(loss.item())
            loss.backward()
        moved = [p for p in self.trained.values() if p.grad is not None]
        good = bool(np.isfinite(value)) and all(_finite(p.grad) for p in moved)
        if good:
            if self.clip is not None:
                clip_grad_norm_(moved, self.clip)
            self.optimizer.step()
        else:
            put_back()
        self.changes = -1
        return value, arrays(out), good

    def keep_buffers(self) -> Callable[[], None]:
        """Remember the buffers; the function that is returned puts them back."""
        roots = [m for m in (self.model, self.loss) if isinstance(m, Module)]
        held = [(m._buffers, dict(m._buffers)) for root in roots for m in root.modules()]
        nodes = [(b, b._node) for _, copy in held for b in copy.values() if b is not None]

        def put_back() -> None:
            for registered, copy in held:
                registered.clear()
                registered.update(copy)
            for b, node in nodes:
                b._node = node

        return put_back

    # ---- the program -------------------------------------------------------------------------------------------

    def objective(self, params: Any, rest: Any, batch: Sequence[Any]) -> tuple[Any, Any]:
        """The loss, and (output, what the buffers became)."""
        roots = [m for m in (self.model, self.loss) if isinstance(m, Module)]
        tensors = {**self.trained, **self.rest}
        given = {**params, **rest}
        for k, t in tensors.items():
            given[k].is_parameter = t.is_parameter
        with (
            fixed(x.node for x in (*rest.values(), *batch) if isinstance(x, Handle)),
            replaced(roots, {id(tensors[k]): h for k, h in given.items()}) as now,
        ):
            nodes = {k: h.node for k, h in given.items()}
            out = self.model(*batch[:-1])
            value = self.loss(out, batch[-1])
            after = {k: now(id(t)) for k, t in tensors.items()}
        changed = {k: x for k, x in after.items() if not isinstance(x, Handle) or x.node is not nodes[k]}
        wrong = next((k for k in changed if k in params or not isinstance(changed[k], Handle)), None)
        if wrong is not None:
            raise TraceError(f"forward changes {wrong}", "change it outside of forward")
        return value, (out, changed)

    def _program(self, settings: list[dict[str, Any]]) -> Compiled:
        """The step as a pure function, to be compiled."""
        group, clip = dict(self.group), self.clip
        rule: Any = getattr(type(self.optimizer), "rule", None)

        def step(params: Any, rest: Any, moments: Any, rates: Any, batch: Any) -> Any:
            value, (out, buffers), grads = gradients(lambda p: self.objective(p, rest, batch), params)
            good = np.logical_and(np.isfinite(value), labels_known(batch))
            for g in grads.values():
                good = np.logical_and(good, np.isfinite(np.sum(g * 0)))  # 0 for what is finite, NaN for the rest
            if clip is not None:
                norm = sum(np.sum(g * g) for g in grads.values()) ** 0.5
                grads = {k: g * np.minimum(1.0, clip / (norm + 1e-6)) for k, g in grads.items()}
            new: dict[str, Any] = {}
            after: dict[str, Any] = {}
            for k, g in grads.items():
                p, h = params[k], {**settings[group[k]], **rates[group[k]]}
                moved, s = updated(rule, p, g, moments[k], h)
                new[k] = np.where(good, moved, p)
                after[k] = {
                    n: np.where(good, v, moments[k][n]) if n in moments[k] and np.shape(v) else v for n, v in s.items()
                }
            changed = {n: np.where(good, b, rest[n]) for n, b in buffers.items()}
            return new, changed, after, value, out, good

        roots = {"the model": self.model, "the loss": self.loss, "the update rule": rule}
        return Compiled(step, roots, lambda: self.tensors, in_place)


def _left_alone(t: Tensor) -> bool:
    """Whether all that shared the memory of a tensor are gone; then it is its own again."""
    tie: Any = t._view
    if type(tie) is not Shared or tie.storage.exported or getrefcount(tie.storage) > 2:
        return False
    t._view = None
    return True


def put(t: Tensor, new: Any) -> Any:
    """Give a tensor new values, in its own memory where it has some; what it holds then."""
    old = t._node.value
    if type(old) is np.ndarray and old.flags.writeable and old.shape == new.shape and old.dtype == new.dtype:
        np.copyto(old, new)
        return old
    t._node.value = new
    return new


def arrays(tree: Any) -> Any:
    """A tree with plain arrays in place of tensors."""
    return map_leaves(lambda x: np.asarray(plain(x))[()] if isinstance(x, Handle) else x, tree)


def _finite(g: Any) -> bool:
    return bool(np.all(np.isfinite(g.node.value)))


def same(new: Any, old: Any) -> bool:
    """Whether two containers hold the same objects, as Python's quick comparison sees it."""
    try:
        return new == old
    except Exception:  # other arrays or tensors, whose comparison has no single truth
        return False


def accuracy(out: Any, target: Any) -> float:
    """The share of examples whose class is predicted: the largest logit, or the sign of a single one.

    Args:
        out: logits (batch, classes, ...), or one for each example.
        target: classes (batch, ...), or 0 and 1 of the shape of `out`.

    Raises:
        ShapeError: the shapes are of neither kind.
    """
    out, target = np.asarray(out), np.asarray(target)
    if out.shape == target.shape:
        return float(np.mean((out > 0) == (target > 0.5)))
    if out.ndim > 1 and out.shape[1] > 1 and out.shape[:1] + out.shape[2:] == target.shape:
        return float(np.mean(np.argmax(out, axis=1) == target))
    raise ShapeError(
        f"accuracy: the output has shape {out.shape}, the target {target.shape}",
        "give (batch, classes) and (batch,) integers, or a single logit and its target in one shape: y[:, None]",
    )
