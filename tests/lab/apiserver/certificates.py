"""A certificate authority of our own, and what a cluster needs of it, as files in a folder."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
ADDRESSES = ("127.0.0.1", "::1", "10.43.0.1")
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """Paths of a certificate and its private key, both PEM."""

    certificate: Path
    key: Path


class Authority:
    """Made anew in a folder: ca.crt and ca.key, then what is asked for beside them. Keys are 0600."""

    def __init__(self, folder: Path, name: str = "fleet-test-ca") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        can_sign = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = (
            self._builder(self._name, self._key.public_key(), 10 * 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(can_sign, critical=True)
        )
        self.pair = self._write("ca", builder.sign(self._key, hashes.SHA256()), self._key)

    @property
    def certificate(self) -> Path:
        return self.pair.certificate

    def server(self, file: str = "apiserver", more: Sequence[str] = (), *, ended: bool = False) -> Pair:
        """For the API server, also under the addresses and names in `more`; `ended`: valid until yesterday."""
        said = [*NAMES, *ADDRESSES, *more]
        return self._issue(file, "kube-apiserver", "", said, ended=ended)

    def client(self, user: str, group: str = "", *, ended: bool = False) -> Pair:
        """Kubernetes takes the common name for the user, the organization for a group."""
        return self._issue(user.replace(":", "-"), user, group, [], ended=ended)

    def service_account_key(self) -> Path:
        """What signs the tokens of service accounts: both the signing and the verifying key."""
        path = self.folder / "service-account.key"
        write_key(path, rsa.generate_private_key(public_exponent=65537, key_size=2048))
        return path

    def _issue(self, file: str, name: str, group: str, said: Sequence[str], *, ended: bool) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        subject += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
        usage = ExtendedKeyUsageOID.SERVER_AUTH if said else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = self._builder(x509.Name(subject), key.public_key(), -DAY if ended else 365 * DAY)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if said:
            builder = builder.add_extension(x509.SubjectAlternativeName([_said(each) for each in said]), critical=False)
        return self._write(file, builder.sign(self._key, hashes.SHA256()), key)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, lasts: dt.timedelta) -> x509.CertificateBuilder:  # fmt: skip
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now + lasts)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _write(self, file: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
        pair = Pair(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_key(pair.key, key)
        return pair


def write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def _said(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
