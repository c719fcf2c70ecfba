# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Requests that a service makes to others: what one has called is what the other has served.

# proxy_start COMMAND...: an nginx at $proxy_address that hands on to the one at $url, on connections
# that it keeps; sets $proxy_url, and $proxy as the agent calls it
proxy_start() {
    local proxy_port=$((port + 1))
    local proxy_address=${proxy_address:-127.0.0.1}
    while (: <"/dev/tcp/127.0.0.1/$proxy_port") 2>/dev/null; do proxy_port=$((proxy_port + 1)); done
    proxy_url=http://$proxy_address:$proxy_port proxy=nginx:$proxy_port
    cat >"$here/proxy.conf" <<END
daemon off;
worker_processes 2;
pid $here/proxy.pid;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $here/body;
    proxy_temp_path $here/proxy-temp;
    fastcgi_temp_path $here/fastcgi;
    uwsgi_temp_path $here/uwsgi;
    scgi_temp_path $here/scgi;
    proxy_read_timeout 300s; proxy_send_timeout 300s; proxy_connect_timeout 300s;
    upstream behind { server $address:$port; keepalive 16; keepalive_requests 1000000000; }
    server {
        listen $proxy_address:$proxy_port backlog=4096;
        location / {
            proxy_pass ${url%%:*}://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
END
    "$@" nginx -e "$here/proxy.log" -c "$here/proxy.conf" >"$here/proxy.log" 2>&1 &
    children+=($!)
    # what it calls before the agent knows whose it is would not be counted
    [ -z "$agent" ] || until_true 15 is_known "$proxy" || give_up "the agent does not find $proxy"
    until_true 5 "${at_client[@]}" curl -s -o "$here/answer" "$proxy_url/status" ||
        give_up "nginx: $(cat "$here/proxy.log")"
}

# proxy_run NAME COMMAND...: the same by another program, whose probes are there when it begins
proxy_run() {
    local name=$1
    shift
    "$@" >"$here/proxy.log" 2>&1 &
    children+=($!)
    proxy=$name:$proxy_port proxy_url=http://127.0.0.1:$proxy_port
    until_true 15 is_known "$proxy" || give_up "the agent does not find $proxy"
    calls_read=$(tls_counts | cut -d ' ' -f 2)
    until_true 15 is_read_by_proxy || give_up "$name is not read: $(tail -2 "$here/proxy.log")"
    sleep 1.5
    began=$(date +%s)
}

# Both ends of the connection behind it are.
is_read_by_proxy() {
    curl -s -o "$here/answer" "$proxy_url/status"
    [ "$(tls_counts | cut -d ' ' -f 2)" -ge $((calls_read + 2)) ]
}

is_known() {
    api /v1/services | jq -e --arg name "$1" '.services[] | select(.name == $name)' >"$here/known"
}

# in_cgroup COMMAND...: in a cgroup of its own, which is gone with the test
in_cgroup() {
    echo "$BASHPID" >"$cgroup/cgroup.procs"
    exec "$@"
}

cgroup_begin() {
    cgroup=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/pmo-calls-$$
    mkdir "$cgroup" || give_up "no cgroup"
    trap 'world_end; until_true 5 rmdir "$cgroup"' EXIT
}

# called SERVICE and served SERVICE: lines "METHOD ROUTE STATUS COUNT", but for what this test asks
called() {
    types_of "$1" outbound | grep -v ' /status '
}

served() {
    types_of "$1" inbound | grep -v ' /status '
}

# calls_policy SERVICE: a configuration that has its calls counted
calls_policy() {
    cat >"$here/calls.yaml" <<END
apiVersion: pmo.dev/v1alpha1
kind: OrchestrationPolicy
metadata: {name: calls}
spec:
  target: {service: "$1"}
  observe: {calls: true}
END
}

# total_arrived SERVICE
total_arrived() {
    api /v1/services | jq --arg service "$1" '.services[] | select(.name == $service) | .arrivedTotal'
}

# waiter_start: a service that listens on $waiter_port and the next one, and calls $url 30 ms after
# each request; it says when it had that, when it called, and when it had the answer
waiter_start() {
    waiter_port=$((10000 + RANDOM % 20000))
    cat >"$here/waiter.py" <<END
import http.server, threading, time, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        times = [time.monotonic_ns()]
        time.sleep(0.03)
        times.append(time.monotonic_ns())
        body = urllib.request.urlopen("$url/status").read()
        times.append(time.monotonic_ns())
        print(*times, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
for port in ($waiter_port, $waiter_port + 1):
    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever).start()
END
    python3 "$here/waiter.py" >"$here/waited" 2>"$here/waiter.log" &
    children+=($!)
    until_true 15 is_known "python3:$waiter_port" && until_true 15 is_known \
        "python3:$((waiter_port + 1))" || give_up "the agent does not find $here/waiter.py"
}

# expect_delays: of requests one after another, wherever they come in, it is no less than the service
# has waited, and no more than from before the client asked until the service had its answer. Of
# those that come at once there is none, as nobody can tell their calls apart.
expect_delays() {
    local edge bounds
    waiter_start
    python3 - $waiter_port >"$here/asked" <<'END' || complain "the client ended with status $?"
import sys, time, urllib.request
for n in range(20):
    print(time.monotonic_ns())
    urllib.request.urlopen(f"http://127.0.0.1:{int(sys.argv[1]) + n % 2}/").read()
END
    bounds=$(paste -d ' ' "$here/asked" "$here/waited" |
        awk '{ least += $3 - $2; most += $4 - $1 } END { print least / NR / 1e6, most / NR / 1e6 }')
    h2load --h1 -n 40 -c 40 "http://127.0.0.1:$waiter_port/" >"$here/at-once" ||
        complain "h2load ended with status $?"
    settle
    edge=$(api /v1/graph | jq -r '.edges[] | select(.from | startswith("python3")) |
        "\(.totals.answered) \(.delaysMeasured) \(.delayMeanMs)"')
    figure "delay: ${edge##* } ms, by the service and its client $bounds"
    equal "calls and delays" "${edge% *}" "60 20"
    echo "$bounds ${edge##* }" | awk '{ exit !($1 >= 30 && $3 >= $1 && $3 <= $2) }' ||
        complain "a delay of ${edge##* } ms is not within $bounds"
    equal "delays in /metrics" "$(api /metrics |
        awk '/^pmo_call_delay_seconds_count{service="python3/ { print $2 }')" 20
}

what_a_service_calls_is_what_the_other_serves() {
    local requests=100000
    nginx_start
    calls_policy "*"
    agent_start --mode observe --config "$here/calls.yaml"
    proxy_start
    load_start h2load h2load --h1 -n $requests -c 20 "${paths[@]/#/$proxy_url}"
    load_wait h2load
    settle
    expect_answers $requests
    expect_shares $requests
    equal "called by the proxy" "$(called "$proxy")" "$(served "$service")"
    equal "served by the proxy" "$(served "$proxy")" "$(served "$service")"
    equal "called by the other" "$(called "$service")" ""
    equal "the proxy's arrivals" "$(total_arrived "$proxy")" $((requests + 1))
    equal "in flight" "$(api "/v1/types?service=$proxy" | jq '[.types[].inFlight] | add')" 0
    equal "the proxy's calls" \
        "$(api "/v1/types?service=$proxy" |
            jq -c '[.types[] | select(.direction == "outbound") | .totals |
                [.arrived, .answered, .finished]] | transpose | map(add)')" \
        "[$((requests + 1)),$((requests + 1)),$((requests + 1))]"
    equal "calls in /metrics" \
        "$(api /metrics | awk -v s="service=\"$proxy\"" \
            'index($0, "http_client_request_duration_seconds_count{" s) { print $2 }')" \
        $((requests + 1))
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"
    expect_delays
}

