"""What can go wrong with the lab itself, apart from what the tests look for."""


class LabError(Exception):
    """The lab could not do what it was asked; the message names the host, command or file and shows the output."""
