"""
How long a test waits for what must come. A condition that holds ends a wait
at once, so that these times are no longer than they are on a machine that
does much else.
"""

import os
import time
from typing import Callable

ASAN = os.environ.get("SPROX_ASAN") == "1"
SLOWER = 10 if ASAN else 4          # time-outs are so much longer

LOOK = 0.01                         # seconds between two looks


def until(condition: Callable, timeout: float = 10, what=""):
    """
    The first truth of it. what: said when there is none; a function is
    called then.
    """
    deadline = time.monotonic() + timeout * SLOWER
    while not (result := condition()):
        if time.monotonic() > deadline:
            said = what() if callable(what) else what
            raise AssertionError(f"not in {timeout * SLOWER} s: {said}")
        time.sleep(LOOK)
    return result
