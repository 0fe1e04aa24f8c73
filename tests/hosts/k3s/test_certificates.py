"""When certificates run out, as nodes tell it of the files that K3s (here its stand-in) has signed by openssl."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.hosts.ground import NAMES, Ground
from tests.hosts.k3s.asked import comes_true, ready
from tests.lab.host import Host

TLS = "/var/lib/rancher/k3s/server/tls"
NAME = "client-auth-proxy"
SIGN = [
    *("openssl", "req", "-x509", "-days", "100", "-subj", "/CN=system:auth-proxy", "-nodes", "-newkey", "ec"),
    *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", f"{TLS}/{NAME}.key", "-out", f"{TLS}/{NAME}.crt"),
    *("-CA", f"{TLS}/request-header-ca.crt", "-CAkey", f"{TLS}/request-header-ca.key"),
]


def end_of(host: Host, path: str) -> str:
    """As openssl says it."""
    said = host.run(["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", path])
    return said.strip().removeprefix("notAfter=").replace(" ", "T")


def told(ground: Ground) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ground.checkout.fleet("status", "--certificates", "--json").out)
    return found


def horizon(ground: Ground) -> list[tuple[str, str]]:
    verdicts = ground.checkout.plan("--refresh")["verdicts"]
    return [
        (verdict["subject"], verdict["outcome"]) for verdict in verdicts if verdict["rule"] == "certificate-horizon"
    ]


def test_what_k3s_signs_lives_a_year_and_its_authorities_ten(formed: Ground) -> None:
    assert horizon(formed) == []
    found = told(formed)
    now = datetime.now(UTC)
    assert (found["told"], found["silent"], found["rows"]) == (len(NAMES), 0, [])
    assert timedelta(days=364) < datetime.fromisoformat(found["first_leaf"]) - now < timedelta(days=366)
    assert timedelta(days=3649) < datetime.fromisoformat(found["first_ca"]) - now < timedelta(days=3651)


def test_a_leaf_that_runs_out_is_told_until_k3s_is_restarted(formed: Ground) -> None:
    """The plan has nothing to do there, so nothing that is planned would restart it."""
    server = formed.hosts["south-a"]
    server.run(SIGN)
    end = end_of(server, f"{TLS}/{NAME}.crt")

    assert horizon(formed) == [("south-a", "warning")]
    found = told(formed)
    assert [(row["node"], row["leaf_end"], row["is_leaf_due"]) for row in found["rows"]] == [("south-a", end, True)]
    assert "nothing in this plan restarts K3s there" in formed.checkout.fleet("plan").out

    server.run(["systemctl", "restart", "k3s"], timeout=180)
    assert comes_true(lambda: "south-a" in ready(server))
    assert horizon(formed) == []
    assert told(formed)["rows"] == []
