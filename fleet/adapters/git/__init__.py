"""Where the spec comes from: a git repository, or a plain folder, read through the `git` command."""

from fleet.adapters.git.source import GitSource

__all__ = ["GitSource"]
