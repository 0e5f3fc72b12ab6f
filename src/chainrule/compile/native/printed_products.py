"""Matrix products in LLVM's text: calls of BLAS, and small ones written out."""

from __future__ import annotations

from typing import Any

from .function import Function, literal
from .index import Affine, count
from .instructions import MEMORY, TYPES
from .memory import Unsupported, View
from .steps import ProductStep

TINY = 3000  # multiplications below which a product is written out as loops


class Products:
    """The part of a module that writes products; `wide` says whether BLAS takes integers of 64 bits, None that there is none."""

    wide: bool | None
    declared: dict[str, str]
    functions: list[str]
    known: dict[str, str]

    # ---- products ----------------------------------------------------------------------------------------------

    def product(self, f: Function, s: ProductStep) -> None:
        """A matrix product, or one for each entry of a batch."""
        dtypes = {s.a.buffer.dtype.name, s.b.buffer.dtype.name, s.c.buffer.dtype.name}
        if len(dtypes) != 1:
            raise Unsupported(f"a product of {', '.join(sorted(dtypes))}")
        if not count(s.c.shape):
            return
        variables: list[str] = []
        opened: list[tuple[str, str, str, str]] = []
        for n in s.batch:
            i, head, leave, _ = f.loop("0", str(n))
            variables.append(i)
            opened.append((i, head, leave, str(n)))
        dtype = s.c.buffer.dtype.name
        nb = len(s.batch)

        def at(v: View) -> str:
            total = Affine(v.start, tuple((k, st) for k, st in enumerate(v.strides[:nb]) if st))
            return f.address(f"%p{v.buffer.number}", f.affine(total, variables), MEMORY[dtype])

        m, k, n = s.sizes
        a, b, c = at(s.a), at(s.b), at(s.c)
        sa, sb, sc = s.a.strides[nb:], s.b.strides[nb:], s.c.strides[nb:]
        if m * k * n <= TINY or dtype not in ("float32", "float64") or self.wide is None:
            self.small(f, (m, k, n), (a, sa), (b, sb), (c, sc), dtype)
        else:
            self.blas(f, (m, k, n), (a, sa), (b, sb), (c, sc), dtype)
        for i, head, leave, high in reversed(opened):
            f.end_loop(i, head, leave, high)

    def small(self, f: Function, sizes: Any, a: Any, b: Any, c: Any, dtype: str) -> None:
        """A small product as loops: a row of C at a time, in registers where LLVM can keep it."""
        m, k, n = sizes
        type = MEMORY[dtype]
        if dtype == "bool":
            raise Unsupported("a product of booleans")
        g = Function(
            self.declared,
            "NAME",
            "ptr noalias readonly %a, ptr noalias readonly %b, ptr noalias %c",
            attributes=" noinline nounwind",
        )
        g.head = g.head.replace("define void", "define internal void")
        zero = literal(0, dtype)
        if k == 0:
            raise Unsupported("a product over nothing")
        i, ihead, ileave, _ = g.loop("0", str(m))
        j0, jhead, jleave, _ = g.loop("0", str(n))
        place = g.affine(Affine(0, ((0, c[1][0]), (1, c[1][1]))), [i, j0])
        g.line(f"store {type} {zero}, ptr {g.address('%c', place, type)}")
        g.end_loop(j0, jhead, jleave, str(n))
        t, thead, tleave, _ = g.loop("0", str(k))
        x = g.load("%a", g.affine(Affine(0, ((0, a[1][0]), (1, a[1][1]))), [i, t]), dtype)
        j, jhead, jleave, _ = g.loop("0", str(n))
        y = g.load("%b", g.affine(Affine(0, ((0, b[1][0]), (1, b[1][1]))), [t, j]), dtype)
        place = g.affine(Affine(0, ((0, c[1][0]), (1, c[1][1]))), [i, j])
        old = g.load("%c", place, dtype)
        new = g.c.fma(x, y, old) if dtype.startswith("float") else g.c.integer("add", g.c.integer("mul", x, y), old)
        g.store(new, "%c", place, dtype)
        g.end_loop(j, jhead, jleave, str(n))
        g.end_loop(t, thead, tleave, str(k))
        g.end_loop(i, ihead, ileave, str(m))
        text = g.done()
        name = self.known.get(text)
        if name is None:
            name = self.known[text] = f"small{len(self.known)}"
            self.functions.append(text.replace("@NAME(", f"@{name}(", 1))
        f.line(f"call void @{name}(ptr {a[0]}, ptr {b[0]}, ptr {c[0]})")

    def blas(self, f: Function, sizes: Any, a: Any, b: Any, c: Any, dtype: str) -> None:
        """A product by NumPy's BLAS."""
        m, k, n = sizes
        integer, type = "i64" if self.wide else "i32", TYPES[dtype]
        letter = "s" if dtype == "float32" else "d"
        one, zero = literal(1, dtype), literal(0, dtype)

        def layout(steps: tuple[int, int], rows: int, columns: int) -> tuple[int, int] | None:
            """(111 as it is or 112 transposed, leading dimension)."""
            if (steps[1] == 1 or columns == 1) and (steps[0] >= columns or rows == 1):
                return 111, max(steps[0], columns, 1) if rows > 1 else columns
            if (steps[0] == 1 or rows == 1) and (steps[1] >= rows or columns == 1):
                return 112, max(steps[1], rows, 1) if columns > 1 else rows
            return None

        if n == 1 or m == 1:  # a matrix and a vector
            (mp, ms), (vp, vs), rows, cs = (
                (a, (b[0], b[1][0]), m, c[1][0])
                if n == 1
                else ((b[0], (b[1][1], b[1][0])), (a[0], a[1][1]), n, c[1][1])
            )
            found = layout(ms, rows, k)
            if found is None or vs <= 0 or (cs <= 0 and rows > 1):
                return self.small(f, sizes, a, b, c, dtype)
            name = f"chainrule_{letter}gemv"
            r, q = (rows, k) if found[0] == 111 else (k, rows)
            self.declared[name] = (
                f"declare void @{name}(i32, i32, {integer}, {integer}, {type}, ptr, {integer}, ptr, {integer}, {type}, ptr, {integer})"
            )
            f.line(
                f"call void @{name}(i32 101, i32 {found[0]}, {integer} {r}, {integer} {q}, {type} {one}, ptr {mp}, {integer} {found[1]}, "
                f"ptr {vp}, {integer} {vs}, {type} {zero}, ptr {c[0]}, {integer} {max(cs, 1)})"
            )
            return None
        if c[1][1] != 1:  # C is stored by columns: C^T = B^T A^T
            if c[1][0] != 1:
                return self.small(f, sizes, a, b, c, dtype)
            bt, at, ct = ((x[0], (x[1][1], x[1][0])) for x in (b, a, c))
            return self.blas(f, (n, k, m), bt, at, ct, dtype)
        left, right = layout(a[1], m, k), layout(b[1], k, n)
        if left is None or right is None or c[1][0] < n:
            return self.small(f, sizes, a, b, c, dtype)
        name = f"chainrule_{letter}gemm"
        self.declared[name] = (
            f"declare void @{name}(i32, i32, i32, {integer}, {integer}, {integer}, {type}, ptr, {integer}, ptr, {integer}, {type}, ptr, {integer})"
        )
        f.line(
            f"call void @{name}(i32 101, i32 {left[0]}, i32 {right[0]}, {integer} {m}, {integer} {n}, {integer} {k}, {type} {one}, "
            f"ptr {a[0]}, {integer} {left[1]}, ptr {b[0]}, {integer} {right[1]}, {type} {zero}, ptr {c[0]}, {integer} {c[1][0]})"
        )
        return None
