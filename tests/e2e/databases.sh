# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Commands of databases and caches: counted as often as the servers themselves, or their own
# clients, say they were. Each server is Debian's.

free_port() {
    port=''
    while [ -z "$port" ] || (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((10000 + RANDOM % 20000))
    done
}

listens() {
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

# server_start NAME COMMAND...: of the service NAME:$port
server_start() {
    local name=$1
    shift
    "$@" >"$here/server.log" 2>&1 &
    children+=($!)
    service=$name:$port
    until_true 15 listens || give_up "$name does not listen: $(tail -1 "$here/server.log")"
}

# What Redis has counted itself, as lines of counted(); what failed is in no second place there.
redis_counted() {
    redis-cli -p "$port" info commandstats | tr -d '\r' |
        sed -n 's/^cmdstat_\([a-z]*\)[^:]*:calls=\([0-9]*\),.*failed_calls=\([0-9]*\)$/\1 \2 \3/p' |
        awk '{ name = toupper($1); ok[name] += $2 - $3; bad[name] += $3 }
            END { for (n in ok) { if (ok[n]) print "OTHER", n, "2xx", ok[n]; if (bad[n]) print "OTHER", n, "5xx", bad[n] } }' |
        grep -v ' INFO ' | sort
}

redis_commands_are_counted_exactly_when_the_agent_is_killed() {
    free_port
    server_start redis-server redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$here"
    agent_start --mode observe
    load_start redis-benchmark redis-benchmark -p "$port" -n 80000 -c 20 -t set,get,incr,lrange_100 -q
    agent_killed
    load_wait redis-benchmark
    redis-benchmark -p "$port" -n 20000 -P 16 -c 5 -t sadd,hset,mset -q >/dev/null # pipelined
    {
        echo 'set text abc'
        echo 'lpush text x' # the wrong type
        echo 'nonsense'
        echo 'multi'
        echo 'get text'
        echo 'exec'
        echo 'eval "return {1,{2,{3}},false}" 0'
    } | redis-cli -p "$port" >/dev/null
    redis-cli -3 -p "$port" hgetall nothing >/dev/null
    printf 'PING\r\nset inline 1\r\nquit\r\n' | curl -s "telnet://127.0.0.1:$port" >/dev/null
    redis_counted >"$here/expected"
    settle
    # what is no command has no statistics; the last one is the reading of all this
    equal "counted" "$(counted "$service" | grep -v -e NONSENSE -e ' INFO ' | sort)" "$(cat "$here/expected")"
    equal "no command" "$(counted "$service" | grep NONSENSE)" "OTHER NONSENSE 5xx 1"
}

memcached_commands_are_counted_exactly() {
    free_port
    server_start memcached memcached -u nobody -l 127.0.0.1 -p "$port"
    agent_start --mode observe
    python3 - "$port" <<'END' || give_up "the client failed"
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
f = s.makefile("rb")
def ask(text, last=None):
    s.sendall(text)
    while True:
        line = f.readline()
        if last is None or line.startswith(last):
            return line
block = b"get fake\r\n" * 500  # is no command in a block
for i in range(2000):
    assert ask(b"set key%d 0 0 %d\r\n%s\r\n" % (i % 50, len(block), block)) == b"STORED\r\n"
    ask(b"get key%d key%d none\r\n" % (i % 50, (i + 1) % 50), b"END")
for i in range(100):
    s.sendall(b"incr none 1\r\ndelete none\r\nmg key1 v\r\n" * 3)
    for _ in range(3):
        assert f.readline() == b"NOT_FOUND\r\n" and f.readline() == b"NOT_FOUND\r\n"
        assert f.readline() == b"VA %d\r\n" % len(block)
        f.read(len(block) + 2)
for i in range(10):
    assert ask(b"nonsense\r\n") == b"ERROR\r\n"
END
    settle
    equal "counted" "$(counted "$service" | sort)" "$(
        echo "OTHER DELETE 2xx 300"
        echo "OTHER GET 2xx 2000"
        echo "OTHER INCR 2xx 300"
        echo "OTHER MG 2xx 300"
        echo "OTHER NONSENSE 5xx 10"
        echo "OTHER SET 2xx 2000"
    )"
}

# as_postgres COMMAND...: its server does not run as root
as_postgres() {
    setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
}

postgresql_statements_are_counted_exactly() {
    local bin data=$here/data
    bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
    chmod 755 "$here" && mkdir "$data" && chown postgres "$data"
    (cd / && as_postgres "$bin/initdb" -D "$data" -A trust -N >/dev/null) || give_up "no initdb"
    free_port
    server_start postgres as_postgres "$bin/postgres" -D "$data" -p "$port" -F \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories=
    agent_start --mode observe
    export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGSSLMODE=disable
    until_true 10 psql -qc 'create table t as select generate_series(1, 1000) a' || give_up "no psql"
    echo 'select a from t where a = 5;' >"$here/script"
    for mode in simple extended prepared; do
        pgbench -n -M $mode -c 4 -t 500 -f "$here/script" postgres >"$here/pgbench" 2>&1 ||
            give_up "pgbench: $(tail -1 "$here/pgbench")"
    done
    PGSSLMODE=prefer psql -q >/dev/null 2>&1 <<'END'
selec nonsense;
/* a comment */ select 1;
insert into t values (1); update t set a = 2 where a = 1; delete from t where a = 2;
copy t to stdout;
END
    settle
    # pgbench prepares its statement once a client, and looks at the server first
    equal "counted" "$(counted "$service" | sort)" "$(
        echo "OTHER COPY 2xx 1"
        echo "OTHER CREATE 2xx 1"
        echo "OTHER DELETE 2xx 1"
        echo "OTHER EXECUTE 2xx 2000"
        echo "OTHER INSERT 2xx 1"
        echo "OTHER QUERY 2xx 1"
        echo "OTHER SELEC 5xx 1"
        echo "OTHER SELECT 2xx 4004"
        echo "OTHER STARTUP 2xx $((2 + 3 * 5))"
        echo "OTHER UPDATE 2xx 1"
    )"
}

