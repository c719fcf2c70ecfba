# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What is found by itself has a name that the next one in its place has, too.

id=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde # and a digit

# cgroup_make PATH: as systemd or a container runtime would have made it; its directory is printed.
# A PATH of v1 is that of the directory.
cgroup_make() {
    local group=$1
    [[ $group = /* ]] || group=$(findmnt -n -t cgroup2 -o TARGET | head -1)/$group
    mkdir -p "$group"
    echo "$group"
}

# serve_in PATH...: a server in each cgroup, behind $at_server; adds to `ports`
serve_in() {
    local path directories=()
    for path; do
        directories+=("$(cgroup_make "$path")")
    done
    cgroups+=("${directories[@]}")
    wanted=${#directories[@]}
    rm -f "$here/ports"
    "${at_server[@]}" python3 tests/e2e/listen_in.py "${directories[@]}" >"$here/ports" 2>&1 &
    children+=($!)
    until_true 15 they_listen || give_up "they do not listen: $(tail -1 "$here/ports")"
    mapfile -t -O ${#ports[@]} ports <"$here/ports"
}

they_listen() {
    [ "$(wc -l <"$here/ports")" = "$wanted" ]
}

# instances_at PORT...: what the API says of who listens there: SERVICE UNIT CONTAINER PODUID POD,
# with P for the port, and I for the digits of $id
instances_at() {
    local port
    for port; do
        api /v1/services | jq -r --argjson port "$port" '.services[] | .name as $name |
            .instances[] | select(.port == $port) |
            "\($name) \(.unit) \(.containerId) \(.podUid) \(.pod)"' | sed "s/:$port /:P /; s/$id/I/"
    done
}

socket_is_there() {
    [ -S "$here/run/docker.sock" ]
}

# The agent is in a unit itself, and has a /run with runtimes of its own.
services_are_named_by_their_unit_or_container() {
    local uid=12345678_1234_1234_1234_123456789abc ports=() netns=names-$$ expected v1 at_pod runner
    runner=$(cgroup_make system.slice/pmo-runner.service)
    cgroups+=("$runner")
    mkdir "$here/run"
    python3 tests/e2e/runtimes.py "$here/run" "${id}1" "${id}2" >"$here/runtimes" 2>&1 &
    children+=($!)
    serve_in "system.slice/pmo\\x2de2e.service" "system.slice/docker-${id}1.scope" "docker/${id}3" \
        "machine.slice/libpod-${id}4.scope" "machine.slice/libpod-${id}5.scope" \
        "kubepods.slice/kubepods-pod$uid.slice/cri-containerd-${id}6.scope" \
        user.slice/user-1000.slice/session-3.scope system.slice/pmo-runner.service/job
    ip netns add "$netns" && namespaces+=("$netns") && ip -n "$netns" link set lo up
    at_server=(nsenter --net="/run/netns/$netns")
    serve_in system.slice/pmo-inside.service
    echo front-6d4cf56db6-x7k2p >"$here/hostname"
    # shellcheck disable=SC2016 # for the other shell
    at_pod='mount --bind "$0" /etc/hostname && mount -t tmpfs none /run && mkdir -p "$1" &&
        printf shop >"$1/namespace" && shift && exec "$@"'
    at_server=(unshare --mount --uts sh -c "$at_pod" "$here/hostname"
        /run/secrets/kubernetes.io/serviceaccount)
    serve_in "kubepods.slice/kubepods-pod$uid.slice/cri-containerd-${id}7.scope"
    at_server=()
    expected="pmo-e2e:P pmo-e2e   
shop-web:P  I1  
${id:0:12}:P  I3  
${id:0:12}:P  I4  
${id:0:12}:P  I5  
${id:0:12}:P  I6 ${uid//_/-} 
python3:P    
python3:P    
pmo-inside:P pmo-inside   
shop/front:P  I7 ${uid//_/-} front-6d4cf56db6-x7k2p"
    v1=$(findmnt -n -t cgroup -o TARGET | grep -m1 'pids$')
    if [ -n "$v1" ]; then # beside v2
        serve_in "$v1/docker/${id}8"
        expected+=$'\n'"${id:0:12}:P  I8  "
    fi

    until_true 15 socket_is_there || give_up "$(cat "$here/runtimes")"
    # shellcheck disable=SC2016
    at_agent=(unshare --mount sh -c 'echo $$ >"$0/cgroup.procs" && mount --bind "$1" /run && shift &&
        exec "$@"' "$runner" "$here/run")
    agent_start --mode observe
    equal "instances" "$(instances_at "${ports[@]}")" "$expected"
    equal "warnings" "$(grep -c 'podman.sock does not answer' "$here/agent.log")" 1
    curl -s -o "$here/answer" "http://127.0.0.1:${ports[0]}/" "http://127.0.0.1:${ports[1]}/"
    settle
    equal "requests to the unit" "$(counted "pmo-e2e:${ports[0]}")" "GET / 2xx 1"
    equal "requests to the container" "$(counted "shop-web:${ports[1]}")" "GET / 2xx 1"

    serve_in "system.slice/docker-${id}2.scope" # another container of the same service
    until_true 5 is_named "${ports[-1]}" || complain "port ${ports[-1]} has no name"
    agent_end KILL
    agent_start --mode observe
    equal "instances after the restart" "$(instances_at "${ports[@]}")" "$expected
shop-web:P  I2  "
}

# is_named PORT
is_named() {
    [ -n "$(instances_at "$1")" ]
}

# The agent looks when all are gone: their pids tell nothing any more.
who_is_gone_at_once_is_counted_by_its_name() {
    local unit scope ports
    unit=$(cgroup_make system.slice/pmo-once.service)
    scope=$(cgroup_make user.slice/user-1000.slice/session-3.scope)
    cgroups+=("$unit" "$scope")
    agent_start --mode observe
    kill -STOP "$agent"
    python3 tests/e2e/listen_in.py --once "$unit" "$scope" >"$here/ports" 2>&1
    mapfile -t ports <"$here/ports"
    kill -CONT "$agent"
    settle
    equal "requests to the unit" "$(counted "pmo-once:${ports[0]}")" "GET /once 2xx 1"
    equal "requests to the command" "$(counted "python3:${ports[1]}")" "GET /once 2xx 1"
}
