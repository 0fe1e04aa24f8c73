"""The nouns: frozen msgspec structs, one module a noun. No verb, no I/O, no import but `fleet.errors`."""
