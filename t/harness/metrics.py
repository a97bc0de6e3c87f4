"""Prometheus text format, read strictly enough to find our own mistakes."""

import re

SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Metrics:
    def __init__(self, text: str):
        self.text = text
        self.samples = []           # (name, labels, value)
        self.types = {}
        self.help = {}

        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"twice: {line}"
                self.types[name] = kind
            elif line.startswith("# HELP "):
                _, _, name, words = line.split(" ", 3)
                self.help[name] = words
            elif line and not line.startswith("#"):
                match = SAMPLE.match(line)
                assert match, f"no sample: {line}"
                self.samples.append((match[1], labels(match[2] or "", line),
                                     float(match[3])))

        seen = [(n, tuple(sorted(ls.items()))) for n, ls, _ in self.samples]
        assert len(seen) == len(set(seen)), "the same sample twice"

    def sum(self, name: str, **want) -> float:
        """Of all samples of this name whose labels are as wanted."""
        return sum(value for n, ls, value in self.samples
                   if n == name and all(ls.get(k) == str(v)
                                        for k, v in want.items()))


def labels(text: str, line: str) -> dict:
    found, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, f"bad labels: {line}"
        found[match[1]] = re.sub(
            r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match[2])
        at = match.end()
    return found
