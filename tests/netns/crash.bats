#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The daemon dies under load: first the load alone, to know that it measures
# the fault and not the machine; then the same with the fault.

load ../lib/e2e

setup_file()
{
	lab_up 3
	n 1 service create web --port 80 --selector app=web --publish 8080:80
	for k in 2 3; do
		until_true 5 n "$k" service inspect web
		pod "$k" "web-$k" default --label app=web
		serve "$k" "web-$k" 80
	done
	pod 1 client default
	pod 1 local default --label app=web
	serve 1 local 80
	until_true 10 has_backends 1 web 3
	until_true 10 has_backends 2 web 3
}

teardown_file() { lab_down; }

# The loads, each for 60 s unless ended: from a pod to the virtual IP and to
# names, from a host's process, from outside to two published ports.
load_start()
{
	local vip gw mode

	vip=$(svc_vip 1 web)
	gw=$(n 1 network inspect default | jq -r '.[0].gateway')
	for mode in hold new; do
		background_in 1 client "load-pod-$mode" \
			"$BIN/nd-load" "$mode" "$vip" 80 60
		background_on ext "load-mesh-$mode" \
			"$BIN/nd-load" "$mode" 192.0.2.1 8080 60
	done
	background_in 1 client load-pod-dns "$BIN/nd-load" dns "$gw" web 60
	background_on 1 load-host-new "$BIN/nd-load" new "$vip" 80 60
	loads="pod-hold pod-new mesh-hold mesh-new pod-dns host-new"
	for mode in $loads; do
		until_true 5 has_begun "load-$mode"
	done
}

# Ends the loads; each must have seen answers and no failure.
load_end()
{
	local name bad=0

	for name in $loads; do
		unharmed "load-$name" || bad=1
	done
	return "$bad"
}

# away HOW HOST: under load that host's netd is killed or stopped, is away for
# a second and comes back.
away()
{
	load_start
	lab "$1" "$2"
	for_a_while 1
	lab start "$2"
	for_a_while 0.5
	load_end
}

links() { on "$1" ip -br link | awk '/^nd/ { print $1, $3 }' | sort; }

@test "the load alone fails nowhere" {
	load_start
	for_a_while 2
	load_end
}

@test "kill -9 and restart under load fail nowhere" {
	before=$(links 1)
	away kill 1
	[ "$before" = "$(links 1)" ]
}

@test "kill -9 of a backend's host under load fails nowhere" {
	away kill 2
}

@test "stop and start under load fail nowhere" {
	away stop 1
}

@test "five kills in a row under load fail nowhere" {
	load_start
	for _ in 1 2 3 4 5; do
		lab kill 1
		lab start 1
	done
	load_end
}

@test "the DNS server goes on while netd is dead, and is the same after" {
	first=$(n 1 status -o json | jq .dns_pid)
	gw=$(n 1 network inspect default | jq -r '.[0].gateway')
	vip=$(svc_vip 1 web)
	lab kill 1
	[ "$(ask_on 1 lookup "@$gw" web.default)" = "$vip" ]
	[ "$(in_pod 1 client dig +short web)" = "$vip" ]
	lab start 1
	[ "$(n 1 status -o json | jq .dns_pid)" = "$first" ]
}

@test "what changed while netd was dead is caught up with" {
	n 1 service create late --port 80 --selector app=web
	until_true 5 n 3 service inspect late
	lab kill 3
	n 1 service rm late
	n 1 network create made
	lab start 3
	until_true 5 n 3 network inspect made
	refused 3 late n 3 service inspect late
	n 3 network rm made
}

@test "a pod whose namespace ends while netd is dead is cleared away" {
	pod 1 lost default --label app=lost
	pid=$(cat "$RUN/node1/netd.pid")
	lab kill 1
	gone "$pid"
	umount "$RUN/node1/ns/lost"
	rm -f "$RUN/node1/ns/lost"
	lab start 1
	until_true 5 not_up lost
	[ "$(on 1 ip -d link | grep -c 'netd:pod lost')" -eq 0 ]
}
not_up()
{
	! n 1 pod ls -o json | jq -e --arg n "$1" \
		'.[] | select(.name == $n and .state == "up")'
}

# Every pod listed as up has a namespace, a link and an address that answers;
# there is no namespace and no link of a pod that is not listed.
consistent()
{
	local name names links spaces

	names=$(n 1 pod ls -o json | jq -r '.[] |
		select(.node == "node1") | .name' | sort)
	links=$(on 1 ip -d link | sed -n 's/.*netd:pod \([^ ]*\) .*/\1/p' |
		sort)
	spaces=$(for name in "$RUN"/node1/ns/*; do
		echo "${name##*/}"
	done | sort)
	[[ $names = "$links" && $names = "$spaces" ]] || {
		echo "pods: $names; links: $links; namespaces: $spaces" | xargs
		return 1
	}
	for name in $names; do
		on 1 ping -c 1 -W 2 "$(pod_ip 1 "$name")" >/dev/null || {
			echo "$name does not answer"
			return 1
		}
	done
}

@test "killed at any moment of attaching pods, nothing is half there" {
	for round in 1 2 3 4 5 6 7 8; do
		# shellcheck disable=SC2016 # for the inner shell
		background many bash -c '
			for i in 1 2 3 4 5 6; do
				"$0" -H "unix://$1/node1/netd.sock" pod create \
					"m$2-$i" --network default
				"$0" -H "unix://$1/node1/netd.sock" pod rm \
					"m$2-$((i - 1))"
			done' "$BIN/netctl" "$RUN" "$round"
		for_a_while "0.0$((round * 2 % 9))"
		lab kill 1
		lab start 1
		job_end many
		until_true 10 consistent
	done
	# It was at work when it was killed.
	[ "$(n 1 pod ls -o name | grep -c '^m')" -gt 3 ]
	has_backends 1 web 3
}
