# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Requests sent are requests counted, exactly.

# Full length takes minutes: PMO_TESTS_LONG=1
h1_requests=250000
[ -z "${PMO_TESTS_LONG:-}" ] || h1_requests=1000000

# h2load takes the URLs of each connection in turn, so that each gets an equal share.
paths=(/ /catalog /items/7 /missing)

# expect_shares OF: each path was counted for its share of so many requests
expect_shares() {
    equal "counted" "$(counted "$service" | grep -v ' /status ')" "$(
        echo "GET / 2xx $(($1 / 4))"
        echo "GET /catalog 2xx $(($1 / 4))"
        echo "GET /items/{id} 2xx $(($1 / 4))"
        echo "GET /missing 4xx $(($1 / 4))"
    )"
}

# expect_answers OF: h2load got its answers
expect_answers() {
    equal "h2load's own count" "$(grep '^status codes' "$here/h2load")" \
        "status codes: $(($1 * 3 / 4)) 2xx, 0 3xx, $(($1 / 4)) 4xx, 0 5xx"
}

keep_alive_requests_are_counted_exactly() {
    nginx_start
    agent_start --mode observe
    load_start h2load h2load --h1 -n $h1_requests -c 20 "${paths[@]/#/$url}"
    load_wait h2load
    settle
    expect_answers $h1_requests
    expect_shares $h1_requests
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"
}

accepted() {
    curl -s "$url/status" | awk 'NR == 3 { print $1 }'
}

requests_on_connections_of_their_own_are_counted_exactly() {
    local requests=80000 before after sent
    [ -z "${PMO_TESTS_LONG:-}" ] || requests=1000000
    nginx_start
    agent_start --mode observe
    before=$(accepted)
    load_start h2load h2load --h1 -n $requests -c 10 -H 'Connection: close' "${paths[@]/#/$url}"
    load_wait h2load
    after=$(accepted)
    # h2load opens a connection ahead of need, and at its end each client has one that is unused
    [ $((after - before)) -ge $requests ] ||
        complain "only $((after - before)) connections for $requests requests"
    settle
    expect_answers $requests
    expect_shares $requests
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"

    began=$(($(date +%s) + 1))
    sleep 1.5
    load_start pmo-load "$build/pmo-load" --rate 4000 --duration 5s --connections new --even --json \
        "$url/again"
    load_wait pmo-load
    settle
    sent=$(jq .sent "$here/pmo-load")
    equal "pmo-load's answers" "$(jq -r '.status["2xx"]' "$here/pmo-load")" 20000
    equal "counted" "$(counted "$service")" "GET /again 2xx $sent"
}

total() {
    counted "$service" | grep -v ' /status ' | awk '{ n += $4 } END { print n + 0 }'
}

has_counted() {
    [ "$(total)" -ge "$1" ]
}

# agent_killed [OPTION]...: kills the agent while $load runs, and starts the next one while it still
# does. How long the load takes is a matter of the machine: it halts while an agent is waited for.
agent_killed() {
    until_load_is_counted || give_up "nothing is counted"
    kill -CONT "$load"
    sleep .1
    agent_end KILL
    sleep .5
    kill -STOP "$load"
    ! has_ended "$load" || complain "the load was over before the next agent"
    agent_start --mode observe "$@"
    kill -CONT "$load"
}

# It goes on in short turns, and a count takes two seconds.
until_load_is_counted() {
    local turn
    for turn in {1..20}; do
        kill -CONT "$load"
        sleep .4
        kill -STOP "$load"
        ! until_true 3 has_counted 1 || return 0
    done
    return 1
}

no_request_is_lost_or_counted_twice_when_the_agent_is_killed() {
    nginx_start
    agent_start --mode observe
    load_start h2load h2load --h1 -n $h1_requests -c 20 "${paths[@]/#/$url}"
    agent_killed
    load_wait h2load
    settle
    expect_answers $h1_requests
    expect_shares $h1_requests
}

# tcp_send: standard input to nginx on a connection that is closed at its end
tcp_send() {
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    cat >&3
    exec 3>&-
}

