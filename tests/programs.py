"""Random programs of NumPy code, as hypothesis strategies: sharing, branches, in-place assignment."""

import numpy as np
from hypothesis import strategies as st

import chainrule as cr

UNARY = ["np.sin({a})", "np.tanh({a})", "cr.sigmoid({a})", "np.exp(-{a} * {a})", "np.log1p({a} * {a})", "0.5 * {a}", "{a} ** 2", "np.sqrt(1 + {a} ** 2)", "-{a}", "np.arctan({a})", "{a} - 0.3", "1 / (2 + {a} * {a})", "{a} ** 3 / 7"]  # fmt: skip
BINARY = ["{a} + {b}", "{a} - {b}", "0.5 * {a} * {b}", "{a} / (1.5 + {b} * {b})", "np.where({a} > {b} + 0.1234, {a}, 0.7 * {b})", "np.hypot({a} + 3, {b} + 3)"]  # fmt: skip
VECTOR = ["{a}[::-1]", "np.cumsum({a}) / 3", "np.sum({a}) * {b}", "np.concatenate([{a}[1:], {b}[:1]])", "np.mean({a}) + {b}", "cr.softmax({a})", "np.outer({a}, {b})[1]", "{a} @ {b} * {a} / 3", "cr.logsumexp({a}) + {b}"]  # fmt: skip
INPLACE = ["{v} = {a} * 1.0\n    {v}[1] = {b}[0]", "{v} = {a} + 0.0\n    {v}[1:] += {b}[:-1]", "{v} = np.zeros_like({a})\n    {v}[:2] = {b}[1:] * {a}[0]", "{v} = {a} - 0.0\n    {v} *= {b}"]  # fmt: skip
BRANCH = ["if np.sum({a}) > 0.4567:\n        {v} = {a} * 0.9\n    else:\n        {v} = np.cos({a})", "{v} = {a}\n    for k in range(2):\n        {v} = np.sin({v} + k)"]  # fmt: skip


@st.composite
def programs(draw, vector: bool, size: int = 40):
    """(source, function) of a program f(x, y) -> scalar, over numbers or vectors of length 3."""
    names = ["x", "y"]
    lines = []
    for k in range(draw(st.integers(1, size))):
        a, b = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        kinds = [UNARY, BINARY, BINARY] + ([VECTOR, INPLACE, BRANCH] if vector else [])
        template = draw(st.sampled_from(draw(st.sampled_from(kinds))))
        v = f"v{k}"
        text = template.format(a=a, b=b, v=v)
        lines.append(text if f"{v} " in text.split("\n")[0] or text.startswith("if") else f"{v} = {text}")
        names = [*names[-5:], v]
    result = f"np.sum({names[-1]} * {names[-2]})" if vector else f"{names[-1]} + {names[-2]}"
    source = "def f(x, y):\n    " + "\n    ".join(lines) + f"\n    return {result}\n"
    namespace = {"np": np, "cr": cr}
    exec(source, namespace)
    return source, namespace["f"]
