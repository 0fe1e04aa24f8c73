"""An external datastore: datastore-endpoint (docs/datastore/datastore.md), here an etcd that somebody else runs.

K3s takes `http://` and `https://` endpoints, joined by commas, as an etcd (k3s-io/kine, pkg/endpoint, ParseStorageEndpoint);
with datastore-cafile, -certfile and -keyfile. PostgreSQL, MySQL and NATS are not played. What K3s keeps there is what it
keeps in its own etcd: the bootstrap data, which only the token opens, and Kubernetes's objects. No server is a member of it.
"""

import os
import subprocess
import time
from pathlib import Path

from .etcd import ETCDCTL_SECONDS, WAIT, Etcd, EtcdError, last_words
from .output import fatal, log
from .paths import ServerPaths
from .settings import Settings

FLAGS = {"cacert": "datastore-cafile", "cert": "datastore-certfile", "key": "datastore-keyfile"}


class ExternalEtcd(Etcd):
    """What is asked of a member, asked of the endpoints. There is no process here, and nothing on this disk."""

    def __init__(self, paths: ServerPaths, node: str, address: str, settings: Settings) -> None:
        super().__init__(paths, node, address, paths.db / "none", [])
        self.endpoints = str(settings["datastore-endpoint"])
        self.files = {flag: str(settings[key]) for flag, key in FLAGS.items() if settings.get(key)}
        if not all(endpoint.startswith(("http://", "https://")) for endpoint in self.endpoints.split(",")):
            fatal("Error: of external datastores the stand-in has etcd alone, at http:// or https://")
        for file in self.files.values():
            if not Path(file).is_file():
                fatal(f"Error: starting kubernetes: preparing server: open {file}: no such file or directory")

    def start(self, *, members: str = "", force: bool = False) -> None:
        """It runs, or it does not."""

    def wait_healthy(self, patience: float | None = None) -> None:
        give_up = time.monotonic() + patience if patience else None
        said = ""
        while True:
            try:
                self.control("endpoint", "health", seconds=5)
            except EtcdError as error:
                if str(error) != said:
                    said = str(error)
                    log("error", f"Failed to reach the datastore: {error}")
                if give_up and time.monotonic() > give_up:
                    raise
                time.sleep(WAIT)
            else:
                return

    def control(
        self, *arguments: str, endpoint: str = "", stdin: str | None = None, seconds: float = ETCDCTL_SECONDS
    ) -> str:
        argv = ["etcdctl", f"--endpoints={endpoint or self.endpoints}", f"--command-timeout={seconds:.0f}s"]
        argv += [f"--{flag}={file}" for flag, file in self.files.items()]
        done = subprocess.run(
            [*argv, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"ETCDCTL_API": "3"},
        )
        if done.returncode:
            raise EtcdError(last_words(done.stderr or done.stdout))
        return done.stdout