# mysql_counted NAME...: what MariaDB has counted itself
mysql_counted() {
    local name
    for name; do
        mariadb -S "$here/data/socket" -BN -e "show global status like 'Com_$name'" | cut -f 2
    done
}

mysql_in_tls() {
    mariadb "${client[@]}" --ssl --skip-ssl-verify-server-cert -e "$1" d &&
        [ "$(tls_counts | cut -d ' ' -f 2)" -gt 0 ]
}

mysql_statements_are_counted_exactly() {
    local data=$here/data client counts
    chmod 755 "$here" && mkdir "$data" && chown mysql "$data"
    certificate
    chmod 644 "$here/key.pem"
    free_port
    server_start mariadbd mariadbd --no-defaults --user=mysql --datadir="$data" --port="$port" \
        --bind-address=127.0.0.1 --socket="$data/socket" --max-allowed-packet=64M --local-infile \
        --ssl-cert="$here/cert.pem" --ssl-key="$here/key.pem" --skip-grant-tables
    mariadb -S "$data/socket" <<'END' || give_up "no client"
create database d;
create table d.t (a int);
insert into d.t select seq from d.seq_1_to_1000;
END
    agent_start --mode observe
    client=(--no-defaults -h 127.0.0.1 -P "$port" -u client -psecret)
    mariadb-slap "${client[@]}" --skip-ssl --create-schema=d --no-drop -c 4 --number-of-queries 4000 \
        --query 'select a from t where a < 20' >"$here/slap" || give_up "mariadb-slap"
    seq 700000 >"$here/rows"
    perl - "$port" "$here/rows" <<'END' >"$here/client" 2>&1 || give_up "the client: $(tail -1 "$here/client")"
use DBI;
my ($port, $rows) = @ARGV;
my $at = "DBI:MariaDB:host=127.0.0.1;port=$port;database=d;mariadb_multi_statements=1;" .
    "mariadb_local_infile=1";
my $db = DBI->connect($at, "client", "secret", {RaiseError => 1, PrintError => 0});
my $s = $db->prepare("select a from t where a < ?", {mariadb_server_prepare => 1});
for (1 .. 300) { $s->execute($_); @{$s->fetchall_arrayref()} == $_ - 1 or die; }
$s->finish();
$db->do("insert into t values (?)", {mariadb_server_prepare => 1}, -1) for 1 .. 10;
eval { $db->do("selec nonsense") } and die;
$db->do("/* a comment */ select 1");
$db->do("update t set a = -2 where a = -1; delete from t where a = -2"); # one request
$s = $db->prepare("select 1; select a from t; select 3"); # three results
$s->execute();
1 while $s->more_results();
$db->do("create table u (a int)");
$db->do("load data local infile '$rows' into table u");
$db->selectrow_array("select count(*) from u") == 700000 or die;
my $long = "x" x (17 << 20); # two packets of a client, and of the server
($db->selectrow_array("select '$long'"))[0] eq $long or die;
$db->ping() for 1 .. 20;
END
    # a library is read from a moment after its first connection on
    until_true 15 mysql_in_tls 'do 1' || give_up "MariaDB is not read inside TLS"
    for _ in {1..5}; do mysql_in_tls 'insert into t values (1)' || give_up "no TLS"; done
    settle
    mapfile -t counts < <(mysql_counted select insert update load create_table set_option \
        stmt_prepare stmt_execute)
    # what was prepared is counted by the server as what it is, too, and what came with another
    # statement by itself; a SELECT was behind a comment
    counts[0]=$((counts[0] - 300 - 2 - 1))
    equal "counted" "$(counted "$service" | grep -v -e ' DO ' -e ' CONNECT ' | sort)" "$(
        echo "OTHER CREATE 2xx $((counts[4] - 1))"
        echo "OTHER EXECUTE 2xx ${counts[7]}"
        echo "OTHER INSERT 2xx $((counts[1] - 10))"
        echo "OTHER LOAD 2xx ${counts[3]}"
        echo "OTHER PING 2xx 20"
        echo "OTHER PREPARE 2xx ${counts[6]}"
        echo "OTHER QUERY 2xx 1"
        echo "OTHER SELEC 5xx 1"
        echo "OTHER SELECT 2xx ${counts[0]}"
        echo "OTHER SET 2xx ${counts[5]}"
        echo "OTHER UPDATE 2xx ${counts[2]}"
    )"
    equal "SELECT" "${counts[0]}" 4003
}

