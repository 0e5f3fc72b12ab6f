"""Plain NumPy code under a transform: the same values, and derivatives that agree with differences."""

import inspect
from collections import Counter

import numpy as np
import pytest
from fuzz.harness import AGREED, Wrong
from fuzz.options import judge, one_option_each

import chainrule as cr
from chainrule.trace.functions import FUNCTIONS, METHODS
from chainrule.trace.functions.dispatch import METHOD_VERSIONS, PLAIN
from chainrule.trace.functions.signatures import NO_VALUE, UFUNC_METHODS, WRITTEN_IN_C, signature_of

A = np.random.default_rng(0).uniform(0.3, 1.5, (3, 4))
B = np.random.default_rng(1).uniform(0.3, 1.5, (4, 3))
V = np.random.default_rng(2).uniform(0.3, 1.5, 4)
W = np.random.default_rng(3).uniform(0.3, 1.5, 3)
S = np.random.default_rng(4).uniform(0.3, 1.5, (3, 3))
T = np.random.default_rng(5).uniform(0.3, 1.5, (2, 3, 4))

CASES = {
    "sum": (lambda a: np.sum(a), A),
    "sum axis": (lambda a: np.sum(a, axis=0), A),
    "sum keepdims": (lambda a: a.sum(axis=(0, 1), keepdims=True), A),
    "mean": (lambda a: a.mean(axis=-1), A),
    "average weights": (lambda a: np.average(a, axis=1, weights=V), A),
    "average traced weights": (lambda v: np.average(A[0], weights=v), V),
    "prod": (lambda a: np.prod(a, axis=1), A),
    "max": (lambda a: np.max(a, axis=1) + a.max(), A),
    "min": (lambda a: a.min(axis=0, keepdims=True), A),
    "var": (lambda a: np.var(a, axis=0, ddof=1), A),
    "std": (lambda a: np.std(a), A),
    "ptp": (lambda a: np.ptp(a, axis=1), A),
    "cumsum": (lambda a: np.cumsum(a, axis=1), A),
    "cumsum flat": (lambda a: np.cumsum(a), A),
    "nansum": (lambda a: np.nansum(a, axis=0), A),
    "median": (lambda v: np.median(v), V),
    "median axis": (lambda a: np.median(a, axis=1), A),
    "sort": (lambda a: np.sort(a, axis=0), A),
    "dot": (lambda a: np.dot(a, B), A),
    "dot vector": (lambda v: np.dot(A, v), V),
    "dot 3d": (lambda t: np.dot(t, B), T),
    "matmul": (lambda a: a @ B @ W, A),
    "inner": (lambda v: np.inner(v, V), V),
    "vdot": (lambda v: np.vdot(v, V), V),
    "outer": (lambda v: np.outer(v, W), V),
    "tensordot": (lambda t: np.tensordot(t, B, axes=([2], [0])), T),
    "tensordot int": (lambda t: np.tensordot(t, A, axes=2), T),
    "einsum": (lambda a: np.einsum("ij,jk", a, B), A),
    "einsum ellipsis": (lambda t: np.einsum("...ij,jk->...ik", t, B), T),
    "einsum trace": (lambda s: np.einsum("ii", s), S),
    "einsum three": (lambda v: np.einsum("i,ij,j->", W, A, v), V),
    "trace": (lambda s: np.trace(s, offset=1), S),
    "diagonal": (lambda s: np.diagonal(s, -1), S),
    "diag": (lambda v: np.diag(v, 1), V),
    "kron": (lambda s: np.kron(s, A), S),
    "cross": (lambda w: np.cross(w, W[::-1]), W),
    "norm": (lambda a: np.linalg.norm(a), A),
    "norm axis": (lambda a: np.linalg.norm(a, axis=1), A),
    "norm 1": (lambda v: np.linalg.norm(v, 1), V),
    "norm inf": (lambda v: np.linalg.norm(v, np.inf), V),
    "norm 3": (lambda v: np.linalg.norm(v, 3), V),
    "reshape": (lambda a: np.reshape(a, (2, -1)) + a.reshape(2, 6), A),
    "ravel": (lambda a: a.ravel() * a.flatten(), A),
    "T": (lambda a: a.T @ a, A),
    "transpose": (lambda t: np.transpose(t, (1, 0, 2)), T),
    "swapaxes": (lambda t: np.swapaxes(t, 0, -1), T),
    "moveaxis": (lambda t: np.moveaxis(t, 0, -1), T),
    "squeeze": (lambda a: np.squeeze(a[None, :, None]), A),
    "expand_dims": (lambda a: np.expand_dims(a, (0, 2)), A),
    "newaxis": (lambda v: v[:, np.newaxis] * v[None], V),
    "broadcast_to": (lambda v: np.broadcast_to(v, (3, 4)) * A, V),
    "concatenate": (lambda a: np.concatenate([a, A[:1], a[:2]]), A),
    "concatenate axis": (lambda a: np.concatenate((a, a), axis=1), A),
    "stack": (lambda v: np.stack([v, 2 * v, V], axis=1), V),
    "stack scalars": (lambda v: np.stack([v[0], v[1] * v[2], 3.0]), V),
    "vstack": (lambda v: np.vstack([v, V]), V),
    "hstack": (lambda v: np.hstack([v, 1 / v]), V),
    "column_stack": (lambda v: np.column_stack([v, v**2]), V),
    "append": (lambda v: np.append(v, 1.0), V),
    "split": (lambda a: np.split(a, 2, axis=1)[1], A),
    "array_split": (lambda v: np.array_split(v, 3)[0], V),
    "tile": (lambda a: np.tile(a, (2, 1, 3)), A),
    "repeat": (lambda a: np.repeat(a, 2, axis=1), A),
    "repeat counts": (lambda w: np.repeat(w, [1, 0, 2]), W),
    "flip": (lambda a: np.flip(a) + a[::-1, ::-1], A),
    "roll": (lambda a: np.roll(a, 2) + np.roll(a, 1, axis=0), A),
    "pad": (lambda a: np.pad(a, ((1, 0), (0, 2))), A),
    "tril": (lambda s: np.tril(s) @ np.triu(s, 1), S),
    "diff": (lambda a: np.diff(a, axis=0), A),
    "diff 2": (lambda v: np.diff(v, n=2), V),
    "take": (lambda a: np.take(a, [0, 0, 2], axis=0), A),
    "take flat": (lambda a: a.take([5, 1]), A),
    "take_along_axis": (lambda a: np.take_along_axis(a, np.argsort(A, axis=1), axis=1), A),
    "meshgrid": (lambda v: np.meshgrid(v, W)[0] * np.meshgrid(v, W)[1], V),
    "where": (lambda a: np.where(a > 0.9, a**2, np.sin(a)), A),
    "where numbers": (lambda a: np.where(a - 0.9, a, 0.0), A),
    "clip": (lambda a: np.clip(a, 0.5, 1.2), A),
    "clip one": (lambda a: a.clip(min=0.8), A),
    "nan_to_num": (lambda a: np.nan_to_num(a), A),
    "sinc": (lambda v: np.sinc(v), V),
    "copy": (lambda a: a.copy() * np.copy(a), A),
    "full_like": (lambda v: np.full_like(V, 1.0) * v, V),
    "add.reduce": (lambda a: np.add.reduce(a), A),
    "multiply.outer": (lambda v: np.multiply.outer(v, W), V),
    "maximum.reduce": (lambda a: np.maximum.reduce(a, axis=1), A),
    "power": (lambda a: a**2.5 + 2.0**a + a**a + a**-1, A),
    "remainder": (lambda a: (a * 3) % 0.7, A[:1] * 0.1),
    "divmod": (lambda v: divmod(v, 2.0)[1], V),
    "abs": (lambda a: abs(a - 1) + np.abs(a), A),
    "index ints": (lambda a: a[1, 2] * a[-1, 0], A),
    "index slice": (lambda a: a[1:, ::2], A),
    "index list": (lambda a: a[[0, 2]], A),
    "index arrays": (lambda a: a[np.array([0, 1, 1]), np.array([1, 1, 2])], A),
    "index mask": (lambda a: a[A > 0.9], A),
    "index traced mask": (lambda a: a[a > 0.9], A),
    "index ellipsis": (lambda t: t[..., 1], T),
    "index newaxis": (lambda t: t[:, None, 1], T),
    "index argmax": (lambda v: v[np.argmax(v)] * v[v.argmin()], V),
    "iterate": (lambda a: sum(row[0] * row[1] for row in a), A),
    "unpack": (lambda w: (lambda x, y, z: x * y - z)(*w), W),
    "len": (lambda v: v.sum() / len(v), V),
    "astype": (lambda a: a.astype(np.float64), A),
    "softmax": (lambda a: cr.softmax(a, axis=0) * A, A),
    "logsumexp": (lambda a: cr.logsumexp(a, axis=1), A),
    "erf": (lambda a: cr.erf(a), A),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    f, x = CASES[name]
    out, pullback = cr.vjp(f, x)
    expected = f(x)
    np.testing.assert_allclose(out, expected, rtol=1e-13)
    assert np.shape(out) == np.shape(expected)
    cr.check_grads(f, (x,), order=2)
    assert np.shape(pullback(np.ones(np.shape(out)))[0]) == np.shape(x)


def test_scipy_ufuncs_by_name():
    special = pytest.importorskip("scipy.special")
    f = lambda x: special.expit(x) * special.gammaln(x) + special.erf(x) + special.psi(x)
    cr.check_grads(f, (1.3,), order=2)


@pytest.mark.parametrize("f", [np.linalg.cross, np.fft.fft, np.percentile])
def test_unsupported_functions_say_so(f):
    with pytest.raises(cr.TraceError, match=f.__name__):
        cr.grad(lambda x: np.sum(f(x, 1)))(S)


def test_unsupported_ufunc_says_so():
    with pytest.raises(cr.TraceError, match="nextafter"):
        cr.grad(lambda x: np.nextafter(x, 1.0))(2.0)


def test_questions_are_plain():
    seen = []

    def f(x):
        seen.extend(
            [np.shape(x), np.ndim(x), np.size(x), x.shape, len(x), np.allclose(x, x), np.any(x > 5), np.all(x > 0)]
        )
        return np.sum(x)

    cr.grad(f)(V)
    assert seen == [(4,), 1, 4, (4,), 4, True, False, True]


# ---- options -------------------------------------------------------------------------------------------------


def test_every_option_of_every_function_is_numpys_or_refused():
    """One option at a time, by position and by name, on every function, ufunc and method that NumPy has."""
    tally, wrong = Counter(), []
    for case in one_option_each():
        try:
            tally[judge(case)] += 1
        except cr.ChainruleError:
            tally["refused"] += 1
        except Wrong as error:
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong[:20])
    assert tally[AGREED] > 3 * tally["refused"] > 0


