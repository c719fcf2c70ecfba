# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Headers that a policy names: what a user of pmoctl types, the API and /metrics sees.

# headers_policy: a configuration that names two for $service
headers_policy() {
    cat >"$here/headers.yaml" <<END
apiVersion: pmo.dev/v1alpha1
kind: OrchestrationPolicy
metadata: {name: headers}
spec:
  target: {service: "$service"}
  observe:
    headers:
      - {name: X-Tenant, values: [acme, umbrella]}
      - {name: x-feature, hash: true}
END
}

# by_header: lines "NAME VALUE COUNT", sorted
by_header() {
    api "/v1/types?service=$service" | jq -r '.headers[] | "\(.name) \(.value) \(.requests)"' | sort
}

ask_with_headers() {
    local i
    for i in 1 2 3 4 5; do
        curl -s -o "$here/answer" -H 'X-Tenant: acme' "$url/a" "$url/b"
    done
    curl -s -o "$here/answer" -H 'x-tenant: umbrella' -H 'X-Feature: dark' "$url/a"
    curl -s -o "$here/answer" -H 'X-Tenant: secret' -H 'X-Tenant-Id: acme' "$url/a"
    curl -s -o "$here/answer" "$url/a"
    settle
}

requests_are_counted_by_headers_that_a_policy_names() {
    nginx_start
    headers_policy
    agent_start --mode observe --config "$here/headers.yaml"
    ask_with_headers
    equal "by header" "$(by_header | sed 's/ [0-9a-f]\{8\} / HASH /')" "x-feature HASH 1
x-tenant acme 10
x-tenant umbrella 1
x-tenant {other} 1"
    equal "counted" "$(counted "$service" | grep -v ' /status ' | awk '{ n += $4 } END { print n }')" 13
    "$build/pmoctl" types --socket "$socket" --service "$service" >"$here/table"
    grep -q '^x-tenant  *acme  *[0-9.]*  *10$' "$here/table" || complain "$(cat "$here/table")"
    api /metrics >"$here/metrics"
    grep -qF "pmo_header_requests_total{service=\"$service\",header=\"x-tenant\",value=\"acme\"} 10" \
        "$here/metrics" || complain "$(grep header_requests "$here/metrics")"
    api "/v1/types?service=$service" >>"$here/metrics"
    ! grep -qE 'secret|dark' "$here/metrics" || complain "a value left the kernel"
}

headers_of_http2_are_counted_exactly() {
    local i
    nginx_listen=http2
    nginx_start
    headers_policy
    agent_start --mode observe --config "$here/headers.yaml"
    load_start h2load h2load -n 20000 -c 10 -m 10 -H 'X-Tenant: umbrella' -H 'x-feature: dark' \
        "${paths[@]/#/$url}"
    load_wait h2load
    for i in 1 2 3 4 5; do
        curl -s --http2-prior-knowledge -o "$here/answer" -H 'X-Tenant: acme' "$url/a"
    done
    curl -s --http2-prior-knowledge -o "$here/answer" -H 'X-Tenant: secret' "$url/a"
    curl -s --http2-prior-knowledge -o "$here/answer" -H 'X-Tenant-Id: acme' "$url/a"
    settle
    equal "by header" "$(by_header | sed 's/ [0-9a-f]\{8\} / HASH /')" "x-feature HASH 20000
x-tenant acme 5
x-tenant umbrella 20000
x-tenant {other} 1"
}

headers_of_http2_inside_tls_are_those_of_http1() {
    nginx_start_tls http2
    headers_policy
    agent_start --mode observe --config "$here/headers.yaml"
    until_true 15 is_read || give_up "nginx is not read"
    curl -sk --http1.1 -o "$here/answer" -H 'X-Tenant: acme' -H 'X-Feature: dark' "$url/a"
    curl -sk --http2 -o "$here/answer" -o "$here/answer" -w '%{http_version}\n' \
        -H 'X-Tenant: acme' -H 'X-Feature: dark' "$url/a" "$url/b" >"$here/curl"
    settle
    equal "curl's protocol" "$(uniq "$here/curl")" 2
    equal "by header" "$(by_header | sed 's/ [0-9a-f]\{8\} / HASH /')" "x-feature HASH 3
x-tenant acme 3"
}

headers_of_grpc_are_its_metadata() {
    grpc_start
    headers_policy
    agent_start --mode observe --config "$here/headers.yaml"
    /usr/bin/python3 tests/e2e/grpc_peer.py call "$address:$port" 800 x-tenant=acme x-feature=dark \
        >"$here/calls" || complain "the client failed"
    settle
    equal "by header" "$(by_header | sed 's/ [0-9a-f]\{8\} / HASH /')" "x-feature HASH 800
x-tenant acme 800"
    equal "protocol" "$(protocols "$service")" grpc
}

headers_are_not_counted_where_no_policy_names_them() {
    nginx_start
    agent_start --mode observe
    ask_with_headers
    equal "by header" "$(by_header)" ""
    equal "counted" "$(counted "$service" | grep -v ' /status ' | awk '{ n += $4 } END { print n }')" 13
}
