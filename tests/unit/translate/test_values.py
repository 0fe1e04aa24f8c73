"""What a layer can hold of a variable, and vaults."""

from __future__ import annotations

import pytest

from fleet.formats import vault
from fleet.formats.vaulted import read_vaulted
from fleet.model.translation import ImportOptions, InventorySource, SourceFile, Translation
from fleet.translate import translate
from tests.unit.translate.inventories import made, nodes, spec, told

PASSWORD = b"open sesame"
VAULT = vault.encrypt(b"s3cret", PASSWORD, None, bytes(32))
INLINE = "!vault " + '"' + VAULT.replace("\n", "\\n") + '"'


def secrets(of: Translation) -> dict[str, bytes]:
    return {file.path: file.data for file in of.files if file.path.startswith("secrets/")}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("1", 1), ("1.5", 1.5), ("yes", True), ("no", False), ("text", "text"), ('""', ""), ("[]", []), ("{}", {}),
        ("2026-12-15", "2026-12-15"), ("0644", 420), ("{8080: x}", {"8080": "x"}), ("[null, 1]", [None, 1]),
        ("{a: null, b: 1}", {"b": 1}), ("{a: [{b: null, c: 1}]}", {"a": [{"c": 1}]}), ('{"a+": 1}', {}),
        ("[{name: a}, {name: a}]", None), ("[{name: [a]}]", None), ("[{name: 1}, {name: true}]", None),
        ("{l: [{name: a}, {name: a}]}", {"l": [{"name": "a"}, {"name": "a"}]}), (".nan", None), ("[.inf]", None),
        ("secret:x", None), ("{a: [secret:x]}", None), ("!unsafe '{{ x }}'", "{{ x }}"), ("'{{ x }}'", "{{ x }}"),
        ("null", None),
    ],
)  # fmt: skip
def test_values(value, kept):
    found = made(f"all: {{hosts: {{one: {{x: {value}, y: 1}}}}}}\n")
    variables = nodes(found)["one"]["vars"]
    assert variables == ({"y": 1} if kept is None else {"x": kept, "y": 1})
    is_same = kept is not None and value not in {"{a: null, b: 1}", "{a: [{b: null, c: 1}]}", '{"a+": 1}', "'{{ x }}'"}
    assert bool(told(found, "x")) != is_same


@pytest.mark.parametrize(
    ("name", "value", "is_told"),
    [
        ("db_password", "hunter2", True), ("db_password", "'{{ x }}'", False), ("db_password", "''", False),
        ("db_password", "5", False), ("password_file", "/x", False), ("my_token", "t", True), ("tokens", "t", False),
        ("API-KEY", "k", True), ("apikey", "k", True), ("compass", "x", False), ("db_pass", "x", True),
        ("a", "{secret: s}", True), ("a", "[{password: s}]", True), ("a", "[{password: [s]}]", False),
    ],
)  # fmt: skip
def test_secrets_in_clear_text_are_told_and_kept(name, value, is_told):
    found = made(f"all: {{hosts: {{one: {{{name}: {value}}}}}}}\n")
    assert name in nodes(found)["one"]["vars"]
    lines = [each for each in told(found, name) if "in clear text, kept as it is" in each]
    assert bool(lines) == is_told
    assert "hunter" not in str(lines)


def test_a_value_that_is_left_out_does_not_let_a_weaker_one_through():
    found = made("all: {vars: {x: 1}, children: {web: {vars: {x: 'secret:a'}, hosts: {one: {x: .nan}}}}}\n")
    assert spec(found, "profiles/web.yaml") == {"vars": {"x": None}}
    assert "vars" not in nodes(found)["one"]


