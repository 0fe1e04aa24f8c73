"""What Ansible printed: kept for the newest rollouts, and one node's part of it."""

from __future__ import annotations

import os
from pathlib import Path

from fleet.adapters.ansible.outputs import AnsibleOutputs, keep, of_node

PRINTED = """
PLAY [Make users] ****
skipping: no hosts matched

PLAY [Bring the bundle] ****

TASK [bundle : Bring it] ****
[ERROR]: Task failed: no space left
Origin: main.yml:2:3

2 - name: Bring it

fatal: [till-1]: FAILED! => {"msg": "no space left"}
changed: [till-10]
ok: [lyon-a -> localhost] => {
    "changed": false,
    "msg": "[till-1] is not meant"
}
--- before
+++ after
changed: [till-1] => (item=x)

RUNNING HANDLER [restart chrony] ****
changed: [till-10]

PLAY RECAP ****
till-1                     : ok=1    changed=1    unreachable=0    failed=1
till-10                    : ok=2    changed=2    unreachable=0    failed=0
"""


def test_one_node_s_results_under_their_tasks_with_their_errors_and_differences() -> None:
    assert of_node(PRINTED, "till-1") == (
        "TASK [bundle : Bring it]",
        "[ERROR]: Task failed: no space left",
        "Origin: main.yml:2:3",
        "2 - name: Bring it",
        'fatal: [till-1]: FAILED! => {"msg": "no space left"}',
        "--- before",
        "+++ after",
        "changed: [till-1] => (item=x)",
        "PLAY RECAP",
        "till-1                     : ok=1    changed=1    unreachable=0    failed=1",
    )
    assert of_node(PRINTED, "till-10")[:4] == (
        "TASK [bundle : Bring it]", "changed: [till-10]", "RUNNING HANDLER [restart chrony]", "changed: [till-10]",
    )  # fmt: skip
    assert of_node(PRINTED, "lyon-a") == (
        "TASK [bundle : Bring it]", "ok: [lyon-a -> localhost] => {", '    "changed": false,',
        '    "msg": "[till-1] is not meant"', "}",
    )  # fmt: skip
    assert of_node(PRINTED, "oslo") == ()


def test_output_is_kept_of_the_newest_rollouts_only(tmp_path: Path) -> None:
    printed, folder = tmp_path / "output.txt", tmp_path / "output"
    printed.write_text("TASK [x] ***\nok: [a]\n")
    for at, batch in enumerate(("7f3c-0001", "7f3c-0002", "8a4d-0001", "beef-0001")):
        keep(printed, folder, batch, kept=2)
        os.utime(folder / batch[:4], (at, at))
    outputs = AnsibleOutputs(folder, kept=2)
    assert [outputs.of(batch, "a") for batch in ("7f3c-0001", "7f3c-0002", "8a4d-0001", "beef-0001")] == [
        None, None, ("TASK [x]", "ok: [a]"), ("TASK [x]", "ok: [a]"),
    ]  # fmt: skip
    assert folder.stat().st_mode & 0o777 == 0o700


def test_none_at_all_where_none_is_to_be_kept(tmp_path: Path) -> None:
    printed = tmp_path / "output.txt"
    printed.write_text("ok: [a]\n")
    keep(printed, tmp_path / "output", "7f3c-0001", kept=0)
    assert not (tmp_path / "output").exists()


def test_what_is_no_name_of_a_batch_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("ok: [a]\n")
    assert AnsibleOutputs(tmp_path / "output").of("../x", "a") is None
