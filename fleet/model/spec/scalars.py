r"""The scalar types of the spec: what a string may look like, in a pattern for machines and in words for people.

Patterns end in `$(?!\n)`: Python's `$` alone also matches before a final newline. They are valid in ECMA 262 as well,
so that editors read the same JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

END = r"$(?!\n)"


def doc(description: str, *examples: Any) -> Meta:
    """What a field means and, unless its type is a struct with examples of its own, how it looks."""
    return Meta(description=description, examples=list(examples) or None)


def text(
    words: str, pattern: str, *examples: str, min_length: int | None = None, max_length: int | None = None
) -> Meta:
    """A string with a form. `words` say in a message what was expected where the pattern does not match."""
    return Meta(
        title=words, pattern=f"^{pattern}{END}", examples=list(examples), min_length=min_length, max_length=max_length
    )


_OCTET = r"[0-9]{1,3}"
_IP = rf"({_OCTET}(\.{_OCTET}){{3}}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)"

Name = Annotated[
    str,
    text(
        "a DNS label: lower-case letters, digits and `-`, at most 63", r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "lyon-1"
    ),
]
AbsolutePath = Annotated[str, text("an absolute path", r"/[^\x00-\x1f\x7f]*", "/etc/motd", max_length=4095)]
RepositoryPath = Annotated[
    str, text("a path inside the repository", r"[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]*", "files/motd", max_length=4095)
]
FileMode = Annotated[str, text('an octal mode in quotes, such as "0644"', r"[0-7]{3,4}", "0644")]
K3sVersion = Annotated[
    str, text("a K3s release such as v1.35.4+k3s1", r"v[0-9]+\.[0-9]+\.[0-9]+(-rc[0-9]+)?\+k3s[0-9]+", "v1.35.4+k3s1")
]
Channel = Annotated[
    str, text("a release channel such as stable, latest or v1.35", r"(stable|latest|testing|v[0-9]+\.[0-9]+)", "stable")
]
Port = Annotated[int, Meta(title="a port from 1 to 65535", ge=1, le=65535, examples=[22])]
UnitName = Annotated[
    str,
    text(
        "a systemd unit with its suffix, such as chrony.service",
        r"[A-Za-z0-9:_.\\@-]+\.(service|socket|timer|mount|automount|swap|target|path|slice|scope|device)",
        "chrony.service",
        max_length=255,
    ),
]
UserName = Annotated[str, text("a login name", r"[a-z_][a-z0-9_-]{0,31}", "ops")]
PackageName = Annotated[str, text("a Debian package name", r"[a-z0-9][a-z0-9.+-]+", "chrony")]
Duration = Annotated[str, text("a duration such as 30s, 10m or 1h30m", r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+", "30m")]
Percentage = Annotated[str, text("a percentage such as 10%", r"(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%", "10%")]
Amount = Annotated[int, Meta(title="a count", ge=0, examples=[1])] | Percentage
Cidr = Annotated[str, text("a network such as 10.20.1.0/24", rf"{_IP}/[0-9]{{1,3}}", "10.20.1.0/24")]
IpText = Annotated[str, text("an IP address", _IP, "10.20.1.11")]
AddressRange = Annotated[
    str,
    text("a network or a range first-last", rf"{_IP}(/[0-9]{{1,3}}|-{_IP})", "10.20.1.32/27", "10.20.1.40-10.20.1.60"),
]
HostName = Annotated[
    str,
    text(
        "a host name or an IP address", rf"({_IP}|[A-Za-z0-9]([A-Za-z0-9.-]{{0,251}}[A-Za-z0-9])?)", "k3s.acme.example"
    ),
]
MacAddress = Annotated[str, text("a MAC address", r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", "84:00:50:16:03:42")]
Date = Annotated[str, text("a date such as 2027-06-30", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "2027-06-30")]
Cron = Annotated[str, text("five fields of cron", r"\S+( +\S+){4}", "0 2 * * 1-5")]
TimeZone = Annotated[str, text("a time zone of the IANA database", r"[A-Za-z][A-Za-z0-9_+/-]*", "Europe/Paris")]
Jurisdiction = Annotated[str, text("a country of ISO 3166-1 in two capitals, or EU, or EEA", r"([A-Z]{2}|EEA)", "FR")]
PortRule = Annotated[
    str,
    text(
        "a port such as tcp/8443, udp/5000-5010 or icmp", r"((tcp|udp|sctp)/[0-9]{1,5}(-[0-9]{1,5})?|icmp)", "tcp/8443"
    ),
]
Url = Annotated[str, text("a URL of http or https", r"https?://[^\s]+", "https://mirror.acme.example/k3s")]
MirrorUrl = Annotated[
    str,
    text(
        "a URL of https, http or file, or file: and a relative folder",
        r"(https?://[^\s]+|file:[^\s]+)",
        "https://mirror.acme.example/k3s",
    ),
]
HIDDEN = "x-hidden"
_HIDDEN = Meta(extra_json_schema={HIDDEN: True})
"""What stands where the name of a secret is expected may be the secret itself: no message repeats it."""

SecretName = Annotated[
    str, text("a secret's name", r"[A-Za-z_][A-Za-z0-9_]*([.-][A-Za-z0-9_]+)*", "registry_password"), _HIDDEN
]
AptSource = Annotated[
    str,
    text(
        "a line of apt's sources.list: deb [OPTIONS] URL SUITE [COMPONENT]...",
        r"deb( \[[^\]]+\])? [a-z+]+:[^ ]+( [^ ]+)+",
        "deb https://apt.acme.example/{snapshot} bookworm main",
    ),
]
SecretText = Annotated[
    str,
    text("secret:NAME, never the value itself", r"secret:[A-Za-z_][A-Za-z0-9_]*([.-][A-Za-z0-9_]+)*", "secret:sudo"),
    _HIDDEN,
]
Taint = Annotated[
    str,
    text(
        "a taint: key=value:Effect with NoSchedule, PreferNoSchedule or NoExecute",
        r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?(=[A-Za-z0-9]?[A-Za-z0-9._-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)",
        "gpu=true:NoSchedule",
    ),
]

Role = Literal["server", "agent", "none"]
Arch = Literal["amd64", "arm64", "arm"]
Labels = dict[str, str]
