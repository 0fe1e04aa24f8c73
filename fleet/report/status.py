"""The time of a record, for those who look for it here; it lives in `fleet.report.words`."""

from fleet.report.words import moment

__all__ = ["moment"]
