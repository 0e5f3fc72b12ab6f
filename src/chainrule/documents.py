"""A calculation as a document: words and formulas, written as text, LaTeX, Markdown or HTML with MathML."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError


class Line:
    """One line of a calculation; each kind writes itself in four ways."""

    text: str

    def plain(self, width: int) -> str:
        """As plain text; `width` is that of the formulas that have a reason beside them."""
        return self.text

    def latex_row(self) -> str:
        """As LaTeX."""
        raise NotImplementedError

    def markdown(self) -> str:
        """As Markdown."""
        return self.text

    def html(self) -> str:
        """As HTML."""
        raise NotImplementedError


@dataclass(frozen=True)
class Heading(Line):
    """A heading."""

    text: str

    def latex_row(self) -> str:
        return rf"\paragraph{{{_escaped(self.text)}}}"

    def markdown(self) -> str:
        return f"**{self.text}**"

    def html(self) -> str:
        return f"<h4>{html.escape(self.text)}</h4>"


@dataclass(frozen=True)
class Words(Line):
    """A sentence."""

    text: str

    def latex_row(self) -> str:
        return _escaped(self.text) + r"\par"

    def html(self) -> str:
        return f"<p>{html.escape(self.text)}</p>".replace("\n", "<br>")


@dataclass(frozen=True)
class Formula(Line):
    """A formula as text and as LaTeX, and the reason for it."""

    text: str
    latex: str
    why: str = ""

    def plain(self, width: int) -> str:
        return f"  {self.text:<{width}}   {self.why}".rstrip() if self.why else f"  {self.text}"

    def latex_row(self) -> str:
        return r"\[ " + self.latex + (rf" \qquad \text{{{_escaped(self.why)}}}" if self.why else "") + r" \]"

    def markdown(self) -> str:
        return f"$${self.latex}$$" + (f"\n({self.why})" if self.why else "")

    def html(self) -> str:
        why = f' <span class="why">{html.escape(self.why)}</span>' if self.why else ""
        return f"<p>{_mathml(self.latex)}{why}</p>"


def heading(text: str) -> Line:
    """A heading."""
    return Heading(text)


def words(text: str) -> Line:
    """A sentence."""
    return Words(text)


def formula(text: str, latex: str, why: str = "") -> Line:
    """A formula, and the reason for it."""
    return Formula(text, latex, why)


class Document:
    """Lines, written as text, LaTeX, Markdown or HTML."""

    lines: list[Line]

    def __str__(self) -> str:
        explained = [len(s.text) for s in self.lines if isinstance(s, Formula) and s.why]
        width = min(max(explained, default=0), 70)
        gaps = ("\n" if k and isinstance(s, Heading) else "" for k, s in enumerate(self.lines))
        return "\n".join(gap + s.plain(width) for gap, s in zip(gaps, self.lines, strict=True))

    __repr__ = __str__

    def latex(self) -> str:
        """The calculation as LaTeX: headings and words as text, formulas displayed."""
        return "\n".join(s.latex_row() for s in self.lines) + "\n"

    def markdown(self) -> str:
        """The calculation as Markdown with formulas between dollar signs."""
        return "\n\n".join(s.markdown() for s in self.lines) + "\n"

    def html(self) -> str:
        """The calculation as HTML with MathML: no JavaScript, no fonts to fetch."""
        return '<div class="chainrule-math">\n' + "\n".join(s.html() for s in self.lines) + "\n</div>\n"

    mathml = html

    def _repr_html_(self) -> str:
        return self.html()

    def save(self, path: str | Path) -> Path:
        """Write it; the suffix says how: .txt, .tex, .md or .html."""
        path = Path(path)
        writers = {".txt": lambda: f"{self}\n", ".tex": self.latex, ".md": self.markdown, ".html": self._page}
        if path.suffix not in writers:
            raise InputError(
                f"cannot write a calculation into {path.name!r}", f"use one of {', '.join(writers)}", where=""
            )
        path.write_text(writers[path.suffix](), encoding="utf-8")
        return path

    def _page(self) -> str:
        title = next((s.text for s in self.lines if isinstance(s, Heading)), "chainrule")
        return page(title, self.html(), "body{max-width:60rem}.why{color:#666;margin-left:2rem}")


def page(title: str, body: str, style: str = "") -> str:
    """A self-contained HTML page."""
    base = "body{font-family:sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}svg{max-width:100%;height:auto}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{base}{style}</style></head><body>{body}</body></html>\n"
    )


def quoted(text: str) -> str:
    """Words inside a formula, as LaTeX."""
    return rf"\text{{{_escaped(text)}}}"


def _escaped(text: str) -> str:
    return re.sub(r"([#$%&_{}])", r"\\\1", text).replace("^", r"\string^")


def _mathml(latex: str) -> str:
    """A formula as MathML, in which words need no escapes."""
    from latex2mathml.converter import convert

    def words(match: re.Match[str]) -> str:
        return "\\text{" + re.sub(r"\\(?:string)?(.)", r"\1", match[1]) + "}"

    return convert(re.sub(r"\\text\{((?:[^{}\\]|\\string|\\.)*)\}", words, latex))
