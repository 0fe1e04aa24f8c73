"""Prints the last result of each host, and the recap, as one JSON document."""

from __future__ import annotations

import json

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: stdout
short_description: results as JSON
description: the last result of each host that says something new, and the recap, as one JSON document
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "results"

    def __init__(self):
        super().__init__()
        self.hosts = {}

    def _keep(self, result, **more):
        if result._task.action.rpartition(".")[2] in ("group_by", "fail"):
            return  # they only repeat what another task said
        self.hosts[result._host.get_name()] = {**self._clean(result._result), **more}

    def _clean(self, result):
        return json.loads(self._dump_results(result))

    def v2_runner_on_ok(self, result):
        if not result._task.action.endswith("fleet_report"):
            self._keep(result)

    def v2_runner_on_failed(self, result, **_ignored):
        self._keep(result)

    def v2_runner_on_skipped(self, result):
        self._keep(result)

    def v2_runner_on_unreachable(self, result):
        self._keep(result)

    def v2_playbook_on_stats(self, stats):
        recap = {host: stats.summarize(host) for host in stats.processed}
        self._display.display(json.dumps({"hosts": self.hosts, "stats": recap}))