broken_requests_do_not_disturb_the_count() {
    local long
    long=$(head -c 65535 /dev/zero | tr '\0' x)
    nginx_start
    agent_start --mode observe
    load_start pmo-load "$build/pmo-load" --rate 500 --duration 5s --connections reuse --even --json \
        "$url/good"
    for _ in $(seq 20); do
        printf 'GET /truncated HTTP/1.1\r\nHost: loc' | tcp_send
        printf 'GET' | tcp_send
        printf 'POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf' | tcp_send
        head -c 3000 /dev/urandom | tcp_send
        printf '\0\r\n\r\n\r\n GET / HTTP/1.1\r\n\r\n' | tcp_send
        printf 'GET /%s HTTP/1.1\r\n' "$long$long$long$long$long" | tcp_send
        curl -s -o "$here/answer" --max-time 5 "$url/missing/$long" ||
            complain "nginx did not answer a path of 64 KiB"
        sleep .05
    done
    load_wait pmo-load
    settle
    equal "pmo-load's answers" "$(jq -r '.status["2xx"]' "$here/pmo-load")" 2500
    equal "good requests counted" "$(counted "$service" | grep ' /good ')" "GET /good 2xx 2500"
    equal "paths of 64 KiB counted" "$(counted "$service" | grep '^GET /missing/.* 4xx ' |
        awk '{ n += $4 } END { print n + 0 }')" 20
}

# lossy_begin LOSS REORDER DUPLICATE: a bad network between nginx and its clients
lossy_begin() {
    local n seed=${PMO_TESTS_SEED:-$RANDOM}
    figure "seed $seed"
    for n in 0 1; do
        ip netns add "lossy-$n-$$" || give_up "no network namespace"
        namespaces+=("lossy-$n-$$")
    done
    "$build/e2e/impair" "/run/netns/lossy-0-$$" "/run/netns/lossy-1-$$" "$@" "$seed" \
        >"$here/impair" 2>&1 &
    impair=$!
    children+=("$impair")
    until_true 5 grep -q ready "$here/impair" || give_up "$(cat "$here/impair")"
    for n in 0 1; do
        ip -n "lossy-$n-$$" address add 198.18.0.$((n + 1))/24 dev lossy
        ip -n "lossy-$n-$$" link set lossy up
    done
    address=198.18.0.1
    at_server=(ip netns exec "lossy-0-$$") at_client=(ip netns exec "lossy-1-$$")
}

# Those with a body come in several segments each, whose order matters.
requests_over_a_lossy_network_are_counted_exactly() {
    local requests=50000 method body loads=()
    [ -z "${PMO_TESTS_LONG:-}" ] || requests=500000
    head -c 6000 /dev/urandom >"$here/upload"
    lossy_begin 5 5 2
    agent_start --mode observe
    nginx_start
    for method in GET POST; do
        body=()
        [ $method = GET ] || body=(-d "$here/upload")
        load_start $method "${at_client[@]}" h2load --h1 -n $requests -c 250 "${body[@]}" \
            "${paths[@]/#/$url}"
        loads+=("$load")
    done
    agent_killed
    for load in "${loads[@]}"; do wait "$load" || complain "h2load ended with status $?"; done
    settle
    for method in GET POST; do
        cp "$here/$method" "$here/h2load"
        expect_answers $requests
        figure "$method: $(grep -o '[0-9.]* req/s' "$here/h2load")"
    done
    equal "counted" "$(counted "$service" | grep -v ' /status ')" "$(
        for method in GET POST; do
            echo "$method / 2xx $((requests / 4))"
            echo "$method /catalog 2xx $((requests / 4))"
            echo "$method /items/{id} 2xx $((requests / 4))"
            echo "$method /missing 4xx $((requests / 4))"
        done
    )"
    end "$impair" TERM
    figure "$(tail -1 "$here/impair")"
}

# lossy_multiplexed REQUESTS: many streams on each connection, and an agent that is killed
lossy_multiplexed() {
    load_start h2load "${at_client[@]}" h2load -n "$1" -c 50 -m 10 "${paths[@]/#/$url}"
    agent_killed
    load_wait h2load
    settle
    expect_answers "$1"
    expect_shares "$1"
    equal "protocol" "$(protocols "$service")" http2
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"
    end "$impair" TERM
    figure "$(tail -1 "$here/impair")"
}

http2_over_a_lossy_network_is_counted_exactly() {
    lossy_begin 5 5 2
    agent_start --mode observe # first: it finds who begins to listen in another namespace
    nginx_listen=http2
    nginx_start
    lossy_multiplexed $([ -z "${PMO_TESTS_LONG:-}" ] && echo 100000 || echo 1000000)
}

http2_inside_tls_over_a_lossy_network_is_counted_exactly() {
    lossy_begin 5 5 2
    agent_start --mode observe
    nginx_start_tls http2
    lossy_multiplexed $([ -z "${PMO_TESTS_LONG:-}" ] && echo 100000 || echo 1000000)
}

grpc_over_a_lossy_network_is_counted_exactly() {
    local calls=800
    lossy_begin 5 5 2
    agent_start --mode observe
    grpc_start
    grpc_call $calls
    end "$impair" TERM
    figure "$(tail -1 "$here/impair")"
}
