"""check_backward: every planted fault is found, the likeliest slip named, and none is invented."""

import re

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
    "max at a tie, shared": (
        lambda x: x.max(),
        lambda ct, x: ct * (x == x.max()) / (x == x.max()).sum(),
        (np.array([3.0, 1, 3, 2]),),
    ),
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
    assert re.search(slip, str(report)), report


# ---- right passes that are awkward ---------------------------------------------------------------------------------


def relu(x):
    return np.maximum(x, 0)


def logsumexp(x):
    m = x.max(-1, keepdims=True)
    return (m + np.log(np.exp(x - m).sum(-1, keepdims=True)))[..., 0]


def log_softmax(x):
    m = x - x.max(-1, keepdims=True)
    return m - np.log(np.exp(m).sum(-1, keepdims=True))


def rmsnorm(x, g):
    return g * x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)


def rmsnorm_back(ct, x, g):
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    d = ct * g
    return r * d - r**3 * x * (d * x).mean(-1, keepdims=True), (ct * x * r).sum(0)


def batchnorm(x, g, b):
    return g * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) + b


def batchnorm_back(ct, x, g, b):
    s = np.sqrt(x.var(0) + 1e-5)
    n = (x - x.mean(0)) / s
    d = ct * g
    return (d - d.mean(0) - n * (d * n).mean(0)) / s, (ct * n).sum(0), ct.sum(0)


def pool(x):
    return np.stack([x[:, k : k + 2].max(-1) for k in range(0, 6, 2)], -1)


def pool_back(ct, x):
    dx = np.zeros_like(x)
    for k in range(3):
        at = 2 * k + x[:, 2 * k : 2 * k + 2].argmax(-1)
        dx[np.arange(len(x)), at] += ct[:, k]
    return dx


def embedding_back(ct, E, i):
    dE = np.zeros_like(E)
    np.add.at(dE, i, ct)
    return dE, None


def sort_back(ct, x):
    dx = np.empty_like(x)
    dx[np.argsort(x, kind="stable")] = ct
    return dx


def bce(z, y):
    return np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def huber(x):
    return np.where(np.abs(x) <= 1, 0.5 * x * x, np.abs(x) - 0.5)


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def length(x):
    return np.sqrt((x * x).sum())


def length_back(ct, x):
    n = np.sqrt((x * x).sum())
    return ct * x / n if n else np.zeros_like(x)


def solve_back(ct, A, b):
    d = np.linalg.solve(A.T, ct)
    return -np.outer(d, np.linalg.solve(A, b)), d


