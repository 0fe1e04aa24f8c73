# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Only the documentation: the action plugin of this name does it all, on the controller."""

DOCUMENTATION = r"""
module: fleet_report
short_description: Fail a host with what failed on it earlier in this run
version_added: "0.1.0"
author: The fleet authors (@edgefleet)
description:
  - Ansible ends a run when all hosts of a play fail. C(site.yml) rescues them instead, so that what does not depend on
    them goes on, and lets them fail in its last play.
  - A host that could not be reached is unreachable again.
attributes:
  check_mode:
    description: It changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Tell what failed
  edgefleet.fleet.fleet_report:
"""

RETURN = r"""
msg: {description: What failed., type: str, returned: always}
"""
