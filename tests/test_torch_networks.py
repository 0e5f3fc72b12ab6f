"""Networks against torch: the same outputs and gradients from the same weights, the same steps, the same schedules."""

import importlib.util
import warnings

import numpy as np
import pytest

import chainrule as cr
import chainrule.torch as ct
from chainrule.torch import nn, optim
from chainrule.torch.optim import lr_scheduler as schedules

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        importlib.util.find_spec("torch") is None, reason="torch is not installed: run PEERS=1 make test"
    ),
]
R = np.random.default_rng(0)


def normal(*shape):
    return R.standard_normal(shape).astype("f4")


MODULES = {
    "linear": (lambda n: n.Linear(4, 3), [(2, 4)]),
    "conv1d": (lambda n: n.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), [(2, 4, 9)]),
    "conv2d": (lambda n: n.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)), [(2, 2, 7, 8)]),
    "conv_same": (lambda n: n.Conv2d(1, 2, 4, padding="same"), [(2, 1, 5, 6)]),
    "conv_single": (lambda n: n.Conv2d(1, 2, 3), [(1, 5, 6)]),
    "maxpool": (lambda n: n.MaxPool2d(3, 2, 1), [(2, 2, 7, 7)]),
    "avgpool": (lambda n: n.AvgPool2d(2), [(2, 2, 6, 6)]),
    "maxpool1d": (lambda n: n.MaxPool1d(2), [(2, 2, 6)]),
    "avgpool1d": (lambda n: n.AvgPool1d(3, 2), [(2, 2, 9)]),
    "adaptive": (lambda n: n.AdaptiveAvgPool2d((2, 3)), [(2, 2, 4, 6)]),
    "batchnorm1d": (lambda n: n.BatchNorm1d(4), [(6, 4)]),
    "batchnorm2d": (lambda n: n.BatchNorm2d(3), [(4, 3, 5, 5)]),
    "layernorm": (lambda n: n.LayerNorm((3, 4)), [(2, 3, 4)]),
    "rnn": (lambda n: n.RNN(3, 4, num_layers=2), [(5, 2, 3)]),
    "gru": (lambda n: n.GRU(3, 4, bidirectional=True, batch_first=True), [(2, 5, 3)]),
    "lstm": (lambda n: n.LSTM(3, 4, num_layers=2, bidirectional=True), [(5, 2, 3)]),
    "lstm_single": (lambda n: n.LSTM(3, 4), [(5, 3)]),
    "attention": (lambda n: n.MultiheadAttention(8, 2, batch_first=True), [(2, 5, 8)] * 3),
    "activations": (
        lambda n: n.Sequential(
            n.Linear(4, 8), n.ReLU(), n.Linear(8, 8), n.LeakyReLU(0.2), n.Linear(8, 8), n.ELU(), n.Linear(8, 8), n.SiLU(),
            n.Linear(8, 8), n.GELU(), n.Linear(8, 8), n.Softplus(2.0), n.Linear(8, 8), n.Sigmoid(), n.Softmax(dim=1),
            n.GELU(approximate="tanh"), n.LogSoftmax(dim=-1), n.LogSigmoid(),
        ),
        [(3, 4)],
    ),
}  # fmt: skip


def leaves(x):
    return [y for part in x for y in leaves(part)] if isinstance(x, tuple) else [x]


