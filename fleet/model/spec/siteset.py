"""The kind SiteSet: many sites from one table. `{column}` in a string of the template is the row's value."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from fleet.model.spec.scalars import RepositoryPath, doc


class TableSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the repository: one of csv and ansible."""

    csv: Annotated[RepositoryPath, doc("A CSV file with a header line.", "stores.csv")] | UnsetType = UNSET
    ansible: (
        Annotated[
            RepositoryPath, doc("An Ansible inventory; each host is a row with its variables as columns.", "hosts.yml")
        ]
        | UnsetType
    ) = UNSET
    key: (
        Annotated[str, doc("Rows with one value in this column are one site. Absent: every row is a site.", "store")]
        | UnsetType
    ) = UNSET


class TableNodes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node per row of a table: one of csv and ansible."""

    csv: Annotated[RepositoryPath, doc("A CSV file with a header line.", "nodes.csv")] | UnsetType = UNSET
    ansible: Annotated[RepositoryPath, doc("An Ansible inventory; each host is a row.", "hosts.yml")] | UnsetType = (
        UNSET
    )
    key: Annotated[str, doc("The column that names the site.", "store")]
    template: (
        Annotated[
            dict[str, Any],
            doc(
                "A node whose strings may hold {column}. Absent: the columns are the node's fields.",
                {"name": "{host}", "role": "agent", "address": "{ip}"},
            ),
        ]
        | UnsetType
    ) = UNSET


class TemplateMetadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sites' metadata."""

    name: Annotated[str, doc("The site's name.", "{store}")]
    labels: Annotated[dict[str, str], doc("Labels of the site.", {"country": "{country}"})] | UnsetType = UNSET
    annotations: (
        Annotated[dict[str, str], doc("Notes for people and other tools.", {"owner": "{owner}"})] | UnsetType
    ) = UNSET


class SiteTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Site whose strings may hold {column}."""

    metadata: Annotated[TemplateMetadata, doc("The sites' metadata.", {"name": "{store}"})]
    spec: Annotated[dict[str, Any], doc("The sites' spec.", {"timeZone": "{tz}"})] | UnsetType = UNSET


class SiteSetSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many sites from one table."""

    source: Annotated[TableSource, doc("The table of sites.", {"csv": "stores.csv"})]
    template: Annotated[
        SiteTemplate,
        doc("A Site whose strings may hold {column}.", {"metadata": {"name": "{store}"}, "spec": {"timeZone": "{tz}"}}),
    ]
    nodes: Annotated[TableNodes, doc("The table of nodes.", {"csv": "nodes.csv", "key": "store"})] | UnsetType = UNSET