def test_vaulted_values_are_secrets_with_their_own_ciphertext():
    text = f"all: {{vars: {{db: {INLINE}}}, children: {{web: {{vars: {{db: {INLINE}, m: {{k: [{INLINE}]}}}}, hosts: {{One.x: {{db: {INLINE}}}}}}}}}}}\n"
    found = made(text)
    assert spec(found)["vars"] == {"db": "secret:db"}
    assert spec(found, "profiles/web.yaml")["vars"] == {"db": "secret:db.web", "m": {"k": ["secret:m.k.0.web"]}}
    assert nodes(found)["one"]["vars"]["db"] == "secret:db.one"
    assert {path: read_vaulted(data) for path, data in secrets(found).items()} == {
        "secrets/group_vars/all.yaml": {"db": VAULT},
        "secrets/group_vars/web.yaml": {"db.web": VAULT, "m.k.0.web": VAULT},
        "secrets/host_vars/one.yaml": {"db.one": VAULT},
    }
    assert found.secrets == 4
    assert all(file.private == file.path.startswith("secrets/") for file in found.files)


def test_a_variable_that_only_names_a_vaulted_one_is_the_same_secret():
    text = f"all: {{vars: {{a: '{{{{ b }}}}', b: '{{{{ c }}}}', c: {INLINE}, d: 'x{{{{ c }}}}'}}, hosts: {{one: }}}}\n"
    assert spec(made(text))["vars"] == {"a": "secret:c", "b": "secret:c", "c": "secret:c", "d": "x{{ c }}"}


def test_a_name_that_stands_for_different_secrets_stays_as_it_is():
    text = f"all: {{vars: {{a: '{{{{ c }}}}', c: {INLINE}}}, hosts: {{one: , two: {{c: {INLINE}}}}}}}\n"
    assert spec(made(text))["vars"] == {"a": "{{ c }}", "c": "secret:c"}


def test_references_in_a_circle_end():
    found = made("all: {vars: {a: '{{ b }}', b: '{{ a }}'}, hosts: {one: {ansible_host: '{{ a }}'}}}\n")
    assert spec(found)["vars"] == {"a": "{{ b }}", "b": "{{ a }}"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("!vault x", "not carried over: this is not an Ansible Vault: it does not start with $ANSIBLE_VAULT"),
        ('!vault "$ANSIBLE_VAULT;1.1;AES256\\n00"', "not carried over: the vault is cut short"),
        ('!vault "$ANSIBLE_VAULT;1.0;AES\\n00"', "not carried over: a vault of format 1.0;AES is not supported"),
    ],
)
def test_a_vault_that_is_damaged(value, message):
    found = made(f"all: {{hosts: {{one: {{x: {value}}}}}}}\n")
    assert [each.split(": ", 1)[1] for each in told(found)] == [message]
    assert secrets(found) == {}


def test_a_token_that_is_vaulted_is_the_clusters():
    text = f"k3s_cluster: {{children: {{server: {{hosts: {{a: }}}}}}, vars: {{token: '{{{{ t }}}}', t: {INLINE}}}}}\n"
    found = made(text, name="acme")
    assert read_vaulted(secrets(found)["secrets/acme.yaml"]) == {"acme.k3s-token": VAULT}
    assert told(found) == ["1:58 note token: became the cluster's token"]


def whole(
    plain: str, password: bytes | None = PASSWORD, hosts: bytes = b"[web]\none\n[db]\ntwo\n", **more: str
) -> Translation:
    """An inventory whose group_vars/all/vault.yml is encrypted as a whole."""
    files = {"all": plain, **more}
    group_vars = tuple(
        SourceFile(
            f"group_vars/{owner}/vault.yml", vault.encrypt(text.encode(), PASSWORD, "prod", bytes(32)).encode(), owner
        )
        for owner, text in files.items()
    )
    source = InventorySource("hosts", (SourceFile("hosts", hosts),), "/srv/shop/hosts", group_vars)
    return translate(source, ImportOptions(vault_password=password))


def test_a_vault_that_is_a_whole_file_keeps_its_bytes():
    found = whole("a: one\nb: |\n  two\n  lines\n")
    assert spec(found)["vars"] == {"a": "secret:a", "b": "secret:b"}
    (data,) = secrets(found).values()
    assert list(secrets(found)) == ["secrets/group_vars/all-vault.yaml"]
    assert data.startswith(b"$ANSIBLE_VAULT;1.2;AES256;prod\n")
    assert vault.decrypt(data, {"prod": PASSWORD}) == b"a: one\nb: |\n  two\n  lines\n"
    assert told(found) == []


