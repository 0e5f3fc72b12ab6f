"""The staged program as a `torch.autograd.Function`, whose backward reads as if written by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import InputError
from ..ops.loops import Loop
from .guards import header
from .languages import OF_MODEL, TORCH_HELPERS, TORCH_LANGUAGE
from .lines import Lines
from .python import Program
from .staged import LoopLine, Staged


def torch_program(staged: Staged, free: Sequence[int] = ()) -> Program:
    """Write a staged program as a class with `forward` and `backward`.

    Args:
        free: the positions of the inputs whose first axis may have any length.

    Raises:
        InputError: an operation has no form in torch, or the program has loops.
    """
    if any(isinstance(n.op, Loop) for n in staged.live_stages) or any(isinstance(x, LoopLine) for x in staged.lines):
        raise InputError("a program with loops is not written for torch", "use jit(f, backend='torch')", where="")
    constants: dict[str, object] = {}
    lines = Lines(staged, constants, TORCH_LANGUAGE)
    rows, back = lines.forward(), lines.backward()
    if constants:
        raise InputError(
            f"the program needs {len(constants)} large constant arrays, which are not written down",
            "make them arguments of the function",
            where="",
        )
    output = lines.names[staged.output]
    seed = staged.gradient_names[staged.output]
    if (
        staged.seed is None and staged.output in staged.inputs
    ):  # the result is an argument, whose gradient has that name
        seed = f"{seed}_given"
    inputs = [lines.names[v] for v in staged.inputs]
    rows = [(t.replace(OF_MODEL, inputs[0]), number) for t, number in rows]
    back = [(t.replace(OF_MODEL, seed), number) for t, number in back]
    width = min(72, max((len(t) for t, number in (*rows, *back) if number), default=0))

    def shown(text: str, number: int) -> str:
        return f"        {text:<{width}}  # ({number})" if number else f"        {text}"

    known = [*inputs, *(lines.names[n] for n in staged.live_stages)]
    body = "\n".join(t for t, _ in back)
    saved = [n for n in dict.fromkeys(known) if re.search(rf"\b{re.escape(n)}\b", body)]
    wanted = {lines.names[v]: staged.gradient_names[v] for v in staged.wrt}
    scaled = staged.seed is None
    results = ", ".join(
        ("None" if i not in wanted else f"{seed} * {wanted[i]}" if scaled else wanted[i]) for i in inputs
    )
    unpack = f"        {', '.join(saved)}{',' if len(saved) == 1 else ''} = ctx.saved_tensors"
    name = re.sub(r"[^0-9a-zA-Z]", " ", staged.name).title().replace(" ", "") or "F"
    text = "\n".join(
        [
            f"class {name}(torch.autograd.Function):",
            "    @staticmethod",
            f"    def forward(ctx, {', '.join(inputs)}):",
            *(shown(*r) for r in (*header(lines, staged.inputs, free), *rows)),
            *([f"        ctx.save_for_backward({', '.join(saved)})"] if saved else []),
            f"        return {output}",
            "",
            "    @staticmethod",
            f"    def backward(ctx, {seed}):",
            "        if torch.is_grad_enabled():",
            '            raise RuntimeError("this backward pass is for first derivatives: call it without create_graph")',
            *([unpack] if saved else []),
            *(shown(*r) for r in back),
            f"        return {results}",
        ]
    )
    helpers: list[str] = []
    for h in reversed(TORCH_HELPERS.strip().split("\n\n\n")):  # a helper may need one that stands before it
        if f"{h.strip()[4:].split('(')[0]}(" in text + "\n".join(helpers):
            helpers.insert(0, h.strip())
    head = [
        *(["import itertools", ""] if any("itertools." in h for h in helpers) else []),
        "import torch",
        "",
        "",
        *(line for h in helpers for line in (*h.splitlines(), "", "")),
    ]
    made = Program("\n".join([*head, text]) + "\n")
    made.constants, made.functions, made.name = {}, staged.functions, name
    return made
