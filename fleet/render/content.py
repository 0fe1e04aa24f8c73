"""Users' contents: a text, a template file or a raw file becomes segments, rendered once per distinct input.

What a template reads decides how often it is rendered: one that only looks at `vars.ntp` is rendered once per value
of that variable, however many nodes hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any

import jinja2
import msgspec
from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.utils import missing

from fleet.model.bundle import Segment
from fleet.model.fleet import ResolvedFleet
from fleet.model.node import ContentSource, Node
from fleet.model.secret import LockedSecret
from fleet.render.limits import FUEL
from fleet.render.placeholders import SecretNames, named, segments
from fleet.render.sandbox import MAP_METHODS, Environment
from fleet.render.views import fleet_view, node_view, site_view

_SETTING = (
    nodes.Assign, nodes.AssignBlock, nodes.Block, nodes.Extends, nodes.FromImport, nodes.Import, nodes.Include, nodes.Macro,
)  # fmt: skip
"""Statements that give a template names of its own, or run another one in its context."""

Content = tuple[Segment, ...] | bytes
"""Segments of a text, or the bytes of a raw file."""


class ContentError(ValueError):
    """A content that cannot be made. `line` counts from 1 within the template, 0 where there is none."""

    def __init__(self, message: str, hint: str = "", file: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.file = file
        self.line = line


class _Needs(msgspec.Struct, frozen=True):
    """What a template reads: whole names, and single variables (`vars.ntp` -> "ntp")."""

    names: frozenset[str]
    variables: tuple[str, ...]


class _Compiled(msgspec.Struct, frozen=True):
    """`context` is made once and filled before each rendering: making one costs as much as a small template.

    `sets`: the template sets names of its own, which the next rendering may not see.
    """

    template: jinja2.Template | None
    plain: tuple[Segment, ...]
    needs: _Needs
    file: str
    context: Context | None = None
    sets: bool = False


class _Names(dict[str, Any]):
    """What a template sees. Asked without a call of Python's for what it holds."""

    def __missing__(self, name: str) -> Any:
        return missing


class Contents:
    """Contents of one fleet. Raises ContentError; nothing is read but what `files` holds."""

    def __init__(self, fleet: ResolvedFleet, files: Mapping[str, bytes], secrets: Mapping[str, LockedSecret]) -> None:
        self._fleet = fleet
        self._files = files
        self._locked = secrets
        self._environment = Environment(files)
        self._compiled: dict[ContentSource, _Compiled] = {}
        self._made: dict[Hashable, Content] = {}
        self._named_vars: dict[int, tuple[Any, Any]] = {}
        self._sites: dict[str, dict[str, Any]] = {}
        self._shared = {**self._environment.globals, "fleet": fleet_view(fleet), "secrets": SecretNames(secrets)}
        self._seen_by: Node | None = None
        self._seen = _Names()

    def maker(self, source: ContentSource) -> Callable[[Node], Content]:
        """`of` for one source that differs from node to node, looked up once."""
        compiled = self._compile(source)
        template, context = compiled.template, compiled.context
        if template is None or context is None or "node" not in compiled.needs.names:
            return partial(self.of, source)
        return partial(self._render, compiled, template, context)

    def is_fixed(self, source: ContentSource) -> bool:
        """Whether every node gets the same content."""
        return source.kind == "source" or self._compile(source).template is None

    def of(self, source: ContentSource, node: Node) -> Content:
        if source.kind == "source":
            return self._raw(source.value)
        compiled = self._compile(source)
        if compiled.template is None or compiled.context is None:
            return compiled.plain
        key = self._key(source, compiled.needs, node)
        if key is None:
            return self._render(compiled, compiled.template, compiled.context, node)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._render(compiled, compiled.template, compiled.context, node)
        return made

    def _key(self, source: ContentSource, needs: _Needs, node: Node) -> Hashable | None:
        """Equal keys give equal contents; None: not worth remembering."""
        if "node" in needs.names:
            return None
        variables = node.settings.vars
        if "vars" in needs.names:
            own: Hashable = id(variables)
        else:
            own = tuple(_hashable(variables.get(name)) for name in needs.variables)
        return (source, node.site if "site" in needs.names else "", own)

    def _raw(self, path: str) -> bytes:
        content = self._files.get(path)
        if content is None:
            raise ContentError(
                f"there is no file {path} in the repository", "The path counts from the repository's root."
            )
        return content

    def _compile(self, source: ContentSource) -> _Compiled:
        known = self._compiled.get(source)
        if known is None:
            known = self._compiled[source] = self._compile_anew(source)
        return known

    def _compile_anew(self, source: ContentSource) -> _Compiled:
        file = source.value if source.kind == "template" else ""
        text = source.value
        if file:
            try:
                text = self._raw(file).decode("utf-8")
            except UnicodeDecodeError as error:
                raise ContentError(
                    f"{file} is not UTF-8 (byte {error.start})", "Use `source:` for raw bytes."
                ) from None
        if "\0" in text:
            raise ContentError("the template holds a NUL character", "Use `source:` for raw bytes.", file)
        if "{{" not in text and "{%" not in text and "{#" not in text:
            return _Compiled(None, (text,), _Needs(frozenset(), ()), file)
        try:
            tree = self._environment.parse(text)
            needs = _needs(tree)
            code = self._environment.compile(tree, filename=file or "content")
        except jinja2.TemplateSyntaxError as error:
            raise ContentError(error.message or "the template is broken", "", file, error.lineno) from None
        except RecursionError:
            raise ContentError("the template is nested too deeply", "", file) from None
        template = jinja2.Template.from_code(self._environment, code, self._environment.globals, None)
        context = Context(self._environment, {}, template.name, template.blocks)
        return _Compiled(template, (), needs, file, context, sets=any(tree.find_all(_SETTING)))

    def _render(self, compiled: _Compiled, template: jinja2.Template, context: Context, node: Node) -> Content:
        self._environment.fuel.left = FUEL
        seen = context.parent = self._context(compiled.needs, node)
        if compiled.sets:
            context.vars.clear()
            context.exported_vars.clear()
        else:
            context.resolve_or_missing = seen.__getitem__  # type: ignore[method-assign, assignment]  # nothing else is seen
        try:
            text = self._environment.concat(template.root_render_func(context))
            if not text.isascii():
                text.encode()
            return segments(text, self._locked)
        except RecursionError:
            raise ContentError("calls itself without an end", "", compiled.file) from None
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            file, line = _where(error, compiled.file)
            raise ContentError(_words(error), _hint(error, self._locked), file, line) from None

    def _context(self, needs: _Needs, node: Node) -> _Names:
        """What a template sees. A node's templates come one after another: what they share is made once."""
        if self._seen_by is not node:
            site = self._sites.get(node.site)
            if site is None:
                site = self._sites[node.site] = site_view(self._fleet.sites[node.site])
            self._seen_by = node
            self._seen = _Names(self._shared)
            self._seen.update(node=node_view(node), site=site, vars=node.settings.vars)
        if "vars" in needs.names:  # read as a whole; a field alone is looked at when it is read
            return _Names({**self._seen, "vars": self._named(node.settings.vars)})
        return self._seen

    def _named(self, variables: dict[str, Any]) -> Any:
        known = self._named_vars.get(id(variables))
        if known is None:
            if len(self._named_vars) > 4096:
                self._named_vars.clear()
            known = self._named_vars[id(variables)] = (variables, named(variables))
        return known[1]