# dns_ask COUNT NAME TYPE OPTION...
dns_ask() {
    local count=$1 name=$2 type=$3
    shift 3
    yes "$name $type" | head -n "$count" >"$here/names"
    dig -p "$port" +tries=1 "$@" -f "$here/names" >"$here/dig" || complain "dig $*"
}

# unbound_counted: lines "TYPE COUNT" of what it has counted itself
unbound_counted() {
    unbound-control -c "$here/unbound.conf" stats_noreset |
        sed -n 's/^num.query.type.\([A-Za-z0-9]*\)=/\U\1 /p' | sort
}

# dns_server: what both servers are
dns_server() {
    cat <<END
server:
    do-daemonize: no
    use-syslog: no
    username: ""
    chroot: ""
    directory: "$here"
    pidfile: "$here/unbound-$1.pid"
    interface: 127.0.0.1@$1
END
}

# only_udp_start: one that takes no connections, which no listener tells of
only_udp_start() {
    only_udp=$((port + 1))
    {
        dns_server $only_udp
        printf '    %s\n' 'do-tcp: no' 'local-zone: "." static' 'local-data: "udp.test. A 192.0.2.1"'
    } >"$here/only-udp.conf"
    unbound -d -c "$here/only-udp.conf" >"$here/only-udp.log" 2>&1 &
    only_udp_pid=$!
    children+=($only_udp_pid)
    until_true 10 dig @127.0.0.1 -p $only_udp +tries=1 udp.test A >"$here/dig" ||
        give_up "unbound does not answer: $(tail -1 "$here/only-udp.log")"
}

only_udp_has_ended() {
    [ "$(api /v1/services |
        jq ".services[] | select(.name == \"unbound:$only_udp\") | .ready")" = 0 ]
}

