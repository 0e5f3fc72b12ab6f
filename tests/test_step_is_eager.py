"""The compiled step does what the eager step does, whatever changes: between fits, in callbacks, between steps, in forward.

Every row of the table is a way to change what a step depends on. The reference is the imperative loop, written out below;
where the compiled step cannot follow, it has to run uncompiled or be refused, never to use what was.
"""

import contextlib
import copy
import dataclasses
import math
import random
import time
import types
import weakref

import numpy as np
import pytest

import chainrule as cr
import chainrule.torch as ct
from chainrule.tensors.creation import default_generator
from chainrule.torch import nn, optim
from chainrule.torch.nn import functional as F
from chainrule.train import Step, evaluate, fit, predict
from chainrule.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
X = rng.standard_normal((20, 3)).astype("f4")
Y = (X @ np.array([[1.0], [-2.0], [0.5]]) + 0.3).astype("f4")
CLASSES = rng.integers(0, 3, 20)
RATE = 1.0  # read by a loss below
WEIGHTS = np.ones(1, "f4")
SETTINGS = {"factor": 1.0, "steps": [1, 2]}


class Kind(type):
    """A class of classes."""

    gain = 1.0


class Config(metaclass=Kind):
    def __init__(self):
        self.scale, self.nested, self.zero, self.label = 1.0, {"shift": [0.0]}, 0.0, Label(1.0)


@dataclasses.dataclass
class Label:
    """Equal to every other of its kind."""

    weight: float = dataclasses.field(compare=False)


HELD = Config()  # which no code names


def activated(x, slope=1.0):
    return x * slope


class Net(nn.Module):
    """Reads attributes of many kinds."""

    shift = 0.0

    def __init__(self):
        super().__init__()
        self.first, self.third, self.second, self.unused = (
            nn.Linear(3, 4),
            nn.Linear(4, 4),
            nn.Linear(4, 1),
            nn.Linear(2, 2),
        )
        self.norm, self.drop, self.act = nn.BatchNorm1d(3), nn.Dropout(0.0), nn.Tanh()
        self.scale, self.config, self.factors, self.epoch = 1.0, Config(), [1.0, 1.0], 0
        self.activated, self.weakly = (
            types.FunctionType(activated.__code__, globals(), "activated", (1.0,)),
            weakref.ref(HELD),
        )
        self.offset = np.zeros(4, "f4")
        self.plain = ct.zeros(4)
        self.register_buffer("mask", np.ones(4, "f4"))

    def forward(self, x):
        h = self.first(self.norm(x)) * self.mask + self.offset + self.plain
        h = self.third(self.drop(self.act(h)))
        if self.epoch > 1:
            h = h * 0.5
        y = self.second(h) * self.scale * self.config.scale + self.config.nested["shift"][0] + self.shift
        y = y * self.config.label.weight * type(self.config).gain * self.weakly().scale * ct.ones(1)
        return self.activated(y) * self.factors[0] * math.copysign(1.0, self.config.zero)


def net(seed=0):
    ct.manual_seed(seed)
    return Net()


def sgd(p):
    return optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1)


class Decaying(optim.SGD):
    """An optimizer with a zero_grad of its own."""

    def zero_grad(self, set_to_none=True):
        self.param_groups[0]["lr"] *= 0.9
        super().zero_grad(set_to_none)


