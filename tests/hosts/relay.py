"""A ProxyCommand that needs nothing but Python: `relay.py HOST PORT` joins its own input and output with that port."""

import os
import socket
import sys
import threading


def copy_in(connection: socket.socket) -> None:
    while data := os.read(0, 65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def main() -> None:
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    threading.Thread(target=copy_in, args=(connection,), daemon=True).start()
    while data := connection.recv(65536):
        os.write(1, data)


if __name__ == "__main__":
    main()
