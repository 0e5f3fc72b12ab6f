"""The imperative interface, as torch users know it."""

import numpy as np
import pytest

import chainrule as cr
import chainrule.torch as torch  # the promise: one changed import


def test_problem_a9():
    u1 = torch.tensor([[3.0]], requires_grad=True)
    u2 = torch.tensor([[4.0]], requires_grad=True)
    u3 = u1 * u2
    u4 = u1 + u2
    u5 = 2 * (u3 * u4)
    loss = (u5 - u1 - u2 - u3 - u4) ** 2
    loss.backward()
    assert repr(u1.grad) == "tensor([[21016.]])"
    assert repr(u2.grad) == "tensor([[17324.]])"


def test_the_design_example():
    u = torch.tensor(3.0, requires_grad=True)
    loss = (u * u).sin()
    loss.backward()
    assert u.grad.item() == pytest.approx(6 * np.cos(9.0), rel=1e-6)
    assert repr(u) == "tensor(3., requires_grad=True)"


def test_gradients_accumulate_and_are_forgotten():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    (w * 3).sum().backward()
    assert w.grad.tolist() == [5.0, 7.0]
    w.zero_grad()
    assert w.grad is None
    (w * 3).sum().backward()
    w.grad = None
    assert w.grad is None
    (w * 3).sum().backward()
    w.grad.zero_()
    assert w.grad.tolist() == [0.0, 0.0]


def test_backward_with_a_cotangent():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x**2
    with pytest.raises(cr.DerivativeError, match="scalar outputs"):
        y.backward()
    y.backward(torch.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2.0, 40.0]
    with pytest.raises(cr.ShapeError):
        (x**2).backward(np.ones(3))


def test_second_backward():
    x = torch.tensor(2.0, requires_grad=True)
    y = x**3
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 24.0
    with pytest.raises(cr.DerivativeError, match="second time"):
        y.backward()
    assert y.item() == 8.0


def test_create_graph():
    x = torch.tensor(2.0, requires_grad=True)
    (x**3).backward(create_graph=True)
    g = x.grad
    x.grad = None
    g.backward()
    assert x.grad.item() == 12.0


def test_no_history():
    x = torch.tensor(2.0, requires_grad=True)
    with torch.no_grad():
        y = x * 2
    assert not y.requires_grad
    assert not (x.detach() * 3).requires_grad
    with pytest.raises(cr.DerivativeError, match="does not require"):
        y.backward()

    @torch.no_grad()
    def f(x):
        return x * x

    assert not f(x).requires_grad
    assert (x * 2).requires_grad
    assert not torch.tensor([1.0]).requires_grad


def test_the_update_step():
    w = torch.tensor(2.0, requires_grad=True)
    v = torch.tensor([1.0, 1.0], requires_grad=True)
    for _ in range(50):
        loss = (w - 5) ** 2 + ((v - 1) ** 2).sum()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
            v -= 0.1 * v.grad
        w.grad = v.grad = None
    assert w.requires_grad
    assert w.is_leaf
    assert w.item() == pytest.approx(5, abs=1e-3)
    with pytest.raises(cr.DerivativeError, match="no_grad"):
        w -= 1
    w.data -= 1.0
    assert w.item() == pytest.approx(4, abs=1e-3)
    w.data = torch.tensor(7.0)
    assert (w.item(), w.requires_grad) == (7.0, True)


def test_dtypes_follow_torch():
    assert torch.tensor(1.0).dtype == np.float32
    assert torch.tensor([1, 2]).dtype == np.int64
    assert torch.tensor(np.ones(2)).dtype == np.float64
    assert torch.tensor(1.0, dtype=torch.float64).dtype == np.float64
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * 2.5 / 3).sum().backward()
    assert x.grad.dtype == np.float32
    with pytest.raises(cr.InputError, match="floating point"):
        torch.tensor([1, 2], requires_grad=True)
    with pytest.raises(cr.InputError, match="no number"):
        torch.tensor(["a", None])


