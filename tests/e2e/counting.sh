# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Requests sent are requests counted, exactly.

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
    load_start h2load h2load --h1 -n 1000000 -c 20 "${paths[@]/#/$url}"
    load_wait h2load
    settle
    expect_answers 1000000
    expect_shares 1000000
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"
}

accepted() {
    curl -s "$url/status" | awk 'NR == 3 { print $1 }'
}

requests_on_connections_of_their_own_are_counted_exactly() {
    local requests=1000000 before after sent
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

no_request_is_lost_or_counted_twice_when_the_agent_is_killed() {
    nginx_start
    agent_start --mode observe
    load_start h2load h2load --h1 -n 1000000 -c 20 "${paths[@]/#/$url}"
    until_true 60 has_counted 400000 || give_up "400,000 requests take more than a minute"
    agent_end KILL
    ! has_ended "$load" || complain "the agent was killed too late for the test"
    sleep 2.3
    agent_start --mode observe
    ! has_ended "$load" || complain "the next agent came too late for the test"
    load_wait h2load
    settle
    expect_answers 1000000
    expect_shares 1000000
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
