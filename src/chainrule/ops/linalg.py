"""Matrix products."""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from ..ir.node import Spec
from . import shapes
from .broadcasting import broadcast_to, dtype_of, lifted, reshape, sum_to
from .kinds import Linear
from .shape import transpose


def matrix_transpose(x: Any) -> Any:
    """The last two axes exchanged."""
    n = np.ndim(x)
    return transpose(x, axes=(*range(-n, -2), -1, -2))


def _matmul_left(ct: Any, a: Any, b: Any) -> Any:
    if np.ndim(b) == 1:
        if np.ndim(a) <= 2:
            return ct * b if np.ndim(a) == 1 else outer(ct, b)
        return sum_to(_column(ct) * b, np.shape(a))
    if np.ndim(a) == 1:
        return matmul(b, ct) if np.ndim(b) == 2 else sum_to(_drop(matmul(b, _column(ct))), np.shape(a))
    return sum_to(matmul(ct, matrix_transpose(b)), np.shape(a))


def _matmul_right(ct: Any, a: Any, b: Any) -> Any:
    if np.ndim(a) == 1:
        if np.ndim(b) <= 2:
            return a * ct if np.ndim(b) == 1 else outer(a, ct)
        return sum_to(_column(a) * _row(ct), np.shape(b))
    if np.ndim(b) == 1:
        flat = matmul(matrix_transpose(a), ct) if np.ndim(a) == 2 else _drop(matmul(matrix_transpose(a), _column(ct)))
        return sum_to(flat, np.shape(b))
    return sum_to(matmul(matrix_transpose(a), ct), np.shape(b))


def _column(x: Any) -> Any:
    return reshape(x, shape=(*np.shape(x), 1))


def _row(x: Any) -> Any:
    return reshape(x, shape=(*np.shape(x)[:-1], 1, np.shape(x)[-1]))


def _drop(x: Any) -> Any:
    return reshape(x, shape=np.shape(x)[:-1])


def _product(op: Any, values: Any, params: Any) -> Spec | None:
    a, b = (Spec.of(v).shape for v in values)
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else -1]:
        return None  # NumPy says what is wrong
    lead = np.broadcast_shapes(a[:-2], b[:-2])
    return Spec((*lead, *(a[-2:-1] if len(a) > 1 else ()), *(b[-1:] if len(b) > 1 else ())), shapes.common(values))