@pytest.mark.parametrize("name", MODULES)
def test_modules_from_the_same_weights(name):
    import torch

    make, shapes = MODULES[name]
    theirs, ours = make(torch.nn), make(nn)
    warnings.simplefilter("ignore")  # torch warns of copies
    ours.load_state_dict(theirs.state_dict())
    assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    inputs = [normal(*s) for s in shapes]
    t = [torch.tensor(x, requires_grad=True) for x in inputs]
    c = [ct.tensor(x, requires_grad=True) for x in inputs]
    a, b = leaves(theirs(*t)), leaves(ours(*c))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(y.detach(), x.detach().numpy(), rtol=2e-4, atol=2e-5)
    weights = [normal(*x.shape) for x in a]
    sum((x * torch.tensor(w)).sum() for x, w in zip(a, weights, strict=True)).backward()
    sum((y * w).sum() for y, w in zip(b, weights, strict=True)).backward()
    for x, y in zip([*t, *theirs.parameters()], [*c, *ours.parameters()], strict=True):
        np.testing.assert_allclose(y.grad, x.grad.numpy(), rtol=3e-3, atol=3e-4)
    for (k, x), (_, y) in zip(theirs.named_buffers(), ours.named_buffers(), strict=True):
        np.testing.assert_allclose(y, x.numpy(), rtol=1e-4, atol=1e-6, err_msg=k)
    theirs.eval(), ours.eval()
    with torch.no_grad():
        np.testing.assert_allclose(leaves(ours(*c))[0].detach(), leaves(theirs(*t))[0].numpy(), rtol=2e-4, atol=2e-5)