# calls_of_killed REQUESTS: the agent and what is behind the proxy are there
calls_of_killed() {
    local requests=$1
    cgroup_begin
    proxy_start in_cgroup
    load_start h2load h2load --h1 -n $requests -c 20 "${paths[@]/#/$proxy_url}"
    agent_killed --config "$here/calls.yaml"
    load_wait h2load
    settle
    expect_answers $requests
    expect_shares $requests
    equal "called by the proxy" "$(called "$proxy")" "$(served "$service")"
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"
}

no_call_is_lost_or_counted_twice_when_the_agent_is_killed() {
    nginx_start
    calls_policy "*"
    agent_start --mode observe --config "$here/calls.yaml"
    calls_of_killed 250000
}

# The agent comes first: of a connection from before, the first request would be found by its answer.
calls_inside_tls_are_counted_when_the_agent_is_killed() {
    calls_policy "*"
    agent_start --mode observe --config "$here/calls.yaml"
    nginx_start_tls
    calls_of_killed 60000
}

# expect_calls: those of a proxy that speaks TLS with what is behind it
expect_calls() {
    load_start h2load h2load --h1 -n 8000 -c 16 "${paths[@]/#/$proxy_url}"
    load_wait h2load
    settle
    expect_shares 8000
    equal "called by the proxy" "$(called "$proxy")" "$(served "$service")"
    equal "called by what is behind it" "$(called "$service")" ""
}

