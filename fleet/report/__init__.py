"""report: results as lines of text and as JSON with a stable shape. Pure; knows no terminal and no colour."""

from fleet.report.line import Line, LineKind, clean
from fleet.report.nodes import NodeRow, node_lines
from fleet.report.plan_json import PlanReport, plan_document, plan_schema
from fleet.report.plan_text import plan_lines
from fleet.report.problems import problems_lines
from fleet.report.status import Status, status, status_lines
from fleet.report.table import Column, table_lines

__all__ = [
    "Column",
    "Line",
    "LineKind",
    "NodeRow",
    "PlanReport",
    "Status",
    "clean",
    "node_lines",
    "plan_document",
    "plan_lines",
    "plan_schema",
    "problems_lines",
    "status",
    "status_lines",
    "table_lines",
]
