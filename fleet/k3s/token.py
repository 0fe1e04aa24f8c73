"""Tokens in their full form, `K10<hash of the cluster's CA>::<user>:<secret>` (k3s-io/docs, cli/token.md).

By the hash a node that joins knows the cluster before it gives the secret away; the short form is open to whoever
answers first. Only a server of the cluster can tell it.
"""

CA_HASH = "k3s_ca"
"""What it is called among the things that nodes tell for others."""
CA_PATTERN = "^K10([0-9a-f]{64})::"
"""Where it stands in the token that a server writes when it has started (`paths.Layout.token`)."""
