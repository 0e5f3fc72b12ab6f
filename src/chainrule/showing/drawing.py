"""Drawings of a computation: layered, value in black above each node, gradient in blue below."""

from __future__ import annotations

import dataclasses
import html
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..ir.node import Node
from ..ops.loops import Loop
from ..ops.structured import pick
from ..programs.deriving import local_partial
from ..programs.expression_text import NUMPY, expression, write
from ..programs.staged import Line, Staged
from .show import shown

FONT = "DejaVu Sans, Verdana, sans-serif"
SIZE, SMALL = 13, 11  # pixels
CHARACTER = 0.62  # width of a character, in units of the size
BOX, ROW, GAP = 34, 96, 56  # height of a box, distance of rows, gap between columns
LEVEL = 84  # distance of layers in a picture that runs downward
DEEP, CROWDED, FAR = (
    11,
    20,
    2,
)  # layers from which a picture runs downward; vertices and span from which inputs are repeated
STYLES = {  # fill, border, border width, corner radius
    "input": ("#e8f5e9", "#2e7d32", 1.5, 17),
    "data": ("#f2f2f2", "#8a8a8a", 1.2, 17),
    "stage": ("#ffffff", "#444444", 1.2, 6),
    "output": ("#fff3e0", "#e65100", 2.2, 6),
    "active": ("#fff59d", "#b71c1c", 2.8, 6),  # where an animation is
}
GRADIENT = "#1453c4"


@dataclass
class Vertex:
    """A node as drawn: centre and width in pixels. An input that is used far away is drawn there once more."""

    node: Node
    role: str
    name: str
    operation: str
    value: str
    gradient: str
    width: float
    x: float = 0
    y: float = 0
    again: bool = False


@dataclass
class Edge:
    """An edge as drawn: its ends, its label, and the points that it bends at."""

    start: int
    end: int
    label: str
    bends: list[tuple[float, float]] = field(default_factory=list)


