"""`k3s agent` (pkg/agent/run.go): it waits for its server for ever, and knows the others once it is in."""

import json
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from .addresses import check_default_route, node_addresses
from .client import Client, RequestError, UnreachableError
from .faults import fail_where_told, fault
from .images import import_images
from .joining import JoinError, authority_of, check_url, fetch_certificates
from .kubelet import Kubelet, node_name
from .node_passwords import own_password
from .output import fatal, log, notify_systemd, write
from .paths import DATA
from .release import VERSION, minor_of
from .settings import Settings
from .tokens import checked_token, configured_token
from .versions import refuse

RETRY = 2.0
REFRESH_SECONDS = 10


class Agent:
    def __init__(self, settings: Settings) -> None:
        text = configured_token(settings, "token")
        if not text:
            fatal("Error: --token is required")
        if not settings.get("server"):
            fatal("Error: --server is required")
        check_url(str(settings["server"]))
        self.settings = settings
        self.token = checked_token(text)
        self.folder = Path(str(settings.get("data-dir") or DATA)) / "agent"
        self.name = node_name(settings)
        self.addresses = node_addresses(settings)
        self.kubelet = Kubelet(self.name, self.addresses, settings, lambda: self._api)
        self._balancer = self.folder / "etc" / "k3s-agent-load-balancer.json"
        self._version = self.folder / "standin-version"
        self._authority = ""
        self._api = Client(str(settings["server"]))

    def run(self) -> NoReturn:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        fail_where_told("start")
        check_default_route(self.settings)
        import_images(self.folder)
        if self._version.exists():
            refuse(self._version.read_text(), minor_of(VERSION))
        url = self.find_server()
        client = self.client(url)
        self.check_skew(client)
        fetch_certificates(client, self.name, own_password(), self.addresses, self.folder)
        write(self.folder / "server-ca.crt", self._authority, 0o644)
        write(self.folder / "kubelet.kubeconfig", f"# of {self.name}\nserver: {url}\n", 0o600)
        write(self._version, VERSION, 0o600)
        self.use(url)
        time.sleep(float(fault("start-delay") or 0))
        log("info", f"Running k3s agent {VERSION}, of {url}")
        notify_systemd("READY=1")
        self.stay(url)

    def client(self, url: str) -> Client:
        user = self.token.user or "node"
        return Client(url, authority=self._authority, user=(user, self.token.password))

    def known_servers(self) -> list[str]:
        """`server`, and those that the load balancer remembers (pkg/agent/loadbalancer)."""
        urls = [str(self.settings["server"]).rstrip("/")]
        if self._balancer.exists():
            urls += [f"https://{host}" for host in json.loads(self._balancer.read_text())["ServerAddresses"]]
        return list(dict.fromkeys(urls))

    def find_server(self) -> str:
        """The first that answers and takes the token: pkg/agent/run.go tries for ever."""
        said = ""
        while True:
            for url in self.known_servers():
                try:
                    self._authority = authority_of(url, self.token)
                    self.client(url).request("GET", "/v1-k3s/readyz")
                except RequestError as error:
                    problem = f"{error.status} {error.reason}"
                except (JoinError, UnreachableError) as error:
                    problem = str(error)
                else:
                    return url
                if problem != said:
                    said = problem
                    log("error", f"Failed to validate connection to cluster at {url}: {problem}")
            time.sleep(RETRY)

    def check_skew(self, client: Client) -> None:
        """Kubernetes's version skew policy: a kubelet is never newer than its API server. That it ends is a guess."""
        server = client.get("/v1-k3s/config")["Version"]
        if minor_of(VERSION) > minor_of(server):
            fatal(f"Error: an agent of {VERSION} is newer than its server, {server}: servers are upgraded first")
        if minor_of(server) - minor_of(VERSION) > 3:
            fatal(f"Error: an agent of {VERSION} is more than three minors older than its server, {server}")

    def use(self, url: str) -> None:
        pair = (self.folder / "client-kubelet.crt", self.folder / "client-kubelet.key")
        self._api = Client(url, authority=self._authority, certificate=pair)

    def stay(self, url: str) -> NoReturn:
        """Keep the node alive, by another server where this one is gone."""
        from .server import in_background

        in_background(self.kubelet.run)
        crash = fault("crash-after")
        while True:
            time.sleep(float(crash) if crash else REFRESH_SECONDS)
            if crash:
                fatal("the stand-in was told to crash")
            try:
                hosts = self.client(url).get("/v1-k3s/apiservers")
                write(self._balancer, json.dumps({"ServerAddresses": hosts}), 0o600)
            except (RequestError, UnreachableError):
                url = self.another(url)
                self.use(url)

    def another(self, url: str) -> str:
        for other in self.known_servers():
            try:
                self.client(other).request("GET", "/v1-k3s/readyz", seconds=3)
            except (RequestError, UnreachableError):
                continue
            return other
        return url