@pytest.mark.parametrize(("call", "expected"), [
    ("np.var(x, 0, None, None, 1)", 1.0),
    ("x.max(0, None, True)", [3.0]),
    ("np.take(x, [-1], mode='clip')", [1.0]),
    ("np.nan_to_num(x / 0, posinf=9.0)", [9.0, 9.0, 9.0]),
    ("np.cumsum(x + 0.5, dtype=int)", [1, 3, 6]),
    ("np.meshgrid(x, x, sparse=True)[0]", [[1.0, 2.0, 3.0]]),
    ("np.median(x * np.array([1.0, np.nan, 1.0]))", np.nan),
    ("np.sum(x, where=x > 1.5, initial=10.0)", 15.0),
    ("np.split(x, 3)[1]", [2.0]),
    ("np.vdot(1j * x, x)", -14j),
])  # fmt: skip
def test_options_that_were_once_swallowed(call, expected):
    x = np.array([1.0, 2.0, 3.0])
    with np.errstate(all="ignore"):
        out, _ = cr.vjp(lambda x: eval(call, {"np": np, "x": x}), x)
    np.testing.assert_array_equal(out, expected)


def test_an_option_that_is_not_handled_is_named():
    refusals = {
        "np.reshape(x, (3, 1), order='F')": "np.reshape of a traced value does not take order='F'",
        "x.astype(float, order='F')": "x.astype of a traced value does not take order='F'",
        "np.add(x, x, order='F')": "np.add of a traced value does not take order='F'",
        "np.matmul(x, x, axes=[(0,), (0,), ()])": "does not take axes=",
        "np.sum(x, out=np.zeros(()))": "plain NumPy array",
        "np.pad(x, 1, stat_length=2)": "does not take stat_length=2",
    }
    for call, message in refusals.items():
        with pytest.raises(cr.ChainruleError) as error:
            cr.grad(lambda x, call=call: np.sum(eval(call, {"np": np, "x": x})))(V)
        assert message in str(error.value)


