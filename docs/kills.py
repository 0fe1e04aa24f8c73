"""The tables of docs/reliability.md, from docs/evidence: what was killed and cut off, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("reliability.md")
EVIDENCE = Path(__file__).with_name("evidence")
START, END = "<!-- evidence -->\n", "<!-- /evidence -->"

KINDS = {
    "commit": "a transaction of the journal",
    "intent": "a batch's `intent.json` gets its name",
    "spawn": "the child is started",
    "pid": "`child.json`, with its pid, gets its name",
    "ansible": "the child starts `ansible-playbook`",
    "record": "a node's `record.json` gets its name (twice for each node)",
    "answer": "a node's answer is added to `results.jsonl`",
    "artifact": "the result, `done.json`, gets its name",
}
CRASH = {
    "kills": "`fleet_bundle` killed in folders",
    "gone_back": "the same, then back to the bundle from before",
    "healing_runs_killed": "the run that heals killed as well",
    "kills_on_hosts": "`fleet_bundle` killed on hosts with their own systemd",
    "power_cut_states": "states that a power cut may leave of a node",
    "power_cuts_healed": "of these, healed by the next run",
    "killed_then_cut": "killed, healed, and then the power goes",
    "journal_states": "states that a power cut may leave of the journal",
}


def with_tables(page: str) -> str:
    """The page with its tables made anew. Raises KeyError where the evidence lacks a count."""
    head, tail = page.partition(START)[0], page.partition(END)[2]
    return f"{head}{START}{tables()}{END}{tail}"


def tables() -> str:
    kills, crash = (json.loads((EVIDENCE / f"{name}.json").read_text("utf-8")) for name in ("kills", "crash"))
    return f"\n{_kills(kills)}\n{_crash(crash)}\n"


def _kills(evidence: dict[str, Any]) -> str:
    counts, points = _numbers(evidence, "counts"), _numbers(evidence, "most")
    lines = [
        "| killed before and after | points | kills | children adopted | results found | batches run again | nodes changed again |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, words in KINDS.items():
        cells = [words, str(points[f"{kind}_points"]), *_cells(counts, kind)]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(f"| whoever goes on, at a point of its own | | {' | '.join(_cells(counts, 'twice'))} |")
    total = sum(count for name, count in counts.items() if name.endswith("_kills"))
    lines.append(
        f"\n{total} kills, {counts['failures']} with another end than the undisturbed run "
        f"(commit `{_commit(evidence)}`, {evidence['minutes']} min): [evidence/kills.json](evidence/kills.json).\n"
    )
    return "\n".join(lines)


def _cells(counts: dict[str, int], kind: str) -> list[str]:
    names = ("kills", "adopted", "results_found", "run_again", "nodes_applied_again")
    return [str(counts.get(f"{kind}_{name}", 0)) for name in names]


def _crash(evidence: dict[str, Any]) -> str:
    counts = _numbers(evidence, "counts")
    lines = ["| on a node, and of the journal | counted |", "|---|---|"]
    lines += [f"| {words} | {counts[name]:,} |" for name, words in CRASH.items()]
    lines.append(
        f"\n{counts['failures']} with another end than promised (commit `{_commit(evidence)}`, {evidence['minutes']} min): "
        "[evidence/crash.json](evidence/crash.json)."
    )
    return "\n".join(lines)


def _commit(evidence: dict[str, Any]) -> str:
    return str(evidence["commit"])[:7]


def _numbers(evidence: dict[str, Any], name: str) -> dict[str, int]:
    return {key: int(value) for key, value in evidence[name].items()}
