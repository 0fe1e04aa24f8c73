"""Files of variables beside an inventory (group_vars, host_vars): YAML, or JSON, which is YAML to its reader.

Source: ansible-core, ansible.plugins.vars.host_group_vars and ansible.parsing.dataloader.
"""

from typing import Any

from yaml import CSafeLoader, YAMLError
from yaml.nodes import MappingNode

from fleet.formats.inventory_draft import Place, Tell
from fleet.formats.inventory_values import NULL, ValueReader, at
from fleet.formats.yaml_syntax import syntax_error


def read_vars(text: bytes, tell: Tell) -> tuple[dict[str, Any], dict[str, Place]]:
    """Give variables, and the place (line, column) of each. An empty file has none. Raises FormatError."""
    loader = CSafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None or root.tag == NULL:
            return {}, {}
        if not isinstance(root, MappingNode):
            raise at(root, "a file of variables is a mapping", "Write `name: value`, one a line")
        reader = ValueReader(loader, tell)
        reader.check_size(root)
        return reader.variables(root)
    except YAMLError as error:
        raise syntax_error(error, text) from None
    finally:
        loader.dispose()
