"""How formulas are spelled: each sign is read as people mean it, or refused with the spelling to use; never a third thing."""

from __future__ import annotations

import functools
import keyword
import re
import unicodedata
from collections.abc import Collection
from typing import Any

from ..errors import FormulaError
from ..ops import by_name
from ..ops.kinds import Elementwise
from .vocabulary import function_named

AROUND = 80  # characters on either side of a place that are looked at for what was meant


def pointed(text: str, position: int, what: str, fix: str = "") -> FormulaError:
    """An error that shows the line of the formula with a caret under the position."""
    position = max(0, min(position, len(text)))
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)]
    column = position - start
    shift = max(0, column - 60)
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    shown = ("…" if shift else "") + line[shift : shift + 100] + ("…" if len(line) > shift + 100 else "")
    caret = " " * (column - shift + bool(shift)) + "^"
    row = f"line {text.count(chr(10), 0, position) + 1}, " if "\n" in text else ""
    return FormulaError(f"{what}\n    {shown}\n    {caret}  ({row}column {column + 1})", fix, where="")


# ---- signs -----------------------------------------------------------------------------------------------------------

_ASCII = str.maketrans("−⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "--+0123456789")
_SUBSCRIPTS = re.compile("[₀-₉ₐ-ₜᵢᵣᵤᵥᵦᵧᵨᵩᵪⱼ]+")


def _in_ascii(token: Any) -> Any:
    return token.update(value=str(token).translate(_ASCII))


def _folded(token: Any) -> Any:
    return token.update(value=unicodedata.normalize("NFKC", str(token)))


CALLBACKS = {  # what the grammar hands on of a sign that has a plain spelling
    "NUMBER": _in_ascii,
    "SIGNED": _in_ascii,
    "SUPERSCRIPT": _in_ascii,
    "SUPERSCRIPT_NAME": _folded,
    "ROOT": lambda token: token.update(value="sqrt"),
}


def identifier(token: Any) -> str:
    """The name as an identifier: x₁ is x_1, primes are spelled out, letters are folded as Python folds them."""
    return unicodedata.normalize("NFKC", _subscripted(token)).replace("'", "_prime")


def _subscripted(name: Any) -> str:
    """The name with its subscripts on the line: x_1 for x₁."""
    flat = _SUBSCRIPTS.sub(lambda m: "_" + unicodedata.normalize("NFKC", m[0]), str(name))
    return flat.replace("__", "_").replace("′", "'") if flat != str(name) else flat.replace("′", "'")


# ---- what does not parse ---------------------------------------------------------------------------------------------

_BEGINS = r"(?=[\w√(\[|‖])"
_PRODUCT = "write products with *, as 2*x"
# what stands before the place, what stands at it, and what to write; the first row that fits is told
_MEANT: list[tuple[str, str, str]] = [
    (r"", "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", "delete this character, which is not to be seen"),
    (r"(?P<f>\w*[^\W\d⁰¹²³⁴-⁹])\s*((\^|\*\*)\s*\(?-\s*1\)?|⁻¹)\s*$", _BEGINS, "write arc{f}(x) for the inverse function, 1/{f}(x) for the reciprocal"),
    (r"(?P<f>\w*[^\W\d⁰¹²³⁴-⁹])\s*(\^|\*\*)?\s*(?P<n>\d+|[⁰¹²³⁴-⁹]+)\s*$", _BEGINS, "write {f}(x)^{n}"),
    (r"(\^T|ᵀ|\.T)\s*$", _BEGINS, "write x.T @ y"),
    (r"(?P<f>[^\W\d]\w*)\s+$", _BEGINS, "write {f}(x)"),
    (r"\b(?P<f>[^\W\d]\w*)\s*\[\s*$", r"", "write {f}(x)"),
    (r"\b[d∂]\s*/\s*[d∂]\s*\w+\s*$", r"", "a formula holds no derivative: cr.grad(f, 'x') takes it, and cr.prove reads d/dx f"),
    (r"", r"[∂∇]", "a formula holds no derivative: cr.grad(f, 'x') takes it, and cr.prove reads d/dx f"),
    (r"\bif\s+$|\bif\b.*$", r"", "write where(x > 0, a, b), or 1[x > 0]*a"),
    (r"", r"(if|else|then)\b", "write where(x > 0, a, b), or 1[x > 0]*a"),
    (r"(\bnot\s+)$", r"", "write 1 - 1[x > 0]"),
    (r"", r"(and|or)\b|[&∧∨]", "write 1[x > 0]*1[y > 0] for and, max(1[x > 0], 1[y > 0]) for or"),
    (r"", r"mod\b", "write mod(x, y)"),
    (r"", r"%", "write 5/100 for a percentage, mod(x, y) for a remainder"),
    (r"/\s*$", r"/", "write floor(x / y)"),
    (r"", r"!", "write exp(gammaln(x + 1)) for a factorial"),
    (r"", r"°", "angles are in radians: write 90*pi/180, or deg2rad(90)"),
    (r"", r"[±∓]", "write two formulas"),
    (r"", r"⊗", "write outer(x, y), or kron(x, y)"),
    (r"", r"[∘∗•∙]", "write * for the product of entries, @ for that of matrices"),
    (r"", r"[÷∕⁄]", "write /"),
    (r"", r"[‐‑‒–—﹣－]", "write - for a minus"),
    (r"", r"[⟨〈]", "write x @ y for the inner product"),
    (r"(^|[-+*/@^(,=;\[])\s*$", r"<", "write x @ y for the inner product"),
    (r"([<>≤≥]|[=!]=)[^;\n]*$", r"[<>≤≥]|[=!]=", "compare two values at a time: (x < y)*(y < 1)"),
    (r"", r"[∑∏]", "write sum(x), prod(x)"),
    (r"\b(sum|Σ|Π)(_\w+)?\s+$", r"", "write sum(x), prod(x)"),
    (r":\s*$", r"=", "write f = x + 1, with a name on the left"),
    (r"\w\s*\([^()]*\)\s*$", r"=", "write f = ..., without its arguments"),
    (r"(?<![<>=!])=(?!=)[^;\n]*$", r"=", "one = in a statement: write b = x; a = b; an option is a number, as axis=0"),
    (r"^[^;\n=]*$", r":=", "write f = x + 1"),
    (r"", r"=(?!=)", "an assignment has a name on its left: f = x + 1; equations are for cr.prove"),
    (r"\w*=\s*$", r"", "an option is a number, as axis=0, keepdims=1"),
    (r"(?<![\w.])\d+\s*$", r",\s*\d", "write decimals with a point: 1.5"),
    (r"\[[^\]]*[\d.]\s*$", r"[\d;]", "write commas, and rows in brackets: [[1, 2], [3, 4]]"),
    (r"", r",", "a vector is written in brackets: [x, y]"),
    (r"", r";", "close the bracket before the ;"),
    (r"(\^|\*\*)\s*$", r"\{", "write x^(n + 1), with round brackets"),
    (r"_\s*$|_$", r"\{", "write x[1] for an entry, x_1 for a name"),
    (r"\w_$", r"\{", "write x[1] for an entry, x_1 for a name"),
    (r"", r"[{}]", "write round brackets"),
    (r"[\w)]\s*$", r"\\\s", "formulas solve no systems: write a Python function"),
    (r"", r"[\\$]", "LaTeX is not read: write sin(x), a/b, x^2, x_1"),
    (r"", r"[\"'`“”’‘]", "write the formula without quotes"),
    (r"(?P<f>[)\]])$", r"_", "write an entry as x[0]"),
    (r"\[\s*$", r"", "an index is an integer, as x[0]"),
    (r"", r"[∞]", "a formula holds finite numbers: write 1e300"),
    (r"", r"[⊤†]", "write x.T for the transpose"),
    (r"(\d\.?)$", r"e(?!\w)", "write 1e3 for a power of ten, 2*e for a multiple of e"),
    (r"\d$", r"_\d|[xXoObB]\d", "write a number in plain digits: 1000"),
    (r"√[^√+*/=-]*$", r"\^|\*\*|[⁰¹²³⁴-⁹ⁿ]", "write sqrt(x)^2, or sqrt(x^2)"),
    (r"[⁰¹²³⁴-⁹ⁿ]\s*$", r"\^|\*\*|[\[.]", "write brackets: (x^2)^3 or x^(2^3)"),
    (r"", r"[⁰¹²³⁴-⁹⁺⁻⁼⁽⁾ᵃ-ᶻⁱⁿ]", "write the exponent with ^, as x^(n + 1)"),
    (r"", r"[₊₋₌₍₎]", "write x[1] for an entry, x_1 for a name"),
    (r"", r"\|", "write abs(x) for the absolute value, norm(x) for the norm"),
    (r"[\w)\]|‖⁰¹²³⁴-⁹]\s*$", r"[\w(\[√‖]", _PRODUCT),
]  # fmt: skip


@functools.cache
def _rows() -> list[tuple[re.Pattern[str], re.Pattern[str], str]]:
    return [(re.compile(before), re.compile(here), fix) for before, here, fix in _MEANT]


def meant(text: str, position: int) -> str:
    """What to write instead of what stands at a place where nothing fits."""
    before, here = text[max(0, position - AROUND) : position], text[position : position + AROUND]
    strange = _strange(here[:1])
    if strange:
        return strange
    for left, right, fix in _rows():
        found = left.search(before)
        if found is None or right.match(here) is None:
            continue
        if "{f}" in fix and function_named(found["f"]) is None:
            continue
        return fix.format(**{k: unicodedata.normalize("NFKC", v) for k, v in found.groupdict().items() if v})
    return "expected a number, a name, a call or a bracket here" if here else "something is missing at the end"


def _strange(c: str) -> str:
    """What to write for a letter, a digit or a mark that formulas do not have; empty for any other sign."""
    if not c or c.isascii():
        return ""
    kind, plain = unicodedata.category(c), unicodedata.normalize("NFKC", c)
    if kind == "Nd":
        return f"write the digit {unicodedata.digit(c)}"
    if kind == "Mn":
        return "write x_hat, x_bar: names have no marks above their letters"
    if c in "₊₋₌₍₎⁺⁻⁼⁽⁾":
        return ""
    if len(plain) == 1 and plain.isascii() and not plain.isalnum() and plain.isprintable():
        return f"write {plain!r}"
    if len(plain) > 1 and kind in ("Ll", "Lu", "Lt") and plain.isidentifier():
        return f"write {plain}"
    if kind in ("Lu", "Ll", "Lo", "Lt") and not unicodedata.name(c, "").startswith(("LATIN", "GREEK", "MATHEMATICAL")):
        return f"this is {unicodedata.name(c, 'a letter').lower()}: names are written in Latin and Greek letters"
    if kind == "No" and c not in "⁰¹²³⁴⁵⁶⁷⁸⁹":
        return "write a fraction as 1/2"
    return ""


def is_function(name: str) -> bool:
    """Whether nobody would call a variable so: the name of an elementwise function, as sin."""
    return len(name) > 1 and name not in _ALSO_VARIABLES and isinstance(by_name(name), Elementwise)


_ALSO_VARIABLES = {"sigma", "sig", "angle", "psi", "rect", "mod", "sign", "where", "positive", "negative", "square", "reciprocal", "indicator"}  # fmt: skip

# ---- what parses, and is meant otherwise -----------------------------------------------------------------------------

_LOOKALIKES = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True))
_FOLDED = re.compile("[₀-₉ₐ-ₜᵢᵣᵤᵥᵦᵧᵨᵩᵪⱼµϐϑϕϰϱϵℎℓΩKÅ′𝐀-𝟋]")
_KRONECKER = re.compile(r"(δ|delta)_?[i-n][i-n]")
_NOT_NUMBERS = {"inf", "infinity", "nan"}


