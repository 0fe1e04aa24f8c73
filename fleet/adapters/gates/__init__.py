"""What gates ask outside: URLs, Prometheus, and users' programs on the controller."""

from fleet.adapters.gates.command import LocalCommands
from fleet.adapters.gates.prometheus import PrometheusMetrics
from fleet.adapters.gates.web import HttpWeb

__all__ = ["HttpWeb", "LocalCommands", "PrometheusMetrics"]
