# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Zones of a cluster's nodes, told by a real kube-apiserver and etcd. No Debian package has the
# former: KUBE_BIN_DIR is the directory that it is in. Nodes are objects only, nobody runs on them.

kube_type=json

# kube ARGUMENT...: asks the API server as its administrator
kube() {
    curl -sS --fail-with-body --cacert "$here/ca.crt" -H "Authorization: Bearer admin-token" \
        -H "Content-Type: application/$kube_type" "$@"
}

# kube_patch PATH: changes an object by what standard input says
kube_patch() {
    kube_type=merge-patch+json kube -o "$here/answer" -X PATCH --data @- "$kube_url$1" ||
        complain "$1: $(jq -r .message "$here/answer")"
}

certificates_make() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout "$here/ca.key" \
        -out "$here/ca.crt"
    openssl req -newkey rsa:2048 -nodes -subj /CN=kube-apiserver -keyout "$here/api.key" \
        -out "$here/api.csr"
    openssl x509 -req -in "$here/api.csr" -CA "$here/ca.crt" -CAkey "$here/ca.key" -CAcreateserial \
        -days 2 -out "$here/api.crt" -extfile <(echo 'subjectAltName=IP:127.0.0.1')
    openssl genrsa -out "$here/account.key" 2048
} 2>/dev/null

# apiserver_start: sets $kube_url and $apiserver
apiserver_start() {
    local port=$((20000 + RANDOM % 8000))
    [ -x "${KUBE_BIN_DIR:-}/kube-apiserver" ] ||
        give_up "there is no kube-apiserver in \"${KUBE_BIN_DIR:-}\": set KUBE_BIN_DIR to a directory of one (https://dl.k8s.io)"
    command -v etcd >/dev/null || give_up "etcd is missing: apt-get install etcd-server"
    certificates_make
    echo "admin-token,admin,admin,system:masters" >"$here/tokens"
    etcd --data-dir "$here/etcd" --listen-client-urls "http://127.0.0.1:$((port + 1))" \
        --advertise-client-urls "http://127.0.0.1:$((port + 1))" \
        --listen-peer-urls "http://127.0.0.1:$((port + 2))" \
        --initial-advertise-peer-urls "http://127.0.0.1:$((port + 2))" \
        --initial-cluster "default=http://127.0.0.1:$((port + 2))" >"$here/etcd.log" 2>&1 &
    children+=($!)
    "$KUBE_BIN_DIR/kube-apiserver" --etcd-servers="http://127.0.0.1:$((port + 1))" \
        --secure-port="$port" --bind-address=127.0.0.1 --tls-cert-file="$here/api.crt" \
        --tls-private-key-file="$here/api.key" --service-cluster-ip-range=10.96.0.0/16 \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file="$here/account.key" \
        --service-account-signing-key-file="$here/account.key" --token-auth-file="$here/tokens" \
        --authorization-mode=RBAC >"$here/apiserver.log" 2>&1 &
    apiserver=$!
    children+=("$apiserver")
    kube_url=https://127.0.0.1:$port
    until_true 60 kube -o "$here/ready" "$kube_url/readyz" 2>/dev/null ||
        give_up "kube-apiserver is not ready: $(tail -1 "$here/apiserver.log")"
}

# node_make NAME ZONE POD-CIDR ADDRESS
node_make() {
    jq -n --arg name "$1" --arg zone "$2" --arg cidr "$3" '{apiVersion: "v1", kind: "Node",
        metadata: {name: $name, labels: {"topology.kubernetes.io/zone": $zone}},
        spec: {podCIDR: $cidr, podCIDRs: [$cidr]}}' |
        kube -o "$here/answer" --data @- "$kube_url/api/v1/nodes" ||
        complain "node $1: $(jq -r .message "$here/answer")"
    jq -n --arg address "$4" '{status: {addresses: [{type: "InternalIP", address: $address}]}}' |
        kube_patch "/api/v1/nodes/$1/status"
}

