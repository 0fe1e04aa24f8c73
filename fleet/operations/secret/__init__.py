"""secret: makes, stores, tells, lists, rotates and rekeys what nobody but a node may know."""

from fleet.operations.secret.events import (
    RekeyComplete,
    SecretEvent,
    SecretsComplete,
    SecretsListed,
    SecretsMade,
    SecretStored,
    TokenRotated,
    TokensRotated,
)
from fleet.operations.secret.generate import generate, list_own
from fleet.operations.secret.rekey import rekey
from fleet.operations.secret.rotate import rotate
from fleet.operations.secret.storing import store_value, value_of

__all__ = [
    "RekeyComplete",
    "SecretEvent",
    "SecretStored",
    "SecretsComplete",
    "SecretsListed",
    "SecretsMade",
    "TokenRotated",
    "TokensRotated",
    "generate",
    "list_own",
    "rekey",
    "rotate",
    "store_value",
    "value_of",
]
