#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What comes before load, in a real ramp: a server that takes one connection after the other (as
many application servers do) is loaded from a tenth of its capacity to beyond it, while the agent
watches. Prints when the wait and the accept queue had risen, and when latency had, in seconds.

usage: ramp.py BUILD [SVG]: SVG is where to draw it
"""

import http.server
import json
import math
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HOST, PORT = "127.0.0.76", 22300
WORK_S = 0.008  # CPU time of a request
CALM_S, RAMP_S, OVER_S = 15, 45, 8
RATE_FROM, RATE_TO = 12, 130  # requests a second
RISEN = 3  # times the calm value, for three seconds in a row


class Worker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        until = time.thread_time() + WORK_S
        while time.thread_time() < until:
            pass
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        pass


class Server(http.server.HTTPServer):
    request_queue_size = 512

    def handle_error(self, *_):
        """A client has given up."""


def serve():
    Server((HOST, PORT), Worker).serve_forever()


def services(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.sendall(b"GET /v1/services HTTP/1.0\r\n\r\n")
    answer = b"".join(iter(lambda: s.recv(65536), b""))
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


def watch(path, rows, stop):
    """The newest second of the service, as each comes."""
    while not stop.is_set():
        answer = services(path)
        for service in answer["services"]:
            if service["name"].endswith(f":{PORT}"):
                rows[answer["now"]] = dict(service["signals"], rps=service["rps"])
        time.sleep(0.2)


def latencies(state, rows):
    """Median time to the first byte of each second, from the agent's history."""
    db = sqlite3.connect(f"file:{state}/history.db?mode=ro", uri=True)
    found = db.execute(
        "SELECT t, latency_p50_us FROM spans JOIN services ON id = service"
        " WHERE length = 1 AND name LIKE ?", (f"%:{PORT}",))
    for t, p50_us in found:
        if t in rows:
            rows[t]["latencyMs"] = p50_us and p50_us / 1e3


def risen(seconds, name):
    """The first of three seconds in a row in which a figure was RISEN times its median when all was
    calm (where a connection waited, for the accept queue); None: it never was."""
    values = [s.get(name) or 0 for s in seconds]
    calm = sorted(values[2:CALM_S])[(CALM_S - 2) // 2]
    limit = max(RISEN * calm, 1e-3 if name != "acceptQueue" else 1)
    for i in range(CALM_S, len(values) - 2):
        if all(v >= limit for v in values[i:i + 3]):
            return i
    return None


def draw(path, seconds, marks):
    width, height, left, lane = 860, 470, 170, 130
    lanes = [("waitP50Ms", "wait until read, ms", "#0969da"),
             ("acceptQueue", "accept queue", "#8250df"),
             ("latencyMs", "time to the first byte, ms", "#cf222e")]
    step = (width - left - 20) / len(seconds)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           f'font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for k, (name, title, colour) in enumerate(lanes):
        values = [s.get(name) or 0 for s in seconds]
        least = 1 if name == "acceptQueue" else 0.1
        top, base = max(max(values), 2 * least), 20 + lane * (k + 1)
        points = " ".join(
            f"{left + i * step:.1f},"
            f"{base - math.log(max(v, least) / least) / math.log(top / least) * (lane - 30):.1f}"
            for i, v in enumerate(values))
        out.append(f'<text x="8" y="{base - 50}">{title}</text>'
                   f'<text x="8" y="{base - 34}" fill="#666">{least} to {top:.4g}, log</text>'
                   f'<line x1="{left}" x2="{width - 20}" y1="{base}" y2="{base}" stroke="#ccc"/>'
                   f'<polyline points="{points}" fill="none" stroke="{colour}" '
                   'stroke-width="1.5"/>')
        if marks[name] is not None:
            x = left + marks[name] * step
            out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{base - lane + 30}" y2="{base}" '
                       f'stroke="{colour}" stroke-dasharray="3 3"/>'
                       f'<text x="{x - 4:.1f}" y="{base - lane + 40}" text-anchor="end" '
                       f'fill="{colour}">has risen: {marks[name]} s</text>')
    out.append(f'<text x="{left}" y="{height - 34}" fill="#666">load: {RATE_FROM} requests a second '
               f'for {CALM_S} s, then {RAMP_S} s of ramp to {RATE_TO}</text>')
    for i in range(0, len(seconds), 10):
        out.append(f'<text x="{left + i * step:.1f}" y="{height - 14}" fill="#666">{i} s</text>')
    out.append("</svg>\n")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out))


def run(build, work, processes):
    bpffs, path, state = f"{work}/bpffs", f"{work}/socket", f"{work}/state"
    os.mkdir(bpffs)
    subprocess.run(["mount", "-t", "bpf", "bpf", bpffs], check=True)
    processes.append(subprocess.Popen([sys.executable, os.path.abspath(__file__), "serve"]))
    processes.append(subprocess.Popen(
        [f"{build}/pmo-agent", "--mode", "observe", "--bpffs", bpffs, "--socket", path,
         "--state-dir", state], stdout=subprocess.PIPE, text=True))
    processes[-1].stdout.readline()  # it is ready
    with open(f"{work}/profile.csv", "w", encoding="utf-8") as profile:
        profile.write("t,requests\n")
        for t in range(CALM_S + RAMP_S + OVER_S):
            done = min(max(t - CALM_S, 0) / RAMP_S, 1)
            profile.write(f"{t},{RATE_FROM + done * (RATE_TO - RATE_FROM):.1f}\n")
    rows, stop = {}, threading.Event()
    watcher = threading.Thread(target=watch, args=(path, rows, stop))
    watcher.start()
    begun = int(time.time()) + 1
    subprocess.run([f"{build}/pmo-load", "--profile", f"{work}/profile.csv", "--connections", "new",
                    "--json", f"http://{HOST}:{PORT}/"], check=True, stdout=subprocess.DEVNULL)
    time.sleep(4)  # until history has it
    stop.set()
    watcher.join()
    latencies(state, rows)
    length = CALM_S + RAMP_S + OVER_S
    return [rows.get(begun + i, {}) for i in range(length)]


def main():
    if sys.argv[1:] == ["serve"]:
        serve()
    processes = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    with tempfile.TemporaryDirectory(prefix="pmo-ramp.", dir="/tmp") as work:
        try:
            seconds = run(sys.argv[1], work, processes)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()
            subprocess.run(["umount", f"{work}/bpffs"], check=False)
    marks = {name: risen(seconds, name) for name in ("waitP50Ms", "acceptQueue", "latencyMs")}
    if len(sys.argv) > 2:
        draw(sys.argv[2], seconds, marks)
    print(json.dumps(marks))
    if "PMO_RAMP_TABLE" in os.environ:
        for i, s in enumerate(seconds):
            print(i, s.get("rps"), s.get("waitP50Ms"), s.get("acceptQueue"), s.get("latencyMs"))


main()
