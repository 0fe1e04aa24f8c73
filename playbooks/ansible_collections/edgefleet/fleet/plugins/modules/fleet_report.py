# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Only the documentation: the action plugin of this name does it all, on the controller."""

DOCUMENTATION = r"""
module: fleet_report
short_description: Say what failed on a host earlier in this run
version_added: "0.1.0"
author: The fleet authors (@edgefleet)
description:
  - Ansible ends a run when all hosts of a play fail. C(site.yml) rescues them instead, so that what does not depend on
    them goes on, and lets them fail in its last play with what this module says.
  - A host that could not be reached is unreachable once more.
attributes:
  check_mode:
    description: It changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Tell what could not be reached
  edgefleet.fleet.fleet_report:
  register: report

- name: Tell what failed
  ansible.builtin.fail:
    msg: "{{ report.msg }}"
"""

RETURN = r"""
msg: {description: What failed., type: str, returned: always}
"""
