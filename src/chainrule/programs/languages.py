"""torch and jax as languages, for printed programs and for handing graphs over; the texts stand on the declarations."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.node import Node, Spec
from ..ir.op import Op
from ..ops.broadcasting import shape_text
from ..ops.conversion import cast
from ..ops.indexing import index_tuple, scatter
from ..ops.piecewise import indicator, where
from .expression_text import NUMPY, Language, Text, array_text, by_its_name, is_identity, python_number

Template = str | Callable[..., str | None]


TORCH_HELPERS = """
def places(x, index):
    import numpy as np

    index = tuple(k.cpu().numpy() if torch.is_tensor(k) else k for k in index)
    return torch.as_tensor(np.asarray(np.arange(x.numel()).reshape(x.shape)[index]).copy())


def take(x, index):
    return x.reshape(-1)[places(x, index)]


def index_set(x, index, v):
    where = places(x, index)
    v = torch.broadcast_to(torch.as_tensor(v, dtype=x.dtype), where.shape)
    return x.reshape(-1).index_put((where.reshape(-1),), v.reshape(-1)).reshape(x.shape)


def index_add(x, index, v):
    where = places(x, index)
    v = torch.broadcast_to(torch.as_tensor(v, dtype=x.dtype), where.shape)
    return x.reshape(-1).index_add(0, where.reshape(-1), v.reshape(-1)).reshape(x.shape)


