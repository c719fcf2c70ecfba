#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Scaling for real: the quickstart's mesh on the local backend, under load that nobody announces.

1. Steps of the load at irregular times: how long from the first request of a step to the order, which
   is when the new instance's cgroup is made.
2. The quickstart's wave and bursts for --minutes: late requests and instance-seconds of PMO as
   measured, and beside them those of the HPA algorithm on the same recorded load (`pmoctl report`).

usage: scaling.py BUILD [--minutes N]      (root; default 10 minutes, and 4 for the steps; 0: these only)
"""

import argparse
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

URL = "http://198.18.0.10/"
PATHS = ["--path", "/items/7", "--path", "/items/12", "--path", "/cart"]
BASE, STEP, STEP_S, STEPS = 20, 150, 6, 6  # requests a second, seconds
MOST = 8  # instances, by the quickstart's policy
GOAL_S = 1.5


def progress(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def cgroups():
    """Where the local backend makes the groups of its instances."""
    with open("/proc/mounts", encoding="ascii") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[2] == "cgroup2":
                return fields[1] + "/pmo"
    sys.exit("scaling.py: cgroup v2 is not mounted")


class Mesh:
    """The agent with the quickstart's mesh, in a state and a bpf file system of its own."""

    def __init__(self, build):
        self.build = build
        self.work = tempfile.mkdtemp(prefix="pmo-scaling.")
        self.socket = self.work + "/socket"
        os.mkdir(self.work + "/bpffs")
        subprocess.run(["mount", "-t", "bpf", "bpf", self.work + "/bpffs"], check=True)
        with open(self.work + "/agent.log", "wb") as log:
            self.agent = subprocess.Popen(
                [build + "/pmo-agent", "--socket", self.socket, "--state-dir", self.work + "/state",
                 "--bpffs", self.work + "/bpffs", "--config", "policies/quickstart.yaml"],
                stdout=subprocess.DEVNULL, stderr=log)

    def __enter__(self):
        for _ in range(100):
            time.sleep(0.3)
            try:
                services = json.loads(self.pmoctl("services", "--json"))["services"]
            except (subprocess.CalledProcessError, json.JSONDecodeError):
                continue
            if sum(s["managed"] and s["ready"] > 0 for s in services) == 2:
                return self
        sys.exit(f"scaling.py: no instances after 30 s; the agent's log: {self.work}/agent.log")

    def __exit__(self, *_):
        self.agent.send_signal(signal.SIGTERM)
        self.agent.wait()
        subprocess.run(["umount", self.work + "/bpffs"], check=True)

    def pmoctl(self, *arguments):
        return subprocess.run([self.build + "/pmoctl", *arguments, "--socket", self.socket],
                              check=True, capture_output=True).stdout

    def load(self, *arguments):
        """Sends requests until the schedule is over; the report's path."""
        path = self.work + "/load.json"
        with open(path, "wb") as report:
            subprocess.run([self.build + "/pmo-load", "--json", *arguments, *PATHS, URL],
                           stdout=report, check=True)
        return path


class Orders(threading.Thread):
    """When each instance of `front` was ordered, by its cgroup, and how many there were at a time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.directory, self.at, self.standing, self.over = cgroups(), set(), [], False

    def run(self):
        while not self.over:
            names = [name for name in os.listdir(self.directory) if name.startswith("front-")]
            self.standing.append((time.time(), len(names)))
            for name in names:
                try:
                    self.at.add(os.stat(f"{self.directory}/{name}").st_ctime)
                except FileNotFoundError:
                    pass  # gone meanwhile
            time.sleep(0.02)

    def stood(self, t):
        return max((at, count) for at, count in self.standing if at <= t)[1]


def measure_steps(build):
    random.seed(7)
    times, t = [], 25.0
    for _ in range(STEPS):
        times.append(round(t))
        t += random.uniform(28, 45)
    with Mesh(build) as mesh:
        profile = mesh.work + "/steps.csv"
        with open(profile, "w", encoding="ascii") as csv:
            csv.write(f"t,requests\n0,{BASE}\n")
            for t in times:
                csv.write(f"{t},{STEP}\n{t + STEP_S},{BASE}\n")
        progress(f"{STEPS} steps from {BASE} to {STEP} requests a second, {times[-1] + 20} s")
        orders = Orders()
        orders.start()
        with open(mesh.load("--profile", profile, "--duration", f"{times[-1] + 20}s"),
                  encoding="utf-8") as report:
            started = json.load(report)["started"]
        orders.over = True
        orders.join()
    steps = [started + t for t in times if orders.stood(started + t) < MOST]  # others need no order
    return [min((at - step for at in orders.at if at >= step), default=math.inf) for step in steps]


def measure_late(build, minutes):
    with Mesh(build) as mesh:
        progress(f"the quickstart's load for {minutes} minutes")
        load = mesh.load("--wave", "40:70:90s", "--burst", "140:5s:20s:10s", "--duration",
                         f"{minutes * 60}s")
        time.sleep(2.5)  # the last second's records
        return json.loads(mesh.pmoctl("report", "--load", load, "--service", "front", "--json"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--minutes", type=int, default=10)
    arguments = parser.parse_args()
    delays = measure_steps(arguments.build)
    print(f"from a step of the load to the order  {statistics.median(delays):.2f} s in the median, "
          f"{max(delays):.2f} s at most, of {len(delays)} (goal: {GOAL_S} s)\n")
    if not arguments.minutes:
        return
    report = measure_late(arguments.build, arguments.minutes)
    print(f"requests sent {report['sent']}, counted {report['counted']}\n")
    print(f"{'front':12} {'PMO: late':>10} {'instance-s':>11} {'HPA 70 %: late':>15} {'instance-s':>11}"
          f" {'HPA, same cost: late':>21} {'PMO of it':>10}")
    front = next(s for s in report["services"] if s["service"] == "front")
    for part in front["parts"]:
        pmo, hpa, same = part["pmoMeasured"], part["hpaInModel"], part["hpaAtSameCost"]
        share = pmo["latePercent"] / same["latePercent"] if same["latePercent"] else float("nan")
        print(f"{part['part']:12} {pmo['latePercent']:8.2f} % {pmo['instanceSeconds']:11.0f} "
              f"{hpa['latePercent']:13.2f} % {hpa['instanceSeconds']:11.0f} "
              f"{same['latePercent']:19.2f} % {share:10.2f}")


if __name__ == "__main__":
    main()
