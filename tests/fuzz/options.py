"""NumPy's functions, ufuncs and methods with their options, found by walking NumPy's own signatures.

On traced arrays a call gives NumPy's value, dtype and shape, leaves NumPy's values in what it writes to, and has the
derivative that differences have; or it is refused. A call that NumPy rejects is rejected.
"""

from __future__ import annotations

import inspect
import itertools
import warnings
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import chainrule as cr
from chainrule.trace.functions import FUNCTIONS
from chainrule.trace.functions.signatures import METHODS, UFUNC_METHODS, signature_of
from chainrule.trace.tree import flatten

from .harness import AGREED, Wrong

H = 1e-6


@dataclass(frozen=True)
class Case:
    """An expression in `x`, `y`, ... and `np`; each input is (name, shape, dtype, what its entries are like, traced)."""

    code: str
    inputs: tuple[tuple[str, tuple[int, ...], str, str, bool], ...]


# ---- inputs --------------------------------------------------------------------------------------------------


def entries(name: str, shape: tuple[int, ...], dtype: str, like: str) -> Any:
    """The entries of an input, the same every time."""
    rng = np.random.default_rng(zlib.crc32(f"{name} {shape} {like}".encode()))
    kind = np.dtype(dtype).kind
    if kind == "b":
        return (rng.uniform(size=shape) > 0.4)[()]
    if kind in "iu":
        return rng.integers(0 if kind == "u" else -3, 5, shape).astype(dtype)[()]
    x = np.asarray(rng.uniform(0.1, 0.9, shape) if like == "positive" else rng.uniform(-2, 2, shape))
    if like == "ties":
        x = np.round(x)
    if like in ("nan", "inf", "-0.0") and x.size:
        x.flat[rng.integers(x.size)] = float(like)
    if kind == "c":
        x = x + 1j * rng.uniform(-1, 1, shape)
    return x.astype(dtype)[()]