class Drawing:
    """A picture of a staged computation, as SVG, PNG, DOT or Mermaid."""

    def __init__(self, staged: Staged, *, partials: bool = False) -> None:
        self.title = staged.name
        nodes = [*staged.inputs, *(n for n in staged.stages)]
        used = {p for n in staged.stages for p in n.parents}
        nodes = [n for n in nodes if n in used or n is staged.output]
        place = {n: k for k, n in enumerate(nodes)}
        self.vertices = [_vertex(n, staged) for n in nodes]
        self.edges: list[Edge] = []
        for n in nodes:
            for p in dict.fromkeys(n.parents):
                if p in place:
                    self.edges.append(Edge(place[p], place[n], _partial(staged, n, p) if partials else ""))
        layers = _layers(len(self.vertices), self.edges)
        if len(self.vertices) > CROWDED:
            self._repeat_inputs(layers)
        self.down = max(layers) >= DEEP
        self.size = self._lay_out(layers)

    def _repeat_inputs(self, layers: list[int]) -> None:
        """Draw an input again beside a use that is far from it, instead of a line across the picture."""
        for e in self.edges:
            v = self.vertices[e.start]
            if v.role in ("input", "data") and layers[e.end] - layers[e.start] > FAR:
                self.vertices.append(
                    dataclasses.replace(v, value="", gradient="", width=_width(v.name, SIZE) + 18, again=True)
                )
                layers.append(layers[e.end] - 1)
                e.start = len(layers) - 1

    def _lay_out(self, layers: list[int]) -> tuple[float, float]:
        """Layers by Sugiyama's method, from left to right or downward; an edge that spans several bends where it passes one."""
        import igraph

        layers = list(layers)
        chains: list[list[int]] = []
        ends: list[tuple[int, int]] = []
        for e in self.edges:
            chain = [e.start]
            for level in range(layers[e.start] + 1, layers[e.end]):
                chain.append(len(layers))
                layers.append(level)
            chains.append(chain[1:])
            ends += zip(chain, [*chain[1:], e.end], strict=True)
        again = {k: e.end for e in self.edges if self.vertices[k := e.start].again}
        kept = [k for k in range(len(layers)) if k not in again]
        index = {k: j for j, k in enumerate(kept)}
        graph = igraph.Graph(
            n=len(kept), edges=[(index[i], index[j]) for i, j in ends if i not in again], directed=True
        )
        layout = graph.layout_sugiyama(layers=[layers[k] for k in kept], hgap=1, vgap=1, maxiter=500)
        rows = [0.0] * len(layers)
        for k, (row, _) in zip(kept, layout.coords, strict=True):
            rows[k] = row
        for k, end in again.items():
            rows[k] = rows[end] + 0.8
        _spread(layers, rows)
        rows = [row - min(rows) for row in rows]
        if self.down:
            step = self._step(layers, rows)
            points = [(row * step + step / 2, level * LEVEL + 40.0) for level, row in zip(layers, rows, strict=True)]
            size = (max(rows) + 1) * step + 40, max(layers) * LEVEL + 80.0
        else:
            centres, width = self._columns(layers)
            points = [(centres[level], row * ROW + 56) for level, row in zip(layers, rows, strict=True)]
            size = width, max(rows) * ROW + 112
        for v, (x, y) in zip(self.vertices, points, strict=False):
            v.x, v.y = x, y
        for e, chain in zip(self.edges, chains, strict=True):
            e.bends = [points[k] for k in chain]
        return size

    def _step(self, layers: list[int], rows: list[float]) -> float:
        """The width of a row in a picture that runs downward: enough for neighbours, with their values beside them."""
        step = 120.0
        places = sorted((level, row, k) for k, (level, row) in enumerate(zip(layers, rows, strict=True)))
        for (level, row, k), (next_level, next_row, j) in itertools.pairwise(places):
            if level == next_level and next_row > row:
                left, right = (self.vertices[i] if i < len(self.vertices) else None for i in (k, j))
                beside = max(_width(left.value, SMALL), _width(left.gradient, SMALL)) if left else 0
                half = sum(v.width / 2 for v in (left, right) if v)
                step = max(step, (half + beside + 24) / (next_row - row))
        return step

    def _columns(self, layers: list[int]) -> tuple[dict[int, float], float]:
        """The centre of each layer, and the width of the picture."""
        widths = dict.fromkeys(layers, 30.0)
        labels = dict.fromkeys(layers, 0.0)
        for v, level in zip(self.vertices, layers, strict=False):
            widths[level] = max(widths[level], v.width)
        for e in self.edges:
            labels[layers[e.end]] = max(labels[layers[e.end]], _width(e.label, SMALL) + 24)
        centres: dict[int, float] = {}
        x = 20.0 - GAP
        for level in sorted(widths):
            x += max(GAP, labels[level])
            centres[level] = x + widths[level] / 2
            x += widths[level]
        return centres, x + 20

    # ---- writers -------------------------------------------------------------------------------------------

    @property
    def svg(self) -> str:
        """The picture as SVG."""
        width, height = self.size
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'font-family="{FONT}" role="img">',
            f"<title>{html.escape(self.title)}: values above, gradients below</title>",
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse">'
            '<path d="M0 0.5 L8 4 L0 7.5 z" fill="#777"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
            *(self._svg_edge(e) for e in self.edges),
            *(_svg_vertex(v, self.down) for v in self.vertices),
            *(self._svg_label(e) for e in self.edges if e.label),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _ends(self, e: Edge) -> list[tuple[float, float]]:
        a, b = self.vertices[e.start], self.vertices[e.end]
        if self.down:
            return [(a.x, a.y + BOX / 2), *e.bends, (b.x, b.y - BOX / 2 - 1)]
        return [(a.x + a.width / 2, a.y), *e.bends, (b.x - b.width / 2 - 1, b.y)]

    def _svg_edge(self, e: Edge) -> str:
        points = self._ends(e)
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if self.down:
                path += f" C{x0:.1f} {y0 + 24:.1f} {x1:.1f} {y1 - 24:.1f} {x1:.1f} {y1:.1f}"
                continue
            reach = max(20.0, (x1 - x0) / 2)
            path += f" C{x0 + reach:.1f} {y0:.1f} {x1 - reach:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        return f'<path d="{path}" fill="none" stroke="#777" stroke-width="1.3" marker-end="url(#arrow)"/>'

    def _svg_label(self, e: Edge) -> str:
        (x0, y0), (x1, y1) = self._ends(e)[-2:]
        x, y = x0 + (x1 - x0) * 0.5, y0 + (y1 - y0) * 0.5
        width = _width(e.label, SMALL) + 6
        return (
            f'<rect x="{x - width / 2:.1f}" y="{y - 9:.1f}" width="{width:.1f}" height="17" rx="3" fill="white" fill-opacity="0.92"/>'
            f'<text x="{x:.1f}" y="{y + 4:.1f}" font-size="{SMALL}" fill="#8e24aa" text-anchor="middle">{html.escape(e.label)}</text>'
        )

    @property
    def png(self) -> bytes:
        """The picture as PNG, at twice the size in pixels."""
        import matplotlib
        import resvg_py

        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        data = resvg_py.svg_to_bytes(
            svg_string=self.svg,
            zoom=2,
            font_files=[str(fonts / "DejaVuSans.ttf"), str(fonts / "DejaVuSans-Bold.ttf")],
            skip_system_fonts=True,
        )
        return bytes(data)

    @property
    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        lines = [f"digraph {_quoted(self.title)} {{", "  rankdir=LR;", '  node [fontname="sans-serif"];']
        for k, v in enumerate(self.vertices):
            fill, border, _, radius = STYLES[v.role]
            shape = "ellipse" if radius > 10 else "box"
            label = "\\n".join(
                _escaped(t) for t in (v.value, _label(v), f"grad {v.gradient}" if v.gradient else "") if t
            )
            lines.append(
                f'  n{k} [shape={shape}, style=filled, fillcolor="{fill}", color="{border}", label="{label}"];'
            )
        for e in self.edges:
            label = f' [label="{_escaped(e.label)}"]' if e.label else ""
            lines.append(f"  n{e.start} -> n{e.end}{label};")
        return "\n".join([*lines, "}"]) + "\n"

    @property
    def mermaid(self) -> str:
        """The graph in the language of Mermaid."""
        lines = ["flowchart LR"]
        for k, v in enumerate(self.vertices):
            gradient = f"<br/><span style='color:{GRADIENT}'>{_entity(v.gradient)}</span>" if v.gradient else ""
            text = f'"{_entity(v.value)}<br/><b>{_entity(_label(v))}</b>{gradient}"'
            left, right = ("([", "])") if v.role in ("input", "data") else ("[", "]")
            lines.append(f"  n{k}{left}{text}{right}:::{v.role}")
        for e in self.edges:
            label = f'|"{_entity(e.label)}"|' if e.label else ""
            lines.append(f"  n{e.start} -->{label} n{e.end}")
        for role, (fill, border, _, _) in STYLES.items():
            lines.append(f"  classDef {role} fill:{fill},stroke:{border}")
        return "\n".join(lines) + "\n"

    def save(self, path: str | Path) -> Path:
        """Write the picture; the suffix says how: .svg, .png, .dot, .mmd."""
        path = Path(path)
        writers = {
            ".svg": lambda: self.svg,
            ".png": lambda: self.png,
            ".dot": lambda: self.dot,
            ".gv": lambda: self.dot,
            ".mmd": lambda: self.mermaid,
        }
        if path.suffix not in writers:
            raise InputError(f"cannot draw into {path.name!r}", f"use one of {', '.join(writers)}", where="")
        data = writers[path.suffix]()
        path.write_bytes(data) if isinstance(data, bytes) else path.write_text(data, encoding="utf-8")
        return path

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<drawing of {self.title}: {len(self.vertices)} nodes, {len(self.edges)} edges>"


