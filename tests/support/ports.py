"""Ports that are free until somebody listens there."""

import random
import socket
from itertools import count
from typing import Final

# Below those that Linux gives to connections (net.ipv4.ip_local_port_range), which come and go by the thousand: one of
# them would be taken again before a program that is starting comes to listen there.
LOWEST: Final = 10_000
COUNT: Final = 20_000

# In a row, from another place in each process: tests run in several at once.
_numbers = count(random.randrange(COUNT))


def free_port() -> int:
    """A port that nobody listens on, and that no other test is given."""
    while True:
        port = LOWEST + next(_numbers) % COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"
