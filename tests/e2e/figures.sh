# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What is promised in figures.

a_killed_instance_is_not_ready_within_a_millisecond() {
    local round
    agent_start --mode observe
    # again where the host is busy with other things: then a process waits for a CPU to die on
    for round in 1 2 3; do
        load_start kill_latency "$build/e2e/kill_latency" "$bpffs/pmo/hints" 200
        ! wait "$load" || break
        [ $round != 3 ] || complain "$(cat "$here/kill_latency.err")"
    done
    figure "$(cat "$here/kill_latency")"
}

cpu_ticks() { # PID: user and system time
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}

an_idle_agent_is_small() {
    local before after resident_kib
    agent_start --mode observe
    sleep 2
    before=$(cpu_ticks "$agent")
    sleep 10
    after=$(cpu_ticks "$agent")
    resident_kib=$(awk '/^VmHWM/ { print $2 }' "/proc/$agent/status")
    figure "$((resident_kib / 1024)) MiB, $((after - before)) ms of CPU time a second"
    [ "$resident_kib" -lt $((64 * 1024)) ] || complain "$resident_kib KiB of memory"
    # ticks are 10 ms: 20 of them in 10 s are 2 % of a core
    [ $((after - before)) -lt 20 ] || complain "$((after - before)) ms of CPU time a second"
}
