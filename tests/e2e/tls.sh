# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Requests inside TLS, whoever encrypts them: counted as exactly as those in the clear, and once.

tls_requests=40000
[ -z "${PMO_TESTS_LONG:-}" ] || tls_requests=1000000

# certificate: $here/key.pem and $here/cert.pem
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -keyout "$here/key.pem" -out "$here/cert.pem" -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>"$here/openssl" ||
        give_up "openssl: $(tail -1 "$here/openssl")"
}

# nginx_start_tls [PARAMETER]: as nginx_start, with TLS; where the agent is there, it reads it
nginx_start_tls() {
    certificate
    nginx_listen="ssl $*; ssl_certificate $here/cert.pem; ssl_certificate_key $here/key.pem"
    nginx_start
    [ -z "$agent" ] || until_true 15 is_read || give_up "nginx is not read"
}

# tls_server_start NAME COMMAND...: a server that listens on $port, which it is told, and answers
# https; sets $url and $service. The agent, which is there before, needs some time to find it: what
# began before is joined in its middle.
tls_server_start() {
    local name=$1
    shift
    "$@" >"$here/server" 2>&1 &
    children+=($!)
    url=https://127.0.0.1:$port service=$name:$port
    until_true 15 is_read || give_up "$name is not read: $(tail -2 "$here/server")"
    holes=$(tls_counts | cut -d ' ' -f 3) began=$(($(date +%s) + 1))
    sleep 1.5
}

is_read() {
    "${at_client[@]}" curl -sk -o "$here/answer" "$url/status" && [ "$(tls_counts | cut -d ' ' -f 2)" -gt 0 ]
}

# tls_counts: "CONNECTIONS READ HOLES", as the agent knows
tls_counts() {
    "$build/pmoctl" status --json --socket "$socket" |
        jq -r '.totals | "\(.tls) \(.tlsRead) \(.holes)"'
}

https_requests_are_counted_exactly_when_the_agent_is_killed() {
    nginx_start_tls
    agent_start --mode observe
    load_start h2load h2load --h1 -n $((tls_requests * 2)) -c 20 "${paths[@]/#/$url}"
    agent_killed
    load_wait h2load
    settle
    expect_answers $((tls_requests * 2))
    expect_shares $((tls_requests * 2))
    equal "protocol" "$(protocols "$service")" http1
    curl -sk -o "$here/answer" "$url/later"
    settle
    equal "connections, read, holes" "$(tls_counts)" "21 21 0"
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"
}

http2_over_tls_is_counted_exactly_when_the_agent_is_killed() {
    nginx_start_tls http2
    agent_start --mode observe
    load_start h2load h2load -n $((tls_requests * 2)) -c 20 -m 10 "${paths[@]/#/$url}"
    agent_killed
    load_wait h2load
    settle
    grep -q '^Application protocol: h2$' "$here/h2load" || complain "h2load spoke no h2"
    expect_answers $((tls_requests * 2))
    expect_shares $((tls_requests * 2))
    equal "protocol" "$(protocols "$service")" http2
    equal "of it, in the kernel" "$(http2_left)" "0 streams, 0 connections"
    figure "$(grep -o '[0-9.]* req/s' "$here/h2load")"
}

# A library's objects are at the same addresses again and again.
https_requests_on_connections_of_their_own_are_counted_exactly() {
    nginx_start_tls
    agent_start --mode observe
    load_start h2load h2load --h1 -n 4000 -c 10 -H 'Connection: close' "${paths[@]/#/$url}"
    load_wait h2load
    settle
    expect_answers 4000
    expect_shares 4000
    equal "sessions left in the kernel" "$(tls_left)" "0 0"
}

# tls_left: sessions and sockets that the kernel side knows
tls_left() {
    local what
    for what in tls_sessions tls_sockets; do
        bpftool -j map dump pinned "$bpffs/pmo/$what" 2>/dev/null | jq length
    done | paste -sd' '
}

# The file that a server in a mount namespace of its own uses has the name of another one here.
a_library_in_another_mount_namespace_is_found() {
    local library
    library=$(ldd "$(command -v nginx)" | awk '/libssl/ { print $3 }')
    cp "$library" "$here/libssl"
    cat >"$here/contain" <<END
mount --bind "$here/libssl" "$(realpath "$library")" && exec "\$@"
END
    at_server=(unshare --mount bash "$here/contain")
    agent_start --mode observe # before the server, so that it is found when it begins to listen
    nginx_start_tls
    load_start h2load h2load --h1 -n 4000 -c 4 "${paths[@]/#/$url}"
    load_wait h2load
    settle
    expect_shares 4000
}

