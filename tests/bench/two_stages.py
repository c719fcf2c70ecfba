#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A service behind another one: two_stages.py TRACE.csv[.gz] DELAY_S SPREAD [useless]

Of each request of TRACE, the first service makes a call with probability 0.7, after a delay with a
gamma distribution: of mean DELAY_S and SPREAD, its standard deviation over its mean (0: always the
same). The second service's trace goes to the standard output, with what the first one was asked as
the column upstream. "useless": the blocks of ten minutes of that column are in another order.
"""
import csv
import gzip
import random
import sys

CALLS = 0.7
BLOCK_S = 600

trace, delay_s, spread = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
draw = random.Random(1)

asked = {}
with gzip.open(trace, "rt") if trace.endswith(".gz") else open(trace) as file:
    for row in csv.DictReader(file):
        asked[int(row["t"])] = int(float(row["requests"]))

calls = dict.fromkeys(asked, 0)
for t, requests in asked.items():
    for _ in range(requests):
        if draw.random() >= CALLS:
            continue
        wait = delay_s
        if spread > 0:
            wait = draw.gammavariate(spread ** -2, delay_s * spread ** 2)
        at = int(t + draw.random() + wait)
        if at in calls:
            calls[at] += 1

upstream = asked
if "useless" in sys.argv:
    blocks = list(range(max(asked) // BLOCK_S + 1))
    moved = random.Random(2).sample(blocks, len(blocks))
    upstream = {t: asked.get(moved[t // BLOCK_S] * BLOCK_S + t % BLOCK_S, "") for t in asked}
print("t,requests,upstream")
for t in asked:
    print(f"{t},{calls[t]},{upstream[t]}")
