import pytest

from fleet.k3s.registries import SECRET_FIELDS, RegistriesProblem, has_mirror, registries_problems

GOOD = {
    "mirrors": {
        "docker.io": {
            "endpoint": ["https://registry.acme.example:5000", "http://10.0.0.5:5000/v2"],
            "rewrite": {"^rancher/(.*)": "mirror/rancher/$1"},
        },
        "registry.k8s.io": None,
        "*": {},
    },
    "configs": {
        "registry.acme.example:5000": {
            "auth": {"username": "u", "password": "p"},
            "tls": {"ca_file": "/c", "cert_file": "/d", "key_file": "/e", "insecure_skip_verify": False},
        },
        "docker.io": None,
    },
}


def test_a_good_document_has_no_problem():
    assert registries_problems(GOOD) == []
    assert registries_problems({}) == []
    assert registries_problems(None) == []
    assert registries_problems({"mirrors": None}) == []


@pytest.mark.parametrize(
    ("value", "path", "problem", "hint"),
    [
        ({"mirror": {}}, ("mirror",), "unknown key", "Did you mean `mirrors`?"),
        ({"wibble": {}}, ("wibble",), "unknown key", "Known are `mirrors`, `configs`."),
        (["x"], (), "expected a map with `mirrors`, `configs`, found a list", ""),
        ({"mirrors": ["docker.io"]}, ("mirrors",), "expected a map by registry, found a list", ""),
        (
            {"mirrors": {"docker.io": {"endpoints": []}}},
            ("mirrors", "docker.io", "endpoints"),
            "unknown key",
            "Did you mean `endpoint`?",
        ),
        (
            {"mirrors": {"docker.io": {"endpoint": "https://r"}}},
            ("mirrors", "docker.io", "endpoint"),
            "expected a list of URLs, found `https://r`",
            "Write `endpoint: [https://r]`.",
        ),
        (
            {"mirrors": {"docker.io": {"endpoint": ["https://r", "r:5000"]}}},
            ("mirrors", "docker.io", "endpoint", 1),
            "expected a URL that starts with https:// or http://, found `r:5000`",
            "Did you mean `https://r:5000`?",
        ),
        (
            {"mirrors": {"docker.io": {"endpoint": [5]}}},
            ("mirrors", "docker.io", "endpoint", 0),
            "expected a URL, found `5`",
            "",
        ),
        (
            {"mirrors": {"docker.io": {"rewrite": ["a"]}}},
            ("mirrors", "docker.io", "rewrite"),
            "expected a map of patterns, found a list",
            "",
        ),
        (
            {"mirrors": {"docker.io": {"rewrite": {"^a": 1}}}},
            ("mirrors", "docker.io", "rewrite", "^a"),
            "expected what the name becomes, found `1`",
            "",
        ),
        (
            {"mirrors": {"https://docker.io/v2": None}},
            ("mirrors", "https://docker.io/v2"),
            "a registry is named by host and port, not by URL",
            "Did you mean `docker.io`?",
        ),
        (
            {"configs": {"acme.example/team": None}},
            ("configs", "acme.example/team"),
            "a registry is named without a path",
            "Did you mean `acme.example`?",
        ),
        (
            {"configs": {5000: None}},
            ("configs", 5000),
            "expected a registry's name, found `5000`",
            "Put it in quotes.",
        ),
        (
            {"configs": {"r": {"auth": {"user": "u"}}}},
            ("configs", "r", "auth", "user"),
            "unknown key",
            "Did you mean `username`?",
        ),
        (
            {"configs": {"r": {"auth": {"password": 12345}}}},
            ("configs", "r", "auth", "password"),
            "expected a string, found `12345`",
            "Put it in quotes.",
        ),
        (
            {"configs": {"r": {"tls": {"insecure_skip_verify": "yes"}}}},
            ("configs", "r", "tls", "insecure_skip_verify"),
            "expected true or false, found `yes`",
            "",
        ),
        (
            {"configs": {"r": {"tls": "/ca.crt"}}},
            ("configs", "r", "tls"),
            "expected a map with `ca_file`, `cert_file`, `key_file`, `insecure_skip_verify`, found `/ca.crt`",
            "",
        ),
    ],
)
def test_each_mistake_has_its_place(value, path, problem, hint):
    assert registries_problems(value) == [RegistriesProblem(path, problem, hint)]


def test_every_mistake_at_once():
    value = {"mirrors": {"docker.io": {"endpoint": "r", "x": 1}}, "config": {}}
    assert [problem.path for problem in registries_problems(value)] == [
        ("config",),
        ("mirrors", "docker.io", "x"),
        ("mirrors", "docker.io", "endpoint"),
    ]


def test_an_embedded_registry_shares_what_mirrors_name():
    assert has_mirror({"mirrors": {"docker.io": None}})
    for value in (None, {}, {"mirrors": None}, {"mirrors": {}}, {"configs": {"docker.io": None}}, ["mirrors"]):
        assert not has_mirror(value)


def test_secret_fields():
    assert sorted(SECRET_FIELDS) == ["auth", "identity_token", "password", "token"]
