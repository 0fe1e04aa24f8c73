"""What K3s asks: keys per minor, critical keys, ports, versions, files, hardening, as data and lookups.

Knows no noun of ours and imports only the standard library and msgspec. Where a fact comes from stands beside it,
by the name of the page in K3s's documentation (k3s-io/docs) or of the file in its source (k3s-io/k3s).

Rooms: `keys` and `config` (config.yaml), `registries` (registries.yaml), `version`, `artifacts` (releases), `paths`,
`ports`, `cis` (hardening), `proxy` (environment file), `rules` (facts that checks decide by).
"""
