"""Every declared operation, tested from its declaration alone: declare one, and it is tested."""

import itertools
import math
import warnings

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.checks.gradients import check_grads
from chainrule.diff.bodies import opened
from chainrule.diff.rules import leaf
from chainrule.diff.transforms import jvp, vjp
from chainrule.ir.recording import Handle
from chainrule.ops import REGISTRY, Composite, Elementwise, Linear, Primitive
from chainrule.ops.kinds import Operation
from chainrule.ops.systems import halved
from chainrule.showing.coverage import joined

OPS = [
    op
    for op in REGISTRY.values()
    if isinstance(op, Operation) and op.name not in ("call", "pick", "custom", "scan", "while_loop", "switch")
]
ELEMENTWISE = [op for op in OPS if op.entrywise and not op.examples]


def arity(op):
    if isinstance(op, Elementwise):
        return len(op.partials)
    return op.inputs


SMOOTH = [op for op in ELEMENTWISE if any(op.flows(k) for k in range(arity(op)))]
CALLS = [(op, k) for op in OPS for k in range(len(op.examples))]


def takes_integers(op):
    """Whether it is one of NumPy's functions of integers only."""
    return any(isinstance(f, np.ufunc) and not any("d" in t.split("->")[0] for t in f.types) for f in op.numpy)


def name(value):
    return value.name if isinstance(value, Operation) else str(value)


def points(op, shapes, seed=0, dtype=float):
    """Random inputs in the domain of an operation, away from ties and kinks."""
    rng = np.random.default_rng(seed)
    domains = op.domain or [(-2.0, 2.0)] * len(shapes)
    found = []
    for k, shape in enumerate(shapes):
        if isinstance(shape, np.ndarray):
            found.append(shape)
            continue
        low, high = domains[k] if k < len(domains) else domains[-1]
        x = rng.uniform(low, high, shape)
        x = np.where(np.abs(x) < 0.02, 0.1, x)
        if takes_integers(op):
            found.append(rng.integers(0, 9, shape)[()])
            continue
        found.append(np.asarray(x, dtype)[()])
    if op.name in ("where", "logical_and", "logical_or", "logical_xor", "logical_not", "indicator"):
        found[0] = np.asarray(found[0] > 0)[()]
    if op.name == "clip":
        found[1], found[2] = found[1] - 3, found[2] + 3
    return found


def differentiable(op, xs):
    """The positions of inputs through which a derivative flows."""
    return [k for k, x in enumerate(xs) if op.flows(k) and np.asarray(x).dtype.kind == "f"]


def with_free(function, xs, params, free):
    """A function of the inputs at some positions, the others as they are."""

    def f(*values):
        args = list(xs)
        for k, v in zip(free, values, strict=True):
            args[k] = v
        return function(*args, **params)

    return f


def one_real_array(op):
    """A primitive on symmetric matrices, where it takes no others; several outputs side by side, also of every example."""

    def f(*args, **params):
        args = [halved(args[0])] if op.name in ("cholesky", "eigh") else args
        made = op(*args, **params)
        return joined(made) if isinstance(made, tuple) else made

    return f


def as_function(op, xs, params, free):
    """The operation as a function of its differentiable inputs, with one real array for its value."""
    f = with_free(one_real_array(op) if isinstance(op, Primitive) else op, xs, params, free)
    f.__name__ = op.name
    return f


@pytest.mark.parametrize("op", OPS, ids=name)
def test_is_covered(op):
    assert isinstance(op, Elementwise) or op.examples or isinstance(op, Composite)
    assert op.__doc__


@pytest.mark.parametrize("op", [op for op in OPS if op.numpy], ids=name)
def test_value_is_numpys(op):
    for function in op.numpy:
        xs = points(op, op.examples[0][0] if op.examples else [(2, 3)] * arity(op))
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(op(*xs), function(*xs), rtol=1e-14)


