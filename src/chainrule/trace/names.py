"""The user's own names for values, read from the instruction that follows the one which made the value."""

from __future__ import annotations

import builtins
import dis
import functools
import keyword
import re
import unicodedata
from collections.abc import Iterable
from types import CodeType

from ..ir.node import Node
from ..ir.op import Op
from ..ops.arithmetic import add, multiply, subtract
from ..ops.exponential import power
from ..ops.indexing import getitem, index_add, index_set
from ..ops.linalg import matmul
from ..ops.primitive import Primitive
from ..ops.structured import pick

_SKIPPED = ("CACHE", "NOP", "COPY", "DUP_TOP", "EXTENDED_ARG", "PRECALL")
_RETURNS = ("RETURN_VALUE",)


@functools.lru_cache(maxsize=512)
def _following(code: CodeType) -> dict[int, tuple[str, str]]:
    """For each instruction, the (opname, name) of the next one that does something."""
    found: dict[int, tuple[str, str]] = {}
    after = ("", "")
    unpacked: list[str] = []
    for step in reversed(list(dis.get_instructions(code))):
        found[step.offset] = after
        if step.opname not in _SKIPPED:
            stored = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            names = [n for n in stored if isinstance(n, str)]
            if step.opname.startswith("UNPACK"):  # a, b = ...: the names that follow, one for each
                after = "UNPACK", ",".join(unpacked[: step.arg])
            else:
                after = step.opname, names[0] if names else ""
            unpacked = [*names, *unpacked] if step.opname.startswith("STORE_") else []
    for offset in range(0, len(code.co_code), 2):  # a frame inside a call may stand on a cache entry of the call
        found.setdefault(offset, found.get(offset - 2, ("", "")))
    return found


def user_name(node: Node) -> str | None:
    """The name that the user's code gives to a value: `g` for `g = x + y`; None when it gives none.

    Several results of a primitive have their names one by one.
    """
    if isinstance(node.op, Primitive) and node.op.outputs:
        return None
    if node.given_name is None and node.op in (index_set, index_add) and type(node.inputs[0]) is Node:
        inner = node.inputs[0]
        while inner.given_name is None and inner.op is node.op and type(inner.inputs[0]) is Node:
            inner = inner.inputs[0]
        return user_name(inner) if inner.op is not node.op else inner.given_name
    if node.given_name is not None:
        return node.given_name
    for code, lasti in node.calls:
        opname, name = _following(code).get(lasti, ("", ""))
        if opname == "UNPACK":
            names = name.split(",")
            index = node.params.get("index") if node.op is pick else None
            found = names[index] if isinstance(index, int) and index < len(names) else None
            return None if found == "_" else found
        if opname.startswith("STORE_") and opname != "STORE_SUBSCR":
            return name
        if opname not in _RETURNS:
            return None
    return None


def leaf_name(label: str) -> str:
    """`p['w'][0]` as the identifier `w0`, `x` as `x`."""
    head, *steps = [s.strip("]'\"") for s in label.replace(".", "[").split("[")]
    if not steps:
        return head
    words = [s for s in steps if not s.lstrip("-").isdigit()]
    digits = [s for s in steps if s.lstrip("-").isdigit()]
    return "_".join([*(words or [head]), *digits])


class Namer:
    """Hands out identifiers, each once."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self.taken = {*reserved, *keyword.kwlist, *dir(builtins)}
        self.next: dict[str, int] = {}

    def __call__(self, wanted: str) -> str:
        base = re.sub(r"\W", "_", unicodedata.normalize("NFKC", wanted)) or "v"
        base = base if base.isidentifier() else f"v_{base}"
        name, k = base, self.next.get(base, 2)
        stem = base[:-1] if base.endswith("1") and len(base) > 2 else base + ("_" if base[-1].isdigit() else "")
        while name in self.taken:
            name, k = f"{stem}{k}", k + 1
        self.next[base] = k
        self.taken.add(name)
        return name


def names_for(
    nodes: Iterable[Node], given: dict[Node, str], output: Node | None, output_name: str, reserved: Iterable[str] = ()
) -> dict[Node, str]:
    """A name for every node: the given ones, the user's own, and for the rest one that says what was done to what."""
    namer = Namer(reserved)
    names = {n: namer(name) for n, name in given.items()}
    nodes = [n for n in nodes if n not in names]
    wanted = {n: user_name(n) for n in nodes}
    if output is not None and output not in names and wanted.get(output) is None:
        wanted[output] = output_name
    for n in nodes:
        names[n] = namer(wanted[n] or _described(n, names))
    return names


_JOINED: dict[Op, str] = {add: "p", subtract: "m", multiply: "", matmul: ""}


def _described(node: Node, names: dict[Node, str]) -> str:
    """`exp_x` for exp(x), `x_sq` for x**2, `Wx` for W @ x, `xpy` for x + y; the operation and a number for the rest."""
    source = node.parents[0].op if node.op is pick else None
    if isinstance(source, Primitive):
        return source.outputs[node.params["index"]]
    parts = [names.get(p, "") for p in node.parents]
    if len(parts) == 1 and len(parts[0]) <= 8:
        if node.op is power and node.inputs[1] in (2, 3):
            return f"{parts[0]}_{'sq' if node.inputs[1] == 2 else 'cu'}"
        if node.op is getitem and len(node.params["index"]) == 1 and isinstance(node.params["index"][0], int):
            return f"{parts[0]}_{node.params['index'][0]}".replace("-", "m")
        if len(node.inputs) == 1:
            return f"{node.op.word}_{parts[0]}"
    if len(parts) == 2 and node.op in _JOINED and max(map(len, parts)) <= 2:
        return parts[0] + _JOINED[node.op] + parts[1]
    return f"{node.op.word}1"
