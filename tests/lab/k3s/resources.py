"""From `apiVersion` and `kind` to a path of the API: what kubectl and the deployer need of discovery."""

from typing import Any

from .client import Client, RequestError

# The short names that people type; everything else is asked from the API server.
SHORT = {
    "no": "nodes",
    "po": "pods",
    "ns": "namespaces",
    "cm": "configmaps",
    "svc": "services",
    "sa": "serviceaccounts",
    "ev": "events",
    "pdb": "poddisruptionbudgets",
    "netpol": "networkpolicies",
    "crd": "customresourcedefinitions",
}


class UnknownKindError(Exception):
    """The API server has no such resource."""


class Discovery:
    def __init__(self, api: Client) -> None:
        self.api = api
        self._lists: dict[str, list[dict[str, Any]]] = {}

    def of_kind(self, version: str, kind: str) -> tuple[str, dict[str, Any]]:
        """The path of a group's version, and the resource of this kind."""
        for resource in self._resources(version):
            if resource["kind"] == kind and "/" not in resource["name"]:
                return root(version), resource
        raise UnknownKindError(f'no matches for kind "{kind}" in version "{version}"')

    def of_name(self, name: str) -> tuple[str, dict[str, Any]]:
        """The same for a name as one types it: node, nodes, no, leases.coordination.k8s.io."""
        wanted, _, group = SHORT.get(name.lower(), name.lower()).partition(".")
        versions = ["v1", *(item["preferredVersion"]["groupVersion"] for item in self.api.get("/apis")["groups"])]
        for version in versions:
            if group and not version.startswith(group):
                continue
            for resource in self._resources(version):
                names = {resource["name"], resource.get("singularName"), resource["kind"].lower()}
                if wanted in names and "/" not in resource["name"]:
                    return root(version), resource
        raise UnknownKindError(f'the server doesn\'t have a resource type "{name}"')

    def _resources(self, version: str) -> list[dict[str, Any]]:
        if version not in self._lists:
            try:
                self._lists[version] = self.api.get(root(version))["resources"]
            except RequestError as error:
                if error.status != 404:
                    raise
                return []
        return self._lists[version]


def root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def path_of(base: str, resource: dict[str, Any], namespace: str, name: str = "") -> str:
    place = f"/namespaces/{namespace}" if resource["namespaced"] and namespace else ""
    return f"{base}{place}/{resource['name']}" + (f"/{name}" if name else "")
