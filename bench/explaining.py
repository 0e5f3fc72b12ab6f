"""What Explain costs, each in a process of its own: the figures of docs/benchmarks.md, in milliseconds after `import chainrule`."""

from __future__ import annotations

import statistics
import subprocess
import sys

D4D = "(x + s(y)) / (s(x) + (x + y)^2)"
NETWORK = """
import numpy as np
def net(x, W1, W2, W3, W4, W5, W6, W7, W8, W9, W10):
    h = x
    for W in (W1, W2, W3, W4, W5, W6, W7, W8, W9, W10):
        h = cr.relu(W @ h)
    return np.sum(h**2)
rng = np.random.default_rng(0)
at = [rng.normal(size=64), *(rng.normal(size=(64, 64)) / 8 for _ in range(10))]
"""
WORK = {
    "explain D4d: value, gradients, program, table": (150, f"str(explain({D4D!r}, x=3, y=-4))"),
    "the same with its drawing (igraph imports matplotlib)": (
        None,
        f"e = explain({D4D!r}, x=3, y=-4); str(e); e.draw().svg",
    ),
    "derivation of D4d": (None, f"str(cr.explain({D4D!r}, x=3, y=-4).derivation())"),
    "prove A1: tanh' = 1 - tanh^2": (3000, 'assert cr.prove("d/dz tanh(z) = 1 - tanh(z)^2")'),
    "prove A2: softmax, K left symbolic": (
        3000,
        'assert cr.prove("d/dz[j] softmax(z)[j] = sum(i=1..K, i != j, exp(z[i] + z[j])) / sum(i=1..K, exp(z[i]))^2")',
    ),
    "prove A3: sigma' = sigma (1 - sigma)": (3000, 'assert cr.prove("d/dz sigma(z) = sigma(z)*(1 - sigma(z))")'),
    "prove A4: tanh z = 2 sigma(2z) - 1": (3000, 'assert cr.prove("tanh(z) = 2*sigma(2*z) - 1")'),
    "zero conditions of a 10-layer network of 64 units": (2000, 'cr.explain(net, *at).zeros("x")'),
}
ROUNDS = 5


def measured(statement: str, setup: str) -> float:
    """The time of one run in a fresh process, in milliseconds; SymPy's import counts, chainrule's does not."""
    program = f"import time\nimport chainrule as cr\nfrom chainrule import explain, prove\n{setup}\nstart = time.perf_counter()\n{statement}\nprint(1e3 * (time.perf_counter() - start))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(run.stdout)


def table() -> list[str]:
    """The rows for docs/benchmarks.md."""
    lines = [
        "## Explaining",
        "",
        "Milliseconds in a fresh process after the import of `explain` and `prove`; what they import later on is included; medians of "
        f"{ROUNDS}.",
        "",
        "| work | ms | at most |",
        "|---|---|---|",
    ]
    for name, (limit, statement) in WORK.items():
        times = [measured(statement, NETWORK if "network" in name else "") for _ in range(ROUNDS)]
        lines.append(f"| {name} | {statistics.median(times):,.0f} | {limit if limit else ''} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
