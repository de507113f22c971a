"""A compile server, for tests: `compile_server.py serve ADDRESS` and, in the build, `compile_server.py ask ADDRESS S`.

ADDRESS is a port, the path of a Unix socket, or @ and a name. For a request the server uses the processor for S
seconds: half of it by itself, half in a process that it starts.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time


def address_of(text: str) -> tuple[socket.AddressFamily, tuple[str, int] | str]:
    if text.isdecimal():
        return socket.AF_INET, ("127.0.0.1", int(text))
    return socket.AF_UNIX, f"\0{text[1:]}" if text.startswith("@") else text


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def serve(text: str) -> None:
    family, address = address_of(text)
    with socket.socket(family) as listening:
        listening.bind(address)
        listening.listen()
        name = listening.getsockname()
        sys.stdout.write(f"{name[1] if family == socket.AF_INET else text}\n")
        sys.stdout.flush()
        while True:
            client, _ = listening.accept()
            with client:
                half = float(client.recv(100)) / 2
                burn(half)
                subprocess.run([sys.executable, __file__, "burn", str(half)], check=True)
                client.sendall(b"done")


def ask(text: str, seconds: str) -> None:
    family, address = address_of(text)
    with socket.socket(family) as connection:
        connection.connect(address)
        connection.sendall(seconds.encode())
        if os.read(connection.fileno(), 100) != b"done":
            sys.exit("the server did not answer")


if __name__ == "__main__":
    if sys.argv[1] == "burn":
        burn(float(sys.argv[2]))
    elif sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        ask(sys.argv[2], sys.argv[3])
