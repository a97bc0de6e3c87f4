"""What lies in the shared memory of a process, changed behind its back."""

import os
import re


def poke(pid: int, size_kib: str, magic: bytes, offset: int,
         data: bytes) -> None:
    """
    Writes data at an offset behind the only place of the shared zone of that
    size that begins with magic, at a page.
    """
    with open(f"/proc/{pid}/maps") as maps, \
            open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-s .*/dev/zero",
                             line)
            if not found:
                continue
            start, end = int(found[1], 16), int(found[2], 16)
            if end - start != int(size_kib) * 1024:
                continue
            for at in range(start, end, os.sysconf("SC_PAGE_SIZE")):
                memory.seek(at)
                if memory.read(len(magic)) == magic:
                    memory.seek(at + offset)
                    memory.write(data)
                    return
    raise LookupError(magic)
