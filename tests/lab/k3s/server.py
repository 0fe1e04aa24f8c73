"""`k3s server`: etcd, API server, supervisor and this node, in K3s's order (pkg/cli/server/server.go, pkg/cluster)."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import NoReturn

from . import bootstrap
from .addresses import check_default_route, node_addresses
from .apiserver import ApiServer, ApiServerError, admin_client, make_encryption_config, service_ip
from .certificates import CertificateError, make_authorities, make_server_certificates
from .client import Client, RequestError, UnreachableError
from .controllers import Controllers
from .etcd import Etcd, EtcdError
from .external import ExternalEtcd
from .faults import clear, fail_where_told, fault
from .images import import_images
from .joining import ServerJoin, check_url, fetch_certificates
from .kubeconfig import write_kubeconfig
from .kubelet import Kubelet, node_name
from .manifests import Deployer
from .node_passwords import own_password
from .output import fatal, link, log, notify_systemd, write
from .paths import DATA, ServerPaths
from .routes import routes_of
from .settings import Settings
from .sqlite import Sqlite
from .supervisor import Door, tls_context
from .tokens import Passwords, Token, checked_token, configured_token, full_form, random_secret
from .versions import check_versions, record_version

WATCH_SECONDS = 0.3


class Server:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.paths = ServerPaths(str(settings.get("data-dir") or DATA))
        self.node = node_name(settings)
        self.addresses = node_addresses(settings)
        self.port = int(settings.get("https-listen-port") or 6443)
        self.passwords = Passwords(self.paths.cred / "passwd")
        text = configured_token(settings, "token") or self._kept_token()
        self.token: Token | None = checked_token(text) if text else None
        self.is_ready = False
        self.etcd = self._etcd()
        self.sqlite = Sqlite(self.paths.sqlite, self.etcd)
        self._door: Door | None = None
        self.api: ApiServer | None = None

    def _kept_token(self) -> str:
        return self.paths.token.read_text().strip() if self.paths.token.exists() else ""

    def _etcd(self) -> Etcd:
        if self.is_external:
            return ExternalEtcd(self.paths, self.node, self.addresses[0], self.settings)
        arguments = self.settings.get("etcd-arg", [])
        return Etcd(self.paths, self.node, self.addresses[0], self._etcd_folder(), arguments)

    @property
    def datastore(self) -> str:
        return "external" if self.is_external else "etcd" if self.is_managed else "sqlite"

    @property
    def is_external(self) -> bool:
        return bool(self.settings.get("datastore-endpoint"))

    @property
    def is_managed(self) -> bool:
        """Whether the datastore is embedded etcd: assignManagedDriver of pkg/cluster/managed.go."""
        if self.is_external:
            return False
        wanted = ("cluster-init", "cluster-reset", "server")
        return any(self.settings.get(key) for key in wanted) or (self.paths.etcd / "member" / "wal").is_dir()

    def _etcd_folder(self) -> Path:
        return self.paths.etcd if self.is_managed else self.paths.db / "standin-etcd"

    @property
    def authority(self) -> str:
        return (self.paths.tls / "server-ca.crt").read_text()

    @property
    def admin(self) -> Client:
        return admin_client(self.paths.tls)

    # ---- from nothing to ready

    def run(self) -> NoReturn:
        signal.signal(signal.SIGTERM, lambda *_: self.end(0))
        try:
            self.prepare()
            self.start()
            self.is_ready = True
            self.after_ready()
        except (EtcdError, ApiServerError, CertificateError, RequestError, UnreachableError) as error:
            log("fatal", f"Error: {error}")
            self.end(1)
        self.watch()

    def prepare(self) -> None:
        fail_where_told("start")
        check_default_route(self.settings)
        self.paths.make()
        if fault("lose-data"):
            log("warning", "the stand-in was told to lose its data")
            shutil.rmtree(self.paths.db)
            self.paths.db.mkdir(mode=0o700)
            clear("lose-data")
        if self.paths.reset_flag.exists():
            self.paths.reset_flag.unlink()
        own_password()
        import_images(self.paths.agent)
        if self.is_managed:
            self.sqlite.hand_over()
        elif not self.is_external:
            self.sqlite.restore()

    def start(self) -> None:
        """The datastore, with bootstrap data and versions checked, then the API server, then the door."""
        if self.settings.get("server") and not self.etcd.is_initialized:
            self.join()
        else:
            self.open_own_datastore()
        check_versions(self.etcd, self.node)
        self.keep_tokens()
        bootstrap.save(self.etcd, self.paths, self.password)
        self.make_certificates()
        self.open_door()
        self.api = ApiServer(self.paths, self.settings, self.addresses[0])
        self.api.start()
        self.api.wait_ready(self.admin)
        record_version(self.etcd, self.node)

    @property
    def password(self) -> str:
        return self.token.password if self.token else ""

    def make_certificates(self) -> None:
        sans = [name for text in self.settings.get("tls-san", []) for name in text.split(",")]
        make_server_certificates(self.paths, self.node, self.addresses, service_ip(self.settings), sans)

    def open_own_datastore(self) -> None:
        """Found a cluster, or start this server's member and take the bootstrap data out of it."""
        is_new = not self.etcd.is_initialized and not self.is_external
        if is_new and self.token and self.token.ca_hash and not (self.paths.tls / "server-ca.crt").exists():
            # docs/cli/token.md: the hash cannot be known before the authorities are made. The words are a guess.
            fatal("Error: preparing server: only the short token format can be used when starting the first server")
        make_authorities(self.paths)
        make_encryption_config(self.paths, self.settings)
        self.make_certificates()
        self.etcd.start()
        self.etcd.wait_healthy()
        if self.token:
            files = bootstrap.load(self.etcd, self.password)
            if files is not None and files != self._files_on_disk():
                log("info", "Updating bootstrap data on disk from datastore")
                bootstrap.put_down(self.paths, files)
                self.etcd.stop()
                self.make_certificates()
                self.etcd.start()
                self.etcd.wait_healthy()
        else:
            self.token = Token(random_secret(), "server")

    def _files_on_disk(self) -> dict[str, str] | None:
        try:
            return bootstrap.collect(self.paths)
        except OSError:
            return None

    def join(self) -> None:
        """Become a member of another server's cluster."""
        url = str(self.settings["server"])
        check_url(url)
        if self.token is None:
            fatal("Error: preparing server: K3S_TOKEN is required to join a cluster")
        files, config = ServerJoin(url, self.token).run(self.settings)
        bootstrap.put_down(self.paths, files)
        self.make_certificates()
        log("info", f"Adding member {self.etcd.name}={self.etcd.peer_url} to etcd cluster")
        self.etcd.join(config["EtcdClientURL"])
        self.etcd.wait_healthy()

    def keep_tokens(self) -> None:
        """server/cred/passwd and the three token files: docs/cli/token.md, "Token Types"."""
        agent = configured_token(self.settings, "agent-token")
        agent_password = checked_token(agent).password if agent else self.password
        wanted = self.passwords.content({"server": self.password, "node": agent_password})
        if not self.passwords.path.exists() or self.passwords.path.read_text() != wanted:
            write(self.passwords.path, wanted, 0o600)
        write(self.paths.token, full_form("server", self.password, self.authority), 0o600)
        if agent:
            self.paths.agent_token.unlink(missing_ok=True)
            write(self.paths.agent_token, full_form("node", agent_password, self.authority), 0o600)
        else:
            link(self.paths.agent_token, self.paths.token)
        link(self.paths.node_token, self.paths.agent_token)

    def open_door(self) -> None:
        address = str(self.settings.get("bind-address") or "::")
        host = f"::ffff:{address}" if "." in address else address
        try:
            self._door = Door((host, self.port), tls_context(self.paths.tls), routes_of(self), self.paths.home)
        except OSError as error:
            log("fatal", f"Error: starting supervisor: listen tcp {address}:{self.port}: {error}")
            self.end(1)
        in_background(self._door.serve_forever)

    def after_ready(self) -> None:
        write_kubeconfig(self.settings, self.paths, self.port)
        in_background(Deployer(self.paths.manifests, lambda: self.admin, self.node).run)
        in_background(Controllers(self).run)
        if not self.is_managed and not self.is_external:
            in_background(self.sqlite.run)
        if not self.settings.get("disable-agent"):
            in_background(self.run_agent)
        time.sleep(float(fault("start-delay") or 0))
        log("info", "k3s is up and running")
        notify_systemd("READY=1")

    def run_agent(self) -> None:
        """This server's own node, by the same requests as any agent's."""
        client = Client(f"https://127.0.0.1:{self.port}", authority=self.authority, user=("server", self.password))
        fetch_certificates(client, self.node, own_password(), self.addresses, self.paths.agent)
        pair = (self.paths.agent / "client-kubelet.crt", self.paths.agent / "client-kubelet.key")
        api = Client(f"https://127.0.0.1:{self.port}", authority=self.authority, certificate=pair)
        Kubelet(self.node, self.addresses, self.settings, lambda: api).run()

    # ---- staying, and the end

    def watch(self) -> NoReturn:
        """End when one of the programs does: K3s is one process, which dies with either."""
        crash = fault("crash-after")
        end = time.monotonic() + float(crash) if crash else None
        while True:
            for name, program in (("etcd", self.etcd), ("apiserver", self.api)):
                if program is self.etcd and self.is_external:
                    continue
                if program is None or program.process is None or program.process.poll() is not None:
                    log("fatal", f"Error: {name} exited")
                    self.end(1)
            if end and time.monotonic() > end:
                log("fatal", "the stand-in was told to crash")
                self.end(1)
            time.sleep(WATCH_SECONDS)

    def end(self, status: int) -> NoReturn:
        notify_systemd("STOPPING=1")
        if self.api:
            self.api.stop()
        if not self.is_managed and not self.is_external and self.is_ready:
            self.sqlite.save()
        self.etcd.stop()
        os._exit(status)


def in_background(work: object) -> None:
    threading.Thread(target=work, daemon=True).start()  # type: ignore[arg-type]
