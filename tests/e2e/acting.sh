# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Acting on this host: pauses, new configurations, probes and limits, and kills of the agent at any
# moment, with clients that come over the service address all the time.

shop_url=http://198.18.0.40/

# shop COUNT [LIMIT]: a service that is quick to start, with so many instances, LIMIT more at most
shop() {
    cat <<END
apiVersion: pmo.dev/v1alpha1
kind: LocalService
metadata: {name: shop}
spec:
  address: 198.18.0.40:80
  port: 8080
  command: [$build/pmo-demo, --port, "8080", --startup, 150ms, --work-us, "${work_us:-300}"]
  readiness: {interval: 100ms}
  drain: 5s
---
apiVersion: pmo.dev/v1alpha1
kind: OrchestrationPolicy
metadata: {name: shop}
spec:
  target: {service: shop}
  mode: act
  forecast: off
  instances: {min: 1, max: 6}
  ${2:+scaleUp: {limit: $2\}}
  rules:
    - scale to $1 instances if load falls below 100000 rps
END
}

# configure COMMAND...: its output takes the place of the configuration, as editors do it
configure() {
    "$@" >"$here/new.yaml"
    mv "$here/new.yaml" "$here/pmo.yaml"
}

# of_service NAME FILTER: of what /v1/services has of it
of_service() {
    api /v1/services | jq -r --arg name "$1" ".services[] | select(.name == \$name) | $2"
}

# has_ready SERVICE COUNT
has_ready() {
    [ "$(of_service "$1" '"\(.ready) \(.starting) \(.draining) \(.wanted)"')" = "$2 0 0 $2" ]
}

ctl() {
    "$build/pmoctl" --socket "$socket" "$@"
}

# audited KIND: how many entries
audited() {
    ctl audit --json | jq --arg kind "$1" '[.entries[] | select(.kind == $kind)] | length'
}

# shop_load OPTION...: clients of the shop, in the background, each on a connection of its own
shop_load() {
    load_start load "$build/pmo-load" --connections new --timeout 20s --json "$@" "$shop_url"
}

# shop_load_lost_none: ends the load; each request has been answered
shop_load_lost_none() {
    kill -INT "$load"
    wait "$load" || complain "the load ended with status $?: $(tail -1 "$here/load.err")"
    [ "$(jq .sent "$here/load")" -gt 50 ] || complain "only $(jq .sent "$here/load") were sent"
    equal "requests that were lost" "$(jq -c '[.failed, .failures]' "$here/load")" \
        "$(jq -c '[0, .failures]' "$here/load")"
    equal "requests that were answered with 200" "$(jq '.status."2xx"' "$here/load")" \
        "$(jq .sent "$here/load")"
}

paused_decision() {
    api '/v1/decisions?service=shop' |
        jq -e '.decisions[0] | .paused and .to == 1 and (.carriedOut | not)' >"$here/decision"
}

# config_is_good 0|1
config_is_good() {
    api /metrics | grep -q "^pmo_config_last_reload_successful $1\$"
}

a_new_configuration_is_taken_over_and_no_request_is_lost_as_instances_drain() {
    mesh_expected
    configure shop 1
    agent_start --config "$here/pmo.yaml"
    until_true 10 has_ready shop 1 || give_up "the shop is not ready"
    shop_load --rate 60 --duration 60s
    work_us=301 configure shop 4
    until_true 5 has_ready shop 4 || complain "a file that was renamed is not taken over"
    equal "instances that run the new command" "$(pgrep -fc -- '--work-us 301')" 3
    shop 1 >"$here/pmo.yaml"
    until_true 8 has_ready shop 1 || complain "a file that was written to is not taken over"
    shop x >"$here/pmo.yaml"
    until_true 3 config_is_good 0 || complain "the metric does not tell of a bad file"
    ! ctl reload 2>"$here/reload.err" || complain "pmoctl reload takes a bad file"
    grep -q "error: $here/pmo.yaml:[0-9]*:[0-9]*: " "$here/reload.err" ||
        complain "no place in: $(cat "$here/reload.err")"
    has_ready shop 1 || complain "a bad file has changed something"
    configure shop 2
    kill -HUP "$agent"
    until_true 5 has_ready shop 2 || complain "SIGHUP does nothing"
    ctl pause --service shop --for 1h >"$here/pause" || complain "pmoctl pause fails"
    configure shop 1
    until_true 5 paused_decision || complain "nothing is decided while paused: $(ctl decisions)"
    has_ready shop 2 || complain "an order while paused: $(of_service shop .wanted) are wanted"
    ctl resume --service shop >"$here/resume" || complain "pmoctl resume fails"
    until_true 5 has_ready shop 1 || complain "no order after the pause"
    config_is_good 1 || complain "the metric does not tell that the file is good again"
    shop_load_lost_none
    agent_end TERM
}

limits_count_what_was_done_before_a_new_file_and_a_new_agent() {
    mesh_expected
    configure shop 3 '2 per 1h'
    agent_start --config "$here/pmo.yaml"
    until_true 10 has_ready shop 3 || give_up "the shop is not ready"
    configure shop 6 '2 per 1h'
    until_true 5 audited_are reload 1 || complain "the new file is not read"
    sleep 2
    has_ready shop 3 || complain "a new file is a way around a limit: $(ctl decisions)"
    agent_end USR2
    agent_start --config "$here/pmo.yaml"
    until_true 5 has_ready shop 3 || complain "a new agent has other instances"
    sleep 2
    has_ready shop 3 || complain "a new agent is a way around a limit: $(ctl decisions)"
    configure shop 6 '4 per 1h'
    until_true 5 has_ready shop 5 || complain "two more may come: $(ctl decisions)"
    agent_end TERM
}

