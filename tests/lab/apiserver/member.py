"""How etcd and the API server are started on one machine: the same words on the controller and in a lab host's units."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.lab.apiserver.certificates import Authority

SERVICE_CIDR = "10.43.0.0/16"


@dataclass(frozen=True)
class Member:
    """One machine of a cluster: its name, the address that the others know, ports, and where its files lie there.

    `papers` is a folder with all that `write_papers` makes; `data` is etcd's.
    """

    name: str
    address: str
    papers: PurePosixPath
    data: PurePosixPath
    api_port: int = 6443
    client_port: int = 2379
    peer_port: int = 2380

    @property
    def peer_url(self) -> str:
        return f"http://{_host(self.address)}:{self.peer_port}"

    @property
    def url(self) -> str:
        return f"https://{_host(self.address)}:{self.api_port}"

    def etcd(self, members: Sequence["Member"] = (), binary: str = "etcd") -> list[str]:
        """The command line of this member of a new etcd cluster. The client port is open on 127.0.0.1 alone."""
        client = f"http://127.0.0.1:{self.client_port}"
        known = ",".join(f"{member.name}={member.peer_url}" for member in (members or [self]))
        return [
            *(binary, f"--name={self.name}", f"--data-dir={self.data}", "--logger=zap", "--log-level=warn"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={self.peer_url}", f"--initial-advertise-peer-urls={self.peer_url}"),
            *(f"--initial-cluster={known}", "--initial-cluster-state=new"),
        ]

    def apiserver(self, binary: str = "kube-apiserver") -> list[str]:
        """The command line of the API server on this machine, with etcd's member there.

        Without the admission of service accounts: no controller makes any, so no pod could be created.
        """
        papers = self.papers
        return [
            *(binary, f"--etcd-servers=http://127.0.0.1:{self.client_port}"),
            *(f"--bind-address={self.address}", f"--secure-port={self.api_port}"),
            *(f"--advertise-address={self.address}", "--endpoint-reconciler-type=none"),
            *(f"--tls-cert-file={papers}/apiserver.crt", f"--tls-private-key-file={papers}/apiserver.key"),
            *(f"--client-ca-file={papers}/ca.crt", "--authorization-mode=RBAC", "--allow-privileged"),
            *("--service-account-issuer=https://kubernetes.default.svc", f"--service-cluster-ip-range={SERVICE_CIDR}"),
            *(f"--service-account-key-file={papers}/service-account.key",),
            *(f"--service-account-signing-key-file={papers}/service-account.key",),
            *("--disable-admission-plugins=ServiceAccount", "--profiling=false"),
        ]


def write_papers(authority: Authority, addresses: Sequence[str] = ()) -> None:
    """Into the authority's folder: ca, apiserver, system-admin (may do everything), service-account.key."""
    authority.server(more=addresses)
    authority.client("system:admin", "system:masters")
    authority.service_account_key()


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