def _matmul_batch(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Vectors become matrices with one row or column; then the batch axes broadcast.

    A batch of vectors times one matrix is a product of two matrices.
    """
    (a, b), (na, nb) = values, (np.ndim(v) - e for v, e in zip(values, each, strict=True))
    if na == 1 and nb == 2 and not each[1]:
        return op(a, b)
    if na == 2 and nb == 1 and not each[0]:
        return op(b, matrix_transpose(a))
    if na == 1:
        a = reshape(a, shape=(*np.shape(a)[:-1], 1, np.shape(a)[-1]))
    if nb == 1:
        b = reshape(b, shape=(*np.shape(b), 1))
    ndim = max(na, nb, 2)
    out = op(lifted(a, each[0], ndim), lifted(b, each[1], ndim))
    shape = np.shape(out)
    tail = (() if na == 1 else shape[-2:-1]) + (() if nb == 1 else shape[-1:])
    return out if na > 1 and nb > 1 else reshape(out, shape=(*shape[:-2], *tail))


def _entries(node: Any, k: int) -> tuple[Any, Any] | None:
    """A constant matrix times a vector: the entries that are not zero."""
    matrix: Any = node.inputs[0]
    constant = isinstance(matrix, np.ndarray) and matrix.ndim == 2
    return np.nonzero(matrix) if k == 1 and constant and np.ndim(node.values[1]) == 1 else None  # type: ignore[return-value]


MATMUL = tuple(
    (shapes, {})
    for shapes in (
        ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)),
        ((2, 1, 2, 3), (3, 3, 2)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((0, 3), (3, 2)),
    )
)  # fmt: skip
matmul = Linear(
    "matmul",
    np.matmul,
    (_matmul_left, _matmul_right),
    numpy=(np.matmul,),
    infix=("@", 20),
    latex="{0} {1}",
    shape=_product,
    batch=_matmul_batch,
    pattern=_entries,
    cost=lambda n: math.prod(n.shape) * (2 * np.shape(n.values[0])[-1] - 1),
    rule="product of matrices",
    factors=2,
    neutral={0: "identity", 1: "identity"},
    examples=MATMUL,
)


def _outer_batch(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    left, right = (("z" if e else "") + letter for e, letter in zip(each, "ij", strict=True))
    return einsum(*values, subscripts=f"{left},{right}->zij")


outer = Linear(
    "outer",
    np.outer,
    (lambda ct, a, b: matmul(ct, b), lambda ct, a, b: matmul(a, ct)),
    text="np.outer({0}, {1})",
    shape=lambda op, values, params: Spec((*np.shape(values[0]), *np.shape(values[1])), shapes.common(values)),
    batch=_outer_batch,
    rule="outer product",
    factors=2,
    examples=((((2,), (3,)), {}),),
    latex=r"{0} {1}^\top",
    doc="The outer product of two vectors.",
    torch="torch.outer",
)


def _einsum_back(i: int, ct: Any, *args: Any, subscripts: str) -> Any:
    """Exchange the output with operand `i`; an index repeated in it, or found nowhere else, gets a factor of its own."""
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    shape = np.shape(args[i])
    spare = iter(c for c in string.ascii_letters if c not in subscripts)
    target = ""
    operands = [ct, *(a for k, a in enumerate(args) if k != i)]
    letters = [output, *(t for k, t in enumerate(terms) if k != i)]
    for c, n in zip(terms[i], shape, strict=True):
        if c in target:  # a diagonal was taken: put the cotangent back on it
            d = next(spare)
            operands.append(np.eye(n, dtype=dtype_of(ct)))
            letters.append(c + d)
            target += d
        else:
            target += c
    have = set("".join(letters))
    missing = [c for c in dict.fromkeys(target) if c not in have]
    kept = "".join(c for c in target if c not in missing)
    result = einsum(*operands, subscripts=f"{','.join(letters)}->{kept}")
    if missing:  # summed over and seen nowhere else: the cotangent is the same along it
        result = reshape(result, shape=tuple(1 if c in missing else n for c, n in zip(target, shape, strict=True)))
        result = broadcast_to(result, shape=shape)
    return result


def _sizes(subscripts: str, values: Any) -> dict[str, int]:
    """The length of the axis that each letter stands for."""
    terms = subscripts.split("->")[0].split(",")
    return {c: n for t, v in zip(terms, values, strict=True) for c, n in zip(t, np.shape(v), strict=True)}


def _summed(op: Any, values: Any, params: Any) -> Spec:
    sizes = _sizes(params["subscripts"], values)
    return Spec(tuple(sizes[c] for c in params["subscripts"].split("->")[1]), shapes.common(values))


def _einsum_batch(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    inputs, output = params["subscripts"].split("->")
    letter = next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in params["subscripts"])
    terms = [letter * e + t for t, e in zip(inputs.split(","), each, strict=True)]
    return op(*values, subscripts=f"{','.join(terms)}->{letter}{output}")


einsum = Linear(
    "einsum",
    lambda *operands, subscripts: np.einsum(subscripts, *operands, optimize=len(operands) > 2),
    _einsum_back,
    text=lambda args, node: f"np.einsum({node.params['subscripts']!r}, {', '.join(args)})",
    shape=_summed,
    batch=_einsum_batch,
    factors=2,
    cost=lambda n: len(n.inputs) * math.prod(_sizes(n.params["subscripts"], n.values).values()),
    examples=tuple(
        (shapes, {"subscripts": subscripts})
        for subscripts, shapes in {
            "ij,jk->ik": ((2, 3), (3, 4)),
            "ii->": ((3, 3),),
            "ii->i": ((3, 3),),
            "ij->j": ((2, 3),),
            "i,ij,j->": ((2,), (2, 3), (3,)),
            "bij,bjk->bik": ((2, 2, 3), (2, 3, 2)),
            "iij,j->i": ((2, 2, 3), (3,)),
        }.items()
    ),
    doc="Sums of products by index letters; explicit subscripts without an ellipsis.",
    torch=lambda args, node: f"torch.einsum({node.params['subscripts']!r}, {', '.join(args)})",
)
