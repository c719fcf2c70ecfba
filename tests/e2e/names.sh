# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What is found by itself has a name that the next one in its place has, too.

container_id=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef

# serve_in PATH: a server in a cgroup as systemd or a container runtime would have made it
serve_in() {
    local group
    group=$(findmnt -n -t cgroup2 -o TARGET | head -1)/$1
    free_port
    mkdir -p "$group"
    cgroups+=("$group")
    (echo $BASHPID >"$group/cgroup.procs" && exec python3 -m http.server "$port" --bind 127.0.0.1) \
        >/dev/null 2>&1 &
    children+=($!)
    until_true 15 listens || give_up "nobody listens in $1"
    curl -s -o /dev/null "http://127.0.0.1:$port/"
}

# instance_at PORT: what the API says of who listens there, as "SERVICE UNIT CONTAINER POD"
instance_at() {
    api /v1/services | jq -r --argjson port "$1" '.services[] | .name as $name | .instances[] |
        select(.port == $port) | "\($name) \(.unit) \(.containerId) \(.podUid)"'
}

# named PORT NAME UNIT CONTAINER POD
named() {
    local port=$1
    shift
    equal "port $port" "$(instance_at "$port")" "$*"
    equal "requests to $1" "$(counted "$1" | grep -c '^GET / 2xx 1$')" 1
}

services_are_named_by_their_unit_or_container() {
    local uid=12345678_1234_1234_1234_123456789abc ports=()
    agent_start --mode observe
    serve_in "system.slice/pmo\\x2de2e.service"
    ports+=("$port")
    serve_in "docker/$container_id"
    ports+=("$port")
    serve_in "kubepods.slice/kubepods-pod$uid.slice/cri-containerd-${container_id/0/f}.scope"
    ports+=("$port")
    serve_in "user.slice/user-1000.slice/session-3.scope"
    ports+=("$port")
    settle
    named "${ports[0]}" "pmo-e2e:${ports[0]}" pmo-e2e "" ""
    named "${ports[1]}" "${container_id:0:12}:${ports[1]}" "" "$container_id" ""
    named "${ports[2]}" "f${container_id:1:11}:${ports[2]}" "" "${container_id/0/f}" "${uid//_/-}"
    named "${ports[3]}" "python3:${ports[3]}" "" "" ""
}

# All that it does takes some milliseconds: nobody can look at the process any more.
who_is_gone_at_once_is_counted_by_its_name() {
    local times
    agent_start --mode observe
    for times in 1 2 3; do
        free_port
        python3 - "$port" <<'END' || give_up "the server failed"
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
client = socket.create_connection(server.getsockname())
served, _ = server.accept()
client.sendall(b"GET /once HTTP/1.1\r\nHost: a\r\n\r\n")
served.recv(100)
served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
client.recv(100)
os._exit(0)
END
        ports[times]=$port
    done
    settle
    for times in 1 2 3; do
        equal "counted" "$(counted "python3:${ports[times]}")" "GET /once 2xx 1"
    done
}
