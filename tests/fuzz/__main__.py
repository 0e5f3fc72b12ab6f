"""`make fuzz`: the generators in turn, in processes of their own, for FUZZ_MINUTES; what is wrong is saved under tests/found.

python -m fuzz [--minutes M] [--only NAME] [--seed S] [--examples N]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import GENERATORS
from .harness import AGREED, Wrong, run, save, shown


def child(name: str, seed: int, examples: int, journal: Path) -> None:
    """Judge cases of one generator, and print the tally as JSON."""
    try:
        tally, wrong = run(name, seed, examples, journal), None
    except Wrong as error:
        tally, wrong = error.tally, {"case": repr(error.case), "message": str(error)}
    print(json.dumps({"tally": tally, "wrong": wrong}))


def one(name: str, seed: int, examples: int) -> tuple[str, Counter[str], Path | None]:
    """A child's result: its tally, and the test that was saved where a case was wrong, or ended the process."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "case"
        command = [sys.executable, "-m", "fuzz", "--child", name, "--seed", str(seed), "--examples", str(examples)]
        done = subprocess.run([*command, "--journal", str(journal)], capture_output=True, text=True)
        if done.returncode:
            case = journal.read_text() if journal.exists() else ""
            return name, Counter(), save(name, case, f"exit status {done.returncode}\n{done.stderr}", seed)
        found = json.loads(done.stdout.splitlines()[-1])
    wrong = found["wrong"]
    return name, Counter(found["tally"]), save(name, wrong["case"], wrong["message"], seed) if wrong else None


def main() -> int:
    """Run until the time is over; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("FUZZ_MINUTES", "10")))
    parser.add_argument("--only", choices=GENERATORS)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10**8)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--child", choices=GENERATORS, help=argparse.SUPPRESS)
    parser.add_argument("--journal", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.seed, given.examples, given.journal)
        return 0
    names = (given.only,) if given.only else GENERATORS
    end = time.monotonic() + 60 * given.minutes
    totals: dict[str, Counter[str]] = {name: Counter() for name in names}
    saved: list[Path] = []
    print(f"seed {given.seed}, {given.minutes:g} minutes", flush=True)

    def worker(k: int) -> None:
        seed = given.seed + k
        while time.monotonic() < end:
            name, tally, path = one(names[seed % len(names)], seed, given.examples)
            totals[name] += tally
            if path is not None:
                saved.append(path)
                print(f"WRONG {name}, seed {seed}: {path}", flush=True)
            seed += workers

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(worker, range(workers)))
    for name, tally in totals.items():
        print(f"{name}: {shown(tally) if tally[AGREED] else 'nothing agreed'}")
    print(f"{len(saved)} wrong")
    return int(bool(saved))


if __name__ == "__main__":
    sys.exit(main())
