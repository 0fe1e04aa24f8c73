"""Gates, asked: one module for each type, and what puts them together (`gates.FleetGates`)."""