def _vertex(n: Node, s: Staged) -> Vertex:
    role = "output" if n is s.output else "stage" if n not in s.inputs else "input" if n in s.wrt else "data"
    operation = (
        "" if n in s.inputs else str(expression(n, s.names, NUMPY, lambda a: f"array{np.shape(a)}")).replace("np.", "")
    )
    operation = operation if len(operation) <= 30 else f"{n.op.name}(…)"
    gradient = s.gradients.get(n)
    made = Vertex(n, role, s.names[n], operation, shown(n.value), "" if gradient is None else shown(gradient), 0)
    made.width = max(
        _width(_label(made), SIZE) + 22, _width(made.value, SMALL) + 6, _width(made.gradient, SMALL) + 6, 44
    )
    return made


def _label(v: Vertex) -> str:
    return f"{v.name} = {v.operation}" if v.operation else v.name


def _width(text: str, size: float) -> float:
    return len(text) * size * CHARACTER


def _layers(count: int, edges: list[Edge]) -> list[int]:
    """The longest path to each vertex; inputs stand just before their first use."""
    layers = [0] * count
    before: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    for e in edges:
        before.setdefault(e.end, []).append(e.start)
        after.setdefault(e.start, []).append(e.end)
    for k in range(count):
        layers[k] = max((layers[j] + 1 for j in before.get(k, ())), default=0)
    for k in range(count):
        if k not in before and k in after:
            layers[k] = min(layers[j] for j in after[k]) - 1
    return layers


