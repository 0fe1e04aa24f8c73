import pytest

from fleet.k3s.proxy import environment_file, proxy_environment

RECOMMENDED = "localhost,.svc,127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7,fe80::/10"


def test_without_a_proxy_there_is_no_environment():
    assert proxy_environment(None, None, ["10.0.0.0/8"]) == {}
    assert proxy_environment("", "") == {}


def test_the_recommended_ranges_go_without_the_proxy():
    assert proxy_environment("http://p:8888", "http://q:8888") == {
        "HTTP_PROXY": "http://p:8888",
        "HTTPS_PROXY": "http://q:8888",
        "NO_PROXY": RECOMMENDED,
    }


def test_what_a_fleet_adds_comes_last_and_once():
    environment = proxy_environment(None, "http://q", ["203.0.113.0/24", "10.0.0.0/8", "", "203.0.113.0/24", ".acme"])
    assert environment == {"HTTPS_PROXY": "http://q", "NO_PROXY": f"{RECOMMENDED},203.0.113.0/24,.acme"}


def test_the_file_is_quoted_as_systemd_reads_it():
    text = environment_file({"NO_PROXY": "a,b", "HTTP_PROXY": 'http://u:p"$`\\w@h'})
    assert text == 'HTTP_PROXY="http://u:p\\"\\$\\`\\\\w@h"\nNO_PROXY="a,b"\n'
    assert environment_file({}) == ""


@pytest.mark.parametrize("value", ["a\nB=c", "a\rb", "a\0b"])
def test_a_value_cannot_become_a_second_line(value):
    with pytest.raises(ValueError, match="the value of HTTP_PROXY holds a line break"):
        environment_file({"HTTP_PROXY": value})


@pytest.mark.parametrize("name", ["A B", "1A", "", "A=B", "A\n"])
def test_a_name_must_be_one(name):
    with pytest.raises(ValueError, match="not the name of an environment variable"):
        environment_file({name: "x"})
