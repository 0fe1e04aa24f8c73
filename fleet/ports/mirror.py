"""Where release files and channels are looked up."""

from __future__ import annotations

from typing import Protocol


class Mirror(Protocol):
    """Raises `UnavailableError` naming the URL and the reason."""

    def fetch(self, url: str, limit: int) -> bytes:
        """A small text (checksums, channels): at most `limit` bytes, more is an error."""
        ...

    def size(self, url: str) -> int:
        """Content length in bytes, 0 where it is not told."""
        ...
