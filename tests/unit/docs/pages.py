"""The pages that people read, and what is in them: links, anchors, blocks, commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*/README.md"),
        ROOT / "inventories" / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "README.md",
    ]
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """Fenced blocks in one of these languages."""
    for language, text in _BLOCK.findall(page.read_text()):
        if language in languages:
            yield text


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text())


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Fragments as GitHub makes them: lower case, punctuation gone, blanks become `-`."""
    found = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(page)))
    return {heading.strip().replace(" ", "-") for heading in found}


def typed(page: Path) -> list[str]:
    """What a reader types: the `$` lines of console blocks, and whole sh blocks."""
    lines = [line for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    return [line[2:] for line in lines] + list(blocks(page, "sh", "bash"))


def fleet_calls(page: Path) -> list[list[str]]:
    """Arguments of every call of fleet that a reader types or that stands in backticks, without `-C DIR`."""
    written = [line for line in typed(page) if re.search(r"\bfleet ", line)]
    quoted = [text for text in re.findall(r"`([^`\n]+)`", prose(page)) if text.startswith("fleet ")]
    calls = []
    for text in [*written, *quoted]:
        for part in re.split(r"&&|;|\|", text):
            words = shlex.split(part.strip(), comments=True)
            if words and words[0] == "fleet":
                calls.append(words[3:] if words[1:2] == ["-C"] else words[1:])
    return calls


def transcript(page: Path) -> list[tuple[str, str]]:
    """(command, what the page says that it prints) for each `$` line of the page's console blocks, in order."""
    found: list[tuple[str, str]] = []
    for block in blocks(page, "console"):
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                found.append((line[2:].strip(), ""))
            else:
                command, printed = found.pop()
                found.append((command, printed + line))
    return found
