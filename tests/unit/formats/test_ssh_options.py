import pytest

from fleet.formats.ssh_options import SshOptions, read_ssh_options


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", SshOptions()),
        ("-J jump", SshOptions(jump_host="jump")),
        ("-Jme@jump:2222", SshOptions(jump_host="me@jump:2222")),
        ("-o ProxyJump=a,b", SshOptions(jump_host="a,b")),
        ("-oProxyJump=a -o proxyjump=b", SshOptions(jump_host="a")),
        ("-o ProxyJump=none -o ProxyCommand=none", SshOptions()),
        (
            """-o ProxyCommand="ssh -W %h:%p -q me@jump" """,
            SshOptions(proxy_command="ssh -W %h:%p -q me@jump"),
        ),
        ("-o 'ProxyCommand ssh -W %h:%p jump'", SshOptions(proxy_command="ssh -W %h:%p jump")),
        ("-o 'ProxyCommand = nc -X 5 %h %p'", SshOptions(proxy_command="nc -X 5 %h %p")),
        ("-i ~/.ssh/key -p 2222 -l me", SshOptions(private_key="~/.ssh/key", port="2222", user="me")),
        ("-o User=me -o Port=22 -o IdentityFile=k", SshOptions(private_key="k", port="22", user="me")),
        (
            "-C -o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=no",
            SshOptions(others=("-C", "ControlMaster", "ControlPersist", "StrictHostKeyChecking")),
        ),
        ("-qA -vJ jump", SshOptions(jump_host="jump", others=("-q", "-A", "-v"))),
        ("-F my.conf stray", SshOptions(others=("-F", "`stray`"))),
        ("-J", SshOptions()),
        ("-", SshOptions(others=("`-`",))),
    ],
)
def test_options(text, found):
    assert read_ssh_options(text) == found


def test_no_value_of_what_is_not_taken_is_told():
    assert "hunter2" not in repr(read_ssh_options("-o SendEnv=hunter2 -o Foo=hunter2").others)


def test_an_open_quote():
    with pytest.raises(ValueError, match="quotation"):
        read_ssh_options("-o 'ProxyCommand ssh")
