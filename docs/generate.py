"""Writes docs/spec.md from the types of the spec: `make docs`.

The page is made of `fleet.load.json_schema()`, the same that editors read. Two tables here say what a schema cannot:
which default `fleet.resolve` applies, and what is checked but does nothing yet. tests/unit/docs holds both to the code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))
import kills

from fleet.cli.reference import START, reference
from fleet.load import json_schema

VERBS = Path(__file__).parent / "cli.md"
PAGE = Path(__file__).with_name("spec.md")
Schema = dict[str, Any]

LAYER = "ProfileSpec"
"""Exactly the fields that every layer has: shown once, and linked from the other layers."""

DEFAULTS: dict[tuple[str, str], str] = {
    (LAYER, "hardening"): "`none`",
    ("K3sLayer", "channel"): "`stable`, where no layer says `version` or `channel`",
    ("K3sLayer", "airGap"): "`false`",
    ("FileSpec", "mode"): "`0644`",
    ("FileSpec", "owner"): "`root`",
    ("FileSpec", "group"): "`root`",
    ("UserSpec", "system"): "`false`",
    ("UpdatesSpec", "mode"): "`none`",
    ("UpdatesSpec", "reboot"): "`never`",
    ("ConnectionLayer", "type"): "`ssh`",
    ("ConnectionLayer", "address"): "the node's first address",
    ("ConnectionLayer", "port"): "`22`",
    ("ConnectionLayer", "user"): "`fleet`",
    ("ConnectionLayer", "become"): "`true`",
    ("ConnectionLayer", "confirmTimeout"): "`90s`",
    ("FileSpec", "confirm"): "`false`",
    ("ArtifactsSpec", "mirrors"): "K3s's releases on github.com",
    ("MaxConcurrentSpec", "perMirror"): "`50`",
    ("MaxConcurrentSpec", "perSite"): "`4`",
    ("SecretsSpec", "type"): "`vault`",
    ("FleetSpec", "maxRemoved"): "`1%`",
    ("SiteSpec", "timeZone"): "`UTC`",
    ("ClusterSpec", "datastore"): "`sqlite` with one server, `etcd` with more",
    ("ClusterSpec", "endpoint"): "the first server's first address",
    ("ClusterSpec", "growing"): "`false`",
    ("NodeSetSpec", "namePattern"): "`{site}-{set}-{index:03d}`",
    ("SegmentationSpec", "mode"): "`enforce`",
    ("FlowSpec", "scope"): "`site`",
    ("AssertionSpec", "scope"): "`fleet`",
    ("WireguardSpec", "topology"): "`hub`",
    ("RolloutPolicySpec", "unit"): "`cluster`",
    ("RolloutPolicySpec", "successThreshold"): "`95%`",
    ("RolloutPolicySpec", "minFinished"): "`50%`",
    ("RolloutPolicySpec", "batchSize"): "`50`",
    ("RolloutPolicySpec", "offlineAfter"): "`24h`",
    ("RolloutPolicySpec", "offlinePolicy"): "`defer`",
    ("RolloutPolicySpec", "progressDeadline"): "`30m`",
    ("RolloutPolicySpec", "onFailure"): "`pause`",
    ("RateSpec", "incrementFactor"): "`1`",
    ("HttpGate", "expect"): "`200`",
    ("ScheduleSpec", "timeZone"): "`site`",
}

NOT_YET: dict[tuple[str, str], str] = {
    ("FleetSpec", "drift"): "nothing watches; `fleet plan --refresh` looks once",
    ("FleetSpec", "git"): "nothing is polled, and no signature is required",
    ("SecretsSpec", "command"): "no program is asked; secrets come from vault files",
    ("ClusterSpec", "snapshot"): "no snapshot is taken",
    ("SiteSpec", "segmentation"): "no rule reaches a node",
}
NOT_YET_KINDS: dict[str, str] = {
    "Segmentation": "No rule reaches a node: a plan says so, and `fleet apply` asks for `--unenforced`.",
}

_HEAD = """\
# The spec language

<!-- Written by docs/generate.py from the types of the spec. Do not edit: run `make docs`. -->

A fleet is a folder. Every `*.yaml` and `*.yml` below it may hold documents, in any file and any order. Those with
`apiVersion: fleet/v1alpha1` are the spec. Documents of other tools are left alone. Not read as spec: `.git`, `.fleet`,
`rendered/` and `secrets/` at the root, and what `.fleetignore` names (in the way of `.gitignore`).

