"""ADBench's objectives (Srajer, Kukelova, Fitzgibbon, 2018), on generated data: bundle adjustment, LSTM, hand tracking.

The Gaussian mixture is in `rows_native`. The time of value and gradient is compared with that of the value.
"""

from __future__ import annotations

import numpy as np
from rows import row, torch_two_threads
from rows_native import jax_64


def three(make):
    """Value alone, and value with gradient, compiled by us; with gradient by jax and torch. `make(m, put)` gives (f, args)."""

    def rows():
        def ours(gradient):
            def prepare():
                import chainrule as cr

                f, args = make(np, lambda a: a, cr.sigmoid, np.stack)
                g = cr.jit(cr.value_and_grad(f, tuple(range(len(args))))) if gradient else cr.jit(f)
                return lambda: g(*args), (lambda: g(*args)[1]) if gradient else None

            return prepare

        def jax_jit():
            jax, jnp = jax_64()
            f, args = make(jnp, jnp.asarray, jax.nn.sigmoid, jnp.stack)
            g = jax.jit(jax.value_and_grad(f, argnums=tuple(range(len(args)))))
            return lambda: jax.block_until_ready(g(*args)), lambda: g(*args)[1]

        def torch_eager():
            torch = torch_two_threads()
            f, args = make(torch, torch.tensor, torch.sigmoid, torch.stack)

            def call():
                given = [a.detach().requires_grad_() for a in args]
                f(*given).backward()
                return [a.grad for a in given]

            return call, lambda: [g.numpy() for g in call()]

        return {
            "chainrule jit": ours(True),
            "chainrule jit, value only": ours(False),
            "jax jit": jax_jit,
            "torch eager": torch_eager,
        }

    return rows


def bundle(m, put, sigmoid, stack):
    """Reprojection errors of 20 cameras (rotation, centre, focal length, principal point, distortion) and 3,000 observations."""
    r = np.random.default_rng(0)
    cameras, points, observed = 20, 500, 3000
    cam = r.standard_normal((cameras, 11)) * 0.1 + np.array([0, 0, 0, 0, 0, -5, 500, 0, 0, 0, 0])
    X = r.standard_normal((points, 3))
    w = r.uniform(0.5, 1, observed)
    which, point = r.integers(0, cameras, observed), r.integers(0, points, observed)
    feats = put(r.standard_normal((observed, 2)) * 50)
    which_, point_ = put(which), put(point)

    def f(cam, X, w):
        c, x = cam[which_], X[point_]
        rot, centre = c[:, :3], c[:, 3:6]
        theta2 = (rot * rot).sum(1) + 1e-12
        theta = m.sqrt(theta2)
        axis = rot / theta[:, None]
        d = x - centre
        cos, sin = m.cos(theta)[:, None], m.sin(theta)[:, None]
        cross = stack(
            [
                axis[:, 1] * d[:, 2] - axis[:, 2] * d[:, 1],
                axis[:, 2] * d[:, 0] - axis[:, 0] * d[:, 2],
                axis[:, 0] * d[:, 1] - axis[:, 1] * d[:, 0],
            ],
            1,
        )
        dot = (axis * d).sum(1)[:, None]
        p = cos * d + sin * cross + (1 - cos) * dot * axis
        u = p[:, :2] / p[:, 2:]
        r2 = (u * u).sum(1)[:, None]
        proj = u * (1 + c[:, 9:10] * r2 + c[:, 10:11] * r2 * r2) * c[:, 6:7] + c[:, 7:9]
        e = w[:, None] * (proj - feats)
        z = 1 - w * w
        return (e * e).sum() + (z * z).sum()

    return f, [put(a) for a in (cam, X, w)]


def lstm(m, put, sigmoid, stack):
    """The loss of ADBench's diagonal LSTM: two layers of 14 units over 30 characters."""
    r = np.random.default_rng(0)
    layers, width, length = 2, 14, 30
    main = r.standard_normal((2 * layers, 4 * width)) * 0.1
    extra = r.standard_normal((3, width)) * 0.1
    text = put(np.eye(width)[r.integers(0, width, length)])

    def f(main, extra):
        state = [[0.0 * extra[0], 0.0 * extra[0]] for _ in range(layers)]
        total = 0.0
        for t in range(length - 1):
            x = text[t] * extra[0]
            for k in range(layers):
                h, c = state[k]
                w, b = main[2 * k], main[2 * k + 1]
                forget = sigmoid(x * w[:width] + b[:width])
                into = sigmoid(h * w[width : 2 * width] + b[width : 2 * width])
                out = sigmoid(x * w[2 * width : 3 * width] + b[2 * width : 3 * width])
                change = m.tanh(h * w[3 * width :] + b[3 * width :])
                c = c * forget + into * change
                h = out * m.tanh(c)
                state[k] = [h, c]
                x = h
            y = x * extra[1] + extra[2]
            y = y - m.log(m.exp(y).sum() + 2)
            total = total + (text[t + 1] * y).sum()
        return -total / (length * width)

    return f, [put(a) for a in (main, extra)]


def hand(m, put, sigmoid, stack):
    """Vertices of a hand skinned over 22 bones posed by 26 angles, against 500 measured points."""
    r = np.random.default_rng(0)
    bones, vertices = 22, 500
    parents = [-1, *(0 if (k - 1) % 4 == 0 or k == 21 else k - 1 for k in range(1, bones))]
    base, weights = r.standard_normal((bones, 3)) * 0.3, r.random((vertices, bones))
    weights = put(weights / weights.sum(1, keepdims=True))
    rest = put(np.concatenate([r.standard_normal((vertices, 3)), np.ones((vertices, 1))], 1))
    target = put(r.standard_normal((vertices, 3)))
    theta = r.standard_normal(3 * bones) * 0.2
    eye = put(np.eye(4))

    def rotation(a, offset):
        cx, sx, cy, sy, cz, sz = m.cos(a[0]), m.sin(a[0]), m.cos(a[1]), m.sin(a[1]), m.cos(a[2]), m.sin(a[2])
        zero = 0 * cx
        rows = [
            stack([cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz, zero + offset[0]], 0),
            stack([cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz, zero + offset[1]], 0),
            stack([-sy, sx * cy, cx * cy, zero + offset[2]], 0),
        ]
        return stack([*rows, eye[3]], 0)

    def f(theta):
        world = []
        for k in range(bones):
            own = rotation(theta[3 * k : 3 * k + 3], [float(v) for v in base[k]])
            world.append(own if parents[k] < 0 else world[parents[k]] @ own)
        total = 0.0
        for k in range(bones):
            total = total + weights[:, k : k + 1] * (rest @ world[k].T)[:, :3]
        e = total - target
        return (e * e).sum()

    return f, [put(theta)]


row("ADBench bundle adjustment, 20 cameras, 3,000 observations, float64 (us)", 15)(
    type("", (), {"__name__": "bundle_adjustment", "__call__": staticmethod(three(bundle))})()
)
row("ADBench LSTM, 2 layers of 14 over 30 characters, float64 (us)", 15)(
    type("", (), {"__name__": "lstm", "__call__": staticmethod(three(lstm))})()
)
row("ADBench hand tracking, 22 bones, 500 vertices, float64 (us)", 15)(
    type("", (), {"__name__": "hand_tracking", "__call__": staticmethod(three(hand))})()
)
