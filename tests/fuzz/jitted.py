"""Histories of calls: a small world, a function that reads and changes it, and what its user does between the calls.

The history runs twice, each time in a world of its own: once with the function compiled, once with it as it is. After every
event the results and the worlds are equal; or the call is refused, and the compiled world is as it was before it.
"""

from __future__ import annotations

import copy
import functools
import sys
import types
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import chainrule as cr
from chainrule.ir.recording import Handle

from .harness import AGREED, Wrong, refused

WORLD = """
from dataclasses import dataclass
class Model:
    scale = 2.0
    def __init__(self):
        self.w, self.b, self.lr, self.n, self.mode = np.array([1.0, -2.0, 0.5]), 0.5, 0.25, 1, "a"
        self.layers, self.cfg = [np.ones(3), np.full(3, 0.5)], {"k": 2.0, "on": True}
    def act(self, v):
        return np.tanh(v * self.scale) if self.mode == "a" else v * self.b
    @property
    def norm(self):
        return np.sum(self.w * self.w)
@dataclass
class Point:
    p: object
    q: float = 1.0
class Child:
    def __init__(self, parent):
        self.parent, self.v = parent, np.array([2.0, 0.0, 1.0])
m = Model()
child = Child(m)
W, V = np.array([0.5, 1.5, -1.0]), np.array([1.0, 2.0, 3.0])
I, B = np.array([2, 0, 1]), np.array([True, False, True])
N, G, FLAG, S = 2, 1.5, True, "s"
D, L = {"a": np.array([3.0, 1.0, 2.0]), "k": 0.5}, [1.0, np.array([0.25, 0.5, 0.75])]
X, Y = np.array([0.3, -1.2, 2.0]), np.array([1.0, 0.5, -0.5])
d, l, pt = {"x": np.array([1.0, 2.0, 3.0]), "h": 1.0}, [np.array([1.0, 1.0, 2.0]), 2.0], Point(np.array([1.0, 2.0, 3.0]), 0.5)
E, T, C = [], {}, np.array([1, 2, 3, 4])
def helper(v):
    return v * G + N
def late():
    try:
        return coming
    except NameError:
        return 0.0
def make(c):
    w = np.array([c, 1.0, 2.0])
    def inner(v):
        return v * c + w
    def more(k):
        nonlocal c
        c = c + k
        w[0] = c
    return inner, more
inner, more = make(2.0)
twice = functools.partial(lambda a, v: a * v, 2.0)
r = None
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(w.strip() for w in text.replace("\n", " ").split(" | "))


ARRAYS = _words(
    """
    x | y | W | m.w | D['a'] | L[1] | m.layers[0] | d['x'] | l[0] | pt.p | child.v | child.parent.w | x[::-1] |
    x[I] | np.tanh(x) | m.act(x) | helper(y) | inner(x) | twice(y) | np.where(B,x,W) | np.cumsum(x) | x.copy() |
    np.sort(y) | V[I] | getattr(m,'w')
    """
)
NUMBERS = _words(
    """
    s | G | m.lr | m.b | N | n | m.n | m.cfg['k'] | D['k'] | pt.q | m.scale | m.norm | Model.scale | np.sum(x) |
    np.max(y) | L[0] | len(l) | len(f'{n}') | x.shape[0] | float(N) | int(n) | abs(s) | flag | FLAG |
    np.float32(2.0) | l[1] | len(L) | len(m.layers) | len(E) | len(T) | C.shape[0] | late() | getattr(helper,'late',0.0) |
    getattr(tools,'late',0.0) | sum(E)
    """
)
TESTS = _words(
    """
    np.sum(x)>s | n>1 | s>0 | flag | FLAG | m.mode=='a' | isinstance(n,int) | isinstance(s,float) |
    type(s)is(float) | n==N | m.cfg['on'] | str(n)=='2' | f'{s:.1f}'=='0.5' | S=='s' | 'z'in(d) | len(l)>2 |
    m.w[0]>0 | flag==True | isinstance(x,np.ndarray) | np.any(x>1) | hasattr(m,'extra') | flag is True | x is y |
    m.w is W | n>m.n | W[0]<G | repr(n)=='2' | child.parent is m | type(m)is(Model) | G
    """
)
CHANGES = _words(
    """
    x[0]=s | x+=y | x*=2.0 | y[1:]=x[1:] | W[1]=s | W+=x | m.w+=1.0 | m.w=m.w-m.lr*x | m.n+=1 | m.last=v | m.b=s |
    m.mode='b' | D['a']=v | D['k']=s | D['z']=v | d['h']=v | d['x']*=2.0 | d['x']=v | d.pop('h',None) |
    l.append(v) | l[0]=v | l[1]=s | L[1]=v | L.append(s) | m.layers.append(v) | m.layers[0]=v | m.cfg['k']=s |
    m.cfg['new']=v | pt.p=v | pt.q=s | global G;G=G+1.0 | global N;N=n | x=x+1.0 | v[0]=9.0 | v=v[::-1] |
    del d['x'] | child.v=v | child.parent.w=v | child.parent=Model() | W[:]=v | V=v | l.clear() |
    m.layers.reverse() | Model.scale=s | y=x;y+=1.0 | more(1.0) | m.extra=(v,s) | l[:]=[v,v]
    """
)
RETURNS = _words(
    """
    v | x | W | m.w | (v,s) | {'v':v,'n':n+1} | [x,x] | n*2 | n+1 | s | flag | S | None | d | l | pt |
    np.arange(3.0) | v.sum() | v[0] | (v,v) | D | s*2 | n/2 | v>0 | I | L | Point(v,s) | {'b':v,'a':s} |
    np.float32(s) | (W,V) | m | n | x.T | np.zeros(()) | np.array(s) | v.astype('f4') | Model | (n,n*n) | m.n |
    1.0 | B | (l[0],d['x']) | x[1:] | v.shape
    """
)
EVENTS = _words(
    """
    m.w=m.w*2.0 | m.w[0]=7.0 | W[:]=[3.0,2.0,1.0] | W=np.array([1.0,0.0,1.0]) | W=W.astype('f4') | G=0.25 |
    G=G+1.0 | N=3 | N=N+1 | m.lr=0.125 | m.mode='b' | m.mode='a' | Model.scale=3.0 | m.scale=5.0 | D['k']=4.0 |
    D['a'][1]=8.0 | L.append(2.0) | L[1]=L[1]+1.0 | L[0]=3.0 | FLAG=not FLAG | m=Model() | X=X.astype('f4') |
    X=X[::-1] | X=np.array([[0.1,0.2,0.3],[1.0,2.0,3.0]]) | X=np.asfortranarray(np.arange(9.0).reshape(3,3)) |
    X=X.copy();X.flags.writeable=False | Y=X | Y=X[:] | X=X+0.5 | d={'h':2.0,'x':np.array([5.0,6.0,7.0])} |
    d['h']=3.0 | d['z']=1.0 | l=[W,2.0] | l.append(1.0) | l=[np.ones(3),0.5] | r=None | scribble(r) | more(1.0) |
    I=np.array([0,1,2]) | I[0]=1 | B[1]=True | S='t' | m.cfg['on']=False | m.layers.append(np.ones(3)) |
    m.layers[0][1]=4.0 | m.extra=1 | pt=Point(np.zeros(3)) | pt.q=-0.0 | m.b=float('nan') | G=float('nan') |
    m.norm2=1.0 | def helper(v):return v-G | X=X.astype('>f8') | X=np.array([np.nan,-0.0,1.0]) | child=Child(m) |
    child.v=m.w | N=10**12 | X=np.zeros((0,3)) | m.w=W | m.n=5 | X=np.array([1,2,3]) |
    twice=functools.partial(lambda a,v:a+v,G) | m.act=lambda v:v*3.0 | V[0]=-1.0 | E.append(2.0) | E.clear() | T['a']=1.0 |
    C.shape=(2,2) | C.shape=(4,) | coming=2.0 | helper.late=3.0 | tools.late=4.0 | tools.late=G
    """
)
NUMBER_ARGUMENTS = _words(
    """
    0.5 | -1.0 | 2.0 | np.float64(0.5) | np.float32(0.5) | 1 | np.array(2.0) | 0.0 | G | np.int64(2)
    """
)
COUNTS = _words(
    """
    1 | 2 | 0 | 3 | np.int64(2) | N | -1 | True | 10**10
    """
)
FLAGS = _words(
    """
    True | False | 1 | np.True_ | None | FLAG
    """
)


@dataclass(frozen=True)
class Case:
    """The text of a function, how it is compiled, and what happens."""

    body: tuple[str, ...]
    how: str
    events: tuple[str, ...]


def _expressions() -> Any:
    arrays = st.sampled_from(ARRAYS)
    numbers = st.sampled_from(NUMBERS)
    either = arrays | numbers
    return arrays | st.builds(lambda a, op, b: f"({a} {op} {b})", arrays, st.sampled_from("+-*"), either)


@st.composite
def _bodies(draw: Any) -> tuple[str, ...]:
    expressions = _expressions()
    lines = [f"v = {draw(expressions)}"]
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(("value", "change", "change", "branch", "loop")))
        if kind == "value":
            lines.append(f"v = v + {draw(expressions)}")
        elif kind == "change":
            lines.append(draw(st.sampled_from(CHANGES)))
        elif kind == "branch":
            lines.append(f"if {draw(st.sampled_from(TESTS))}: {draw(_simple)}")
        else:
            lines.append("for i in range(min(abs(int(n)), 3)): v = v * 0.5 + x")
    changed = list(lines)
    names = sorted({k for k in ("G", "N", "V") for x in changed if f"global {k}" in x or x.startswith(f"{k}=")})
    changed = [x.split(";", 1)[1] if x.startswith("global ") else x for x in changed]
    head = [f"global {', '.join(names)}"] if names else []
    result = draw(st.sampled_from(RETURNS) | st.just("np.sum(v)"))
    return (*head, *changed, f"return {result}")


_simple = st.sampled_from([c for c in CHANGES if "global" not in c and "V=" not in c and ";" not in c]) | st.just(
    "v = v * 2.0"
)


@st.composite
def _histories(draw: Any) -> Case:
    body = draw(_bodies())
    how = draw(st.sampled_from(("jit",) * 8 + ("method", "static", "donate", "grad", "vag", "numpy", "nested")))
    events: list[str] = []
    for _ in range(draw(st.integers(2, 6))):
        if events and draw(st.booleans()):
            events.append(draw(st.sampled_from(EVENTS)))
        s, n, flag = (draw(st.sampled_from(options)) for options in (NUMBER_ARGUMENTS, COUNTS, FLAGS))
        x, y = (
            draw(st.sampled_from(("X", "X", "Y", "W", "m.w"))),
            draw(st.sampled_from(("Y", "Y", "X", "np.ones(3)", "X[:]"))),
        )
        call = draw(
            st.sampled_from(("{f}({a})",) * 6 + ("{f}({k})", "cr.grad(lambda x: np.sum(np.sum({f}(x, {rest}))))({x})"))
        )
        y = f"np.array({y})" if how == "donate" else y  # what is donated is not looked at again
        rest = f"{y}, {s}, {n}, {flag}, d, l, pt"
        named = f"{x}, {y}, s={s}, n={n}, flag={flag}, d=d, l=l, pt=pt"
        events.append("r = " + call.format(f="f", a=f"{x}, {rest}", k=named, rest=rest, x=x))
    return Case(body, how, tuple(events))


cases = _histories()

HOWS = {
    "jit": "f = jit(plain)",
    "method": "f = Owner().method",
    "static": "f = jit(plain, static_argnums=(3, 4))",
    "donate": "f = jit(plain, donate=1)",
    "grad": "f = jit(cr.grad(scalar))",
    "vag": "f = jit(cr.value_and_grad(scalar, (0, 1)))",
    "numpy": "f = jit(plain, backend='numpy')",
    "nested": "f = jit(lambda *a, **k: jit(plain)(*a, **k))",
}


def source(case: Case) -> str:
    """The world as text."""
    body = "\n    ".join(case.body)
    parameters = "x, y, s=0.5, n=1, flag=False, d=None, l=None, pt=None"
    return (
        f"{WORLD}\ndef plain({parameters}):\n    {body}\n"
        f"def scalar({parameters}):\n    out = plain(x, y, s, n, flag, d, l, pt)\n    return np.sum(out)\n"
        f"class Owner:\n    @jit\n    def method(self, {parameters}):\n        return plain(x, y, s, n, flag, d, l, pt)\n"
        f"{HOWS[case.how]}\n"
    )


def _scribble(r: Any) -> None:
    for a in r if isinstance(r, (tuple, list)) else [r]:
        if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.flags.writeable:
            a[...] = 99.0


def _world(case: Case, jit: Any, name: str) -> dict[str, Any]:
    module = sys.modules[name] = types.ModuleType(name)  # where dataclasses look for their module
    scope = vars(module)
    scope.update({"np": np, "cr": cr, "jit": jit, "functools": functools, "scribble": _scribble})
    scope["tools"] = types.ModuleType(f"{name}_tools")
    exec(source(case), scope)
    return scope


def _state(scope: dict[str, Any]) -> dict[str, Any]:
    """What the user can see of a world, copied."""
    skip = (types.ModuleType, types.FunctionType, type, functools.partial)
    found = {
        k: v
        for k, v in scope.items()
        if not k.startswith("_") and not isinstance(v, skip) and k not in ("f", "jit", "twice")
    }
    found["Model.scale"] = scope["Model"].scale
    found["inner"] = [c.cell_contents for c in scope["inner"].__closure__]
    return copy.deepcopy(found)


class Escaped(Exception):
    """A function that is differentiated has put a traced value into the world."""


def _seen(x: Any, memo: tuple[int, ...] = ()) -> Any:
    """A value as what can be compared: types, dtypes, orders of keys, and numbers."""
    if id(x) in memo:
        return "again"
    memo = (*memo, id(x))
    if isinstance(x, Handle):
        raise Escaped
    if isinstance(x, np.ndarray):
        return ("array", str(x.dtype), x.shape, x)
    if isinstance(x, (np.generic, float, complex)):
        return (type(x).__name__, str(getattr(x, "dtype", "")), (), np.asarray(x))
    if isinstance(x, dict):
        return ("dict", [(k, _seen(v, memo)) for k, v in x.items()])
    if isinstance(x, (list, tuple)):
        return (type(x).__name__, [_seen(v, memo) for v in x])
    if isinstance(x, (int, str, type(None), set)):
        return (type(x).__name__, x)
    if isinstance(x, type) or callable(x):
        return getattr(x, "__name__", type(x).__name__)
    return (type(x).__name__, [(k, _seen(v, memo)) for k, v in vars(x).items()])


SINGLE, DOUBLE = (2e-5, 1e-5), (1e-9, 1e-12)  # relative and absolute


def _tolerance(case: Case) -> tuple[float, float]:
    """What the least precise numbers of a history allow: a result in double precision may have come through single."""
    text = " ".join((*case.body, *case.events))
    return SINGLE if "f4" in text or "float32" in text else DOUBLE


def _different(a: Any, b: Any, path: str = "", tolerance: tuple[float, float] = DOUBLE) -> str | None:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        same = a.shape == b.shape and np.allclose(a, b, *tolerance, equal_nan=True)
        return None if same else f"{path}: {a} instead of {b}"
    if type(a) is not type(b) or (isinstance(a, (tuple, list)) and len(a) != len(b)):
        return f"{path}: {a} instead of {b}"
    if isinstance(a, (tuple, list)):
        for k, (u, v) in enumerate(zip(a, b, strict=True)):
            found = _different(
                u,
                v,
                f"{path}.{u[0]}" if isinstance(u, tuple) and u and isinstance(u[0], str) else f"{path}[{k}]",
                tolerance,
            )
            if found:
                return found
        return None
    return None if a == b else f"{path}: {a!r} instead of {b!r}"


def judge(case: Case) -> str:
    """Run the history in both worlds."""
    tolerance = _tolerance(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = _world(case, lambda f, **_: f, "plain_world")
        compiled = _world(case, cr.jit, "compiled_world")
        for event in case.events:
            before = _state(compiled)
            failed: Exception | None = None
            try:
                exec(event, plain)
            except Exception as error:
                failed = error
            try:
                exec(event, compiled)
            except cr.ChainruleError as error:
                found = (
                    None
                    if "cr.grad" in event
                    else _different(_seen(_state(compiled)), _seen(before), "after a refusal", tolerance)
                )
                if found:
                    raise Wrong(f"{event}: {found}\n" + "\n".join(case.body)) from error
                return refused(error) if failed is None else "both raise"
            except Exception as error:
                if failed is None or (type(failed) is not type(error) and not isinstance(failed, cr.ChainruleError)):
                    raise Wrong(f"{event}: raises {error!r} instead of {failed!r}\n" + "\n".join(case.body)) from error
                return "both raise"
            if failed is not None:
                if isinstance(failed, (cr.ChainruleError, ZeroDivisionError)):
                    return "only the plain function raises"
                raise Wrong(f"{event}: does not raise {failed!r}\n" + "\n".join(case.body))
            try:
                found = _different(_seen(_state(compiled)), _seen(_state(plain)), "world", tolerance)
            except Escaped:
                return "a traced value escapes from a derivative"
            if found:
                raise Wrong(f"{event}: {found}\n" + "\n".join(case.body))
            if "return m" in case.body:
                plain["r"] = compiled["r"] = None
            plain["r"] = copy.deepcopy(plain["r"])  # the results of compiled functions share no memory with anything
    return AGREED
