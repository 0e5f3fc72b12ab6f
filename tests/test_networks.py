"""Networks: modules, losses, initial values, reports, and modules as functions of their parameters."""

import warnings

import numpy as np
import pytest

import chainrule as cr
import chainrule.torch as ct
from chainrule.nn import Heaviside, Rect, Residual
from chainrule.torch import nn
from chainrule.torch.nn import functional as F

cr_modules = {
    "linear": (lambda: nn.Linear(4, 3), (2, 4)),
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), (3, 4)),
    "residual": (lambda: Residual(nn.Linear(4, 4), nn.GELU()), (2, 4)),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3, stride=2, padding=1), (2, 2, 7)),
    "conv2d": (lambda: nn.Conv2d(2, 4, (3, 2), padding=1, dilation=2, groups=2), (2, 2, 6, 6)),
    "same": (lambda: nn.Conv2d(1, 2, 4, padding="same"), (1, 1, 5, 6)),
    "maxpool": (lambda: nn.MaxPool2d(2, padding=1), (1, 2, 5, 5)),
    "avgpool": (lambda: nn.AvgPool1d(3, 1), (1, 2, 6)),
    "adaptive": (lambda: nn.AdaptiveAvgPool2d(2), (1, 2, 4, 6)),
    "batchnorm": (lambda: nn.BatchNorm1d(4), (5, 4)),
    "batchnorm2d": (lambda: nn.BatchNorm2d(2), (3, 2, 4, 4)),
    "layernorm": (lambda: nn.LayerNorm((3, 4)), (2, 3, 4)),
    "rnn": (lambda: nn.RNN(3, 4, nonlinearity="relu"), (5, 2, 3)),
    "gru": (lambda: nn.GRU(3, 4, bidirectional=True), (5, 2, 3)),
    "lstm": (lambda: nn.LSTM(3, 4, 2, batch_first=True), (2, 5, 3)),
}


def first(x):
    return x[0] if isinstance(x, tuple) else x


@pytest.mark.parametrize("name", cr_modules)
def test_gradients_of_modules_as_functions_agree_with_differences(name):
    make, shape = cr_modules[name]
    ct.manual_seed(3)
    m = make().double()
    x = np.random.default_rng(0).standard_normal(shape)
    values = {k: np.array(p.detach()) for k, p in m.named_parameters()}

    def f(values, x):
        return np.sum(np.sin(first(cr.functional_call(m, values, (x,)))))

    cr.check_grads(f if values else lambda x: f({}, x), (values, x) if values else (x,), order=1)


@pytest.mark.parametrize("name", cr_modules)
def test_eager_backward_equals_grad_and_jit_of_the_functional_module(name):
    make, shape = cr_modules[name]
    ct.manual_seed(3)
    m = make()
    x = np.random.default_rng(0).standard_normal(shape).astype("f4")
    values = {k: np.array(p.detach()) for k, p in m.named_parameters()}

    def f(values):
        return np.sum(np.sin(first(cr.functional_call(m, values, (x,)))))

    out = first(m(ct.tensor(x)))
    if out.requires_grad:
        out.sin().sum().backward()
    for found in (cr.grad(f)(values) if values else {}, cr.jit(cr.grad(f))(values) if values else {}):
        for k, p in m.named_parameters():
            np.testing.assert_allclose(p.grad, found[k], rtol=1e-4, atol=1e-5)


def test_vmap_and_hessian_of_a_module():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    values = {k: np.array(p.detach()) for k, p in net.named_parameters()}
    x, y = np.random.default_rng(0).standard_normal((2, 4, 2))
    loss = lambda v, x, y: np.sum((cr.functional_call(net, v, (x,)) - y[:1]) ** 2)
    each = cr.vmap(cr.grad(loss), (None, 0, 0))(values, x, y)
    for k in values:
        np.testing.assert_allclose(each[k][1], cr.grad(loss)(values, x[1], y[1])[k], rtol=1e-10)
    h = cr.hessian(lambda b: loss({**values, "0.bias": b}, x[0], y[0]))(values["0.bias"])
    np.testing.assert_allclose(h, np.transpose(h), atol=1e-12)