def test_methods_and_functions():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert x.sum(dim=0).tolist() == [4.0, 6.0]
    assert x.mean(dim=1, keepdim=True).shape == (2, 1)
    assert x.view(4).shape == x.reshape(-1).shape == (4,)
    assert x.unsqueeze(0).shape == (1, 2, 2)
    assert x.t().tolist() == x.T.tolist()
    assert (x.numel(), x.ndim, len(x)) == (4, 2, 2)
    for y in (x.exp(), x.sigmoid(), torch.sigmoid(x), torch.exp(x), np.tanh(x), torch.relu(x), x.relu(), x.softmax(1)):
        assert isinstance(y, torch.Tensor)
        assert y.requires_grad
    assert torch.sum(x).item() == 10.0
    assert torch.matmul(x, x).tolist() == (x @ x).tolist()
    with pytest.raises(AttributeError, match="frobnicate"):
        x.frobnicate()


def test_out_of_the_graph():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert x.detach().numpy().tolist() == [1.0, 2.0]
    with pytest.raises(cr.TraceError, match="detach"):
        x.numpy()
    assert float(torch.tensor(3.0)) == 3.0
    assert f"{x.sum():.1f}" == "3.0"
    with pytest.raises(cr.ShapeError, match="2 elements"):
        x.item()
    assert np.asarray(x.detach()).tolist() == [1.0, 2.0]


def test_inplace_on_results():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y[0] = 5.0
    y += x
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 3.0]


def test_memory_is_freed():
    import weakref

    x = torch.tensor(np.ones(3), requires_grad=True)
    y = x * 2
    inner = y.node
    ref = weakref.ref(y)
    y.sum().backward()
    del y
    assert ref() is None
    assert inner.inputs == ()


def test_transforms_apply_to_functions_of_tensors():
    w = torch.tensor(3.0, requires_grad=True)
    g = cr.grad(lambda v: v**2)(w * 2)
    g.backward()
    assert g.item() == 12.0
    assert w.grad.item() == 4.0


def test_truth_values_and_integers_have_no_history():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    assert not (x > 0).requires_grad
    assert (x > 0).float().numpy().tolist() == [1.0, 0.0]
    assert not torch.where(x > 0, 1.0, 0.0).requires_grad
    assert not torch.eye(2)[x.argmax()].requires_grad
    assert not (x.long() * 2.0).requires_grad
    x.floor().sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_copies_are_independent():
    import copy
    import pickle

    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1), torch.nn.RNN(1, 2))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        twin[0](torch.ones(1, 2)).sum().backward()
        assert twin[0].weight.grad is not None
        assert net[0].weight.grad is None
        assert isinstance(twin[0].weight, torch.nn.Parameter)
        with torch.no_grad():
            twin[0].weight.zero_()
        assert net[0].weight.abs().sum() > 0
    for refuse in (copy.deepcopy, copy.copy, pickle.dumps):
        with pytest.raises(cr.DerivativeError):
            refuse(net[0].weight * 2)


def test_what_is_torchs_is_in_its_namespace_alone():
    for name in ("tensor", "Tensor", "nn", "optim", "utils", "no_grad", "zeros", "stack", "manual_seed", "float32"):
        with pytest.raises(AttributeError, match=rf"torch\.{name}"):
            getattr(cr, name)
        assert hasattr(torch, name)
        assert name not in dir(cr)
    assert cr.max(np.eye(2), 1).tolist() == [1.0, 1.0]
    assert cr.std(np.array([1.0, 3.0])) == 1.0
    assert [part.tolist() for part in cr.split(np.arange(4), 2)] == [[0, 1], [2, 3]]
    assert cr.diff.__name__ == "chainrule.diff"
    assert all(not name.startswith("_") for name in dir(cr))


def test_unknown_arguments_are_refused():
    x = torch.ones(2, 2)
    for call in (
        lambda: torch.sum(x, 0, out=x),
        lambda: x.sum(dims=0),
        lambda: x.cumsum(),
        lambda: torch.zeros(2, device="cuda"),
        lambda: torch.tensor([1.0], dtype="float32"),
        lambda: torch.nn.functional.max_pool1d(x, 2, ceil_mode=True),
        lambda: torch.optim.SGD([x], lr=0.1, differentiable=True),
        lambda: torch.exp(2.0),
        lambda: torch.mean(torch.arange(3)),
    ):
        with pytest.raises(cr.ChainruleError):
            call()
