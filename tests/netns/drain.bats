#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Backends that go, on purpose: none of the connections that others begin
# meanwhile fails, and those that are open finish.

load ../lib/e2e

setup_file()
{
	web_up 80 --port 80 --publish 8080:80 --health tcp
}

teardown_file() { lab_down; }

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
	background_in 1 client load-vip \
		"$BIN/nd-load" new "$(svc_vip 1 web)" 80 "$1"
	background_on ext load-mesh "$BIN/nd-load" new 192.0.2.1 8080 "$1"
}
# What both counted, once they have ended.
load_said()
{
	local what

	for what in vip mesh; do
		until_true 10 grep -q failed "$RUN/out/load-$what"
	done
	grep -h failed "$RUN/out/load-vip" "$RUN/out/load-mesh"
}
# Tells nd-load alone: whoever runs it would end without its words.
load_end()
{
	local what pid

	for what in vip mesh; do
		for pid in $(pgrep -s "$(cat "$RUN/jobs/load-$what")" nd-load); do
			kill -TERM "$pid"
		done
	done
	load_said
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
	# The same load with nobody going, first.
	load_begin 2
	said=$(load_said)
	none_failed "$said"
	load_begin 600
	come_and_go "${rounds:-5}"
	said=$(load_end)
	echo "$said" >&3
	none_failed "$said"
}

client() { ask_pod 1 client "$@"; }
only() { [[ $(who 20 "${@:2}") == "$1" ]]; }
availability() { n "$1" node ls -o json |
	jq -r --arg n "$2" '.[] | select(.name == $n) | .availability'; }
is_available() { [[ $(availability "$1" "$2") == "$3" ]]; }

# hold NAME COUNT SECONDS ADDR PORT: open connections, from a pod.
hold()
{
	local i

	for ((i = 0; i < $2; i++)); do
		background_in 1 client "$1-$i" \
			"$BIN/nd-load" hold "$4" "$5" "$3"
	done
	until_true 5 are_open "$2" "$5"
}
are_open()
{
	[[ $(in_pod 1 client ss -Htn state established dport = ":$2" |
		wc -l) -ge $1 ]]
}
held()
{
	local i

	for ((i = 0; i < $2; i++)); do
		until_true "$3" grep -q failed "$RUN/out/$1-$i"
		grep " 0 failed" "$RUN/out/$1-$i"
	done
}

@test "a node that drains keeps what it has and gets nothing new" {
	vip=$(svc_vip 1 web)
	hold open 8 6 192.0.2.1 8080
	n 1 node drain node2
	for k in 1 2 3; do
		until_true 5 is_state "$k" web web-2 draining
		is_available "$k" node2 draining
		until_true 5 only "web-1 web-3" \
			ask_on ext tcp "192.0.2.$k" 8080
	done
	only "web-1 web-3" client tcp "$vip" 80
	[ "$(in_pod 1 client dig +short tasks.web.default | wc -l)" -eq 2 ]
	# Its own name stays, it runs; and so do other nodes' backends.
	[ "$(in_pod 1 client dig +short web-2.default)" = "$(pod_ip 2 web-2)" ]
	n 3 system events --no-follow -f kind=node | grep "draining node2"
	lab kill 2
	lab start 2
	until_true 5 is_available 2 node2 draining
	only "web-1 web-3" ask_on ext tcp 192.0.2.2 8080
	held open 8 10
	n 3 node drain node2 --undo
	for k in 1 2 3; do until_true 5 has_backends "$k" web 3; done
	only "web-1 web-2 web-3" client tcp "$vip" 80
}

@test "a node's drain ends when its time is over, or by an update" {
	n 1 node drain node3 --timeout 4s
	until_true 4 is_state 2 web web-3 draining
	until_true 8 is_state 2 web web-3 drained
	is_available 2 node3 drained
	n 1 node update node3 --availability active
	until_true 5 everywhere web 3
	n 2 node update node3 --availability drain
	until_true 5 is_available 1 node3 draining
	n 2 node update node3 --availability active
	until_true 5 everywhere web 3
	refused 3 node9 n 1 node drain node9
	refused 2 timeout n 1 node drain node3 --timeout 10ms
	refused 2 availability n 1 node update node3 --availability pause
}

@test "what drains is not reset, though the dead are" {
	pod 3 only default --label app=only
	serve 3 only 81
	n 1 service create strict --port 81 --selector app=only \
		--on-dead reset
	until_true 5 has_backends 1 strict 1
	hold strict 1 4 "$(svc_vip 1 strict)" 81
	n 1 service drain strict only
	until_true 5 is_state 1 strict only draining
	n 1 service undrain strict only
	n 1 node drain node3
	until_true 5 is_state 1 strict only draining
	held strict 1 8
	n 1 node drain node3 --undo
	until_true 5 has_backends 1 strict 1
	# It may finish though its pod is being removed.
	hold strict 1 1 "$(svc_vip 1 strict)" 81
	n 3 pod rm only --drain 3s
	held strict 1 1
	refused 3 only n 3 pod inspect only
	# Who is in a hurry cuts another's wait short.
	pod 3 slow default --label app=only
	until_true 5 has_backends 1 strict 1
	background slow "$BIN/netctl" -H "unix://$RUN/node3/netd.sock" \
		pod rm slow --drain 30s
	until_true 5 is_state 1 strict slow draining
	n 3 pod rm slow --drain 0
	refused 3 slow n 3 pod inspect slow
	# And ends with the drain's time.
	n 1 service update strict --selector app=web --port-add 80
	until_true 5 has_backends 1 strict 3
	hold strict 4 20 "$(svc_vip 1 strict)" 80
	for k in 1 2 3; do n 1 node drain "node$k" --timeout 1s; done
	for i in 0 1 2 3; do
		until_true 5 grep -qE "reset|refused" "$RUN/out/strict-$i"
	done
	for k in 1 2 3; do n 1 node drain "node$k" --undo; done
	n 1 service rm strict
}
