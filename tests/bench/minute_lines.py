#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be known of a load that was recorded by the minute and drawn by the second.

usage: minute_lines.py TRACE.csv[.gz] ORIGINS [FORECASTS.csv]
The seconds of such a trace (worldcup98 is one) are counts around straight lines from the middle of
each minute to that of the next. The best that could be done by who is told just that is a Kalman
filter: the line's level, its slope, and a course that goes its way in random steps and around which
the minutes scatter. How far it goes in a minute and how far they scatter, in shares of the level,
are those with the greatest likelihood in the three days up to the first origin. Prints its mean
pinball loss at the origins (one t a line), as ../shared/bench/forecast-score does for forecasts; and
that of the quantiles half way between its own and those of FORECASTS (`pmoctl backtest --out`).
"""
import csv, gzip, itertools, math, sys
from statistics import NormalDist

BEND = 30  # second of the minute
HORIZONS = (30, 60)
QUANTILES = [(q, NormalDist().inv_cdf(q)) for q in (0.1, 0.5, 0.9, 0.99)]


def read(path):
    seconds = {}
    with gzip.open(path, "rt") if path.endswith(".gz") else open(path) as file:
        next(file)
        for line in file:
            t, requests = line.split(",")
            seconds[int(t)] = float(requests)
    return seconds


def bend(state, scatter, walk):
    """A new line begins, to the course in a minute and what this one will be off it."""
    level, _, course, ll, _, lc, _, _, cc = state
    cc += (walk * level) ** 2
    slope = (course - level) / 60
    ss = (cc + (scatter * level) ** 2 + ll - 2 * lc) / 3600
    return level, slope, course, ll, (lc - ll) / 60, lc, ss, (cc - lc) / 60, cc


def step(state):
    level, slope, course, ll, ls, lc, ss, sc, cc = state
    return level + slope, slope, course, ll + 2 * ls + ss, ls + ss, lc + sc, ss, sc, cc


def see(state, requests):
    level, slope, course, ll, ls, lc, ss, sc, cc = state
    off, variance = requests - level, ll + max(level, 1)
    likelihood = -(off * off / variance + math.log(variance)) / 2
    gl, gs, gc = ll / variance, ls / variance, lc / variance
    return likelihood, (level + gl * off, slope + gs * off, course + gc * off,
                        ll - gl * ll, ls - gl * ls, lc - gl * lc,
                        ss - gs * ls, sc - gs * lc, cc - gc * lc)


def follow(seconds, until, scatter, walk, origins=()):
    """Log-likelihood up to second `until`; and each origin's forecasts as (mean, variance)."""
    origins, forecasts, likelihood = set(origins), {}, 0.0
    first = seconds[min(seconds)]
    state = (first, 0.0, first, first, 0.0, 0.0, 1.0, 0.0, first)
    for t in range(min(seconds) + 1, until + 1):
        if t % 60 == BEND:
            state = bend(state, scatter, walk)
        state = step(state)
        if t in seconds:
            gain, state = see(state, seconds[t])
            likelihood += gain
        if t in origins:
            ahead = state
            for u in range(t + 1, t + max(HORIZONS) + 1):
                if u % 60 == BEND:
                    ahead = bend(ahead, scatter, walk)
                ahead = step(ahead)
                if u - t in HORIZONS:
                    forecasts[t, u - t] = ahead[0], ahead[3] + max(ahead[0], 1)
    return likelihood, forecasts


def loss(quantile, off):
    return quantile * off if off >= 0 else (quantile - 1) * off


def main(trace, origins_path, forecasts_path=None):
    seconds, others = read(trace), {}
    with open(origins_path) as file:
        origins = [int(line) for line in file]
    if forecasts_path:
        with open(forecasts_path) as file:
            for row in csv.DictReader(file):
                key = int(row["t"]), int(row["horizon"]), float(row["q"])
                others[key] = float(row["value"])
    past = range(max(origins[0] - 3 * 86400, 0), origins[0])
    learned = {t: seconds[t] for t in past if t in seconds}
    grid = itertools.product((0.01, 0.02, 0.03, 0.045), (0.01, 0.02, 0.03, 0.045))
    best = max(grid, key=lambda shares: follow(learned, origins[0] - 1, *shares)[0])
    _, forecasts = follow(seconds, max(origins), *best, origins)
    print("minutes scatter by {:.1%} of the level, which goes {:.1%} a minute".format(*best))
    for h in HORIZONS:
        alone = together = count = 0
        for t, (q, z) in itertools.product(origins, QUANTILES):
            if t + h not in seconds:
                continue
            mean, variance = forecasts[t, h]
            value = max(mean + z * math.sqrt(variance), 0)
            alone += loss(q, seconds[t + h] - value)
            together += loss(q, seconds[t + h] - (value + others.get((t, h, q), value)) / 2)
            count += 1
        print(f"{h} s ahead: pinball loss {alone / count:.4f}", end="")
        print(f", {together / count:.4f} half way to the forecasts" if others else "")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
