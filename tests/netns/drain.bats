#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Backends that go, on purpose: none of the connections that others begin
# meanwhile fails, and those that are open finish.

load ../lib/e2e

setup_file()
{
	lab_up 3
	n 1 service create web --port 80 --selector app=web --publish 8080:80 \
		--health tcp
	for k in 1 2 3; do
		until_true 5 n "$k" service inspect web
		pod "$k" "web-$k" default --label app=web
		serve "$k" "web-$k" 80
	done
	pod 1 client default
	for k in 1 2 3; do
		until_true 10 has_backends "$k" web 3
	done
}

teardown_file() { lab_down; }

has_backends()
{
	[[ $(n "$1" service ps "$2" -o json |
		jq '[.[] | select(.state == "up")] | length') -eq $3 ]]
}
everywhere() { for k in 1 2 3; do has_backends "$k" "$@" || return 1; done; }

# state HOST SERVICE POD
state()
{
	n "$1" service ps "$2" -o json |
		jq -r --arg p "$3" '.[] | select(.pod == $p) | .state'
}
is_state() { [[ $(state "$1" "$2" "$3") == "$4" ]]; }

# load_begin SECONDS: new connections, from a pod to the virtual IP and from
# outside to a published port.
load_begin()
{
	background load-vip "$BIN/netctl" -H "unix://$RUN/node1/netd.sock" \
		pod exec client -- "$BIN/nd-load" new "$(svc_vip 1 web)" 80 "$1"
	background load-mesh nsenter --net="/run/netns/${NS}ext" -- \
		"$BIN/nd-load" new 192.0.2.1 8080 "$1"
}
# Their count of failures, now or when they end.
load_end()
{
	local what

	for what in vip mesh; do
		pkill_of "load-$what"
		until_true 5 grep -q failed "$RUN/out/load-$what"
	done
	grep -h failed "$RUN/out/load-vip" "$RUN/out/load-mesh"
}
# To nd-load alone: whoever runs it would end without its words.
pkill_of()
{
	local pid

	for pid in $(pgrep -s "$(cat "$RUN/jobs/$1")" nd-load); do
		kill -TERM "$pid"
	done
}
none_failed() { [[ $(grep -c ' 0 failed' <<<"$1") -eq 2 ]]; }

# come_and_go ROUNDS WORDS..: a pod that serves, and is removed.
come_and_go()
{
	local rounds=$1 i
	shift
	for ((i = 0; i < rounds; i++)); do
		pod 2 "brief-$i" default --label app=web
		serve 2 "brief-$i" 80
		until_true 5 everywhere web 4
		n 2 pod rm "brief-$i" "$@"
		job_end "srv-2-brief-$i"
		until_true 5 everywhere web 3
	done
}

@test "pods that come and go fail nobody" {
	rounds=${NETD_LONG:+40}
	load_begin 600
	come_and_go "${rounds:-5}"
	said=$(load_end)
	echo "$said" >&3
	none_failed "$said"
}
