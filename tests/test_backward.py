"""check_backward: every planted fault is found, the likeliest slip named, and none is invented."""

import numpy as np
import pytest

import chainrule as cr

R = np.random.default_rng(0)
X, W, B = R.standard_normal((4, 3)), R.standard_normal((3, 5)), R.standard_normal(5)
S = R.standard_normal((3, 3))


def linear(x, W, b):
    return x @ W + b


def linear_back(ct, x, W, b):
    return ct @ W.T, x.reshape(-1, x.shape[-1]).T @ ct.reshape(-1, ct.shape[-1]), ct.reshape(-1, ct.shape[-1]).sum(0)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax_back(ct, x):
    y = softmax(x)
    return y * (ct - (ct * y).sum(-1, keepdims=True))


def layernorm(x, g, b):
    c = x - x.mean(-1, keepdims=True)
    s = np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)
    return g * (c / s) + b


def layernorm_back(ct, x, g, b, axis=None, mean=True, dot=True, twice=False):
    c = x - x.mean(-1, keepdims=True)
    s = np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)
    n = c / s
    lead = tuple(range(x.ndim - 1)) if axis is None else axis
    d = ct * g
    dx = d
    if mean:
        dx = dx - d.mean(-1, keepdims=True) * (2 if twice else 1)
    if dot:
        dx = dx - n * (d * n).mean(-1, keepdims=True)
    return dx / s, (ct * n).sum(lead), ct.sum(lead)


def cross_entropy(z):
    y = np.array([0, 2, 1, 1])
    m = z - z.max(-1, keepdims=True)
    logp = m - np.log(np.exp(m).sum(-1, keepdims=True))
    return -logp[np.arange(4), y].mean()


def cross_entropy_back(ct, z, batch=4.0, hit=1.0):
    p = softmax(z)
    p[np.arange(4), [0, 2, 1, 1]] -= hit
    return ct * p / batch


def attention(q, k, v):
    return softmax(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])) @ v


def attention_back(ct, q, k, v, scale=True, dot=True):
    f = 1 / np.sqrt(q.shape[-1])
    a = softmax(q @ k.T * f)
    dv = a.T @ ct
    da = ct @ v.T
    ds = a * (da - (da * a).sum(-1, keepdims=True) if dot else da)
    ds = ds * f if scale else ds
    return ds @ k, ds.T @ q, dv


def conv(x, w, b):
    return np.stack([x[:, t : t + 5] @ w for t in range(3)], 1) + b


def conv_back(ct, x, w, b, bias=(0, 1), only_last=False):
    dx = np.zeros_like(x)
    for t in range(3):
        if only_last:
            dx[:, t : t + 5] = ct[:, t : t + 1] * w
        else:
            dx[:, t : t + 5] += ct[:, t : t + 1] * w
    return dx, sum(x[:, t : t + 5].T @ ct[:, t] for t in range(3)), ct.sum(bias)


def residual(x):
    h = np.tanh(x)
    return x + h * h


def scaled(x, s):
    return x * s


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.79788456 * (x + 0.044715 * x**3)))


def gelu_back(ct, x, inner=True):
    u = 0.79788456 * (x + 0.044715 * x**3)
    t = np.tanh(u)
    return ct * (0.5 * (1 + t) + (0.5 * x * (1 - t * t) * 0.79788456 * (1 + 3 * 0.044715 * x * x) if inner else 0))


