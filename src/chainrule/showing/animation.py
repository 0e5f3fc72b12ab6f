"""Animation: the forward and the backward pass, one step a frame, as a self-contained HTML page."""

from __future__ import annotations

import copy
import dataclasses
import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..documents import page
from ..errors import InputError
from ..ir.node import Node
from ..ir.simplify import value_of
from ..programs.lines import Lines
from ..programs.staged import Line, Staged
from .drawing import Drawing
from .show import shown

MOST = 400  # frames


@dataclass(frozen=True)
class Frame:
    """One step: what is done, whether forward or backward, and the picture after it."""

    caption: str
    phase: str
    svg: str


class Animation:
    """The frames of a computation and its gradient; shows itself in a notebook, and saves itself as a page."""

    def __init__(self, staged: Staged) -> None:
        if any(not isinstance(line, Line) for line in staged.lines):
            raise InputError("a loop is not animated", 'open it: open="scan"', where="")
        if len(staged.live_stages) + len(staged.lines) > MOST:
            raise InputError(f"an animation of more than {MOST} steps says nothing", "explain a smaller part", where="")
        self.title = staged.name
        self.drawing = Drawing(staged)
        self.frames = _frames(staged, self.drawing)

    def html(self) -> str:
        """A page that needs nothing else, with buttons to step and to play."""
        return page(self.title, self._player())

    def _player(self) -> str:
        shots = "".join(
            f'<figure data-frame="{k}"{"" if k == 0 else " hidden"} style="margin:0">'
            f'<figcaption style="min-height:2.2em"><b>{f.phase}</b> <code>{html.escape(f.caption)}</code></figcaption>{f.svg}</figure>'
            for k, f in enumerate(self.frames)
        )
        return f'<div class="chainrule-animation">{_CONTROLS.format(last=len(self.frames) - 1)}{shots}{_SCRIPT}</div>'

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self.html())}" style="width:100%;height:{self.drawing.size[1] + 140:.0f}px;border:0"></iframe>'

    def save(self, path: str | Path) -> Path:
        """Write the page; the suffix is .html."""
        path = Path(path)
        if path.suffix != ".html":
            raise InputError(f"cannot write an animation into {path.name!r}", "use .html", where="")
        path.write_text(self.html(), encoding="utf-8")
        return path

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"<animation of {self.title}: {len(self.frames)} frames>"


_CONTROLS = (
    '<p><button data-do="first">⏮</button> <button data-do="back">◀ back</button> <button data-do="play">▶ play</button> '
    '<button data-do="next">step ▶</button> <input type="range" min="0" max="{last}" value="0" style="vertical-align:middle"> '
    '<output>0</output> / {last}</p>'
)  # fmt: skip
_SCRIPT = """<script>
(function (root) {
  const frames = root.querySelectorAll("figure"), slider = root.querySelector("input"), at = root.querySelector("output");
  const play = root.querySelector('[data-do="play"]');
  let k = 0, timer = null;
  function show(n) {
    k = Math.max(0, Math.min(frames.length - 1, n));
    frames.forEach((f, i) => { f.hidden = i !== k; });
    slider.value = k; at.value = k;
    if (k === frames.length - 1) stop();
  }
  function stop() { clearInterval(timer); timer = null; play.textContent = "▶ play"; }
  function toggle() {
    if (timer) return stop();
    if (k === frames.length - 1) show(0);
    timer = setInterval(() => show(k + 1), 900); play.textContent = "⏸ pause";
  }
  const moves = { first: () => { stop(); show(0); }, back: () => { stop(); show(k - 1); }, next: () => { stop(); show(k + 1); }, play: toggle };
  root.querySelectorAll("button").forEach(b => b.addEventListener("click", moves[b.dataset.do]));
  slider.addEventListener("input", () => { stop(); show(+slider.value); });
  document.addEventListener("keydown", e => { if (e.key === "ArrowRight") moves.next(); if (e.key === "ArrowLeft") moves.back(); });
})(document.currentScript.parentElement);
</script>"""


def _frames(s: Staged, drawing: Drawing) -> list[Frame]:
    """The start, every forward stage, and every backward line with the gradient that it has made so far."""
    lines = Lines(s, {})
    values: dict[Node, str] = {v: shown(v.value) for v in s.inputs}
    gradients: dict[Node, str] = {}
    made = [Frame("the inputs", "start", _picture(drawing, values, gradients, None))]
    for (statement, _), n in zip(lines.forward(), s.live_stages, strict=True):
        values[n] = shown(n.value)
        made.append(
            Frame(f"({s.number(n)}) {statement} = {shown(n.value)}", "forward", _picture(drawing, values, gradients, n))
        )
    sums: dict[Node, Any] = {s.output: np.ones(s.output.shape, s.output.dtype)[()]}
    gradients[s.output] = shown(sums[s.output])
    made.append(
        Frame(
            f"∂{s.names[s.output]}/∂{s.names[s.output]} = {shown(sums[s.output])}",
            "backward",
            _picture(drawing, values, gradients, s.output),
        )
    )
    for line in s.lines:
        if isinstance(line, Line):
            for m in s.live_stages[line.undoes - 1 :]:  # what is complete by now, though no line needed it
                if m in s.gradients:
                    gradients.setdefault(m, shown(s.gradients[m]))
            n = line.target
            part = np.broadcast_to(np.asarray(value_of(line.expression)), n.shape)
            sums[n] = sums[n] + part if line.adds else np.array(part)
            gradients[n] = shown(sums[n])
            sign = "+=" if line.adds else "="
            caption = (
                f"({line.undoes}) {s.gradient_names[n]} {sign} {lines.text(line.expression)}   now {shown(sums[n])}"
            )
            made.append(Frame(caption, "backward", _picture(drawing, values, gradients, n)))
    return made


def _picture(drawing: Drawing, values: dict[Node, str], gradients: dict[Node, str], active: Node | None) -> str:
    """The drawing with what is known so far, and the active value marked."""
    frame = copy.copy(drawing)
    frame.vertices = [
        dataclasses.replace(
            v, value="" if v.again else values.get(v.node, ""), gradient="" if v.again else gradients.get(v.node, ""), role="active" if v.node is active else v.role
        )
        for v in drawing.vertices
    ]  # fmt: skip
    return frame.svg