def check_spelling(text: str, tree: Any, declared: Collection[str] = ()) -> None:
    """Refuse what would be read otherwise than people mean it.

    Args:
        declared: names that are variables, whatever they look like.
    """
    nodes = list(tree.iter_subtrees())
    names = [n.children[0] for n in nodes if n.data == "name"]
    called = [n.children[0] for n in nodes if n.data == "call"]
    assigned = {identifier(n.children[0]): n.meta.end_pos for n in reversed(nodes) if n.data == "assign"}
    _check_letters(text, [*names, *(t for n in nodes for t in n.children if getattr(t, "type", "") == "NAME")])
    _check_calls(text, called, names, assigned)
    variables = {identifier(t) for t in names}
    for t in names:
        _check_variable(text, t, variables, {*declared, *assigned})
    for n in nodes:
        check = _CHECKS.get(n.data)
        if check is not None:
            check(text, n, {*declared, *assigned})


def _check_calls(text: str, called: list[Any], names: list[Any], assigned: dict[str, int]) -> None:
    """Refuse calls of what is a variable; a function may give its name to its result, as in relu = relu(z)."""
    free = {identifier(t) for t in names if identifier(t) not in assigned}
    for t in called:
        name = identifier(t)
        if (name in free and not is_function(name)) or (name in assigned and t.start_pos > assigned[name]):
            what = f"{t} is a variable here, and called as a function"
            raise pointed(text, t.start_pos, what, f"write the product as {t}*(...)")


