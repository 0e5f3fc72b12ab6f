"""torch and jax as languages: a table for each over the declared operations, for printed programs and for handing graphs over."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.node import Node, Spec
from ..ir.op import Op
from ..ops.broadcasting import shape_text
from ..ops.indexing import index_text
from .expression_text import NUMPY, Language, Text, array_text, python_number

Template = str | Callable[..., str | None]


def _dims(node: Any, name: str = "dim") -> str:
    """The axes of a reduction, as torch takes them."""
    axis = node.params.get("axis")
    keep = ", keepdim=True" if node.params.get("keepdims") else ""
    n = np.ndim(node.inputs[0].value)
    if axis is None or (len(axis) == n and not keep):
        return ""
    return f", {name}={tuple(axis)}{keep}"


def _reduced(function: str, always: bool = False) -> Template:
    def text(args: list[Any], node: Any) -> str:
        dims = _dims(node) or (f", dim={tuple(node.params['axis'])}" if always and node.params["axis"] else "")
        return f"torch.{function}({args[0]}{dims})"

    return text


def _extreme(name: str) -> Template:
    """The largest or smallest entry; of truth values whether any or all hold."""
    number, truth = _reduced(f"a{name}"), _reduced({"max": "any", "min": "all"}[name])
    return lambda args, node: (truth if Spec.of(node.value).dtype.kind == "b" else number)(args, node)  # type: ignore[operator]


def _place(name: str) -> Template:
    def text(args: list[Any], node: Any) -> str:
        axis = node.params.get("axis")
        return f"torch.{name}({args[0]}{'' if axis is None else f', dim={axis}'})"

    return text


def _moment(function: str) -> Template:
    return lambda args, node: f"torch.{function}({args[0]}{_dims(node)}, correction={node.params.get('ddof', 0)})"


def _torch_transpose(args: list[Any], node: Any) -> str:
    axes = node.params["axes"]
    if axes == (-1, -2):
        return f"{args[0].atom}.T"
    return f"torch.permute({args[0]}, {tuple(a + len(axes) for a in axes)})"


def _product_of_axes(args: list[Any], node: Any) -> str:
    text = str(args[0])
    n = np.ndim(node.inputs[0].value)
    for a in sorted((a % n for a in node.params["axis"]), reverse=True):
        text = f"torch.prod({text}, dim={a}, keepdim={bool(node.params.get('keepdims'))})"
    return text


def _dtype(node: Any) -> str:
    return f"torch.{np.dtype(node.params['dtype']).name}"


def _torch_pad(args: list[Any], node: Any) -> str:
    flat = [w for pair in reversed(node.params["width"]) for w in pair]
    return f"torch.nn.functional.pad({args[0]}, {flat})"


def _one_axis(function: str, name: str = "dim") -> Template:
    return lambda args, node: f"torch.{function}([{', '.join(args)}], {name}={node.params['axis']})"


TORCH: dict[str, Template] = {
    "sigmoid": "torch.sigmoid({0})",
    "softplus": "torch.nn.functional.softplus({0}, threshold=1e9)",
    "log_sigmoid": "torch.nn.functional.logsigmoid({0})",
    "relu": "torch.relu({0})",
    "leaky_relu": lambda args, node: f"torch.nn.functional.leaky_relu({args[0]}, {node.params.get('slope', 0.01)!r})",
    "gelu": "torch.nn.functional.gelu({0})",
    "silu": "torch.nn.functional.silu({0})",
    "square": "{0.atom} ** 2",
    "reciprocal": "1 / {0.tight}",
    "cbrt": "torch.sign({0}) * torch.abs({0}) ** (1 / 3)",
    "erf": "torch.erf({0})",
    "erfc": "torch.erfc({0})",
    "gammaln": "torch.lgamma({0})",
    "digamma": "torch.digamma({0})",
    "polygamma": lambda args, node: f"torch.polygamma({node.params.get('n', 1)}, {args[0]})",
    "abs": "torch.abs({0})",
    "rint": "torch.round({0})",
    "where": lambda args, node: f"torch.where({', '.join(args)})",
    "maximum": "torch.maximum(torch.as_tensor({0}), torch.as_tensor({1}))",
    "minimum": "torch.minimum(torch.as_tensor({0}), torch.as_tensor({1}))",
    "fmax": "torch.fmax(torch.as_tensor({0}), torch.as_tensor({1}))",
    "fmin": "torch.fmin(torch.as_tensor({0}), torch.as_tensor({1}))",
    "hypot": "torch.hypot(torch.as_tensor({0}), torch.as_tensor({1}))",
    "arctan2": "torch.arctan2(torch.as_tensor({0}), torch.as_tensor({1}))",
    "logaddexp": "torch.logaddexp(torch.as_tensor({0}), torch.as_tensor({1}))",
    "heaviside": "torch.heaviside(torch.as_tensor({0}), torch.as_tensor({1}, dtype=torch.as_tensor({0}).dtype))",
    "rect": "((torch.abs({0}) < 0.5) + 0.5 * (torch.abs({0}) == 0.5))",
    "indicator": "{0.atom}.to(torch.float64)",
    "log_at_least": lambda args, node: f"torch.clamp(torch.log({args[0]}), min={node.params.get('low', -100.0)!r})",
    "logical_not": "torch.logical_not({0})",
    "stop_gradient": "{0.atom}.detach()",
    "alias": "{0}",
    "positive": "{0}",
    "reshape": lambda args, node: f"torch.reshape({args[0]}, {shape_text(node.params['shape'])})",
    "broadcast_to": lambda args, node: f"torch.broadcast_to(torch.as_tensor({args[0]}), {shape_text(node.params['shape'])})",
    "transpose": _torch_transpose,
    "cast": lambda args, node: f"torch.as_tensor({args[0]}).to({_dtype(node)})",
    "sum": _reduced("sum"),
    "mean": _reduced("mean"),
    "reduce_max": _extreme("max"),
    "reduce_min": _extreme("min"),
    "prod": _product_of_axes,
    "var": _moment("var"),
    "std": _moment("std"),
    "logsumexp": _reduced("logsumexp", always=True),
    "softmax": lambda args, node: f"torch.softmax({args[0]}, dim={node.params['axis'][0]})",
    "log_softmax": lambda args, node: f"torch.log_softmax({args[0]}, dim={node.params['axis'][0]})",
    "affine": lambda args, node: f"torch.nn.functional.linear({', '.join(args)})",
    "class_entropy": lambda args, node: (
        f"torch.nn.functional.cross_entropy({args[0]}, {args[1]}, ignore_index={node.params.get('ignored', -100)}, reduction={'mean' if node.params.get('mean') else 'none'!r})"
    ),
    "outer": "torch.outer({0}, {1})",
    "einsum": lambda args, node: f"torch.einsum({node.params['subscripts']!r}, {', '.join(args)})",
    "getitem": lambda args, node: _torch_getitem(args, node),
    "scatter": lambda args, node: (
        f"index_add(torch.zeros({shape_text(node.params['shape'])}, dtype={args[0].atom}.dtype), "
        f"{index_tuple(node.params['index'], args[1:])}, {args[0]})"
    ),
    "index_set": lambda args, node: f"index_set({args[0]}, {index_tuple(node.params['index'], args[2:])}, {args[1]})",
    "index_add": lambda args, node: f"index_add({args[0]}, {index_tuple(node.params['index'], args[2:])}, {args[1]})",
    "concatenate": _one_axis("cat"),
    "stack": _one_axis("stack"),
    "flip": lambda args, node: f"torch.flip({args[0]}, {_tuple(node.params['axis'])})",
    "roll": lambda args, node: f"torch.roll({args[0]}, {_tuple(node.params['shift'])}, {_tuple(node.params['axis'])})",
    "pad": _torch_pad,
    "tril": lambda args, node: f"torch.tril({args[0]}, {node.params.get('k', 0)})",
    "triu": lambda args, node: f"torch.triu({args[0]}, {node.params.get('k', 0)})",
    "cumsum": lambda args, node: f"torch.cumsum({args[0]}, dim={node.params['axis']})",
    "argmax": _place("argmax"),
    "argmin": _place("argmin"),
    "argsort": lambda args, node: f"torch.argsort({args[0]}, dim={node.params.get('axis', -1)}, stable=True)",
    "clip": lambda args, node: f"torch.minimum(torch.maximum({args[0]}, torch.as_tensor({args[1]})), torch.as_tensor({args[2]}))",
    "windows": lambda args, node: f"windows({args[0]}, {node.params['size']}, {node.params['stride']}, {node.params['dilation']})",
    "windows_sum": lambda args, node: (
        f"windows_sum({args[0]}, {node.params['shape']}, {node.params['size']}, {node.params['stride']}, {node.params['dilation']})"
    ),
    "pick": lambda args, node: f"{args[0].atom}[{node.params['index']}]",
}  # fmt: skip
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
_SAME = [
    "exp",
    "expm1",
    "exp2",
    "log",
    "log1p",
    "log2",
    "log10",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arccosh",
    "arctanh",
    "sign",
    "floor",
    "ceil",
    "trunc",
    "isnan",
    "isinf",
    "isfinite",
    "signbit",
    "logical_and",
    "logical_or",
    "logical_xor",
    "copysign",
    "deg2rad",
    "rad2deg",
]
TORCH.update({n: f"torch.{n}({{0}})" for n in _SAME})
TORCH.update({n: f"torch.{n}({{0}}, {{1}})" for n in ("logical_and", "logical_or", "logical_xor", "copysign")})


def _tuple(x: Any) -> tuple[int, ...]:
    return (x,) if isinstance(x, int) else tuple(x)


def index_tuple(index: Any, arrays: list[Any]) -> str:
    """An index as the text of a tuple."""
    from ..ops.indexing import HERE

    rest = iter(arrays)
    parts = [str(next(rest)) if k is HERE else "..." if k is Ellipsis else repr(k) for k in index]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _torch_getitem(args: list[Any], node: Any) -> str:
    index = node.params["index"]
    if any(isinstance(k, slice) and (k.step or 1) < 0 for k in index):  # torch has no negative steps
        return f"take({args[0]}, {index_tuple(index, args[1:])})"
    return f"{args[0].atom}[{index_text(index, args[1:])}]"


OF_MODEL = "OF_MODEL"  # stands for a tensor of the program, whose dtype and device its constants take


def _torch_array(x: Any) -> str:
    """A constant array: floats in the dtype of the model, so that a program in single precision stays one."""
    array = np.asarray(x)
    kind = "" if array.dtype.kind == "f" else f", dtype=torch.{array.dtype.name}"
    if not array.size:
        return f"{OF_MODEL}.new_zeros({array.shape}{kind})"
    if array.size > 1 and np.all(array == array.flat[0]):
        return f"{OF_MODEL}.new_full({array.shape}, {python_number(array.flat[0])}{kind})"
    entries = array_text(array.astype(float) if array.dtype.kind == "f" else array)
    entries = entries.removeprefix("np.array(").removesuffix(")").partition(", dtype=")[0].replace("np.", "torch.")
    return f"{OF_MODEL}.new_tensor({entries}{kind})"


def _of_model(node: Any) -> str:
    """The dtype of a cast: doubles are the dtype of the model."""
    dtype = Spec.of(node.value).dtype
    return f"{OF_MODEL}.dtype" if dtype.name == "float64" else f"torch.{dtype.name}"


def _fitted(node: Any, args: list[Text]) -> list[Text]:
    """What NumPy computes in double precision from integers, truth values and numbers alone, torch would in its default dtype."""
    if Spec.of(node.value).dtype.kind != "f" or node.op.name in PRINTED:
        return args
    kinds = [Spec.of(v).dtype.kind for v in node.values]
    arrays = [type(i) is Node for i in node.inputs]
    if node.op.name == "where":
        if any(arrays[1:]):
            return args
        return [args[0], Text(f"{OF_MODEL}.new_tensor({args[1]})"), args[2]]
    if any(a and k == "f" for a, k in zip(arrays, kinds, strict=True)):
        return args
    return [Text(f"{t.atom}.to({OF_MODEL}.dtype)") if a else t for a, t in zip(arrays, args, strict=True)]


PRINTED: dict[str, Template] = {
    "indicator": lambda args, node: f"{args[0].atom}.to({_of_model(node)})",
    "cast": lambda args, node: f"torch.as_tensor({args[0]}).to({_of_model(node)})",
    "scatter": lambda args, node: (
        f"index_add({OF_MODEL}.new_zeros({shape_text(node.params['shape'])}), {index_tuple(node.params['index'], args[1:])}, {args[0]})"
    ),
}


def _torch_number(x: Any) -> Text:
    text = python_number(x)
    return Text(str(text), text.binding)


TORCH_LANGUAGE = Language(
    "torch",
    lambda op: PRINTED.get(op.name) or TORCH.get(op.name),
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
TORCH_HANDED = Language("torch", lambda op: TORCH.get(op.name), _torch_number)

JAX: dict[str, Template] = {
    "sigmoid": "jax.nn.sigmoid({0})",
    "silu": "jax.nn.silu({0})",
    "gelu": "jax.nn.gelu({0}, approximate=False)",
    "softmax": lambda args, node: f"jax.nn.softmax({args[0]}, axis={node.params['axis']})",
    "log_softmax": lambda args, node: f"jax.nn.log_softmax({args[0]}, axis={node.params['axis']})",
    "rect": "((jnp.abs({0}) < 0.5) + 0.5 * (jnp.abs({0}) == 0.5))",
    "stop_gradient": "jax.lax.stop_gradient({0})",
    "cast": lambda args, node: f"jnp.asarray({args[0]}).astype({np.dtype(node.params['dtype']).name!r})",
    "scatter": lambda args, node: (
        f"jnp.zeros({shape_text(node.params['shape'])}, jnp.asarray({args[0]}).dtype).at[{index_tuple(node.params['index'], args[1:])}].add({args[0]})"
    ),
    "index_set": lambda args, node: (
        f"jnp.asarray({args[0]}).at[{index_tuple(node.params['index'], args[2:])}].set({args[1]})"
    ),
    "index_add": lambda args, node: (
        f"jnp.asarray({args[0]}).at[{index_tuple(node.params['index'], args[2:])}].add({args[1]})"
    ),
    "affine": lambda args, node: f"{args[0].tight} @ {args[1].atom}.T" + (f" + {args[2]}" if len(args) > 2 else ""),
    "argsort": lambda args, node: f"jnp.argsort({args[0]}, axis={node.params.get('axis', -1)}, stable=True)",
    "windows": TORCH["windows"],
    "windows_sum": TORCH["windows_sum"],
    "pick": TORCH["pick"],
    "cbrt": "jnp.cbrt({0})",
    "class_entropy": lambda args, node: (
        f"class_entropy({args[0]}, {args[1]}, {node.params.get('ignored', -100)}, {node.params.get('mean', False)})"
    ),
}
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
    if op.name in JAX:
        return JAX[op.name]
    found = NUMPY.template(op)
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
