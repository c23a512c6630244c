"""`amqp.py ADDRESS CA USER`, the password on standard input: the first words of AMQP 0-9-1, over TLS that is checked.

Prints `welcome` if the account is taken, else `refused`.
"""

import socket
import ssl
import struct
import sys

START, TUNE = (10, 10), (10, 30)
BEGIN = b"AMQP\x00\x00\x09\x01"
FRAME_END = b"\xce"


def read_method(stream):
    """Return the class and method of the next frame, or None where the connection was closed."""
    head = stream.read(7)
    if len(head) < 7:
        return None
    _, _, size = struct.unpack(">BHI", head)
    return struct.unpack(">HH", stream.read(size + 1)[:4])


def start_ok(user, password):
    """Return the frame of connection.start-ok with a PLAIN login."""
    response = f"\0{user}\0{password}".encode()
    told = struct.pack(">HHI", 10, 11, 0) + b"\x05PLAIN" + struct.pack(">I", len(response)) + response + b"\x05en_US"
    return struct.pack(">BHI", 1, 0, len(told)) + told + FRAME_END


def main(address, ca, user):
    context = ssl.create_default_context(cafile=ca)
    with (
        socket.create_connection((address, 5671), 30) as plain,
        context.wrap_socket(plain, server_hostname="rabbitmq") as secure,
        secure.makefile("rb") as stream,
    ):
        secure.sendall(BEGIN)
        if read_method(stream) != START:
            sys.exit("it does not speak AMQP")
        secure.sendall(start_ok(user, sys.stdin.read()))
        print("welcome" if read_method(stream) == TUNE else "refused")


if __name__ == "__main__":
    main(*sys.argv[1:])
