"""Secret values in Ansible Vault files below secrets/, and where their password comes from."""

from fleet.adapters.vault.files import VaultSecrets
from fleet.adapters.vault.password import Password, password_source

__all__ = ["Password", "VaultSecrets", "password_source"]