def test_out_is_written_by_functions_methods_and_ufuncs():
    for call in (
        "np.sum(a, axis=0, out=o)",
        "a.sum(0, None, o)",
        "np.add.reduce(a, out=o)",
        "np.max(a, 0, o) * 0 + a.sum(0, out=o)",
    ):

        def f(a, call=call):
            o = np.zeros_like(a[0])
            eval(call, {"np": np, "a": a, "o": o})
            return o * o

        np.testing.assert_array_equal(cr.vjp(f, A)[0], A.sum(0) ** 2)
        cr.check_grads(f, (A,), order=1)


def test_where_keeps_masked_points_out_of_the_derivative():
    f = lambda x: np.sum(np.log(x, out=np.zeros_like(x), where=x > 0) + np.sqrt(x, out=np.ones_like(x), where=x > 0))
    np.testing.assert_array_equal(cr.grad(f)(np.array([0.0, 1.0])), [0.0, 1.5])


# ---- signatures ----------------------------------------------------------------------------------------------

NEWEST = pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.4.0", reason="written for NumPy 2.4")


@NEWEST
@pytest.mark.parametrize("name", WRITTEN_IN_C)
def test_signatures_of_functions_in_c_are_numpys(name):
    assert WRITTEN_IN_C[name] == inspect.signature(getattr(np, name))


