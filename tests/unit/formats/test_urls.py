"""URLs with places to fill in, and URLs that people may see."""

from __future__ import annotations

import pytest

from fleet.formats.urls import filled, host, placeholders, secrets_in, shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("https://shop.example/healthz", "https://shop.example/healthz"),
        ("https://ops:hunter2@shop.example/healthz", "https://shop.example/healthz"),
        ("https://ops:p@ss@shop.example/", "https://shop.example/"),
        ("https://shop.example/healthz?token=t0ps3cret", "https://shop.example/healthz?…"),
        ("https://shop.example?token=a@b", "https://shop.example?…"),
        ("https://shop.example/x#t0ps3cret", "https://shop.example/x?…"),
        ("https://{node.address}:8443/healthz", "https://{node.address}:8443/healthz"),
        ("--url=https://u:p@h/x?token=1 and http://h2/y", "--url=https://h/x?… and http://h2/y"),
        ("mail ops@shop.example?", "mail ops@shop.example?"),
    ],
)
def test_neither_passwords_nor_tokens_are_shown(text: str, seen: str) -> None:
    assert shown(text) == seen


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://shop.example/healthz", set()),
        ("https://me@shop.example/a?b=1", set()),
        ("https://ops:p%40ss@h/", {"ops:p%40ss", "ops:p@ss", "p%40ss", "p@ss"}),
        ("https://h/?token=a+bcd&x=1", {"token=a+bcd&x=1", "token=a bcd&x=1", "a+bcd", "a bcd"}),
        ("http://[", set()),
    ],
)
def test_what_may_be_secret(url: str, secret: set[str]) -> None:
    assert secrets_in(url) == secret


def test_places_are_filled() -> None:
    values = {"node.address": host("fd00::1"), "node.name": "till-1", "wave": "pilot"}
    assert (
        filled("http://{node.address}:80/{{x}}/{node.name}?w={wave}", values)
        == "http://[fd00::1]:80/{x}/till-1?w=pilot"
    )
    assert placeholders("http://{node.address}/{{x}}/{wave}") == {"node.address", "wave"}
    assert host("10.0.0.1") == "10.0.0.1"


def test_a_place_that_nobody_knows() -> None:
    with pytest.raises(KeyError):
        filled("{node.shoe}", {"node.name": "x"})
    with pytest.raises(ValueError, match="Single"):
        placeholders("http://{node.name/}}/")
