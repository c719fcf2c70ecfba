# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the agent cannot work with is refused in one line that says what, where and what to do, and
# nothing is left or lost by it.

# refused PATTERN COMMAND...: it ends by itself, not with 0, and says why in one line
refused() {
    local pattern=$1 what status lines
    shift
    what="${*##*/}"
    timeout --kill-after=5 10 "$@" >"$here/refused.out" 2>"$here/refused.err" &
    wait $!
    status=$?
    lines=$(wc -l <"$here/refused.err")
    [ $status != 124 ] || complain "$what: it started"
    [ $status != 0 ] || complain "$what: it ended with status 0"
    [ $status -lt 126 ] || complain "$what: it ended with status $status"
    [ "$lines" = 1 ] || complain "$what: $lines lines:" "$(tr '\n' '|' <"$here/refused.err")"
    grep -Eq -e "$pattern" "$here/refused.err" ||
        complain "$what: \"$(head -1 "$here/refused.err")\" does not match \"$pattern\""
    [ ! -s "$here/refused.out" ] || complain "$what: it prints $(head -1 "$here/refused.out")"
}

# refused_here PATTERN OPTION...: the same for an agent in this world
refused_here() {
    local pattern=$1
    shift
    refused "$pattern" "$build/pmo-agent" --socket "$socket" --state-dir "$state" \
        --bpffs "$bpffs" "$@"
}

# policy: writes one from standard input, with its beginning in front
policy() {
    { printf '%s\n' 'apiVersion: pmo.dev/v1alpha1' 'kind: OrchestrationPolicy' \
        'metadata: {name: front}' && cat; } >"$here/policy.yaml"
}

a_wrong_configuration_is_refused_in_one_line() {
    printf 'spec: [1, 2\nkind: {' >"$here/policy.yaml"
    refused_here 'policy.yaml:[0-9]+:[0-9]+: ' --config "$here/policy.yaml"
    policy <<<'spec: {target: {service: front}, instances: {maximum: 3}}'
    refused_here 'policy.yaml:4:[0-9]+: .*maximum' --config "$here/policy.yaml"
    policy <<<'spec: {target: {service: front}, objective: {latency: 250rps}}'
    refused_here 'policy.yaml:4:[0-9]+: .*(ms|time|duration)' --config "$here/policy.yaml"
    policy <<<'spec: {target: {service: front}, rules: [scale sideways by 2 instances]}'
    refused_here 'policy.yaml:4:[0-9]+: .*sideways' --config "$here/policy.yaml"
    printf '%s\n' 'apiVersion: pmo.dev/v1alpha1' 'kind: Deployment' >"$here/policy.yaml"
    refused_here 'policy.yaml:2:[0-9]+: .*Deployment' --config "$here/policy.yaml"
    refused_here 'nowhere.yaml' --config "$here/nowhere.yaml"
    refused_here 'frobnicate' --frobnicate
    refused_here 'sideways.*observe, recommend or act' --mode sideways
    refused_here 'extra.*--config' extra
    [ ! -e "$bpffs/pmo" ] || complain "something is left in $bpffs/pmo"
    [ ! -e "$socket" ] || complain "the socket is left"
}

a_host_that_cannot_run_the_agent_is_told_in_one_line() {
    local nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

    # nobody may not reach the build directory
    cp "$build/pmo-agent" "$here/pmo-agent"
    mkdir -m 777 "$here/nobody"
    refused 'run as root' "${nobody[@]}" "$here/pmo-agent"
    refused 'run as root' "${nobody[@]}" "$here/pmo-agent" --socket "$here/nobody/socket" \
        --state-dir "$here/nobody/state" --bpffs "$bpffs"
    # shellcheck disable=SC2016
    refused 'type information.*CONFIG_DEBUG_INFO_BTF' unshare -m sh -c \
        'mount -t tmpfs none /sys/kernel/btf && exec "$@"' sh "$build/pmo-agent" \
        --socket "$socket" --state-dir "$state" --bpffs "$bpffs"
    [ ! -e "$bpffs/pmo" ] || complain "something is left in $bpffs/pmo"
    mkdir "$here/plain"
    refused 'plain is not a bpf file system.*mount -t bpf' "$build/pmo-agent" --socket "$socket" \
        --state-dir "$state" --bpffs "$here/plain"
    [ -z "$(ls "$here/plain")" ] || complain "something is left in $here/plain"
    # shellcheck disable=SC2016
    refused 'cgroup v2 is not mounted.*mount -t cgroup2' unshare -m sh -c '
        for at in $(awk "\$3 == \"cgroup2\" { print \$2 }" /proc/mounts); do umount -l "$at"; done
        exec "$@"' sh "$build/pmo-agent" --socket "$socket" --state-dir "$state" --bpffs "$bpffs"
    [ ! -e "$bpffs/pmo" ] || complain "something is left in $bpffs/pmo"
    [ ! -e "$socket" ] || complain "the socket is left"
}