MASK = np.array([[1, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 0]])
TIES = np.array([[1.0, 1, 2, 0, 0, 0], [3, 2, 2, 2, 1, 5]])
INF = np.where(MASK, X, -np.inf)
AWKWARD = {
    "softmax of -inf": (softmax, lambda ct, x: softmax_back(ct, x), (INF,)),
    "softmax of 1000": (softmax, lambda ct, x: softmax_back(ct, x), (1000 * X,)),
    "softmax of nearly equals": (softmax, lambda ct, x: softmax_back(ct, x), (1e-9 * X + 3,)),
    "logsumexp": (logsumexp, lambda ct, x: ct[..., None] * softmax(x), (300 * X,)),
    "logsumexp of -inf": (logsumexp, lambda ct, x: ct[..., None] * softmax(x), (INF,)),
    "log_softmax": (log_softmax, lambda ct, x: ct - softmax(x) * ct.sum(-1, keepdims=True), (30 * X,)),
    "rmsnorm": (rmsnorm, rmsnorm_back, (X, G)),
    "rmsnorm at tiny norms": (rmsnorm, rmsnorm_back, (1e-7 * X, G)),
    "rmsnorm at zero": (rmsnorm, rmsnorm_back, (0 * X, G)),
    "rmsnorm at huge norms": (rmsnorm, rmsnorm_back, (1e8 * X, G)),
    "batch norm": (batchnorm, batchnorm_back, (X, G, H)),
    "batch norm far from zero": (batchnorm, batchnorm_back, (X + 1000, G, H)),
    "batch norm of one example": (batchnorm, batchnorm_back, (X[:1], G, H)),
    "layer norm of equals": (layernorm, layernorm_back, (np.ones((4, 3)), G, H)),
    "layer norm far from zero": (layernorm, layernorm_back, (X + 1e4, G, H)),
    "bias, summed over the batch": (lambda x, b: x + b, lambda ct, x, b: (ct, ct.sum(0)), (X, G)),
    "bias, the upstream itself": (lambda x, b: x + b, lambda ct, x, b: (ct, ct), (X, X)),
    "max pooling": (pool, pool_back, (R.standard_normal((2, 6)),)),
    "max pooling with ties": (pool, pool_back, (TIES,)),
    "relu of zeros": (relu, lambda ct, x: ct * (x > 0), (np.zeros(4),)),
    "relu of integers as floats": (relu, lambda ct, x: ct * (x > 0), (np.array([-1.0, 0, 1, 0]),)),
    "leaky relu at its kink": (lambda x: np.where(x > 0, x, 0.1 * x), lambda ct, x: ct * np.where(x > 0, 1, 0.1), (np.array([0.0, 1, -1]),)),
    "abs of zeros": (np.abs, lambda ct, x: ct * np.sign(x), (np.array([0.0, -0.0, 2.0]),)),
    "clip at its bounds": (lambda x: np.clip(x, -1, 1), lambda ct, x: ct * ((x >= -1) & (x <= 1)), (np.array([-1.0, 1, 0.5, 2]),)),
    "clip, open": (lambda x: np.clip(x, -1, 1), lambda ct, x: ct * ((x > -1) & (x < 1)), (np.array([-1.0, 1, 0.5, 2]),)),
    "hinge": (lambda z: np.maximum(0, 1 - z).sum(), lambda ct, z: -ct * (z < 1), (np.array([1.0, 0, 2]),)),
    "huber at its seams": (huber, lambda ct, x: ct * np.clip(x, -1, 1), (np.array([-1.0, 1, 0, 3]),)),
    "norm": (length, length_back, (G,)),
    "norm at zero": (length, length_back, (np.zeros(3),)),
    "norm at 1e-200": (length, length_back, (1e-150 * G,)),
    "sqrt near zero": (np.sqrt, lambda ct, x: ct * 0.5 / np.sqrt(x), (np.array([1e-12, 1e-6, 1.0]),)),
    "square root of a sum with epsilon": (lambda x: np.sqrt((x * x).sum(-1) + 1e-12), lambda ct, x: ct[..., None] * x / np.sqrt((x * x).sum(-1) + 1e-12)[..., None], (0 * X,)),
    "logarithm near zero": (np.log, lambda ct, x: ct / x, (np.array([1e-30, 1e-3, 5.0]),)),
    "cross entropy with logits": (bce, lambda ct, z, y: (ct * (sigmoid(z) - y), -ct * z), (50 * G, np.array([0.0, 1, 1]))),
    "cross entropy with logits at zero": (bce, lambda ct, z, y: (ct * (sigmoid(z) - y), -ct * z), (np.zeros(3), np.array([0.0, 1, 1]))),
    "softplus of ±700": (softplus, lambda ct, x: ct * sigmoid(x), (np.array([-700.0, 0, 700]),)),
    "sorting": (np.sort, sort_back, (G,)),
    "sorting ties": (np.sort, sort_back, (np.array([2.0, 1, 2, 1]),)),
    "median": (lambda x: np.sort(x)[1], lambda ct, x: ct * (np.arange(3) == np.argsort(x)[1]), (G,)),
    "embedding": (lambda E, i: E[i], embedding_back, (X, np.array([0, 2, 1]))),
    "embedding with repeated indices": (lambda E, i: E[i], embedding_back, (X, np.array([0, 2, 2, 0, 2]))),
    "cumulative sum": (np.cumsum, lambda ct, x: np.cumsum(ct[::-1])[::-1], (G,)),
    "cumulative product": (lambda x: np.cumsum(np.log(x * x)), lambda ct, x: 2 * np.cumsum(ct[::-1])[::-1] / x, (G,)),
    "solve": (lambda A, b: np.linalg.solve(A, b), solve_back, (S + 3 * np.eye(3), G)),
    "inverse": (lambda A: np.linalg.inv(A), lambda ct, A: -np.linalg.inv(A).T @ ct @ np.linalg.inv(A).T, (S + 3 * np.eye(3),)),
    "determinant": (lambda A: np.linalg.det(A), lambda ct, A: ct * np.linalg.det(A) * np.linalg.inv(A).T, (S + 3 * np.eye(3),)),
    "mask of integers": (lambda x, m: x * m, lambda ct, x, m: (ct * m, None), (X, MASK)),
    "mask of truth values": (lambda x, m: np.where(m, x, 0.0), lambda ct, x, m: (np.where(m, ct, 0.0), None), (X, MASK > 0)),
    "mask of floats": (lambda x, m: x * m, lambda ct, x, m: (ct * m, ct * x), (X, MASK.astype(float))),
    "float32": (lambda x, W: np.tanh(x @ W), lambda ct, x, W: ((ct * (1 - np.tanh(x @ W) ** 2)) @ W.T, x.T @ (ct * (1 - np.tanh(x @ W) ** 2))), (X.astype(np.float32), W.astype(np.float32))),
    "float32 and float64": (lambda x, W: x @ W, lambda ct, x, W: (ct @ W.T, x.T @ ct), (X.astype(np.float32), W)),
    "float16": (lambda x: x * x, lambda ct, x: 2 * ct * x, (X.astype(np.float16),)),
    "a number": (lambda x: x**3, lambda ct, x: 3 * ct * x * x, (2.0,)),
    "a number in one entry": (lambda x: x.sum(), lambda ct, x: np.full(x.shape, ct), (np.array([2.0]),)),
    "empty": (lambda x: x * 2, lambda ct, x: ct * 2, (np.zeros((0, 3)),)),
    "no gradient where there is none": (lambda x, y: x * 1.0, lambda ct, x, y: (ct, None), (X, G)),
    "variance": (lambda x: x.var(), lambda ct, x: ct * 2 * (x - x.mean()) / x.size, (X + 1e5,)),
    "logit": (lambda p: np.log(p) - np.log1p(-p), lambda ct, p: ct / (p * (1 - p)), (np.array([1e-9, 0.5, 1 - 1e-9]),)),
    "power with zero base": (lambda x: x**2.5, lambda ct, x: ct * 2.5 * x**1.5, (np.array([0.0, 1, 2]),)),
    "attention, masked": (lambda q, k, v: softmax(np.where(np.tri(4) > 0, q @ k.T / np.sqrt(5), -np.inf)) @ v, lambda ct, q, k, v: masked_attention_back(ct, q, k, v), (Q, K, V)),
    "periodic at large angles": (np.sin, lambda ct, x: ct * np.cos(x), (np.array([1e5, -3e4, 0.1]),)),
}  # fmt: skip