@NEWEST
@pytest.mark.parametrize("name", [n for n in METHODS if n not in ("all", "any")])
def test_signatures_of_methods_are_numpys(name):
    """Where NumPy's method ends in **kwargs, they are those of the function that it calls."""
    given = list(inspect.signature(getattr(np.ndarray, name)).parameters.values())[1:]
    ours = METHODS[name][1].parameters
    hidden = {
        "max": "_amax",
        "min": "_amin",
        "sum": "_sum",
        "prod": "_prod",
        "mean": "_mean",
        "var": "_var",
        "std": "_std",
    }
    if name in hidden:
        theirs = inspect.signature(getattr(np._core._methods, hidden[name])).parameters
        assert {n: p.default for n, p in ours.items()} == {n: p.default for n, p in list(theirs.items())[1:]}
    else:
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        assert [p.default for p in given] == [p.default for p in ours.values()]
        assert [p.kind in positional for p in given] == [p.kind in positional for p in ours.values()]


@NEWEST
@pytest.mark.parametrize("name", ["reduce", "accumulate", "reduceat"])
def test_signatures_of_methods_of_ufuncs_are_numpys(name):
    theirs = [p for p in inspect.signature(getattr(np.add, name)).parameters.values() if p.kind is not p.VAR_KEYWORD]
    assert theirs == list(UFUNC_METHODS[name].parameters.values())[: len(theirs)]


def versions():
    for function, version in FUNCTIONS.items():
        if function not in PLAIN:
            yield pytest.param(signature_of(function), version, id=function.__name__)
    for name, version in METHOD_VERSIONS.items():
        yield pytest.param(METHODS[name][1], version, id=f"x.{name}")


@pytest.mark.parametrize(("signature", "version"), list(versions()))
def test_versions_take_parameters_of_numpys_at_numpys_defaults(signature, version):
    theirs, ours = signature.parameters, dict(inspect.signature(version).parameters)
    if next(iter(ours)) not in theirs:
        ours.pop(next(iter(ours)))  # the array whose method it is
    spread = any(p.kind is p.VAR_KEYWORD for p in theirs.values())
    for name, p in ours.items():
        if name not in theirs:
            assert spread, f"NumPy has no parameter {name}"
        elif p.default is not p.empty:
            same = {repr(p.default), repr(theirs[name].default)}
            left_out = {
                repr(NO_VALUE),
                "None",
                "False",
                "True",
            }  # how NumPy says, in one way or another, that nothing was given
            assert len(same) == 1 or same <= left_out
