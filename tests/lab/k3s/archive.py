"""Makes the one file that hosts run: this package as a zip with a first line for the kernel (PEP 441).

The bytes depend on the sources, the version and the architecture only.
"""

import io
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = "k3s_standin"
FIRST_LINE = b"#!/usr/bin/python3 -I\n"
MAIN = f"from {PACKAGE}.main import main\n\nmain()\n"
THE_SAME_TIME = (2026, 1, 1, 0, 0, 0)
LEFT_OUT = {"archive.py"}


def make_archive(version: str, arch: str) -> bytes:
    """The stand-in for one version (v1.35.4+k3s1) and architecture (amd64, arm64, arm)."""
    files = {"__main__.py": MAIN}
    for source in sorted(HERE.glob("*.py")):
        if source.name not in LEFT_OUT:
            files[f"{PACKAGE}/{source.name}"] = source.read_text()
    release = f"{PACKAGE}/release.py"
    for name, value in (("VERSION", version), ("ARCH", arch)):
        line = f'{name} = "@{name}@"\n'
        if files[release].count(line) != 1:
            raise ValueError(f"release.py has no place for its {name.lower()}")
        files[release] = files[release].replace(line, f'{name} = "{value}"\n')
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, THE_SAME_TIME), text, zipfile.ZIP_DEFLATED)
    return FIRST_LINE + buffer.getvalue()
