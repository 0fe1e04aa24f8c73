"""load: a Tree becomes a Spec, or every mistake in it at once. Pure: it reads what the Tree gives, nothing else.

reading    which files are spec, and their documents
kinds      documents become structs: the fast path
thorough   what is wrong with a document that the fast path refused
siteset    rows of a table become Sites (with template, overlay and tables)
checks     what one document says that no type can refuse: checks of layers, sites, segmentation, policies
references names that one document uses and another defines
locks      fleet.lock and secrets.lock
schema     the JSON Schema of the same types, and mistakes with line and column
"""

from __future__ import annotations

from fleet.load.loading import KNOWN_HOSTS_FILE, load
from fleet.load.schema import json_schema, to_problems

__all__ = ["KNOWN_HOSTS_FILE", "json_schema", "load", "to_problems"]
