"""Graphs that are read: what a function computes, a line for each value, in the user's names."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import InputError

W = np.ones((64, 10), np.float32)


def layer(x, b):
    z = x @ W + b
    y = np.tanh(z) * 2 - 1
    return np.sum(y**2)


def test_a_line_has_name_dtype_shape_and_expression():
    graph = cr.jit(layer).graph(np.ones((32, 64), np.float32), np.ones(10, np.float32))
    assert str(graph).splitlines() == [
        "layer(x: f32[32, 64], b: f32[10], W: f32[64, 10])",
        "    z: f32[32, 10] = x @ W + b",
        "    y: f32[32, 10] = np.tanh(z) * 2 - 1",
        "    sum_: f32 = np.sum(y ** 2)",
        "    return sum_",
    ]


def test_the_graph_is_what_runs():
    x, b = (
        np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32).repeat(64, 1)[:, :64],
        np.ones(10, np.float32),
    )
    graph = cr.jit(layer).graph(x, b)
    np.testing.assert_allclose(graph.run([x, b, W])[0], layer(x, b), rtol=1e-5)


def test_loops_show_their_bodies():
    def total(x):
        def step(carry, u):
            new = carry * u
            return new, new + 1

        last, rows = cr.scan(step, x, np.ones(3))
        return last + rows.sum()

    lines = str(cr.jit(total).graph(1.0)).splitlines()
    assert lines[1].strip().endswith("(f64, f64[3]) = scan(x, np.full((3,), 1.0))")
    assert lines[2:5] == [
        "        body(x0: f64, x1: f64)",
        "            new: f64 = x0 * x1",
        "            add1: f64 = new + 1",
    ]
    assert "    last: f64 = scan1[0]" in lines


def test_large_constants_are_described():
    table = np.arange(100)

    def f(x):
        return x * table

    assert "<i64[100]>" in str(cr.jit(f).graph(np.ones(100)))


def test_what_is_read_beside_the_arguments_is_an_input():
    class Model:
        def __init__(self):
            self.w = np.ones(3)

        def __call__(self, x):
            return self.w * x

    assert "w: f64[3]" in str(cr.jit(Model()).graph(np.ones(3))).splitlines()[0]


def test_a_call_without_a_graph_says_why():
    with pytest.raises(InputError, match="no graph"):
        cr.jit(lambda x: x).graph(cr.torch.tensor([1.0]))
