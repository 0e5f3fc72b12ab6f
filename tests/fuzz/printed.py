"""Printed programs: random functions and formulas, printed in a language and run at other points than the one they were printed at.

At the point of printing, value and gradient are those of eager code. At any other point they are too, or the program's own check
fires. Python programs raise where a number is not finite, which is no silent answer either.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import re
import shutil
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

import chainrule as cr

from .harness import AGREED, Wrong

LANGUAGES = [
    *["python"] * 6,
    *(["c"] * 2 if shutil.which("gcc") else []),
    *(["torch"] * 3 if importlib.util.find_spec("torch") else []),
    *(["jax"] if importlib.util.find_spec("jax") else []),
]
FIRED = "this program was printed for"
N = 3  # entries of a vector


@dataclass(frozen=True)
class Case:
    """A function `f` of the parameters in `kinds` (or a formula), the points (the first is the one of printing), and the language."""

    source: str
    kinds: tuple[str, ...]  # of the parameters: scalar, vector, matrix, tree, or static
    points: tuple[tuple[Any, ...], ...]
    language: str
    dtype: str = "float64"


# ---- drawing ---------------------------------------------------------------------------------------------------

NUMBERS = st.sampled_from([-2.3, -1.0, -0.7, 0.0, 0.4, 1.0, 1.6, 2.5, 3.1])
SCALARS = [
    "{s} + {s2}", "{s} * {s2}", "{s} - {s2}", "{s} / (1.5 + {s2} ** 2)", "np.sin({s})", "np.exp(-{s} * {s})", "np.tanh({s})", "{s} ** 2",
    "-{s}", "abs({s})", "np.maximum({s}, {s2})", "np.where({s} > {s2}, {s}, 0.5 * {s2})", "cr.sigmoid({s})", "cr.relu({s})", "{s} * 2 + 1",
    "np.sqrt(1 + {s} ** 2)", "np.log1p({s} ** 2)", "np.floor({s}) * {s2}", "{s} % 1.3", "{s} // 0.7 * {s2}", "np.sign({s}) * {s2}", "({s} > 0.3) * {s2}",
    "cr.leaky_relu({s}, slope=0.2)", "cr.softplus({s})", "np.minimum({s}, 1.0) ** 3", "np.hypot({s} + 4, {s2})", "np.arctan2({s}, 3 + {s2} ** 2)",
    "np.sum({v})", "np.mean({v})", "{v} @ {v2}", "{v}[0]", "{v}[-1] * {s}", "np.max({v})", "np.min({v}) * {s}", "np.prod({v})", "np.var({v})",
    "cr.logsumexp({v})", "np.sum({m})", "np.trace({m})", "({m} @ {v})[1]", "np.mean({m} * {v})", "{s} * K", "np.sum(({v} - DATA) ** 2)",
    "np.linalg.norm({v} + 4)", "np.sum({v}[ROWS] * {v2}[ROWS[::-1]])", "np.dot({v}, DATA)", "np.sum(np.diff({v}) ** 2)", "np.median({v})",
    "np.min({v}) - np.max({v2})", "{s} - ({s2} > 0.3)", "np.argmax({v}) * {s} - np.argmin({v2})", "{v} @ np.arange(3)", "(1 - ({v} > 0.3)) @ {v2}",
]  # fmt: skip
VECTORS = [
    "{v} + {s}", "{v} * {v2}", "{v} - {v2}", "np.tanh({v})", "np.sin({v}) * {s}", "np.where({v} > {s}, {v}, 0.5 * {v2})", "np.sort({v})", "{v}[::-1]",
    "np.cumsum({v})", "np.concatenate([{v}[1:], {v2}[:1]])", "np.clip({v}, -1, {s})", "{v}[np.argsort({v2})]", "np.maximum({v}, {s})", "{v} * DATA",
    "cr.softmax({v})", "{m} @ {v}", "{v} @ {m}", "np.sum({m}, axis=0)", "np.max({m}, axis=1)", "{m}[1]", "{m}[:, 0] * {s}", "np.roll({v}, 1)", "abs({v}) ** 1.5",
    "{v} / (2 + {v2} ** 2)", "np.stack([{s}, {s2}, {s} * {s2}])", "{v}.astype(int) * {v2}", "np.round({v}) * {s}", "{v} // 0.6", "np.exp(-{v} ** 2)",
    "cr.relu({v})", "np.mean({m}, axis=0) * {v}", "{v} % 1.1", "np.take({v}, [2, 0, 0])", "np.where(MASK, {v}, {s})", "np.repeat({s}, 3) * {v}",
    "cr.stop_gradient({v}) * {v2}", "np.outer({v}, {v2})[1]", "np.einsum('ij,j->i', {m}, {v})", "np.full_like({v}, 0.5) * {v2}", "LONG[4:7] * {v} + np.sum(LONG)",
    "({v} + 4) ** np.arange(3)", "-(({v} > {s}) * {v2})", "({v} > {s}) * -{v2}", "{v} - ({v2} > 0.3)", "np.einsum('i,i->i', {v}, np.arange(3))",
]  # fmt: skip
INPLACE = [
    "{n} = {v}.copy()\n    {n}[1] = {s}", "{n} = {v} * 1.0\n    {n}[1:] += {v2}[:-1]", "{n} = np.zeros_like({v})\n    {n}[:2] = {v2}[1:] * {s}",
    "{n} = {v} + 0.0\n    {n} *= {v2}", "{n} = {v} * 2\n    {n}[{v} > 0.5] = 0.25", "{n} = {v} - 1\n    {n}[ROWS] += {s}",
]  # fmt: skip
SCALAR_QUESTIONS = [
    "if {s} > 0.45:\n        {n} = {s} ** 2\n    else:\n        {n} = -{s2}", "{n} = {s} if {s2} < {s} else {s2} * 3",
    "if np.any({v} > 1.2):\n        {n} = np.sum({v})\n    else:\n        {n} = {v}[0] * {s}", "{n} = {s} * 2 if np.all({v} < 2.9) else {v}[1]",
    "k = int(np.argmax({v}))\n    {n} = {v}[k] * (k + 1)", "{n} = {v}[np.argmax({v})] * {s}", "{n} = {s} * int(np.floor({s2}))",
    "{n} = {s}\n    while {n} < 2.0 and {n} > -2.0:\n        {n} = {n} * 1.7 + 0.2", "{n} = {s}\n    for _ in range(min(3, abs(int({s2})))):\n        {n} = np.sin({n} + {s})",
    "{n} = np.sum({v}[{v} > 0.2]) * {s}", "mask = {v} > {s}\n    {n} = np.mean({v2}[mask]) if np.any(mask) else {s}",
    "{n} = np.sum({v}[np.nonzero({v2} > 0.3)[0]])", "{n} = {s} * np.count_nonzero({v} > 0.5)", "{n} = {s} * {{'True': 2.0, 'False': -1.0}}[str({s2} > 0.5)]", "q = {s2} > 0.5\n    {n} = {s} * {{'True': 2.0, 'False': -1.0}}[f'{{q}}']",
    "{n} = {s} * len({v})", "{n} = np.sum({v}) / {v}.shape[0]", "{n} = max({s}, {s2}) * min({s}, 1.0)", "{n} = sorted([{s}, {s2}])[0] * {s}",
    "{n} = np.sum({v}[np.where({v2} > 0.1)])", "{n} = sum(e * {s} for e in {v} if e > 0)", "{n} = TABLE[int({s}) % 3] * {s2}",
    "{n} = 0.0 * {s}\n    for e in {v}:\n        {n} = {n} + e * e if e > 0.1 else {n} - e", "{n} = {s} * (2.0 if bool({s2} > 1.1) else 5.0)",
    "{n} = {s} * np.searchsorted(DATA, {s2})", "assert {s} == {s}\n    {n} = {s} * 1.5",
]  # fmt: skip
STATIC = [
    "{n} = {s} ** n", "{n} = {s} * (n // 2) + n % 3", "{n} = {s} if flag else {s2}", "{n} = {v}[n % 3] * n", "for _ in range(n):\n        {n} = np.sin({s})\n    {n} = {s} * n",
    "{n} = {{'a': {s}, 'b': {s2}}}['a' if flag else 'b']",
]  # fmt: skip
LOOPS = [
    "{n} = cr.fori_loop(0, 3, lambda i, c: c * 0.8 + np.sin({s}) * i, {s2})", "{n} = cr.cond({s} > 0.4, lambda x: x * x, lambda x: -x, {s2})",
    "{n} = cr.while_loop(lambda c: c < 4.0, lambda c: c * 1.5 + 1.0 + c * c, {s})", "{n} = cr.scan(lambda c, x: (c + x * {s}, c * x), {s2}, {v})[0]",
    "{n} = np.sum(cr.scan(lambda c, x: (c + x, c * x), {s}, {v})[1])", "{n} = cr.grad(lambda t: np.sin(t) * {s})({s2})",
]  # fmt: skip
FORMULAS = [
    "x*y + x", "(x + y)*z + x", "sigma(x*y) + z", "max(x, y) * z", "1[x > y]*x + z^2", "g = x*y; g + sin(g)", "x^2 + 3*y", "2*x + 3*y", "x", "x/(1 + y^2)",
    "abs(x - y)*z", "log(1 + exp(x))*y", "x^3 - y", "relu(x)*y + softplus(z)", "exp(-x^2) + tanh(y)*z", "x - x", "y", "min(x, y, z)", "lambda1 = x + y; lambda1*z",
    "clip(x, -1, y + 4)", "mod(x, 1.5)*y", "sign(x)*y", "where(x > 0, y, z)", "leaky_relu(x)*y", "β = x*y; β^2 + z", "int1 = x*2; int1*y", "(x + 4)^y", "floor(x)*y",
]  # fmt: skip
HEADER = (
    "K = 1.75\nDATA = np.array([0.3, 0.9, 1.4])\nMASK = np.array([True, False, True])\nROWS = np.array([0, 2, 2])\n"
    "LONG = np.linspace(0, 1, 20)\nTABLE = [1.5, -0.5, 2.0]\n\n\n"
)


@st.composite
def _functions(draw: Any) -> Case:
    kinds = draw(st.lists(st.sampled_from(["scalar", "vector", "matrix", "tree"]), min_size=1, max_size=3))
    names = {"scalar": [], "vector": [], "matrix": []}
    parameters: list[str] = []
    for k, kind in enumerate(kinds):
        p = "xyz"[k]
        parameters.append(p)
        if kind == "tree":
            names["scalar"].append(f"{p}['b']")
            names["vector"].append(f"{p}['w']")
        else:
            names[kind].append(p)
    lines: list[str] = []
    language = draw(st.sampled_from(LANGUAGES))
    if not names["scalar"]:
        given = (names["vector"] + [f"{m}[0]" for m in names["matrix"]])[0]
        lines.append(f"a = np.sum({given} * 0.7)")
        names["scalar"].append("a")
    if not names["vector"]:
        lines.append("w = DATA * {}".format(names["scalar"][0]))
        names["vector"].append("w")
    if not names["matrix"]:
        lines.append("A = np.outer({}, DATA)".format(names["vector"][0]))
        names["matrix"].append("A")
    static = draw(st.booleans())
    sources = [
        SCALARS,
        SCALARS,
        VECTORS,
        VECTORS,
        INPLACE,
        SCALAR_QUESTIONS,
        SCALAR_QUESTIONS,
        *([STATIC] if static else []),
    ]
    if language == "python":
        sources.append(LOOPS)
    for k in range(draw(st.integers(1, 7))):
        table = draw(st.sampled_from(sources))
        template = draw(st.sampled_from(table))
        n = f"v{k}"
        pick = lambda kind: draw(st.sampled_from(names[kind][-4:]))
        text = template.format(
            s=pick("scalar"), s2=pick("scalar"), v=pick("vector"), v2=pick("vector"), m=pick("matrix"), n=n
        )
        lines.append(text if table not in (SCALARS, VECTORS) else f"{n} = {text}")
        names["vector" if table in (VECTORS, INPLACE) else "scalar"].append(n)
    last = lines[-1].split(" = ")[0].split("\n")[0]
    ending = draw(st.sampled_from(["np.sum({0})", "np.sum({0} * {1})", "{0}", "np.sum({0}) * {1}"]))
    last = f"v{k}"
    result = ending.format(last, draw(st.sampled_from(names["scalar"])))
    head = ", ".join([*parameters, *(["n", "flag"] if static else [])])
    source = HEADER + f"def f({head}):\n    " + "\n    ".join(lines) + f"\n    return {result}\n"
    statics = (draw(st.integers(1, 3)), draw(st.booleans())) if static else ()

    def value(kind: str) -> Any:
        if kind == "scalar":
            return draw(NUMBERS)
        if kind == "vector":
            return tuple(draw(NUMBERS) for _ in range(N))
        if kind == "matrix":
            return tuple(tuple(draw(NUMBERS) for _ in range(N)) for _ in range(N))
        return {"w": tuple(draw(NUMBERS) for _ in range(N)), "b": draw(NUMBERS)}

    points = tuple((*(value(k) for k in kinds), *statics) for _ in range(3))
    dtype = draw(st.sampled_from(["float64", "float64", "float64", "float32"]))
    return Case(source, (*kinds, *("static" for _ in statics)), points, language, dtype)


@st.composite
def _formulas(draw: Any) -> Case:
    text = draw(st.sampled_from(FORMULAS))
    if draw(st.booleans()):
        text = f"h = {draw(st.sampled_from(FORMULAS[:3]))}; h*({draw(st.sampled_from(['x', 'h', 'sin(h)', 'x + y']))})"
    kind = draw(st.sampled_from(["scalar", "scalar", "vector"]))
    names = cr.parse(text).variables

    def value() -> Any:
        return draw(NUMBERS) if kind == "scalar" else tuple(draw(NUMBERS) for _ in range(N))

    points = tuple(tuple(value() for _ in names) for _ in range(3))
    return Case(text, tuple(kind for _ in names), points, draw(st.sampled_from(LANGUAGES)))


cases = st.one_of(_functions(), _functions(), _functions(), _formulas())


# ---- judging ---------------------------------------------------------------------------------------------------


def _built(kind: str, value: Any, dtype: str) -> Any:
    if kind == "static":
        return value
    if kind == "tree":
        return {
            "w": np.array(value["w"], dtype),
            "b": np.dtype(dtype).type(value["b"]) if dtype != "float64" else value["b"],
        }
    if kind == "scalar":
        return value if dtype == "float64" else np.dtype(dtype).type(value)
    return np.array(value, dtype)


def _leaves(args: tuple[Any, ...], kinds: tuple[str, ...]) -> list[Any]:
    found: list[Any] = []
    for a, kind in zip(args, kinds, strict=True):
        if kind == "tree":
            found += [a["w"], a["b"]]
        elif kind != "static":
            found.append(a)
    return found


def _eager(f: Any, args: tuple[Any, ...], kinds: tuple[str, ...]) -> tuple[Any, list[Any]]:
    free = [k for k, kind in enumerate(kinds) if kind != "static"]

    def g(*some: Any) -> Any:
        given = list(args)
        for k, a in zip(free, some, strict=True):
            given[k] = a
        return f(*given)

    value, pullback = cr.vjp(g, *(args[k] for k in free))
    if not np.shape(value) and not isinstance(value, float):
        value = value if hasattr(value, "dtype") else np.float64(value)
    found = pullback(np.ones(np.shape(value), np.asarray(value).dtype)[()])
    return value, _leaves(tuple(found), tuple(kinds[k] for k in free))


def _function(case: Case) -> Any:
    if not case.source.startswith("K ="):
        return cr.parse(case.source)
    namespace: dict[str, Any] = {"np": np, "cr": cr}
    exec(compile(case.source, "<printed>", "exec"), namespace)
    return namespace["f"]


def _run_python(program: Any, leaves: list[Any], value: Any) -> tuple[Any, list[Any]]:
    seed = [np.ones(np.shape(value), np.asarray(value).dtype)] if np.shape(value) else []
    out, gradients = program.function(*leaves, *seed)
    return out, list(gradients) if len(leaves) > 1 else [gradients]


def _run_jax(program: Any, leaves: list[Any], value: Any) -> tuple[Any, list[Any]]:
    import jax

    with jax.enable_x64(True):
        out, gradients = _run_python(program, [jax.numpy.asarray(x) for x in leaves], value)
        return np.asarray(out), [np.asarray(g) for g in gradients]


def _run_torch(program: Any, leaves: list[Any], value: Any) -> tuple[Any, list[Any]]:
    import torch

    namespace: dict[str, Any] = {}
    exec(str(program), namespace)
    given = [torch.tensor(np.asarray(x), requires_grad=True) for x in leaves]
    out = namespace[program.name].apply(*given)
    if out.requires_grad:
        out.backward(torch.ones_like(out))
    return out.detach().numpy(), [
        np.zeros(np.shape(x), np.asarray(x).dtype) if t.grad is None else t.grad.numpy()
        for x, t in zip(leaves, given, strict=True)
    ]


@functools.lru_cache(maxsize=4)
def _library(text: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "f.c", Path(folder) / "f.so"
        source.write_text(text)
        done = subprocess.run(
            ["gcc", "-std=c99", "-O0", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", made, source, "-lm"],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise Wrong(f"{done.stderr}\n{text}")
        return ctypes.CDLL(str(made))


def _run_c(program: Any, leaves: list[Any], value: Any) -> tuple[Any, list[Any]]:
    function = getattr(_library(str(program)), program.name)
    dtype = np.asarray(value).dtype
    given = [np.ascontiguousarray(x) for x in leaves]
    seed = [np.ones(np.shape(value), dtype)] if np.shape(value) else []
    out, gradients = np.empty(np.shape(value), dtype), [np.empty(np.shape(x), np.asarray(x).dtype) for x in leaves]
    status = function(*(ctypes.c_void_p(a.ctypes.data) for a in (*given, *seed, out, *gradients)))
    if program.function_returns_status and status:
        if not all(np.isnan(a).all() for a in (out, *gradients)):
            raise Wrong("a condition does not hold, and not every result is NaN")
        raise ValueError(FIRED)
    return out, gradients


RUN = {"python": _run_python, "jax": _run_jax, "torch": _run_torch, "c": _run_c}


def _near(a: Any, b: Any, dtype: str) -> bool:
    loose = 2e-3 if dtype == "float32" else 1e-7
    return np.shape(a) == np.shape(b) and bool(
        np.allclose(np.asarray(a, float), np.asarray(b, float), loose, loose, equal_nan=True)
    )


def _asks_for_a_sum(program: str, language: str) -> bool:
    """Whether a program checks a fraction, which another library may round differently."""
    return language != "python" and bool(
        re.search(rf"{FIRED} .*( = -?\d+\.\d+| as it was)", program.replace("it was printed for", FIRED))
    )


def judge(case: Case) -> str:
    """Every point: the same value and gradient as eager code, or the program says that it was printed for another one."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        f = _function(case)
        points = [tuple(_built(k, v, case.dtype) for k, v in zip(case.kinds, p, strict=True)) for p in case.points]
        program = cr.code(f, *points[0], lang=case.language)
        program.function_returns_status = "return status;" in program
        printed_for: Any = (
            None  # the value there: a program's results have its dtype, whatever another branch would give
        )
        for number, args in enumerate(points):
            try:
                want, gradients = _eager(f, args, case.kinds)
            except (cr.ChainruleError, AssertionError, ZeroDivisionError, OverflowError):
                continue
            leaves = _leaves(args, case.kinds)
            printed_for = want if printed_for is None else printed_for
            try:
                got, found = RUN[case.language](program, leaves, printed_for)
            except (ArithmeticError, ValueError, AssertionError) as error:
                if FIRED in str(error) and (number or _asks_for_a_sum(program, case.language)):
                    continue
                finite = all(np.isfinite(np.asarray(x, float)).all() for x in (want, *gradients))
                if isinstance(error, (ArithmeticError, ValueError)) and FIRED not in str(error) and not finite:
                    continue
                raise Wrong(f"point {number}: {type(error).__name__}: {error}\n{program}") from error
            for name, a, b in zip(
                ("value", *(f"gradient {k}" for k in range(len(found)))), (got, *found), (want, *gradients), strict=True
            ):
                if case.language == "python" and np.ndim(b) and np.asarray(a).dtype != np.asarray(b).dtype:
                    raise Wrong(
                        f"point {number}: {name} is {np.asarray(a).dtype}, not {np.asarray(b).dtype}\n{program}"
                    )
                if not _near(a, b, case.dtype):
                    raise Wrong(f"point {number}: {name} is {a!r}, not {b!r}\n{program}")
    return AGREED
