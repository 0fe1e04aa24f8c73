"""Lines of strace for tests, as one reads them: what stands in quotes and after a descriptor becomes hexadecimal."""

from __future__ import annotations

import re

from tests.crash.strace import Call, read


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def written(text: str) -> bytes:
    """As strace -xx -y writes it; `\\n` in quotes is a line's end. Lines without a pid are of process 7."""
    text = re.sub(r'"([^"]*)"', lambda found: f'"{hexed(found[1].replace(chr(92) + "n", chr(10)))}"', text)
    text = re.sub(r"(\d|AT_FDCWD)<(/[^>]*)>", lambda found: f"{found[1]}<{hexed(found[2])}>", text)
    lines = (line.strip() for line in text.splitlines() if line.strip())
    return "\n".join(line if re.match(r"\d+ ", line) else f"7 {line}" for line in lines).encode()


def calls(text: str) -> list[Call]:
    return read(written(text))