def evaluated(case: Case, values: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The value of the expression, and every array that it names, as it is afterwards."""
    scope = {"np": np, "cr": cr, **values}
    value = eval(case.code, scope)
    return value, {k: scope[k] for k in sorted(scope) if k not in ("np", "cr") and not k.startswith("__")}


def judge(case: Case) -> str:
    """Whether chainrule does what NumPy does."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _judge(case)


def _judge(case: Case) -> str:
    given = {name: entries(name, shape, dtype, like) for name, shape, dtype, like, _ in case.inputs}
    moving = [name for name, _, _, _, traced in case.inputs if traced]
    dtypes = {name: np.dtype(dtype) for name, _, dtype, _, _ in case.inputs}

    def program(*leaves: Any) -> Any:
        values = {k: np.copy(v)[()] for k, v in given.items()}
        for name, leaf in zip(moving, leaves, strict=True):
            exact = dtypes[name].kind in "iub"
            values[name] = leaf.astype(dtypes[name]) if exact else leaf
        return evaluated(case, values)

    primals = [given[n].astype(float) if dtypes[n].kind in "iub" else given[n] for n in moving]
    complaint = None
    try:
        expected = program(*(np.copy(p)[()] for p in primals))
    except Exception as error:
        complaint = error
    try:
        found, pullback = cr.vjp(program, *primals)
    except cr.ChainruleError:
        if complaint is not None:
            return AGREED
        raise
    except Exception as error:
        if complaint is not None and isinstance(error, _family(complaint)):
            return AGREED
        raise Wrong(f"{case.code}: {type(error).__name__}: {error} (NumPy: {complaint!r})") from error
    if isinstance(complaint, (AttributeError, ZeroDivisionError)) or "both were provided" in str(complaint):
        # a scalar has fewer methods, 0 / 0 is NaN here, and out= and dtype= of concatenate go together
        return AGREED
    if complaint is not None:
        raise Wrong(f"{case.code}: NumPy raises {complaint!r}, chainrule answers {found[0]!r}")
    _same(case, found, expected)
    if all(dtypes[n] in (np.dtype(float), np.dtype(complex)) for n in moving):
        _derivative(case, program, primals, found, pullback)
    return AGREED


def _family(error: Exception) -> tuple[type, ...]:
    return tuple(k for k in (TypeError, ValueError, IndexError, AttributeError, RuntimeError) if isinstance(error, k))


def _same(case: Case, found: Any, expected: Any) -> None:
    mine, my_tree = flatten(found)
    theirs, their_tree = flatten(expected)
    if repr(my_tree) != repr(their_tree):
        raise Wrong(f"{case.code}: NumPy gives {expected}, chainrule {found}".replace("\n", " "))
    for k, (a, e) in enumerate(zip(mine, theirs, strict=True)):
        a, e = np.asarray(a), np.asarray(e)
        if a.shape != e.shape or a.dtype != e.dtype:
            raise Wrong(f"{case.code}: NumPy gives {e.dtype}{e.shape}, chainrule {a.dtype}{a.shape}")
        if "np.empty_like" in case.code and k == 0:
            continue  # what it holds is nobody's promise
        exact = e.dtype.kind not in "fc"
        tolerance = 0 if exact else 20 * float(np.finfo(e.dtype).eps)
        if e.dtype.kind == "c":  # products of complex infinities depend on the order of the sum
            finite = np.isfinite(e)
            if np.any(np.isfinite(a) != finite):
                raise Wrong(f"{case.code}: NumPy gives {e.tolist()}, chainrule {a.tolist()}")
            a, e = a[finite], e[finite]
        if not np.allclose(a, e, rtol=tolerance, atol=tolerance, equal_nan=not exact):
            raise Wrong(f"{case.code}: NumPy gives {e.tolist()}, chainrule {a.tolist()}")


def _flowing(tree: Any) -> list[Any]:
    return [np.asarray(x) for x in flatten(tree)[0] if np.asarray(x).dtype.kind in "fc"]


def _derivative(case: Case, program: Any, primals: list[Any], found: Any, pullback: Any) -> None:
    """Forward mode against differences, reverse mode against forward mode; only where the program is smooth."""
    rng = np.random.default_rng(1)

    def like(x: Any) -> Any:
        v = rng.uniform(0.5, 1.5, np.shape(x))
        return (v + 1j * rng.uniform(0.5, 1.5, np.shape(x)) if np.iscomplexobj(x) else v)[()]

    directions = [like(p) for p in primals]
    _, tangents = cr.jvp(program, primals, directions)
    mine = _flowing(tangents)
    outs = _flowing(found)
    if [t.dtype for t in mine if t.dtype.kind in "fc"] != [o.dtype for o in outs]:
        raise Wrong(f"{case.code}: the tangent's dtype is not the value's")
    leaves, tree = flatten(found)
    cts = [like(x) if np.asarray(x).dtype.kind in "fc" else np.zeros(np.shape(x)) for x in leaves]
    back = pullback(tree.build(iter(cts)))
    there = sum(
        np.sum(c * t)
        for c, t, x in zip(cts, flatten(tangents)[0], leaves, strict=True)
        if np.asarray(x).dtype.kind in "fc"
    )
    here = sum(np.sum(b * v) for b, v in zip(back, directions, strict=True))
    size = sum(np.sum(np.abs(b * v)) for b, v in zip(back, directions, strict=True))
    single = (
        any(o.dtype.itemsize < (16 if o.dtype.kind == "c" else 8) for o in outs)
        or "np.float32" in case.code
        or "f4" in case.code
    )
    if (
        np.isfinite(there)
        and np.isfinite(here)
        and abs(np.real(there - here)) > (1e-5 if single else 1e-8) * (1 + size)
    ):
        raise Wrong(f"{case.code}: reverse mode gives {here}, forward mode {there}")
    try:
        ahead, behind = (
            _flowing(program(*(np.asarray(p + s * H * v)[()] for p, v in zip(primals, directions, strict=True))))
            for s in (1, -1)
        )
    except Exception:
        return  # a neighbouring point is outside of the domain
    finite = all(np.all(np.isfinite(entries(*i[:4]))) for i in case.inputs)
    here = _flowing(program(*(np.copy(p)[()] for p in primals)))
    if not [a.shape for a in ahead] == [b.shape for b in behind] == [o.shape for o in here]:
        return
    for t, a, b, o in zip(mine, ahead, behind, here, strict=True):
        forward, backward = (a - o) / H, (o - b) / H
        smooth = (np.abs(forward) < 1e3) & (np.abs(forward - backward) < 1e-3 * (1 + np.abs(forward)))
        smooth &= (o != 0) | ("copysign" not in case.code)  # its kink at 0 lies along a line
        smooth &= np.all(smooth) | (
            "linalg.qr" not in case.code
        )  # where LAPACK does not reflect, a column changes its sign
        smooth &= o.dtype in (np.dtype(float), np.dtype(complex))
        smooth &= ~np.isnan(t) | (finite & (o != 0))  # at infinity, and where a root is zero, a slope may be NaN
        wrong = smooth & ~(np.abs(t - (forward + backward) / 2) <= 1e-4 * (1 + np.abs(forward)))
        if np.any(wrong):
            raise Wrong(
                f"{case.code}: forward mode gives {t!r}, differences {(forward + backward) / 2!r}".replace("\n", " ")
            )


# ---- values for parameters, by their names -------------------------------------------------------------------

FIRST = ("a", "A", "x", "arr", "array", "ary", "m", "z", "val", "filt", "element", "f", "x1", "a1", "ar1", "prototype", "p", "M", "func")  # fmt: skip
NEEDED = {  # what has no default
    **dict.fromkeys(FIRST, "x"),
    **dict.fromkeys(("b", "x2", "y", "a2", "ar2", "v", "values", "vals", "other", "B", "test_elements", "val"), "y"),
    **dict.fromkeys(("arrays", "tup", "arys", "args", "xi", "operands", "arrays_and_dtypes", "seq_of_zeros"), "[x, y]"),
    "v": "x", "shape": "(-1,)", "new_shape": "(3, 4)", "indices": "[0, 1]", "indices_or_sections": "1", "condition": "x > 0",
    "condlist": "[x > 0]", "choicelist": "[x]", "reps": "2", "repeats": "2", "shift": "1", "source": "0", "destination": "-1",
    "axis1": "0", "axis2": "-1", "pad_width": "1", "kth": "0", "q": "0.3", "fill_value": "2.5", "obj": "0", "ind": "[0]",
    "n": "2", "axis": "0", "axes": "[0]", "func1d": "np.sum", "dst": "x", "src": "y", "keys": "x", "deg": "1",
    "bins": "np.array([0.0, 1.0])", "xp": "np.array([0.0, 1.0, 2.0])", "fp": "np.array([0.0, 3.0, 1.0])", "start": "x", "stop": "y",
    "weights": "y", "sample": "x", "u": "x", "choices": "[x, y]", "mask": "x > 0", "from_": "x", "to": "float", "N": "3",
    "funclist": "[np.sin]", "multi_index": "[0]", "dims": "(3,)", "dtype": "float", "value": "2.5", "S": "x",
}  # fmt: skip
MASK = "np.arange(np.size(x)).reshape(np.shape(x)) % 3 != 1"
OPTIONS = {  # values that are not the default
    "axis": ("0", "-1", "1", "(0, -1)", "(0,)", "()", "None", "5", "(0, 0)"),
    "axes": ("1", "(0, 1)", "(1, 0)", "([0], [0])", "None"),
    "axis1": ("1", "-1"), "axis2": ("0", "-1"), "axisa": ("0",), "axisb": ("0",), "axisc": ("0",),
    "dtype": ("np.float32", "float", "'f4'", "int", "complex", "bool", "np.int8", "None"),
    "out": ("OUT", "PLAIN", "None"),
    "keepdims": ("True", "False", "1"),
    "where": (MASK, f"({MASK}) & (x > 0)", "False", "True", "x > 0"),
    "initial": ("0.0", "2.5", "-1", "None", "np.float32(0.1)"),
    "ddof": ("1", "0.5", "0"), "mean": ("np.mean(x, keepdims=True)", "0.25", "np.mean(x, axis=0, keepdims=True)"),
    "correction": ("1", "0"),
    "order": ("'C'", "'F'", "'A'", "'K'"), "subok": ("True", "False"), "copy": ("True", "False", "None"),
    "casting": ("'no'", "'equiv'", "'safe'", "'same_kind'", "'unsafe'"),
    "mode": ("'clip'", "'wrap'", "'raise'", "'edge'", "'reflect'", "'full'"),
    "constant_values": ("0", "2.5", "(1.0, 2.0)"), "width": ("1",),
    "kind": ("'stable'", "'quicksort'", "'heapsort'", "'mergesort'", "'nonsense'"), "stable": ("True", "False"),
    "decimals": ("1", "-1", "2"), "nan": ("9.0",), "posinf": ("9.0",), "neginf": ("-9.0",),
    "a_min": ("0.5", "x - 0.1", "np.array(-0.5)"), "a_max": ("0.7", "0.1", "x + 0.1"), "min": ("0.5", "x - 0.1"), "max": ("0.7", "0.1"),
    "sparse": ("True", "False"), "indexing": ("'ij'", "'xy'", "'nonsense'"),
    "offset": ("1", "-1", "2"), "k": ("1", "-1", "2"), "n": ("1", "2", "0", "3"), "ord": ("1", "2", "3", "0", "np.inf", "-np.inf", "'fro'", "'nuc'", "-1"),
    "weights": ("y", "x", "None", "np.array([1.0, 2.0, 3.0])"), "returned": ("True",), "overwrite_input": ("True",), "optimize": ("True", "'greedy'"),
    "prepend": ("0.0", "x"), "append": ("1.0",), "deg": ("True",), "shape": ("(4,)", "3", "(2, 3)"), "device": ("'cpu'", "'gpu'"),
    "side": ("'right'",), "sorter": ("np.array([1, 0, 2])",), "equal_nan": ("True",), "rtol": ("1.0",), "atol": ("1.0",), "right": ("True",),
    "min_": ("0.2",), "signature": ("'dd->d'", "'ff->f'", "'d->d'"), "x": ("y",), "y": ("x",), "ndmin": ("3",), "like": ("x",),
    "size": ("1",), "precision": ("2",), "indices": ("[1]", "[0, -1]", "[7]", "[-1, 5]"), "repeats": ("[1, 2]", "3", "0"), "shift": ("2", "-1", "(1, 1)", "7"),
    "reps": ("(2, 1)", "(1, 2, 1)", "0"), "indices_or_sections": ("2", "3", "[1]", "[1, 2, 5]", "[-1]"), "pad_width": ("(1, 2)", "((1, 0), (0, 2))", "0"),
}  # fmt: skip
BASES = {  # positional arguments, where the names of the parameters do not tell
    "np.where": ("x > 0", "x", "y"), "np.einsum": ("'ij,ij->i'", "x", "y"), "np.take_along_axis": ("x", "np.zeros((1, 1), int)"),
    "np.broadcast_to": ("x", "(4, *np.shape(x))"), "np.split": ("x", "1"), "np.full_like": ("x", "2.5"), "np.clip": ("x",),
    "np.searchsorted": ("np.sort(np.ravel(x))", "y"), "np.digitize": ("x", "np.array([0.0, 1.0])"), "np.can_cast": ("x.dtype", "float"),
    "np.meshgrid": ("np.ravel(x)", "np.ravel(y)"), "np.column_stack": ("[x, y]",), "np.atleast_1d": ("x",), "np.atleast_2d": ("x",), "np.atleast_3d": ("x",),
    "np.matmul": ("x", "y.T"), "np.dot": ("x", "y.T"), "np.cross": ("x", "y"), "np.result_type": ("x", "y"), "np.common_type": ("x", "y"),
    "np.broadcast_arrays": ("x", "y"), "np.reshape": ("x", "(-1,)"), "np.tensordot": ("x", "y"), "np.vecdot": ("x", "y"),
    "x.reshape": ("-1",), "x.transpose": (), "x.dot": ("y.T",), "x.astype": ("np.float32",), "x.item": (), "x.searchsorted": ("0.5",),
    "np.array": ("[x, y]",), "np.asarray": ("[x, y]",), "np.asanyarray": ("[x, y]",), "np.ascontiguousarray": ("[x, y]",),
}  # fmt: skip
LIKED = ("np.array", "np.asarray", "np.asanyarray", "np.ascontiguousarray")  # they reach traced code by like= alone


def named_functions() -> dict[str, Any]:
    """Every function that NumPy hands to traced arrays, by its name."""
    found: dict[str, Any] = {}
    for prefix, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
        for name in sorted(dir(module)):
            f = getattr(module, name)
            if not name.startswith("_") and hasattr(f, "_implementation") and f not in found.values():
                found[f"{prefix}.{name}"] = f
    return found


def named_ufuncs() -> dict[str, np.ufunc]:
    """Every ufunc of NumPy, by its name."""
    found: dict[str, np.ufunc] = {}
    for name in sorted(dir(np)):
        f = getattr(np, name)
        if isinstance(f, np.ufunc) and f not in found.values():
            found[f"np.{name}"] = f
    return found


UFUNC_OPTIONS = ("out", "where", "casting", "order", "dtype", "subok", "signature")
Call = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # name, base, options by position, options by name


def _call(name: str, signature: inspect.Signature, bound_to: bool) -> Call:
    """A call of a function: its name, the arguments that it needs, and its options by position and by name."""
    base: list[str] = []
    positional: list[str] = []
    keyword: list[str] = []
    for p in signature.parameters.values():
        if p.kind is p.VAR_KEYWORD:
            keyword += UFUNC_OPTIONS if name == "np.clip" else ()
        elif p.kind is p.VAR_POSITIONAL:
            base.append("x")
        elif p.default is p.empty:
            base.append(NEEDED.get(p.name, "x"))
        else:
            keyword.append(p.name)
            if p.kind is not p.KEYWORD_ONLY:
                positional.append(p.name)
    if any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
        positional = []
    base = list(BASES.get(name, base))
    return name, tuple(base), tuple(positional), tuple(keyword)


def every_call() -> list[Call]:
    """Every function, ufunc, method of ufuncs, and method of arrays."""
    calls = [_call(n, signature_of(f), False) for n, f in named_functions().items()]
    calls += [_call(n, signature_of(getattr(np, n[3:])), False) for n in LIKED]
    for name, ufunc in named_ufuncs().items():
        base = BASES.get(name, ("x", "y")[: ufunc.nin])
        options = UFUNC_OPTIONS if ufunc.signature is None else (*UFUNC_OPTIONS, "axis", "axes", "keepdims")
        calls.append((name, base, ("out",), options))
        for method, signature in UFUNC_METHODS.items():
            calls.append(_call(f"{name}.{method}", inspect.Signature(list(signature.parameters.values())), False))
    for name, (_, signature) in METHODS.items():
        calls.append(_call(f"x.{name}", signature, True))
    missing = [n for n in dir(np.ndarray) if not n.startswith("_") and n not in METHODS]
    calls += [(f"x.{n}", (), (), ()) for n in missing if callable(getattr(np.ndarray, n))]
    return calls


def _default(name: str, option: str) -> str:
    """How a default is written, to reach the options behind it by position."""
    function = {**named_functions(), **{n: getattr(np, n[3:]) for n in LIKED}}.get(name)
    if function is not None:
        parameters = signature_of(function).parameters
    elif name.startswith("x."):
        parameters = METHODS[name[2:]][1].parameters
    elif name.count(".") == 2:
        parameters = UFUNC_METHODS[name.split(".")[-1]].parameters
    else:
        return "None"
    default = parameters[option].default
    return "np._NoValue" if default is np._NoValue else repr(default) if not isinstance(default, type) else "float"


def written(call: Call, options: dict[str, str], by_position: bool = False) -> str:
    """The call as an expression."""
    name, base, positional, _ = call
    arguments = list(base)
    rest = dict(options)
    if by_position and rest and all(o in positional for o in rest):
        last = max(positional.index(o) for o in rest)
        arguments += [rest.pop(o, None) or _default(name, o) for o in positional[: last + 1]]
    if name in LIKED and "like" not in rest:
        rest["like"] = "x"
    return f"{name}({', '.join([*arguments, *(f'{k}={v}' for k, v in rest.items())])})"


def with_out(code: str, inputs: Any, plain: bool) -> str:
    """The call with an array of the right shape and dtype in the place of OUT; of the wrong ones where that is unknown."""
    values = {name: entries(name, shape, dtype, like) for name, shape, dtype, like, _ in inputs}
    shape, dtype = np.shape(values["x"]), np.asarray(values["x"]).dtype
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = eval(code.replace("OUT", "None"), {"np": np, **values})
        shape, dtype = np.shape(result), np.asarray(result).dtype
    except Exception:
        pass
    made = f"np.zeros({shape}, {dtype.name!r})" if plain else f"np.zeros_like(x, shape={shape}, dtype={dtype.name!r})"
    return code.replace("OUT", f"(o := {made})")


def completed(call: Call, options: dict[str, str], by_position: bool, inputs: Any) -> Case:
    """The case of a call."""
    plain = options.get("out") == "PLAIN"
    code = written(call, {k: "OUT" if v == "PLAIN" else v for k, v in options.items()}, by_position)
    return Case(with_out(code, inputs, plain) if "OUT" in code else code, tuple(inputs))


TWO = (("x", (2, 3), "float64", "positive", True), ("y", (2, 3), "float64", "positive", True))
SIGNED = (("x", (3, 3), "float64", "signed", True), ("y", (3, 3), "float64", "signed", False))


def one_option_each() -> list[Case]:
    """Every function with every value of one option, by position and by name; what is not supported, once."""
    cases: dict[Case, None] = {}
    for call, inputs in itertools.product(every_call(), (TWO, SIGNED)):
        cases[completed(call, {}, False, inputs)] = None
        for option in dict.fromkeys(call[3] if _supported(call) else ()):
            for value in OPTIONS.get(option, ("None",)):
                for by_position in (False, True) if inputs is TWO else (False,):
                    cases[completed(call, {option: value}, by_position, inputs)] = None
    return list(cases)


# ---- random calls --------------------------------------------------------------------------------------------

SHAPES = ((2, 3), (3, 3), (3,), (), (1,), (0,), (2, 0), (2, 1, 3), (4,))
DTYPES = (
    "float64",
    "float64",
    "float64",
    "complex128",
    "float32",
    "int64",
    "int8",
    "uint8",
    "bool",
    "float16",
    "complex64",
)


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    call = draw(st.sampled_from(SUPPORTED))
    shape = draw(st.sampled_from(SHAPES))
    inputs = []
    for name in ("x", "y"):
        dtype = draw(st.sampled_from(DTYPES))
        like = draw(st.sampled_from(("positive", "signed", "ties", "nan", "inf", "-0.0")))
        own = shape if name == "x" or draw(st.booleans()) else draw(st.sampled_from(SHAPES))
        inputs.append((name, own, dtype, like, name == "x" or draw(st.booleans())))
    chosen = draw(st.lists(st.sampled_from(call[3]), max_size=3, unique=True)) if call[3] else []
    options = {o: draw(st.sampled_from(OPTIONS.get(o, ("None",)))) for o in chosen}
    return completed(call, options, draw(st.booleans()), inputs)


def _supported(call: Call) -> bool:
    name = call[0]
    function = named_functions().get(name)
    if function is not None:
        return function in FUNCTIONS
    if name in named_ufuncs():
        return cr.ops.by_ufunc(named_ufuncs()[name]) is not None
    if name.startswith("np.") and name.count(".") == 2:
        return name in ("np.add.reduce", "np.add.accumulate", "np.add.at", "np.maximum.reduce", "np.multiply.outer")
    return name[2:] in METHODS


SUPPORTED = [c for c in every_call() if _supported(c)]
cases = _cases()
