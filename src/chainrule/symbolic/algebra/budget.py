"""Budgets: work that ends at its deadline, wherever it is, and sizes that are refused before they are tried.

The deadline reaches into long calls of SymPy: a watching thread raises an exception in the thread that works. It does not
reach into one operation on huge numbers, so those are bounded beforehand.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ...errors import ChainruleError, InputError
from .untyped import clear_cache, iv, mp

DEFAULT = 10.0  # seconds
AGAIN = 0.5  # seconds until a deadline is told again, for code that swallows every exception
SOON, MOST_TRIES = 0.001, 50  # how long a good moment is waited for, and how often
WORKERS = ("sympy", "mpmath", "chainrule", "numpy", "scipy", "lark")  # whose code may be interrupted
MOST_TERMS = 3_000  # of a polynomial that is written out
MOST_DIGITS = 2_000  # of a number
MOST_WRITTEN = 24  # terms of a sum that are written one by one

FAILED = "the calculation failed inside"

T = TypeVar("T")


class TimeUp(BaseException):
    """The deadline of a budget has passed; no handler of ordinary exceptions stops it."""


class TooLarge(Exception):
    """Something is larger than what is tried; the message says what."""


def checked_budget(seconds: Any) -> float:
    """A budget in seconds as a number."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise InputError(f"a budget is a positive number of seconds, not {seconds!r}", "write budget=10", where="")
    return float(seconds)


def left(end: float) -> float:
    """The seconds until a moment, as a budget for a part of the work; it leaves a little to end with."""
    return max(0.9 * (end - time.monotonic()), 0.01)


def within(seconds: float, work: Callable[[], T], otherwise: Callable[[str], T]) -> T:
    """What `work` returns; `otherwise` with the reason where it does not end in time, is too deep or large, or fails.

    Budgets may be inside one another, and in any thread.
    """
    watch, precisions = _Watch(threading.get_ident(), seconds), (mp.prec, iv.prec)
    try:
        try:
            return work()
        finally:
            watch.stop()
    except TimeUp as late:
        watch.stop()
        mp.prec, iv.prec = precisions  # whoever was to restore them may have been interrupted
        clear_cache()  # what was being asked about an expression is noted there as unknown until it is answered
        if type(late) is not watch.late:
            raise
        why = f"the time was over: {seconds:g} s (budget=)"
    except RecursionError:
        why = "it is nested too deeply"
    except (TooLarge, MemoryError) as error:
        why = str(error) or "it needs too much memory"
    except ChainruleError:
        raise
    except Exception as error:  # SymPy raises many kinds of its own; a verdict that nobody has must not be an exception
        why = f"{FAILED}: {type(error).__name__}: {str(error)[:200]}"
    return otherwise(why)


class _Watch:
    """Raises an exception of its own kind in a thread when the time is over, until it is stopped.

    The exception may arrive between any two instructions of that thread, also while it stops the watch: so what it does here is
    one step each, can be done twice, and holds no lock.
    """

    def __init__(self, thread: int, seconds: float) -> None:
        self.thread, self.seconds = thread, seconds
        self.late = type("TimeUp", (TimeUp,), {})
        self.ended, self.told, self.telling = False, False, False
        self.sleep = threading.Lock()
        self.sleep.acquire()
        if math.isfinite(seconds) and seconds < threading.TIMEOUT_MAX:
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        wait, tries = self.seconds, 0
        while not self.sleep.acquire(timeout=wait):
            self.telling, wait = True, SOON
            tries += 1
            if not self.ended and (tries > MOST_TRIES or self._in_the_work()):
                self.told, wait, tries = True, AGAIN, 0
                _raise_in(self.thread, self.late)
            self.telling = False

    def _in_the_work(self) -> bool:
        """Whether the thread is where an exception goes up to us, and not in a callback of the garbage collector or a lock."""
        frame = sys._current_frames().get(self.thread)  # pyright: ignore[reportPrivateUsage]
        return frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in WORKERS

    def stop(self) -> None:
        """Nothing is raised after this; what was raised and has not arrived yet arrives here."""
        self.ended = True
        while self.telling:
            time.sleep(0)
        if self.told:
            try:
                for _ in range(8):
                    time.sleep(0)
            except self.late:
                pass
        if self.sleep.locked():
            self.sleep.release()


def _raise_in(thread: int, exception: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))
