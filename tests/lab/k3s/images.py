"""Image tarballs (docs/installation/airgap.md; pkg/agent/containerd/containerd.go, preloadImages).

K3s imports at its start what lies in agent/images, under any name that ends as one of these. Here it is only told.
"""

from pathlib import Path

from .output import log

ENDINGS = (".tar", ".tar.lz4", ".tar.bz2", ".tbz", ".tar.gz", ".tgz", ".tar.zst", ".tzst")


def import_images(agent: Path) -> None:
    folder = agent / "images"
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if file.name.endswith(ENDINGS):
            log("info", f"Importing images from {file}")
