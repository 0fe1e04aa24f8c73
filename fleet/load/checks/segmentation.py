"""Checks of a Segmentation: zones that flows and assertions name, networks, ports and dates."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import UNSET, UnsetType

from fleet.load.checks.site import selector_flaws
from fleet.load.checks.texts import address_fault, date_fault, network_fault, port_fault
from fleet.load.flaw import Flaw, twice
from fleet.load.words import near
from fleet.model.problem import type_path
from fleet.model.spec.segmentation import AssertionSpec, FlowSpec, OverlaySpec, SegmentationSpec, ZoneSpec
from fleet.model.spec.selector import Selector

_ANY = "any"


def segmentation_flaws(spec: SegmentationSpec) -> Iterator[Flaw]:
    zones = [] if isinstance(spec.zones, UnsetType) else spec.zones
    flows = [] if isinstance(spec.flows, UnsetType) else spec.flows
    assertions = [] if isinstance(spec.assertions, UnsetType) else spec.assertions
    names = {zone.name: zone for zone in zones}
    yield from twice(("spec", "zones"), [zone.name for zone in zones], "the zone")
    for at, zone in enumerate(zones):
        yield from _zone(("spec", "zones", at), zone)
    for at, flow in enumerate(flows):
        path: type_path = ("spec", "flows", at)
        yield from _ends(path, flow, names)
        yield from _site_scope(path, flow, names)
        if isinstance(flow.until, str) and (fault := date_fault(flow.until)):
            yield Flaw((*path, "until"), fault)
    for at, assertion in enumerate(assertions):
        yield from _ends(("spec", "assertions", at), assertion, {*names, _ANY})
    if isinstance(spec.overlay, OverlaySpec):
        yield from _overlay(spec.overlay)


def _zone(path: type_path, zone: ZoneSpec) -> Iterator[Flaw]:
    if zone.name == _ANY:
        yield Flaw((*path, "name"), "`any` stands for every zone", "Choose another name.")
    given = [name for name in ("selector", "pods", "cidrs") if getattr(zone, name) is not UNSET]
    if len(given) != 1:
        found = "none" if not given else " and ".join(given)
        yield Flaw(path, f"expected one of selector, pods and cidrs, found {found}")
    if zone.except_ is not UNSET and zone.cidrs is UNSET:
        yield Flaw((*path, "except"), "leaves networks out of cidrs, and there are none")
    for field, networks in (("cidrs", zone.cidrs), ("except", zone.except_)):
        for at, network in enumerate([] if isinstance(networks, UnsetType) else networks):
            fault, hint = network_fault(network)
            if fault:
                yield Flaw((*path, field, at), fault, hint)
    if isinstance(zone.selector, Selector):
        yield from selector_flaws((*path, "selector"), zone.selector)
    if not isinstance(zone.pods, UnsetType) and isinstance(zone.pods.selector, Selector):
        yield from selector_flaws((*path, "pods", "selector"), zone.pods.selector)


def _ends(path: type_path, part: FlowSpec | AssertionSpec, zones: Collection[str]) -> Iterator[Flaw]:
    for field, name in (("from", part.from_), ("to", part.to)):
        if name not in zones:
            yield Flaw((*path, field), f"no zone `{name}`", near(name, zones))
    ports = [] if isinstance(part.ports, UnsetType) else part.ports
    for at, port in enumerate(ports):
        if fault := port_fault(port):
            yield Flaw((*path, "ports", at), fault)
    yield from twice((*path, "ports"), ports, "the port", "")


def _site_scope(path: type_path, flow: FlowSpec, zones: dict[str, ZoneSpec]) -> Iterator[Flaw]:
    """Pods are a zone within their own site: no other site's node can reach or be reached by them."""
    if flow.scope != "fleet":
        return
    for field, name in (("from", flow.from_), ("to", flow.to)):
        if name in zones and zones[name].pods is not UNSET:
            message = f"the pods of `{name}` are a zone within their own site: scope fleet has no meaning for them"
            yield Flaw((*path, "scope"), message, "Write `scope: site`.", others=((*path, field),))
            return


def _overlay(overlay: OverlaySpec) -> Iterator[Flaw]:
    wireguard = overlay.wireguard
    path: type_path = ("spec", "overlay", "wireguard")
    fault, hint = network_fault(wireguard.cidr)
    if fault:
        yield Flaw((*path, "cidr"), fault, hint)
    if wireguard.topology != "mesh" and isinstance(wireguard.gateways, UnsetType):
        yield Flaw(path, "a hub needs gateways", "Say `gateways: {selector: …}`, or `topology: mesh`.")
    if not isinstance(wireguard.gateways, UnsetType):
        yield from selector_flaws((*path, "gateways", "selector"), wireguard.gateways.selector)
    endpoint = wireguard.endpoint
    if isinstance(endpoint, str) and endpoint.replace(".", "").isdigit() and (fault := address_fault(endpoint)):
        yield Flaw((*path, "endpoint"), fault)