def _check_letters(text: str, tokens: list[Any]) -> None:
    """Refuse names that look like others, or that Python has taken."""
    spelled: dict[str, str] = {}
    for t in tokens:
        raw, name = str(t), identifier(t)
        for k, c in enumerate(raw):
            plain = _LOOKALIKES.get(c) or unicodedata.normalize("NFKC", c)
            if plain != c and not _FOLDED.match(c):
                what = f"{c!r} is the {unicodedata.name(c, 'letter').lower()}"
                raise pointed(text, t.start_pos + k, what, f"write {plain}")
        if keyword.iskeyword(name) or name.startswith("__"):
            fix = "write λ, or lam" if name == "lambda" else "use another name"
            raise pointed(text, t.start_pos, f"{name} is a word of Python", fix)
        _distinct(text, t, spelled.setdefault(name, raw))
    for t in tokens:
        run_together = unicodedata.normalize("NFKC", str(t))
        if run_together != identifier(t) and run_together in spelled:
            _distinct(text, t, run_together)


def _distinct(text: str, token: Any, other: str) -> None:
    if _subscripted(other) != _subscripted(token):
        fix = "write one of them in both places, or use names that differ"
        raise pointed(text, token.start_pos, f"{other} and {token} look like one name", fix)


def _check_variable(text: str, t: Any, variables: Collection[str], declared: Collection[str]) -> None:
    """Refuse a variable whose name stands for something else."""
    name = identifier(t)
    if name in declared:
        return
    if is_function(name):
        raise pointed(text, t.start_pos, f"{t} is a function", f"write {t}(x), or give the variable another name")
    if name.lower() in _NOT_NUMBERS:
        raise pointed(text, t.start_pos, f"{t} is no number of a formula", "write a finite number, such as 1e300")
    if _KRONECKER.fullmatch(name):
        raise pointed(text, t.start_pos, f"{t} reads as Kronecker's delta", "write 1[i == j]")
    letters = name.replace("_", "")
    if 2 <= len(letters) == len(name) <= 4 and letters.isalpha() and all(c in variables for c in letters):
        fix = f"write {'*'.join(letters)} for the product, or give the variable another name"
        raise pointed(text, t.start_pos, f"{t} reads as the product of {', '.join(letters)}", fix)


