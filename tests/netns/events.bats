#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# netctl system events: what an operator sees of a cluster's life.

load ../lib/e2e

setup_file()
{
	lab_up 2
	for k in 1 2; do
		background "events$k" "$BIN/netctl" \
			-H "unix://$RUN/node$k/netd.sock" system events -o json
	done
}

teardown_file() { lab_down; }

# seen K KIND ACTION NAME [NODE]: has the watcher on host K got it?
seen()
{
	jq -se --arg k "$2" --arg a "$3" --arg n "$4" --arg node "${5-}" \
		'any(.[]; .kind == $k and .action == $a and .name == $n and
		 ($node == "" or .node == $node))' "$RUN/out/events$1"
}

last_of_store()
{
	jq -r 'select(.kind == "store") | .action' "$RUN/out/events1" |
		tail -n 1 | grep -x "$1"
}

@test "what is made on one node is seen on both" {
	n 1 network create blue
	n 1 service create web --network blue --port 80 --selector app=web
	pod 2 web-1 blue --label app=web
	for k in 1 2; do
		until_true 5 seen "$k" network created blue
		until_true 5 seen "$k" service created web
		until_true 5 seen "$k" pod attached web-1 node2
		until_true 5 seen "$k" backend joined web node2
	done
	jq -se 'any(.[]; .kind == "backend" and
		(.message | test("^web-1 10[.]")))' "$RUN/out/events1"
}

@test "what is taken away is seen on both" {
	n 2 pod rm web-1
	n 1 service rm web --network blue
	# When host 1 has seen that the pod is gone.
	until_true 5 n 1 network rm blue
	for k in 1 2; do
		until_true 5 seen "$k" pod detached web-1
		until_true 5 seen "$k" backend left web
		until_true 5 seen "$k" service removed web
		until_true 5 seen "$k" network removed blue
	done
}

@test "a node that dies and comes back, and a store that goes away" {
	lab kill 2
	until_true 10 seen 1 node down node2
	lab start 2
	until_true 10 seen 1 node up node2
	lab stop etcd
	until_true 15 last_of_store mirror
	lab start etcd
	until_true 15 last_of_store up
}

@test "what is kept, in lines for people" {
	n 1 pod create lonely --network default >/dev/null
	n 1 pod rm lonely
	n 1 system events --no-follow -f kind=pod -f name=lonely |
		grep -E '^[0-9T:.-]+Z pod attached lonely network=default node=node1: 10[.]'
	[ "$(n 1 system events --no-follow -f name=lonely | wc -l)" -eq 2 ]
	[ "$(n 1 system events --no-follow -f name=lonely --since 0s | wc -l)" -eq 0 ]
}

@test "bad words are refused" {
	refused 2 "names no field" n 1 system events -f colour=red
	refused 2 "neither a time nor an age" n 1 system events --since soon
}
