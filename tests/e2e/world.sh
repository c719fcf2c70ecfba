# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What end-to-end tests share. A test runs in a shell of its own, with a directory $here that is
# gone afterwards, and whatever it started ends with it, however it ends.
#
# What takes long runs in the background and is waited for: bash acts on a signal only then.

# world_begin: called first, in the shell of the test
world_begin() {
    bpffs=$here/bpffs socket=$here/socket state=$here/state
    agent='' children=() cgroups=() mesh='' began=$(date +%s)
    address=127.0.0.1 at_server=() at_client=() at_agent=() namespaces=() nginx_listen=''
    trap world_end EXIT
    trap 'exit 130' INT TERM
    mkdir "$bpffs" && mount -t bpf bpf "$bpffs"
}

world_end() {
    trap '' INT TERM
    [ -z "$agent" ] || agent_end TERM
    for child in "${children[@]}"; do end "$child" TERM; done
    for cgroup in "${cgroups[@]}"; do rmdir -p "$cgroup" 2>/dev/null; done # those above may be others'
    [ -z "$mesh" ] || mesh_remove
    for namespace in "${namespaces[@]}"; do ip netns delete "$namespace"; done
    umount "$bpffs"
}

# complain REASON: the test has failed, and goes on to what else may be wrong
complain() {
    printf '%s\n' "$*" >>"$here/reasons"
}

# give_up REASON: the test has failed, and there is no point in going on
give_up() {
    complain "$@"
    exit 1
}

# figure TEXT: what was measured, shown below the test's name
figure() {
    printf '%s\n' "$*" >>"$here/figures"
}

# equal WHAT FOUND EXPECTED
equal() {
    [ "$2" = "$3" ] || complain "$1: $2, expected $3"
}

# until_true SECONDS COMMAND...: tries until it succeeds
until_true() {
    local tries=$(($1 * 10))
    shift
    while ! "$@"; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep .1
    done
}

# end PID SIGNAL: ends a process that was started here, and waits for it; with SIGKILL if need be
end() {
    local pid=$1
    kill "-$2" "$pid" 2>/dev/null || return 0
    until_true 15 has_ended "$pid" || kill -KILL "$pid"
    wait "$pid" 2>/dev/null
}

has_ended() {
    local state
    read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" || return 0
    [ "$state" = Z ]
}

# ---- agent ---------------------------------------------------------------------------------------

# agent_start OPTION...: returns when it counts
agent_start() {
    : >"$here/agent.out" # what an earlier one has said there is not this one's
    "${at_agent[@]}" "$build/pmo-agent" --socket "$socket" --state-dir "$state" \
        --bpffs "$bpffs" "$@" >"$here/agent.out" 2>"$here/agent.log" &
    agent=$!
    until_true 15 agent_is_ready || give_up "the agent is not ready: $(tail -1 "$here/agent.log")"
}

agent_is_ready() {
    grep -q '^ready' "$here/agent.out" || has_ended "$agent"
    grep -q '^ready' "$here/agent.out"
}

# agent_end SIGNAL
agent_end() {
    local pid=$agent status=0
    agent=''
    if has_ended "$pid"; then
        wait "$pid" || status=$?
        complain "the agent has ended by itself, with status $status: $(tail -1 "$here/agent.log")"
    fi
    end "$pid" "$1"
    [ "$1" != TERM ] || [ ! -e "$bpffs/pmo" ] || complain "the agent left" $(ls "$bpffs/pmo")
}

# api PATH [CURL-OPTION]...
api() {
    local path=$1
    shift
    curl -s --unix-socket "$socket" "$@" "http://agent$path"
}

# settle: returns when the agent has read all that was counted until now
settle() {
    local now
    now=$(date +%s)
    # a second more: windows follow the clock as it was when the pins were made
    until_true 10 agent_has_read $((now + 1)) || give_up "the agent reads no windows"
}

agent_has_read() {
    [ "$(api /v1/services | jq .now)" -ge "$1" ] 2>/dev/null
}

# counted SERVICE: a line "METHOD ROUTE STATUS COUNT" for each type since the test began
counted() {
    types_of "$1" inbound
}

