"""Matrix products."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from .broadcasting import broadcast_to, dtype_of, reshape, sum_to
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
    examples=MATMUL,
)
outer = Linear(
    "outer",
    np.outer,
    (lambda ct, a, b: matmul(ct, b), lambda ct, a, b: matmul(a, ct)),
    text="np.outer({0}, {1})",
    examples=((((2,), (3,)), {}),),
    latex=r"{0} {1}^\top",
    doc="The outer product of two vectors.",
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


einsum = Linear(
    "einsum",
    lambda *operands, subscripts: np.einsum(subscripts, *operands, optimize=len(operands) > 2),
    _einsum_back,
    text=lambda args, node: f"np.einsum({node.params['subscripts']!r}, {', '.join(args)})",
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
)
