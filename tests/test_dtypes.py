"""Every dtype through every function of NumPy: the value and the dtype are NumPy's, or the call is refused.

What is generated at random in `fuzz/options.py` is here a table: each function, ufunc and operator on each dtype, on
Python numbers beside each dtype, on scalars and empty arrays, on ties, NaN, infinities and negative zeros.
"""

import copy
import itertools
import pickle
import warnings

import numpy as np
import pytest
from fuzz.harness import Wrong
from fuzz.options import SUPPORTED, Case, judge, named_ufuncs, written
from test_operations import ELEMENTWISE, arity, takes_integers

import chainrule as cr

DTYPES = [np.dtype(c).name for c in "?bhilBHILefdFD"]
NUMBERS = ("True", "2", "-1", "2.5", "1j")
X = np.array([1.0, 2.0, 3.0])


def all_agree(cases):
    """Judge cases; what chainrule refuses is right, and so is what it does as NumPy does."""
    wrong = []
    for case in cases:
        try:
            judge(case)
        except cr.ChainruleError:
            pass
        except Wrong as error:
            wrong.append(str(error))
    assert not wrong, f"{len(wrong)} of {len(cases)} are wrong:\n" + "\n".join(wrong[:20])


def inputs(dtype, other=None, shape=(2, 3), like="signed", traced=True):
    return ("x", shape, dtype, like, True), ("y", shape, other or dtype, like, traced)


UFUNCS = [(name, u) for name, u in named_ufuncs().items() if u.signature is None and cr.ops.by_ufunc(u) is not None]
BINARY = [name for name, u in UFUNCS if u.nin == 2]


@pytest.mark.parametrize("name", [name for name, u in UFUNCS if u.nin == 1])
def test_ufuncs_of_one_array(name):
    likes = ("positive", "signed", "ties", "nan", "inf", "-0.0")
    all_agree([Case(f"{name}(x)", inputs(d, like=like)) for d, like in itertools.product(DTYPES, likes)])


@pytest.mark.parametrize("name", BINARY)
def test_ufuncs_of_two_arrays(name):
    pairs = itertools.product(DTYPES, DTYPES, (True, False))
    all_agree([Case(f"{name}(x, y)", inputs(a, b, traced=t)) for a, b, t in pairs])
    likes = itertools.product(DTYPES, ("ties", "nan", "inf", "-0.0"))
    all_agree([Case(f"{name}(x, y)", inputs(d, like=like)) for d, like in likes])


@pytest.mark.parametrize("name", BINARY)
def test_python_numbers_take_the_dtype_of_what_they_meet(name):
    calls = [call for n in NUMBERS for call in (f"{name}(x, {n})", f"{name}({n}, x)")]
    all_agree([Case(call, inputs(d, like="positive")) for call, d in itertools.product(calls, DTYPES)])


OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>", "<", "<=", "==", "!=", ">", ">=", "@")


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators(operator):
    """`& | ^` are bits on integers, and logical on booleans; the rest is what the ufunc is."""
    calls = [f"x {operator} y", *(f"x {operator} {n}" for n in NUMBERS), *(f"{n} {operator} x" for n in NUMBERS)]
    all_agree([Case(call, inputs(d)) for call, d in itertools.product(calls, DTYPES)])
    pairs = itertools.product(("bool", "int8", "uint8", "int64", "float32"), repeat=2)
    all_agree([Case(f"x {operator} y", inputs(a, b, traced=False)) for a, b in pairs])
    if operator[0] not in "<=!>" or operator in ("<<", ">>"):
        code = f"[y := x.copy(), y.__i{NAMES[operator]}__(3), y][0]"
        all_agree([Case(code, inputs(d, like="positive")) for d in DTYPES])


NAMES = {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "**": "pow", "&": "and", "|": "or", "^": "xor",
    "<<": "lshift", ">>": "rshift", "@": "matmul",
}  # fmt: skip


