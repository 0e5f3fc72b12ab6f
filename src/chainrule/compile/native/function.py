"""A function of LLVM being written: blocks, counted loops, memory."""

from __future__ import annotations

import numpy as np

from .index import Affine
from .instructions import MEMORY
from .mathlib import Code, Value, hexadecimal


def literal(x: float, dtype: str) -> str:
    """A number as LLVM writes it."""
    if dtype == "bool":
        return str(int(bool(x)))
    if dtype.startswith("float"):
        return hexadecimal(float(np.float32(x)) if dtype == "float32" else float(x))
    return str(int(x))


class Function:
    """A function being written: blocks, loops, memory."""

    def __init__(
        self, declared: dict[str, str], name: str, parameters: str, result: str = "void", attributes: str = ""
    ) -> None:
        self.c = Code()
        self.c.declared = declared
        self.head = f"define {result} @{name}({parameters}){attributes} {{"
        self.c.lines.append("entry:")
        self.block, self.labels = "entry", 0
        self.rolled = False  # whether loops are to stay loops
        self.ids = 0

    def label(self, word: str) -> str:
        """A new label."""
        self.labels += 1
        return f"{word}{self.labels}"

    def start(self, label: str) -> None:
        """Begin a block."""
        self.c.lines.append(f"{label}:")
        self.block = label

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self.c.lines.append(text)

    def address(self, pointer: str, at: str, type: str) -> str:
        """The place of an entry."""
        name = self.c.fresh()
        self.line(f"{name} = getelementptr inbounds {type}, ptr {pointer}, i64 {at}")
        return name

    def integer(self, text: str) -> str:
        """An i64 instruction; its name."""
        name = self.c.fresh()
        self.line(f"{name} = {text}")
        return name

    def affine(self, a: Affine, variables: list[str]) -> str:
        """An address as i64."""
        total = str(a.constant)
        for v, k in a.terms:
            step = variables[v] if k == 1 else self.integer(f"mul nsw i64 {variables[v]}, {k}")
            total = step if total == "0" else self.integer(f"add nsw i64 {total}, {step}")
        return total

    def load(self, pointer: str, at: str, dtype: str) -> Value:
        """An entry of memory."""
        place = self.address(pointer, at, MEMORY[dtype])
        x = self.c.emit(f"load {MEMORY[dtype]}, ptr {place}", MEMORY[dtype])
        return self.c.emit(f"icmp ne i8 {x.name}, 0", "i1") if dtype == "bool" else x

    def store(self, x: Value, pointer: str, at: str, dtype: str) -> None:
        """Put a value into memory."""
        place = self.address(pointer, at, MEMORY[dtype])
        if dtype == "bool":
            x = self.c.emit(f"zext i1 {x.name} to i8", "i8")
        self.line(f"store {MEMORY[dtype]} {x.name}, ptr {place}")

    def loop(self, low: str, high: str, word: str = "l") -> tuple[str, str, str, str]:
        """Begin a counted loop that runs at least once; (counter, head label, exit label, block before)."""
        head, leave, before = self.label(word), self.label("x"), self.block
        counter = self.c.fresh()
        self.line(f"br label %{head}")
        self.start(head)
        self.line(f"{counter} = phi i64 [ {low}, %{before} ], [ {counter}n, %{head}b ]")
        del high
        return counter, head, leave, before

    def end_loop(self, counter: str, head: str, leave: str, high: str) -> None:
        """End a counted loop."""
        self.line(f"br label %{head}b")
        self.start(f"{head}b")
        self.line(f"{counter}n = add nuw nsw i64 {counter}, 1")
        again = self.integer(f"icmp slt i64 {counter}n, {high}")
        self.again(again, head, leave)

    def again(self, condition: str, head: str, leave: str) -> None:
        """The branch at the end of a loop, and the block behind it. A loop that is to stay one gets a number (`!LOOP`)."""
        note = ""
        if self.rolled:
            note, self.ids = f", !llvm.loop !LOOP{self.ids}.", self.ids + 1
        self.line(f"br i1 {condition}, label %{head}, label %{leave}{note}")
        self.start(leave)

    def done(self, result: str = "ret void") -> str:
        """The text of the function."""
        self.line(result)
        return "\n".join([self.head, *(line if line.endswith(":") else f"  {line}" for line in self.c.lines), "}"])
