"""diagnose: what was seen of the controller and of nodes becomes diagnoses, equal ones together. Pure."""

from fleet.diagnose.controller import Controller, of_controller
from fleet.diagnose.nodes import Seen, of_nodes, of_silence

__all__ = ["Controller", "Seen", "of_controller", "of_nodes", "of_silence"]
