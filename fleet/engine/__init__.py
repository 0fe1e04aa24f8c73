"""What drives `decide`: `local` with a journal on this machine. Blind to adapters: they come in through ports."""