The same types give the JSON Schema that `fleet schema` prints and that editors complete by. How layers merge, and in
which order, is in [how it works](how-it-works.md#inheritance).

**Checked, not enforced yet** marks what this version reads and judges, but does not act on.

Names are DNS labels: lower-case letters, digits and `-`, at most 63; unique per kind, and for nodes in the whole fleet.
Any field of a layer may be `null`, which removes what weaker layers gave. A list `key` that has a `key+` beside it can
be appended to without repeating it.
"""

_LABEL_RULE = ": lower-case letters, digits and `-`, at most 63"  # said once, at the top
_NAMES = {
    "Fleet": "acme-retail",
    "Profile": "base",
    "Site": "lyon-1",
    "SiteSet": "stores",
    "Segmentation": "shops",
    "RolloutPolicy": "standard",
}
_YAML_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "map",
}


def page() -> str:
    """The whole page, ending in a newline. The same text for the same types."""
    schema = json_schema()
    definitions: Schema = schema["$defs"]
    kinds = [reference["$ref"].rpartition("/")[2] for reference in schema["anyOf"]]
    lines = [_HEAD, "## Kinds\n", "| kind | holds |", "|---|---|"]
    for name in kinds:
        kind = name.removesuffix("Document")
        lines.append(f"| [{kind}](#{anchor(kind)}) | {definitions[name]['description']} |")
    shown: set[str] = set(kinds)
    for name in kinds:
        lines += _kind(definitions, name, shown)
    lines += ["", "## Parts\n", "What several kinds share, and what is nested in them, by name."]
    for name in sorted(set(definitions) - shown):
        lines += _section(definitions, name, _title(name), 3)
    return "\n".join(lines) + "\n"


def anchor(title: str) -> str:
    """The fragment that GitHub and most renderers give a heading of plain words."""
    return title.lower().replace(" ", "-")


def _kind(definitions: Schema, name: str, shown: set[str]) -> Iterator[str]:
    kind = name.removesuffix("Document")
    spec = definitions[name]["properties"]["spec"]["$ref"].rpartition("/")[2]
    shown.add(spec)
    yield from ("", f"## {kind}\n", definitions[name]["description"])
    if kind in NOT_YET_KINDS:
        yield f"\n**Checked, not enforced yet.** {NOT_YET_KINDS[kind]}"
    example = {
        "apiVersion": "fleet/v1alpha1",
        "kind": kind,
        "metadata": {"name": _NAMES[kind]},
        "spec": definitions[name]["properties"]["spec"]["examples"][0],
    }
    yield f"\n```yaml\n{yaml.safe_dump(example, sort_keys=False).rstrip()}\n```\n"
    yield from _fields(definitions, spec)


def _section(definitions: Schema, name: str, title: str, level: int) -> Iterator[str]:
    yield from ("", f"{'#' * level} {title}\n", f"{definitions[name]['description']}\n")
    yield from _fields(definitions, name)


def _fields(definitions: Schema, name: str) -> Iterator[str]:
    layer = definitions[LAYER]["properties"]
    fields: Schema = definitions[name]["properties"]
    is_layer = name != LAYER and layer.keys() <= fields.keys()
    if is_layer:
        yield f"Beside these fields it has those of every layer: {', '.join(f'`{key}`' for key in layer)}; see"
        yield "[Profile](#profile).\n"
    yield from ("| field | type | default | meaning | example |", "|---|---|---|---|---|")
    required = _required(definitions, name)
    for key, field in fields.items():
        if not (is_layer and key in layer):
            cells = [f"`{key}`", _type(field), _default(name, key, required), _meaning(name, key, field)]
            yield "| " + " | ".join(_cell(cell) for cell in [*cells, _example(field)]) + " |"


def _required(definitions: Schema, name: str) -> set[str]:
    """What a node or set must say where its site has no `from`: the schema asks less of overlays."""
    then = definitions["SiteSpec"]["then"]["properties"]
    asked = {"NodeSpec": then["nodes"], "NodeSetSpec": then["nodeSets"]}.get(name)
    return set(asked["items"]["required"] if asked else definitions[name]["required"])


def _default(name: str, key: str, required: set[str]) -> str:
    return "required" if key in required else DEFAULTS.get((name, key), "")


def _meaning(name: str, key: str, field: Schema) -> str:
    """The description without its sentence about the default, which has a column of its own."""
    text = field.get("description", "") or ("Which type it is." if key in {"type", "kind"} else "")
    kept = without_default(text)
    if (name, key) in NOT_YET:
        kept += f" **Checked, not enforced yet**: {NOT_YET[name, key]}."
    return kept


def without_default(text: str) -> str:
    head, said, tail = text.partition("Default ")
    if said:
        # "Default stable." up to the end of the text, or "Default A; B counts ...": what follows is kept.
        _, mark, rest = tail.partition("; ")
        return f"{head}{rest[:1].upper()}{rest[1:]}".strip() if mark else head.strip()
    return "" if text.startswith("Default: ") else text


def _type(field: Schema) -> str:
    """In words."""
    match field:
        case {"$ref": reference}:
            title = _title(reference.rpartition("/")[2])
            words = f"[{title}](#{anchor(title)})"
        case {"anyOf": choices}:
            words = " or ".join(dict.fromkeys(_type(each) for each in choices if each != {"type": "null"}))
        case {"enum": values}:
            words = " or ".join(f"`{each}`" for each in values if each is not None)
        case {"title": title}:
            words = title.replace(_LABEL_RULE, "")
        case {"type": "array", "items": items}:
            words = f"list of: {_type(items)}"
        case {"type": "object", "additionalProperties": dict() as values} if values:
            words = f"map of: {_type(values)}"
        case {"type": simple}:
            words = _YAML_WORDS[simple]
        case _:
            words = "anything"
    return words


def _title(name: str) -> str:
    """`K3sLayer` -> `K3s layer`: a heading whose anchor every renderer makes alike."""
    words = "".join(f" {letter.lower()}" if letter.isupper() and at else letter for at, letter in enumerate(name))
    return words.removesuffix(" spec")


def _example(field: Schema) -> str:
    examples: list[Any] = field.get("examples") or next(
        (each["examples"] for each in field.get("anyOf", ()) if "examples" in each), []
    )
    if not examples:
        return ""
    text = yaml.safe_dump(examples[0], default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    plain = text.removesuffix("...\n").strip()  # PyYAML ends a bare scalar with a mark
    return f"`{json.dumps(examples[0]) if chr(10) in plain else plain}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    kept = VERBS.read_text(encoding="utf-8").partition(START)[0]
    VERBS.write_text(kept + reference(), encoding="utf-8")
    kills.PAGE.write_text(kills.with_tables(kills.PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}, {VERBS} and {kills.PAGE}\n")
