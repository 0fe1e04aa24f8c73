"""One module per outside system, named after it. Adapters are blind to each other; `fleet.wiring` names them."""
