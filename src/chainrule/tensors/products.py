"""torch's products of vectors, matrices and tensors. Both sides must have one dtype, as in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.recording import Handle, record
from ..ops import linalg as la
from ..trace import functions as fn
from ..trace.handles import constant_like
from .arranging import roll
from .axes import axis_of
from .promotion import converted, wide
from .reductions import sum as total
from .shapes import cat, diagonal, permute, reshape
from .views import Part


def _alike(name: str, *xs: Any) -> None:
    """Raise unless all are tensors, or arrays, of one dtype."""
    for x in xs:
        if not isinstance(x, (Handle, np.ndarray)):
            raise InputError(f"{name} takes tensors; got {type(x).__name__}", "make it one with torch.tensor")
    if any(x.dtype != xs[0].dtype for x in xs) and all(isinstance(x, Handle) for x in xs):
        raise InputError(
            f"{name}: expected the tensors to have the same dtype, but got {', '.join(str(x.dtype) for x in xs)}",
            "convert one of them: x.to(y.dtype)",
        )


def _axes(name: str, *wanted: tuple[Any, int]) -> None:
    for x, n in wanted:
        if len(x.shape) != n:
            raise ShapeError(f"{name} expects {n} axes; a tensor has shape {list(x.shape)}")


@wide
def matmul(input: Any, other: Any) -> Any:
    """The matrix product, broadcast over axes in front; of two vectors the dot product."""
    _alike("matmul", input, other)
    if not len(input.shape) or not len(other.shape):
        raise ShapeError("both arguments to matmul need to be at least 1D", "use * for numbers")
    return record(la.matmul, (input, other))


def mm(input: Any, mat2: Any) -> Any:
    """The product of two matrices."""
    _axes("mm", (input, 2), (mat2, 2))
    return matmul(input, mat2)


def bmm(input: Any, mat2: Any) -> Any:
    """The products of matrices, one for each entry of the first axis."""
    _axes("bmm", (input, 3), (mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError(f"bmm: the batches differ: {list(input.shape)} and {list(mat2.shape)}")
    return matmul(input, mat2)


def mv(input: Any, vec: Any) -> Any:
    """A matrix times a vector."""
    _axes("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


def dot(input: Any, tensor: Any) -> Any:
    """The dot product of two vectors."""
    _axes("dot", (input, 1), (tensor, 1))
    return matmul(input, tensor)


def vdot(input: Any, other: Any) -> Any:
    """The dot product of two vectors, the first conjugated."""
    return dot(input if input.dtype.kind != "c" else np.conj(input), other)


def inner(input: Any, other: Any) -> Any:
    """The dot products of all vectors along the last axes."""
    _alike("inner", input, other)
    if not len(input.shape) or not len(other.shape):
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise ShapeError(f"inner(): the last axes differ: {list(input.shape)} and {list(other.shape)}")
    return tensordot(input, other, ([-1], [-1]))


def outer(input: Any, vec2: Any) -> Any:
    """Every entry of one vector times every entry of another."""
    _axes("outer", (input, 1), (vec2, 1))
    return reshape(input, (-1, 1)) * vec2 if input.shape[0] else input.new_zeros((0, vec2.shape[0]))


@wide
def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """Products summed over so many axes, or over those that are named."""
    _alike("tensordot", a, b)
    na, nb = len(a.shape), len(b.shape)
    if isinstance(dims, int):
        if not 0 <= dims <= min(na, nb):
            raise ShapeError(f"tensordot expects dims >= 0 and at most the axes of both, but got dims={dims}")
        left, right = [*range(na - dims, na)], [*range(dims)]
    else:
        left, right = (
            [axis_of(x, k) % max(len(x.shape), 1) for k in (d if isinstance(d, Sequence) else [d])]
            for x, d in zip((a, b), dims, strict=True)
        )
    if len(left) != len(right):
        raise ShapeError("tensordot: both dimension lists should have same length")
    for i, j in zip(left, right, strict=True):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise ShapeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} and second {b.shape[j]}"
            )
        if a.shape[i] != b.shape[j]:
            one = b.shape[j] == 1
            a, b = (total(a, i, True, dtype=a.dtype), b) if one else (a, total(b, j, True, dtype=b.dtype))
    rest_a, rest_b = [k for k in range(na) if k not in left], [k for k in range(nb) if k not in right]
    shape = tuple(a.shape[k] for k in rest_a) + tuple(b.shape[k] for k in rest_b)
    inner_size = int(np.prod([a.shape[i] for i in left]))
    x = reshape(permute(a, rest_a + left), (int(np.prod([a.shape[k] for k in rest_a])), inner_size))
    y = reshape(permute(b, right + rest_b), (inner_size, int(np.prod([b.shape[k] for k in rest_b]))))
    return reshape(record(la.matmul, (x, y)), shape)


def einsum(equation: str, *operands: Any) -> Any:
    """Products summed as the letters say: "ij,jk->ik"."""
    if not isinstance(equation, str):
        raise InputError("einsum takes the equation as a string first", "write torch.einsum('ij,jk->ik', a, b)")
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    _alike("einsum", *given)
    if given[0].dtype.kind not in "fc":
        raise InputError(f"einsum is not supported for {given[0].dtype}", "convert: x.float()")
    made = fn.einsum(equation, *given)
    if len(given) == 1 and made.node.op is la.einsum and made.node.inputs == (given[0].node,):  # in torch often a view
        return type(made)(made.node, Part(given[0], la.einsum, made.node.params))
    return made


def _sum_of(input: Any, product: Any, beta: Any, alpha: Any) -> Any:
    """beta * input + alpha * product; what is multiplied by zero does not count, NaN or not."""
    scaled = product if alpha == 1 else converted(alpha, product.dtype) * product
    if beta == 0:
        return scaled
    shape = np.broadcast_shapes(tuple(input.shape), tuple(product.shape))
    if shape != tuple(product.shape):
        raise ShapeError(
            f"the added tensor {list(input.shape)} does not broadcast to the product {list(product.shape)}"
        )
    return (input if beta == 1 else converted(beta, input.dtype) * input) + scaled


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta input + alpha mat1 mat2."""
    _alike("addmm", input, mat1, mat2)
    return _sum_of(input, mm(mat1, mat2), beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta input + alpha mat vec."""
    _alike("addmv", input, mat, vec)
    return _sum_of(input, mv(mat, vec), beta, alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta input + alpha batch1 batch2, matrix by matrix."""
    _alike("baddbmm", input, batch1, batch2)
    return _sum_of(input, bmm(batch1, batch2), beta, alpha)


def trace(input: Any) -> Any:
    """The sum of the diagonal of a matrix."""
    _axes("trace", (input, 2))
    return total(diagonal(input))


def kron(input: Any, other: Any) -> Any:
    """Every entry of one times the whole of the other."""
    n = max(len(input.shape), len(other.shape))
    a, b = (reshape(x, (1,) * (n - len(x.shape)) + tuple(x.shape)) for x in (input, other))
    left = reshape(a, tuple(m for s in a.shape for m in (s, 1)))
    right = reshape(b, tuple(m for s in b.shape for m in (1, s)))
    return reshape(left * right, tuple(p * q for p, q in zip(a.shape, b.shape, strict=True)))


def cross(input: Any, other: Any, dim: int | None = None) -> Any:
    """The cross product of vectors of length 3 along an axis: the first of that length unless said."""
    shape = np.broadcast_shapes(tuple(input.shape), tuple(other.shape))
    if dim is None:
        if 3 not in shape:
            raise ShapeError("no dimension of size 3 in input")
        dim = shape.index(3)
    axis = axis_of(np.empty(shape, bool), dim)
    if shape[axis] != 3 or input.shape[axis] != 3 or other.shape[axis] != 3:
        raise ShapeError(f"inputs dimension {dim} must have length 3. Got {list(input.shape)} and {list(other.shape)}")
    if len(input.shape) != len(other.shape):
        raise ShapeError("inputs must have the same number of dimensions.")
    ahead, behind = (lambda x: roll(x, -1, axis)), (lambda x: roll(x, -2, axis))
    return ahead(input) * behind(other) - behind(input) * ahead(other)


def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal, zeros beside them."""
    parts = [reshape(x, (1, -1)) if len(x.shape) < 2 else x for x in tensors]
    width = sum(p.shape[1] for p in parts)
    rows: list[Any] = []
    at = 0
    for p in parts:
        left = constant_like(p, np.zeros((p.shape[0], at), p.dtype))
        right = constant_like(p, np.zeros((p.shape[0], width - at - p.shape[1]), p.dtype))
        rows.append(cat([left, p, right], 1))
        at += p.shape[1]
    return cat(rows, 0)
