"""The pattern of a sparse Jacobian as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError


def plot_sparsity(pattern: Any, path: str | Path) -> Path:
    """Draw where a sparse matrix has entries.

    Args:
        pattern: a `scipy.sparse` array or a matrix, such as `sparsity(f, x)` or a sparse Jacobian.
        path: the file: .png, .svg or .pdf.
    """
    import scipy.sparse as sp
    from matplotlib.figure import Figure

    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"cannot draw into {path.name!r}", "use .png, .svg or .pdf", where="")
    matrix = sp.coo_array(pattern)
    height, width = (int(n) for n in np.shape(pattern))
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    size = max(0.2, min(20.0, 250 / max(height, width)))
    axes.plot(matrix.col, matrix.row, "s", markersize=size, color="#1453c4")
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xlabel("input entry")
    axes.set_ylabel("output entry")
    share = matrix.nnz / (height * width or 1)
    axes.set_title(f"{height:,} × {width:,}, {matrix.nnz:,} entries ({share:.2%})")
    figure.savefig(path, dpi=150)
    return path
