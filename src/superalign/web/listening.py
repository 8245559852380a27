"""Where a server listens, and whether others can reach it there."""

from __future__ import annotations

import ipaddress
import socket

from superalign.contracts.errors import InputError


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. InputError when the port is taken, or the address is none of this machine's."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InputError(
            f"Can't listen on {host}, port {port}: {error.strerror or error}.", fix="Give another --port or --host."
        ) from None


def is_address(host: str) -> bool:
    """Whether `host` is an address in digits, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    return ipaddress.ip_address(host).is_loopback if is_address(host) else host == "localhost"