def test_registration_names_and_representation():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 3)
            self.scale = nn.Parameter(np.ones(3, "f4"))
            self.register_buffer("seen", np.zeros(3, "f4"))
            self.shared = self.a

        def forward(self, x):
            return self.a(x) * self.scale

    net = Net()
    assert [k for k, _ in net.named_parameters()] == ["scale", "a.weight", "a.bias"]
    assert "shared.weight" in net.state_dict()
    assert "12 parameters" in repr(net)
    assert net.count() == 12
    with pytest.raises(cr.InputError, match="is a parameter"):
        net.scale = np.ones(3)
    with pytest.raises(cr.InputError, match="super"):

        class Late(nn.Module):
            def __init__(self):
                self.a = nn.Linear(1, 1)

        Late()


def test_a_state_that_does_not_fit_changes_nothing():
    net = nn.Linear(2, 3)
    before = {k: np.array(v) for k, v in net.state_dict().items()}
    with pytest.raises(cr.InputError, match="missing bias; unknown other"):
        net.load_state_dict({"weight": np.zeros((3, 2)), "other": np.zeros(1)})
    with pytest.raises(cr.ShapeError, match="bias has shape"):
        net.load_state_dict({"weight": np.zeros((3, 2)), "bias": np.zeros(4)})
    for k, v in net.state_dict().items():
        np.testing.assert_array_equal(v, before[k])


def test_batch_norm_tracks_and_dropout_stops_in_evaluation():
    ct.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5))
    x = ct.randn(64, 2) * 3 + 1
    net(x)
    np.testing.assert_allclose(net[0].running_mean, 0.1 * np.mean(np.array(x), 0), rtol=1e-4)
    assert int(net[0].num_batches_tracked) == 1
    net.eval()
    np.testing.assert_array_equal(net(x).detach(), net(x).detach())
    with pytest.raises(cr.ShapeError, match="no variance"):
        nn.BatchNorm1d(2)(ct.randn(1, 2))


@pytest.mark.parametrize("z", [1e4, -1e4, 0.0, 88.0])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_losses_are_safe_for_large_logits(z, dtype):
    x = np.array([z], dtype)
    for y in (0.0, 1.0):
        value, slope = cr.value_and_grad(lambda x: F.binary_cross_entropy_with_logits(x, np.full(1, y, dtype)))(x)
        want = max(z, 0) - z * y + np.log1p(np.exp(-abs(z)))
        assert value == pytest.approx(want, rel=1e-6, abs=1e-12)
        assert slope[0] == pytest.approx(1 / (1 + np.exp(-np.clip(z, -700, 700))) - y, abs=1e-6)
    logits = np.array([[z, 0.0, -z]], dtype)
    value, slope = cr.value_and_grad(lambda x: F.cross_entropy(x, np.array([1])))(logits)
    assert np.isfinite(value)
    np.testing.assert_allclose(slope.sum(), 0, atol=1e-6)


def test_heaviside_and_rect_say_that_nothing_flows():
    for kind in (Heaviside, Rect):
        with pytest.warns(UserWarning, match="no gradient flows"):
            m = kind()
        np.testing.assert_array_equal(cr.grad(lambda x: m(x).sum())(np.array([0.3, -2.0])), 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Linear(3, 2)(np.ones((4, 5))), "the weight takes 3"),
        (lambda: F.cross_entropy(np.ones((2, 3)), np.array([0, 3])), "class 3 is not one of 0..2"),
        (lambda: F.cross_entropy(np.ones((2, 3)), np.array([0, -1])), "class -1"),
        (lambda: F.cross_entropy(np.ones((2, 3)), np.array([[0], [1]])), "takes classes of shape"),
        (lambda: F.mse_loss(np.ones((2, 1)), np.ones(2)), "broadcasting here is nearly always a mistake"),
        (lambda: F.binary_cross_entropy(np.array([1.5]), np.array([1.0])), "takes probabilities"),
        (lambda: F.embedding(np.array([5]), np.ones((3, 2))), "outside 0..2"),
        (lambda: nn.MSELoss(reduction="avg"), "there is no reduction"),
        (lambda: nn.Conv2d(3, 4, 3)(np.ones((1, 2, 5, 5))), "takes"),
        (lambda: nn.MultiheadAttention(5, 2), "not divisible"),
        (lambda: Residual(nn.Linear(2, 3))(np.ones((1, 2))), "cannot be added"),
        (lambda: nn.init.kaiming_normal_(ct.zeros(3)), "fan"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(cr.ChainruleError, match=message):
        call()


def test_counts_of_parameters():
    s = cr.summary([8, 10, 10, 3])
    assert (s.weights, s.parameters) == (8 * 10 + 10 * 10 + 10 * 3, 210 + 23)
    two = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 10), nn.ReLU())
    s = cr.summary(two, (1, 8))
    assert (
        s.operations == 8 * 4 * 2 + 4 * 10 * 2 + 10
    )  # multiplications and additions, biases added, and one for each ReLU
    assert "one Linear(8, 10)" in str(s)
    one = cr.collapse(two)
    assert len(one) == 2
    x = ct.randn(5, 8)
    np.testing.assert_allclose(two(x).detach(), one(x).detach(), rtol=1e-4, atol=1e-6)