def masked_attention_back(ct, q, k, v):
    a = softmax(np.where(np.tri(4) > 0, q @ k.T / np.sqrt(5), -np.inf))
    da = ct @ v.T
    ds = a * (da - (da * a).sum(-1, keepdims=True)) / np.sqrt(5)
    return ds @ k, ds.T @ q, a.T @ ct


@pytest.mark.parametrize("name", AWKWARD)
def test_what_is_awkward_is_called_right_too(name):
    forward, backward, args = AWKWARD[name]
    report = cr.check_backward(forward, backward, args)
    assert report, report


# ---- faults that other tests do not see ------------------------------------------------------------------------------


class Stale:
    """Keeps what it saw first."""

    def __init__(self):
        self.saved = None

    def __call__(self, ct, x):
        if self.saved is None:
            self.saved = 2 * x
        return ct * self.saved


class Summing:
    """Adds up over the calls."""

    def __init__(self):
        self.total = 0.0

    def __call__(self, ct, x):
        self.total = self.total + 2 * x * ct
        return self.total


def in_place(ct, x):
    x *= 2
    return ct * x


def upstream_in_place(ct, x):
    ct *= 2 * x
    return ct


square = lambda x: x * x
right = lambda ct, x: 2 * ct * x
HIDDEN = {
    "stale buffer": (square, Stale(), (X,), "."),
    "a sum over the calls": (square, Summing(), (X,), "."),
    "changes its input": (square, in_place, (X,), "changes its argument x"),
    "changes the upstream gradient": (square, upstream_in_place, (X,), "changes the upstream gradient"),
    "ignores the upstream gradient": (square, lambda ct, x: 2 * x, (X,), "."),
    "ignores the size of the upstream gradient": (square, lambda ct, x: 2 * x * np.sign(ct), (X,), "."),
    "clips the upstream gradient": (square, lambda ct, x: 2 * x * np.clip(ct, -5, 5), (X,), "beside the point"),
    "wrong by columns": (square, lambda ct, x: right(ct, x) * (1 if x.flags.c_contiguous or x.ndim < 2 else 2), (X,), "by columns"),
    "reads memory as rows": (square, lambda ct, x: 2 * ct * x.ravel(order="K").reshape(x.shape), (X,), "by columns|strided"),
    "wrong for strided inputs": (square, lambda ct, x: right(ct, x) * (1 if x.flags.c_contiguous else 2), (G,), "strided"),
    "wrong for expanded upstream": (square, lambda ct, x: right(ct, x) * (0.5 if 0 in ct.strides else 1), (X,), "expanded"),
    "only the first row of an expanded upstream": (lambda x: x * 1.0, lambda ct, x: ct.copy() if 0 not in ct.strides else ct * 0 + ct.flat[0], (X,), "expanded"),
    "NaN": (square, lambda ct, x: ct * x * np.nan, (X,), "not finite"),
    "NaN in one entry": (square, lambda ct, x: np.where(x == X[0, 0], np.nan, 2 * ct * x), (X,), "not finite"),
    "None": (square, lambda ct, x: None, (X,), "no gradient is returned"),
    "a shape that broadcasts": (lambda x, b: x + b, lambda ct, x, b: (ct, ct.sum(0, keepdims=True)), (X, G), "it has shape"),
    "a column for a row": (lambda x: x.sum(0), lambda ct, x: np.broadcast_to(ct, (1, 3)), (X,), "it has shape"),
    "a transposed square": (lambda A: A @ S, lambda ct, A: (ct @ S.T).T, (S,), "transposed"),
    "complex": (square, lambda ct, x: 2 * ct * x + 0j, (X,), "complex"),
    "complex with another imaginary part": (square, lambda ct, x: 2 * ct * x * (1 + 1j), (X,), "complex"),
    "rounded to integers": (square, lambda ct, x: (2 * ct * x).astype(int), (X,), "."),
    "objects": (square, lambda ct, x: (2 * ct * x).astype(object), (X,), "array of object"),
    "in half precision": (square, lambda ct, x: (2 * ct * x).astype(np.float16), (X,), "."),
    "in single precision": (square, lambda ct, x: (2 * ct * x).astype(np.float32), (X,), "."),
    "not the same twice": (square, lambda ct, x: 2 * ct * x * (1 + 0.01 * np.random.default_rng().standard_normal()), (X,), "."),
    "unstable at large values": (softmax, lambda ct, x: (lambda y: y * (ct - (ct * y).sum(-1, keepdims=True)))(np.exp(x) / np.exp(x).sum(-1, keepdims=True)), (1000 * X,), "not finite"),
    "unstable at small values": (lambda x: np.expm1(x) + 0 * x, lambda ct, x: ct * (np.exp(2 * x) - np.exp(x)) / np.expm1(x), (np.array([0.0, 1e-9, 1.0]),), "."),
    "wrong above a threshold": (square, lambda ct, x: 2 * ct * np.minimum(x, 10), (np.array([1.0, 100.0]),), "."),
    "overwrites repeated indices": (lambda E, i: E[i], lambda ct, E, i: (overwritten(ct, E, i), None), (X, np.array([0, 2, 2])), "."),
    "dropped mask": (lambda x, m: np.where(m, x * x, 0.0), lambda ct, x, m: (2 * ct * x, None), (X, MASK), "."),
    "saves the output": (np.sin, lambda ct, x: ct * np.cos(np.sin(x)), (X,), "."),
    "reduced over too much": (lambda x, g: x * g, lambda ct, x, g: (ct * g, np.full(3, (ct * x).sum())), (X, G), "."),
    "mean over the batch": (lambda x, b: x + b, lambda ct, x, b: (ct, ct.mean(0)), (X, G), "divided by 4"),
    "factor two": (lambda A: np.sum(A.T @ A), lambda ct, A: ct * A @ np.ones((3, 3)), (S,), "0.5 times|lost"),
    "sign of one term": (lambda x, y: x * y - y, lambda ct, x, y: (ct * y, ct * (x + 1)), (X, X[::-1]), "sign"),
    "swapped": (lambda x, y: x * y, lambda ct, x, y: (ct * x, ct * y), (X, X[::-1]), "."),
    "zero at every kink and off it": (relu, lambda ct, x: 0 * ct, (np.zeros(3),), "beside the point"),
    "no subgradient": (relu, lambda ct, x: ct * np.where(x == 0, 3.0, x > 0), (np.array([0.0, 1.0]),), "."),
    "slope of the wrong side": (np.abs, lambda ct, x: -ct * np.sign(x), (np.array([0.0, 1.0]),), "sign"),
    "NaN at zero": (length, lambda ct, x: ct * x / np.sqrt((x * x).sum()), (np.zeros(3),), "not finite"),
    "an entry of a tie twice": (lambda x: x.max(), lambda ct, x: ct * (x == x.max()), (np.array([3.0, 1, 3]),), "."),
    "returns a dict": (square, lambda ct, x: {"x": 2 * ct * x}, (X,), "."),
    "returns a string": (square, lambda ct, x: "x", (X,), "array of"),
    "one gradient too many": (square, lambda ct, x: (2 * ct * x, ct), (X,), "2 gradients are returned for 1"),
}  # fmt: skip