@pytest.mark.parametrize("op", SMOOTH, ids=name)
@pytest.mark.parametrize("seed", range(3))
def test_derivatives_agree(op, seed):
    """Forward mode, reverse mode and differences, to third order."""
    xs = points(op, [()] * arity(op), seed)
    free = differentiable(op, xs)
    check_grads(as_function(op, xs, {}, free), [xs[k] for k in free], order=3)


@pytest.mark.parametrize(("op", "k"), CALLS, ids=name)
def test_examples_agree(op, k):
    shapes, params = op.examples[k]
    xs = points(op, shapes, seed=k)
    free = differentiable(op, xs)
    if not free:
        return
    f = as_function(op, xs, params, free)
    np.testing.assert_array_equal(f(*[xs[k] for k in free]), vjp(f, *[xs[k] for k in free])[0])
    check_grads(f, [xs[k] for k in free], order=2)


@pytest.mark.parametrize(("op", "k"), [(op, 0) for op in ELEMENTWISE] + CALLS, ids=name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_rule_tells_the_value(op, k, dtype):
    """The shape and dtype that are known before the value are those of the value."""
    shapes, params = op.examples[k] if op.examples else ([(2, 3)] * arity(op), {})
    xs = points(op, shapes, dtype=dtype)
    found = op.shape and op.shape(op, xs, params)
    if found:
        value = op.value(*xs, **params)
        assert (found.shape, found.dtype) == (np.shape(value), np.asarray(value).dtype)


@pytest.mark.parametrize(("op", "k"), CALLS, ids=name)
def test_sparsity_covers_the_jacobian(op, k):
    """Every entry of the Jacobian that is not zero is in the pattern; of what only moves entries, nothing else is."""
    shapes, params = op.examples[k]
    xs = points(op, shapes, seed=k)
    for free in differentiable(op, xs):
        f = as_function(op, xs, params, [free])
        size = math.prod(np.shape(xs[free]))
        J = np.reshape(cr.jacobian(f)(xs[free]), (-1, size)) if size and np.size(f(xs[free])) else np.zeros((0, 0))
        pattern = cr.sparsity(f, xs[free]).toarray()
        if J.size:
            assert not np.any(J[~pattern])
            exact = op.moves or (op.pattern and op.name != "matmul")
            assert not exact or np.array_equal(J != 0, pattern)


ANALYTIC = [
    op
    for op in SMOOTH
    if op.name
    not in (
        "abs",
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "copysign",
        "remainder",
        "relu",
        "leaky_relu",
        "where",
        "clip",
        "hypot",
        "logaddexp",
        "softplus",
        "log_sigmoid",
        "sigmoid",
        "silu",
        "arctan2",
        "cbrt",
        "deg2rad",
        "rad2deg",
        "erf",
        "erfc",
        "gammaln",
        "digamma",
        "polygamma",
        "gelu",
        "stop_gradient",
        "fabs",
        "phase",
    )
]  # fmt: skip  (NumPy and SciPy define no complex value for these, or not one that is analytic)


@pytest.mark.parametrize("op", ANALYTIC, ids=name)
def test_complex_step(op):
    xs = points(op, [()] * arity(op), seed=5)
    for k in range(arity(op)):
        moved = [x + 1e-30j if j == k else x for j, x in enumerate(xs)]
        expected = np.imag(op.value(*moved)) / 1e-30
        t = [1.0 if j == k else 0.0 for j in range(len(xs))]
        assert jvp(lambda *a: op(*a), xs, t)[1] == pytest.approx(expected, rel=1e-12)


SHAPES = [(), (1,), (3,), (2, 1), (2, 3), (1, 3), (0,), (2, 0)]


@pytest.mark.parametrize("op", [op for op in SMOOTH if arity(op) == 2], ids=name)
def test_broadcasting(op):
    """The cotangent of every input has its shape, for every pair of shapes that fit."""
    for a, b in itertools.product(SHAPES, SHAPES):
        try:
            shape = np.broadcast_shapes(a, b)
        except ValueError:
            continue
        xs = points(op, [a, b])
        free = differentiable(op, xs)
        f = as_function(op, xs, {}, free)
        args = [xs[k] for k in free]
        out, pullback = vjp(f, *args)
        assert np.shape(out) == shape
        cts = pullback(np.ones(shape))
        assert [np.shape(c) for c in cts] == [np.shape(x) for x in args]
        v = [np.ones(np.shape(x)) for x in args]
        _, tangent = jvp(f, args, v)
        assert np.shape(tangent) == shape
        assert sum(np.sum(c) for c in cts) == pytest.approx(np.sum(tangent), rel=1e-10)


@pytest.mark.parametrize("op", [op for op in SMOOTH if op.name != "float_power"], ids=name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (3,), (0,)])
def test_dtypes_are_kept(op, dtype, shape):
    xs = points(op, [shape] * arity(op), dtype=dtype)
    free = differentiable(op, xs)
    f = as_function(op, xs, {}, free)
    args = [xs[k] for k in free]
    out, pullback = vjp(f, *args)
    assert np.asarray(out).dtype == dtype
    assert [np.asarray(c).dtype for c in pullback(np.ones(shape, dtype)[()])] == [dtype] * len(args)
    assert np.asarray(jvp(f, args, [np.ones(shape, dtype)[()]] * len(args))[1]).dtype == dtype