@pytest.mark.parametrize(
    "code",
    [
        "-x",
        "+x",
        "abs(x)",
        "~x",
        "divmod(x, y)",
        "divmod(2, x)",
        "x == None",
        "2 in x",
        "x.real",
        "x.imag",
        "x.T",
        "x.conj()",
    ],
)
def test_other_operators(code):
    all_agree([Case(code, inputs(d, like=like)) for d, like in itertools.product(DTYPES, ("signed", "ties"))])


@pytest.mark.parametrize("call", [c for c in SUPPORTED if c[0] not in named_ufuncs()], ids=lambda c: c[0])
def test_functions(call):
    code = written(call, {})
    shapes, likes = ((2, 3), (3,), (), (0,), (0, 3)), ("signed", "ties", "nan", "inf", "-0.0")
    all_agree([Case(code, inputs(d, shape=s)) for d, s in itertools.product(DTYPES, shapes)])
    all_agree(
        [Case(code, inputs(d, like=k)) for d, k in itertools.product(("float64", "float32", "complex128"), likes)]
    )


# ---- complex numbers -----------------------------------------------------------------------------------------

COMPLEX_OPS = [
    op
    for op in cr.ops.REGISTRY.values()
    if op in ELEMENTWISE and not takes_integers(op) and op.public and op.name != "stop_gradient"
]


@pytest.mark.parametrize("op", COMPLEX_OPS, ids=lambda op: op.name)
def test_operations_on_complex_numbers(op):
    """Differences along every direction of the plane, holomorphic or not; or the operation is refused."""
    names = ("x", "y", "z")[: arity(op)]
    given = [(n, (3,), "complex128", like, True) for like in ("signed",) for n in names]
    mixed = [*given[:-1], (names[-1], (3,), "float64", "positive", True)]
    code = f"cr.ops.REGISTRY[{op.name!r}]({', '.join(names)})"
    all_agree([Case(code, tuple(given)), Case(code, tuple(mixed))])


REDUCTIONS = (
    "sum",
    "prod",
    "mean",
    "var",
    "std",
    "max",
    "min",
    "cumsum",
    "sort",
    "ptp",
    "median",
    "average",
    "nansum",
    "linalg.norm",
)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_of_complex_numbers(name):
    calls = [f"np.{name}(x)"]
    if name != "linalg.norm":
        calls += [f"np.{name}(x, axis=0)", f"np.{name}(x, axis=-1)"]
    all_agree([Case(c, (("x", (3, 3), "complex128", "signed", True),)) for c in calls])
    if name in ("var", "std"):
        all_agree(
            [Case(f"np.{name}(x, ddof=1, axis=0, keepdims=True)", (("x", (3, 2), "complex128", "signed", True),))]
        )


def test_arccosh_on_both_sides_of_its_cut():
    for f in ("arccosh", "arccos", "arcsin", "arctanh", "arcsinh", "log", "sqrt"):
        for z in (-2 + 0.5j, -2 - 0.5j, 0.3 + 0.1j, 2 - 0.2j):
            g, h = getattr(np, f), 1e-6
            slope = cr.grad(g, holomorphic=True)(z)
            assert slope == pytest.approx((g(z + h) - g(z - h)) / (2 * h), rel=1e-7)


# ---- what may not enter --------------------------------------------------------------------------------------

with warnings.catch_warnings():  # NumPy advises against matrices
    warnings.simplefilter("ignore")
    MATRIX = np.matrix([[1.0, 2.0, 3.0]])
STRANGERS = {
    "masked": np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
    "matrix": MATRIX,
    "subclass": X.view(type("Mine", (np.ndarray,), {})),
    "records": np.rec.array([(1.0, 2)] * 3, dtype=[("a", float), ("b", int)]),
    "structured": np.zeros(3, [("a", float)]),
    "objects": np.array([1.0, 2.0, 3.0], object),
    "dates": np.array(["2020-01-01"] * 3, "M8[D]"),
    "durations": np.array([1, 2, 3], "m8[D]"),
    "text": np.array(["a", "b", "c"]),
    "long doubles": np.array([1, 2, 3], np.longdouble),
    "long complex": np.array([1, 2, 3], np.clongdouble),
}


