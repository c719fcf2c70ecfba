# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# How an agent ends, and what is there afterwards.

# programs: ids of the BPF programs that are attached by this world's links
programs() {
    local link
    for link in "$bpffs"/pmo/links/*; do
        bpftool -j link show pinned "$link" | jq .prog_id
    done
}

# are_unloaded ID...: the kernel unloads a program some time after its last user has gone
are_unloaded() {
    local id
    for id; do
        ! bpftool prog show id "$id" >"$here/program" 2>&1 || return 1
    done
}

# quickstart_start: an agent that runs policies/quickstart.yaml; returns when its services are ready
quickstart_start() {
    sed "s|build/pmo-demo|$build/pmo-demo|" policies/quickstart.yaml >"$here/quickstart.yaml"
    agent_start --config "$here/quickstart.yaml"
    until_true 15 quickstart_is_ready || give_up "front and catalog are not ready after 15 s"
}

quickstart_is_ready() {
    [ "$(api /v1/services | jq '[.services[] | select(.managed and .ready > 0)] | length')" = 2 ]
}

# expect_nothing ID...: no pins, no mesh, none of these programs
expect_nothing() {
    local left
    left=$(mesh_left)
    [ -z "$left" ] || complain "left behind:" $left
    [ ! -e "$bpffs/pmo" ] || complain "pins are left: $(find "$bpffs/pmo" | head -3)"
    [ ! -e "$socket" ] || complain "the socket is left"
    until_true 5 are_unloaded "$@" || complain "program left: $(head -1 "$here/program")"
}

sigterm_leaves_nothing() {
    local ids
    mesh_expected
    quickstart_start
    [ -n "$(mesh_left)" ] || complain "there is no mesh to be removed"
    ids=$(programs)
    [ "$(wc -w <<<"$ids")" -gt 6 ] || complain "there are no programs to be removed"
    agent_end TERM
    # shellcheck disable=SC2086
    expect_nothing $ids
}

an_agent_that_cannot_start_takes_no_counts_along() {
    local cgroup
    cgroup=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/pmo
    mesh_expected
    nginx_start
    agent_start --mode observe
    agent_end USR2
    h2load --h1 -n 1000 -c 1 "$url/kept" >"$here/h2load"
    sleep 1.2 # until the window is in the ring
    # it finds that another agent has instances when it has adopted the maps already
    mkdir "$cgroup" && exec 9<"$cgroup" && flock --nonblock 9 || give_up "cannot lock $cgroup"
    refused_here 'another agent' --config policies/quickstart.yaml
    exec 9<&-
    agent_start --mode observe
    settle
    equal "counted" "$(counted "$service" | grep -v ' /status ')" "GET /kept 2xx 1000"
}

the_agent_after_a_killed_one_leaves_nothing() {
    local before after ids
    mesh_expected
    quickstart_start
    before=$(instance_pids)
    ids=$(programs)
    agent_end KILL
    equal "instances without their agent" "$(instance_pids)" "$before"
    quickstart_start
    equal "instances that the next agent adopted" \
        "$(comm -12 <(instance_pids) <(printf '%s\n' "$before"))" "$before"
    ids="$ids $(programs)"
    agent_end TERM
    # shellcheck disable=SC2086
    expect_nothing $ids
}

counting_goes_on_between_two_agents() {
    nginx_start
    agent_start --mode observe
    h2load --h1 -n 5000 -c 5 "$url/before" >"$here/h2load"
    agent_end USR2
    h2load --h1 -n 20000 -c 5 "$url/between" >"$here/h2load"
    sleep 2
    h2load --h1 -n 10000 -c 5 "$url/between" >"$here/h2load"
    agent_start --mode observe
    h2load --h1 -n 5000 -c 5 "$url/after" >"$here/h2load"
    settle
    equal "counted" "$(counted "$service" | grep -v ' /status ')" \
        "$(printf 'GET %s\n' '/after 2xx 5000' '/before 2xx 5000' '/between 2xx 30000')"
}

# quickstart_history SQL: what the quickstart's agent has left on disk
quickstart_history() {
    python3 -c 'import sqlite3, sys
print(sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True).execute(sys.argv[2]).fetchone()[0])' \
        "$build/quickstart/state-run/history.db" "$1"
}

the_quickstart_counts_what_it_sends_and_leaves_nothing() {
    local sent counted socket=/run/pmo/pmo.sock
    mesh_expected
    [ ! -e /sys/fs/bpf/pmo ] || give_up "another agent runs on this host, or has left /sys/fs/bpf/pmo"
    load_start quickstart env DURATION=20 BUILD="$build" tools/quickstart </dev/null
    wait "$load" || complain "it ended with status $?: $(tail -1 "$here/quickstart.err")"
    equal "lines on standard error" "$(wc -l <"$here/quickstart.err")" 0
    sent=$(jq .sent "$build/quickstart/load.json")
    [ "$sent" -gt 500 ] || complain "only $sent requests were sent"
    counted=$(awk '/^requests counted/ { print $3 }' "$here/quickstart")
    equal "counted" "$counted" "$sent"
    equal "services that it has learned of" "$(quickstart_history \
        "SELECT count(*) FROM learned WHERE service IN ('front', 'catalog')")" 2
    [ "$(quickstart_history "SELECT count(*) FROM audit WHERE kind = 'order'")" -gt 0 ] ||
        complain "no order is in the audit log"
    "$build/pmoctl" policy check --history --state-dir "$build/quickstart/state-run" \
        policies/quickstart.yaml >"$here/check" || complain "the policies' check failed"
    grep -Eq '^policy front on .*: [0-9]{3,} requests' "$here/check" ||
        complain "the check knows no history: $(tail -1 "$here/check")"
    expect_nothing
    [ ! -e /sys/fs/bpf/pmo ] || complain "pins are left: $(find /sys/fs/bpf/pmo | head -3)"
}
