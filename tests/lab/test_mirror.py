"""The mirror by itself: needs neither root nor a lab."""

import hashlib
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.lab.mirror import Mirror, MirrorAsked
from tests.lab.mirror_tree import make_mirror_tree


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()


def refusal(url: str) -> int:
    """The status with which the mirror refuses a path."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(url)
    with refused.value as error:
        return error.code


@pytest.fixture
def mirror(tmp_path: Path):
    with Mirror(tmp_path) as mirror:
        yield mirror


def test_a_release_has_the_names_of_the_real_one(tmp_path: Path) -> None:
    make_mirror_tree(tmp_path, ("v1.35.4+k3s1",))

    assert sorted(path.name for path in (tmp_path / "v1.35.4+k3s1").iterdir()) == [
        "k3s",
        "k3s-airgap-images-amd64.tar.zst",
        "k3s-airgap-images-arm.tar.zst",
        "k3s-airgap-images-arm64.tar.zst",
        "k3s-arm64",
        "k3s-armhf",
        "sha256sum-amd64.txt",
        "sha256sum-arm.txt",
        "sha256sum-arm64.txt",
    ]


@pytest.mark.parametrize(("arch", "name"), [("amd64", "k3s"), ("arm64", "k3s-arm64"), ("arm", "k3s-armhf")])
def test_the_sums_are_those_of_the_files(tmp_path: Path, arch: str, name: str) -> None:
    release = make_mirror_tree(tmp_path, ("v1.35.4+k3s1",)) / "v1.35.4+k3s1"

    sums = dict(line.split("  ")[::-1] for line in (release / f"sha256sum-{arch}.txt").read_text().splitlines())

    assert sorted(sums) == sorted([name, f"k3s-airgap-images-{arch}.tar.zst"])
    assert sums[name] == hashlib.sha256((release / name).read_bytes()).hexdigest()


def test_every_version_and_architecture_has_other_bytes_and_always_the_same(tmp_path: Path) -> None:
    once = make_mirror_tree(tmp_path / "once", ("v1.35.3+k3s1", "v1.35.4+k3s1"))
    again = make_mirror_tree(tmp_path / "again", ("v1.35.3+k3s1", "v1.35.4+k3s1"))
    names = [
        f"{version}/{name}"
        for version in ("v1.35.3+k3s1", "v1.35.4+k3s1")
        for name in ("k3s", "k3s-arm64", "k3s-armhf")
    ]

    assert len({(once / name).read_bytes() for name in names}) == 6
    assert [(once / name).read_bytes() for name in names] == [(again / name).read_bytes() for name in names]


def test_the_binary_runs_and_names_its_version(tmp_path: Path) -> None:
    make_mirror_tree(tmp_path, ("v1.35.4+k3s1",))

    said = subprocess.run([tmp_path / "v1.35.4+k3s1/k3s", "--version"], text=True, capture_output=True, check=True)

    assert said.stdout.startswith("k3s version v1.35.4+k3s1 (")


def test_a_malformed_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'1\.35\.4' is no K3s release"):
        make_mirror_tree(tmp_path, ("1.35.4",))


def test_plus_and_its_encoding_mean_the_same(mirror: Mirror) -> None:
    plain = get(f"{mirror.url}/v1.35.4+k3s1/k3s")

    assert get(f"{mirror.url}/v1.35.4%2Bk3s1/k3s") == plain
    assert get(f"{mirror.base_url}/k3s-io/k3s/releases/download/v1.35.4%2Bk3s1/k3s") == plain
    assert hashlib.sha256(plain).hexdigest() == mirror.sha256("v1.35.4+k3s1", "amd64")


def test_channels(mirror: Mirror) -> None:
    mirror.publish(("v1.34.2+k3s1", "v1.35.10+k3s1", "v1.35.9+k3s1", "v1.36.1+k3s1"), stable="v1.35.9+k3s1")

    document = json.loads(get(mirror.channels_url))

    assert document["type"] == "collection"
    assert {one["name"]: one["latest"] for one in document["data"]} == {
        "stable": "v1.35.9+k3s1",
        "latest": "v1.36.1+k3s1",
        "v1.34": "v1.34.2+k3s1",
        "v1.35": "v1.35.10+k3s1",
        "v1.36": "v1.36.1+k3s1",
    }
    with urllib.request.urlopen(f"{mirror.channels_url}/v1.35", timeout=5) as answer:
        assert answer.url == f"{mirror.base_url}/k3s-io/k3s/releases/tag/v1.35.10%2Bk3s1"


def test_nothing_outside_of_the_folder_is_served(mirror: Mirror) -> None:
    (mirror.www.parent / "secret").write_text("secret")

    assert refusal(f"{mirror.base_url}/%2e%2e/secret") == 404


def test_requests_are_written_down(mirror: Mirror) -> None:
    body = get(f"{mirror.url}/v1.35.4%2Bk3s1/sha256sum-arm.txt")
    assert refusal(f"{mirror.url}/v1.99.0+k3s1/k3s") == 404

    assert mirror.requests() == [
        MirrorAsked("127.0.0.1", "GET", "/k3s/v1.35.4+k3s1/sha256sum-arm.txt", 200, len(body)),
        MirrorAsked("127.0.0.1", "GET", "/k3s/v1.99.0+k3s1/k3s", 404, len(b"no such file\n")),
    ]
    mirror.forget_requests()
    assert mirror.requests() == []


def test_wrong_bytes_and_their_mending(mirror: Mirror) -> None:
    mirror.break_("v1.35.4+k3s1/k3s-arm64", "corrupt")

    broken = get(f"{mirror.url}/v1.35.4%2Bk3s1/k3s-arm64")

    assert len(broken) == (mirror.k3s / "v1.35.4+k3s1/k3s-arm64").stat().st_size
    assert hashlib.sha256(broken).hexdigest() != mirror.sha256("v1.35.4+k3s1", "arm64")
    mirror.mend()
    whole = get(f"{mirror.url}/v1.35.4%2Bk3s1/k3s-arm64")
    assert hashlib.sha256(whole).hexdigest() == mirror.sha256("v1.35.4+k3s1", "arm64")


@pytest.mark.parametrize(("kind", "status"), [("missing", 404), ("unavailable", 503)])
def test_a_file_that_is_refused(mirror: Mirror, kind: str, status: int) -> None:
    mirror.break_("sha256sum-amd64.txt", kind)

    assert refusal(f"{mirror.url}/v1.35.4+k3s1/sha256sum-amd64.txt") == status


def test_a_transfer_that_breaks_off(mirror: Mirror) -> None:
    mirror.break_("v1.35.4+k3s1/k3s", "short")
    url = f"{mirror.url}/v1.35.4+k3s1/k3s"

    said = subprocess.run(["curl", "-sS", "-o", "/dev/null", url], text=True, capture_output=True, check=False)

    assert said.returncode == 18, said.stderr  # curl(1): partial file


def test_it_goes_away_and_comes_back_at_the_same_address(mirror: Mirror) -> None:
    url = f"{mirror.url}/v1.35.4+k3s1/k3s"
    mirror.stop()
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(url)
    mirror.start()

    assert get(url).startswith(b"#!/usr/bin/python3")
