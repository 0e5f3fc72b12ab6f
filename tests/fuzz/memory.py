"""Random programs of views, in-place operations, detached tensors and NumPy's hands on the memory, against torch.

After every line each tensor must hold what torch's holds; at the end the gradients must agree. A line that torch refuses must be
refused; where we refuse and torch does not, the program ends there.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from chainrule import ChainruleError

from .harness import AGREED, Wrong, refused

# What torch refuses for the sake of its layouts and its buffers; here the answer is the one it would have had.
LENIENT = (
    "view size is not compatible",
    "to a single memory location",
    "second time",
    "returns multiple views",
    "does not require grad",
)


@dataclass(frozen=True)
class Case:
    """A program, line by line. `t[k]` are tensors of 6 entries in all, `a[k]` NumPy's arrays."""

    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "Case((\n" + "".join(f"    {line!r},\n" for line in self.lines) + "))"


START = (
    "t.append(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))",
    "t.append(torch.tensor([[0.5, -1.0, 2.0], [1.5, 3.0, -2.0]], requires_grad=True))",
    "t.append(t[1] * 2)",
    "a.append(np.arange(6, dtype=np.float32).reshape(2, 3)); t.append(torch.from_numpy(a[-1]))",
)
MADE = (
    "t[{i}].detach()", "t[{i}].data", "t[{i}].clone()", "t[{i}].t()", "t[{i}][0]", "t[{i}][{k}:]", "t[{i}].reshape(6)", "t[{i}].flatten()",
    "t[{i}].unsqueeze(0)", "t[{i}].squeeze()", "t[{i}].reshape(3, 2)", "t[{i}].T", "t[{i}].chunk(2)[0]", "t[{i}].expand(2, *t[{i}].shape)", "t[{i}] * t[{j}]",
    "t[{i}] + 1", "t[{i}].exp()", "t[{i}].contiguous()", "torch.cat([t[{i}].reshape(-1), t[{j}].reshape(-1)])", "t[{i}].narrow(0, {k}, 1)",
    "t[{i}].relu()", "t[{i}].sum()", "t[{i}].select(0, {k})", "t[{i}].max(0)[0]", "t[{i}].mean(0)", "t[{i}].permute(*reversed(range(t[{i}].dim())))",
    "copy.deepcopy(t[{i}])", "t[{i}].to(torch.float32)", "t[{i}].float()", "t[{i}].detach().requires_grad_()",
    "torch.as_tensor(t[{i}])", "t[{i}].diagonal()", "t[{i}].movedim(0, -1)", "t[{i}].diag()", "t[{i}].unbind(0)[{k}]", "t[{i}].flip(0)", "t[{i}].view(-1)", "t[{i}].sigmoid()", "(t[{i}] > 0).float()", "t[{i}].repeat(2)",
)  # fmt: skip
CHANGED = (
    "t[{i}].add_({c})", "t[{i}].mul_({c})", "t[{i}].mul_(t[{j}])", "t[{i}].zero_()", "t[{i}].fill_({c})", "t[{i}].clamp_(-1, 1)", "t[{i}] += t[{j}]",
    "t[{i}] *= {c}", "t[{i}][0] = {c}", "t[{i}][{k}:] += 1", "t[{i}].copy_(t[{j}])", "t[{i}].data.mul_({c})", "t[{i}].detach().add_({c})",
    "t[{i}].relu_()", "t[{i}].exp_()", "t[{i}].sub_(t[{i}].mean())", "t[{i}][t[{i}] > 1] = {c}", "t[{i}].view(-1)[0] = {c}", "t[{i}].masked_fill_(t[{i}] < 0, {c})",
    "t[{i}].data = t[{j}].data", "t[{i}].requires_grad_()", "t[{i}].detach_()", "t[{i}].tanh_()", "t[{i}].div_(t[{j}] ** 2 + 1)", "t[{i}].pow_(2)", "t[{i}].neg_()",
    "a.append(t[{i}].detach().numpy())", "a[{m}][0] = {c}", "a[{m}] += 1", "t[{i}].backward(torch.ones_like(t[{i}]), retain_graph=True)",
    "t[1].grad = None", "t[1].grad.zero_()", "t[1].grad.data.mul_(2)",
)  # fmt: skip


@st.composite
def lines(draw: Any) -> str:
    """One line of a program."""
    values = {
        "i": draw(st.integers(0, 9)), "j": draw(st.integers(0, 9)), "k": draw(st.integers(0, 1)), "m": draw(st.integers(0, 2)),
        "c": draw(st.sampled_from(["0.5", "-2.0", "3.0"])),
    }  # fmt: skip
    kind = draw(st.integers(0, 9))
    if kind < 4:
        return f"t.append({draw(st.sampled_from(MADE))})".format(**values)
    line = draw(st.sampled_from(CHANGED)).format(**values)
    if kind < 6 and not line.startswith("a"):
        return f"with torch.no_grad(): {line}"
    return line


cases = st.builds(Case, st.lists(lines(), min_size=2, max_size=14).map(tuple))


class Run:
    """A program as it goes with one of the two."""

    def __init__(self, package: str) -> None:
        self.names: dict[str, Any] = {
            "torch": importlib.import_module(package),
            "np": np,
            "t": [],
            "a": [],
            "copy": __import__("copy"),
        }
        for line in START:
            exec(line, self.names)

    def step(self, line: str) -> Exception | None:
        """Carry out a line; the error, where there is one."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                exec(line, self.names)
        except Exception as error:
            return error
        return None

    def state(self) -> list[Any]:
        """What every tensor holds."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: list[Any] = [(np.array(x.detach().numpy()), x.requires_grad) for x in self.names["t"]]
            found += [np.array(a) for a in self.names["a"]]
            return [*found, *((None if g is None else np.array(g.detach().numpy())) for g in [self.names["t"][1].grad])]


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, tuple):
        return all(_same(p, q) for p, q in zip(x, y, strict=True))
    if isinstance(x, np.ndarray):
        return (
            isinstance(y, np.ndarray)
            and x.shape == y.shape
            and x.dtype == y.dtype
            and np.allclose(x, y, 1e-4, 1e-5, equal_nan=True)
        )
    return x == y


def judge(case: Case) -> str:
    """Both must go the same way."""
    theirs, ours = Run("torch"), Run("chainrule.torch")
    for line in case.lines:
        a, b = theirs.step(line), ours.step(line)
        if isinstance(b, ChainruleError):
            if a is None:
                return refused(b)
            if "backward" in line:
                return AGREED  # what a refused backward pass has done before is not compared
        elif b is not None and a is None:
            raise Wrong(f"{line}: {type(b).__name__}: {b}")
        elif a is not None and b is None:
            if any(word in str(a) for word in LENIENT) or ("a leaf Variable" in str(a) and "t[1]" not in line):
                return AGREED
            raise Wrong(f"{line}: torch refuses ({str(a).splitlines()[0][:120]}), we do not")
        expected = theirs.state()
        try:
            found = ours.state()
        except ChainruleError as error:
            return refused(error)
        for k, (x, y) in enumerate(zip(expected, found, strict=True)):
            if not _same(x, y):
                raise Wrong(f"after {line}: value {k} is {x} with torch, {y} here")
    return AGREED
