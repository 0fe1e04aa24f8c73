import pytest

from fleet.k3s.version import (
    CHANNEL_SERVER,
    CHANNELS,
    Version,
    image_tag,
    is_channel_name,
    is_downgrade,
    is_skip,
    minor_number,
    minor_of,
    minors_on_the_way,
    parse_version,
)


def test_a_version_has_five_parts():
    assert parse_version("v1.35.4+k3s1") == Version(major=1, minor=35, patch=4, k3s=1, rc=None)
    assert parse_version("v1.35.4-rc2+k3s1") == Version(major=1, minor=35, patch=4, k3s=1, rc=2)


@pytest.mark.parametrize("text", ["v1.35.4+k3s1", "v1.34.3+k3s3", "v1.36.0-rc1+k3s1", "v1.9.10+k3s12"])
def test_a_version_is_written_as_it_was_read(text):
    assert str(parse_version(text)) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1.35.4", ". Did you mean `v1.35.4+k3s1`?"),
        ("v1.35.4", ". Did you mean `v1.35.4+k3s1`?"),
        ("v1.35.4-k3s2", ". Did you mean `v1.35.4+k3s2`?"),
        ("v1.36.0+k3s1 ", ". Did you mean `v1.36.0+k3s1`?"),
        ("stable", ". `stable` is a release channel: write `channel: stable`"),
        ("v1.35", ". `v1.35` is a release channel: write `channel: v1.35`"),
        ("newest", ""),
        ("v1.35.4+rke2r1", ""),
        ("", ""),
    ],
)
def test_what_is_no_version_is_named_with_a_hint(text, hint):
    with pytest.raises(ValueError) as caught:
        parse_version(text)
    assert str(caught.value) == f"not a K3s version: expected a form such as v1.35.4+k3s1, found `{text}`{hint}"


@pytest.mark.parametrize(
    "text", ["v1.35.4+k3s1\n", " v1.35.4+k3s1", "v١.35.4+k3s1", "v1.35.4+k3s1-dirty", "V1.35.4+k3s1"]
)
def test_a_version_is_read_strictly(text):
    with pytest.raises(ValueError, match="not a K3s version"):
        parse_version(text)


def test_order_is_by_number_and_a_candidate_comes_before_its_release():
    ascending = [
        "v1.9.9+k3s1",
        "v1.34.10+k3s1",
        "v1.35.0-rc1+k3s1",
        "v1.35.0-rc2+k3s1",
        "v1.35.0+k3s1",
        "v1.35.0-rc1+k3s3",
        "v1.35.0+k3s3",
        "v1.35.1+k3s1",
        "v2.0.0+k3s1",
    ]
    assert [str(version) for version in sorted(map(parse_version, reversed(ascending)))] == ascending
    assert parse_version("v1.35.0+k3s1") <= parse_version("v1.35.0+k3s1")
    assert parse_version("v1.35.1+k3s1") > parse_version("v1.35.0+k3s3")


@pytest.mark.parametrize(
    ("old", "new", "skips", "goes_back"),
    [
        ("v1.34.6+k3s1", "v1.35.4+k3s1", False, False),
        ("v1.35.4+k3s1", "v1.35.4+k3s1", False, False),
        ("v1.34.6+k3s1", "v1.36.0+k3s1", True, False),
        ("v1.35.4+k3s1", "v2.0.0+k3s1", True, False),
        ("v1.35.4+k3s1", "v1.35.3+k3s1", False, True),
        ("v1.35.0+k3s3", "v1.35.0+k3s1", False, True),
        ("v1.36.0+k3s1", "v1.34.6+k3s1", False, True),
    ],
)
def test_skips_and_downgrades(old, new, skips, goes_back):
    assert is_skip(parse_version(old), parse_version(new)) is skips
    assert is_downgrade(parse_version(old), parse_version(new)) is goes_back


def test_minors():
    assert minor_of("v1.35.4+k3s1") == "v1.35"
    assert minor_of(Version(1, 34, 6, 1)) == "v1.34"
    assert minor_number("v1.9") == (1, 9)
    for text in ("1.35", "v1.35.4", "v1", "v1.x", ""):
        with pytest.raises(ValueError, match="not a minor version of K3s"):
            minor_number(text)


def test_every_minor_on_the_way_is_passed_through():
    old, new = parse_version("v1.33.9+k3s1"), parse_version("v1.36.3+k3s1")
    assert minors_on_the_way(old, new) == ("v1.34", "v1.35", "v1.36")
    assert minors_on_the_way(new, old) == ()
    assert minors_on_the_way(old, old) == ()
    with pytest.raises(ValueError, match="the major version differs"):
        minors_on_the_way(old, parse_version("v2.0.0+k3s1"))


def test_channels():
    assert CHANNELS == ("stable", "latest", "testing")
    assert CHANNEL_SERVER == "https://update.k3s.io/v1-release/channels"
    for name in ("stable", "latest", "testing", "v1.35", "v1.35-testing"):
        assert is_channel_name(name)
    for name in ("Stable", "1.35", "v1.35.4+k3s1", "nightly", ""):
        assert not is_channel_name(name)


def test_an_image_tag_holds_no_plus():
    assert image_tag("v1.35.4+k3s1") == "v1.35.4-k3s1"
    assert image_tag(Version(1, 36, 0, 1, rc=1)) == "v1.36.0-rc1-k3s1"