# lacking NAME: sets $at_agent so that what it runs finds a kernel whose type information has no such
# name: to whoever asks for it, the kernel has no such tracepoint or iterator
lacking() {
    LC_ALL=C sed "s/\x00$1\x00/\x00${1%?}_\x00/" /sys/kernel/btf/vmlinux >"$here/$1"
    ! cmp -s "$here/$1" /sys/kernel/btf/vmlinux || give_up "the kernel has no $1"
    # shellcheck disable=SC2016
    at_agent=(unshare -m sh -c
        'mount --bind "$0" /sys/kernel/btf/vmlinux && exec "$@"' "$here/$1")
}

# doctor: what it says on a machine that lacks something; its status goes to $here/status
doctor() {
    "${at_agent[@]}" "$build/pmoctl" doctor --json >"$here/doctor"
    echo $? >"$here/status"
    jq -r '.features[] | select(.state == "off" or .state == "missing") | "\(.name) \(.state)"' \
        "$here/doctor"
}

what_a_kernel_lacks_is_off_and_told() {
    nginx_start
    lacking btf_trace_sched_process_exit
    equal "doctor without exits" "$(doctor)" "exits of processes off"
    equal "its status" "$(cat "$here/status")" 0
    agent_start --mode observe
    h2load --h1 -n 1000 -c 1 "$url/counted" >"$here/h2load"
    settle
    equal "counted without exits" "$(counted "$service" | grep counted)" "GET /counted 2xx 1000"
    grep -q 'warning: exits of processes are off.*failed to find.*sched_process_exit' "$here/agent.log" ||
        complain "the agent does not say why exits are off"
    equal "lines in its log" "$(wc -l <"$here/agent.log")" 1
    agent_end TERM
    lacking bpf_iter_tcp
    equal "doctor without an iterator" "$(doctor)" "older connections off"
    agent_start --mode observe
    grep -q 'warning: older connections are off' "$here/agent.log" ||
        complain "the agent does not say that older connections are off"
    equal "lines in its log" "$(wc -l <"$here/agent.log")" 1
    agent_end TERM
    lacking btf_trace_inet_sock_set_state
    equal "doctor without listeners" "$(doctor)" "listeners missing"
    equal "its status" "$(cat "$here/status")" 1
    refused 'kernel refuses.*listener_state.*pmoctl doctor' "${at_agent[@]}" "$build/pmo-agent" \
        --socket "$socket" --state-dir "$state" --bpffs "$bpffs"
    [ ! -e "$bpffs/pmo" ] || complain "something is left in $bpffs/pmo"
}

a_second_agent_is_refused_and_the_first_goes_on() {
    nginx_start
    agent_start --mode observe
    mkdir "$here/second"
    refused 'another agent.*--socket' "$build/pmo-agent" --socket "$socket" \
        --state-dir "$here/second" --bpffs "$bpffs"
    [ -e "$bpffs/pmo/links/request_ingress" ] || complain "the first agent's programs are gone"
    h2load --h1 -n 1000 -c 1 "$url/after" >"$here/h2load"
    settle
    equal "counted afterwards" "$(counted "$service" | grep after)" "GET /after 2xx 1000"
    touch "$here/file"
    refused 'file is there and is not a socket.*--socket' "$build/pmo-agent" \
        --socket "$here/file" --state-dir "$here/second" --bpffs "$bpffs"
    [ -e "$here/file" ] || complain "a file that is no socket was removed"
}

a_corrupt_history_is_moved_aside_and_kept() {
    local moved
    mkdir "$state"
    head -c 10000 /dev/urandom >"$state/history.db"
    cp "$state/history.db" "$here/original"
    agent_start --mode observe
    settle
    equal "lines that warn" "$(grep -c 'warning: .*history.db .*moved to' "$here/agent.log")" 1
    equal "lines in all" "$(wc -l <"$here/agent.log")" 1
    moved=$(echo "$state"/history.db.bad-*[0-9])
    cmp -s "$moved" "$here/original" || complain "the old history is not kept as it was"
    agent_end TERM
    agent_start --mode observe
    equal "lines of the next agent" "$(wc -l <"$here/agent.log")" 0
}

