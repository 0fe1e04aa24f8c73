import pytest

from fleet.k3s.artifacts import (
    ARCHES,
    arch_of_machine,
    binary_name,
    checksum_name,
    images_name,
    parse_channels,
    parse_checksums,
    release_path,
    release_url,
)
from fleet.k3s.version import Version

A = "a" * 64
B = "0123456789abcdef" * 4


def test_file_names_by_architecture():
    assert ARCHES == ("amd64", "arm64", "arm")
    assert [binary_name(arch) for arch in ARCHES] == ["k3s", "k3s-arm64", "k3s-armhf"]
    assert [checksum_name(arch) for arch in ARCHES] == [
        "sha256sum-amd64.txt",
        "sha256sum-arm64.txt",
        "sha256sum-arm.txt",
    ]
    assert [images_name(arch) for arch in ARCHES] == [
        "k3s-airgap-images-amd64.tar.zst",
        "k3s-airgap-images-arm64.tar.zst",
        "k3s-airgap-images-arm.tar.zst",
    ]
    assert images_name("amd64", "gz") == "k3s-airgap-images-amd64.tar.gz"


def test_what_k3s_does_not_publish():
    for name in (binary_name, checksum_name, images_name):
        with pytest.raises(ValueError, match="expected one of amd64, arm64, arm, found `riscv64`"):
            name("riscv64")
    with pytest.raises(ValueError, match="not as `xz`"):
        images_name("amd64", "xz")


@pytest.mark.parametrize(
    ("machine", "arch"),
    [
        ("x86_64", "amd64"),
        ("amd64", "amd64"),
        ("aarch64", "arm64"),
        ("arm64", "arm64"),
        ("armv7l", "arm"),
        ("armv8l", "arm"),
    ],
)
def test_machines(machine, arch):
    assert arch_of_machine(machine) == arch


@pytest.mark.parametrize("machine", ["riscv64", "i686", "", "X86_64"])
def test_machines_without_a_release(machine):
    with pytest.raises(ValueError, match="K3s has no release"):
        arch_of_machine(machine)


def test_where_a_file_lies():
    version = Version(1, 35, 4, 1)
    assert release_path(version, "k3s-arm64") == "v1.35.4+k3s1/k3s-arm64"
    assert release_url(version, "k3s") == "https://github.com/k3s-io/k3s/releases/download/v1.35.4%2Bk3s1/k3s"
    url = release_url("v1.35.4+k3s1", "sha256sum-arm.txt", "https://mirror.acme.example/k3s/")
    assert url == "https://mirror.acme.example/k3s/v1.35.4%2Bk3s1/sha256sum-arm.txt"


def test_checksums():
    text = f"{A}  k3s\n{B} *k3s-airgap-images-amd64.tar.zst\n"
    assert parse_checksums(text.encode()) == {"k3s": A, "k3s-airgap-images-amd64.tar.zst": B}
    assert parse_checksums(f"{A}  k3s".encode()) == {"k3s": A}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1 is ``"),
        (b"<html>not found</html>", "line 1 is `<html>not found</html>`"),
        (f"{A} k3s\n".encode(), "line 1"),
        (f"{A}  k3s\n\n{B}  k3s-arm64\n".encode(), "line 2 is ``"),
        (f"{A}  k3s\r\n".encode(), "line 1"),
        (f"{A.upper()}  k3s\n".encode(), "line 1"),
        (f"{A[1:]}  k3s\n".encode(), "line 1"),
        (f"{A}  ../../etc/shadow\n".encode(), "line 1"),
        (f"{A}  k3s\n{B}  k3s\n".encode(), "names `k3s` twice, the second time in line 2"),
        (f"{A}  k3s\xff\n".encode("latin-1"), "byte 69 is not ASCII"),
        (b"x" * 70000, "70000 bytes"),
    ],
)
def test_what_is_no_checksum_file(data, message):
    with pytest.raises(ValueError) as caught:
        parse_checksums(data)
    assert message in str(caught.value)


CHANNELS = b"""{"type": "collection", "links": {"self": "https://update.k3s.io/v1-release/channels"},
 "actions": {}, "resourceType": "channels",
 "data": [
  {"id": "stable", "type": "channel", "links": {}, "name": "stable", "latest": "v1.36.3+k3s1"},
  {"id": "latest", "type": "channel", "name": "latest", "latest": "v1.37.1+k3s1", "latestRegexp": ".*"},
  {"id": "v1.38", "type": "channel", "name": "v1.38", "latestRegexp": "v1.38"},
  {"id": "v1.39", "type": "channel", "name": "v1.39", "latest": ""},
  {"id": "v1.35", "type": "channel", "name": "v1.35", "latest": "v1.35.4+k3s1"}]}"""


def test_channels():
    assert parse_channels(CHANNELS) == {
        "stable": "v1.36.3+k3s1",
        "latest": "v1.37.1+k3s1",
        "v1.35": "v1.35.4+k3s1",
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a channel server's answer"),
        (b"<html>", "not a channel server's answer"),
        (b"[]", "not a channel server's answer"),
        (b'{"data": {}}', "not a channel server's answer"),
        (b'{"data": [{"latest": "v1.35.4+k3s1"}]}', "not a channel server's answer"),
        (b'{"data": [{"name": "stable", "latest": 1}]}', "not a channel server's answer"),
        (b'{"data": [{"name": "\xff", "latest": "v1.35.4+k3s1"}]}', "not a channel server's answer"),
        (b'{"data": []}', "lists no channel that has a release"),
        (b'{"data": [{"name": "stable", "latest": "v1.35.4"}]}', "channel `stable` is at fault: not a K3s version"),
        (
            b'{"data": [{"name": "a", "latest": "v1.35.4+k3s1"}, {"name": "a", "latest": "v1.35.4+k3s1"}]}',
            "names channel `a` twice",
        ),
    ],
)
def test_what_is_no_channel_list(data, message):
    with pytest.raises(ValueError) as caught:
        parse_channels(data)
    assert message in str(caught.value)