NAN, INF, LOG2 = np.nan, np.inf, math.log(2)
SPECIAL = {  # at NaN, inf, -inf, 0 and -0, for operations that NumPy has no function for
    "reciprocal": (NAN, 0.0, -0.0, INF, -INF),
    "stop_gradient": (NAN, INF, -INF, 0.0, -0.0),
    "alias": (NAN, INF, -INF, 0.0, -0.0),
    "indicator": (1.0, 1.0, 1.0, 0.0, 0.0),
    "phase": (NAN, 1.0, -1.0, 0.0, 0.0),
    "rounded": (NAN, INF, -INF, 0.0, -0.0),
    "rect": (0.0, 0.0, 0.0, 1.0, 1.0),
    "relu": (NAN, INF, 0.0, 0.0, 0.0),
    "leaky_relu": (NAN, INF, -INF, 0.0, -0.0),
    "angle": (NAN, 0.0, math.pi, 0.0, math.pi),
    "log_at_least": (NAN, INF, NAN, -100.0, -100.0),
    "sigmoid": (NAN, 1.0, 0.0, 0.5, 0.5),
    "softplus": (NAN, INF, 0.0, LOG2, LOG2),
    "log_sigmoid": (NAN, -0.0, -INF, -LOG2, -LOG2),
    "silu": (NAN, INF, NAN, 0.0, -0.0),
    "erf": (NAN, 1.0, -1.0, 0.0, -0.0),
    "erfc": (NAN, 0.0, 2.0, 1.0, 1.0),
    "gammaln": (NAN, INF, -INF, INF, INF),
    "digamma": (NAN, INF, NAN, -INF, INF),
    "polygamma": (NAN, 0.0, INF, INF, INF),
    "gelu": (NAN, INF, NAN, 0.0, -0.0),
}


def reference(op):
    """NumPy's function of the same name, which knows nothing of ours."""
    return next((f for f in op.numpy if isinstance(f, np.ufunc)), None)


@pytest.mark.parametrize("op", [op for op in ELEMENTWISE if arity(op) == 1 and not takes_integers(op)], ids=name)
def test_special_values(op):
    """NaN, infinities and signed zeros give what NumPy gives, and a NaN derivative is no exception."""
    with np.errstate(all="ignore"):
        for k, x in enumerate(map(np.float64, (NAN, INF, -INF, 0.0, -0.0))):
            expected = np.float64(reference(op)(x)) if reference(op) else SPECIAL[op.name][k]
            np.testing.assert_equal(np.float64(op(x)), expected)
            if op.flows(0):
                out, pullback = vjp(op, x)
                np.testing.assert_equal(np.float64(out), expected)
                assert np.shape(pullback(np.float64(1.0))[0]) == ()


