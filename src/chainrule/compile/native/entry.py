"""The native entry of a compiled function: checks Python's arguments, runs the program and builds the results, in one call.

It is a C function of CPython's fast calling convention, written in LLVM's text. What it does not recognise (other shapes, dtypes,
layouts, traced values) it leaves to the caller by returning NotImplemented. How objects lie in memory is in `objects`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...trace.references import UNBOUND
from ...trace.tree import TreeDef
from .instructions import MEMORY
from .objects import CONTENTS, DATA, DESCRIPTOR, DIMENSIONS, FLAGS, ITEMS, NDIM, SIZE, USABLE, WRITEABLE

IMMUTABLE = (type(None), bool, str, bytes, types.FunctionType, type)  # what is given out as it is
MISPLACED, RAISED = 1, 2  # what `run` returns when an index is out of range, and when a call has raised
LARGE = 100_000  # operations from which on the interpreter's lock is released


DECLARED = """\
declare ptr @chainrule_array(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @chainrule_scalar(ptr, ptr, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyLong_FromLongLong(i64)
declare i64 @PyLong_AsLongLong(ptr)
declare ptr @PyErr_Occurred()
declare void @PyErr_Clear()
declare ptr @PyList_New(i64)
declare ptr @PyTuple_New(i64)
declare ptr @PyDict_New()
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare ptr @PyDict_GetItem(ptr, ptr)
declare ptr @PyDict_GetItemWithError(ptr, ptr)
declare i64 @PyDict_Size(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32 @memcmp(ptr, ptr, i64)
declare ptr @malloc(i64)
declare void @free(ptr)
"""

# Whether the first `m` of `n` ranges of memory overlap no other. A loop: written out, m * n comparisons are a long program.
APART = """\
define internal i1 @apart(ptr %starts, ptr %ends, i64 %m, i64 %n) {
entry:
  br label %outer
outer:
  %i = phi i64 [ 0, %entry ], [ %i1, %next ]
  %i1 = add i64 %i, 1
  %sp = getelementptr i64, ptr %starts, i64 %i
  %ep = getelementptr i64, ptr %ends, i64 %i
  %s = load i64, ptr %sp
  %e = load i64, ptr %ep
  %some = icmp ult i64 %i1, %n
  br i1 %some, label %inner, label %next
inner:
  %k = phi i64 [ %i1, %outer ], [ %k1, %inner ]
  %hit = phi i1 [ false, %outer ], [ %found, %inner ]
  %tp = getelementptr i64, ptr %starts, i64 %k
  %up = getelementptr i64, ptr %ends, i64 %k
  %t = load i64, ptr %tp
  %u = load i64, ptr %up
  %below = icmp ult i64 %t, %e
  %above = icmp ult i64 %s, %u
  %both = and i1 %below, %above
  %found = or i1 %hit, %both
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %inner, label %judge
judge:
  br i1 %found, label %no, label %next
next:
  %left = icmp ult i64 %i1, %m
  br i1 %left, label %outer, label %yes
no:
  ret i1 false
yes:
  ret i1 true
}
"""


class Entry:
    """Writes the entry of one program.

    Args:
        inputs: the tree of the positional arguments (a list), and what each leaf is: an ndarray, or the type of a number.
        output: the tree of the result; `kinds` says which leaves are Python numbers.
        order: which input of the program each leaf is; in order when left out.
        checks: what must hold besides, as (owner, key, object): the item of a dict or, without a key, the contents of a cell,
            the items of a list, the bytes of an array, that a dict is empty; UNBOUND for a name that is not there.
    """

    def __init__(
        self,
        inputs: TreeDef,
        leaves: list[Any],
        output: TreeDef,
        kinds: list[Any],
        truths: list[tuple[int, bool]],
        checks: Sequence[tuple[Any, Any, Any]] = (),
        order: Sequence[int] | None = None,
    ) -> None:
        self.inputs, self.leaves, self.output, self.kinds, self.truths = inputs, leaves, output, kinds, truths
        self.checks, self.order = checks, range(len(leaves)) if order is None else order
        self.objects: list[Any] = []  # what the code refers to, kept alive
        self.lines: list[str] = []
        self.globals: list[str] = []
        self.names = 0
        self.pointers: list[str] = []
        self.places: dict[int, str] = {}

    def fresh(self) -> str:
        self.names += 1
        return f"%e{self.names}"

    def emit(self, text: str) -> str:
        """An instruction; its result."""
        name = self.fresh()
        self.lines.append(f"{name} = {text}")
        return name

    def object(self, x: Any) -> str:
        """A pointer to a Python object, read from the table of objects."""
        place = next((k for k, o in enumerate(self.objects) if o is x), None)
        if place is None:
            place = len(self.objects)
            self.objects.append(x)
        slot = self.emit(f"getelementptr ptr, ptr @objects, i64 {place}")
        return self.emit(f"load ptr, ptr {slot}")

    def field(self, p: str, offset: int, type: str) -> str:
        """A field of an object."""
        return self.emit(f"load {type}, ptr {self.emit(f'getelementptr i8, ptr {p}, i64 {offset}')}")

    def require(self, condition: str) -> None:
        """Leave the call to the caller unless the condition holds."""
        self.names += 1
        self.lines += [f"br i1 {condition}, label %k{self.names}, label %other", f"k{self.names}:"]

    def same(self, p: str, x: Any) -> None:
        """Require the type of an object."""
        self.require(self.emit(f"icmp eq ptr {self.field(p, 8, 'ptr')}, {self.object(x)}"))

    def reached(self) -> None:
        """Require that what is read besides the arguments is the same as when it was traced."""
        for owner, key, x in self.checks:
            holder = self.object(owner)
            if isinstance(owner, np.ndarray):
                self.like(holder, owner)
                kept = self.field(self.object(np.frombuffer(x, np.uint8)), DATA, "ptr")
                differ = self.emit(f"call i32 @memcmp(ptr {self.field(holder, DATA, 'ptr')}, ptr {kept}, i64 {len(x)})")
                self.require(self.emit(f"icmp eq i32 {differ}, 0"))
            elif isinstance(owner, dict) and key is None:  # one that holds nothing
                self.require(self.emit(f"icmp eq i64 {self.emit(f'call i64 @PyDict_Size(ptr {holder})')}, 0"))
            elif isinstance(owner, list):
                self.require(self.emit(f"icmp eq i64 {self.field(holder, SIZE, 'i64')}, {len(x)}"))
                items = self.field(holder, ITEMS, "ptr")
                for k, item in enumerate(x):
                    now = self.emit(f"load ptr, ptr {self.emit(f'getelementptr ptr, ptr {items}, i64 {k}')}")
                    self.require(self.emit(f"icmp eq ptr {now}, {self.object(item)}"))
            else:
                if key is None:
                    now = self.field(holder, CONTENTS, "ptr")
                else:
                    now = self.emit(f"call ptr @PyDict_GetItemWithError(ptr {holder}, ptr {self.object(key)})")
                self.require(self.emit(f"icmp eq ptr {now}, {'null' if x is UNBOUND else self.object(x)}"))

    # ---- arguments ---------------------------------------------------------------------------------------------

    def arguments(self) -> None:
        """Pointers to the data of every leaf."""
        rest = iter(self.leaves)
        for k, child in enumerate(self.inputs.children):
            p = self.emit(f"load ptr, ptr {self.emit(f'getelementptr ptr, ptr %args, i64 {k}')}")
            self.tree(child, p, rest)
        place = {k: j for j, k in enumerate(self.order)}
        self.places = {k: self.places[j] for k, j in place.items() if j in self.places}
        self.pointers = [self.pointers[place[k]] for k in range(len(self.pointers))]

    def tree(self, t: TreeDef, p: str, rest: Any) -> None:
        """Walk a tree as the arguments have it."""
        if t.is_leaf:
            self.leaf(p, next(rest))
        elif t.kind == "static":
            self.require(self.emit(f"icmp eq ptr {p}, {self.object(t.static)}"))
        elif t.kind in (list, tuple):
            self.same(p, t.kind)
            n = self.field(p, SIZE, "i64")
            self.require(self.emit(f"icmp eq i64 {n}, {len(t.children)}"))
            items = (
                self.field(p, ITEMS, "ptr") if t.kind is list else self.emit(f"getelementptr i8, ptr {p}, i64 {ITEMS}")
            )
            for k, child in enumerate(t.children):
                self.tree(
                    child, self.emit(f"load ptr, ptr {self.emit(f'getelementptr ptr, ptr {items}, i64 {k}')}"), rest
                )
        elif t.kind is dict:
            self.same(p, dict)
            self.require(self.emit(f"icmp eq i64 {self.emit(f'call i64 @PyDict_Size(ptr {p})')}, {len(t.children)}"))
            for key, child in zip(t.keys, t.children, strict=True):
                q = self.emit(f"call ptr @PyDict_GetItem(ptr {p}, ptr {self.object(key)})")
                self.require(self.emit(f"icmp ne ptr {q}, null"))
                self.tree(child, q, rest)
        else:
            raise NotImplementedError

    def leaf(self, p: str, x: Any) -> None:
        """The data of one argument like `x`."""
        if type(x) is bool:
            self.require(self.emit(f"icmp eq ptr {p}, {self.object(x)}"))
        elif type(x) is np.ndarray:
            self.same(p, np.ndarray)
            self.like(p, x)
            self.pointers.append(self.field(p, DATA, "ptr"))
            self.places[len(self.pointers) - 1] = p
        elif type(x) is int:
            self.same(p, int)
            value = self.emit(f"call i64 @PyLong_AsLongLong(ptr {p})")
            slot = self.emit("alloca i64")
            self.lines.append(f"store i64 {value}, ptr {slot}")
            minus = self.emit(f"icmp eq i64 {value}, -1")
            self.names += 1
            n = self.names
            self.lines += [f"br i1 {minus}, label %m{n}, label %g{n}", f"m{n}:"]
            error = self.emit("call ptr @PyErr_Occurred()")
            self.lines += [f"%f{n} = icmp eq ptr {error}, null", f"br i1 %f{n}, label %g{n}, label %toolarge", f"g{n}:"]
            self.pointers.append(slot)
        elif type(x) is float or isinstance(x, np.generic):
            self.same(p, type(x))
            self.pointers.append(self.emit(f"getelementptr i8, ptr {p}, i64 {DATA}"))
        else:
            raise NotImplementedError

    def like(self, p: str, x: np.ndarray[Any, Any]) -> None:
        """Require that an array has the shape and dtype of `x`, in C order."""
        self.require(self.emit(f"icmp eq i32 {self.field(p, NDIM, 'i32')}, {x.ndim}"))
        self.require(
            self.emit(f"icmp eq ptr {self.field(p, DESCRIPTOR, 'ptr')}, {self.object(np.dtype(x.dtype.name))}")
        )
        flags = self.emit(f"and i32 {self.field(p, FLAGS, 'i32')}, {USABLE}")
        self.require(self.emit(f"icmp eq i32 {flags}, {USABLE}"))
        shape = self.field(p, DIMENSIONS, "ptr") if x.ndim else ""
        for k, n in enumerate(x.shape):
            have = self.emit(f"load i64, ptr {self.emit(f'getelementptr i64, ptr {shape}, i64 {k}')}")
            self.require(self.emit(f"icmp eq i64 {have}, {n}"))

    def apart(self, program: Any) -> None:
        """Require that no input which is written over shares memory with another."""
        written = list(program.reused.values())
        order = [*written, *(k for k in self.places if k not in program.reused.values())]
        starts, ends = (self.emit(f"alloca [{len(order)} x i64]") for _ in range(2))
        for j, k in enumerate(order):
            start = self.emit(f"ptrtoint ptr {self.pointers[k]} to i64")
            end = self.emit(f"add i64 {start}, {program.plan.inputs[k].bytes}")
            for table, x in ((starts, start), (ends, end)):
                self.lines.append(f"store i64 {x}, ptr {self.emit(f'getelementptr i64, ptr {table}, i64 {j}')}")
        self.globals.append(APART)
        self.require(self.emit(f"call i1 @apart(ptr {starts}, ptr {ends}, i64 {len(written)}, i64 {len(order)})"))

    # ---- results -----------------------------------------------------------------------------------------------

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
        """A new array."""
        name = f"@shape{len(self.globals)}"
        self.globals.append(
            f"{name} = internal constant [{max(len(shape), 1)} x i64] [{', '.join(f'i64 {n}' for n in shape) or 'i64 0'}]"
        )
        descriptor = self.object(np.dtype(dtype.name))
        self.lines.append(f"call void @Py_IncRef(ptr {descriptor})")
        return self.emit(
            f"call ptr @chainrule_array(ptr {self.object(np.ndarray)}, ptr {descriptor}, i32 {len(shape)}, ptr {name}, ptr null, ptr null, i32 0, ptr null)"
        )

    def number(self, slot: str, dtype: np.dtype[Any], kind: type | None) -> str:
        """A number made of the value in memory."""
        if kind is float:
            return self.emit(f"call ptr @PyFloat_FromDouble(double {self.emit(f'load double, ptr {slot}')})")
        if kind is int:
            return self.emit(f"call ptr @PyLong_FromLongLong(i64 {self.emit(f'load i64, ptr {slot}')})")
        if kind is bool:
            yes, no = self.object(True), self.object(False)
            truth = self.emit(f"icmp ne i8 {self.emit(f'load i8, ptr {slot}')}, 0")
            made = self.emit(f"select i1 {truth}, ptr {yes}, ptr {no}")
            self.lines.append(f"call void @Py_IncRef(ptr {made})")
            return made
        return self.emit(f"call ptr @chainrule_scalar(ptr {slot}, ptr {self.object(np.dtype(dtype.name))}, ptr null)")

    def built(self, t: TreeDef, leaves: Any) -> str:
        """The tree of results."""
        if t.is_leaf:
            return next(leaves)()
        if t.kind == "static":
            if type(t.static) not in IMMUTABLE:
                raise NotImplementedError
            p = self.object(t.static)
            self.lines.append(f"call void @Py_IncRef(ptr {p})")
            return p
        parts = [self.built(child, leaves) for child in t.children]
        if t.kind in (list, tuple):
            made = self.emit(f"call ptr @Py{'List' if t.kind is list else 'Tuple'}_New(i64 {len(parts)})")
            items = (
                self.field(made, ITEMS, "ptr")
                if t.kind is list and parts
                else self.emit(f"getelementptr i8, ptr {made}, i64 {ITEMS}")
            )
            for k, q in enumerate(parts):
                self.lines.append(f"store ptr {q}, ptr {self.emit(f'getelementptr ptr, ptr {items}, i64 {k}')}")
            return made
        if t.kind is dict:
            made = self.emit("call ptr @PyDict_New()")
            for key, q in zip(t.keys, parts, strict=True):
                self.emit(f"call i32 @PyDict_SetItem(ptr {made}, ptr {self.object(key)}, ptr {q})")
                self.lines.append(f"call void @Py_DecRef(ptr {q})")
            return made
        raise NotImplementedError

    # ---- the whole ---------------------------------------------------------------------------------------------

    def text(self, program: Any) -> str:
        """The entry as text, for a program whose `run` is in the same module."""
        self.lines.append(f"%enough = icmp eq i64 %n, {len(self.inputs.children)}")
        self.require("%enough")
        self.reached()
        self.arguments()
        outputs = len(self.kinds)
        if any(k not in (None, float, int, bool) for k in self.kinds):
            raise NotImplementedError
        results = program.results
        places = [program.given[k] for k in range(outputs)]
        made: dict[int, str] = {}
        slots: list[str] = []
        for k in range(len(results)):
            if k in program.reused:
                given = self.places[program.reused[k]]
                writeable = self.emit(f"and i32 {self.field(given, FLAGS, 'i32')}, {WRITEABLE}")
                self.require(self.emit(f"icmp ne i32 {writeable}, 0"))
        if program.reused:
            self.apart(program)
        for k, b in enumerate(results):
            if k in program.reused:
                made[k] = self.places[program.reused[k]]
                self.lines.append(f"call void @Py_IncRef(ptr {made[k]})")
                slots.append("null")
            elif b.shape == () or all(p != ("buffer", k) for p in places):
                slots.append(self.emit(f"alloca [{max(b.bytes, 8)} x i8], align 16"))
            else:
                made[k] = self.array(b.shape, b.dtype)
                slots.append(self.field(made[k], DATA, "ptr"))
        fixed = [self.object(c) for c in program.constants]
        data = [*self.pointers, *slots, *(self.field(c, DATA, "ptr") for c in fixed)]
        size = program.workspace
        if size <= 1 << 14:
            space = self.emit(f"alloca [{max(size, 8)} x i8], align 64")
        else:
            raw = self.emit("atomicrmw xchg ptr @space, ptr null acq_rel")
            self.lines += [f"%empty = icmp eq ptr {raw}, null", "br i1 %empty, label %make, label %have", "make:"]
            new = self.emit(f"call ptr @malloc(i64 {size + 64})")
            self.lines += ["br label %have", "have:"]
            kept = self.emit(f"phi ptr [ {raw}, %BEFORE ], [ {new}, %make ]")
            whole = self.emit(f"ptrtoint ptr {kept} to i64")
            up = self.emit(f"and i64 {self.emit(f'add i64 {whole}, 63')}, -64")
            space = self.emit(f"inttoptr i64 {up} to ptr")
        table = self.emit(f"alloca [{len(data) + 1 + len(program.objects)} x ptr]")
        for k, p in enumerate([*data, space, *map(self.object, program.objects)]):
            self.lines.append(f"store ptr {p}, ptr {self.emit(f'getelementptr ptr, ptr {table}, i64 {k}')}")
        large = program.work() > LARGE
        thread = self.emit("call ptr @PyEval_SaveThread()") if large else ""
        bad = self.emit(f"call i32 @run(ptr {table})")
        if large:
            self.lines.append(f"call void @PyEval_RestoreThread(ptr {thread})")
        if size > 1 << 14:
            old = self.emit(f"atomicrmw xchg ptr @space, ptr {kept} acq_rel")  # pyright: ignore[reportPossiblyUnboundVariable]
            self.lines.append(f"call void @free(ptr {old})")
        released = [f"call void @Py_DecRef(ptr {p})" for p in made.values()]
        if program.objects:
            self.lines.append(f"%threw = icmp eq i32 {bad}, {RAISED}")
            self.lines += ["br i1 %threw, label %raise, label %ran", "raise:", *released, "ret ptr null", "ran:"]
        good = self.emit(f"icmp eq i32 {bad}, 0")
        for k, expected in self.truths:
            b = results[program.given[k][1]]
            seen = self.truth(slots[program.given[k][1]], b.dtype)
            right = seen if expected else self.emit(f"xor i1 {seen}, true")
            good = self.emit(f"and i1 {good}, {right}")
        self.lines += [f"br i1 {good}, label %finish, label %undo", "undo:"]
        self.lines += released
        self.lines += ["br label %other", "finish:"]

        def leaf(k: int) -> Callable[[], str]:
            def build() -> str:
                kind, where = places[k]
                if kind == "constant":
                    if isinstance(where, np.ndarray):  # to be copied for every call
                        raise NotImplementedError
                    p = self.object(where)
                    self.lines.append(f"call void @Py_IncRef(ptr {p})")
                    return p
                return made[where] if where in made else self.number(slots[where], results[where].dtype, self.kinds[k])

            return build

        result = self.built(self.output, iter([leaf(k) for k in range(outputs)]))
        self.lines += [f"ret ptr {result}", "toolarge:", "call void @PyErr_Clear()", "br label %other", "other:"]
        none = self.object(NotImplemented)
        self.lines += [f"call void @Py_IncRef(ptr {none})", f"ret ptr {none}"]
        lines = self._placed(self.lines)
        body = "\n".join(line if line.endswith(":") else f"  {line}" for line in lines)
        head = f"@objects = global [{len(self.objects)} x ptr] zeroinitializer\n@space = internal global ptr null\n"
        return "\n".join(
            [
                head,
                *self.globals,
                *(line for line in DECLARED.splitlines() if line not in program.text),
                f"define ptr @entry(ptr %self, ptr %args, i64 %n) {{\nentry:\n{body}\n}}",
                "define ptr @table() {\n  ret ptr @objects\n}\n",
            ]
        )

    def _placed(self, lines: list[str]) -> list[str]:
        """The name of the block before `make`, which the phi node needs."""
        block = "entry"
        result: list[str] = []
        before = ""
        for line in lines:
            if line.startswith("%empty"):
                before = block
            if line.endswith(":"):
                block = line[:-1]
            result.append(line.replace("%BEFORE", f"%{before}"))
        return result

    def truth(self, slot: str, dtype: np.dtype[Any]) -> str:
        """Whether a number in memory counts as true."""
        type = MEMORY[dtype.name]
        x = self.emit(f"load {type}, ptr {slot}")
        return self.emit(f"fcmp une {type} {x}, 0.0" if dtype.kind == "f" else f"icmp ne {type} {x}, 0")
