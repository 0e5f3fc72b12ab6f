"""Cases are generated, judged, minimised (by hypothesis) and, where they are wrong, saved as tests.

A generator is a module of this package with

- `Case`: a frozen dataclass of plain data (text, numbers, tuples), whose repr can be evaluated and whose text can be read;
- `cases`: a hypothesis strategy of them;
- `judge(case)`: returns AGREED, or `refused(error)` where chainrule refused with a message of its own;
  raises `Wrong` for everything else: another number, another exception, a hang.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import signal
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from chainrule import ChainruleError

FOUND = Path(__file__).parent.parent / "found"
AGREED = "agreed"
SECONDS = 60  # a case that takes longer hangs


class Wrong(AssertionError):
    """A silent wrong answer, an exception that is not chainrule's, or a hang."""


def refused(error: ChainruleError) -> str:
    """The outcome of a case that chainrule refuses: its message, without what differs from case to case."""
    return "refused: " + re.sub(r"[-\d][\d.e+-]*", "#", str(error).strip().splitlines()[0])[:120]


@contextmanager
def ending(seconds: int = SECONDS) -> Iterator[None]:
    """A block that must end in time, and from which no exception but ours may come."""

    def late(*_: Any) -> None:
        raise Wrong(f"it has not ended after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    except (Wrong, ChainruleError):
        raise
    except Exception as error:
        raise Wrong("".join(traceback.format_exception(error)[-4:])) from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(name: str, start: int, examples: int, journal: Path | None = None) -> Counter[str]:
    """Judge so many cases of a generator from a seed, and count the outcomes.

    Args:
        journal: a file that holds the case being judged, for the one that ends the process.

    Raises:
        Wrong: a case was wrong; `case` on the exception is the smallest that was found.
    """
    module = importlib.import_module(f"fuzz.{name}")
    tally: Counter[str] = Counter()
    failing: list[Any] = []

    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(module.cases)
    def each(case: Any) -> None:
        if journal is not None:
            journal.write_text(repr(case))
        try:
            with ending():
                tally[module.judge(case)] += 1
        except ChainruleError as error:
            tally[refused(error)] += 1
        except Wrong:
            failing.append(case)
            raise

    try:
        each()
    except Wrong as wrong:
        wrong.case = failing[-1]  # hypothesis ends with the smallest
        wrong.tally = tally
        raise
    return tally


def save(name: str, case: str, message: str, start: int) -> Path:
    """Write a test that judges a case again."""
    path = FOUND / f"test_{name}_{hashlib.sha256(case.encode()).hexdigest()[:8]}.py"
    said = (
        "\n".join(line.rstrip() for line in message.strip().splitlines()[-12:]).replace("\\", "/").replace('"""', "'''")
    )
    path.write_text(
        f'"""Found by `make fuzz` ({name}, seed {start}).\n\n{said}\n"""\n\n'
        f"from fuzz.{name} import Case, judge\n\n\ndef test_found():\n    judge({case})\n"
    )
    return path


def shown(tally: Counter[str]) -> str:
    """One line: how many agreed, how many were refused and why mostly."""
    agreed, total = tally[AGREED], sum(tally.values())
    why = "; ".join(f"{n} x {k.removeprefix('refused: ')}" for k, n in tally.most_common(4) if k != AGREED)
    with suppress(ValueError):
        return f"{agreed} of {total} agreed, {total - agreed} refused{f' ({why})' if why else ''}"
    return ""