class Bare(optim.Optimizer):
    """An optimizer with a step of its own."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        with ct.no_grad():
            for g in self.param_groups:
                for p in g["params"]:
                    if p.grad is not None:
                        p -= g["lr"] * np.sign(p.grad.detach().value)


def loss_of_globals(out, y):
    return ((out - y) ** 2).mean() * 0.05 * RATE * SETTINGS["factor"] * WEIGHTS[0]


def set_global(name, value):
    def change(m, opt, loss):
        globals()[name] = value

    return change


def attribute(path, value):
    def change(m, opt, loss):
        *way, last = path.split(".")
        for name in way:
            m = getattr(m, name)
        setattr(m, last, value)

    return change


def under_no_grad(f):
    def change(m, opt, loss):
        with ct.no_grad():
            f(m)

    return change


def setting(name, value, group=0):
    return lambda m, opt, loss: opt.param_groups[group].__setitem__(name, value)


def load(m, opt, loss):
    m.load_state_dict(net(7).state_dict())


def replaced(m, opt, loss):
    m.act = nn.ReLU()


def added(m, opt, loss):
    m.act = nn.Sequential(nn.Tanh(), nn.Tanh())


def hacked(m, opt, loss):
    m._modules["act"] = nn.ReLU()
    m.__dict__["scale"] = 3.0


def frozen(m, opt, loss):
    m.first.requires_grad_(False)


def thawed(m, opt, loss):
    m.first.requires_grad_(not m.first.weight.requires_grad)


def clipped(m):
    for p in m.parameters():
        p.clamp_(-0.1, 0.1) if hasattr(p, "clamp_") else p.copy_(p.detach().clip(-0.1, 0.1))


def new_weight(m, opt, loss):
    m.first.weight = nn.Parameter(np.full((4, 3), 0.1, "f4"))
    opt.param_groups[0]["params"] = list(m.parameters())


def tied(m, opt, loss):
    m.first.bias = m.third.bias


def group(m, opt, loss):
    unused = list(m.unused.parameters())
    opt.param_groups[0]["params"] = [p for p in m.parameters() if all(p is not u for u in unused)]
    opt.add_param_group({"params": unused, "lr": 0.5})


def dropped_state(m, opt, loss):
    opt.state.clear()


def patched(m, opt, loss):
    m.forward = lambda x: Net.forward(m, x) * 2


def of_class(m, opt, loss):
    Net.shift = Net.shift + 1.0


def settings_of_loss(m, opt, loss):
    if isinstance(loss, nn.Module):
        loss.delta = 0.01


def flat(m, opt, loss):
    """All parameters become parts of one tensor."""
    whole = ct.cat([p.detach().reshape(-1) for p in m.parameters()])
    k = 0
    for p in m.parameters():
        p.data = whole[k : k + p.numel()].view(p.shape)
        k += p.numel()
    whole.mul_(0.9)


def other_code(m, opt, loss):
    m.activated.__code__ = (lambda x, slope: x * slope * 2).__code__


CHANGES = {
    "a function's code": other_code,
    "a function's defaults": attribute("activated.__defaults__", (3.0,)),
    "the sign of a zero": attribute("config.zero", -0.0),
    "an object for an equal one": lambda m, opt, loss: setattr(m.config, "label", Label(2.0)),
    "a class of a class": lambda m, opt, loss: setattr(Kind, "gain", Kind.gain + 1),
    "what is held weakly": lambda m, opt, loss: setattr(HELD, "scale", HELD.scale + 1),
    "parameters in one flat tensor": flat,
    "the default dtype": lambda m, opt, loss: ct.set_default_dtype(ct.float64),
    "a number": attribute("scale", 10.0),
    "an attribute of an object": attribute("config.scale", 10.0),
    "an entry deep inside": lambda m, opt, loss: m.config.nested["shift"].__setitem__(0, 5.0),
    "an entry of a list": lambda m, opt, loss: m.factors.__setitem__(0, 3.0),
    "an array in place": lambda m, opt, loss: m.offset.__iadd__(1),
    "an array replaced": attribute("offset", np.full(4, 2, "f4")),
    "a plain tensor": attribute("plain", ct.tensor([1.0, 2.0, 3.0, 4.0])),
    "a plain tensor in place": under_no_grad(lambda m: m.plain.add_(1)),
    "a buffer": attribute("mask", ct.tensor([1.0, 0.0, 1.0, 0.0])),
    "a buffer in place": under_no_grad(lambda m: m.mask.mul_(0.5)),
    "a branch on the epoch": attribute("epoch", 5),
    "an activation": replaced,
    "a module added": added,
    "behind the module's back": hacked,
    "forward": patched,
    "an attribute of the class": of_class,
    "dropout's p": attribute("drop.p", 0.5),
    "the momentum of a norm": attribute("norm.momentum", 0.5),
    "eps of a norm": attribute("norm.eps", 1.0),
    "eval": lambda m, opt, loss: m.eval(),
    "eval of one module": lambda m, opt, loss: m.norm.eval(),
    "parameters in place": under_no_grad(clipped),
    "parameters by data": lambda m, opt, loss: setattr(m.first.weight, "data", np.full((4, 3), 0.2, "f4")),
    "load_state_dict": load,
    "a parameter replaced": new_weight,
    "tied weights": tied,
    "frozen": frozen,
    "frozen or thawed": thawed,
    "the dtype": lambda m, opt, loss: m.double(),
    "lr": setting("lr", 0.2),
    "momentum": setting("momentum", 0.5),
    "momentum off": setting("momentum", 0.0),
    "nesterov": setting("nesterov", True),
    "weight decay": setting("weight_decay", 0.0),
    "maximize": setting("maximize", True),
    "a group": group,
    "the optimizer's state": dropped_state,
    "a global number": set_global("RATE", 3.0),
    "a global dict": lambda m, opt, loss: SETTINGS.__setitem__("factor", 4.0),
    "a global array in place": lambda m, opt, loss: WEIGHTS.__imul__(2),
    "a setting of the loss": settings_of_loss,
}
LOSSES = {"module": nn.HuberLoss, "globals": lambda: loss_of_globals}


@pytest.fixture(autouse=True)
def world():
    """Globals and class attributes as they were."""
    yield
    as_before()


def as_before():
    globals().update(RATE=1.0, WEIGHTS=np.ones(1, "f4"), SETTINGS={"factor": 1.0, "steps": [1, 2]})
    Net.shift, Kind.gain, HELD.scale = 0.0, 1.0, 1.0
    ct.set_default_dtype(ct.float32)


def eager_epochs(m, loss_of, opt, epochs, x=X, y=Y, size=8, after=None, clip=None):
    """The imperative loop."""
    losses = []
    if not m.training:  # as fit does: it trains in training mode
        m.train()
    for epoch in range(epochs):
        total = 0.0
        for a, b in DataLoader(TensorDataset(x, y), batch_size=size):
            opt.zero_grad()
            loss = loss_of(m(a), b)
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(m.parameters(), clip)
            opt.step()
            total += loss.item() * len(b)
        losses.append(total / len(x))
        if after is not None:
            after(epoch)
    return losses


def compiled_epochs(m, loss_of, opt, epochs, x=X, y=Y, size=8, after=None, clip=None):
    """The same by `fit`."""

    def callback(event):
        if after is not None:
            after(event.epoch - 1)

    loader = DataLoader(TensorDataset(x, y), batch_size=size)
    return fit(m, loss_of, loader, epochs=epochs, optimizer=opt, callbacks=[callback], clip=clip).loss


def values(m):
    return {k: np.array(v) for k, v in m.state_dict().items()}


def assert_same(a, b, rtol=2e-5, atol=2e-6):
    assert values(a).keys() == values(b).keys()
    for k, v in values(a).items():
        np.testing.assert_allclose(v, values(b)[k], rtol=rtol, atol=atol, err_msg=k)


def both(run, make=net, loss=lambda: nn.HuberLoss(), optimizer=sgd):
    """Run with a compiled training and with the imperative loop, each on a model of its own and from the same seed."""
    found = []
    for epochs in (compiled_epochs, eager_epochs):
        m, f = make(), loss()
        o = optimizer(m.parameters())
        ct.manual_seed(3)
        random.seed(3)
        np.random.seed(3)
        losses = run(m, f, o, epochs)
        found.append((m, losses))
        as_before()
    (a, losses), (b, want) = found
    np.testing.assert_allclose(losses, want, rtol=2e-5)
    assert_same(a, b)
    return a


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", CHANGES)
def test_changes_between_two_trainings_are_seen(name, loss):
    def run(m, f, o, epochs):
        first = epochs(m, f, o, 2)
        CHANGES[name](m, o, f)
        return [*first, *epochs(m, f, o, 2)]

    both(run, loss=LOSSES[loss])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", CHANGES)
def test_changes_in_a_callback_are_seen(name, loss):
    def run(m, f, o, epochs):
        return epochs(m, f, o, 4, after=lambda epoch: CHANGES[name](m, o, f) if epoch == 1 else None)

    both(run, loss=LOSSES[loss])


@pytest.mark.parametrize("name", CHANGES)
def test_changes_between_two_steps_are_seen(name):
    a, b = net(), net()
    f = nn.HuberLoss()
    opts = [sgd(m.parameters()) for m in (a, b)]
    step = Step(a, f, opts[0])
    for k in range(4):
        state = default_generator.get_state()
        value, _ = step((X, Y))
        default_generator.set_state(state)
        opts[1].zero_grad()
        loss = f(b(ct.tensor(X)), ct.tensor(Y))
        loss.backward()
        opts[1].step()
        assert value == pytest.approx(loss.item(), rel=2e-5)
        assert_same(a, b)
        if k == 1:
            CHANGES[name](a, opts[0], f)
            CHANGES[name](b, opts[1], nn.HuberLoss()) if not name.startswith(
                ("a global", "an attribute of the class", "a setting", "a class of", "the default", "what is held")
            ) else None


@pytest.mark.parametrize("name", [n for n in CHANGES if "grad" not in n])
def test_changes_between_predictions_are_seen(name):
    m = net()
    opt, f = sgd(m.parameters()), nn.HuberLoss()
    for k in range(3):
        modes = [x.training for x in m.modules()]
        got, loss = predict(m, X), evaluate(m, f, None, [(X, Y)])[0]
        assert [x.training for x in m.modules()] == modes
        other = copy.copy(m)
        with ct.no_grad():
            before = [x.training for x in m.modules()]
            m.eval()
            want = m(ct.tensor(X))
            want_loss = f(want, ct.tensor(Y)).item()
            for x, mode in zip(m.modules(), before, strict=True):
                x.training = mode
        np.testing.assert_allclose(got, want.numpy(), rtol=2e-5, atol=1e-6)
        assert got.dtype == want.numpy().dtype
        assert loss == pytest.approx(want_loss, rel=2e-5)
        del other
        if k == 0:
            CHANGES[name](m, opt, f)


# ---- what forward itself does ------------------------------------------------------------------------------------


class Stateful(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.lin, self.count, self.seen, self.table = kind, nn.Linear(3, 1), 0, [], {}
        self.register_buffer("steps", np.zeros((), "f4"))
        self.register_buffer("total", np.zeros(3, "f4"))

    def forward(self, x):
        return getattr(self, self.kind)(x)

    def counts(self, x):
        self.count += 1
        return self.lin(x) / self.count

    def appends(self, x):
        self.seen.append(len(self.seen))
        return self.lin(x) * (1 + len(self.seen))

    def fills_a_table(self, x):
        self.table[len(self.table)] = 1.0
        return self.lin(x) * sum(self.table.values())

    def counts_in_a_buffer(self, x):
        self.steps += 1
        return self.lin(x) / self.steps

    def binds_a_buffer(self, x):
        self.total = self.total * 0.9 + x.detach().mean(0)
        return self.lin(x - self.total)

    def buffers_in_place(self, x):
        with ct.no_grad():
            self.total.mul_(0.9).add_(x.mean(0))
        return self.lin(x - self.total)

    def keeps_the_output(self, x):
        y = self.lin(x)
        self.seen = [y.detach()]
        return y * self.seen[0].mean()

    def python_random(self, x):
        return self.lin(x) * (2.0 if random.random() < 0.5 else 1.0)

    def numpy_random(self, x):
        return self.lin(x) * float(np.random.rand())

    def draws(self, x):
        return self.lin(x + ct.randn(*x.shape))

    def seeds(self, x):
        ct.manual_seed(5)
        return self.lin(x + ct.randn(3))

    def prints(self, x):
        print("forward")
        return self.lin(x)

    def takes_a_number_out(self, x):
        return self.lin(x) / (1 + abs(x.mean().item()))

    def branches_on_data(self, x):
        y = self.lin(x)
        return y * 2 if y.sum() > 0 else y * 3

    def loops_on_data(self, x):
        y = self.lin(x)
        while abs(float(y.detach().sum())) > 1:
            y = y / 2
        return y

    def clips_its_weights(self, x):
        with ct.no_grad():
            self.lin.weight.copy_(self.lin.weight.detach().clip(-0.3, 0.3))
        return self.lin(x)

    def asks_requires_grad(self, x):
        return self.lin(x) * (1.0 if x.requires_grad else 2.0) * (3.0 if self.lin.weight.requires_grad else 5.0)

    def penalises_itself(self, x):
        return self.lin(x) + sum((p**2).sum() for p in self.parameters())

    def adds_a_module_at_first(self, x):
        if "late" not in self._modules:
            self.late = nn.Tanh()
        return self.late(self.lin(x))

    def writes_into_its_input(self, x):
        x += 1
        x[0] = 0
        return self.lin(x)

    def stops_gradients(self, x):
        y = self.lin(x)
        return y * y.detach()

    def without_gradients(self, x):
        with ct.no_grad():
            scale = self.lin(x).abs().mean()
        return self.lin(x) / scale


STATEFUL = [n for n in vars(Stateful) if not n.startswith("_") and n != "forward"]


@pytest.mark.parametrize("kind", STATEFUL)
def test_what_forward_does_is_done_at_every_step(kind, capsys):
    def make():
        ct.manual_seed(0)
        return Stateful(kind)

    m = both(lambda m, f, o, epochs: epochs(m, f, o, 3), make=make, optimizer=lambda p: optim.SGD(p, lr=0.02))
    if kind == "prints":
        assert capsys.readouterr().out == "forward\n" * 18
    if kind == "counts":
        assert m.count == 9
    if kind == "appends":
        assert m.seen == list(range(9))


EXPRESSIONS = """
x.transpose(0, 1).transpose(0, 1) | x.permute(1, 0).t() | x.view(-1, 3) | x.reshape(x.size(0), -1) | x.unsqueeze(1).squeeze(1)
x.flatten(1) | x.float() | x.to(x.dtype) | x.contiguous() | x.clone() | x.tanh() | x.sigmoid() | x.exp().log() | x.clamp(-1, 1)
x.pow(2) | x - x.mean(dim=1, keepdim=True) | x / x.std(dim=0) | x.softmax(dim=1) | x.log_softmax(-1) | x * x.max(dim=1)[0].unsqueeze(1)
x * x.sum(1).view(-1, 1) | x.matmul(self.a) | x @ self.a.t() | x.abs().sqrt() | x.relu() | x.mul(2) if hasattr(x, "mul") else x * 2
ct.cat([x, x], dim=1)[:, :3] | ct.stack([x, x]).mean(0) | x.expand(20, 3) | F.relu(x) | x.type_as(x) | x.cpu() | x[:, [2, 1, 0]] | x[x.size(0) // 2 :].mean(0) + x
x.new_zeros(3) + x if hasattr(x, "new_zeros") else x | x.bool().float() | x.eq(x).float() * x | x.var(dim=0) + x | x.logsumexp(dim=1).view(-1, 1) * x
x.double().float() | x + ct.ones(3) | x.requires_grad_(False) if False else x | x.t().t() | x.min(dim=0).values + x | x.argmax(dim=1).float().view(-1, 1) + x
"""
EXPRESSIONS = [e.strip() for line in EXPRESSIONS.strip().splitlines() for e in line.split(" | ")]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_traced_value_is_a_tensor(text):
    """Each expression works on values of a compiled step as on tensors, and is compiled."""

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.out = nn.Linear(3, 3), nn.Linear(3, 1)
            self.a = nn.Parameter(np.eye(3, dtype="f4"))

    body = (
        f"def forward(self, x):\n    x = self.lin(x)\n    assert isinstance(x, ct.Tensor)\n    return self.out({text})"
    )
    Small.forward = types.FunctionType(compile(body, "<expression>", "exec").co_consts[0], globals())

    def make():
        ct.manual_seed(0)
        return Small()

    m = both(lambda m, f, o, epochs: epochs(m, f, o, 2, size=20), make=make, optimizer=lambda p: optim.SGD(p, lr=0.02))
    step = Step(m, nn.HuberLoss(), optim.SGD(m.parameters(), lr=0.1))
    step((X, Y))
    assert step.note == ""


# ---- optimizers, losses, data ------------------------------------------------------------------------------------


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.05),
    "sgd, all settings": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1, maximize=False),
    "sgd, dampened": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.5),
    "adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True, weight_decay=0.1),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1, weight_decay=0.1),
    "a step of its own": lambda p: Bare(p, 0.01),
    "a zero_grad of its own": lambda p: Decaying(p, 0.05, momentum=0.9),
}


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_moves_as_in_the_loop_and_leaves_unused_parameters_alone(name, clip):
    m = both(lambda m, f, o, epochs: epochs(m, f, o, 10, clip=clip), optimizer=OPTIMIZERS[name])
    for k, v in net().unused.state_dict().items():
        np.testing.assert_array_equal(v, m.unused.state_dict()[k])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_of_a_loop_and_compiled_steps_take_turns(name):
    a, b = net(), net()
    f, opts = nn.HuberLoss(), [OPTIMIZERS[name](m.parameters()) for m in (a, b)]
    step = Step(a, f, opts[0])

    def by_hand(m, opt, y):
        opt.zero_grad()
        f(m(ct.tensor(X)), ct.tensor(y)).backward()
        opt.step()

    for _ in range(3):
        by_hand(a, opts[0], Y)
        by_hand(b, opts[1], Y)
        grads = [p.grad.tolist() for p in a.parameters() if p.grad is not None]
        y = 0.99 * predict(b.train(), X)  # a gradient that is nearly zero
        step((X, y))
        by_hand(b, opts[1], y)
        assert_same(a, b)
        if step.note == "":
            assert grads == [p.grad.tolist() for p in a.parameters() if p.grad is not None]


def test_a_loss_with_parameters_and_buffers_of_its_own():
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.log = nn.Parameter(np.zeros(1, "f4"))
            self.register_buffer("seen", np.zeros((), "f4"))

        def forward(self, out, y):
            self.seen = self.seen + 1
            return ((out - y) ** 2).mean() * (-self.log).exp().sum() + self.log.sum()

    found = []
    for compiled in (True, False):
        m, f = net(), Weighted()
        o = optim.SGD([*m.parameters(), *f.parameters()], lr=0.01)
        (
            fit(m, f, DataLoader(TensorDataset(X, Y), batch_size=8), epochs=3, optimizer=o)
            if compiled
            else eager_epochs(m, f, o, 3)
        )
        found.append((m, f))
    (a, f), (b, g) = found
    assert_same(a, b)
    assert_same(f, g)
    assert f.seen.item() == 9


def test_a_loss_that_reads_the_model():
    def loss(m):
        return lambda out, y: (
            ((out - y) ** 2).mean()
            + 0.1 * (m.first.weight**2).sum()
            + 0.1 * sum(p.abs().sum() for p in m.second.parameters())
        )

    found = []
    for compiled in (True, False):
        m = net()
        o = optim.SGD(m.parameters(), lr=0.01)
        if compiled:
            step = Step(m, loss(m), o)
            for _ in range(3):
                step((X, Y))
            assert step.note == ""
        else:
            eager_epochs(m, loss(m), o, 3, size=20)
        found.append(m)
    assert_same(*found)


def test_batches_of_other_sizes_and_labels_of_other_kinds():
    def make():
        ct.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))

    def run(m, f, o, epochs):
        return [
            *epochs(m, f, o, 2, y=CLASSES, size=7),
            *epochs(m, f, o, 2, y=CLASSES.astype("i4"), size=20),
            *epochs(m, f, o, 2, y=np.eye(3, dtype="f4")[CLASSES], size=6),
            *epochs(m, f, o, 1, x=X[:5], y=CLASSES[:5], size=8),
        ]

    both(run, make=make, loss=nn.CrossEntropyLoss, optimizer=lambda p: optim.Adam(p, lr=0.01))


def test_labels_out_of_range_are_refused_in_every_batch_and_change_nothing():
    m = nn.Sequential(nn.Linear(3, 3))
    step = Step(m, nn.CrossEntropyLoss(), optim.Adam(m.parameters(), lr=0.1))
    for _ in range(2):
        step((X, CLASSES))
    for wrong in (3, -1, 10**9):
        before = values(m)
        y = CLASSES.copy()
        y[4] = wrong
        with pytest.raises(cr.ChainruleError):
            step((X, y))
        for k, v in values(m).items():
            np.testing.assert_array_equal(v, before[k])
    step((X, CLASSES))


def test_random_numbers_advance_as_in_the_loop():
    def make():
        ct.manual_seed(0)
        return nn.Sequential(
            nn.Linear(3, 8), nn.Dropout(0.5), nn.Dropout(0.2, generator=ct.Generator().manual_seed(1)), nn.Linear(8, 1)
        )

    ends = []

    def run(m, f, o, epochs):
        found = epochs(m, f, o, 3)
        ends.append((default_generator.get_state(), m[2].generator.get_state()))
        return found

    both(run, make=make)
    assert ends[0] == ends[1]


def test_the_model_is_where_the_last_step_left_it_at_every_moment():
    a, b = net(), net()
    f = nn.HuberLoss()
    step, opt = Step(a, f, sgd(a.parameters())), sgd(b.parameters())
    held = a.first.weight
    for _ in range(3):
        step((X, Y))
        opt.zero_grad()
        f(b(ct.tensor(X)), ct.tensor(Y)).backward()
        opt.step()
        assert_same(a, b)
        assert a.first.weight is held
    loss = f(a(ct.tensor(X)), ct.tensor(Y))
    loss.backward()
    assert a.first.weight.grad is not None


@pytest.mark.parametrize("broken", ["forward", "loss", "data", "callback", "metric", "interrupt"])
def test_whatever_fails_the_model_holds_the_last_complete_step(broken):
    class Data(TensorDataset):
        def take(self, numbers):
            if broken == "data" and numbers[0] == 16:
                raise RuntimeError("broken")
            if broken == "interrupt" and numbers[0] == 16:
                raise KeyboardInterrupt
            return super().take(numbers)

    class Failing(Net):
        def forward(self, x):
            if broken == "forward" and len(x) == 4:
                raise RuntimeError("broken")
            return super().forward(x)

    def loss(out, y):
        if broken == "loss" and len(y) == 4:
            raise RuntimeError("broken")
        return F.mse_loss(out, y)

    def fails(*_):
        raise RuntimeError("broken")

    ct.manual_seed(0)
    m, want = Failing(), net()
    want.load_state_dict(m.state_dict())
    m.norm.eval()
    modes = [x.training for x in m.modules()]
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        fit(
            m, loss, DataLoader(Data(X, Y), batch_size=8), epochs=3, optimizer=sgd(m.parameters()),
            callbacks=[fails] if broken == "callback" else [], metric=(lambda out, y: fails() if len(y) == 4 else 1.0) if broken == "metric" else None,
        )  # fmt: skip
    assert [x.training for x in m.modules()] == modes
    want.norm.eval()
    opt = sgd(want.parameters())
    steps = 3 if broken in ("callback", "metric") else 2
    for k in range(steps):
        a, b = X[8 * k : 8 * k + 8], Y[8 * k : 8 * k + 8]
        opt.zero_grad()
        F.mse_loss(want(ct.tensor(a)), ct.tensor(b)).backward()
        opt.step()
    assert_same(m, want)


def test_a_gradient_that_is_not_finite_is_found_and_not_applied():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(np.array([1.0, 0.0], "f4"))
            self.register_buffer("seen", np.zeros((), "f4"))

        def forward(self, x):
            self.seen = self.seen + 1
            return (x * self.w).sqrt()

    m = Root()
    x, y = np.ones((4, 2), "f4"), np.ones((4, 2), "f4")
    with np.errstate(all="ignore"), pytest.raises(cr.DivergenceError, match="epoch 1, step 1"):
        fit(m, nn.MSELoss(), (x, y), epochs=1, batch_size=4, optimizer=optim.SGD(m.parameters(), lr=0.1))
    np.testing.assert_array_equal(m.w.detach(), [1.0, 0.0])
    assert m.seen.item() == 0


def test_the_history_averages_examples():
    m = net()
    want = eager_epochs(net(), nn.MSELoss(), sgd(net().parameters()), 1, size=8)
    m = net()
    history = fit(
        m,
        nn.MSELoss(),
        DataLoader(TensorDataset(X, Y), batch_size=8),
        epochs=1,
        optimizer=optim.SGD(m.parameters(), lr=0.0),
    )
    frozen_ = net()
    want = eager_epochs(frozen_, nn.MSELoss(), optim.SGD(frozen_.parameters(), lr=0.0), 1, size=8)
    assert history.loss == pytest.approx(want, rel=1e-6)


def test_a_hundred_steps_stay_close():
    both(lambda m, f, o, epochs: epochs(m, f, o, 34), optimizer=lambda p: optim.Adam(p, lr=0.01))


def test_graphs_of_the_user_have_lost_the_values_that_a_step_changed():
    m = nn.Linear(3, 1)
    step = Step(m, nn.MSELoss(), optim.SGD(m.parameters(), lr=0.1))
    step((X, Y))
    x = ct.tensor(X, requires_grad=True)
    out = m(x).sum()
    step((X, Y))
    with pytest.raises(cr.DerivativeError, match="modified by an inplace operation"):
        out.backward()


@pytest.mark.parametrize("kind", ["detach", "data", "state_dict", "numpy"])
def test_those_who_share_the_memory_of_a_parameter_see_its_steps_and_are_seen(kind):
    a, b = nn.Linear(3, 1), nn.Linear(3, 1)
    b.load_state_dict(a.state_dict())
    step, opt = Step(a, nn.MSELoss(), optim.SGD(a.parameters(), lr=0.1)), optim.SGD(b.parameters(), lr=0.1)

    def shared(m):
        return {
            "detach": m.weight.detach(), "data": m.weight.data, "state_dict": m.state_dict()["weight"], "numpy": m.weight.detach().numpy(),
        }[kind]  # fmt: skip

    views = [shared(a), shared(b)]
    for k in range(4):
        step((X, Y))
        opt.zero_grad()
        nn.MSELoss()(b(ct.tensor(X)), ct.tensor(Y)).backward()
        opt.step()
        assert_same(a, b)
        np.testing.assert_allclose(np.asarray(views[0]), np.asarray(views[1]), rtol=1e-5)
        if k == 1:
            for v in views:
                v *= 0.5


def test_two_parameters_of_one_shape_are_not_mixed_up():
    def make():
        ct.manual_seed(0)
        return nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(3, 3), nn.ReLU())), nn.Linear(3, 1))

    both(lambda m, f, o, epochs: epochs(m, f, o, 6), make=make, optimizer=lambda p: optim.Adam(p, lr=0.01))


def test_the_same_array_twice_says_nothing_of_the_next_batch():
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b.load_state_dict(a.state_dict())
    step, opt = Step(a, nn.MSELoss(), optim.SGD(a.parameters(), lr=0.1)), optim.SGD(b.parameters(), lr=0.1)
    for x, y in ((X, X), (X, X + 1), (X, X)):
        step((x, y))
        opt.zero_grad()
        nn.MSELoss()(b(ct.tensor(x)), ct.tensor(y)).backward()
        opt.step()
    assert_same(a, b)


class Held:
    """What a user's module may hold beside its parameters."""

    def __init__(self):
        import logging
        import pathlib
        import threading

        self.log, self.lock, self.path = logging.getLogger("held"), threading.Lock(), pathlib.Path(".")

    def clock(self):
        return time.time()


def test_what_the_code_does_not_reach_does_not_keep_it_from_being_compiled():
    class Holding(nn.Module):
        def __init__(self):
            super().__init__()
            self.began = time.time()
            self.lin, self.held, self.rng = nn.Linear(3, 1), Held(), np.random.default_rng(0)

        def age(self):
            return time.time() - self.began

        def forward(self, x):
            self.held.log.debug("forward")
            return self.lin(x)

    class Timed(Holding):
        def forward(self, x):
            return self.lin(x) * self.age()

    notes = []
    for kind in (Holding, Timed):
        m = kind()
        step = Step(m, nn.MSELoss(), optim.SGD(m.parameters(), lr=0.1))
        step((X, Y))
        step((X.tolist(), ct.tensor(Y)))
        notes.append(step.note)
    assert notes[0] == ""
    assert "time" in notes[1]


def test_outputs_of_any_structure():
    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(3, 1)

        def forward(self, x):
            return {"y": self.lin(x), "rest": (x, None)}

    m = Several()
    step = Step(m, lambda out, y: ((out["y"] - y) ** 2).mean(), optim.SGD(m.parameters(), lr=0.1))
    out = step((X, Y))[1]
    assert type(out["y"]) is np.ndarray
    assert out["rest"][1] is None
    np.testing.assert_array_equal(predict(m, X)["rest"][0], X)


def attached():
    return getattr(attached, "late", 0.0)


def test_what_was_not_there_is_seen_when_it_comes():
    """A global, an attribute of a function, of a module or of a class: looked for in forward, and made between two calls."""
    tools, counts = types.ModuleType("of_the_user"), np.array([1, 2, 3, 4])
    settings = types.SimpleNamespace()

    class Looking(nn.Module):
        def forward(self, x):
            with contextlib.suppress(NameError):
                x = x + that_comes_late  # noqa: F821
            x = x + getattr(tools, "late", 0.0) + attached() + getattr(settings, "late", 0.0)
            return x + getattr(Looking, "late", 0.0) + counts.shape[0]

    made = {
        "a global": lambda: globals().update(that_comes_late=1.0),
        "of a module": lambda: setattr(tools, "late", 10.0),
        "of a function": lambda: setattr(attached, "late", 100.0),
        "of an object": lambda: setattr(settings, "late", 1000.0),
        "of a class": lambda: setattr(Looking, "late", 10000.0),
        "a shape in place": lambda: setattr(counts, "shape", (2, 2)),
    }
    net, x = Looking(), np.ones((2, 3), "f4")
    for what, make in {"nothing": lambda: None, **made}.items():
        make()
        np.testing.assert_array_equal(np.asarray(predict(net, x)), net(ct.tensor(x)).numpy(), err_msg=what)
