#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets of container runtimes in a directory: Docker's knows the containers whose ids are given,
all of one service of Compose's; Podman's takes what it is asked and never answers."""
import http.server
import json
import os
import socket
import socketserver
import sys

run, known = sys.argv[1], sys.argv[2:]
LABELS = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


class Docker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        container = self.path.split("/")[2]
        found = self.path == f"/containers/{container}/json" and container in known
        body = {"message": "No such container"}
        if found:
            body = {"Id": container, "Name": "/shop-web-1", "Config": {"Labels": LABELS}}
        text = json.dumps(body).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self):
        return "agent"


os.makedirs(f"{run}/podman")
podman = socket.socket(socket.AF_UNIX)
podman.bind(f"{run}/podman/podman.sock")
podman.listen()
socketserver.UnixStreamServer(f"{run}/docker.sock", Docker).serve_forever()
