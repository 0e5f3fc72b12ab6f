"""Explanations, tables, drawings, and the files they write."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import chainrule as cr
from chainrule.showing.show import shown


def f(x, y, z):
    g = x + y
    h = g * z
    return h + x


@pytest.fixture
def e():
    return cr.explain(f, x=-2.0, y=5.0, z=-4.0)


def net(p, x, y):
    z = x @ p["W"] + p["b"]
    h = np.tanh(z)
    e = h @ p["V"] - y
    loss = np.mean(e**2)
    return loss


@pytest.fixture
def network():
    rng = np.random.default_rng(0)
    p = {"W": rng.standard_normal((3, 4)), "b": np.zeros(4), "V": rng.standard_normal((4, 2))}
    return cr.explain(net, p, rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), wrt="W,b,V")


def test_value_and_gradients(e, network):
    assert e.value == -14.0
    assert e.gradients == {"x": -3.0, "y": -4.0, "z": 3.0}
    assert list(network.gradients) == ["W", "b", "V"]
    assert network.gradients["b"].shape == (4,)


def test_formula_and_function_agree():
    a = cr.explain("g = x + y; h = g*z; h + x", x=-2, y=5, z=-4)
    b = cr.explain(f, -2.0, 5.0, -4.0)
    assert str(a.code()) == str(b.code())
    assert str(a.table()) == str(b.table())


def test_table(e):
    rows = {r.name: r for r in e.table()}
    assert list(rows) == ["x", "y", "z", "g", "h", "f"]
    assert (rows["g"].operation, rows["g"].value, rows["g"].gradient) == ("x + y", 3.0, -4.0)
    assert rows["f"].role == "output"
    assert e.table()["h"].value == -12.0
    with pytest.raises(KeyError):
        e.table()["q"]
    assert str(e.table()).splitlines()[5].split() == ["g", "x", "+", "y", "3", "-4"]
    assert len(e.table()) == 6


def test_gradients_in_the_table_are_the_engines():
    """Every intermediate gradient, checked by cutting the function at that node."""
    table = cr.explain("a = x*y; b = sin(a) + x; c = b*b*a; c/(1 + x^2)", x=0.7, y=-1.3).table()
    x, y = 0.7, -1.3
    a, b = x * y, np.sin(x * y) + x
    assert table["b"].gradient == pytest.approx(2 * b * a / (1 + x**2))
    assert table["a"].gradient == pytest.approx((b * b + 2 * b * a * np.cos(a)) / (1 + x**2))


def test_draw_svg(e):
    root = ET.fromstring(e.draw(partials=True).svg)
    texts = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    for expected in ("x", "g = x + y", "-14", "-12", "-3"):
        assert expected in texts
    blue = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text") if t.get("fill") == "#1453c4"]
    assert sorted(blue) == sorted(["-3", "-4", "3", "-4", "1", "1"])
    purple = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text") if t.get("fill") == "#8e24aa"]
    assert sorted(purple) == sorted(["1", "1", "-4", "3", "1", "1"])
    assert e._repr_html_().count("<svg") == 1
    assert e.draw()._repr_svg_().startswith("<svg")


def boxes(drawing):
    return [(v.x - v.width / 2, v.y - 17, v.x + v.width / 2, v.y + 17) for v in drawing.vertices]


@pytest.mark.parametrize("size", [3, 8, 20, 60])
def test_drawings_do_not_overlap(size):
    rng = np.random.default_rng(size)

    def random(x, y):
        values = [x, y]
        while len(values) < size:
            a, b = (values[int(i)] for i in rng.integers(max(0, len(values) - 6), len(values), 2))
            values.append(np.sin(a) * b if len(values) % 3 else a + b)
        total = values[-1]
        for v in values[2:-1:5]:
            total = total + v
        return total

    drawing = cr.draw(random, 0.5, 0.8)
    found = boxes(drawing)
    width, height = drawing.size
    for k, (a, b, c, d) in enumerate(found):
        assert a >= 0
        assert b >= 0
        assert c <= width
        assert d <= height
        for p, q, r, s in found[:k]:
            assert c <= p or r <= a or d <= q or s <= b


def test_drawing_tells_roles_apart(network):
    roles = {v.name: v.role for v in network.draw().vertices}
    assert (roles["W"], roles["x"], roles["z"], roles["loss"]) == ("input", "data", "stage", "output")
    value = next(v.value for v in network.draw().vertices if v.name == "W")
    assert value.startswith("3×4, ‖·‖ = ")
    labels = {e.label for e in network.draw(partials=True).edges}
    assert "h.T @ dhV" in labels


def test_dot_and_mermaid(e):
    dot = e.draw().dot
    assert dot.startswith('digraph "f" {')
    assert dot.count("->") == 6
    mermaid = e.draw(partials=True).mermaid
    assert mermaid.startswith("flowchart LR")
    assert mermaid.count("-->") == 6


def test_files(e, network, tmp_path):
    for explanation in (e, network):
        for suffix in (".html", ".md", ".json", ".txt", ".py", ".svg", ".png", ".dot", ".mmd"):
            path = explanation.save(tmp_path / f"report{suffix}")
            assert path.stat().st_size > 100
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    data = json.loads(e.json())
    assert data["value"] == -14.0
    assert data["gradients"] == {"x": -3.0, "y": -4.0, "z": 3.0}
    assert [n["name"] for n in data["nodes"]] == ["x", "y", "z", "g", "h", "f"]
    with pytest.raises(cr.InputError, match="use one of"):
        e.save(tmp_path / "report.docx")
    with pytest.raises(cr.InputError, match="use one of"):
        e.draw(tmp_path / "report.bmp")


def test_json_of_infinite_values():
    data = json.loads(cr.explain("x/y", x=np.inf, y=1.0).json())
    assert data["value"] == "inf"


def test_what_is_not_finite_is_said():
    text = str(cr.explain("log(x) * y", x=0.0, y=1.0))
    assert "Not finite here: log_x, f, the gradient of x" in text
    assert "Not finite" not in str(cr.explain("log(x)", x=1.0))


def test_png_has_text(e):
    """The picture is not blank: text was drawn with the bundled font."""
    import io

    import matplotlib.image

    pixels = matplotlib.image.imread(io.BytesIO(e.draw().png))[..., :3]
    assert (pixels.min(axis=-1) < 0.3).mean() > 0.001
    blue = (pixels[..., 2] > 0.6) & (pixels[..., 0] < 0.3)
    assert blue.sum() > 50


def test_terminal(e):
    from rich.console import Console

    console = Console(width=100, record=True, file=__import__("io").StringIO())
    console.print(e)
    text = console.export_text()
    for part in ("def f_grad(x, y, z):", "dg = z", "gradient", "-14"):
        assert part in text
    assert "dg = z" in str(e)
    assert repr(e) == str(e)


def test_paths():
    """Problem A9: five paths to each variable."""
    e = cr.explain("u3 = u1*u2; u4 = u1 + u2; u5 = 2*u3*u4; L = (u5 - u1 - u2 - u3 - u4)^2; L", u1=3, u2=4)
    for wrt, gradient in (("u1", 21016.0), ("u2", 17324.0)):
        paths = e.paths(wrt)
        assert paths.count == len(list(paths)) == 5
        assert paths.total == gradient == sum(p.contribution for p in paths)
        for p in paths:
            at = {r.name: r.value for r in e.table()}
            product = np.prod([eval(t, {}, at) for t in p.partials])
            assert product == pytest.approx(p.contribution)
    assert "u1 → u3 → mul1 → u5" in str(e.paths("u1"))
    assert "sum = 21016" in str(e.paths("u1"))


def test_paths_of_matrices_and_many(network):
    paths = network.paths("W")
    assert paths.count == 1
    np.testing.assert_allclose(paths.total, network.gradients["W"])
    assert paths.listed[0].partials[0] == "x.T @ dxW"

    def doubling(x):
        for _ in range(60):
            x = x + np.sin(x)
        return x

    many = cr.explain(doubling, 0.1).paths("x")
    assert many.count == 2**60
    assert many.listed == []
    assert "1,152,921,504,606,846,976 paths" in str(many)
    assert cr.explain("x*x", x=3).paths("x").total == 6.0
    assert cr.explain("x + 0*floor(y)", x=1, y=2).paths("y").count == 0
    with pytest.raises(cr.InputError, match="no variable"):
        network.paths("q")


def test_sizes(network):
    sizes = network.sizes(batch=5, D0=3, D1=4, K=2)
    assert (sizes.shapes["W"], sizes.shapes["h"], sizes.shapes["loss"]) == ("(D0 × D1)", "(batch × D1)", "number")
    factors = {(f.of, f.by): f.shape for f in sizes.factors}
    assert factors["hV", "h"] == "batch·K × batch·D1"
    assert factors["loss", "e_sq"] == "1 × batch·K"
    assert sizes.cheaper == "reverse"
    assert sizes.forward == sizes.reverse * (3 * 4 + 4 + 4 * 2)
    assert "∂z/∂b" in str(sizes)
    with pytest.raises(cr.InputError, match="same size"):
        network.sizes(a=5, b=5)
    many = cr.explain("x * A", x=2.0, A=np.ones(7), wrt="x").sizes()
    assert many.cheaper == "forward"


def test_latex(e):
    assert e.latex() == "\\begin{aligned}\ng &= x + y \\\\\nh &= g \\, z \\\\\nf &= h + x\n\\end{aligned}"
    text = cr.explain("z1 = sigma(W @ x + beta_0); sum(z1^2) / 2", W=np.ones((2, 3)), x=np.ones(3), beta_0=1.0).latex()
    for part in (r"z_{1} &= \sigma(", r"\beta_{0}", r"\mathrm{Wx} &= W x", r"\frac{", "^{2}"):
        assert part in text


def test_every_operation_has_latex():
    from test_operations import OPS, as_function, differentiable, points

    for op in OPS:
        if op.name == "eig":  # complex numbers are not explained
            continue
        shapes, params = (
            op.examples[0] if op.examples else ([(2,)] * (len(getattr(op, "partials", ())) or op.inputs), {})
        )
        xs = points(op, shapes, seed=1)
        free = differentiable(op, xs)
        if free:
            f = as_function(op, xs, params, free)
            text = cr.explain(lambda *a: np.sum(f(*a)), *[xs[k] for k in free]).latex()
            assert text.count("{") == text.count("}"), op.name


def test_without_a_point():
    text = str(cr.explain("x*y"))
    assert "example" in text


def test_shown():
    assert [shown(v) for v in (3.0, -0.0, 1e-9, 123456.789, np.nan, True, None)] == [
        "3",
        "0",
        "1e-09",
        "1.235e+05",
        "nan",
        "True",
        "",
    ]
    assert shown(np.array([1.0, 2.5])) == "[1, 2.5]"
    assert shown(np.ones((10, 3))) == "10×3, ‖·‖ = 5.477"


def test_speed_of_the_main_job():
    """Not a benchmark: a guard against something quadratic."""

    def long(x):
        for _ in range(300):
            x = np.sin(x) + x
        return x

    assert cr.explain(long, 0.5).value == pytest.approx(long(0.5))


def test_sensitivity_in_words():
    said = str(cr.explain("relu(x) + abs(y) + 0*z", x=0, y=0, z=1).sensitivity())
    assert "a small change of x does not change f" in said
    assert "ReLU at 0: the slope used is 0; every number from 0 to 1 is a subgradient" in said
    assert "the absolute value at 0" in said
    said = str(cr.explain(lambda x: np.max(x) * 2, np.array([1.0, 3.0, 3.0])).sensitivity())
    assert "a tie of 2 entries in max" in said
    assert "x[1] grows, which matters most" in said
    assert (
        str(cr.explain("x*y", x=3, y=4).sensitivity())
        == "f grows 4 times as fast as x grows\nf grows 3 times as fast as y grows"
    )
    assert "falls just as fast" in str(cr.explain("y - x", x=3, y=4).sensitivity())


def test_a_value_that_would_lose_its_derivative_is_an_error_that_names_the_line():
    def f(x):
        a = np.zeros(3)
        a[0] = x
        return a.sum()

    for call in (lambda: cr.explain(f, 2.0), lambda: cr.vmap(cr.grad(f))(np.ones(2))):
        with pytest.raises(cr.TraceError, match="plain NumPy array"):
            call()


# ---- at the seams --------------------------------------------------------------------------------------------------

V = np.array([1.0, 2.0, 3.0])


def test_the_gradients_of_an_array_are_said_to_be_those_of_its_sum():
    e = cr.explain(lambda x: np.sin(x), V)
    assert e.of == "sum(f)"
    for written in (str(e), e.markdown(), e.html()):
        assert "f has shape (3,): the gradients here are those of sum(f), the sum of its entries." in written
    assert json.loads(e.json())["gradients_of"] == "sum(f)"
    assert "1 path from x to sum(f)" in str(e.paths("x"))
    assert cr.explain("x*y").of == "f"


def test_what_is_no_variable_is_refused_where_an_option_has_its_name():
    for options in ({"open": 3.0}, {"wrt": 2.0}, {"functions": 1.0}, {"wrt": 0}, {"open": [1]}):
        (name,) = options
        with pytest.raises(cr.InputError, match=f"{name}.*was given"):
            cr.explain("x*2", x=1.0, **options)
    assert cr.explain("args*self + values", args=3, self=2, values=1).value == 7.0


@pytest.mark.parametrize(
    ("f", "args", "what"),
    [
        (lambda x: (x, x * x), (2.0,), "returned a tuple"),
        (lambda x: {"a": x}, (2.0,), "returned a dict"),
        (lambda x: np.argmax(x), (V,), "returned int64"),
        (lambda x: np.abs(np.exp(1j * x)), (1.5,), "complex"),
        (lambda x: x * x, (1 + 2j,), "nothing to differentiate|complex"),
        (lambda x, y: x * y, (2.0,), "missing a required argument: 'y'"),
        (lambda x: x, (2.0, 3.0), "too many positional arguments"),
        ("x*2", ("3",), "is a str"),
        ("x*2", (None,), "is a NoneType"),
        ("x > 1", (2.0,), "returned bool"),
    ],
)
def test_what_cannot_be_explained_is_refused(f, args, what):
    with pytest.raises(cr.ChainruleError, match=what):
        cr.explain(f, *args)


def test_loops_are_drawn_and_what_follows_them_step_by_step_is_refused():
    for e in (
        cr.explain(lambda x: cr.scan(lambda c, t: (c * t, c), 1.0, x)[0], V),
        cr.explain(lambda x: cr.fori_loop(0, 3, lambda i, c: c * x, 1.0), 2.0),
    ):
        assert "<svg" in e.draw(partials=True).svg
        for call in (lambda e=e: e.paths("x"), lambda e=e: e.derivation(), lambda e=e: e.zeros("x")):
            with pytest.raises(cr.InputError, match="loop"):
                call()


def test_constants_that_differ_by_entry_are_no_zero_condition():
    for constant, formula in (([0.0, 1.0, 1.0], "never"), ([0.0, 0.0, 0.0], "always"), ([2.0, 2.0, 2.0], "never")):
        factor = np.array(constant)
        made = cr.explain(lambda x, factor=factor: np.sum(np.sin(x * factor)), V).zeros("x")
        assert ("always" in str(made.formula)) == (formula == "always")
    assert cr.explain(lambda x: np.sum(np.where(x > 1.5, x * x, 0)), V).zeros("x").formula is not None


def test_constants_without_axes():
    """A 0-d array is a number."""
    assert cr.explain(lambda x: np.sin(x) ** np.array(2.0), 1.5).gradients["x"] == pytest.approx(np.sin(3.0))
