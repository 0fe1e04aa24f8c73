"""One module per outside system, named after it; `fleet.wiring` names them, nothing else does."""
