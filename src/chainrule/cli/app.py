"""The command line: it parses, calls, and shows."""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from ..errors import ChainruleError, InputError
from .inputs import function_from, point_from, shapes_from, sizes_from

app = typer.Typer(
    name="chainrule",
    help="Derivatives you can read: gradients of formulas and Python functions, as numbers, programs and pictures.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


class Format(str, Enum):
    """How an explanation is written."""

    text, md, html, json = "text", "md", "html", "json"


Target = Annotated[
    str,
    typer.Argument(
        metavar="EXPR|FILE.py:FUNCTION", help='A formula, such as "(x + y)*z + x", or a function in a file.'
    ),
]
At = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        help="The point: [cyan]x=-2,y=5[/], arrays as JSON [cyan]x=[1,2][/] or from a file [cyan]x=@data.npy[/].",
    ),
]
Wrt = Annotated[str | None, typer.Option("--wrt", help="Differentiate with respect to these only: [cyan]x,y[/].")]
Open = Annotated[
    str, typer.Option("--open", help="Show these operations by what they are made of: [cyan]sigma,divide[/].")
]
Shape = Annotated[list[str] | None, typer.Option("--shape", help="Shape of a variable of a formula: [cyan]W=3x2[/].")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file instead; the suffix says how.")]


def _clean(command: Callable[..., Any]) -> Callable[..., Any]:
    """One clear message and exit code 2 for bad input, never a traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except ChainruleError as error:
            _fail("error", _message(error, str(kwargs.get("target", ""))), 2)
        except OSError as error:
            _fail("error", str(error), 2)
        except Exception as error:  # of the user's function
            place = _users_place(error, str(kwargs.get("target", "")))
            if place is None:
                raise
            _fail("error", f"{type(error).__name__}: {error}\n  at {place}", 2)

    return run


def _users_place(error: Exception, target: str) -> str | None:
    """The innermost line of the user's file that an error came through; None where it came through none."""
    file = str(Path(target.partition(".py:")[0] + ".py").resolve())
    lines = [f for f in traceback.extract_tb(error.__traceback__) if str(Path(f.filename).resolve()) == file]
    return f"{lines[-1].filename}:{lines[-1].lineno}: {lines[-1].line}" if lines else None


def _message(error: ChainruleError, target: str) -> str:
    """What is wrong, the line if it is one of the user's file, and what to do."""
    file = target.partition(".py:")[0] + ".py"
    in_users_file = error.where.startswith((file, str(Path(file).resolve())))
    return "\n  ".join(p for p in (error.what, error.where if in_users_file else "", error.fix) if p)


def _fail(word: str, message: str, code: int) -> NoReturn:
    Console(stderr=True).print(f"[red]{word}:[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(code) from None


def _console() -> Console:
    return Console(soft_wrap=not sys.stdout.isatty(), highlight=False)


def _explanation(target: str, at: list[str] | None, wrt: str | None, open: str, shape: list[str] | None) -> Any:
    from ..showing.explain import Explanation

    f = function_from(target)
    opened = [o.strip() for o in open.split(",") if o.strip()]
    return Explanation(f, values=point_from(at or [], f), wrt=wrt, open=opened, shapes=shapes_from(shape or []))


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
    else:
        output.write_text(text, encoding="utf-8")
        _console().print(f"wrote {output}")


_SUFFIXES = {
    ".txt": "text", ".md": "md", ".html": "html", ".json": "json", ".py": "program",
    ".svg": "drawing", ".png": "drawing", ".dot": "drawing", ".mmd": "drawing",
}  # fmt: skip


@app.command(epilog='Example: [cyan]chainrule explain "(x + y)*z + x" --at x=-2,y=5,z=-4[/]')
@_clean
def explain(
    target: Target,
    at: At = None,
    wrt: Wrt = None,
    open: Open = "",
    shape: Shape = None,
    format: Annotated[
        Format | None, typer.Option("--format", help="Text, Markdown, a self-contained page, or JSON.")
    ] = None,
    output: Output = None,
) -> None:
    """Show the staged program, and every value and gradient."""
    suffix = output.suffix if output is not None and format is not None else ""
    if format is not None and suffix in _SUFFIXES and _SUFFIXES[suffix] != format.value:
        raise InputError(f"--format {format.value} does not go into {output}", "let the suffix say how", where="")
    e = _explanation(target, at, wrt, open, shape)
    if format is None and output is not None:
        e.save(output)
        _console().print(f"wrote {output}")
    elif format in (None, Format.text):
        if output is None and sys.stdout.isatty():
            _console().print(e)
        else:
            _write(str(e), output)
    else:
        writers = {Format.md: e.markdown, Format.html: e.html, Format.json: e.json}
        _write(writers[format](), output)


@app.command(epilog='Example: [cyan]chainrule code "(x + s(y)) / (s(x) + (x + y)^2)"[/]')
@_clean
def code(
    target: Target,
    at: At = None,
    wrt: Wrt = None,
    open: Open = "",
    shape: Shape = None,
    lang: Annotated[str, typer.Option("--lang", help="python, torch, jax or c.")] = "python",
    output: Output = None,
) -> None:
    """Print the staged forward and backward program: runnable Python, a torch.autograd.Function, jax, or a C file."""
    text = str(_explanation(target, at, wrt, open, shape).code(lang))
    if output is None and sys.stdout.isatty():
        from rich.syntax import Syntax

        _console().print(
            Syntax(text.rstrip(), "c" if lang == "c" else "python", theme="ansi_dark", background_color="default")
        )
    else:
        _write(text, output)


@app.command(epilog='Example: [cyan]chainrule draw "(x + y)*z + x" --at x=-2,y=5,z=-4 -o graph.png[/]')
@_clean
def draw(
    target: Target,
    at: At = None,
    wrt: Wrt = None,
    open: Open = "",
    shape: Shape = None,
    partials: Annotated[bool, typer.Option("--partials", help="Write local partials on the edges.")] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file: .svg, .png, .dot or .mmd.")] = Path(
        "graph.svg"
    ),
) -> None:
    """Draw the computation: values above, gradients below."""
    _explanation(target, at, wrt, open, shape).draw(output, partials=partials)
    _console().print(f"wrote {output}")


@app.command(epilog='Example: [cyan]chainrule derive "g = x + y; g*z + x" --order chains[/]')
@_clean
def derive(
    target: Target,
    at: At = None,
    wrt: Wrt = None,
    open: Open = "",
    shape: Shape = None,
    order: Annotated[str, typer.Option("--order", help="reverse, forward or chains.")] = "reverse",
    layout: Annotated[str, typer.Option("--layout", help="Of matrices: denominator or numerator.")] = "denominator",
    second: Annotated[
        str, typer.Option("--second", help="The second derivative by these instead: [cyan]x[/] or [cyan]x,y[/].")
    ] = "",
    output: Output = None,
) -> None:
    """Write the derivation of every partial derivative; -o takes .txt, .tex, .md and .html."""
    by = [w.strip() for w in second.split(",")]
    if second and (len(by) > 2 or order != "reverse"):
        what = f"--second {second}" if len(by) > 2 else f"--order {order} with --second"
        raise InputError(
            f"{what}: a second derivative is by one or two variables, in one order", "write --second x,y", where=""
        )
    e = _explanation(target, at, wrt, open, shape)
    made = e.second(*by) if second else e.derivation(order, layout=layout)
    if output is None:
        _write(str(made), None)
    else:
        made.save(output)
        _console().print(f"wrote {output}")


@app.command(epilog="Example: [cyan]chainrule ops tanh[/]")
@_clean
def ops(
    name: Annotated[str | None, typer.Argument(help="An operation, such as tanh; all of them when left out.")] = None,
    output: Output = None,
) -> None:
    """What each part of chainrule does with an operation: derivatives, batches, native code, programs, proofs."""
    from ..showing.coverage import described, named, page

    _write(page() if name is None else described(named(name)), output)


@app.command(epilog='Example: [cyan]chainrule prove "d/dz sigma(z) = sigma(z)*(1 - sigma(z))"[/]')
@_clean
def prove(
    statement: Annotated[str, typer.Argument(help='An equation, such as "tanh(z) = 2*sigma(2*z) - 1".')],
    given: Annotated[
        list[str] | None, typer.Option("--given", help="An assumption: [cyan]x > 0[/], [cyan]symmetric(a)[/].")
    ] = None,
    functions: Annotated[
        str, typer.Option("--functions", help="Names that stand for any function: [cyan]f,g[/].")
    ] = "",
    layout: Annotated[str, typer.Option("--layout", help="Of derivatives: denominator or numerator.")] = "denominator",
    shape: Annotated[list[str] | None, typer.Option("--shape", help="Sizes of a variable: [cyan]W=nxm[/].")] = None,
    budget: Annotated[float, typer.Option("--budget", help="Seconds; over them the verdict is unknown.")] = 10.0,
    output: Output = None,
) -> None:
    """Prove an identity (exit code 0), or refute it with a counterexample (1); 3 means that neither was possible."""
    from ..symbolic.answers.prove import prove as decide

    verdict = decide(
        statement, given=given or (), functions=functions, layout=layout, budget=budget, **sizes_from(shape or [])
    )
    if output is None:
        _write(str(verdict), None)
    else:
        verdict.save(output)
        _console().print(f"wrote {output}")
    raise typer.Exit({"proved": 0, "refuted": 1}.get(verdict.verdict, 3))


@app.command(epilog='Example: [cyan]chainrule check "f = (x + y)*z + x" "df/dx = 1 + z"[/]')
@_clean
def check(
    target: Annotated[
        str, typer.Argument(metavar="FORMULA|PROGRAM.py", help="A formula, or a file with a staged program.")
    ],
    claims: Annotated[list[str] | None, typer.Argument(help='Claimed derivatives, such as "df/dx = 1 + z".')] = None,
    at: At = None,
    budget: Annotated[float, typer.Option("--budget", help="Seconds; what is left over them is unknown.")] = 10.0,
) -> None:
    """Check claimed derivatives or a staged backward program: exit code 0 if all is right, 1 if not, 3 if unknown."""
    from ..symbolic.answers.claims import check as judge

    text = Path(target).read_text(encoding="utf-8") if target.endswith(".py") else target
    made = judge(text, *(claims or []), at=point_from(at or [], text), budget=budget)
    _write(str(made), None)
    raise typer.Exit(0 if made else 1 if made.wrong else 3)


@app.command(epilog='Example: [cyan]chainrule grad "x^2 * sin(y)" --at x=3,y=1 --wrt x[/]')
@_clean
def grad(
    target: Target,
    at: At = None,
    wrt: Wrt = None,
    shape: Shape = None,
    format: Annotated[Format, typer.Option("--format", help="text or json.")] = Format.text,
    output: Output = None,
) -> None:
    """Print the value and the gradient at a point."""
    if not at:
        raise InputError("no point was given", "give one: --at x=2,y=3", where="")
    if format not in (Format.text, Format.json):
        raise InputError(f"grad writes text or json, not {format.value}", "use explain for the others", where="")
    e = _explanation(target, at, wrt, "", shape)
    if e.staged.output.shape != ():
        raise InputError(
            f"{e.staged.name} returns an array of shape {e.staged.output.shape}, not a single number",
            "take the sum, or one entry; chainrule explain shows every gradient against a cotangent of ones",
            where="",
        )
    if format is Format.json:
        import json

        data = json.loads(e.json())
        _write(
            json.dumps({"value": data["value"], "gradients": data["gradients"]}, indent=2, ensure_ascii=False), output
        )
        return
    lines = [
        f"{e.staged.name} = {_number(e.value)}",
        *(f"d{e.staged.name}/d{k} = {_number(v)}" for k, v in e.gradients.items()),
    ]
    _write("\n".join(lines), output)


def _number(x: Any) -> str:
    import numpy as np

    return repr(x) if np.ndim(x) == 0 else np.array2string(np.asarray(x), separator=", ")


@app.command("check-grad", epilog='Example: [cyan]chainrule check-grad "log(1 + exp(x))" --at x=0.5 --order 3[/]')
@_clean
def check_grad(
    target: Target,
    at: At = None,
    shape: Shape = None,
    order: Annotated[int, typer.Option("--order", min=1, max=6, help="How many times to differentiate.")] = 2,
) -> None:
    """Check forward mode, reverse mode and finite differences against each other; exit code 1 if they disagree."""
    from ..checks.gradients import check_grads
    from ..errors import DerivativeError
    from ..programs.functions import as_function, samples
    from ..trace.calls import name_of, parameters

    f = as_function(function_from(target), shapes_from(shape or []))
    values = point_from(at or [], f) or samples(f)
    names = [n for n in parameters(f) if n in values]
    unknown = [n for n in values if n not in names]
    if unknown:
        raise InputError(
            f"there is no variable {unknown[0]!r}", f"the variables are {', '.join(parameters(f))}", where=""
        )

    def by_position(*xs: Any) -> Any:
        return f(**dict(zip(names, xs, strict=True)))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    by_position.__name__ = name_of(f)
    by_position.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])  # type: ignore[attr-defined]
    try:
        check_grads(by_position, [values[n] for n in names], order)
    except DerivativeError as error:
        _fail("wrong", _message(error, target), 1)
    shown = ", ".join(f"{k}={_number(v)}" for k, v in values.items())
    _console().print(
        f"[green]ok:[/] forward mode, reverse mode and differences agree to order {order} at {escape(shown)}"
    )


@app.callback(invoke_without_command=True)
def main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Derivatives you can read."""
    if version:
        from .. import __version__

        typer.echo(f"chainrule {__version__}")
        raise typer.Exit