SAMPLES = {  # at points inside of the domain, from mathematics alone
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "log_sigmoid": lambda x: -mpmath.log(1 + mpmath.exp(-x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "gelu": lambda x: x * mpmath.ncdf(x),
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x: x if x > 0 else x * mpmath.mpf(0.01),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "gammaln": mpmath.loggamma,
    "digamma": mpmath.digamma,
    "polygamma": lambda x: mpmath.polygamma(1, x),
    "log_at_least": lambda x: max(mpmath.log(x), -100),
    "reciprocal": lambda x: 1 / x,
}


@pytest.mark.parametrize("function", SAMPLES)
def test_values_are_those_of_mathematics(function):
    op = REGISTRY[function]
    for seed in range(5):
        (x,) = points(op, [()], seed)
        assert op(x) == pytest.approx(float(SAMPLES[function](mpmath.mpf(float(x)))), rel=1e-13)


QUIET = (
    "sigmoid",
    "softplus",
    "log_sigmoid",
    "silu",
    "relu",
    "leaky_relu",
    "tanh",
    "abs",
    "arctan",
    "erf",
    "gelu",
    "rect",
)


@pytest.mark.parametrize("op", [REGISTRY[n] for n in QUIET], ids=name)
@pytest.mark.parametrize("x", [-1e308, -1e4, -1e-300, 0.0, 1e-300, 1e4, 1e308])
def test_no_overflow(op, x):
    with warnings.catch_warnings(), np.errstate(over="raise", invalid="raise", divide="raise"):
        warnings.simplefilter("error")
        with (
            np.errstate(over="ignore")
            if op.name in ("gelu", "tanh", "arctan", "erf", "silu") and abs(x) > 1e200
            else np.errstate()
        ):
            out, pullback = vjp(op, np.float64(x))
            assert not np.isnan(out)
            assert not np.isnan(pullback(np.float64(1.0))[0])


@pytest.mark.parametrize("function", ["logsumexp", "softmax", "log_softmax"])
def test_stable_reductions(function):
    op = REGISTRY[function]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for x in ([1e4, -1e4, 0.0], [-1e308, -1e308], [0.0, -1e4]):
            out, pullback = vjp(lambda v: op(v, axis=(-1,)), np.array(x))
            assert np.isfinite(out).all()
            assert np.isfinite(pullback(np.ones(np.shape(out)))[0]).all()
    with np.errstate(all="ignore"):
        out, pullback = vjp(lambda v: REGISTRY["logsumexp"](v, axis=(-1,)), np.array([-np.inf, 0.0]))
        assert out == 0
        np.testing.assert_array_equal(pullback(1.0)[0], [0.0, 1.0])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("function", ["logsumexp", "softmax", "log_softmax"])
def test_stable_reductions_of_integers(function, dtype):
    """The differences of integers wrap around in their own dtype; the value and the opened body subtract in floating point."""
    low, high = (0, 1) if dtype is bool else (max(np.iinfo(dtype).min, -1000), min(np.iinfo(dtype).max, 1000))
    x = np.array([low, high, high - 1 if dtype is not bool else 0], dtype)

    def f(v):
        return REGISTRY[function](v, axis=(-1,))

    expected = f(x.astype(float))
    for found in (f(x), cr.jit(f)(x)):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("op", ELEMENTWISE, ids=name)
def test_range_holds_every_value(op):
    low, high = op.range
    for seed in range(20):
        value = op(*points(op, [()] * arity(op), seed))
        assert low <= float(value) <= high


@pytest.mark.parametrize("op", [op for op in OPS if op.body is not None], ids=name)
def test_opening_changes_nothing(op):
    """The body has the value and the derivative of the whole."""
    cases = op.examples or [([()] * (arity(op) if isinstance(op, (Elementwise, Composite)) else 1), {})]
    for shapes, params in cases:
        xs = points(op, shapes, seed=3)
        _, result = opened(op.body, xs, params)
        whole = op(*xs, **params)
        assert isinstance(result, Handle)
        if op.name not in ("reduce_max", "reduce_min"):
            np.testing.assert_allclose(result.value, whole, rtol=1e-12, atol=1e-14)
        ct = np.random.default_rng(0).standard_normal(np.shape(whole))[()]
        free = differentiable(op, xs)
        mine, theirs = (vjp(with_free(g, xs, params, free), *(xs[k] for k in free))[1](ct) for g in (op, op.body))
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("op", [op for op in OPS if isinstance(op, Linear)], ids=name)
def test_linear_operations_are_linear(op):
    for shapes, params in op.examples:
        xs = points(op, shapes)
        free = differentiable(op, xs)
        others = points(op, shapes, seed=1)
        for moved in [free] if op.joint else [[k] for k in free]:

            def apply(vs, moved=moved):
                return op(*[vs[j] if j in moved else x for j, x in enumerate(xs)], **params)

            mixed = apply([3 * x - 2 * y for x, y in zip(xs, others, strict=True)])
            np.testing.assert_allclose(mixed, 3 * apply(xs) - 2 * apply(others), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("op", "at", "expected"), [
    ("relu", (0.0,), (0.0,)),
    ("abs", (0.0,), (0.0,)),
    ("maximum", (2.0, 2.0), (0.5, 0.5)),
    ("minimum", (2.0, 2.0), (0.5, 0.5)),
    ("leaky_relu", (0.0,), (0.01,)),
])  # fmt: skip
def test_subgradients(op, at, expected):
    assert vjp(REGISTRY[op], *at)[1](1.0) == expected


def test_ties_share_equally():
    out, pullback = vjp(lambda x: REGISTRY["reduce_max"](x, axis=(-1,)), np.array([1.0, 5.0, 5.0]))
    np.testing.assert_array_equal(pullback(1.0)[0], [0, 0.5, 0.5])
    assert leaf(out).value == 5


def test_product_through_zeros():
    x = np.array([2.0, 0.0, 3.0])
    assert vjp(lambda v: REGISTRY["prod"](v, axis=(-1,)), x)[1](1.0)[0].tolist() == [0, 6, 0]
    x = np.array([2.0, 0.0, 0.0])
    assert vjp(lambda v: REGISTRY["prod"](v, axis=(-1,)), x)[1](1.0)[0].tolist() == [0, 0, 0]


# ---- subclasses of the kinds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "given"),
    [
        (Elementwise, "{0} * {0}", (lambda x: x * x, (lambda x, y: 2 * x,))),
        (Linear, "3 * {0}", (lambda x: 3 * x, (lambda ct, x: 3 * ct,))),
        (Composite, "{0} * {0}", (lambda x: x * x,)),
    ],
    ids=["elementwise", "linear", "composite"],
)
def test_a_subclass_of_a_kind_behaves_as_the_kind(kind, text, given):
    """Values, both modes to second order, batches, and compiled."""

    class Mine(kind):
        pass

    op = Mine("mine", *given, text=text, scalar=text)
    x = np.array([1.0, 2.0, 3.0])
    slope = (2 * x) if kind is not Linear else np.full(3, 3.0)
    check_grads(op, (x,), order=2)
    np.testing.assert_array_equal(vjp(op, x)[1](np.ones(3))[0], slope)
    np.testing.assert_array_equal(cr.vmap(cr.grad(op))(x), slope)
    np.testing.assert_array_equal(cr.jit(lambda v: vjp(op, v)[1](np.ones(3))[0])(x), slope)
    assert cr.code(op, 2.0).function(2.0) == (op(2.0), slope[1])


def test_an_operation_of_no_kind_says_so():
    op = Operation("nameless", lambda x: x)
    with pytest.raises(cr.DerivativeError, match="no derivative rule"):
        cr.grad(op)(1.0)
    with pytest.raises(cr.DerivativeError, match="no derivative rule"):
        jvp(op, (1.0,), (1.0,))