# account_make NAME [may-list]: a service account, whose token is in $here/NAME
account_make() {
    local space=$kube_url/api/v1/namespaces/default
    until_true 20 kube -o "$here/answer" "$space" # it makes this namespace itself
    kube -o "$here/answer" --data "{\"metadata\": {\"name\": \"$1\"}}" "$space/serviceaccounts"
    kube --data '{"spec": {"expirationSeconds": 3600}}' "$space/serviceaccounts/$1/token" |
        jq -r .status.token >"$here/$1"
    [ "${2:-}" ] || return 0
    local rbac=$kube_url/apis/rbac.authorization.k8s.io/v1
    kube -o "$here/answer" --data "{\"metadata\": {\"name\": \"$1\"}, \"rules\":
        [{\"apiGroups\": [\"\"], \"resources\": [\"nodes\"], \"verbs\": [\"list\"]}]}" \
        "$rbac/clusterroles"
    kube -o "$here/answer" --data "{\"metadata\": {\"name\": \"$1\"}, \"roleRef\": {\"kind\":
        \"ClusterRole\", \"name\": \"$1\", \"apiGroup\": \"rbac.authorization.k8s.io\"},
        \"subjects\": [{\"kind\": \"ServiceAccount\", \"name\": \"$1\", \"namespace\": \"default\"}]}" \
        "$rbac/clusterrolebindings"
}

# zones_write TOKEN-FILE
zones_write() {
    cat >"$here/zones.yaml" <<END
kubernetes:
  server: $kube_url
  certificateAuthority: $here/ca.crt
  tokenFile: $1
  refresh: 1s
END
}

# asks_from ADDRESS...: a request from each
asks_from() {
    local from
    for from; do curl -s -o "$here/answer" --interface "$from" "$url/"; done
}

# connections_by_zone: "ZONE COUNT" a line
connections_by_zone() {
    api /v1/services | jq -r --arg name "$service" '.services[] | select(.name == $name) |
        .attempts.zones[] | "\(.zone) \(.connections)"' | sort
}

# warned TEXT
warned() {
    grep -q "$1" "$here/agent.log"
}

zones_of_nodes_are_those_that_the_api_server_tells() {
    apiserver_start
    node_make one a 127.1.0.0/16 127.0.0.5
    node_make two b 127.2.0.0/16 127.0.0.6
    account_make reader may-list
    account_make stranger
    nginx_start

    zones_write "$here/stranger"
    agent_start --mode observe --zones "$here/zones.yaml"
    until_true 10 warned "$kube_url answers with status 403: nodes is forbidden.*give it the right" ||
        complain "without the right: $(tail -1 "$here/agent.log")"
    agent_end TERM
    echo wrong >"$here/wrong"
    zones_write "$here/wrong"
    agent_start --mode observe --zones "$here/zones.yaml"
    until_true 10 warned "answers with status 401: Unauthorized; check the token" ||
        complain "with a wrong token: $(tail -1 "$here/agent.log")"
    agent_end TERM

    zones_write "$here/reader"
    agent_start --mode observe --zones "$here/zones.yaml"
    sleep 2
    asks_from 127.1.0.9 127.0.0.5 127.2.3.4 127.0.0.6 127.2.0.1 127.0.0.7
    settle
    equal "connections by zone" "$(connections_by_zone)" $'a 2\nb 3'
    kube_patch /api/v1/nodes/two <<<'{"metadata": {"labels": {"topology.kubernetes.io/zone": "c"}}}'
    kube -o "$here/answer" -X DELETE "$kube_url/api/v1/nodes/one"
    sleep 2
    asks_from 127.1.0.9 127.2.3.4 127.0.0.6
    settle
    equal "connections after the change" "$(connections_by_zone)" $'a 2\nb 3\nc 2'
    end "$apiserver" KILL
    until_true 10 warned "zones of nodes: $kube_url cannot be asked: .*; what it said last is kept" ||
        complain "without a server: $(tail -1 "$here/agent.log")"
    asks_from 127.2.3.4
    settle
    equal "connections without the server" "$(connections_by_zone)" $'a 2\nb 3\nc 3'
    agent_end TERM
}