def test_attention_masks():
    import torch

    theirs, ours = torch.nn.MultiheadAttention(8, 2), nn.MultiheadAttention(8, 2)
    ours.load_state_dict(theirs.state_dict())
    x = normal(5, 3, 8)
    causal = np.triu(np.ones((5, 5), bool), 1)
    padding = np.zeros((3, 5), bool)
    padding[1, 3:] = True
    for attn, pad in (
        (causal, None),
        (None, padding),
        (causal, padding),
        (np.where(causal, -np.inf, 0).astype("f4"), None),
    ):

        def of(f, m):
            return None if m is None else f(m)

        a, wa = theirs(*[torch.tensor(x)] * 3, attn_mask=of(torch.tensor, attn), key_padding_mask=of(torch.tensor, pad))
        b, wb = ours(*[ct.tensor(x)] * 3, attn_mask=attn, key_padding_mask=pad)
        np.testing.assert_allclose(b.detach(), a.detach().numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(wb.detach(), wa.detach().numpy(), rtol=1e-4, atol=1e-5)


CLASSES, DENSE = R.integers(0, 4, 6), R.random((6, 4)).astype("f4")
LOSSES = {
    "mse": (lambda n: n.MSELoss(reduction="sum"), normal(6, 4), DENSE),
    "l1": (lambda n: n.L1Loss(), normal(6, 4), DENSE),
    "huber": (lambda n: n.HuberLoss(delta=0.7), normal(6, 4), DENSE),
    "smooth": (lambda n: n.SmoothL1Loss(beta=0.7), normal(6, 4), DENSE),
    "bce": (lambda n: n.BCELoss(), R.random((6, 4)).astype("f4"), DENSE),
    "bce_edges": (lambda n: n.BCELoss(), np.array([0.0, 1.0, 0.0, 1.0], "f4"), np.array([0, 1, 1, 0], "f4")),
    "bce_logits": (lambda n: n.BCEWithLogitsLoss(), normal(6, 4) * 50, DENSE),
    "cross_entropy": (lambda n: n.CrossEntropyLoss(), normal(6, 4) * 100, CLASSES),
    "cross_entropy_smooth": (lambda n: n.CrossEntropyLoss(label_smoothing=0.2), normal(6, 4), CLASSES),
    "cross_entropy_dense": (lambda n: n.CrossEntropyLoss(label_smoothing=0.1), normal(6, 4), DENSE),
    "cross_entropy_ignored": (lambda n: n.CrossEntropyLoss(ignore_index=2), normal(6, 4), CLASSES),
    "cross_entropy_images": (lambda n: n.CrossEntropyLoss(), normal(2, 4, 3, 3), R.integers(0, 4, (2, 3, 3))),
    "nll_none": (lambda n: n.NLLLoss(reduction="none"), normal(6, 4), CLASSES),
    "kl": (lambda n: n.KLDivLoss(reduction="batchmean"), normal(6, 4), DENSE),
    "kl_log": (lambda n: n.KLDivLoss(log_target=True), normal(6, 4), normal(6, 4)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    import torch

    make, x, y = LOSSES[name]
    t, c = torch.tensor(x, requires_grad=True), ct.tensor(x, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = make(torch.nn)(t, torch.tensor(y))
    b = make(nn)(c, ct.tensor(y))
    np.testing.assert_allclose(b.detach(), a.detach().numpy(), rtol=1e-5, atol=1e-6)
    a.sum().backward(), b.sum().backward()
    same = slice(2, None) if name == "bce_edges" else slice(None)  # where torch's formula gives 0/0 = 0, the slope is 1
    np.testing.assert_allclose(c.grad[same], t.grad.numpy()[same], rtol=1e-4, atol=1e-6)


def test_class_weights():
    import torch

    w, x = R.random(4).astype("f4"), normal(6, 4)
    a = torch.nn.CrossEntropyLoss(weight=torch.tensor(w), label_smoothing=0.1)(torch.tensor(x), torch.tensor(CLASSES))
    b = nn.CrossEntropyLoss(weight=w, label_smoothing=0.1)(ct.tensor(x), ct.tensor(CLASSES))
    np.testing.assert_allclose(b.item(), a.item(), rtol=1e-5)


OPTIMIZERS = {
    "sgd": lambda o, p: o.SGD(p, lr=0.05),
    "momentum": lambda o, p: o.SGD(p, lr=0.02, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": lambda o, p: o.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "maximize": lambda o, p: o.SGD(p, lr=1e-4, maximize=True),
    "adam": lambda o, p: o.Adam(p, lr=0.02, weight_decay=0.01),
    "amsgrad": lambda o, p: o.Adam(p, lr=0.02, amsgrad=True),
    "adamw": lambda o, p: o.AdamW(p, lr=0.02, weight_decay=0.1),
    "rmsprop": lambda o, p: o.RMSprop(p, lr=0.01, weight_decay=0.01),
    "rmsprop_centered": lambda o, p: o.RMSprop(p, lr=0.01, centered=True, momentum=0.7),
    "adagrad": lambda o, p: o.Adagrad(p, lr=0.05, lr_decay=0.01, initial_accumulator_value=0.1),
    "lbfgs": lambda o, p: o.LBFGS(p, lr=0.3, max_iter=4, history_size=5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_step_for_step(name):
    import torch

    rng = np.random.default_rng(3)
    A, y, start = rng.standard_normal((12, 5)), rng.standard_normal((12, 2)), rng.standard_normal((5, 2))
    t = torch.tensor(start, requires_grad=True)
    c = ct.tensor(start, requires_grad=True)
    one, two = OPTIMIZERS[name](torch.optim, [t]), OPTIMIZERS[name](optim, [c])

    def torchs():
        one.zero_grad()
        loss = ((torch.tanh(torch.tensor(A) @ t) - torch.tensor(y)) ** 2).mean() + 0.05 * (t**2).sum()
        loss.backward()
        return loss

    def ours():
        two.zero_grad()
        loss = ((A @ c).tanh() - y).pow(2).mean() + 0.05 * c.pow(2).sum()
        loss.backward()
        return loss

    for _ in range(100):
        one.step(torchs), two.step(ours)
        np.testing.assert_allclose(c.detach(), t.detach().numpy(), rtol=1e-6, atol=1e-6)


SCHEDULES = {
    "StepLR": lambda s, o: s.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5], 0.3),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 10, 0.01),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=30),
    "OneCycleLR_linear": lambda s, o: s.OneCycleLR(
        o, 0.5, epochs=5, steps_per_epoch=6, anneal_strategy="linear", pct_start=0.4
    ),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.95**e),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    import torch

    t = torch.zeros(1, requires_grad=True)
    one = torch.optim.SGD([t], lr=0.2, momentum=0.9)
    two = optim.SGD([ct.zeros(1, requires_grad=True)], lr=0.2, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = SCHEDULES[name](torch.optim.lr_scheduler, one), SCHEDULES[name](schedules, two)
        for _ in range(25):
            assert two.param_groups[0]["lr"] == pytest.approx(one.param_groups[0]["lr"], rel=1e-9, abs=1e-15)
            assert two.param_groups[0]["momentum"] == pytest.approx(one.param_groups[0]["momentum"])
            one.step(), a.step(), b.step()


@pytest.mark.parametrize(
    "options", [{}, {"mode": "max", "threshold_mode": "abs", "cooldown": 2}, {"patience": 0, "min_lr": 0.01}]
)
def test_plateaus(options):
    import torch

    one = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    two = optim.SGD([ct.zeros(1, requires_grad=True)], lr=1.0)
    a = torch.optim.lr_scheduler.ReduceLROnPlateau(one, **{"patience": 2, **options})
    b = schedules.ReduceLROnPlateau(two, **{"patience": 2, **options})
    for x in np.random.default_rng(0).standard_normal(40).round(1):
        a.step(x), b.step(x)
        assert two.param_groups[0]["lr"] == one.param_groups[0]["lr"]


def test_weights_travel_both_ways(tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    build = lambda n: n.Sequential(n.Conv2d(1, 2, 3), n.BatchNorm2d(2), n.Flatten(), n.Linear(8, 3))
    theirs, ours = build(torch.nn), build(nn)
    save_file(theirs.state_dict(), tmp_path / "torch.safetensors")
    cr.load(tmp_path / "torch.safetensors", ours)
    x = normal(2, 1, 4, 4)
    np.testing.assert_allclose(ours(x).detach(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-5)
    with ct.no_grad():
        ours[3].bias.add_(1.0)
    cr.save(ours, tmp_path / "ours.safetensors")
    theirs.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    theirs.eval(), ours.eval()
    np.testing.assert_allclose(ours(x).detach(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_transformer_learns_as_torchs_does():
    import torch

    def build(n):
        class Block(n.Module):
            def __init__(self):
                super().__init__()
                self.norm1, self.norm2 = n.LayerNorm(16), n.LayerNorm(16)
                self.attention = n.MultiheadAttention(16, 2, batch_first=True)
                self.mlp = n.Sequential(n.Linear(16, 32), n.GELU(), n.Linear(32, 16))

            def forward(self, x, mask):
                h = self.norm1(x)
                x = x + self.attention(h, h, h, attn_mask=mask, need_weights=False)[0]
                return x + self.mlp(self.norm2(x))

        class Model(n.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.place = n.Embedding(20, 16), n.Embedding(12, 16)
                self.block = Block()
                self.out = n.Linear(16, 20)

            def forward(self, x, place, mask):
                return self.out(self.block(self.embed(x) + self.place(place), mask))

        return Model()

    theirs, ours = build(torch.nn), build(nn)
    ours.load_state_dict(theirs.state_dict())
    mask, place = np.triu(np.ones((12, 12), bool), 1), np.arange(12)
    one, two = torch.optim.Adam(theirs.parameters(), lr=3e-3), optim.Adam(ours.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)
    for _ in range(10):
        x = rng.integers(0, 20, (4, 13))
        one.zero_grad(), two.zero_grad()
        a = torch.nn.functional.cross_entropy(
            theirs(torch.tensor(x[:, :-1]), torch.tensor(place), torch.tensor(mask)).reshape(-1, 20),
            torch.tensor(x[:, 1:].reshape(-1)),
        )
        b = nn.functional.cross_entropy(ours(x[:, :-1], place, mask).reshape(-1, 20), x[:, 1:].reshape(-1))
        assert b.item() == pytest.approx(a.item(), rel=1e-4)
        a.backward(), b.backward()
        one.step(), two.step()
