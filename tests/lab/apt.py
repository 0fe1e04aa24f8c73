"""A local apt repository with packages of our own, each in two versions.

fleet-lab-tool     /usr/bin/fleet-lab-tool prints the package's version
fleet-lab-service  a unit that is enabled and started on installation, and a conffile, /etc/fleet-lab-service.conf
"""

import gzip
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.command import run

OLD, NEW = "1.0-1", "1.1-1"
EPOCH = "1700000000"  # fixes the times inside of the packages, so that equal input gives equal bytes

UNIT = """[Unit]
Description=fleet lab service {version}
[Service]
EnvironmentFile=/etc/fleet-lab-service.conf
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
POSTINST = """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
systemctl daemon-reload
systemctl enable --quiet fleet-lab-service.service
systemctl restart fleet-lab-service.service
"""
PRERM = """#!/bin/sh
set -e
[ "$1" = remove ] || exit 0
systemctl disable --now --quiet fleet-lab-service.service
"""


@dataclass(frozen=True)
class Package:
    """A binary package for all architectures. `files` and `scripts` map a path to (mode, text)."""

    name: str
    version: str
    files: dict[str, tuple[int, str]]
    scripts: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.version}_all.deb"

    @property
    def control(self) -> str:
        return (
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: all\n"
            "Maintainer: fleet lab <lab@fleet.invalid>\n"
            f"Description: package of the lab's own repository, version {self.version}\n"
        )


def tool(version: str) -> Package:
    script = f"#!/bin/sh\necho fleet-lab-tool {version}\n"
    return Package("fleet-lab-tool", version, {"usr/bin/fleet-lab-tool": (0o755, script)})


def service(version: str) -> Package:
    conffile = "etc/fleet-lab-service.conf"
    return Package(
        "fleet-lab-service",
        version,
        {
            conffile: (0o644, f"# shipped with {version}\nFLEET_LAB_LEVEL=1\n"),
            "lib/systemd/system/fleet-lab-service.service": (0o644, UNIT.format(version=version)),
        },
        {"postinst": (0o755, POSTINST), "prerm": (0o755, PRERM), "conffiles": (0o644, f"/{conffile}\n")},
    )


PACKAGES = (tool(OLD), tool(NEW), service(OLD), service(NEW))


def make_repository(directory: Path, packages: tuple[Package, ...] = PACKAGES, *, label: str = "fleet lab") -> Path:
    """Write a flat repository: `deb [trusted=yes] http://.../apt ./` in sources.list. Overwrites one that is there.

    `label` is what apt says of it: a security archive has `security` in it, as Debian's own.
    """
    directory.mkdir(parents=True, exist_ok=True)
    entries = []
    for package in packages:
        content = build(package, directory / package.file_name)
        digest = hashlib.sha256(content).hexdigest()
        entries.append(f"{package.control}Filename: ./{package.file_name}\nSize: {len(content)}\nSHA256: {digest}\n")
    index = "\n".join(entries).encode()
    indexes = {"Packages": index, "Packages.gz": gzip.compress(index, mtime=0)}
    sums = [f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n" for name, data in indexes.items()]
    for name, data in indexes.items():
        (directory / name).write_bytes(data)
    release = f"Origin: fleet lab\nLabel: {label}\nSuite: ./\nDate: Tue, 14 Nov 2023 22:13:20 UTC\nSHA256:\n"
    (directory / "Release").write_text(release + "".join(sums))
    return directory


def build(package: Package, target: Path) -> bytes:
    """Build one package with dpkg-deb and return its bytes."""
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        scripts = {f"DEBIAN/{script}": content for script, content in package.scripts.items()}
        for path, (mode, text) in {"DEBIAN/control": (0o644, package.control), **package.files, **scripts}.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(mode)
        run(["env", f"SOURCE_DATE_EPOCH={EPOCH}", "dpkg-deb", "--build", "--root-owner-group", name, str(target)])
    return target.read_bytes()
