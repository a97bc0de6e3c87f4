"""
What the logs of an nginx must not have when its test is over, unless the
test announced it.
"""

import re
from pathlib import Path

BAD = re.compile(
    r"\[(alert|crit|emerg)\]"
    r"|exited on signal|exited with (fatal )?code [1-9]"
    r"|open socket #|http request count is zero|header already sent"
    r"|ERROR: \w+Sanitizer|SUMMARY: \w+Sanitizer|runtime error:")

SHOWN = 20


class Checker:
    def __init__(self):
        self.allowed = []           # compiled patterns
        self.expected = []          # those that must have come, too

    def trouble(self, folder: Path) -> list:
        """Lines that say what is wrong; none: all is well."""
        bad, expected = [], set()

        for path in [folder / "error.log", folder / "output.log",
                     *sorted(folder.glob("asan.*"))]:
            if not path.exists():
                continue
            with open(path, errors="replace") as lines:
                for line in lines:
                    expected |= {p for p in self.expected if p.search(line)}
                    if BAD.search(line) and not any(
                            p.search(line)
                            for p in self.allowed + self.expected):
                        bad.append(f"{path.name}: {line.rstrip()}")

        # what nginx prints to its output it may log as well
        bad = list(dict.fromkeys(bad))
        if len(bad) > SHOWN:
            bad[SHOWN:] = [f"... and {len(bad) - SHOWN} more"]
        bad += [f"never logged, though expected: {p.pattern}"
                for p in self.expected if p not in expected]
        return bad