calls_of_node_inside_tls_are_counted() {
    local proxy_port=$((10000 + RANDOM % 20000))
    nginx_start_tls
    calls_policy "*"
    agent_start --mode observe --config "$here/calls.yaml"
    cat >"$here/proxy.js" <<END
const http = require('http'), https = require('https');
const agent = new https.Agent({keepAlive: true, rejectUnauthorized: false});
http.createServer((request, response) => https.get('$url' + request.url, {agent}, (answer) => {
    response.writeHead(answer.statusCode);
    answer.pipe(response);
})).listen($proxy_port, '127.0.0.1');
END
    proxy_run node node "$here/proxy.js"
    expect_calls
}

calls_of_go_inside_tls_are_counted() {
    local proxy_port=$((10000 + RANDOM % 20000))
    nginx_start_tls http2
    calls_policy "*"
    agent_start --mode observe --config "$here/calls.yaml"
    go_build tls_proxy
    proxy_run tls_proxy "$here/tls_proxy" "127.0.0.1:$proxy_port" "$url"
    expect_calls
    equal "protocol" "$(protocols "$service")" http2
}

# Answers of several segments each, and uploads: either direction comes out of turn, and again.
calls_over_a_lossy_network_are_counted_exactly() {
    local requests=10000 load loads=()
    head -c 20000 /dev/urandom >"$here/page"
    head -c 6000 /dev/urandom >"$here/upload"
    lossy_begin 5 5 2
    ip -n "lossy-1-$$" link set lo up
    calls_policy "*"
    agent_start --mode observe --config "$here/calls.yaml"
    nginx_start
    proxy_address=198.18.0.2 proxy_start "${at_client[@]}"
    load_start get "${at_client[@]}" h2load --h1 -n $requests -c 100 "$proxy_url/page" "$proxy_url/"
    loads+=("$load")
    load_start post "${at_client[@]}" h2load --h1 -n $requests -c 100 -d "$here/upload" \
        "$proxy_url/catalog" "$proxy_url/missing"
    loads+=("$load")
    for load in "${loads[@]}"; do wait "$load" || complain "h2load ended with status $?"; done
    settle
    equal "called by the proxy" "$(called "$proxy")" "$(
        echo "GET / 2xx $((requests / 2))"
        echo "GET /page 2xx $((requests / 2))"
        echo "POST /catalog 2xx $((requests / 2))"
        echo "POST /missing 4xx $((requests / 2))"
    )"
    equal "called by the proxy" "$(called "$proxy")" "$(served "$service")"
    end "$impair" TERM
    figure "$(tail -1 "$here/impair")"
    figure "$(api /v1/status | jq -c '.totals | {holes, midstream}')"
}

both_are_ready() {
    [ "$(api /v1/services | jq '[.services[] | select(.managed) | .ready] | add')" = 3 ]
}

# Instances in network namespaces of their own, led to each other by connect().
instances_call_those_of_the_next_service() {
    local sent
    mesh_expected
    sed "s|build/pmo-demo|$build/pmo-demo|; s|target: {service: front}|&\n  observe: {calls: true}|" \
        policies/quickstart.yaml >"$here/mesh.yaml"
    agent_start --mode observe --config "$here/mesh.yaml"
    until_true 20 both_are_ready || give_up "the instances are not ready"
    load_start pmo-load "$build/pmo-load" --rate 20 --duration 5s --json http://198.18.0.10/
    load_wait pmo-load
    settle
    sent=$(jq .sent "$here/pmo-load")
    equal "served by front" "$(served front | awk '{ n += $4 } END { print n }')" "$sent"
    equal "called by front" "$(called front)" "$(served catalog)"
    equal "called by front" "$(called front | awk '{ n += $4 } END { print n }')" "$sent"
    equal "called by catalog" "$(called catalog)" ""
    equal "graph" "$(api /v1/graph | jq -c '[.edges[] | [.from, .to, .totals.answered]]')" \
        "[[\"front\",\"catalog\",$sent]]"
    equal "called by its instances" "$(for n in 1 2; do
        api "/v1/types?service=front&instance=front-$n" |
            jq '[.types[] | select(.direction == "outbound") | .totals.arrived] | add'
    done | awk '$1 > 0 { n += $1; both++ } END { print both, n }')" "2 $sent"
}

calls_are_not_counted_where_no_policy_says_so() {
    nginx_start
    proxy_start
    agent_start --mode observe
    load_start h2load h2load --h1 -n 4000 -c 20 "${paths[@]/#/$proxy_url}"
    load_wait h2load
    settle
    expect_shares 4000
    equal "called by the proxy" "$(called "$proxy")" ""
    equal "calls in /metrics" "$(api /metrics | grep -c '^pmo_calls_total{\|^http_client')" 0
}