def test_symmetry_report():
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([[0], [1], [1], [0.0]])
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    assert cr.symmetry(net, nn.MSELoss(), x, y).broken
    for p in net.parameters():
        nn.init.constant_(p, 0.5)
    equal = cr.symmetry(net, nn.MSELoss(), x, y)
    assert equal.layers[0].groups == [[0, 1, 2, 3]]
    assert equal.layers[0].zero == 0
    for p in net.parameters():
        nn.init.zeros_(p)
    zero = cr.symmetry(net, nn.MSELoss(), x, y)
    assert zero.layers[0].zero == zero.layers[0].total
    assert zero.layers[1].zero == 4  # the weights; the bias learns
    with ct.no_grad():  # one pair of twins among four
        net[0].weight.copy_(ct.tensor(np.array([[1, 2], [3, 4], [1, 2], [5, 6.0]])))
        net[2].weight.copy_(ct.tensor(np.array([[1, 2, 1, 3.0]])))
    assert cr.symmetry(net, nn.MSELoss(), x, y).layers[0].groups == [[0, 2]]


def test_flow_names_dead_units_and_vanishing_layers(tmp_path):
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with ct.no_grad():
        net[0].weight.copy_(ct.tensor(np.ones((3, 2))))
        net[0].bias.copy_(ct.tensor(np.array([0.0, -100.0, 0.0])))
    report = cr.flow(net, nn.MSELoss(), np.random.default_rng(0).random((8, 2)), np.zeros((8, 1)))
    assert report.layers[1].dead == [1]
    report.plot(tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 1000
    deep = nn.Sequential(*(m for _ in range(12) for m in (nn.Linear(8, 8), nn.Sigmoid())))
    assert "0" in cr.flow(deep, nn.MSELoss(), np.ones((4, 8)), np.zeros((4, 8))).vanishing


@pytest.mark.parametrize("seed", [0, 1])
def test_initial_values_have_the_spread_they_promise(seed):
    ct.manual_seed(seed)
    w = ct.zeros(400, 300)
    for fill, std in (
        (lambda: nn.init.kaiming_normal_(w, nonlinearity="relu"), np.sqrt(2 / 300)),
        (lambda: nn.init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu"), np.sqrt(2 / 400)),
        (lambda: nn.init.xavier_uniform_(w), np.sqrt(2 / 700)),
        (lambda: nn.init.xavier_normal_(w, gain=2.0), 2 * np.sqrt(2 / 700)),
    ):
        assert np.std(np.array(fill())) == pytest.approx(std, rel=0.02)
    q = np.array(nn.init.orthogonal_(ct.zeros(5, 3, dtype=np.float64)))
    np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-12)


def test_saving_is_atomic_and_damage_is_named(tmp_path):
    net, file = nn.Linear(2, 3), tmp_path / "net.safetensors"
    cr.save(net, file)
    other = nn.Linear(2, 3)
    cr.load(file, other)
    for k, v in net.state_dict().items():
        np.testing.assert_array_equal(v, other.state_dict()[k])
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(cr.InputError, match="damaged"):
        cr.load(file)
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_torch_script_runs_with_one_changed_import():
    import chainrule.torch as torch
    from chainrule.torch import nn, optim

    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 50).unsqueeze(1)
    y = x.pow(2) + 0.1 * torch.randn(50, 1)
    model = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1))
    criterion = nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=10, shuffle=True)
    losses = []
    for _ in range(30):
        for xb, yb in loader:
            optimizer.zero_grad()
            output = model(xb)
            loss = criterion(output, yb)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    with torch.no_grad():
        assert model(x).max(dim=0).values.item() < 2
        assert (model(x) > 0).float().mean().item() <= 1


def test_modules_warn_about_nothing_else():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.Sequential(nn.Linear(2, 2), nn.ReLU())(np.ones((1, 2)))
