# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Events: what is said to come is in the forecast before it does.

event_sources() {
    cat <<END
apiVersion: pmo.dev/v1alpha1
kind: EventSource
metadata: {name: sales}
spec: {cloudEvent: com.example.sale, kind: sale, effect: 3x}
---
apiVersion: pmo.dev/v1alpha1
kind: EventSource
metadata: {name: campaigns}
spec: {calendar: $here/campaigns.ics, kind: campaign}
END
}

# calendar_of START: an iCalendar file with one event
calendar_of() {
    printf '%s\r\n' BEGIN:VCALENDAR VERSION:2.0 PRODID:-//PMO//tests//EN BEGIN:VEVENT UID:1 \
        "DTSTAMP:$(date -u -d "@$1" +%Y%m%dT%H%M%SZ)" "DTSTART:$(date -u -d "@$1" +%Y%m%dT%H%M%SZ)" \
        DURATION:PT5M SUMMARY:autumn END:VEVENT END:VCALENDAR
}

# sale_told START STRENGTH: the answer's status
sale_told() {
    api /v1/events -o "$here/answer" -w '%{http_code}' \
        -H 'Content-Type: application/cloudevents+json' -d "{
            \"specversion\": \"1.0\", \"id\": \"autumn\", \"source\": \"/shop\",
            \"type\": \"com.example.sale\", \"time\": \"$(date -u -d "@$1" +%FT%TZ)\",
            \"data\": {\"duration\": \"1m\", \"scope\": \"$service\", \"strength\": $2}}"
}

# forecast_rise START: the median behind that second, as a multiple of the one before it
forecast_rise() {
    api /v1/forecast | jq --arg service "$service" --argjson start "$1" '
        (.quantiles | index(0.5)) as $median | .forecasts[] | select(.service == $service) |
        [.values[:5][][$median]] as $before |
        [.values[$start - .origin + 1:$start - .origin + 6][][$median]] as $during |
        (($during | add) / ($before | add) * 100 | round) / 100'
}

rises_by() { # START JQ-CONDITION
    forecast_rise "$1" | jq -e "$2" >/dev/null
}

known_events() {
    ctl events --json | jq -r '[.events[] | "\(.kind) \(.scope) \(.start)"] | join(", ")'
}

an_event_that_is_told_is_forecast_before_it_comes() {
    local start later expected
    nginx_start
    later=$(($(date +%s) + 1200))
    event_sources >"$here/pmo.yaml"
    calendar_of "$later" >"$here/campaigns.ics"
    agent_start --mode observe --config "$here/pmo.yaml"
    load_start load "$build/pmo-load" --rate 100 --even --duration 60s "$url/"
    sleep 6
    start=$(($(date +%s) + 30))
    equal "telling of a sale" "$(sale_told $start 1)" 202
    until_true 4 rises_by $start '. > 2' ||
        complain "the forecast of a sale that triples the load is $(forecast_rise $start) times"
    figure "the forecast during the sale: $(forecast_rise $start) times"
    equal "taking it back" "$(sale_told $start 0)" 202
    until_true 4 rises_by $start '. < 1.2' ||
        complain "of a sale that was taken back: $(forecast_rise $start) times"
    equal "telling of it again" "$(sale_told $start 1)" 202
    expected="sale $service $start, campaign * $later"
    equal "events" "$(known_events)" "$expected"
    agent_end KILL
    agent_start --mode observe --config "$here/pmo.yaml"
    equal "events after a kill" "$(known_events)" "$expected"
}
