"""diff: what a node holds (its record's manifest) beside what it shall hold (its Bundle), and equal things together.

Pure. `changes` looks at one node, `groups` at all of them.
"""

from fleet.diff.contents import content_id, secret_texts, shown
from fleet.diff.edits import edits
from fleet.diff.entries import changes
from fleet.diff.grouping import groups

__all__ = ["changes", "content_id", "edits", "groups", "secret_texts", "shown"]
