"""Which values K3s takes for a token (docs.k3s.io/cli/token)."""

from __future__ import annotations

import pytest

from fleet.k3s.token import wrong_token

HASH = "c0ffee" * 10 + "abcd"


@pytest.mark.parametrize(
    "value",
    ["5f" * 32, "short", "with-._~!$/+=%,;{}", f"K10{HASH}::server:pass:word", f"K10{HASH}::node:x", "K10::a:b"],
)
def test_what_k3s_takes(value: str) -> None:
    assert wrong_token(value) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "may not be empty"),
        (" x", "begin or end with a blank"),
        ("x\n", "begin or end with a blank or a line break"),
        ("a b", "printable ASCII without blanks"),
        ("caf\u00e9", "printable ASCII"),
        ("a\x7fb", "printable ASCII"),
        ("user:pass", "may not hold a colon"),
        ("K10abc::server:x", "64 hex digits"),
        (f"K10{HASH}:server:x", "64 hex digits"),
        (f"K10{HASH}::server:", "64 hex digits"),
        ("abcdef.0123456789abcdef", "bootstrap token"),
    ],
)
def test_what_it_does_not_take_is_said_without_the_value(value: str, said: str) -> None:
    told = wrong_token(value)
    assert said in told
    assert len(value) < 5 or value.strip() not in told
