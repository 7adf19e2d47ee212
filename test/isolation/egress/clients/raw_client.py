"""A protocol of its own: the server greets, the client asks for bytes, the server gives them and ends. A target is host:port:bytes."""
import socket

from report import report


def ask(target):
    host, port, count = target.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        file = connection.makefile("rb")
        greeting = file.readline()
        connection.sendall(b"GIVE %d\n" % int(count))
        return {"body": greeting.decode().strip(), "status": len(file.read())}


report(ask)
