"""A calculation as a document: words and formulas, written as text, LaTeX, Markdown or HTML with MathML."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError


@dataclass(frozen=True)
class Line:
    """One line: a heading, words, or a formula with the reason beside it.

    Attributes:
        kind: "heading", "words" or "formula".
        text: as plain text.
        latex: the formula as LaTeX.
        why: the reason for a formula.
    """

    kind: str
    text: str
    latex: str = ""
    why: str = ""


def heading(text: str) -> Line:
    """A heading."""
    return Line("heading", text)


def words(text: str) -> Line:
    """A sentence."""
    return Line("words", text)


def formula(text: str, latex: str, why: str = "") -> Line:
    """A formula and the reason for it."""
    return Line("formula", text, latex, why)


class Document:
    """Lines with four ways to write them."""

    lines: list[Line]

    def __str__(self) -> str:
        width = min(max((len(s.text) for s in self.lines if s.kind == "formula" and s.why), default=0), 70)
        rows: list[str] = []
        for s in self.lines:
            if s.kind == "heading":
                rows += ["", s.text] if rows else [s.text]
            elif s.kind == "formula":
                rows.append(f"  {s.text:<{width}}   {s.why}".rstrip() if s.why else f"  {s.text}")
            else:
                rows.append(s.text)
        return "\n".join(rows)

    __repr__ = __str__

    def latex(self) -> str:
        """The calculation as LaTeX: headings and words as text, formulas displayed."""
        rows: list[str] = []
        for s in self.lines:
            if s.kind == "heading":
                rows.append(rf"\paragraph{{{_escaped(s.text)}}}")
            elif s.kind == "words":
                rows.append(_escaped(s.text) + r"\par")
            else:
                rows.append(r"\[ " + s.latex + (rf" \qquad \text{{{_escaped(s.why)}}}" if s.why else "") + r" \]")
        return "\n".join(rows) + "\n"

    def markdown(self) -> str:
        """The calculation as Markdown with formulas between dollar signs."""
        rows: list[str] = []
        for s in self.lines:
            if s.kind == "heading":
                rows.append(f"**{s.text}**")
            elif s.kind == "words":
                rows.append(s.text)
            else:
                rows.append(f"$${s.latex}$$" + (f"\n({s.why})" if s.why else ""))
        return "\n\n".join(rows) + "\n"

    def html(self) -> str:
        """The calculation as HTML with MathML: no JavaScript, no fonts to fetch."""
        rows: list[str] = []
        for s in self.lines:
            if s.kind == "heading":
                rows.append(f"<h4>{html.escape(s.text)}</h4>")
            elif s.kind == "words":
                rows.append(f"<p>{html.escape(s.text)}</p>".replace("\n", "<br>"))
            else:
                why = f' <span class="why">{html.escape(s.why)}</span>' if s.why else ""
                rows.append(f"<p>{_mathml(s.latex)}{why}</p>")
        return '<div class="chainrule-math">\n' + "\n".join(rows) + "\n</div>\n"

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
        title = next((s.text for s in self.lines if s.kind == "heading"), "chainrule")
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
