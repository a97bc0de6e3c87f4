"""
A short soak (t/soak, `make soak`): the one test in which everything happens
at once. conftest.py starts it before all others.
"""

import os
import subprocess
import sys

import pytest

from harness.nginx import ASAN, ROOT

SECONDS = int(os.environ.get("SOAK_SECONDS", 60 if ASAN else 120))


@pytest.mark.timeout(SECONDS + 1000)
def test_soak():
    # the others are to have the machine when they want it
    done = subprocess.run(
        ["nice", sys.executable, str(ROOT / "t/soak/soak.py"), "--seconds",
         str(SECONDS), "--processes", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=SECONDS + 900)
    assert done.returncode == 0, done.stdout
    print(done.stdout)
