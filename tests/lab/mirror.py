"""A local HTTP mirror: K3s releases, K3s's channels, and whatever else is put into its folder.

with Mirror(tmp_path) as mirror:                # on 127.0.0.1, for tests that need no lab; `lab.mirror` is one, too
    mirror.url                                  # {url}/v1.35.4%2Bk3s1/k3s, {url}/v1.35.4%2Bk3s1/sha256sum-amd64.txt
    mirror.channels_url                         # as https://update.k3s.io/v1-release/channels
    mirror.sha256("v1.35.4+k3s1", "amd64")
    mirror.break_("v1.35.4+k3s1/k3s-arm64", "corrupt"); mirror.mend()
    mirror.requests()
    mirror.stop(); mirror.start()               # the same address again
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.lab.errors import LabError
from tests.lab.mirror_tree import BINARIES, STABLE, VERSIONS, make_mirror_tree

SERVER = Path(__file__).with_name("mirror_server.py")
Fault = Literal["corrupt", "short", "slow", "missing", "unavailable"]


@dataclass(frozen=True)
class MirrorAsked:
    """One request that the mirror got. `path` is decoded, `bytes` is what was sent back."""

    client: str
    method: str
    path: str
    status: int
    bytes: int


def read_line(process: subprocess.Popen[str]) -> str:
    """The first line that a process says; its output is closed then."""
    if process.stdout is None:
        return ""
    with process.stdout as output:
        return output.readline()


def as_it_is(argv: list[str]) -> list[str]:
    return argv


class Mirror:
    """The mirror's folder and its process. `www` is what is served: k3s/ at `url`, apt/, and more if you like."""

    def __init__(
        self,
        directory: Path,
        *,
        address: str = "127.0.0.1",
        listen: str = "127.0.0.1",
        port: int = 0,
        wrap: Callable[[list[str]], list[str]] = as_it_is,
        kept: bool = False,
    ) -> None:
        """`address` is how clients call it, `listen` what it binds; `wrap` makes the command run somewhere else."""
        self.www = directory / "www"
        self.k3s = self.www / "k3s"
        self._address = address
        self._listen = listen
        self._port = port
        self._wrap = wrap
        self._kept = kept
        self._log = directory / "mirror.log"
        self._errors = directory / "mirror-errors.log"
        self._faults = directory / "mirror-faults.json"
        self._process: subprocess.Popen[str] | None = None

    @property
    def base_url(self) -> str:
        return f"http://{self._address}" if self._port == 80 else f"http://{self._address}:{self._port}"

    @property
    def url(self) -> str:
        """The K3s mirror, for `artifacts.mirrors`."""
        return f"{self.base_url}/k3s"

    @property
    def channels_url(self) -> str:
        return f"{self.base_url}/v1-release/channels"

    @property
    def apt_url(self) -> str:
        return f"{self.base_url}/apt"

    def publish(self, versions: tuple[str, ...] = VERSIONS, *, stable: str = STABLE) -> None:
        """Put these K3s releases on the mirror; its channels know no others."""
        make_mirror_tree(self.k3s, versions, stable=stable)

    def sha256(self, version: str, arch: str) -> str:
        """The sha256 of a release's binary as it lies on the mirror."""
        return hashlib.sha256((self.k3s / version / BINARIES[arch]).read_bytes()).hexdigest()

    def start(self) -> None:
        """Begin to serve; on the port of the last time, if there was one."""
        argv = [
            sys.executable,
            "-I",
            str(SERVER),
            *map(str, (self.www, self._log, self._faults, self._listen, self._port)),
        ]
        # Nothing of the caller's is passed on: whoever waits for the end of its output would wait for a kept mirror.
        with self._errors.open("a") as errors:
            self._process = subprocess.Popen(
                self._wrap(argv if self._kept else [*argv, "--until-eof"]),
                stdin=subprocess.DEVNULL if self._kept else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                text=True,
            )
        port = read_line(self._process)
        if not port:
            raise LabError(f"the mirror does not start on {self._listen}:\n{self._errors.read_text()}")
        self._port = int(port)

    def stop(self) -> None:
        """Go away: connections are refused until `start`."""
        if self._process:
            self._process.kill()
            self._process.wait()
            if self._process.stdin:
                self._process.stdin.close()
            self._process = None

    def break_(self, match: str, kind: Fault) -> None:
        """Answer paths that contain `match` with a wrong last byte, half the bytes, 404, or 503, until `mend`."""
        faults = json.loads(self._faults.read_text()) if self._faults.exists() else []
        self._faults.write_text(json.dumps([*faults, {"match": match, "kind": kind}]))

    def mend(self) -> None:
        """Answer everything properly again, and run."""
        self._faults.unlink(missing_ok=True)
        if self._process is None:
            self.start()

    def requests(self) -> list[MirrorAsked]:
        """What was asked since the start or `forget_requests`, oldest first."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [MirrorAsked(**json.loads(line)) for line in lines]

    def forget_requests(self) -> None:
        self._log.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.publish()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
