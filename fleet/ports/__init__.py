"""The holes in the wall: everything that `fleet` needs of the outside, as Protocols, one module a port.

Adapters fill them (`fleet.adapters`), `fleet.testing` ships an in-memory fake and a contract suite for each.
"""
