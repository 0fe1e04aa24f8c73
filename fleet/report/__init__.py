"""report: results as lines of text and as JSON with a stable shape. Pure; knows no terminal and no colour."""

from fleet.report.imports import import_lines
from fleet.report.line import Line, LineKind, clean
from fleet.report.plan_json import PlanReport, plan_document
from fleet.report.plan_text import plan_lines
from fleet.report.problems import problems_lines
from fleet.report.reasons import by_reason, reason_lines
from fleet.report.table import Column, table_lines

__all__ = [
    "Column",
    "Line",
    "LineKind",
    "PlanReport",
    "by_reason",
    "clean",
    "import_lines",
    "plan_document",
    "plan_lines",
    "problems_lines",
    "reason_lines",
    "table_lines",
]
