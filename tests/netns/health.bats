#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Health checks: what cannot serve leaves balancing and names on every host.

load ../lib/e2e

# What is promised; on a machine with nothing else to do it is less.
OUT_MS=${NETD_LONG:+1800} OUT_MS=${OUT_MS:-3500}
SILENT_MS=${NETD_LONG:+2300} SILENT_MS=${SILENT_MS:-3500}

setup_file()
{
	web_up 80 --port 80 --publish 8080:80 --health http:/health
}

teardown_file() { lab_down; }

# state HOST SERVICE POD FIELD
state()
{
	n "$1" service ps "$2" -o json |
		jq -r --arg p "$3" --arg f "$4" '.[] | select(.pod == $p) | .[$f]'
}
says() { [[ $(state "$1" "$2" "$3" "$4") == "$5" ]]; }

# out_within MS SERVICE COUNT: on every host, by what DNS and balancing know.
out_within()
{
	local start=$1 limit=$2 took
	shift 2
	until_true 10 everywhere "$@"
	took=$(($(now_ms) - start))
	echo "out on every host after $took ms" >&3
	((took <= limit))
}

@test "a pod serves once its check works, and shows since when" {
	pod 2 late default --label app=web
	until_true 5 says 2 web late health unhealthy
	says 2 web late reason "connection refused"
	has_backends 1 web 3
	serve 2 late 80
	until_true 5 everywhere web 4
	says 3 web late reason "HTTP status 200"
	[[ $(state 3 web late since) == 20*Z ]]
	n 2 pod rm late
	until_true 5 everywhere web 3
}

@test "one that refuses is out on every host, of names too" {
	start=$(now_ms)
	job_end srv-2-web-2
	out_within "$start" "$OUT_MS" web 2
	says 1 web web-2 reason "connection refused"
	[ "$(who 30 ask_pod 1 client tcp "$(svc_vip 1 web)" 80)" = \
		"web-1 web-3" ]
	[ "$(who 30 ask_on ext tcp 192.0.2.2 8080)" = "web-1 web-3" ]
	[ "$(in_pod 1 client dig +short tasks.web.default | wc -l)" -eq 2 ]
	serve 2 web-2 80
	until_true 5 everywhere web 3
}

@test "one that is stopped is out on every host" {
	pid=$(pgrep -s "$(cat "$RUN/jobs/srv-3-web-3")" nd-echo)
	start=$(now_ms)
	kill -STOP "$pid"
	out_within "$start" "$SILENT_MS" web 2
	says 1 web web-3 reason "no answer in time"
	kill -CONT "$pid"
	until_true 5 everywhere web 3
}

# mute POD-HOST POD / unmute: what comes to port 80 is dropped, or RULE.
mute()
{
	in_pod "$1" "$2" nft -f - <<-END
		table inet mute { chain in {
			type filter hook input priority 0;
			tcp dport 80 ${3:-drop}
		}
		}
	END
}
# All who answer are those of the other hosts, and each time one does.
left()
{
	local answers

	answers=$(for _ in {1..10}; do "$@"; done | sed 's/ .*//')
	[[ $(wc -l <<<"$answers") -eq 10 && $answers != *web-2* ]] || {
		echo "answered: $answers"
		return 1
	}
}
unmute() { in_pod "$1" "$2" nft delete table inet mute; }

@test "one that drops everything is out on every host, for all who ask" {
	n 1 service update web --health tcp
	until_true 5 everywhere web 3
	vip=$(svc_vip 1 web)
	for ((i = 0; i < ${NETD_LONG:+17} + 3; i++)); do
		start=$(now_ms)
		mute 2 web-2
		out_within "$start" "$OUT_MS" web 2
		says 1 web web-2 reason "no answer in time"
		until_true 5 left ask_pod 1 client tcp "$vip" 80
		until_true 5 left ask_on ext tcp 192.0.2.2 8080
		[ "$(in_pod 1 client dig +short tasks.web.default |
			wc -l)" -eq 2 ]
		unmute 2 web-2
		until_true 5 everywhere web 3
	done
}

@test "a lost packet ends nothing, however often" {
	# Every other SYN, and never two in a row. A busy machine has time.
	n 1 service update web --health-timeout 1s
	mute 2 web-2 "tcp flags syn / syn,ack numgen inc mod 2 0 drop"
	never_within 4 not_all
	unmute 2 web-2
	n 1 service update web --health http:/health --health-timeout 500ms
	until_true 5 everywhere web 3
}

@test "one that answers 500, and one that says nothing, do not serve" {
	pod 1 sick default --label app=web
	background_in 1 sick sick bash -c 'while :; do
			printf "HTTP/1.1 500 sick\r\n\r\n" | nc -lN 80
		done'
	until_true 5 says 3 web sick reason "HTTP status 500"
	has_backends 3 web 3
	pod 2 silent default --label app=web
	background_in 2 silent silent nc -lk 80
	until_true 5 says 1 web silent reason "no answer in time"
	# To a check that only connects, both are fine.
	n 1 service update web --health tcp
	until_true 5 says 1 web silent state up
	until_true 5 says 1 web sick state up
	n 1 service update web --health http:/
	until_true 5 says 3 web silent state unhealthy
	until_true 5 says 3 web sick state unhealthy
	n 1 pod rm sick
	n 2 pod rm silent
	job_end sick
	job_end silent
}

@test "what is outside is checked too; with nobody left all is refused" {
	serve_on ext legacy 9000
	n 1 service create legacy --port 9000 --backend 192.0.2.254:9000 \
		--health tcp
	vip=$(svc_vip 1 legacy)
	until_true 5 ask_pod 1 client tcp "$vip" 9000
	job_end srv-ext-legacy
	for k in 1 2 3; do until_true 5 has_backends "$k" legacy 0; done
	start=$(now_ms)
	run ask_pod 1 client nc -w 5 "$vip" 9000
	[ "$status" -ne 0 ]
	[ $(($(now_ms) - start)) -lt 1500 ]
	serve_on ext legacy 9000
	until_true 5 ask_pod 1 client tcp "$vip" 9000
	n 1 service rm legacy
	job_end srv-ext-legacy
}

@test "netd or the prober may be killed: no backend leaves" {
	first=$(n 1 status -o json | jq .probe_pid)
	lab kill 1
	lab start 1
	until_true 5 has_backends 1 web 3
	[ "$(n 1 status -o json | jq .probe_pid)" = "$first" ]
	kill -KILL "$first"
	until_true 5 respawned 1 "$first"
	never_within 2 not_all
	job_end srv-1-web-1
	until_true 5 everywhere web 2
	serve 1 web-1 80
	until_true 5 everywhere web 3
}
respawned()
{
	local now

	now=$(n "$1" status -o json | jq .probe_pid)
	[[ $now -ne 0 && $now -ne $2 ]]
}
not_all() { ! everywhere web 3; }

@test "the prober has no rights" {
	pid=$(n 1 status -o json | jq .probe_pid)
	grep -qE '^CapEff:\s*0+$' "/proc/$pid/status"
	grep -qE '^Seccomp:\s*2' "/proc/$pid/status"
	[ "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")" -ne 0 ]
}
