# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# HTTP/2 and gRPC: streams are counted as exactly as requests of HTTP/1.1 are.

# Full length takes minutes: PMO_TESTS_LONG=1
h2_requests=200000 grpc_calls=16000
[ -z "${PMO_TESTS_LONG:-}" ] || h2_requests=1000000 grpc_calls=1000000

# protocols: what the service's requests were counted as
protocols() {
    "$build/pmoctl" series --json --socket "$socket" --service "$1" --since "$began" |
        jq -r '[.[].type.protocol] | unique | join(" ")'
}

http2_requests_are_counted_exactly() {
    nginx_listen=http2
    nginx_start
    agent_start --mode observe
    load_start h2load h2load -n $h2_requests -c 20 -m 10 "${paths[@]/#/$url}"
    load_wait h2load
    settle
    expect_answers $h2_requests
    expect_shares $h2_requests
    equal "protocol" "$(protocols "$service")" http2
    equal "of it, in the kernel" "$(http2_left)" "0 streams, 0 connections"
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"
}

# http2_left: what the kernel side keeps for connections that are open
http2_left() {
    local what
    for what in http2_streams http2_connections; do
        bpftool -j map dump pinned "$bpffs/pmo/$what" 2>/dev/null | jq length
    done | paste -sd' ' | sed 's/ / streams, /; s/$/ connections/'
}

http2_requests_are_counted_exactly_when_the_agent_is_killed() {
    nginx_listen=http2
    nginx_start
    agent_start --mode observe
    load_start h2load h2load -n $((h2_requests * 2)) -c 20 -m 10 "${paths[@]/#/$url}"
    agent_killed
    load_wait h2load
    settle
    expect_answers $((h2_requests * 2))
    expect_shares $((h2_requests * 2))
}

h2c_by_upgrade_is_counted_once() {
    local origin
    nginx_start
    origin=$port
    port=$((10000 + RANDOM % 20000)) url='' service=''
    nghttpx --frontend="127.0.0.1,$port;no-tls" --backend="127.0.0.1,$origin" \
        --errorlog-file="$here/nghttpx.log" </dev/null >"$here/nghttpx" 2>&1 &
    children+=($!)
    url=http://127.0.0.1:$port service=nghttpx:$port
    until_true 5 curl -s -o "$here/answer" "$url/" || give_up "nghttpx: $(tail -1 "$here/nghttpx.log")"
    agent_start --mode observe
    for _ in 1 2 3; do
        curl -s --http2 -o "$here/answer" -o "$here/answer" -w '%{http_version} %{http_code}\n' \
            "$url/catalog" "$url/missing" >>"$here/curl" || complain "curl failed"
        curl -s --http2-prior-knowledge -o "$here/answer" "$url/prior" || complain "curl failed"
    done
    settle
    equal "curl's protocol" "$(sort "$here/curl" | uniq -c | tr -s ' ')" "$(
        printf ' %s\n' '3 2 200' '3 2 404')"
    equal "counted" "$(counted "$service" | sort)" \
        "$(printf '%s\n' 'GET /catalog 2xx 3' 'GET /missing 4xx 3' 'GET /prior 2xx 3')"
}

# grpc_start: a server at $address
grpc_start() {
    port=$((10000 + RANDOM % 20000))
    "${at_server[@]}" /usr/bin/python3 tests/e2e/grpc_peer.py serve "$address:$port" \
        >"$here/server" 2>&1 &
    children+=($!)
    until_true 10 grep -q ready "$here/server" || give_up "gRPC server: $(tail -1 "$here/server")"
    service=python3:$port
}

# grpc_call CALLS [COMMAND]: and what has to come of them, whatever COMMAND does meanwhile
grpc_call() {
    local eighth=$(($1 / 8))
    load_start calls "${at_client[@]}" /usr/bin/python3 tests/e2e/grpc_peer.py call \
        "$address:$port" "$1"
    "${@:2}"
    load_wait calls
    settle
    equal "the client's own count" "$(cat "$here/calls")" "$(
        echo "Get INTERNAL $eighth"
        echo "Get NOT_FOUND $eighth"
        echo "Get OK $((eighth * 5))"
        echo "Watch OK $eighth"
    )"
    equal "counted" "$(counted "$service" | sort)" "$(
        echo "POST /shop.Cart/Get 2xx $((eighth * 5))"
        echo "POST /shop.Cart/Get 4xx $eighth"
        echo "POST /shop.Cart/Get 5xx $eighth"
        echo "POST /shop.Cart/Watch 2xx $eighth"
    )"
    equal "protocol" "$(protocols "$service")" grpc
}

grpc_calls_are_counted_by_their_grpc_status() {
    grpc_start
    agent_start --mode observe
    grpc_call $grpc_calls agent_killed
}
