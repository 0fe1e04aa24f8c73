# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Says what failed on a host earlier in this run. A host that could not be reached is unreachable once more."""

from __future__ import annotations

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

REGISTERED = (
    "bundle_result",
    "users_confirmed",
    "users_kept",
    "users_keys",
    "users_folders",
    "users_result",
    "packages_result",
)


class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        for name in REGISTERED:
            seen = task_vars.get(name)
            if isinstance(seen, dict) and seen.get("failed"):
                if seen.get("step") == "connection":
                    raise AnsibleConnectionFailure(str(seen["msg"]))
                return dict(result, changed=False, msg=self._first(seen))
        return dict(result, changed=False, msg="it failed earlier in this run")

    @staticmethod
    def _first(seen):
        """Of a loop, what the first item that failed said."""
        items = [item for item in seen.get("results") or () if isinstance(item, dict) and item.get("failed")]
        return str((items or [seen])[0].get("msg") or "it failed and gave no reason")
