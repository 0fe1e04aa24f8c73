"""A node's and a site's own names in diff lines: what they are put for is the same from node to node."""

from __future__ import annotations

NODE, SITE = "{node.name}", "{site.name}"


def without_names(text: str, node: str, site: str) -> str:
    """The text with each whole occurrence of the names replaced as a template would write them; "" names nothing."""
    return _replaced(_replaced(text, node, NODE), site, SITE)


def _replaced(text: str, name: str, word: str) -> str:
    """Only whole names: `a` is none in `bar`, nor `lyon-1` in `lyon-12`. Without a regular expression per node."""
    if not name or name not in text:
        return text
    found: list[str] = []
    start = 0
    while (at := text.find(name, start)) >= 0:
        end = at + len(name)
        is_whole = not (_joins(text[at - 1 : at]) or _joins(text[end : end + 1]))
        found += (text[start:at], word if is_whole else name)
        start = end
    return "".join((*found, text[start:]))


def _joins(character: str) -> bool:
    return character == "-" or character.isalnum()