# row_byte MAP OFFSET: a byte of row 0 of a pinned map, in hexadecimal
row_byte() {
    bpftool -j map lookup pinned "$bpffs/pmo/$1" key 0 0 0 0 | jq -r --argjson at "$2" '.value[$at]'
}

# row_byte_write MAP OFFSET BYTE: changes one byte of row 0 of a pinned map
row_byte_write() {
    local map=$bpffs/pmo/$1 bytes
    # shellcheck disable=SC2016
    bytes=$(bpftool -j map lookup pinned "$map" key 0 0 0 0 |
        jq -r --argjson at "$2" --arg byte "$3" '.value[$at] = $byte | .value | join(" ")')
    # shellcheck disable=SC2086
    bpftool map update pinned "$map" key 0 0 0 0 value $bytes || give_up "cannot write $map"
}

maps_of_another_version_are_refused_and_kept_until_discarded() {
    local pins hints_version maps_version
    nginx_start
    agent_start --mode observe
    agent_end USR2
    pins=$(find "$bpffs/pmo" | sort)
    hints_version=$(row_byte hints 4)
    maps_version=$(row_byte control 0)
    h2load --h1 -n 1000 -c 1 "$url/kept" >"$here/h2load"
    sleep 1.2 # until the window is in the ring

    row_byte_write hints 4 99 # struct pmo_hints_header: version
    refused_here 'hints.*version.*--discard' --mode observe
    equal "pins after hints of version 99" "$(find "$bpffs/pmo" | sort)" "$pins"
    row_byte_write hints 4 "$hints_version"

    row_byte_write control 0 99 # struct pmo_control: abi_version
    refused_here 'version 99.*--discard' --mode observe
    equal "pins after maps of version 99" "$(find "$bpffs/pmo" | sort)" "$pins"
    row_byte_write control 0 "$maps_version"

    agent_start --mode observe
    settle
    equal "counted by the agent that fits" "$(counted "$service" | grep -v ' /status ')" \
        "GET /kept 2xx 1000"
    agent_end USR2
    row_byte_write control 0 99
    "$build/pmo-agent" --discard --bpffs "$bpffs" || complain "--discard failed"
    [ ! -e "$bpffs/pmo" ] || complain "--discard left" $(ls "$bpffs/pmo")
    agent_start --mode observe
}

# status_of CURL-OPTION... PATH
status_of() {
    curl -s -o "$here/answer" -w '%{http_code}' --max-time 5 --unix-socket "$socket" "${@:1:$#-1}" \
        "http://agent${*: -1}"
}

misuse_of_the_api_is_answered_and_the_agent_goes_on() {
    local json='Content-Type: application/json'
    agent_start --mode observe
    head -c 1048576 /dev/zero | tr '\0' ' ' >"$here/megabyte"
    head -c 65536 /dev/zero | tr '\0' x >"$here/long"
    equal "an unknown path" "$(status_of /v1/nothing)" 404
    equal "an unknown parameter" "$(status_of '/v1/services?a=b')" 400
    equal "a service that is not there" "$(status_of '/v1/series?service=nobody')" 404
    equal "a method that is not taken" "$(status_of -X DELETE /v1/services)" 405
    equal "a body of 1 MiB" \
        "$(status_of -H "$json" -H Expect: --data-binary "@$here/megabyte" /v1/orchestrate)" 413
    equal "half a JSON object" \
        "$(status_of -H "$json" --data-binary '{"service": "a' /v1/orchestrate)" 400
    case $(status_of "/$(<"$here/long")") in
    414 | 431) ;;
    *) complain "a path of 64 KiB: $(head -c 100 "$here/answer")" ;;
    esac
    for _ in $(seq 20); do
        printf 'GET /v1/serv' |
            curl -s --max-time .1 --unix-socket "$socket" telnet://agent >"$here/answer"
        head -c 1000 /dev/urandom |
            curl -s --max-time .1 --unix-socket "$socket" telnet://agent >"$here/answer"
    done
    equal "services afterwards" "$(status_of /v1/services)" 200
    settle
    equal "lines in the agent's log" "$(wc -l <"$here/agent.log")" 0
}