dns_queries_are_counted_exactly_over_udp_and_tcp() {
    free_port
    {
        dns_server "$port"
        cat <<END
    interface: ::1@$port
    num-threads: 2
    extended-statistics: yes
    local-zone: "." static
    local-data: "here.test. A 192.0.2.1"
    local-data: "here.test. AAAA 2001:db8::1"
    local-zone: "refused.test." refuse
    local-zone: "silent.test." deny
remote-control:
    control-enable: yes
    control-use-cert: no
    control-interface: "$here/control"
END
    } >"$here/unbound.conf"
    server_start unbound unbound -d -c "$here/unbound.conf"
    only_udp_start
    agent_start --mode observe
    equal "known of who was not asked" "$(is_known "unbound:$only_udp" && echo known)" ""
    yes "udp.test A" | head -n 500 >"$here/names"
    dig -p $only_udp +tries=1 @127.0.0.1 -f "$here/names" >"$here/dig" || complain "dig"
    settle
    equal "counted over UDP alone" "$(counted "unbound:$only_udp")" "OTHER A 2xx 500"
    end $only_udp_pid TERM
    for _ in {1..5}; do # have no answer, and are aborted some seconds later
        timeout .1 dig @127.0.0.1 -p "$port" silent.test A >"$here/dig"
    done
    dns_ask 2000 here.test A @127.0.0.1
    dns_ask 2000 here.test AAAA @::1
    dns_ask 500 here.test A @127.0.0.1 +tcp
    dns_ask 500 here.test AAAA @::1 +tcp +keepopen
    dns_ask 300 nowhere.test MX @127.0.0.1 +nocookie +noedns
    dns_ask 300 refused.test TYPE4711 @::1
    dns_ask 100 here.test NS @127.0.0.1
    until_true 10 dns_has_expired
    equal "counted" "$(counted "$service" | sort)" "$(
        echo "OTHER A 2xx 2500"
        echo "OTHER A aborted 5"
        echo "OTHER AAAA 2xx 2500"
        echo "OTHER MX 4xx 300"
        echo "OTHER NS 2xx 100"
        echo "OTHER OTHER 4xx 300"
    )"
    equal "of a type" "$(counted "$service" | awk '{ n[$2] += $4 } END { for (t in n) print t, n[t] }' | sort)" \
        "$(unbound_counted)"
    equal "protocol" "$(protocols "$service")" dns
    until_true 16 only_udp_has_ended || complain "who was asked over UDP alone does not end"
}

dns_has_expired() {
    counted "$service" | grep -q 'aborted 5'
}

# Debian has no broker but the one in librdkafka, which its client's log of what it received is
# compared with.
kafka_requests_are_counted_exactly() {
    local client broker
    mkfifo "$here/input"
    "$build/e2e/kafka_broker" <"$here/input" >"$here/broker" 2>"$here/server.log" &
    children+=($!)
    exec 9>"$here/input"
    until_true 5 grep -q : "$here/broker" || give_up "no broker: $(tail -1 "$here/server.log")"
    broker=$(cat "$here/broker")
    service=kafka_broker:${broker##*:}
    agent_start --mode observe
    client=(timeout 20 kcat -b "$broker" -t topic -X debug=protocol)
    seq 2000 | "${client[@]}" -P -X batch.num.messages=1 -X linger.ms=0 2>"$here/log.1"
    seq 100 | "${client[@]}" -P -X batch.num.messages=1 -X linger.ms=0 -X acks=0 2>"$here/log.2"
    head -c 900000 /dev/zero | "${client[@]}" -P -X enable.idempotence=true 2>"$here/log.3"
    "${client[@]}" -C -e -o beginning >"$here/consumed" 2>"$here/log.4"
    # what is sent without acknowledgement may be lost when its sender leaves
    [ "$(grep -ac . "$here/consumed")" -ge 2001 ] || complain "not all that was sent was consumed"
    grep -q 'Sent ProduceRequest' "$here/log.2" || complain "nothing was sent without acknowledgement"
    settle
    equal "answered" "$(counted "$service" | grep -v aborted | sort)" "$(
        cat "$here"/log.* | sed -n 's/.*: Received \([A-Za-z]*\)Response.*/\1/p' | sort | uniq -c |
            awk '$2 == "InitProducerId" { $1 -= 2; print "OTHER", $2, "5xx", 2 }
                { sub("ApiVersion", "&s", $2); print "OTHER", $2, "2xx", $1 }' | sort
    )"
    equal "aborted" "$(counted "$service" | grep aborted | grep -v ' Fetch ')" ""
    equal "protocol" "$(protocols "$service")" kafka
    exec 9>&-
}
