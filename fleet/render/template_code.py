"""How a user's template becomes Python code: metered, and without a call for what most templates are made of."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame

from fleet.render.placeholders import PREFIX

_VIEWS = frozenset({"node", "site", "fleet"})
_JOINED = 8
"""Pieces of text in one step of a template's generator."""


class Code(CodeGenerator):
    """Writes what most templates are made of without a call: fields of maps, and texts on their way out.

    A piece of text is what the generator of a template gives at once; several of them go out in one step.
    """

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - jinja2's own name
        name = node.node.name if isinstance(node.node, nodes.Name) and node.node.ctx == "load" else ""
        if name not in _VIEWS and name != "vars":
            super().visit_Getattr(node, frame)
            return
        base, value = self.temporary_identifier(), self.temporary_identifier()
        self.write(f"({value} if ({base} := ")
        self.visit(node.node, frame)
        self.write(f").__class__ is dict and ({value} := {base}.get({node.attr!r}, missing))")
        # A text of `vars` may be a secret's name, and what is no text may hold one: `Environment.getattr` looks.
        is_sure = (
            f".__class__ is str and {value}[:{len(PREFIX)}] != {PREFIX!r}" if name == "vars" else " is not missing"
        )
        self.write(f"{is_sure} else environment.getattr({base}, {node.attr!r}))")

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802 - jinja2's own name
        if frame.buffer is not None or frame.require_output_check or len(node.nodes) < 2:
            super().visit_Output(node, frame)
            return
        finalize = self._make_finalize()
        for at in range(0, len(node.nodes), _JOINED):
            self.writeline("yield ''.join((")
            for child in node.nodes[at : at + _JOINED]:
                self.newline(child)  # a line of its own tells where a fault is
                if isinstance(child, nodes.TemplateData):
                    self.write(repr(child.data))
                else:
                    self._output_child_pre(child, frame, finalize)
                    self.visit(child, frame)
                    self._output_child_post(child, frame, finalize)
                self.write(",")
            self.writeline("))")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:  # noqa: ARG002 - jinja2's own
        self._shown.append(self.temporary_identifier())
        self.write(f"({self._shown[-1]} if ({self._shown[-1]} := ")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:  # noqa: ARG002 - jinja2's own
        shown = self._shown.pop()
        self.write(f").__class__ is str else str(environment.finalize({shown})))")

    @cached_property
    def _shown(self) -> list[str]:
        return []


def metered(tree: nodes.Template) -> nodes.Template:
    """Every `for` draws its items through the fuel, every `~` goes through a bound, and what holds things is weighed."""
    for loop in tree.find_all(nodes.For):
        loop.iter = _filtered(loop.iter, "fleet_over")
    _replace_below(tree)
    return tree


def _replace_below(node: nodes.Node) -> None:
    for field, value in node.iter_fields():
        if isinstance(value, list):
            setattr(node, field, [_replaced(item) for item in value])
        else:
            setattr(node, field, _replaced(value))


def _replaced(value: Any) -> Any:
    if not isinstance(value, nodes.Node):
        return value
    _replace_below(value)
    if isinstance(value, nodes.Concat):
        return _filtered(nodes.List(value.nodes, lineno=value.lineno), "fleet_text")
    if isinstance(value, nodes.List) or (isinstance(value, nodes.Tuple) and value.ctx == "load"):
        is_flat = all(isinstance(item, nodes.Const) for item in value.items)
        return value if is_flat else _filtered(value, "fleet_weigh")
    return _filtered(value, "fleet_weigh") if isinstance(value, nodes.Dict) else value


def _filtered(value: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(value, name, [], [], None, None, lineno=value.lineno)
