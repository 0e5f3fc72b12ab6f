"""A plan as the text of an LLVM module: one function for each nest of loops, and `run`, which calls them in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .entry import MISPLACED, RAISED
from .function import Function, literal
from .index import count
from .instructions import MEMORY, TYPES, combine, instruction
from .mathlib import Value
from .memory import Buffer, View
from .nests import Nest
from .objects import WRITEABLE
from .printed_products import Products
from .steps import CallStep, CopyStep, FillStep, Plan, ProductStep, ScanStep, identity

PYTHON = """\
declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @chainrule_array(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
"""
BLOCK = 4096  # entries that a sum adds up before it starts anew, for accuracy
PARALLEL = 4_000_000  # operations from which on a loop is shared among threads


class Module(Products):
    """The text of a whole program."""

    def __init__(self, plan: Plan, wide: bool | None, threads: int = 1) -> None:
        self.threads = threads
        self.metadata = 0
        self.placed = 0  # index arrays that were read, which may be out of range
        self.plan, self.wide = plan, wide
        self.declared: dict[str, str] = {}
        self.functions: list[str] = []
        self.known: dict[str, str] = {}
        self.rows: dict[str, str] = {}
        self.objects: list[Any] = []  # of Python, behind the workspace in the table
        self.arena = 0

    def text(self, slots: dict[int, int], arena: int) -> str:
        """The module; `slots` are places in the table of pointers, `arena` the place of the workspace."""
        self.arena = arena
        f = Function(self.declared, "run", "ptr noalias %table", "i32")
        pointers: dict[int, str] = {}
        used: dict[int, Buffer] = {}
        for b in self.plan.buffers:
            used[b.number] = b
        base = f.c.fresh()
        f.line(f"{base} = load ptr, ptr {f.address('%table', str(arena), 'ptr')}")
        for b in used.values():
            name = f"%p{b.number}"
            if b.number in slots:
                f.line(f"{name} = load ptr, ptr {f.address('%table', str(slots[b.number]), 'ptr')}")
            else:
                f.line(f"{name} = getelementptr i8, ptr {base}, i64 {b.offset}")
            pointers[b.number] = name
        f.line("%bad = alloca i32")
        f.line("store i32 0, ptr %bad")
        self.steps(f, self.plan.steps)
        if self.placed:
            f.line("br label %whole")
            f.start("failed")
            f.line(f"ret i32 {MISPLACED}")
            f.start("whole")
        result = f.integer("load i32, ptr %bad")
        main = f.done(f"ret i32 {result}")
        notes = [f"!{k} = distinct !{{!{k}, !0}}" for k in range(1, self.metadata + 1)]
        if notes:
            notes.insert(0, '!0 = !{!"llvm.loop.unroll.disable"}')
        rows = [f"{name} = {row}" for row, name in self.rows.items()]
        return (
            "\n\n".join([*sorted(set(self.declared.values())), *rows, *self.functions, main, "\n".join(notes)]) + "\n"
        )

    def steps(self, f: Function, steps: list[Any]) -> None:
        """The steps in order, within `run`."""
        for s in steps:
            if isinstance(s, Nest):
                placed = self.placed
                self.nest(f, s)
                if self.placed > placed:
                    self.stop_if_bad(f)
            elif isinstance(s, FillStep):
                self.fill(f, s)
            elif isinstance(s, CopyStep):
                self.copy(f, f"%p{s.target.number}", f"%p{s.source.number}", s.source.bytes)
            elif isinstance(s, ProductStep):
                self.product(f, s)
            elif isinstance(s, CallStep):
                self.call(f, s)
            else:
                self.scan(f, s)

    def stop_if_bad(self, f: Function) -> None:
        """Return when an index was out of range: what follows may write into memory that was donated."""
        bad, after = f.integer("load i32, ptr %bad"), f.label("f")
        f.line(f"br i1 {f.integer(f'icmp ne i32 {bad}, 0')}, label %failed, label %{after}")
        f.start(after)

    def copy(self, f: Function, target: str, source: str, size: int) -> None:
        """Bytes from one place to another."""
        if size:
            self.declared["memcpy"] = (
                "declare void @llvm.memcpy.p0.p0.i64(ptr noalias writeonly, ptr noalias readonly, i64, i1)"
            )
            f.line(f"call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")

    def fill(self, f: Function, s: FillStep, pointer: str = "") -> None:
        """One number everywhere."""
        n = count(s.buffer.shape)
        pointer = pointer or f"%p{s.buffer.number}"
        if not n:
            return
        if s.value == 0:
            self.declared["memset"] = "declare void @llvm.memset.p0.i64(ptr writeonly, i8, i64, i1)"
            f.line(f"call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {s.buffer.bytes}, i1 false)")
            return
        i, head, leave, _ = f.loop("0", str(n))
        type = MEMORY[s.buffer.dtype.name]
        place = f.address(pointer, i, type)
        f.line(f"store {type} {literal(s.value, s.buffer.dtype.name)}, ptr {place}")
        f.end_loop(i, head, leave, str(n))

    # ---- calls of Python ---------------------------------------------------------------------------------------

    def object(self, f: Function, x: Any) -> str:
        """A pointer to a Python object, read from the end of the table."""
        place = next((k for k, o in enumerate(self.objects) if o is x), len(self.objects))
        if place == len(self.objects):
            self.objects.append(x)
        return f.integer(f"load ptr, ptr {f.address('%table', str(self.arena + 1 + place), 'ptr')}")

    def call(self, f: Function, s: CallStep) -> None:
        """An operation run by NumPy, on arrays that are views of our memory; what it raises stays raised."""
        self.declared["python"] = PYTHON
        state = f.integer("call i32 @PyGILState_Ensure()")
        views = s.views()
        row = self.alloca(f, f"[{len(views)} x ptr]")
        arrays: list[str] = []
        for k, v in enumerate(views):
            arrays.append(self.array(f, v))
            f.line(f"store ptr {arrays[-1]}, ptr {f.address(row, str(k), 'ptr')}")
        function = self.object(f, s.function)
        found = f.integer(f"call ptr @PyObject_Vectorcall(ptr {function}, ptr {row}, i64 {len(views)}, ptr null)")
        for a in arrays:
            f.line(f"call void @Py_DecRef(ptr {a})")
        raised, ran = f.label("e"), f.label("d")
        f.line(f"br i1 {f.integer(f'icmp eq ptr {found}, null')}, label %{raised}, label %{ran}")
        f.start(raised)
        f.line(f"call void @PyGILState_Release(i32 {state})")
        f.line(f"ret i32 {RAISED}")
        f.start(ran)
        f.line(f"call void @Py_DecRef(ptr {found})")
        f.line(f"call void @PyGILState_Release(i32 {state})")

    def array(self, f: Function, v: View) -> str:
        """A NumPy array over part of a buffer."""
        dtype = v.buffer.dtype
        lengths = self.lengths(v.shape)
        strides = self.lengths([s * dtype.itemsize for s in v.strides])
        data = f.address(f"%p{v.buffer.number}", str(v.start * dtype.itemsize), "i8")
        kind, descriptor = self.object(f, np.ndarray), self.object(f, dtype)
        f.line(f"call void @Py_IncRef(ptr {descriptor})")
        return f.integer(
            f"call ptr @chainrule_array(ptr {kind}, ptr {descriptor}, i32 {len(v.shape)}, ptr {lengths}, ptr {strides}, ptr {data}, "
            f"i32 {WRITEABLE}, ptr null)"
        )

    def lengths(self, numbers: Sequence[int]) -> str:
        """A constant row of integers."""
        text = ", ".join(f"i64 {n}" for n in numbers) or "i64 0"
        name = f"@row{len(self.rows)}"
        return self.rows.setdefault(f"internal constant [{max(len(numbers), 1)} x i64] [{text}]", name)

    # ---- loops -------------------------------------------------------------------------------------------------

    def nest(self, f: Function, nest: Nest) -> None:
        """A function for a nest, and its call. Nests with the same text share one function."""
        if nest.empty:
            return
        buffers = nest.buffers()
        local = {b.number: f"%a{k}" for k, b in enumerate(buffers)}
        written = {b.number for _, b, _, _, _ in nest.results}
        parameters = ", ".join(
            f"ptr noalias {'' if b.number in written else 'readonly '}%a{k}" for k, b in enumerate(buffers)
        )
        g = Function(
            self.declared,
            "NAME",
            f"{parameters}{', ' if parameters else ''}ptr %bad, i64 %lo, i64 %hi",
            attributes=" noinline nounwind",
        )
        g.head = g.head.replace("define void", "define internal void")
        g.rolled = True  # writing these loops out wins nothing, and takes LLVM as long again
        self.body(g, nest, local)
        text = g.done()
        name = self.known.get(text)
        if name is None:
            name = self.known[text] = f"loop{len(self.known)}"
            for k in range(g.ids):
                self.metadata += 1
                text = text.replace(f"!LOOP{k}.", f"!{self.metadata}")
            self.functions.append(text.replace("@NAME(", f"@{name}(", 1))
        pointers = [f"%p{b.number}" for b in buffers]
        length = nest.lengths[0] if nest.lengths else 1
        if self.threads > 1 and nest.parallel() and nest.work() > PARALLEL:
            self.parallel(f, name, nest, buffers, pointers, length)
        else:
            given = ", ".join([*(f"ptr {p}" for p in pointers), "ptr %bad", "i64 0", f"i64 {length}"])
            f.line(f"call void @{name}({given})")

    def parallel(
        self, f: Function, name: str, nest: Nest, buffers: list[Buffer], pointers: list[str], length: int
    ) -> None:
        """Share the outermost loop among threads; sums that all of them add to get a copy each, added up in order."""
        self.declared["pthread_create"] = "declare i32 @pthread_create(ptr, ptr, ptr, ptr)"
        self.declared["pthread_join"] = "declare i32 @pthread_join(i64, ptr)"
        task = f"task_{name}_{len(buffers)}"
        if task not in self.known:
            self.known[task] = task
            g = Function(self.declared, task, "ptr %box", "ptr")
            values: list[str] = []
            for k in range(len(buffers) + 3):
                type = "ptr" if k <= len(buffers) else "i64"
                values.append(f"{type} {g.integer(f'load {type}, ptr ' + g.address('%box', str(k), type))}")
            g.line(f"call void @{name}({', '.join(values)})")
            self.functions.append(g.done("ret ptr null").replace("define ptr", "define internal ptr"))
        shared = {b.number: (b, mode) for _, b, a, mode, _ in nest.results if mode != "store" and not a.coefficient(0)}
        t = self.threads
        bounds = [length * k // t for k in range(t + 1)]
        handles = self.alloca(f, f"[{t} x i64]")
        own: list[dict[int, str]] = []
        boxes: list[str] = []
        for k in range(t):
            mine: dict[int, str] = {}
            for number, (b, mode) in shared.items():
                if k:  # the first works on the result itself
                    mine[number] = self.alloca(f, f"[{max(b.bytes, 8)} x i8], align 64")
                    self.fill(f, FillStep(b, identity(mode, b.dtype)), mine[number])
            own.append(mine)
            box = self.alloca(f, f"[{len(buffers) + 3} x i64]")
            boxes.append(box)
            for j, (b, p) in enumerate(zip(buffers, pointers, strict=True)):
                f.line(f"store ptr {mine.get(b.number, p)}, ptr {f.address(box, str(j), 'ptr')}")
            f.line(f"store ptr %bad, ptr {f.address(box, str(len(buffers)), 'ptr')}")
            for j, bound in enumerate((bounds[k], bounds[k + 1])):
                f.line(f"store i64 {bound}, ptr {f.address(box, str(len(buffers) + 1 + j), 'i64')}")
        started: list[str] = []
        for k in range(1, t):
            at = f.address(handles, str(k), "i64")
            started.append(f.integer(f"call i32 @pthread_create(ptr {at}, ptr null, ptr @{task}, ptr {boxes[k]})"))
        f.integer(f"call ptr @{task}(ptr {boxes[0]})")
        for k in range(1, t):  # a thread that could not be made is done here
            ran, other, after = f.label("r"), f.label("o"), f.label("d")
            good = f.integer(f"icmp eq i32 {started[k - 1]}, 0")
            f.line(f"br i1 {good}, label %{ran}, label %{other}")
            f.start(ran)
            handle = f.integer(f"load i64, ptr {f.address(handles, str(k), 'i64')}")
            f.integer(f"call i32 @pthread_join(i64 {handle}, ptr null)")
            f.line(f"br label %{after}")
            f.start(other)
            f.integer(f"call ptr @{task}(ptr {boxes[k]})")
            f.line(f"br label %{after}")
            f.start(after)
            for number, (b, mode) in shared.items():
                n = str(count(b.shape))
                i, head, leave, _ = f.loop("0", n)
                dtype = b.dtype.name
                total = combine(f.c, mode, dtype, f.load(f"%p{number}", i, dtype), f.load(own[k][number], i, dtype))
                f.store(total, f"%p{number}", i, dtype)
                f.end_loop(i, head, leave, n)

    def alloca(self, f: Function, what: str) -> str:
        """Memory on the stack, taken once at the start of `run`, also where the use is in a loop."""
        name = f.c.fresh()
        f.c.lines.insert(1, f"{name} = alloca {what}")
        return name

    def body(self, g: Function, nest: Nest, local: dict[int, str]) -> None:
        """The loops of a nest."""
        variables: list[str] = []
        opened: list[tuple[str, str, str, str]] = []
        depth = len(nest.lengths)
        for k in range(depth - 1):
            high = "%hi" if k == 0 else str(nest.lengths[k])
            i, head, leave, _ = g.loop("%lo" if k == 0 else "0", high)
            variables.append(i)
            opened.append((i, head, leave, high))
        if depth:
            self._inner(g, nest, local, variables, depth)
        else:
            self._entry(g, nest, local, [], {})
        for i, head, leave, high in reversed(opened):
            g.end_loop(i, head, leave, high)

    def _inner(self, g: Function, nest: Nest, local: dict[int, str], variables: list[str], depth: int) -> None:
        """The innermost loop, with its sums in registers; long ones in blocks."""
        low, high = ("%lo", "%hi") if depth == 1 else ("0", str(nest.lengths[-1]))
        inner = depth - 1
        held = [
            k
            for k, (_, _, a, mode, at) in enumerate(nest.results)
            if mode != "store" and not at and not a.coefficient(inner)
        ]
        blocked = bool(held) and nest.lengths[-1] > BLOCK
        if blocked:
            size = g.integer(f"sub i64 {high}, {low}")
            blocks = g.integer(f"sdiv i64 {g.integer(f'add i64 {size}, {BLOCK - 1}')}, {BLOCK}")
            b, bhead, bleave, _ = g.loop("0", blocks, "b")
            start = g.integer(f"add i64 {low}, {g.integer(f'mul i64 {b}, {BLOCK}')}")
            stop = g.integer(f"add i64 {start}, {BLOCK}")
            over = g.integer(f"icmp slt i64 {stop}, {high}")
            outer_high = blocks
            low, high = start, g.integer(f"select i1 {over}, i64 {stop}, i64 {high}")
        before = g.block
        head, leave = g.label("l"), g.label("x")
        i = g.c.fresh()
        g.line(f"br label %{head}")
        g.start(head)
        g.line(f"{i} = phi i64 [ {low}, %{before} ], [ {i}n, %{head}b ]")
        held_names: dict[int, Value] = {}
        for k in held:
            _, buffer, _, mode, _ = nest.results[k]
            dtype = buffer.dtype.name
            name = g.c.fresh()
            g.line(
                f"{name} = phi {TYPES[dtype]} [ {literal(identity(mode, buffer.dtype), dtype)}, %{before} ], [ {name}n, %{head}b ]"
            )
            held_names[k] = Value(g.c, name, TYPES[dtype])
        after = self._entry(g, nest, local, [*variables, i], held_names)
        g.line(f"br label %{head}b")
        g.start(f"{head}b")
        for k, v in after.items():  # the sums get the names that the phi nodes know
            old = held_names[k]
            kind = f"select i1 true, {v.type} {v.name}, {v.type} {v.name}"
            g.line(f"{old.name}n = {kind}")
        g.line(f"{i}n = add nuw nsw i64 {i}, 1")
        again = g.integer(f"icmp slt i64 {i}n, {high}")
        g.again(again, head, leave)
        for k in held:
            _, buffer, a, mode, _ = nest.results[k]
            dtype, pointer = buffer.dtype.name, local[buffer.number]
            at = g.affine(a, [*variables, "0"])
            total = combine(
                g.c, mode, dtype, g.load(pointer, at, dtype), Value(g.c, f"{held_names[k].name}n", TYPES[dtype])
            )
            g.store(total, pointer, at, dtype)
        if blocked:
            g.end_loop(b, bhead, bleave, outer_high)  # pyright: ignore[reportPossiblyUnboundVariable]

    def _entry(
        self, g: Function, nest: Nest, local: dict[int, str], variables: list[str], held: dict[int, Value]
    ) -> dict[int, Value]:
        """The instructions for one entry; what became of the sums in registers."""
        c = g.c
        values: dict[int, Value] = {}
        for e in nest.order:
            args = [values[id(a)] for a in e.args]
            if e.kind == "const":
                values[id(e)] = Value(c, literal(e.data, e.dtype), TYPES[e.dtype])
            elif e.kind == "load":
                values[id(e)] = g.load(local[e.data[0].number], g.affine(e.data[1], variables), e.dtype)
            elif e.kind == "index":
                values[id(e)] = Value(c, g.affine(e.data, variables), "i64")
            elif e.kind == "gather":
                b, start, axes = e.data
                at = self._place(g, g.affine(start, variables), args, axes)
                values[id(e)] = g.load(local[b.number], at, e.dtype)
            else:
                values[id(e)] = instruction(c, e, args)
        after: dict[int, Value] = {}
        for k, (e, b, address, mode, at) in enumerate(nest.results):
            x, dtype, pointer = values[id(e)], b.dtype.name, local[b.number]
            if k in held:
                after[k] = combine(c, mode, dtype, held[k], x)
                continue
            place = g.affine(address, variables)
            if at:
                place = self._place(g, place, [values[id(p)] for p, _, _ in at], [(n, s) for _, n, s in at])
            if mode != "store":
                x = combine(c, mode, dtype, g.load(pointer, place, dtype), x)
            g.store(x, pointer, place, dtype)
        return after

    def _place(self, g: Function, start: str, places: list[Value], axes: list[tuple[int, int]]) -> str:
        """The address of an entry that index arrays give; what is out of range is noted, and read at 0."""
        c = g.c
        self.placed += 1
        total = start
        for x, (length, stride) in zip(places, axes, strict=True):
            negative = c.emit(f"icmp slt i64 {x.name}, 0", "i1")
            wrapped = c.select(negative, c.integer("add", x, length), x)
            good = c.emit(f"icmp ult i64 {wrapped.name}, {length}", "i1")
            old = c.emit("load i32, ptr %bad", "i32")
            g.line(f"store i32 {c.select(good, old, c.constant(1, 'i32')).name}, ptr %bad")
            safe = c.select(good, wrapped, c.constant(0, "i64"))
            step = c.integer("mul", safe, stride)
            total = g.integer(f"add i64 {total}, {step.name}")
        return total

    # ---- loops of the program ------------------------------------------------------------------------------------

    def scan(self, f: Function, s: ScanStep) -> None:
        """A loop whose body is a plan."""
        if s.test is None:
            if not s.length:
                return
            t, head, leave, _ = f.loop("0", str(s.length), "s")
        else:
            head, leave, t = f.label("w"), f.label("x"), "0"
            f.line(f"br label %{head}")
            f.start(head)
            self.steps(f, s.test.steps)
            assert s.condition is not None
            on = f.load(f"%p{s.condition.number}", "0", "bool")
            f.line(f"br i1 {on.name}, label %{head}b, label %{leave}")
            f.start(f"{head}b")
        for row, whole in s.rows:
            place = f.integer(f"mul i64 {t}, {row.bytes}")
            self.copy(f, f"%p{row.number}", f.address(f"%p{whole.number}", place, "i8"), row.bytes)
        self.steps(f, s.body.steps)
        for left, whole in s.stacked:
            place = f.integer(f"mul i64 {t}, {left.bytes}")
            self.copy(f, f.address(f"%p{whole.number}", place, "i8"), f"%p{left.number}", left.bytes)
        for to, fro in s.carry:
            if to is not fro:
                self.copy(f, f"%p{to.number}", f"%p{fro.number}", to.bytes)
        if s.test is None:
            f.end_loop(t, head, leave, str(s.length))
        else:
            f.line(f"br label %{head}")
            f.start(leave)
