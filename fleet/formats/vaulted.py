"""YAML files in which each value is a vault of its own: `name: !vault |` and the ciphertext, as `ansible-vault
encrypt_string` prints it.

Strict: one mapping, every value a vault. What stands there in clear text is a mistake.
"""

from collections.abc import Mapping
from typing import Final

from yaml import CSafeLoader, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode

from fleet.formats import FormatError, vault
from fleet.formats.utf8 import check_encoding
from fleet.formats.yaml_syntax import syntax_error
from fleet.formats.yaml_write import dump_mapping_item

_TAGS: Final = frozenset({"!vault", "!vault-encrypted"})


class ClearTextError(FormatError):
    """A value that is not encrypted."""


def read_vaulted(text: bytes) -> dict[str, str]:
    """Give each name's ciphertext, as it is. Raises ClearTextError or FormatError; neither holds a value."""
    return {name: value.value for name, _, value in _items(text)}


def places_of(text: bytes) -> dict[str, tuple[int, int]]:
    """Line and column of each name, both from 1. Raises as `read_vaulted`: only for texts that it has read."""
    return {name: _place(key) for name, key, _ in _items(text)}


def _items(text: bytes) -> list[tuple[str, Node, ScalarNode]]:
    check_encoding(text)
    loader = CSafeLoader(text)
    try:
        root = loader.get_single_node()
    except YAMLError as error:
        raise syntax_error(error, text) from None
    finally:
        loader.dispose()
    if not isinstance(root, MappingNode):
        raise _at(root, "a file of secrets is a mapping of names to vaults", "Write `name: !vault |`, one a line")
    found: dict[str, tuple[str, Node, ScalarNode]] = {}
    for key, value in root.value:
        name = key.value if isinstance(key, ScalarNode) and key.tag == "tag:yaml.org,2002:str" else ""
        if not name:
            raise _at(key, "a secret's name must be text", "Put it in quotes")
        if name in found:
            raise _at(key, f"the secret `{name}` stands here twice", "Keep one of the two")
        if not isinstance(value, ScalarNode) or value.tag not in _TAGS or not vault.is_vault(value.value):
            raise ClearTextError(
                f"`{name}` is not encrypted",
                "Encrypt it with `ansible-vault encrypt_string`; and change what it held",
                *_place(key),
            )
        found[name] = (name, key, value)
    return [*found.values()]


def dump_vaulted(vaults: Mapping[str, str]) -> str:
    """Write ciphertexts by name, in the order of the names; each is read back byte for byte."""
    items = (dump_mapping_item(name, text).partition(": ") for name, text in sorted(vaults.items()))
    return "".join(f"{name}: !vault {text}" for name, _, text in items)


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _at(node: Node | None, problem: str, hint: str) -> FormatError:
    return FormatError(problem, hint, *(_place(node) if node is not None else (1, 1)))