# types_of SERVICE DIRECTION
types_of() {
    "$build/pmoctl" series --json --socket "$socket" --service "$1" --since "$began" |
        jq -r --arg direction "$2" 'map(select(.type.direction == $direction)) |
        group_by(.type)[] | (map(.count) | add) as $count | .[0].type |
        "\(.method) \(.route) \(.status_class) \($count)"'
}

# ---- servers and clients -------------------------------------------------------------------------

# nginx_start: at $address, with $nginx_listen behind its listen directive ("ssl..." makes it TLS,
# "http2" HTTP/2); sets $port, $url, and $service as the agent calls it
nginx_start() {
    port=''
    while [ -z "$port" ] || (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((10000 + RANDOM % 20000))
    done
    url=http://$address:$port service=nginx:$port
    [[ $nginx_listen != ssl* ]] || url=https://$address:$port
    cat >"$here/nginx.conf" <<END
daemon off;
worker_processes 1;
pid $here/nginx.pid;
events { worker_connections 4096; }
http {
    client_body_timeout 300s; lingering_time 300s; lingering_timeout 300s; # some networks are bad
    access_log off;
    keepalive_requests 1000000000;
    large_client_header_buffers 4 256k;
    client_body_temp_path $here/body;
    proxy_temp_path $here/proxy;
    fastcgi_temp_path $here/fastcgi;
    uwsgi_temp_path $here/uwsgi;
    scgi_temp_path $here/scgi;
    server {
        listen $address:$port backlog=4096${nginx_listen:+ $nginx_listen};
        location / { return 200 "hello\n"; }
        location /missing { return 404; }
        location = /page { root $here; }
        location = /status { stub_status; }
    }
}
END
    "${at_server[@]}" nginx -e "$here/nginx.log" -c "$here/nginx.conf" >"$here/nginx.log" 2>&1 &
    children+=($!)
    until_true 5 "${at_client[@]}" curl -sk \
        $([ "$nginx_listen" != http2 ] || echo --http2-prior-knowledge) -o "$here/answer" "$url/status" ||
        give_up "nginx: $(cat "$here/nginx.log")"
}

# load_start NAME COMMAND...: a load generator in the background; its output goes to $here/NAME
load_start() {
    local name=$1
    shift
    "$@" >"$here/$name" 2>"$here/$name.err" &
    load=$!
    children+=("$load")
}

# load_wait NAME: until it has ended well
load_wait() {
    wait "$load" || give_up "$1 ended with status $?: $(tail -1 "$here/$1.err")"
}

# ---- what a mesh of local instances leaves -------------------------------------------------------

# cgroups_of NAME: its directories in every hierarchy that is mounted
cgroups_of() {
    awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts | while read -r root; do
        [ ! -d "$root/$1" ] || echo "$root/$1"
    done
}

# instance_pids: of the quickstart's instances. A zombie has ended: those of an agent that was killed
# are left to init, which takes its time.
instance_pids() {
    ps -C pmo-demo -o stat=,pid= | awk '$1 !~ /^Z/ { print $2 }' | sort
}

# mesh_left: prints whatever there is of a mesh, nothing if it is gone
mesh_left() {
    ls -d /run/netns/pmo-* 2>/dev/null
    ip -o link show | grep -o 'pmo-host'
    cgroups_of pmo
    instance_pids | sed 's/^/process /'
}

mesh_is_gone() {
    [ -z "$(mesh_left)" ]
}

# mesh_expected: from here on, a mesh is this test's
mesh_expected() {
    local left
    left=$(mesh_left)
    [ -z "$left" ] || give_up "another agent runs instances on this host:" $left
    mesh=1
}

# mesh_remove: what an agent that failed has left
mesh_remove() {
    local group netns
    for group in $(cgroups_of pmo | sed 's|$|/*/|'); do
        [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill"
    done
    [ -z "$(cgroups_of pmo)" ] || sleep .5
    for group in $(cgroups_of pmo); do
        find "$group" -depth -type d -exec rmdir {} \;
    done
    for netns in /run/netns/pmo-*; do
        [ ! -e "$netns" ] || ip netns delete "${netns##*/}"
    done
    until_true 5 mesh_is_gone # the kernel ends a namespace some time after its last user has gone
}