def written_into(v, c):
    y = v * 1
    y[...] = c
    return np.sum(y)


ENTRANCES = {
    "argument of grad": lambda c: cr.grad(lambda v: np.sum(v * v))(c),
    "argument of jvp": lambda c: cr.jvp(lambda v: np.sum(v), (c,), (c,)),
    "tangent": lambda c: cr.jvp(lambda v: np.sum(v), (X,), (c,)),
    "cotangent": lambda c: cr.vjp(lambda v: v * v, X)[1](c),
    "argument of vmap": lambda c: cr.vmap(lambda v: np.sum(v))(c),
    "argument of jit": lambda c: cr.jit(lambda v: np.sum(v))(c),
    "constant of jit": lambda c: cr.jit(lambda v: np.sum(v * c))(X),
    "operator": lambda c: cr.grad(lambda v: np.sum(v * c))(X),
    "operator, reflected": lambda c: cr.grad(lambda v: np.sum(c * v))(X),
    "ufunc": lambda c: cr.grad(lambda v: np.sum(np.multiply(v, c)))(X),
    "function": lambda c: cr.grad(lambda v: np.sum(np.dot(v, c)))(X),
    "choice": lambda c: cr.grad(lambda v: np.sum(np.where(v > 0, v, c)))(X),
    "list": lambda c: cr.grad(lambda v: np.sum(np.concatenate([v, c])))(X),
    "nested list": lambda c: cr.grad(lambda v: np.sum(v * [c, c, c]))(X),
    "assignment": lambda c: cr.grad(lambda v: written_into(v, c))(X),
    "index": lambda c: cr.grad(lambda v: np.sum(v[c]))(X),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("stranger", STRANGERS)
def test_arrays_with_other_rules_are_refused(stranger, entrance):
    with pytest.raises(cr.ChainruleError):
        ENTRANCES[entrance](STRANGERS[stranger])


@pytest.mark.parametrize("dtype", ["O", "g", "G", "M8[D]", "U3", [("a", float)]])
def test_dtypes_with_no_derivative_are_refused(dtype):
    for make in (lambda v: v.astype(dtype), lambda v: np.zeros_like(v, dtype), lambda v: np.sum(v, dtype=dtype)):
        with pytest.raises(cr.ChainruleError):
            cr.grad(lambda v, make=make: np.sum(make(v) * v))(X)


@pytest.mark.parametrize("entrance", [e for e in ENTRANCES if e != "index"])
def test_foreign_byte_order_is_the_same_number(entrance):
    native, foreign = (flat(ENTRANCES[entrance](X.astype(order + "f8"))) for order in "<>")
    assert len(native) == len(foreign)
    for a, b in zip(native, foreign, strict=True):
        np.testing.assert_array_equal(a, b)


def flat(result):
    return [np.asarray(x) for x in (result if isinstance(result, tuple) else (result,))]


def test_copies_keep_the_derivative_and_pickles_are_refused():
    for copied in (copy.copy, copy.deepcopy):
        np.testing.assert_array_equal(cr.grad(lambda v, c=copied: np.sum(c(v) ** 2))(X), 2 * X)
    with pytest.raises(cr.TraceError, match="pickling"):
        cr.grad(lambda v: pickle.loads(pickle.dumps(v)).sum())(X)


def test_a_copy_is_another_array():
    def f(v):
        w = copy.deepcopy(v)
        w[0] = 0.0
        return np.sum(v * v) + np.sum(w)

    np.testing.assert_array_equal(cr.grad(f)(X), [2.0, 5.0, 7.0])


@pytest.mark.parametrize("code", ["x.cumprod()", "x.tobytes()", "x.flags", "x.strides", "x.partition(1)"])
def test_what_arrays_have_and_traced_ones_have_not(code):
    with pytest.raises(cr.ChainruleError, match="not supported"):
        cr.grad(lambda x: eval(code))(X)
    with pytest.raises(AttributeError, match="nonsense"):
        cr.grad(lambda x: x.nonsense)(X)