@pytest.mark.parametrize(
    "plain",
    [
        "a: 5\n",
        "a: {b: c}\n",
        "a: [x]\n",
        "'a b': x\n",
        "a: yes\n",
        "a: 1e3\nb: x\n",
        "a: x\na: y\n",
        "a: '2026-01-01'\nb: 1.0\n",
    ],
)
def test_what_cannot_be_a_file_of_secrets_is_encrypted_anew(plain):
    if "a: x\na: y" in plain:
        assert "no mapping of variables" in told(whole(plain))[0]
        return
    found = whole(plain)
    ((path, data),) = secrets(found).items()
    assert path == "secrets/group_vars/all.yaml"
    opened = {name: vault.decrypt(text, {"prod": PASSWORD}).decode() for name, text in read_vaulted(data).items()}
    assert all(text.startswith("$ANSIBLE_VAULT;1.2;AES256;prod\n") for text in read_vaulted(data).values())
    assert opened
    assert secrets(whole(plain)) == secrets(found)


def test_the_same_name_in_two_vaults():
    found = whole("a: one\n", web="a: two\n", db="a: three\nb: four\n")
    assert [spec(found)["vars"], spec(found, "profiles/web.yaml")["vars"], spec(found, "profiles/db.yaml")["vars"]] == [
        {"a": "secret:a"},
        {"a": "secret:a.web"},
        {"a": "secret:a.db", "b": "secret:b.db"},
    ]
    assert sorted(secrets(found)) == [
        "secrets/group_vars/all-vault.yaml", "secrets/group_vars/db.yaml", "secrets/group_vars/web.yaml",
    ]  # fmt: skip
    texts = [
        text
        for path, data in secrets(found).items()
        if path.endswith(("db.yaml", "web.yaml"))
        for text in read_vaulted(data).values()
    ]
    assert len(set(texts)) == 3


def test_no_text_out_of_a_vault_is_written_or_told_anywhere():
    plain = "k3s_token: hunter1\nansible_user: hunter2\nansible_host: hunter3\nnested: {a: [hunter4]}\nextra_server_args: hunter5\nk3s_version: hunter6\nansible_ssh_common_args: -J hunter7\nansible_port: 2424\nansible_become: false\nnumber: 424242\n"
    found = whole(plain)
    everything = b"".join(file.data for file in found.files) + repr(found.notes).encode()
    assert b"hunter" not in everything
    assert b"2424" not in everything
    assert "connection" not in spec(found)


def test_no_text_out_of_a_vault_becomes_a_setting_of_k3s():
    plain = (
        "kube_control_plane_x: 1\nloadbalancer_apiserver: {address: hunter1}\nnode_labels: {a: hunter2}\n"
        "node_taints: [hunter3]\nhttp_proxy: hunter4\ncluster_name: hunter5\nkube_version: hunter6\nip: 10.24.24.24\n"
        "kube_pods_subnet: 10.24.24.0/24\nno_proxy: hunter7\nkube_proxy_mode: hunter8\n"
    )
    found = whole(plain, hosts=b"[kube_control_plane]\none\n[kube_node]\none\n")
    everything = b"".join(file.data for file in found.files) + repr(found.notes).encode()
    assert b"role: server" in everything
    assert b"hunter" not in everything
    assert b"10.24" not in everything


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (None, "encrypted as a whole, and without the password nobody knows which variables are in it"),
        (b"wrong", "not carried over: the vault is of id `prod`, and the passwords given (`default`) do not open it"),
    ],
)
def test_a_vault_that_stays_shut(password, message):
    found = whole("a: hunter2\n", password)
    assert told(found) == [f"1:1 warning vault: {message}"]
    assert "vars" not in spec(found)
    assert secrets(found) == {}


@pytest.mark.parametrize("plain", ["- hunter2\n", "hunter2: [\n", "a: !nope hunter2\n"])
def test_a_vault_that_holds_no_variables(plain):
    found = whole(plain)
    assert told(found) == ["1:1 warning vault: not carried over: what is in it is no mapping of variables"]
    assert "hunter" not in repr(found.notes)