def overwritten(ct, E, i):
    dE = np.zeros_like(E)
    dE[i] = ct
    return dE


@pytest.mark.parametrize("name", HIDDEN)
def test_faults_that_hide_are_found(name):
    forward, backward, args, slip = HIDDEN[name]
    report = cr.check_backward(forward, backward, args)
    assert not report, report
    assert re.search(slip, str(report)), report


# ---- what the verdict rests on -------------------------------------------------------------------------------------------


def test_other_shapes_are_told_apart_and_do_not_make_it_wrong():
    report = cr.check_backward(layernorm, lambda *a: layernorm_back(*a, axis=(0,)), (X, G, H))
    assert report
    assert report.findings == []
    assert all(len(f.shapes[0]) >= 3 for f in report.elsewhere)
    assert "on other shapes than those given" in str(report)
    assert "sum over the broadcast axes is missing" in str(report)
    assert not cr.check_backward(layernorm, lambda *a: layernorm_back(*a, axis=(0,)), (np.stack([X, X]), G, H))
    only_one = cr.check_backward(square, lambda ct, x: 2 * ct * x * (len(x) > 1 or 2), (X,))
    assert only_one
    assert [f.shapes for f in only_one.elsewhere] == [((1, 3),)]


def test_kinks_are_noted():
    report = cr.check_backward(relu, lambda ct, x: ct * (x > 0), (np.array([0.0, 1.0]),))
    assert report
    assert report.notes == ["the point lies on a kink in x: every subgradient is right there"]
    assert cr.check_backward(relu, lambda ct, x: ct * (x > 0), (np.array([0.5, 1.0]),)).notes == []


@pytest.mark.parametrize(
    ("forward", "args", "what"),
    [
        (lambda x: (x, x), (X,), "several outputs"),
        (lambda x: {"a": x}, (X,), "several outputs"),
        (lambda x: x > 0, (X,), "returns bool"),
        (lambda x: x * 1j, (X,), "returns complex128"),
        (lambda x: np.log(x - 100), (X,), "gives NaN"),
        (lambda x: x + np.random.default_rng().standard_normal(), (X,), "other values when it is called again"),
        (lambda x: x, (X + 1j,), "real numbers"),
        (lambda x: x, ("a",), "real numbers"),
        (lambda x: x + cr.stop_gradient(x), (X,), "by reverse mode and"),
    ],
)
def test_what_cannot_be_judged_is_refused(forward, args, what):
    with pytest.raises(cr.ChainruleError, match=what):
        cr.check_backward(forward, lambda ct, x: ct, args)


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