def _places(shape, size, stride, dilation):
    d = len(size)
    counts = [(n - (k - 1) * e - 1) // s + 1 for n, k, s, e in zip(shape[-d:], size, stride, dilation)]
    for at in itertools.product(*map(range, size)):
        yield at, (..., *(slice(a * e, a * e + s * n, s) for a, e, s, n in zip(at, dilation, stride, counts)))


def windows(x, size, stride, dilation):
    d = len(size)
    parts = [x[where] for _, where in _places(x.shape, size, stride, dilation)]
    whole = torch.stack(parts, dim=-1 - d)
    return whole.reshape(*whole.shape[: -1 - d], *size, *whole.shape[-d:])


def windows_sum(w, shape, size, stride, dilation):
    d = len(size)
    out = torch.zeros(*w.shape[: w.ndim - 2 * d], *shape, dtype=w.dtype)
    for at, where in _places(out.shape, size, stride, dilation):
        out[where] += w[(..., *at, *(slice(None),) * d)]
    return out
"""


def _called(text: Template | None) -> Template | None:
    """A text as a template: the name of a function stands for its call."""
    if not isinstance(text, str) or "{" in text:
        return text
    return lambda args, node: f"{text}({', '.join(args)})"


def _torch_template(op: Op) -> Template | None:
    return _called(op.torch)


OF_MODEL = "OF_MODEL"  # stands for a tensor of the program, whose dtype and device its constants take


def _torch_array(x: Any) -> str:
    """A constant array: floats in the dtype of the model, so that a program in single precision stays one."""
    array = np.asarray(x)
    kind = "" if array.dtype.kind == "f" else f", dtype=torch.{array.dtype.name}"
    if not array.size:
        return f"{OF_MODEL}.new_zeros({array.shape}{kind})"
    if array.size > 1 and np.all(array == array.flat[0]):
        return f"{OF_MODEL}.new_full({array.shape}, {python_number(array.flat[0])}{kind})"
    if is_identity(array):
        return f"torch.eye({len(array)}, dtype={OF_MODEL}.dtype, device={OF_MODEL}.device)"
    entries = array_text(array.astype(float) if array.dtype.kind == "f" else array)
    entries = entries.removeprefix("np.array(").removesuffix(")").partition(", dtype=")[0].replace("np.", "torch.")
    return f"{OF_MODEL}.new_tensor({entries}{kind})"


def _of_model(node: Any) -> str:
    """The dtype of a cast: doubles are the dtype of the model."""
    dtype = Spec.of(node.value).dtype
    return f"{OF_MODEL}.dtype" if dtype.name == "float64" else f"torch.{dtype.name}"


def _fitted(node: Any, args: list[Text]) -> list[Text]:
    """What NumPy computes in double precision from integers, truth values and numbers alone, torch would in its default dtype."""
    if isinstance(node.value, tuple) or Spec.of(node.value).dtype.kind != "f" or node.op in PRINTED:
        return args
    kinds = [Spec.of(v).dtype.kind for v in node.values]
    arrays = [type(i) is Node for i in node.inputs]
    if node.op is where:
        if any(arrays[1:]):
            return args
        return [args[0], Text(f"{OF_MODEL}.new_tensor({args[1]})"), args[2]]
    if any(a and k == "f" for a, k in zip(arrays, kinds, strict=True)):
        return args
    return [Text(f"{t.atom}.to({OF_MODEL}.dtype)") if a else t for a, t in zip(arrays, args, strict=True)]


PRINTED: dict[Op, Template] = {
    indicator: lambda args, node: f"{args[0].atom}.to({_of_model(node)})",
    cast: lambda args, node: f"torch.as_tensor({args[0]}).to({_of_model(node)})",
    scatter: lambda args, node: (
        f"index_add({OF_MODEL}.new_zeros({shape_text(node.params['shape'])}), {index_tuple(node.params['index'], args[1:])}, {args[0]})"
    ),
}


def _torch_number(x: Any) -> Text:
    text = python_number(x)
    return Text(str(text), text.binding)


TORCH_LANGUAGE = Language(
    "torch",
    lambda op: PRINTED.get(op) or _torch_template(op),
    _torch_number,
    array=_torch_array,
    ones="torch.ones_like({0})",
    zeros="torch.zeros_like({0})",
    copy=".clone()",
    same="torch.equal({0}, {1})",
    count="torch.count_nonzero({0})",
    exact="not {0}.is_floating_point()",
    fitted=_fitted,
    shape="{0}.shape",
    boxed=True,
)
TORCH_HANDED = Language("torch", _torch_template, _torch_number)

JAX_HELPERS = """
def class_entropy(x, target, ignored, mean):
    used = target != ignored
    taken = jnp.take_along_axis(jax.nn.log_softmax(x, axis=-1), jnp.where(used, target, 0)[:, None], 1)[:, 0]
    losses = jnp.where(used, -taken, 0)
    return losses.sum() / used.sum() if mean else losses


def _places(shape, size, stride, dilation):
    d = len(size)
    counts = [(n - (k - 1) * e - 1) // s + 1 for n, k, s, e in zip(shape[-d:], size, stride, dilation)]
    for at in itertools.product(*map(range, size)):
        yield at, (..., *(slice(a * e, a * e + s * (n - 1) + 1, s) for a, e, s, n in zip(at, dilation, stride, counts)))


def windows(x, size, stride, dilation):
    d = len(size)
    whole = jnp.stack([x[where] for _, where in _places(x.shape, size, stride, dilation)], axis=-1 - d)
    return whole.reshape(*whole.shape[: -1 - d], *size, *whole.shape[-d:])


def windows_sum(w, shape, size, stride, dilation):
    d = len(size)
    out = jnp.zeros((*w.shape[: w.ndim - 2 * d], *shape), w.dtype)
    for at, where in _places(out.shape, size, stride, dilation):
        out = out.at[where].add(w[(..., *at, *(slice(None),) * d)])
    return out
"""


def _jax_template(op: Op) -> Template | None:
    """The declared text; else NumPy's, whose functions jax has under their names."""
    if op.jax is not None:
        return _called(op.jax)
    found = None if op.prelude.startswith("def ") or by_its_name(op) else NUMPY.template(op)
    if found is None:
        return None
    if callable(found):
        return lambda args, node: _to_jax(found(args, node))
    return _to_jax(found)


def _to_jax(text: str | None) -> str | None:
    if text is None:
        return None
    return re.sub(r"(?<![\w.])np\.", "jnp.", re.sub(r"(?<![\w.])special\.", "jax.scipy.special.", text))


JAX_LANGUAGE = Language(
    "jax",
    _jax_template,
    python_number,
    array=lambda x: str(_to_jax(array_text(x))),
    ones="jnp.ones_like({0})",
    zeros="jnp.zeros_like({0})",
    same="jnp.array_equal({0}, {1})",
    count="jnp.count_nonzero({0})",
    shape="jnp.shape({0})",
)
