# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""A secret of the fleet, for host variables that need one: sudo's password."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: A secret of the fleet
version_added: "0.1.0"
author: The fleet authors (@edgefleet)
description:
  - Gives the value of a secret that C(secrets/secrets.lock) of the rendered project names, out of its vault file.
options:
  _terms:
    description: Names of secrets.
    required: true
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Sudo with a password
  ansible.builtin.command: id
  become: true
  vars:
    ansible_become_password: "{{ lookup('edgefleet.fleet.secret', 'sudo') }}"
"""

RETURN = r"""
_raw:
  description: The values, in the order of the names.
  type: list
  elements: str
"""

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.edgefleet.fleet.plugins.plugin_utils.secrets import SecretError, Secrets


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        secrets = Secrets(self._loader, (variables or {}).get("playbook_dir") or self._loader.get_basedir())
        try:
            return [secrets.value(name) for name in terms]
        except SecretError as exc:
            raise AnsibleLookupError(str(exc))