# expect_requests PROTOCOL COUNT...: so many were counted for /counted/42 of $service
expect_requests() {
    settle
    equal "counted" "$("$build/pmoctl" series --json --socket "$socket" --service "$service" \
        --since "$began" | jq -r 'group_by(.type)[] | "\(.[0].type | "\(.protocol) \(.route) \(.status_class)") \(
            map(.count) | add)"' | grep -v ' /status ')" "$(printf '%s /counted/{id} 2xx %s\n' "$@")"
    equal "holes" "$(tls_counts | cut -d ' ' -f 3)" "$holes"
}

gnutls_is_read() {
    certificate
    port=$((10000 + RANDOM % 20000))
    agent_start --mode observe
    tls_server_start gnutls-serv gnutls-serv --http --quiet --port "$port" \
        --x509keyfile "$here/key.pem" --x509certfile "$here/cert.pem"
    for _ in {1..25}; do
        curl -sk -o "$here/answer" "$url/counted/42" || complain "curl failed"
    done
    expect_requests http1 25
}

# SSL_read_ex() and SSL_write_ex()
python_is_read() {
    certificate
    port=$((10000 + RANDOM % 20000))
    cat >"$here/server.py" <<END
import http.server, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # heads and bodies are written apart
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"yes")
server = http.server.ThreadingHTTPServer(("127.0.0.1", $port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("$here/cert.pem", "$here/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
END
    agent_start --mode observe
    tls_server_start python3 /usr/bin/python3 "$here/server.py"
    load_start h2load h2load --h1 -n 3000 -c 5 "$url/counted/42"
    load_wait h2load
    expect_requests http1 3000
}

# It moves the bytes between socket and library itself.
node_is_read() {
    certificate
    port=$((10000 + RANDOM % 20000))
    cat >"$here/server.js" <<END
const fs = require('fs');
const options = {key: fs.readFileSync('$here/key.pem'), cert: fs.readFileSync('$here/cert.pem'),
                 allowHTTP1: true};
require('http2').createSecureServer(options, (request, response) => response.end('yes'))
    .listen($port, '127.0.0.1');
END
    agent_start --mode observe
    tls_server_start node node "$here/server.js"
    for protocol in --h1 ''; do
        load_start h2load h2load $protocol -n 4000 -c 8 "$url/counted/42"
        load_wait h2load
    done
    expect_requests http1 4000 http2 4000
}

# go_build NAME: $here/NAME of tests/e2e/NAME.go
go_build() {
    (cd tests/e2e && GOCACHE=$here/go GO111MODULE=off go build -o "$here/$1" "$1.go") \
        >"$here/build" 2>&1 || give_up "go build: $(tail -2 "$here/build")"
}

go_is_read() {
    certificate
    port=$((10000 + RANDOM % 20000))
    go_build tls_server
    agent_start --mode observe
    tls_server_start tls_server "$here/tls_server" "127.0.0.1:$port" "$here/cert.pem" "$here/key.pem"
    for protocol in --h1 ''; do
        load_start h2load h2load $protocol -n 20000 -c 16 "$url/counted/42"
        load_wait h2load
    done
    expect_requests http1 20000 http2 20000
}

boringssl_is_read() {
    certificate
    port=$((10000 + RANDOM % 20000))
    agent_start --mode observe
    tls_server_start tls_boringssl "$build/e2e/tls_boringssl" "$port" "$here/cert.pem" "$here/key.pem"
    load_start h2load h2load --h1 -n 2000 -c 1 "$url/counted/42"
    load_wait h2load
    expect_requests http1 2000
}

a_library_that_is_linked_in_is_read() {
    certificate
    port=$((10000 + RANDOM % 20000))
    agent_start --mode observe
    tls_server_start tls_static "$build/e2e/tls_static" "$port" "$here/cert.pem" "$here/key.pem"
    ! ldd "$build/e2e/tls_static" | grep -q ssl || complain "OpenSSL is not linked into it"
    load_start h2load h2load --h1 -n 2000 -c 1 "$url/counted/42"
    load_wait h2load
    expect_requests http1 2000
}
