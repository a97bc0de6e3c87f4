"""
Clocks of a system that are wrong, for an nginx that is told so:

    uptime = Clock(tmp_path / "uptime")
    serve(..., main="env WRONG_UPTIME;", env={
        "LD_PRELOAD": str(shim), "WRONG_UPTIME": str(uptime.path)})
    uptime.set(3600 * 1000)

WRONG_CLOCK is the system's, WRONG_UPTIME the monotonic one.
"""

import os
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "wrong_clock.c"


def build(folder: Path) -> Path:
    path = folder / "wrong_clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O", "-Wall", "-o", path,
                    SOURCE, "-ldl"], check=True)
    return path


class Clock:
    """As nginx sees it."""

    def __init__(self, path: Path):
        self.path = path
        self.set(0)

    def set(self, ahead: int) -> None:
        """To so many milliseconds ahead of the true one."""
        new = self.path.with_suffix(".new")
        new.write_text(str(ahead))
        os.replace(new, self.path)
