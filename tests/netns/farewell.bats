#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A node that is taken away for good: nothing of it is left in the store, and
# nothing of the others' is missed. One that is merely absent loses nothing.

load ../lib/e2e

setup_file()
{
	lab_up 2
	n 1 service create web --port 80 --selector app=web
	until_true 5 n 2 service inspect web
	for k in 1 2; do
		pod "$k" "web-$k" default --label app=web
	done
	until_true 10 has_backends 1 web 2
}

teardown_file() { lab_down; }

etcd() { on etcd env ETCDCTL_API=3 etcdctl --endpoints 192.0.2.250:2379 "$@"; }
# Keys and values that name a node.
traces()
{
	etcd get --prefix /netd/v1/ | grep -E "node$1\b" || :
}
no_traces() { [[ -z $(traces "$1") ]]; }

cleanup()
{
	on "$1" env NETD_STORE_INSECURE=true "$BIN/netd" \
		--root "$RUN/node$1" --node "${2:-node$1}" \
		--store "$(cat "$RUN/store")" --cleanup
}

takes_changes() { n 1 network create fresh || n 1 network inspect fresh; }

@test "with the store away nothing is said, and that is told" {
	lab stop 2
	lab stop etcd
	run -1 cleanup 2
	[[ $output == *"still in it"* ]]
	lab start etcd
	until_true 20 takes_changes
	[ -n "$(traces 2)" ]
}

@test "another host's name is not taken away" {
	run -1 cleanup 2 node1
	[[ $output == *"another host has this name"* ]]
	[ -n "$(traces 1)" ]
}

@test "a farewell takes a node's records, and only these" {
	[ -n "$(traces 2)" ]
	cleanup 2
	until_true 5 no_traces 2
	[ -n "$(traces 1)" ]
	[ "$(n 1 node ls -q)" = node1 ]
	has_backends 1 web 1
	# Said twice it is no fault.
	cleanup 2
}

@test "a node that said farewell may come again" {
	lab start 2
	until_true 10 n 2 network inspect default
	pod 2 web-2 default --label app=web
	until_true 10 has_backends 1 web 2
	[ -n "$(traces 2)" ]
}
