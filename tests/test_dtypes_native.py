"""Native code and C on every dtype: value and dtype are NumPy's; what C does not have is not printed."""

import ctypes
import shutil
import subprocess
import warnings

import numpy as np
import pytest
from test_operations import OPS

import chainrule as cr
from chainrule.compile.native.c99 import c_source
from chainrule.compile.native.engine import llvm
from chainrule.compile.native.program import NativeProgram
from chainrule.compile.tracing import traced
from chainrule.errors import ChainruleError
from chainrule.ops import Elementwise
from chainrule.ops.shape import cast

pytestmark = pytest.mark.skipif(llvm() is None, reason="llvmlite is not installed")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
DTYPES = ("bool", *INTEGERS, *FLOATS, "complex64", "complex128")
PAIRED = ("bool", "int8", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64", "complex128")
EXACT = ("floor", "ceil", "rint", "trunc", "sign", "abs", "negative", "add", "subtract", "multiply", "divide", "remainder", "floor_divide")  # fmt: skip
ZEROS = (
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "relu",
    "clip",
    "reduce_max",
    "reduce_min",
)  # which zero is larger: NumPy does not say


def edges(dtype):
    """The values at which a dtype shows itself."""
    d = np.dtype(dtype)
    if d.kind == "b":
        return np.array([True, False])
    if d.kind in "iu":
        i = np.iinfo(d)
        return np.array([i.min, i.max, 0, 1, 2, 3, 5, 7, i.max // 2, *((-1, -2, -3) if d.kind == "i" else ())], d)
    if d.kind == "f":
        f = np.finfo(d)
        return np.array(
            [0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, 7, np.inf, -np.inf, np.nan, f.max, -f.max, f.tiny, f.smallest_subnormal, 1e-3], d
        )  # fmt: skip
    return np.array([0, 1, 1j, -1 - 2j, 0.5 + 0.25j, 3 - 1j, np.inf, complex(np.nan, 1)], d)


def difference(got, want, ulps=16, zeros=True, floor=0.0):
    """How a result differs from NumPy's; empty where it does not."""
    a, b = np.asarray(got), np.asarray(want)
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype}{a.shape} instead of {b.dtype}{b.shape}"
    if a.dtype.kind in "biu":
        wrong = a != b
    else:
        info = np.finfo(a.dtype)
        with np.errstate(all="ignore"):
            near = np.abs(a - b) <= ulps * info.eps * np.maximum(np.abs(b), floor) + 4 * float(info.smallest_subnormal)
            wrong = ~((np.isnan(a) & np.isnan(b)) | (a == b) | near)
        if zeros and a.dtype.kind == "f":
            wrong |= (a == 0) & (b == 0) & (np.signbit(a) != np.signbit(b))
    return f"{a[wrong][0]!r} instead of {b[wrong][0]!r} ({np.count_nonzero(wrong)} entries)" if wrong.any() else ""


class Case:
    """One operation on inputs of given dtypes: NumPy's result, and the graph of the call."""

    def __init__(self, function, inputs, label):
        self.inputs, self.label = inputs, label
        self.want = function(*inputs)
        self.graph = traced(function, lambda xs: function(*xs), inputs).graph

    def native(self):
        program = NativeProgram(self.graph)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return program(self.inputs)[0]


def judged(cases, **options):
    """Native code on all cases."""
    for case in cases:
        found = difference(case.native(), case.want, **options)
        assert not found, f"native {case.label}: {found}"


def compiled(cases, folder):
    """The cases that C has, as functions of one library."""
    texts, kept = [], []
    for k, case in enumerate(cases):
        names = [f"x{j}" for j in range(len(case.inputs))]
        try:
            texts.append(c_source(case.graph, f"case{k}", names, ["y"], case.label))
        except ChainruleError:
            continue
        kept.append((f"case{k}", case))
    if not kept:
        return []
    source = folder / "cases.c"
    head = "\n".join(dict.fromkeys(line for t in texts for line in t.splitlines() if line.startswith("#")))
    body = ["\n".join(x for x in t.splitlines() if not x.startswith("#")) for t in texts]
    seen, parts = set(), []
    for text in body:  # helpers stand once
        for part in text.split("\n\n"):
            if part.startswith("static ") and part in seen:
                continue
            seen.add(part)
            parts.append(part)
    source.write_text(head + "\n" + "\n\n".join(parts))
    done = subprocess.run(
        ["gcc", "-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC", "-o", folder / "cases.so", source, "-lm"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, "\n".join(done.stderr.splitlines()[:4])
    library = ctypes.CDLL(str(folder / "cases.so"))
    return [(getattr(library, name), case) for name, case in kept]


def judged_in_c(cases, folder, **options):
    """C on all cases that it has; how many those are."""
    functions = compiled(cases, folder)
    for function, case in functions:
        inputs = [np.ascontiguousarray(x) for x in case.inputs]
        out = np.empty(np.shape(case.want), np.asarray(case.want).dtype)
        function(*(ctypes.c_void_p(a.ctypes.data) for a in (*inputs, out)))
        found = difference(out, case.want, **options)
        assert not found, f"C {case.label}: {found}"
    return len(functions)


def elementwise(op):
    """The operation on the edges of every combination of dtypes."""
    count = len(op.partials)
    conditions = ("bool",) if op.name == "where" else ()
    rest = count - len(conditions)
    combinations = [(d,) for d in DTYPES] if rest == 1 else [(a, b) for a in PAIRED for b in PAIRED]
    for dtypes in combinations:
        grids = [g.ravel() for g in np.meshgrid(*map(edges, dtypes), indexing="ij")]
        inputs = [*(np.resize(edges(c), grids[0].shape) for c in conditions), *grids]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                case = Case(op, inputs, f"{op.name}{(*conditions, *dtypes)}")
            except (TypeError, ValueError):  # NumPy has no such operation
                continue
        yield case


@pytest.mark.parametrize("op", [op for op in OPS if isinstance(op, Elementwise)], ids=lambda op: op.name)
def test_elementwise_operations(op, tmp_path):
    cases = list(elementwise(op))
    options = {"zeros": op.name not in ZEROS, "ulps": 2 if op.name in EXACT else 64}
    judged(cases, **options)
    if shutil.which("gcc"):
        judged_in_c(cases, tmp_path, **options)


def filled(shape, dtype, number):
    """An array of edges and small numbers of a dtype, a different one for each number."""
    rng = np.random.default_rng(number)
    small = rng.integers(0, 4, shape).astype(dtype)
    if number % 2 or not np.size(small):
        return small
    return rng.choice(edges(dtype), shape).astype(dtype)[()]


def structured(op):
    """An operation that is no elementwise one on its examples, in every dtype."""
    for k, (shapes, params) in enumerate(op.examples or [([(2, 3)] * (op.inputs or 1), {})]):
        for dtype in DTYPES:
            for number in range(2):
                inputs = [
                    s if isinstance(s, np.ndarray) else filled(s, dtype, 2 * j + number) for j, s in enumerate(shapes)
                ]
                if any(np.asarray(s).dtype == bool for s in shapes if isinstance(s, np.ndarray)):
                    continue  # a shape that depends on values
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    try:
                        case = Case(lambda *xs, p=params: op(*xs, **p), inputs, f"{op.name} example {k} of {dtype}")
                    except (TypeError, ValueError, np.linalg.LinAlgError):
                        continue
                if not isinstance(case.want, tuple):
                    yield case


STRUCTURED = [op for op in OPS if not isinstance(op, Elementwise)]
INEXACT = (
    "mean",
    "var",
    "std",
    "matmul",
    "einsum",
    "affine",
    "softmax",
    "log_softmax",
    "logsumexp",
    "gelu",
    "silu",
    "class_entropy",
)


@pytest.mark.parametrize("op", STRUCTURED, ids=lambda op: op.name)
def test_other_operations(op, tmp_path):
    cases = list(structured(op))
    options = {"zeros": False, "ulps": 256 if op.name in INEXACT else 16, "floor": float(op.name in INEXACT)}
    judged(cases, **options)
    if shutil.which("gcc"):
        judged_in_c(cases, tmp_path, **options)


@pytest.mark.parametrize("have", DTYPES)
def test_casts(have, tmp_path):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        x = np.concatenate([edges(have), np.array([1e3, 3e9, 1e19, 2.0**31, 2.0**63]).astype(have)])
        if np.dtype(have).kind == "f":
            x = np.concatenate([x, -x])
        cases = [Case(lambda x, d=d: cast(x, dtype=np.dtype(d)), [x], f"{have} as {d}") for d in DTYPES]
    judged(cases)
    if shutil.which("gcc"):
        judged_in_c(cases, tmp_path)


CALLS = {
    "sum": np.sum, "prod": np.prod, "mean": np.mean, "max": np.max, "min": np.min, "sum of rows": lambda a: np.sum(a, axis=0), "largest of rows": lambda a: a.max(axis=1),
    "strided sum": lambda a: np.sum(a[::-1, ::2]), "+ 1": lambda a: a + 1, "* 2.5": lambda a: a * 2.5, "// 2": lambda a: a // 2, "% 3": lambda a: a % 3, "** 2": lambda a: a**2,
    "** 0": lambda a: a**0, "/ 3": lambda a: a / 3, "negative": lambda a: -a, "abs": np.abs, "> 2": lambda a: a > 2, "== 2.5": lambda a: a == 2.5, "< -1": lambda a: a < -1,
    "where": lambda a: np.where(a > 1, a, 2), "where 0.5": lambda a: np.where(a > 1, a, 0.5), "maximum": lambda a: np.maximum(a, 2), "square": np.square, "sqrt": np.sqrt,
    "rows": lambda a: a[np.array([1, -1, 0], np.int8)], "sum of comparisons": lambda a: np.sum(a > 1), "mean of comparisons": lambda a: np.mean(a > 1), "exp": np.exp,
    "as int32": lambda a: a.astype(np.int32), "as float32": lambda a: a.astype(np.float32), "product": lambda a: a @ a.T, "a bool times": lambda a: (a > 1) * a, "sign": np.sign,
    "* np.float32": lambda a: a * np.float32(0.3), "+ np.int64": lambda a: a + np.int64(3), "int8 array": lambda a: a + np.array([1, 2, 3], np.int8), "var": np.var,
    "concatenated": lambda a: np.concatenate([a, a > 1]), "stacked": lambda a: np.stack([a[0], a[1] * 2]), "clip": lambda a: np.clip(a, 1, 3), "ptp": lambda a: a.max() - a.min(),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("call", CALLS)
def test_calls_from_the_outside(call, dtype):
    """`jit` of what a user writes, on every dtype: the value and dtype of the plain call, or a refusal."""
    f = CALLS[call]
    a = filled((2, 3), dtype, 2)
    for x in (a, np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2]):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                want = f(x)
            except (TypeError, ValueError):
                return
            compiled_call = cr.jit(f)
            try:
                for _ in range(2):  # the general call, then the native entry
                    found = difference(compiled_call(x), want, ulps=64, zeros=False)
                    assert not found, found
            except ChainruleError:
                return


@pytest.mark.parametrize("f", [np.max, np.min, np.argmax])
def test_nothing_has_no_largest_entry(f):
    with pytest.raises((ValueError, ChainruleError)):
        cr.jit(lambda a: f(a))(np.zeros(0))
    with pytest.raises((ValueError, ChainruleError)):
        cr.jit(lambda a: f(a, axis=1))(np.zeros((2, 0)))


@pytest.mark.parametrize("index", [3, -4, 127, -128])
def test_an_index_out_of_range_raises(index):
    g = cr.jit(lambda a, i: a[i])
    np.testing.assert_array_equal(g(np.arange(3.0), np.array([2, -3], np.int8)), [2, 0])
    with pytest.raises((IndexError, ChainruleError)):
        g(np.arange(3.0), np.array([0, index], np.int8))
