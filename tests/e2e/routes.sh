# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Route folding that learns: what a user of pmoctl routes sees.

# slugs FROM TO PREFIX: URLs, one for each number, with a word that has no digit
slugs() {
    seq "$1" "$2" | tr 0-9 g-p | sed "s|^|$url$3|"
}

# ask_all FILE TIMES: each of its URLs so often, on kept connections: h2load has each client begin
# with the first one
ask_all() {
    local requests=$(($(wc -l <"$here/$1") * $2))
    load_start h2load h2load --h1 -n $requests -c "$2" -i "$here/$1"
    load_wait h2load
    equal "h2load's answers" "$(grep -o '[0-9]\+ done' "$here/h2load")" "$requests done"
}

# routes JQ-FILTER: of what pmoctl routes lists, without what nginx_start asked for
routes() {
    "$build/pmoctl" routes --json --socket "$socket" --service "$service" |
        jq -r "del(.routes[] | select(.route == \"/status\")) | $1"
}

# asked: requests that were counted since $began, in all
asked() {
    counted "$service" | grep -v ' /status ' | awk '{ n += $4 } END { print n + 0 }'
}

# has_settled PATH: the agent has decided what becomes of what was told apart behind it
has_settled() {
    [ "$(routes "[.routes[] | select(.route | startswith(\"$1\")) | select(.folds == [])] | length")" = 0 ]
}

# an estimate, which the agent reads once in ten seconds
has_seen_all() {
    routes '.routes[0].folds[0].seen' | awk '$1 < 4000 || $1 > 6000 { exit 1 }'
}

slugs_are_folded_exactly_and_stay_so_over_an_agent_restart() {
    local first
    nginx_start
    agent_start --mode observe
    slugs 1 5000 /u/ >"$here/urls"
    ask_all urls 4
    settle
    equal "counted" "$(asked)" 20000
    equal "routes" "$(counted "$service" | grep -c ' /u/')" 25
    until_true 10 has_settled /u/ || complain "what was told apart before is not folded: $(routes .)"
    equal "requests of the folded route" "$(routes '.routes[0] | "\(.route) \(.requests)"')" \
        "/u/{id} 20000"
    equal "folded" "$(routes '.routes[0].folds[0] | "\(.above) \(.name) \(.by) \(.examples | length)"')" \
        "/u/ {id} learned 3"
    until_true 15 has_seen_all ||
        complain "seen: $(routes '.routes[0].folds[0].seen') segments, expected 5000, give or take"

    agent_end KILL
    agent_start --mode observe
    first=$began began=$(($(date +%s) + 2)) # windows follow the clock as it was
    sleep 3
    slugs 1 10000 /u/ >"$here/urls" # the first ones among them
    ask_all urls 1
    settle
    equal "counted after the restart" "$(counted "$service" | grep -v ' /status ')" \
        "GET /u/{id} 2xx 10000"
    began=$first
    equal "counted in all" "$(asked)" 30000
}

pinned_routes_keep_their_names() {
    nginx_start
    cat >"$here/pins.yaml" <<END
apiVersion: pmo.dev/v1alpha1
kind: OrchestrationPolicy
metadata: {name: pins}
spec:
  target: {service: "$service"}
  routes: ["/u/{name}/orders", /u/me, "/assets/{rest...}", /v/7]
END
    agent_start --mode observe --config "$here/pins.yaml"
    { slugs 1 100 /u/; echo "$url/u/me"; echo "$url/u/42/orders"; echo "$url/assets/a/b/c"
      slugs 1 50 /assets/x/; echo "$url/v/7"; echo "$url/v/8"; } >"$here/urls"
    ask_all urls 1
    settle
    equal "counted" "$(counted "$service" | grep -v ' /status ' | sort)" "$(
        echo "GET /assets/{rest...} 2xx 51"
        echo "GET /u/me 2xx 1"
        echo "GET /u/{name} 2xx 100"
        echo "GET /u/{name}/orders 2xx 1"
        echo "GET /v/7 2xx 1"
        echo "GET /v/{id} 2xx 1"
    )"
    equal "folded by" "$(routes '[.routes[].folds[] | "\(.name) \(.by)"] | unique | join(", ")')" \
        "{id} syntax, {name} pinned, {rest...} pinned"
    agent_end USR2
    agent_start --mode observe # and pins no more
    began=$(($(date +%s) + 2))
    sleep 3
    curl -s -o "$here/answer" "$url/u/anybody"
    settle
    equal "counted without pins" "$(counted "$service")" "GET /u/anybody 2xx 1"
}

what_scanners_look_for_does_not_bury_what_is_there() {
    local path
    nginx_start
    agent_start --mode observe
    for path in / /login /cart /api/orders; do
        curl -s -o "$here/answer" "$url$path"
    done
    slugs 1 500 /missing- >"$here/urls" # all of them are
    ask_all urls 1
    settle
    until_true 10 has_settled /missing || complain "not folded: $(routes .)"
    began=$(($(date +%s) + 2))
    sleep 3
    { slugs 600 650 /missing-; slugs 1 30 /missing-
      printf '%s\n' "$url/login" "$url/cart" "$url/api/orders"; } >"$here/urls"
    ask_all urls 1
    settle
    equal "counted" "$(counted "$service" | sort)" "$(
        echo "GET /api/orders 2xx 1"
        echo "GET /cart 2xx 1"
        echo "GET /login 2xx 1"
        echo "GET /{id} 4xx 81"
    )"
}
