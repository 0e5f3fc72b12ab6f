"""Names that C can use: every identifier once, none that the language or its library has taken."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from .c99_operations import HELPERS, OPERATIONS, TYPES

_KEYWORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return
    short signed sizeof static struct switch typedef union unsigned void volatile while _Bool _Complex _Imaginary asm typeof
    bool true false size_t NAN INFINITY HUGE_VAL NULL INT64_MIN INT32_MIN memcpy main errno status misplaced at
    linux unix i386 signgam
"""
_TEXTS = " ".join(text for row in OPERATIONS.values() for text in row)
RESERVED = {
    *_KEYWORDS.split(),
    *re.findall(r"[a-z_]\w*", " ".join((*TYPES.values(), *HELPERS, _TEXTS))),
    *(f"{w}f" for w in re.findall(r"([a-z]\w*)\{f\}", _TEXTS)),
} - {"f", "t", "u"}


class Namer:
    """Hands out identifiers, each once; letters of other scripts are spelled out."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {*RESERVED, *taken}
        self.next: dict[str, int] = {}

    def __call__(self, wanted: str) -> str:
        base = "".join(map(_spelled, wanted))
        base = base if base[:1].isalpha() else f"v_{base.strip('_')}"
        name = base
        if base == "t":  # a line of the program: they are numbered from the first on
            name = self._numbered(base)
        while name in self.taken:
            name = self._numbered(base if base[-1].isalpha() else f"{base}_")
        self.taken.add(name)
        return name

    def _numbered(self, base: str) -> str:
        self.next[base] = self.next.get(base, 0 if base == "t" else 1) + 1
        return f"{base}{self.next[base]}"


def _spelled(letter: str) -> str:
    """A letter as C has it: as it is, by its name in Greek, or by its number."""
    if letter.isascii():
        return letter if letter.isalnum() or letter == "_" else "_"
    name = unicodedata.name(letter, "").split()
    if name[:1] == ["GREEK"] and "LETTER" in name:
        word = name[name.index("LETTER") + 1]
        return word.capitalize() if "CAPITAL" in name else word.lower()
    return f"u{ord(letter):04x}"