def _check_quotient(text: str, node: Any, declared: Collection[str]) -> None:
    """df/dx is a derivative, not a quotient."""
    sides = [identifier(c.children[0]) if getattr(c, "data", "") == "name" else "" for c in node.children]
    if (
        all(re.fullmatch(r"(d|partial)\w*", s) for s in sides)
        and sides[1] not in ("d", "")
        and not {*sides} <= {*declared}
    ):
        raise pointed(
            text,
            node.meta.start_pos,
            f"{sides[0]}/{sides[1]} reads as a derivative, which a formula does not hold",
            f"cr.grad(f, {sides[1][1:]!r}) takes it, and cr.prove reads d/d{sides[1][1:]} f; "
            f"two variables of these names are declared: {sides[0]}=(), {sides[1]}=()",
        )


def _check_exponent(text: str, node: Any, declared: Collection[str]) -> None:
    """x^T is the transpose, not a power."""
    exponent = node.children[1]
    if exponent.data == "name" and str(exponent.children[0]) == "T" and "T" not in declared:
        start = exponent.children[0].start_pos
        if not text[:start].rstrip().endswith("("):
            raise pointed(text, start, "^T reads as the transpose", "write x.T for it, x^(T) for a power")


def _check_entry(text: str, node: Any, declared: Collection[str]) -> None:
    """exp[x] is a call."""
    head = node.children[0]
    if head.data == "name" and is_function(str(head.children[0])) and identifier(head.children[0]) not in declared:
        token = head.children[0]
        raise pointed(text, token.start_pos, f"{token} is a function", f"write {token}(x), with round brackets")


def _check_indicator(text: str, node: Any, declared: Collection[str]) -> None:
    """1[x] of a number says nothing."""
    if not any(n.data == "compare" for n in node.iter_subtrees()):
        raise pointed(text, node.meta.start_pos, "an indicator holds a comparison", "write 1[x > 0]")


_CHECKS = {
    "divide": _check_quotient,
    "power": _check_exponent,
    "getitem": _check_entry,
    "indicator": _check_indicator,
}
