"""The hand that changes nodes, and the eye that reads their records: ansible-runner, in processes of its own."""

from fleet.adapters.ansible.applier import AnsibleApplier
from fleet.adapters.ansible.launch import Settings
from fleet.adapters.ansible.observer import AnsibleHand, AnsibleObserver

__all__ = ["AnsibleApplier", "AnsibleHand", "AnsibleObserver", "Settings"]
