# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Who calls whom: front calls catalog, which calls stock twice for each request.

# tier NAME LOCATIONS COMMAND...: an nginx of the mesh
tier() {
    local name=$1 locations=$2 port=${!1#*:}
    shift 2
    cat >"$here/$name.conf" <<END
daemon off;
worker_processes 1;
pid $here/$name.pid;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $here/$name-body;
    proxy_temp_path $here/$name-proxy;
    fastcgi_temp_path $here/$name-fastcgi;
    uwsgi_temp_path $here/$name-uwsgi;
    scgi_temp_path $here/$name-scgi;
    upstream stock { server 127.0.0.1:${stock#*:}; keepalive 32; keepalive_requests 1000000000; }
    upstream catalog { server 198.18.9.9:80; keepalive 32; keepalive_requests 1000000000; }
    server {
        listen 0.0.0.0:$port backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        $locations
    }
}
END
    "$@" nginx -e "$here/$name.log" -c "$here/$name.conf" >"$here/$name.log" 2>&1 &
    children+=($!)
    until_true 15 is_known "nginx:$port" || give_up "the agent does not find $name"
}

# mesh_policies: what the tiers will be called, and a configuration that has their calls counted
mesh_policies() {
    local port=$((10000 + RANDOM % 20000)) name
    front=nginx:$port catalog=nginx:$((port + 1)) stock=nginx:$((port + 2))
    for name in "$front" "$catalog" "$stock"; do
        calls_policy "$name"
        sed "s/name: calls/name: calls-${name#*:}/" "$here/calls.yaml"
        echo ---
    done >"$here/mesh.yaml"
}

# mesh_start: front in a network namespace of its own, where NAT leads 198.18.9.9:80 to catalog in
# another one; sets $at_front
mesh_start() {
    local n
    for n in 0 1; do
        ip netns add "graph-$n-$$" || give_up "no network namespace"
        namespaces+=("graph-$n-$$")
        ip -n "graph-$n-$$" link set lo up
    done
    ip -n "graph-0-$$" link add graph type veth peer name graph netns "graph-1-$$" ||
        give_up "no veth"
    for n in 0 1; do
        ip -n "graph-$n-$$" address add "198.18.9.$((n + 1))/24" dev graph
        ip -n "graph-$n-$$" link set graph up
    done
    ip netns exec "graph-0-$$" nft "table ip nat { chain out { type nat hook output priority -100;
        ip daddr 198.18.9.9 tcp dport 80 dnat to 198.18.9.2:${catalog#*:}; }; }" || give_up "no NAT"
    at_front=(ip netns exec "graph-0-$$")
    tier stock 'location / { return 200 "ok\n"; }' ip netns exec "graph-1-$$"
    tier catalog 'location / { mirror /price; proxy_pass http://stock; }
        location = /price { internal; proxy_pass http://stock/price; }' ip netns exec "graph-1-$$"
    tier front 'location / { proxy_pass http://catalog; }' "${at_front[@]}"
}

# edges: a line "CALLER CALLEE CALLS" for each pair, since the test began
edges() {
    local service
    for service in "$front" "$catalog" "$stock"; do
        "$build/pmoctl" series --json --socket "$socket" --service "$service" --since "$began" |
            jq -r --arg from "$service" 'map(select(.type.direction == "outbound")) |
            group_by(.type.peer)[] | "\($from) \(.[0].type.peer) \(map(.count) | add)"'
    done | sort
}

# rates: a line "CALLER CALLEE CALLS" for each pair, of the last minute, from its rate; nothing is
# older
rates() {
    until_true 5 same_second
    jq -n -r --slurpfile graphs "$here/graph.json" --slurpfile all "$here/services.json" '
        $graphs[0] as $graph | $all[0] as $services |
        ($services.services | map({key: .name,
            value: (.recentArrivals | map(select(. != null)) | length)}) | from_entries) as $seconds |
        $graph.edges[] | "\(.from) \(.to) \(.rps60s * $seconds[.from] | round)"' | sort
}

# Two answers of the API that are of the same second.
same_second() {
    api /v1/graph >"$here/graph.json"
    api /v1/services >"$here/services.json"
    [ "$(jq .now "$here/graph.json")" = "$(jq .now "$here/services.json")" ]
}

# within_a_percent WHAT FOUND EXPECTED: lines that end with a number
within_a_percent() {
    paste -d ' ' <(echo "$2") <(echo "$3") |
        awk '{ if ($1 != $4 || $2 != $5 || $3 > $6 * 1.01 || $3 < $6 * .99) exit 1 }' ||
        complain "$1: $2, expected $3"
}

the_graph_of_a_three_tier_mesh_behind_nat_is_exact_when_the_agent_is_killed() {
    local requests=16000 expected
    mesh_policies
    agent_start --mode observe --config "$here/mesh.yaml"
    mesh_start
    service=$front
    load_start h2load "${at_front[@]}" h2load --h1 -n $requests -c 10 "http://198.18.9.1:${front#*:}/items/7"
    agent_killed --config "$here/mesh.yaml"
    load_wait h2load
    settle
    expected=$(printf '%s\n' "$front $catalog $requests" "$catalog $stock $((2 * requests))" | sort)
    equal "edges" "$(edges)" "$expected"
    within_a_percent "rates" "$(rates)" "$expected"
    equal "calls to a request" "$(api /v1/graph |
        jq -c '[.edges[] | .callsPerRequest60s + 0] | sort')" "[1,2]" # jq 1.7 leaves 1.0 as it is
    equal "services that are called whose forecasts know of their callers" "$(api /v1/forecast |
        jq --arg front "$front" '[.forecasts[] | select(.service != $front and
            any(.models[]; .model == "leading signals"))] | length')" 2
    "$build/pmoctl" graph --socket "$socket" >"$here/graph"
    equal "pmoctl graph" "$(sed 's/^[^A-Za-z0-9]*\([A-Za-z0-9:]*\) .*/\1/' "$here/graph")" \
        "$(printf '%s\n' SERVICE "$front" "$catalog" "$stock")"
    "$build/pmoctl" graph --dot --socket "$socket" >"$here/dot"
    equal "pmoctl graph --dot" "$(grep -c ' -> ' "$here/dot")" 2
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"
}
