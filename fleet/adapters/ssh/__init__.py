"""OpenSSH's client: its configuration, and reading a host's key over the way that leads there."""
