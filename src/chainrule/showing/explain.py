"""explain: one object that holds a computation, its gradient, and the ways to show them."""

from __future__ import annotations

import html
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..documents import page
from ..errors import InputError
from ..programs.deriving import stage
from ..programs.latex import latex
from ..programs.python import Program
from ..trace.formula import parse
from ..trace.handles import dtype_of
from .code import written
from .drawing import Drawing
from .paths import Paths
from .sizes import Sizes
from .table import Table
from .words import Sensitivity
from .writing import as_json

if TYPE_CHECKING:
    from .animation import Animation
    from .comparison import Comparison
    from .derivation import Derivation
    from .second import SecondDerivative
    from .zeros import Zeros

T = TypeVar("T")


def explain(
    f: Callable[..., Any] | str,
    /,
    *args: Any,
    wrt: Sequence[str] | str | None = None,
    open: Collection[str] | str = (),
    functions: str | Sequence[str] = (),
    **values: Any,
) -> Explanation:
    """Explain a function or a formula at a point.

    Args:
        f: a function of floating-point numbers, arrays or trees of them, or the text of a formula.
        *args, **values: the point, by position or by name. Without any, plain numbers are assumed, and the
            numbers shown are those of an example.
        wrt: names of the variables to differentiate with respect to; all of them when left out.
        open: names of operations to show by what they are made of, such as "sigma".
        functions: names in a formula that stand for any function; see `unknown`.

    Returns:
        An `Explanation`, which shows itself in a terminal, a notebook or a file.

    >>> e = explain("(x + y)*z + x", x=-2, y=5, z=-4)
    >>> e.value, e.gradients
    (-14.0, {'x': -3.0, 'y': -4.0, 'z': 3.0})
    """
    if isinstance(f, str) and not (isinstance(functions, (tuple, list)) and not functions):
        f = parse(f, functions)
    return Explanation(f, args, values, wrt=wrt, open=open)


def _within(budget: float, what: str, work: Callable[[], T]) -> T:
    """What `work` finds in so many seconds; more is refused."""
    from ..symbolic.algebra.budget import checked_budget, within  # SymPy comes with it

    def late(why: str) -> Any:
        raise InputError(
            f"{what}: {why}", f"explain a part of it, or give {what} more time, for instance budget=60", where=""
        )

    return within(checked_budget(budget), work, late)


def code(
    f: Callable[..., Any] | str,
    /,
    *args: Any,
    wrt: Sequence[str] | str | None = None,
    open: Collection[str] | str = (),
    lang: str = "python",
    **values: Any,
) -> Program:
    """The staged program of a function or a formula.

    A program begins with what it was printed for: it checks the shapes of arrays, and every condition that the function asked of
    its values (a branch, an integer made of one, a mask), and raises a `ValueError` where another program would be right. What the
    function closed over, and arguments that are no floats, are constants of it.

    Args:
        f, args, values: a function or a formula, and the point: its arguments by position and by name, as for `explain`.
        wrt, open: as for `explain`.
        lang: "python" (plain Python over floats where that is possible, NumPy otherwise), "torch" (a `torch.autograd.Function`),
            "jax", or "c" (a self-contained C99 file; where there is something to check, its function returns 0, or the number of
            the condition that does not hold, with NaN in every result).

    >>> print(code("x*y + x"))
    def f_grad(x, y):
        # forward
        xy = x * y   # (1)
        f = xy + x   # (2)
        # backward
        dx = 1.0     # (2)
        dx += y      # (1)
        dy = x       # (1)
        return f, (dx, dy)
    <BLANKLINE>
    """
    return Explanation(f, args, values, wrt=wrt, open=open).code(lang)


def draw(
    f: Callable[..., Any] | str,
    /,
    *args: Any,
    path: str | Path | None = None,
    partials: bool = False,
    wrt: Sequence[str] | str | None = None,
    open: Collection[str] | str = (),
    **values: Any,
) -> Drawing:
    """The drawing of a function or a formula; see `explain`.

    Args:
        f, args, values: a function or a formula, and the point: its arguments by position and by name.
        wrt, open: as for `explain`.
        path: where to write it as well: .svg, .png, .dot or .mmd.
        partials: whether to write local partials on the edges.
    """
    drawing = Explanation(f, args, values, wrt=wrt, open=open).draw(partials=partials)
    if path is not None:
        drawing.save(path)
    return drawing


