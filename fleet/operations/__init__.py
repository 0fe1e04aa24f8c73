"""One module per thing that a user does. They string verbs and ports together; what takes long is a generator of events."""
