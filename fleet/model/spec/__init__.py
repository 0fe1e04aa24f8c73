"""What people write (spec.md): optional, defaulted, possibly wrong. One module a kind.

An absent field is `UNSET`, a `null` is None; defaults are applied in `resolve` and nowhere else. The JSON Schema that
`fleet schema` prints, and the reference in docs/, are made from these types.
"""
