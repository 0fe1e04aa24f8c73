# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Fails a host with what failed on it earlier in this run, so that the run's end and exit code tell it."""

from __future__ import annotations

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

REGISTERED = ("bundle_result", "users_keys", "users_folders", "users_result", "packages_result")
LEFT_OUT = ("invocation", "exception", "warnings", "deprecations", "results")


class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        for name in REGISTERED:
            seen = task_vars.get(name)
            if isinstance(seen, dict) and seen.get("failed"):
                if seen.get("step") == "connection":
                    raise AnsibleConnectionFailure(str(seen["msg"]))
                told = {key: value for key, value in seen.items() if key not in LEFT_OUT}
                return dict(result, **told)
        return dict(result, failed=True, msg="it failed earlier in this run")