class Explanation:
    """A computation at a point, with its gradient.

    Attributes:
        value: of the function.
        gradients: by the name of the variable.
        staged: the program behind it, as data.
    """

    def __init__(
        self,
        f: Any,
        args: Sequence[Any] = (),
        values: Mapping[str, Any] | None = None,
        *,
        wrt: Any = None,
        open: Any = (),
        shapes: Any = None,
    ) -> None:
        given = dict(values or {})
        self.at_a_point = bool(args or given)
        with np.errstate(all="ignore"):  # what is not finite is shown, and said below
            self.staged = stage(f, args, given, wrt=wrt, open=open, shapes=shapes)
        self._point = (args, given)
        self._again = lambda a, k: stage(f, a, k, wrt=wrt, open=open, shapes=shapes)
        self._programs: dict[str, Program] = {}
        if any(dtype_of(n.value).kind == "c" for n in self.staged.stages if not isinstance(n.value, tuple)):
            raise InputError(
                "an explanation shows real numbers, and there are complex ones on the way",
                "write it with real and imaginary parts; cr.grad takes it as it is",
            )
        self.source = f if isinstance(f, str) else getattr(f, "text", None) or _source(f)
        self.value = _plain(self.staged.output.value)
        s = self.staged
        self.gradients = {s.names[v]: _plain(np.broadcast_to(s.gradients[v], v.shape)) for v in s.wrt}

    def code(self, lang: str = "python") -> Program:
        """The staged program: see `chainrule.code` for the languages."""
        if lang not in self._programs:
            self._programs[lang] = written(self.staged, lang, *self._point, self._again)
        return self._programs[lang]

    def latex(self) -> str:
        """The forward stages as aligned equations in LaTeX."""
        return latex(self.staged)

    def derivation(self, order: str = "reverse", *, layout: str = "denominator", budget: float = 10.0) -> Derivation:
        """The calculation of every partial derivative, as text, LaTeX, Markdown or HTML with MathML.

        Args:
            order: "reverse" (from the result back), "forward" (from each variable on), or "chains" (each partial
                derivative as the product of local factors along every path).
            layout: of the gradients of matrices: "denominator" (the shape of the variable) or "numerator".
            budget: seconds; over them it is refused.

        >>> print(explain("g = x + y; g*z", wrt="y").derivation())
        The derivatives of f
          g = x + y
          f = g*z
        <BLANKLINE>
        Reverse order: from the result back to the variables
          ∂f/∂f = 1                         the start
          ∂f/∂g = z                         product rule
          ∂f/∂y = ∂f/∂g · ∂g/∂y = z · 1 = z   sum rule
        <BLANKLINE>
        Result
          ∂f/∂y = z
        """
        from .derivation import Derivation

        return _within(budget, "derivation", lambda: Derivation(self.staged, order, layout, self.at_a_point))

    def second(self, wrt: str, by: str | None = None) -> SecondDerivative:
        """The second derivative of the result by a variable (or by two), with every cross term, beside the naive rule.

        Args:
            wrt: the variable.
            by: the other one; the same when left out.

        >>> explain("y = x^2; y*x", x=3.0).second("x").value
        18.0
        """
        from .second import SecondDerivative

        return SecondDerivative(self.staged, wrt, by)

    def zeros(self, wrt: str, *, budget: float = 10.0) -> Zeros:
        """When the gradient by a variable is zero: an and/or formula over facts, verified, with the limits kept apart.

        Args:
            wrt: the name of a variable.
            budget: seconds; over them it is refused.

        >>> explain("z = b*x + a; c*relu(z)").zeros("b").formula
        x = 0 or c = 0 or z <= 0
        """
        from .zeros import Zeros

        return _within(budget, "zeros", lambda: Zeros(self.staged, wrt))

    def paths(self, wrt: str) -> Paths:
        """All paths from a variable to the result, with the product of local partials along each; their sum is the gradient."""
        return Paths(self.staged, wrt)

    def sensitivity(self) -> Sensitivity:
        """What a small change in each variable does, in words, and the subgradient used at every kink and tie.

        >>> explain("max(x, y) * z", x=2, y=2, z=-3).sensitivity()
        f falls 1.5 times as fast as x grows
        f falls 1.5 times as fast as y grows
        f grows 2 times as fast as z grows
        max1: a tie in the maximum: each side gets half of the gradient; every split is a subgradient
        """
        return Sensitivity(self.staged)

    def sizes(self, **dims: int) -> Sizes:
        """The shape of every value, gradient and Jacobian factor.

        Args:
            **dims: names for dimensions, as `D1=4`; every size has one name.
        """
        return Sizes(self.staged, dims)

    def table(self) -> Table:
        """Every node with its value and its gradient."""
        return Table(self.staged)

    def draw(self, path: str | Path | None = None, *, partials: bool = False) -> Drawing:
        """The drawing.

        Args:
            path: where to write it as well: .svg, .png, .dot or .mmd.
            partials: whether to write local partials on the edges.
        """
        drawing = Drawing(self.staged, partials=partials)
        if path is not None:
            drawing.save(path)
        return drawing

    def animate(self, path: str | Path | None = None) -> Animation:
        """The forward and the backward pass as an animation, one step a frame; written to `path` (.html) if given."""
        from .animation import Animation

        animation = Animation(self.staged)
        if path is not None:
            animation.save(path)
        return animation

    def compare(self, other: Explanation) -> Comparison:
        """What changes in the derivation from this computation to another one.

        >>> explain("h = relu(z); h*w", wrt="z").compare(explain("h = tanh(z); h*w", wrt="z")).changes[0]
        Change(before='h = ReLU(z)', after='h = tanh(z)')
        """
        from .comparison import Comparison

        return Comparison(self.derivation(), other.derivation())

    # ---- showing -------------------------------------------------------------------------------------------

    @property
    def of(self) -> str:
        """What the gradients are those of: the result, or where that is an array the sum of its entries."""
        name = self.staged.names[self.staged.output]
        return name if self.staged.output.shape == () else f"sum({name})"

    @property
    def _note(self) -> str:
        return " ".join(n for n in (self._note_on_arrays, self._note_on_numbers) if n)

    @property
    def _note_on_arrays(self) -> str:
        shape = self.staged.output.shape
        if shape == ():
            return ""
        name = self.staged.names[self.staged.output]
        return f"{name} has shape {shape}: the gradients here are those of {self.of}, the sum of its entries."

    @property
    def _note_on_numbers(self) -> str:
        if not self.at_a_point:
            return "No point was given: the numbers are those of an example."
        bad = [r.name for r in self.table() if not _finite(r.value)]
        bad += [f"the gradient of {r.name}" for r in self.table() if not _finite(r.gradient)]
        return f"Not finite here: {', '.join(bad)}." if bad else ""

    def __str__(self) -> str:
        parts = [self.source, str(self.code()).rstrip(), str(self.table()), self._note]
        return "\n\n".join(p for p in parts if p)

    __repr__ = __str__

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.syntax import Syntax
        from rich.text import Text

        def python(text: str) -> Any:
            return Syntax(text.rstrip(), "python", theme="ansi_dark", background_color="default", word_wrap=True)

        parts: list[Any] = [python(self.source), Text(), python(str(self.code())), Text(), self.table()]
        return Group(*parts, *([Text(), Text(self._note, style="dim")] if self._note else []))

    def _repr_html_(self) -> str:
        return (
            f'<div class="chainrule"><pre>{html.escape(self.source)}</pre>{self.draw().svg}'
            f"<pre>{html.escape(str(self.code()))}</pre>{self.table()._repr_html_()}{f'<p>{html.escape(self._note)}</p>' if self._note else ''}</div>"
        )

    def html(self) -> str:
        """A self-contained page."""
        style = (
            "pre{background:#f6f6f6;padding:.8rem;overflow:auto}table{border-collapse:collapse}"
            "td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #ddd}"
            "td:last-child{color:#1453c4}tr.output td:first-child{font-weight:bold}"
        )
        return page(self.staged.name, f"<h1>{html.escape(self.staged.name)}</h1>{self._repr_html_()}", style)

    def markdown(self) -> str:
        """The explanation in Markdown, its drawing in Mermaid."""
        parts = [
            f"# {self.staged.name}",
            f"```python\n{self.source.rstrip()}\n```",
            f"```mermaid\n{self.draw().mermaid}```",
            f"```python\n{self.code()}```",
            self.table().markdown(),
            self._note,
        ]
        return "\n\n".join(p for p in parts if p) + "\n"

    def json(self) -> str:
        """The explanation as JSON: value, gradients, stages and the program."""
        return as_json(self)

    def save(self, path: str | Path) -> Path:
        """Write a self-contained file; the suffix says how: .html, .md, .json, .txt, .py, or a drawing's."""
        path = Path(path)
        writers: dict[str, Callable[[], str]] = {
            ".html": self.html,
            ".md": self.markdown,
            ".json": self.json,
            ".txt": lambda: f"{self}\n",
            ".py": lambda: str(self.code()),
        }
        if path.suffix in writers:
            path.write_text(writers[path.suffix](), encoding="utf-8")
            return path
        try:
            return self.draw().save(path)
        except InputError:
            raise InputError(
                f"cannot write an explanation into {path.name!r}",
                f"use one of {', '.join(writers)}, .svg, .png, .dot, .mmd",
                where="",
            ) from None


def _finite(x: Any) -> bool:
    if isinstance(x, tuple):
        return all(map(_finite, x))
    return x is None or bool(np.isfinite(np.asarray(x)).all())


def _plain(x: Any) -> Any:
    return float(x) if np.ndim(x) == 0 else np.array(x)


def _source(f: Any) -> str:
    import inspect
    import textwrap

    try:
        return textwrap.dedent(inspect.getsource(f)).rstrip()
    except (OSError, TypeError):
        return getattr(f, "__name__", repr(f))
