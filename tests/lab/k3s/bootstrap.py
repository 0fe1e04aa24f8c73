"""Bootstrap data: the authorities and keys that every server of a cluster shares (pkg/cluster/storage.go).

They lie in the datastore at /bootstrap/<start of the hash of the token>, encrypted with the token, so that a server or a
snapshot is of no use without it. A guess: the cipher. K3s uses PBKDF2 and AES-GCM, which openssl's command does not
have; here it is AES-CBC with a hash inside.
"""

import base64
import hashlib
import json
import os
import subprocess

from .certificates import AUTHORITIES
from .etcd import Etcd
from .output import fatal, write
from .paths import ServerPaths

PREFIX = "/bootstrap/"
ENCRYPTION = "cred/encryption-config.json"
OTHER_TOKEN = "bootstrap data already found and encrypted with different token"
CIPHER = ("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-iter", "4096", "-md", "sha1")


def file_names() -> list[str]:
    """Paths below server/, as ControlRuntimeBootstrap lists them."""
    pairs = [f"tls/{name}.{ending}" for name in AUTHORITIES for ending in ("crt", "key")]
    return [*pairs, "tls/service.key", "cred/passwd"]


def collect(paths: ServerPaths) -> dict[str, str]:
    """Name -> content of the files, as text. Without secrets-encryption there is no file of its keys."""
    optional = [ENCRYPTION] if (paths.home / ENCRYPTION).exists() else []
    return {name: (paths.home / name).read_text() for name in [*file_names(), *optional]}


def put_down(paths: ServerPaths, files: dict[str, str]) -> None:
    for name, text in files.items():
        write(paths.home / name, text, 0o644 if name.endswith(".crt") else 0o600)


def storage_key(password: str) -> str:
    return PREFIX + hashlib.sha256(password.encode()).hexdigest()[:12]


def save(etcd: Etcd, paths: ServerPaths, password: str) -> None:
    """Put the files into the datastore, or end where they are there with another token (storage.go, save)."""
    found = etcd.get(PREFIX, prefix=True)
    if found and storage_key(password) not in found:
        fatal(f"Error: failed to save bootstrap data: {OTHER_TOKEN}")
    text = json.dumps(collect(paths))
    if not found or decrypt(found[storage_key(password)], password) != text:
        etcd.put(storage_key(password), encrypt(text, password))


def load(etcd: Etcd, password: str) -> dict[str, str] | None:
    """The files in the datastore; None where it has none. Ends where they are there with another token."""
    found = etcd.get(PREFIX, prefix=True)
    if not found:
        return None
    if storage_key(password) not in found:
        fatal(f"Error: preparing server: failed to bootstrap cluster data: {OTHER_TOKEN}")
    text = decrypt(found[storage_key(password)], password)
    if text is None:
        fatal("Error: preparing server: failed to bootstrap cluster data: message authentication failed")
    files: dict[str, str] = json.loads(text)
    return files


def rotate(etcd: Etcd, paths: ServerPaths, old: str, new: str) -> str:
    """RotateBootstrapToken and Save (storage.go): what is there under the old token is put under the new one, and then
    the files of this server. What was moved already is moved once. Says why not, "" where it was done.
    """
    found = etcd.get(PREFIX, prefix=True)
    if storage_key(old) in found and storage_key(old) != storage_key(new):
        text = decrypt(found[storage_key(old)], old)
        if text is None:
            return "message authentication failed"
        if storage_key(new) not in found:
            etcd.put(storage_key(new), encrypt(text, new))
        etcd.delete(storage_key(old))
        found = etcd.get(PREFIX, prefix=True)
    if found and storage_key(new) not in found:
        return OTHER_TOKEN
    etcd.put(storage_key(new), encrypt(json.dumps(collect(paths)), new))
    return ""


def encrypt(text: str, password: str) -> str:
    sealed = hashlib.sha256(text.encode()).hexdigest() + text
    return base64.b64encode(_cipher(["-e"], sealed.encode(), password) or b"").decode()


def decrypt(text: str, password: str) -> str | None:
    """None where the password is another one."""
    opened = _cipher(["-d"], base64.b64decode(text), password)
    if opened is None:
        return None
    digest, content = opened[:64], opened[64:]
    return content.decode() if hashlib.sha256(content).hexdigest().encode() == digest else None


def _cipher(arguments: list[str], data: bytes, password: str) -> bytes | None:
    """The password goes through a pipe: tests look for it in what processes show."""
    reading, writing = os.pipe()
    os.write(writing, password.encode())
    os.close(writing)
    try:
        command = [*CIPHER, *arguments, "-pass", f"fd:{reading}"]
        done = subprocess.run(command, input=data, capture_output=True, pass_fds=[reading], check=False)
    finally:
        os.close(reading)
    return done.stdout if done.returncode == 0 else None
