"""The folder that lies over the image of hosts with the full stand-in: the API server's binary, and nothing else."""

import os
from pathlib import Path

from tests.lab import prerequisites
from tests.lab.apiserver.build import ensure_apiserver
from tests.lab.k3s.paths import API_SERVER


def k3s_layer() -> Path:
    """Made once for each binary (which takes minutes to build the first time); a hard link, so it takes no room."""
    cache = prerequisites.cache_directory()
    binary = ensure_apiserver(cache)
    layer = cache / "k3s-layers" / binary.name
    place = layer / API_SERVER.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        beside = place.with_name(f"{place.name}.{os.getpid()}")
        beside.hardlink_to(binary)
        beside.rename(place)
    return layer
