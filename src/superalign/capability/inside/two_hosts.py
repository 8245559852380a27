"""Two network namespaces of our own, joined by one virtual cable and to nothing else, with a host in each.

Needs no privileges: it makes a user namespace first. What is sent from the first host is received by the second over
TCP, and kept in memory; both are gone when standard input is closed. Orders and replies are lines of JSON.
"""

import ctypes
import json
import os
import socket
import struct
import sys
from fcntl import ioctl

NEW_USER, NEW_NET = 0x10000000, 0x40000000  # clone(2)
NEW_LINK, REQUEST = 16, 0x1 | 0x4 | 0x200 | 0x400  # rtnetlink(7): request, acknowledge, exclusive, create
NAME, LINK_INFO, NETNS_PID, KIND, DATA, PEER = 3, 18, 19, 1, 2, 1
SET_FLAGS, SET_ADDRESS, SET_MASK, UP = 0x8914, 0x8916, 0x891C, 0x1  # netdevice(7)
FIRST, SECOND, PORT = "10.0.0.1", "10.0.0.2", 7000
SECONDS = 10


def unshare(kinds: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(kinds):
        raise OSError(ctypes.get_errno(), "no namespaces here")


def become_root_inside() -> None:
    """Of a user namespace whose only user is this one."""
    user, group = os.getuid(), os.getgid()
    unshare(NEW_USER | NEW_NET)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def attribute(kind: int, data: bytes) -> bytes:
    size = 4 + len(data)
    return struct.pack("HH", size, kind) + data + bytes(-size % 4)


def join(process: int) -> None:
    """A virtual cable from here to the network of `process`."""
    anything = struct.pack("BxHiII", 0, 0, 0, 0, 0)
    far = anything + attribute(NAME, b"cable\0") + attribute(NETNS_PID, struct.pack("I", process))
    link = attribute(KIND, b"veth") + attribute(DATA, attribute(PEER, far))
    body = anything + attribute(NAME, b"cable\0") + attribute(LINK_INFO, link)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.bind((0, 0))
        kernel.send(struct.pack("IHHII", 16 + len(body), NEW_LINK, REQUEST, 1, 0) + body)
        (error,) = struct.unpack("i", kernel.recv(4096)[16:20])
    if error:
        raise OSError(-error, "no virtual cable")


def set_up(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for what, value in ((SET_ADDRESS, address), (SET_MASK, "255.255.255.0")):
            packed = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
            ioctl(any_socket, what, struct.pack("16s16s", b"cable", packed))
        ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"cable", UP))


def received(server: socket.socket) -> str:
    server.settimeout(SECONDS)
    with server.accept()[0] as connection:
        connection.settimeout(SECONDS)
        return connection.makefile("rb").readline(1000).decode().strip()


def second_host(ready: int, joined: int, kept: int) -> None:
    """Receives until the first host is gone, and tells what it holds through `kept`."""
    unshare(NEW_NET)
    os.write(ready, b"r")
    if not os.read(joined, 1):
        return
    set_up(SECOND)
    with socket.create_server((SECOND, PORT)) as server:
        os.write(ready, b"r")
        while os.read(joined, 1):
            os.write(kept, (received(server) + "\n").encode())


def main() -> None:
    become_root_inside()
    (ready_out, ready), (joined_out, joined), (kept_out, kept) = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        for end in (ready_out, joined, kept_out):
            os.close(end)
        try:
            second_host(ready, joined_out, kept)
        finally:
            os._exit(0)
    for end in (ready, joined_out, kept):
        os.close(end)
    os.read(ready_out, 1)
    join(child)
    set_up(FIRST)
    os.write(joined, b"j")
    if not os.read(ready_out, 1):
        raise OSError(0, "the second host did not start")
    say({"ready": os.readlink("/proc/self/ns/net") != os.readlink(f"/proc/{child}/ns/net")})
    with os.fdopen(kept_out, "rb") as told:
        for order in sys.stdin:
            os.write(joined, b"s")
            with socket.create_connection((SECOND, PORT), SECONDS) as connection:
                connection.sendall(json.loads(order)["send"].encode() + b"\n")
            say({"holds": told.readline().decode().strip()})
    os.close(joined)
    os.waitpid(child, 0)


def say(reply: dict[str, object]) -> None:
    print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        say({"failed": f"{error.strerror or error}"})
