#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server in each of the cgroups whose directories are given, on a port that is printed.

With --once, each serves one request, its own, and is gone: all of that takes some milliseconds."""
import os
import signal
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def answer(client):
    with client:
        if client.recv(65536):
            client.sendall(ANSWER)


def listen(cgroup):
    with open(os.path.join(cgroup, "cgroup.procs"), "w") as procs:
        procs.write(str(os.getpid()))
    server = socket.create_server(("127.0.0.1", 0))
    os.write(1, b"%d\n" % server.getsockname()[1])
    return server


def serve(cgroup):
    server = listen(cgroup)
    while True:
        answer(server.accept()[0])


def serve_once(cgroup):
    server = listen(cgroup)
    with socket.create_connection(server.getsockname()) as client:
        client.sendall(b"GET /once HTTP/1.1\r\nHost: a\r\n\r\n")
        answer(server.accept()[0])
        while client.recv(65536):
            pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # and end the children
once = sys.argv[1] == "--once"
children = []
for directory in sys.argv[1 + once :]:
    reads, writes = os.pipe()  # ports are printed in the order of the arguments
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(writes, 1)
        try:
            (serve_once if once else serve)(directory)
        finally:
            os._exit(0)
    os.close(writes)
    children.append(pid)
    print(os.read(reads, 16).decode().strip(), flush=True)
try:
    for pid in children:
        os.waitpid(pid, 0)
finally:
    for pid in children:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
