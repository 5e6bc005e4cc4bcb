#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Clients that do not exist send to published ports and virtual IPs, one, two
# and three packets each: connections that are open stay, busy or silent,
# and new clients are served. A table of connections that fills is seen by an operator.
# NETD_LONG=1: ten times as many.

load ../lib/e2e

setup_file()
{
	# The smallest there is: 300 connections can fill it.
	NETD_OVERLAY_FLOWS=1024 lab_up 2
	n 1 service create web --port 80 --selector app=web --publish 8080:80
	for k in 1 2; do
		until_true 5 n "$k" service inspect web
		pod "$k" "web-$k" default --label app=web
		serve "$k" "web-$k" 80
	done
	pod 1 client default
	pod 1 evil default
	for k in 1 2; do
		until_true 10 has_backends "$k" 2
	done
}

teardown_file() { lab_down; }

setup() { [[ -z ${NETD_LONG-} ]] && clients=100000 || clients=1000000; }

has_backends()
{
	[[ $(n "$1" service ps web -o json |
		jq '[.[] | select(.state == "up")] | length') -eq $2 ]]
}
mac() { on "$1" ip -j link show "$2" | jq -r '.[0].address'; }


# served NAME: at least 99 in 100 of its connections.
served()
{
	job_end "$1"
	until_true 10 grep -q ' ok, ' "$RUN/out/$1"
	cat "$RUN/out/$1"
	awk -F '[ ,:]+' '/ ok, / { exit !($2 > 0 && $4 * 99 <= $2) }' \
		"$RUN/out/$1"
}
# unbroken NAME: none of the connections held.
unbroken()
{
	# Each of them speaks once more.
	for_a_while 1.1
	job_end "$1"
	until_true 20 grep -q ' ok, ' "$RUN/out/$1"
	cat "$RUN/out/$1"
	grep -q ' [1-9][0-9]* ok, 0 failed' "$RUN/out/$1"
}
hold()
{
	background "$@"
	until_true 20 grep -q open "$RUN/out/$1"
}

# A third of the clients sends one packet, a third two, a third three.
flood()
{
	for each in 1 2 3; do
		"$@" $((clients / 3)) "$each" ${src:+"$src"}
	done
}

@test "a flood at a published port: the open ones stay, new ones are served" {
	for mode in hold rest; do
		hold "$mode" nsenter --net="/run/netns/${NS}ext" -- \
			"$BIN/nd-crowd" "$mode" 192.0.2.1 8080 150 600
	done
	# From here on the hash alone would take many of them elsewhere.
	pod 2 web-late default --label app=web
	serve 2 web-late 80
	for k in 1 2; do until_true 5 has_backends "$k" 3; done
	background new nsenter --net="/run/netns/${NS}ext" -- \
		"$BIN/nd-load" new 192.0.2.1 8080 600
	flood on ext "$BIN/nd-flood" eth0 "$(mac 1 eth0)" 192.0.2.1 8080
	served new
	unbroken hold
	unbroken rest
}

@test "a flood at a virtual IP: the same" {
	clients=$((clients / 3))
	vip=$(svc_vip 1 web)
	src=$(pod_ip 1 evil)
	in_pod 1 evil ping -c 1 -W 1 "$vip" >/dev/null || :
	gate=$(in_pod 1 evil ip -j neigh show dev eth0 |
		jq -r '[.[] | .lladdr // empty][0]')
	pod=("$BIN/netctl" -H "unix://$RUN/node1/netd.sock" pod exec)
	hold held "${pod[@]}" client -- \
		"$BIN/nd-crowd" hold "$vip" 80 300 600
	background new "${pod[@]}" client -- "$BIN/nd-load" new "$vip" 80 600
	flood in_pod 1 evil "$BIN/nd-flood" eth0 "$gate" "$vip" 80
	served new
	unbroken held
}

crowded()
{
	n 2 status -o json |
		jq -e '.checks[] | select(.name == "connections") | .ok == false'
}
told()
{
	n 2 system events --since 10m --no-follow -o json |
		jq -se --arg a "$1" 'map(select(.kind == "connections")) |
			last | .action == $a'
}

@test "a table of connections that fills: an alarm, a counter, and all work" {
	hold held nsenter --net="/run/netns/${NS}ext" -- \
		"$BIN/nd-crowd" hold 192.0.2.2 8080 1200 600
	until_true 15 crowded
	until_true 5 told crowded
	n 2 status | grep "raise overlay.flows"
	[[ $(n 2 status -o json | jq -r '.checks[] |
		select(.name == "connections") | .value') =~ \
		([0-9]+)" packets found it full" ]]
	[ "${BASH_REMATCH[1]}" -gt 0 ]
	[[ $(ask_on ext tcp 192.0.2.2 8080) == web-* ]]
	unbroken held
}