def norm(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def norm_back(ct, x, dot=True):
    n = np.sqrt((x * x).sum(-1, keepdims=True))
    y = x / n
    return (ct - y * (ct * y).sum(-1, keepdims=True) if dot else ct) / n


G, H = R.standard_normal(3), R.standard_normal(3)
Q, K, V = R.standard_normal((3, 4, 5))
SIGNAL, KERNEL = R.standard_normal((2, 7)), R.standard_normal(5)
RIGHT = {
    "linear": (linear, linear_back, (X, W, B)),
    "softmax": (softmax, lambda ct, x: (softmax_back(ct, x),), (X,)),
    "layernorm": (layernorm, layernorm_back, (X, G, H)),
    "cross_entropy": (cross_entropy, lambda ct, z: cross_entropy_back(ct, z), (X,)),
    "attention": (attention, attention_back, (Q, K, V)),
    "conv": (conv, conv_back, (SIGNAL, KERNEL, np.array(0.3))),
    "residual": (residual, lambda ct, x: ct + ct * 2 * np.tanh(x) * (1 - np.tanh(x) ** 2), (X,)),
    "gelu": (gelu, gelu_back, (X,)),
    "norm": (norm, norm_back, (X,)),
    "relu at kinks": (lambda x: np.maximum(x, 0), lambda ct, x: ct * (x >= 0), (np.array([-1.0, 0.0, 0.0, 2.0]),)),
    "abs at the kink": (np.abs, lambda ct, x: ct * np.where(x < 0, -1.0, 1.0), (np.array([0.0, 1.5]),)),
    "max at a tie, to the first": (
        lambda x: x.max(),
        lambda ct, x: ct * (np.arange(4) == np.argmax(x)),
        (np.array([3.0, 1, 3, 2]),),
    ),
    "max at a tie, shared": (lambda x: x.max(), lambda ct, x: ct * (x == x.max()) / 2, (np.array([3.0, 1, 3, 2]),)),
    "matmul": (lambda A: A @ A, lambda ct, A: ct @ A.T + A.T @ ct, (S,)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_called_right(name):
    forward, backward, args = RIGHT[name]
    report = cr.check_backward(forward, backward, args)
    assert report, report
    assert any("comparisons" in said for said in report.certificate().values())


flat = lambda ct: ct.reshape(-1, ct.shape[-1])
FAULTS = {
    "bias not summed": (linear, lambda ct, x, W, b: (*linear_back(ct, x, W, b)[:2], ct), (X, W, B), "sum over the broadcast axes is missing"),
    "input not transposed": (linear, lambda ct, x, W, b: (ct @ W, *linear_back(ct, x, W, b)[1:]), (X, S, G), "transpose of a factor is missing"),
    "weights transposed": (linear, lambda ct, x, W, b: (ct @ W.T, ct.T @ x, ct.sum(0)), (X, W, B), "it is transposed"),
    "weights forgotten": (linear, lambda ct, x, W, b: (ct @ W.T, None, ct.sum(0)), (X, W, B), "no gradient is returned"),
    "weights zero": (linear, lambda ct, x, W, b: (ct @ W.T, 0 * W, ct.sum(0)), (X, W, B), "it is zero"),
    "weights averaged": (linear, lambda ct, x, W, b: (ct @ W.T, x.T @ ct / 4, ct.sum(0)), (X, W, B), "divided by 4"),
    "sign": (linear, lambda ct, x, W, b: (-ct @ W.T, x.T @ ct, ct.sum(0)), (X, W, B), "sign is wrong"),
    "too few": (linear, lambda ct, x, W, b: (ct @ W.T, x.T @ ct), (X, W, B), "2 gradients are returned for 3"),
    "it fails": (linear, lambda ct, x, W, b: (ct @ W, x.T @ ct, ct.sum(0)), (X, W, B), "the backward pass fails"),
    "bias mean": (linear, lambda ct, x, W, b: (ct @ W.T, x.T @ ct, ct.mean(0)), (X, W, B), "divided by 4"),
    "softmax without dot": (softmax, lambda ct, x: (softmax(x) * ct,), (X,), "a term is lost"),
    "softmax without y": (softmax, lambda ct, x: (ct - (ct * softmax(x)).sum(-1, keepdims=True),), (X,), "."),
    "softmax over all": (softmax, lambda ct, x: (softmax(x) * (ct - (ct * softmax(x)).sum()),), (X,), "."),
    "layernorm rank": (layernorm, lambda *a: layernorm_back(*a, axis=(0,)), (X, G, H), "sum over the broadcast axes is missing"),
    "layernorm without mean": (layernorm, lambda *a: layernorm_back(*a, mean=False), (X, G, H), "a term is lost"),
    "layernorm without variance": (layernorm, lambda *a: layernorm_back(*a, dot=False), (X, G, H), "a term is lost"),
    "layernorm mean twice": (layernorm, lambda *a: layernorm_back(*a, twice=True), (X, G, H), "a term is doubled|is 2 times"),
    "cross entropy without batch": (cross_entropy, lambda ct, z: cross_entropy_back(ct, z, 1.0), (X,), "a division by 4"),
    "cross entropy without target": (cross_entropy, lambda ct, z: cross_entropy_back(ct, z, hit=0.0), (X,), "a term is lost"),
    "cross entropy without ct": (lambda z: 3 * cross_entropy(z), lambda ct, z: cross_entropy_back(1.0, z), (X,), "times what it should be"),
    "attention without scale": (attention, lambda *a: attention_back(*a, scale=False), (Q, K, V), r"1 / sqrt\(5\)"),
    "attention without dot": (attention, lambda *a: attention_back(*a, dot=False), (Q, K, V), "a term is lost"),
    "attention keys": (attention, lambda ct, q, k, v: (attention_back(ct, q, k, v)[0], attention_back(ct, q, k, v)[0], attention_back(ct, q, k, v)[2]), (Q, K, V), "."),
    "convolution bias": (conv, lambda *a: conv_back(*a, bias=0), (SIGNAL, KERNEL, np.array(0.3)), "sum over the broadcast axes is missing"),
    "convolution overwritten": (conv, lambda *a: conv_back(*a, only_last=True), (SIGNAL, KERNEL, np.array(0.3)), "."),
    "residual lost": (residual, lambda ct, x: ct * 2 * np.tanh(x) * (1 - np.tanh(x) ** 2), (X,), "a term is lost|overwritten"),
    "residual only": (residual, lambda ct, x: ct, (X,), "a term is lost|overwritten"),
    "square not doubled": (lambda x: np.sum(x**2), lambda ct, x: ct * x, (X,), "0.5 times"),
    "square doubled": (lambda x: np.sum(x**2) / 2, lambda ct, x: ct * 2 * x, (X,), "2 times"),
    "tanh' of z": (np.tanh, lambda ct, x: ct * (1 - x**2), (X,), "."),
    "gelu inner": (gelu, lambda ct, x: gelu_back(ct, x, inner=False), (X,), "a term is lost"),
    "norm without dot": (norm, lambda ct, x: norm_back(ct, x, dot=False), (X,), "a term is lost"),
    "scalar scale": (scaled, lambda ct, x, s: (ct * s, ct * x), (X, np.array(2.0)), "sum over the broadcast axes is missing"),
    "column scale": (scaled, lambda ct, x, s: (ct * s, (ct * x).sum(0)), (X, R.standard_normal((4, 1))), "it has shape"),
    "relu mask of output": (lambda x: np.maximum(x, 0) - 1, lambda ct, x: ct * (np.maximum(x, 0) - 1 > 0), (X * 3,), "."),
    "reversed": (lambda x: np.cumsum(x), lambda ct, x: np.cumsum(ct), (G,), "."),
    "square matrix once": (lambda A: A @ A, lambda ct, A: ct @ A.T, (S,), "a term is lost|overwritten"),
    "mean as sum": (lambda x: x.mean(0), lambda ct, x: np.broadcast_to(ct, x.shape), (X,), "a division by 4"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_found_and_named(name):
    forward, backward, args, slip = FAULTS[name]
    report = cr.check_backward(forward, backward, args)
    assert not report
    import re

    assert re.search(slip, str(report)), report


def test_it_is_wrong_from_rank_three_on_only():
    report = cr.check_backward(layernorm, lambda *a: layernorm_back(*a, axis=(0,)), (X, G, H))
    assert all(len(f.shapes[0]) >= 3 for f in report.findings)


def test_bad_input_is_refused():
    with pytest.raises(cr.InputError, match="no backward pass"):
        cr.check_backward(softmax, args=(X,))
    with pytest.raises(cr.InputError, match="floating point"):
        cr.check_backward(softmax, softmax_back, (np.arange(3),))


@pytest.mark.peers
def test_torch_functions_and_jax_rules():
    torch = pytest.importorskip("torch")
    jax = pytest.importorskip("jax")

    class Square(torch.autograd.Function):
        factor = 2.0

        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * x * w

        @staticmethod
        def backward(ctx, ct):
            x, w = ctx.saved_tensors
            return Square.factor * ct * x * w, (ct * x * x).sum(0)

    assert cr.check_backward(Square, args=(X, G))
    Square.factor = 1.0
    assert "0.5 times" in str(cr.check_backward(Square, args=(X, G)))

    @jax.custom_vjp
    def f(x):
        return jax.numpy.sin(x) * x

    f.defvjp(lambda x: (f(x), x), lambda x, ct: (ct * (jax.numpy.cos(x) * x),))
    report = cr.check_backward(f, args=(X,))
    assert not report
