"""The time of a record, for those who look for it here; it lives in `fleet.formats.words`."""

from fleet.formats.words import moment

__all__ = ["moment"]
