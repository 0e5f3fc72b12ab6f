"""Matrix products: which strides and batches a product, or a sum of products, has."""

from __future__ import annotations

from collections.abc import Sequence

from .index import count, strides_of
from .memory import Buffer, View
from .steps import ProductStep


def _flat_strides(shape: Sequence[int], strides: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Axes of length one left out, neighbours that step alike merged."""
    result: list[tuple[int, int]] = []
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if result and result[-1][1] == s * n:
            result[-1] = (result[-1][0] * n, s)
        else:
            result.append((n, s))
    return tuple(n for n, _ in result), tuple(s for _, s in result)


def product(a: View, b: View, c: Buffer, shape: tuple[int, ...]) -> ProductStep:
    """`np.matmul` of two views into a buffer."""
    ash, ast, bsh, bst = list(a.shape), list(a.strides), list(b.shape), list(b.strides)
    cst = list(strides_of(shape))
    csh = list(shape)
    if len(ash) == 1:
        ash, ast = [1, *ash], [0, *ast]
        csh, cst = (
            [*csh[:-1], 1, csh[-1]] if len(bsh) > 1 else [*csh, 1],
            [*cst[:-1], 0, cst[-1]] if len(bsh) > 1 else [*cst, 0],
        )
    if len(bsh) == 1:
        bsh, bst = [*bsh, 1], [*bst, 0]
        csh, cst = [*csh, 1], [*cst, 0]
    batch = csh[:-2]
    sa = [0] * (len(batch) - len(ash) + 2) + [0 if n == 1 else s for n, s in zip(ash[:-2], ast[:-2], strict=True)]
    sb = [0] * (len(batch) - len(bsh) + 2) + [0 if n == 1 else s for n, s in zip(bsh[:-2], bst[:-2], strict=True)]
    m, k, n = ash[-2], ash[-1], bsh[-1]
    if all(s == 0 for s in sb) and batch and m * count(batch) > m:  # one matrix for all: the batch becomes rows
        rows, steps = _flat_strides([*batch, m], [*sa, ast[-2]])
        crows, csteps = _flat_strides([*batch, m], [*cst[:-2], cst[-2]])
        if len(rows) <= 1 and len(crows) <= 1:
            m, batch = count(batch) * m, []
            ast[-2] = steps[0] if steps else 0
            cst[-2] = csteps[0] if csteps else 0
            sa, sb = [], []
    return ProductStep(
        View(a.buffer, a.start, (*batch, m, k), (*sa, ast[-2], ast[-1])),
        View(b.buffer, b.start, (*batch, k, n), (*sb, bst[-2], bst[-1])),
        View(c, 0, (*batch, m, n), (*cst[: len(batch)], cst[-2], cst[-1])),
        tuple(batch),
        (m, k, n),
    )


def contraction(parts: Sequence[str], out: str, views: Sequence[View], c: Buffer) -> ProductStep | None:
    """A sum of products of two operands as a batch of matrix products, or None where the strides do not allow it."""
    ta, tb = parts
    batch = [x for x in out if x in ta and x in tb]
    m = [x for x in out if x in ta and x not in tb]
    n = [x for x in out if x in tb and x not in ta]
    k = [x for x in ta if x in tb and x not in out]
    if set(ta) - set(batch) - set(m) - set(k) or set(tb) - set(batch) - set(n) - set(k):
        return None
    sizes = {x: s for t, v in zip(parts, views, strict=True) for x, s in zip(t, v.shape, strict=True)}
    steps = [dict(zip(t, v.strides, strict=True)) for t, v in zip(parts, views, strict=True)]
    cstep = dict(zip(out, strides_of([sizes[x] for x in out]), strict=True))

    def flat(letters: list[str], table: dict[str, int]) -> tuple[int, int] | None:
        lengths, strides = _flat_strides([sizes[x] for x in letters], [table[x] for x in letters])
        return None if len(lengths) > 1 else (count([sizes[x] for x in letters]), strides[0] if strides else 0)

    for axes, table in ((m, steps[0]), (n, steps[1])):  # what does not step as one axis is gone through as a batch
        while flat(axes, table) is None or flat(axes, cstep) is None:
            batch.append(axes.pop(0))
    found = [flat(m, steps[0]), flat(k, steps[0]), flat(k, steps[1]), flat(n, steps[1]), flat(m, cstep), flat(n, cstep)]
    if any(f is None for f in found):
        return None
    (mm, am), (kk, ak), (_, bk), (nn, bn), (_, cm), (_, cn) = found  # type: ignore[misc]
    shape = tuple(sizes[x] for x in batch)
    return ProductStep(
        View(views[0].buffer, views[0].start, (*shape, mm, kk), (*(steps[0].get(x, 0) for x in batch), am, ak)),
        View(views[1].buffer, views[1].start, (*shape, kk, nn), (*(steps[1].get(x, 0) for x in batch), bk, bn)),
        View(c, 0, (*shape, mm, nn), (*(cstep[x] for x in batch), cm, cn)),
        shape,
        (mm, kk, nn),
    )