# audited_are KIND COUNT
audited_are() {
    [ "$(audited "$1")" = "$2" ]
}

instances_that_end_are_told_with_their_reason() {
    mesh_expected
    cat >"$here/pmo.yaml" <<END
apiVersion: pmo.dev/v1alpha1
kind: LocalService
metadata: {name: greedy}
spec: {address: "198.18.0.41:80", port: 8080, command: [sh, -c, "echo eating; tail /dev/zero"], memory: 16MiB}
---
apiVersion: pmo.dev/v1alpha1
kind: LocalService
metadata: {name: late}
spec:
  address: 198.18.0.42:80
  port: 8080
  command: [$build/pmo-demo, --port, "8080"]
  readiness: {interval: 100ms, timeout: 300ms, exec: {command: [sh, -c, "test -e $here/go || sleep 9"]}}
END
    agent_start --config "$here/pmo.yaml"
    until_true 8 is_held || complain "no crash loop: $(of_service greedy .crashLoop)"
    grep -q 'ran out of memory (limit: 16 MiB)' <<<"$(of_service greedy .crashLoop.text)" ||
        complain "the reason is not told: $(of_service greedy .crashLoop.text)"
    equal "output" "$(ctl logs greedy-1.1 | head -1)" eating
    equal "ready before the command passes" "$(of_service late .ready)" 0
    [ "$(cat $(cgroups_of pmo/late-1 | sed 's|$|/cgroup.procs|') | sort -u | wc -l)" -le 3 ] ||
        complain "commands run on after their time"
    touch "$here/go"
    until_true 5 has_ready late 1 || complain "not ready though the command passes"
    equal "answer of the instance" "$(curl -so /dev/null -w '%{http_code}' http://198.18.0.42/)" 200
    [ "$(audited instance-ended)" -ge 2 ] || complain "ends are not in the audit log"
    agent_end TERM
    expect_nothing
}

is_held() {
    [ "$(of_service greedy .crashLoop.crashes)" -ge 2 ] 2>/dev/null
}

# ---- kills ---------------------------------------------------------------------------------------

# instances_agree: records, namespaces, control groups, ports and processes are of the same ones
instances_agree() {
    local records groups
    records=$(ls "$state/instances")
    groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/pmo
    [ -n "$records" ] &&
        [ "$(ls /run/netns | sed -n 's/^pmo-//p' | grep -vx mesh)" = "$records" ] &&
        [ "$(cd "$state/instances" && jq .pid $records | sort)" = "$(instance_pids)" ] &&
        [ "$(cd "$state/instances" && jq -r '"pmo\(.number)"' $records | sort)" = "$(mesh_ports)" ] &&
        [ "$(find "$groups" -mindepth 1 -type d -printf '%f\n' | sort)" = "$(sort <<<"$records")" ]
}

mesh_ports() {
    ip -n pmo-mesh -o link show type veth | sed -n 's/^[0-9]*: \(pmo[0-9]*\)@.*/\1/p' |
        grep -vx pmo65534 | sort # that is the host's own
}

has_what_is_wanted() {
    [ "$(of_service shop '.ready == .wanted and .starting == 0')" = true ]
}

# shop_by_load: four instances while there is load, two when there is little
shop_by_load() {
    shop 2 | sed 's/below 100000 rps/below 30 rps/'
    echo '    - scale to 4 instances if load exceeds 30 rps'
}

no_kill_of_the_agent_orphans_doubles_or_loses_anything() {
    local wanted kills=${PMO_KILLS:-$([ -n "${PMO_TESTS_LONG:-}" ] && echo 200 || echo 6)} kill
    mesh_expected
    configure shop_by_load
    agent_start --config "$here/pmo.yaml"
    until_true 10 has_what_is_wanted || give_up "the shop is not ready"
    shop_load --wave 10:60:2s --duration 3600s
    wanted=$(jq .shop "$state/wanted")
    for ((kill = 1; kill <= kills; kill++)); do
        until_true 4 wanted_is_not "$wanted" # then it starts some, or drains some
        sleep "0.$((RANDOM % 6))$((RANDOM % 10))"
        [ $kill != 1 ] || ctl pause --reason "a kill" >"$here/pause"
        agent_end KILL
        wanted=$(jq .shop "$state/wanted")
        agent_start --config "$here/pmo.yaml"
        [ $kill != 1 ] || equal "reason of the pause, and what is wanted meanwhile" \
            "$(of_service shop '"\(.paused.reason) \(.wanted)"')" "a kill $wanted"
        ctl pause >"$here/pause" # until they have come to rest
        until_true 6 instances_agree || { complain "after kill $kill: $(what_disagrees)"; break; }
        until_true 6 has_what_is_wanted ||
            complain "after kill $kill: $(of_service shop '"\(.ready) are ready, \(.wanted) wanted"')"
        wanted=$(jq .shop "$state/wanted")
        ctl resume >"$here/resume"
    done
    shop_load_lost_none
    figure "$((kill - 1)) kills, $(jq .sent "$here/load") requests, $(audited order) orders"
    agent_end TERM
    expect_nothing
}

wanted_is_not() {
    [ "$(jq .shop "$state/wanted")" != "$1" ]
}

what_disagrees() {
    echo records: $(cd "$state/instances" && jq -c '[input_filename, .pid, .number, .phase]' ./*), \
        namespaces: $(ls /run/netns | grep ^pmo-), pids: $(instance_pids), ports: $(mesh_ports), \
        groups: $(for root in $(cgroups_of pmo); do ls -d "$root"/*/; done)
}
