"""Policies that are wrong, or that the fleet's nodes make pointless: what validate and plan say, and with which exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import run

BOX = ("--sandbox", "nodes")
DOUBTED = "fleet shop is valid: 3 nodes at 2 sites in 0 clusters, from 5 documents"


def ruled(shop: Path, said: str) -> Path:
    """The shop, under a policy that says this from line 5 of its file on."""
    path = shop / "fleet.yaml"
    path.write_text(path.read_text().replace("  profiles: [base]\n", "  profiles: [base]\n  rolloutPolicy: p\n", 1))
    head = "apiVersion: fleet/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: p}\nspec:\n"
    (shop / "policy.yaml").write_text(f"{head}  {said}\n")
    return shop


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "successThreshold: 120%",
            "5:21 error  spec.successThreshold: expected a percentage such as 10%, found `120%`",
        ),
        ("minFinished: 101%", "5:16 error  spec.minFinished: expected a percentage such as 10%, found `101%`"),
        ("maxFailures: 130%", "5:16 error  spec.maxFailures: expected a percentage such as 10%, found `130%`"),
        (
            "disruptionBudget: {groupBy: [site], maxUnavailable: 0}",
            "5:55 error  spec.disruptionBudget.maxUnavailable: lets no node ever change",
        ),
        (
            "disruptionBudget: {groupBy: [site], minAvailable: 100%}",
            "5:53 error  spec.disruptionBudget.minAvailable: lets no node ever change",
        ),
        (
            "updateSchedule: {at: '0 2 * * *', duration: 10m}",
            (
                "5:47 error  spec.updateSchedule.duration: is shorter than the default progressDeadline 30m: what could not end "
                "inside the window never begins. Make it longer, or progressDeadline shorter."
            ),
        ),
        (
            "waves: [{name: pilot, selector: {}}, {name: rest}]",
            (
                "5:11 error  spec.waves[0]: takes every unit that is left, so the waves behind it are empty. Give it a selector "
                "or a limit."
            ),
        ),
    ],
)
@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_what_is_wrong_by_itself(shop: Path, verb: str, said: str, told: str):
    ran = run(verb, *(BOX if verb == "plan" else ()), cwd=ruled(shop, said))

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [f"policy.yaml:{told}", "1 error in 1 of 5 documents."]


def test_several_mistakes_are_told_at_once(shop: Path):
    said = "{successThreshold: 120%, maxFailures: 130%, disruptionBudget: {maxUnavailable: 0}}"

    ran = run("validate", cwd=ruled(shop, said))

    assert ran.code == 2
    assert [line.split("spec.")[1].split(":")[0] for line in ran.err.splitlines()[:-1]] == [
        "successThreshold", "maxFailures", "disruptionBudget.maxUnavailable",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "told", "planned"),
    [
        (
            "waves: [{name: pilot, selector: {matchLabels: {ring: none}}, approval: true}]",
            ("5:35 warning  spec.waves[0].selector: no node of the fleet is what it asks for, so the wave is empty. "
            "fleet node list --selector tries one."),
            ["Waves    pilot 0 nodes, everyone 3, servers before agents",
             "  ! no node of the fleet is what the selector of wave pilot asks for"],
        ),
        (
            "maxFailures: 4",
            ("5:16 warning  spec.maxFailures: 4 is more than the 3 nodes of the fleet, so it never pauses a rollout. "
            "A percentage grows with the rollout."),
            ["Waves    everyone 3 nodes, servers before agents"],
        ),
        (
            "disruptionBudget: {groupBy: [site], minAvailable: 2}",
            ("5:21 warning  spec.disruptionBudget: lets no node of site=lyon, site=paris ever change: as many have to be "
            "available as there are. maxUnavailable: 1 lets one go at a time."),
            ["Waves    everyone 3 nodes, servers before agents", "Budget   2 groups",
             "  ! whose budget lets no node change: site=lyon, site=paris", "Time     none of 3 nodes can begin"],
        ),
    ],
)  # fmt: skip
def test_what_the_nodes_make_pointless_is_doubted(shop: Path, said: str, told: str, planned: list[str]):
    ruled(shop, said)
    valid = run("validate", cwd=shop)
    plan = run("plan", *BOX, cwd=shop)

    assert (valid.code, valid.out.splitlines()[0]) == (0, DOUBTED)
    assert valid.err.splitlines()[0] == f"policy.yaml:{told}"
    assert plan.code == 3
    assert [line for line in planned if line not in plan.out.splitlines()] == []


@pytest.mark.parametrize("said", ["maxFailures: 3", "disruptionBudget: {groupBy: [site], maxUnavailable: 50%}"])
def test_what_fits_is_not_doubted(shop: Path, said: str):
    assert run("validate", cwd=ruled(shop, said))[::2] == (0, "")