def _needs(tree: nodes.Template) -> _Needs:
    """Includes and imports see everything; `vars` that is only asked for its fields counts by field.

    `vars.items` and its like are the map's own: what they give depends on every variable.
    """
    if any(tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends))):
        return _Needs(frozenset({"node", "site", "vars"}), ())
    names = [name.name for name in tree.find_all(nodes.Name) if name.ctx == "load"]
    fields = [
        field.attr
        for field in tree.find_all(nodes.Getattr)
        if isinstance(field.node, nodes.Name) and field.node.name == "vars" and field.node.ctx == "load"
    ]
    found = set(names)
    if names.count("vars") == len(fields) and MAP_METHODS.isdisjoint(fields):
        found.discard("vars")
        return _Needs(frozenset(found), tuple(sorted(set(fields))))
    return _Needs(frozenset(found), ())


def _hashable(value: Any) -> Hashable:
    """A scalar by type and value (1 and True differ), anything else by identity."""
    return (type(value), value) if isinstance(value, str | int | float | bool | None) else id(value)


def _where(error: BaseException, file: str) -> tuple[str, int]:
    """Where an exception was raised: the innermost frame of a template, be it `file` or one that it includes."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.name or file, error.lineno
    found = (file, 0)
    trace = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            found = (template.name or file, template.get_corresponding_lineno(trace.tb_lineno))
        trace = trace.tb_next
    return found


def _words(error: BaseException) -> str:
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no template {error.name} in the repository"
    if isinstance(error, jinja2.UndefinedError):
        return f"undefined: {error.message}"
    if isinstance(error, UnicodeEncodeError):
        return f"makes U+{ord(error.object[error.start]):04X}, which UTF-8 does not have"
    return str(error) or type(error).__name__


def _hint(error: BaseException, secrets: Mapping[str, LockedSecret]) -> str:
    if isinstance(error, jinja2.UndefinedError) and "SecretNames" in str(error):
        known = ", ".join(sorted(secrets)[:5]) or "none yet"
        return f"Secrets that secrets.lock knows: {known}."
    if isinstance(error, jinja2.UndefinedError):
        return "Templates see node, site, fleet, vars and secrets."
    return ""