def _spread(layers: list[int], rows: list[float]) -> None:
    """Move the places within each layer apart where they are closer than four fifths of a row."""
    by_layer: dict[int, list[int]] = {}
    for k in sorted(range(len(rows)), key=lambda k: rows[k]):
        by_layer.setdefault(layers[k], []).append(k)
    for members in by_layer.values():
        for before, k in itertools.pairwise(members):
            rows[k] = max(rows[k], rows[before] + 0.8)


def _svg_vertex(v: Vertex, down: bool) -> str:
    fill, border, line, radius = STYLES[v.role]
    name, rest = html.escape(v.name), html.escape(f" = {v.operation}" if v.operation else "")
    height = BOX - 8 if v.again else BOX
    dashes = ' stroke-dasharray="4 3"' if v.again else ""
    x, above, below, anchor = (
        (v.x + v.width / 2 + 6, v.y - 4, v.y + 13, "start")
        if down
        else (v.x, v.y - BOX / 2 - 6, v.y + BOX / 2 + 15, "middle")
    )
    return (
        f'<rect x="{v.x - v.width / 2:.1f}" y="{v.y - height / 2:.1f}" width="{v.width:.1f}" height="{height}" rx="{radius}" '
        f'fill="{fill}" stroke="{border}" stroke-width="{line}"{dashes}/>'
        f'<text x="{v.x:.1f}" y="{v.y + 4.5:.1f}" font-size="{SIZE}" text-anchor="middle">'
        f'<tspan font-weight="bold">{name}</tspan><tspan fill="#555">{rest}</tspan></text>'
        + _svg_text(v.value, x, above, "black", anchor)
        + _svg_text(v.gradient, x, below, GRADIENT, anchor)
    )


def _svg_text(text: str, x: float, y: float, colour: str, anchor: str) -> str:
    if not text:
        return ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{SMALL}" text-anchor="{anchor}" fill="{colour}">{html.escape(text)}</text>'


def _partial(s: Staged, n: Node, p: Node) -> str:
    """The local partial of a stage: a number between scalars, otherwise how the gradient is carried back."""
    if any(isinstance(m.op, Loop) or m.op is pick for m in (n, p)):
        return ""  # what is carried back through a loop is no product
    if n.shape == p.shape == ():
        return shown(local_partial(n, p))
    names = {**s.names, **{v: s.gradient_names[k] for k, v in s.cotangents.items()}}
    lines = [line for line in s.lines if isinstance(line, Line) and line.target is p and line.undoes == s.number(n)]
    text = " + ".join(write(line.expression, names, NUMPY, lambda a: f"array{np.shape(a)}") for line in lines)
    return text if len(text) <= 28 else ""


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _entity(text: str) -> str:
    return (
        html.escape(text).replace("&#x27;", "'").replace("&quot;", "#quot;").replace("[", "#91;").replace("]", "#93;")
    )
