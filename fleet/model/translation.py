"""What an import is about: files of somebody else's inventory in, files of a spec and a report out."""

from __future__ import annotations

from typing import Literal

import msgspec


class SourceFile(msgspec.Struct, frozen=True):
    """A file as it was read. `file` is its path as users typed it; `owner` the group or host whose variables it holds.

    `trouble` says why it could not be read, then `data` is empty.
    """

    file: str
    data: bytes
    owner: str = ""
    trouble: str = ""


class PassedOver(msgspec.Struct, frozen=True):
    """A file that Ansible does not read, for `by`, another one of that name, stands before it."""

    file: str
    by: str


class InventorySource(msgspec.Struct, frozen=True):
    """An Ansible inventory and the variables beside it, each in the order in which Ansible reads them.

    `path` is as users typed it, `place` the whole path, which gives a fleet without a name its name. `passed_over` are
    files that Ansible does not read.
    """

    path: str
    hosts: tuple[SourceFile, ...]
    place: str = ""
    group_vars: tuple[SourceFile, ...] = ()
    host_vars: tuple[SourceFile, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()


class ImportOptions(msgspec.Struct, frozen=True):
    """`name` is the fleet's, empty: after the inventory. `site_group`, `server_group` and `agent_group` name groups, or
    are regular expressions that match whole names of groups. `vault_password` opens vaults that are whole files.
    """

    name: str = ""
    site_group: str = ""
    server_group: str = ""
    agent_group: str = ""
    vault_password: bytes | None = None


class NewFile(msgspec.Struct, frozen=True):
    """A file to write, by its path below the fleet's folder. `private`: for its owner's eyes."""

    path: str
    data: bytes
    private: bool = False


class ImportNote(msgspec.Struct, frozen=True, order=True):
    """One thing that is not as it was, at its place. A warning: it is left out, or means something else now, so somebody
    has to look at it. A note: it has another form, and nothing is lost. Never holds the value of a variable that may be
    a secret.
    """

    file: str
    line: int
    column: int
    subject: str
    message: str
    hint: str = ""
    severity: Literal["warning", "note"] = "warning"


class ImportedHost(msgspec.Struct, frozen=True):
    """A host of the inventory, and the node that it became."""

    host: str
    node: str
    site: str


class ImportedGroup(msgspec.Struct, frozen=True):
    """A group of the inventory, and the label that its nodes have and others have not."""

    group: str
    label: str
    value: str


class Translation(msgspec.Struct, frozen=True):
    """An inventory as a spec. `variables` counts those of the inventory, each place where one is set once."""

    fleet: str
    source: str
    sites: int
    variables: int
    secrets: int
    hosts: tuple[ImportedHost, ...]
    groups: tuple[ImportedGroup, ...]
    files: tuple[NewFile, ...]
    notes: tuple[ImportNote, ...]


class ImportReport(msgspec.Struct, frozen=True):
    """What was imported. `out` is the folder, `files` are the paths below it; `is_written` is false of a dry run."""

    fleet: str
    source: str
    out: str
    is_written: bool
    sites: int
    variables: int
    secrets: int
    hosts: tuple[ImportedHost, ...]
    groups: tuple[ImportedGroup, ...]
    files: tuple[str, ...]
    notes: tuple[ImportNote, ...]
