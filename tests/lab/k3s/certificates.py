"""The cluster's authorities and the certificates they sign, by openssl, with K3s's names (pkg/daemons/control/deps).

Leaf certificates live 365 days and are made anew when K3s starts within 120 days of their end; authorities live ten
years (docs/cli/certificate.md).
"""

import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from .output import write
from .paths import ServerPaths

LEAF_DAYS = 365
RENEW_SECONDS = 120 * 24 * 3600
AUTHORITY_DAYS = 3650
AUTHORITIES = ("server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca")
EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class CertificateError(Exception):
    """openssl refused; its words are the message."""


def openssl(*arguments: str, stdin: bytes | None = None) -> bytes:
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise CertificateError(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def make_authorities(paths: ServerPaths) -> None:
    """All that `bootstrap_files` names and that is not there yet: a CA each, and the key that signs tokens of accounts."""
    for name in AUTHORITIES:
        certificate, key = paths.tls / f"{name}.crt", paths.tls / f"{name}.key"
        if certificate.exists() and key.exists():
            continue
        subject = f"/CN=k3s-{name.replace('/', '-')}@{int(time.time())}"
        _request(certificate, key, ["-x509", "-days", str(AUTHORITY_DAYS), "-subj", subject])
        certificate.chmod(0o644)
    key = paths.tls / "service.key"
    if not key.exists():
        write(key, openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"), 0o600)


def _request(certificate: Path, key: Path, arguments: list[str]) -> None:
    certificate.parent.mkdir(parents=True, exist_ok=True)
    key.touch(mode=0o600)
    openssl("req", *EC_KEY, "-keyout", str(key), "-out", str(certificate), *arguments)


def ensure_leaf(
    paths: ServerPaths,
    name: str,
    authority: str,
    subject: str,
    *,
    usage: str,
    names: Iterable[str] = (),
) -> None:
    """A certificate `tls/<name>.crt` and its key, made when there is none, or it ends soon, or its names changed."""
    certificate, key = paths.tls / f"{name}.crt", paths.tls / f"{name}.key"
    alternatives = alternative_names(names)
    note = paths.tls / f".{name.replace('/', '-')}.names"
    wanted = f"{subject} {alternatives} {(paths.tls / f'{authority}.crt').read_text()}"
    if is_fresh(certificate) and note.exists() and note.read_text() == wanted:
        return
    _request(certificate, key, _signing(paths, authority, subject, usage, alternatives))
    certificate.chmod(0o644)
    write(note, wanted, 0o600)


def _signing(paths: ServerPaths, authority: str, subject: str, usage: str, alternatives: str) -> list[str]:
    tls = paths.tls
    extensions = ["-addext", f"extendedKeyUsage={usage}", "-addext", "basicConstraints=critical,CA:FALSE"]
    if alternatives:
        extensions += ["-addext", f"subjectAltName={alternatives}"]
    return [
        *("-x509", "-days", str(LEAF_DAYS), "-subj", subject),
        *("-CA", str(tls / f"{authority}.crt"), "-CAkey", str(tls / f"{authority}.key"), *extensions),
    ]


def sign_for(paths: ServerPaths, authority: str, subject: str, usage: str, names: Iterable[str]) -> tuple[bytes, bytes]:
    """A certificate (with its authority's behind it) and a key for somebody else."""
    folder = paths.tls / "temporary-certs"
    folder.mkdir(mode=0o700, exist_ok=True)
    certificate, key = folder / f"{time.time_ns()}.crt", folder / f"{time.time_ns()}.key"
    try:
        _request(certificate, key, _signing(paths, authority, subject, usage, alternative_names(names)))
        return certificate.read_bytes() + (paths.tls / f"{authority}.crt").read_bytes(), key.read_bytes()
    finally:
        certificate.unlink(missing_ok=True)
        key.unlink(missing_ok=True)


def alternative_names(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(name for name in names if name))
    return ",".join(f"IP:{name}" if is_address(name) else f"DNS:{name}" for name in unique)


def is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def is_fresh(certificate: Path) -> bool:
    """Whether there is such a certificate and K3s would not renew it yet."""
    if not certificate.exists():
        return False
    argv = ["openssl", "x509", "-checkend", str(RENEW_SECONDS), "-noout", "-in", str(certificate)]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def make_server_certificates(
    paths: ServerPaths, node: str, addresses: list[str], service_ip: str, sans: list[str]
) -> None:
    """The certificates of a server's own programs. `sans` is tls-san."""
    here = [node, "localhost", "127.0.0.1", "::1", *addresses]
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    serve, call, both = "serverAuth", "clientAuth", "serverAuth,clientAuth"
    # CN and O become user and groups: pkg/daemons/control/deps/deps.go.
    masters = "/O=system:masters/CN="
    ensure_leaf(paths, "serving-kube-apiserver", "server-ca", "/CN=kube-apiserver", usage=serve,
                names=[*here, *service, service_ip, *sans])  # fmt: skip
    ensure_leaf(paths, "client-admin", "client-ca", f"{masters}system:admin", usage=call)
    ensure_leaf(paths, "client-supervisor", "client-ca", f"{masters}system:k3s-supervisor", usage=call)
    ensure_leaf(paths, "client-kube-apiserver", "client-ca", f"{masters}system:apiserver", usage=call)
    ensure_leaf(paths, "client-auth-proxy", "request-header-ca", "/CN=system:auth-proxy", usage=call)
    ensure_leaf(paths, "etcd/server-client", "etcd/server-ca", "/CN=etcd-server", usage=both, names=here)
    ensure_leaf(paths, "etcd/peer-server-client", "etcd/peer-ca", "/CN=etcd-peer", usage=both, names=here)
    ensure_leaf(paths, "etcd/client", "etcd/server-ca", "/CN=etcd-client", usage=call)
