#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Several hosts and one store: who sees what, races, and the store gone.

load ../lib/e2e

setup_file()
{
	lab_up 3
	n 1 service create web --port 80 --selector app=web
	for k in 2 3; do
		until_true 5 n "$k" service inspect web
		pod "$k" "web-$k" default --label app=web
		serve "$k" "web-$k" 80
	done
	pod 1 client default
	until_true 10 has_backends 1 web 2
}

teardown_file() { lab_down; }

node_is()
{
	[[ $(n "$1" node ls -o json | jq -r --arg n "node$2" \
		'.[] | select(.name == $n) | .state') = "$3" ]]
}
store_is() { [[ $(n "$1" status -o json | jq -r .store.state) = "$2" ]]; }

@test "three hosts see each other" {
	for a in 1 2 3; do
		[ "$(n "$a" node ls -o json | jq length)" -eq 3 ]
		for b in 1 2 3; do
			until_true 5 node_is "$a" "$b" up
		done
	done
}

@test "what one host makes the others have at once" {
	n 1 network create quick
	until_true 1 n 2 network inspect quick
	until_true 1 n 3 network inspect quick
	n 3 network rm quick
	until_true 1 refused 3 quick n 1 network inspect quick
}

@test "a host that is cut off leaves the balancing, and comes back" {
	vip=$(svc_vip 1 web)
	start=$(now_ms)
	lab cut 3
	until_true 10 has_backends 1 web 1
	took=$(($(now_ms) - start))
	echo "out after $took ms"
	[ "$took" -lt 7000 ]
	until_true 5 node_is 1 3 down
	[ "$(who 20 ask_pod 1 client tcp "$vip" 80)" = web-2 ]
	# What it has it keeps: its own pods, its own names.
	[ "$(in_pod 3 web-3 dig +short web)" = "$vip" ]
	lab heal 3
	until_true 15 has_backends 1 web 2
	until_true 5 node_is 1 3 up
	until_true 5 both "$vip"
}
both() { [[ $(who 20 ask_pod 1 client tcp "$1" 80) = "web-2 web-3" ]]; }

# at_once COMMAND-ON-1 COMMAND-ON-2: side by side; exit codes in $RUN/out/rc*.
race()
{
	local k

	for k in 1 2; do
		(
			rc=0
			n "$k" "$@" >"$RUN/out/race$k" 2>&1 || rc=$?
			echo "$rc" >"$RUN/out/rc$k"
		) &
	done
	wait
}

@test "two hosts creating the same thing: one wins, one is told" {
	for i in 1 2 3 4 5 6 7 8; do
		race network create "same$i"
		[ "$(cat "$RUN"/out/rc[12] | sort | xargs)" = "0 4" ]
		race service create "same$i" --port 80
		[ "$(cat "$RUN"/out/rc[12] | sort | xargs)" = "0 4" ]
		until_true 5 n 1 network inspect "same$i"
		until_true 5 n 1 service inspect "same$i"
		n 1 service rm "same$i"
		n 1 network rm "same$i"
	done
}

@test "two hosts creating many at once: no VNI, subnet or VIP twice" {
	for k in 1 2; do
		(
			for i in 1 2 3 4 5 6 7 8 9 10; do
				n "$k" network create "net$k-$i" >/dev/null
				n "$k" service create "svc$k-$i" --port 80 >/dev/null
			done
		) &
	done
	wait
	for k in 1 2 3; do
		until_true 5 sees "$k" net 20
	done
	nets=$(n 3 network ls -o json | jq '[.[] | select(.name | startswith("net"))]')
	[ "$(jq length <<<"$nets")" -eq 20 ]
	for field in vni 'subnets[0]' 'vip_ranges[0]'; do
		[ "$(jq "[.[].$field] | unique | length" <<<"$nets")" -eq 20 ]
	done
	[ "$(n 3 service ls -o json | jq '[.[].vip] | unique | length')" -eq \
		"$(n 3 service ls -o json | jq length)" ]
	for k in 1 2; do
		for i in 1 2 3 4 5 6 7 8 9 10; do
			n 3 network rm "net$k-$i"
			n 3 service rm "svc$k-$i"
		done
	done
}
sees()
{
	[[ $(n "$1" network ls -o json | jq --arg p "$2" \
		'[.[] | select(.name | startswith($p))] | length') -eq $3 ]]
}

@test "two hosts publishing the same port: one wins, one is told" {
	for i in 1 2 3 4; do
		for k in 1 2; do
			(
				rc=0
				n "$k" service create "pub$k" --port 80 \
					-p 8088:80 >"$RUN/out/race$k" 2>&1 ||
					rc=$?
				echo "$rc" >"$RUN/out/rc$k"
			) &
		done
		wait
		[ "$(cat "$RUN"/out/rc[12] | sort | xargs)" = "0 4" ]
		until_true 5 one_pub 1
		n 1 service rm -f pub1 pub2
		until_true 5 one_pub 0
	done
}
one_pub()
{
	[[ $(n 1 service ls -o json | jq \
		'[.[] | select(.name | startswith("pub"))] | length') -eq $1 &&
	$(n 2 service ls -o json | jq \
		'[.[] | select(.name | startswith("pub"))] | length') -eq $1 ]]
}

@test "two hosts attaching pods at once: no address twice" {
	for k in 1 2 3; do
		(
			for i in $(seq 1 30); do
				pod "$k" "p$k-$i" default
			done
		) &
	done
	wait
	until_true 10 all_pods 93
	[ "$(n 1 pod ls -o json | jq '[.[].networks[].ip] | unique | length')" \
		-eq 93 ]
	for k in 1 2 3; do
		for i in $(seq 1 30); do
			n "$k" pod rm "p$k-$i" >/dev/null
		done
	done
	until_true 10 all_pods 3
}
all_pods() { [[ $(n 1 pod ls -o json | jq length) -eq $1 ]]; }

@test "with the store stopped everything goes on that needs no store" {
	vip=$(svc_vip 1 web)
	lab stop etcd
	until_true 10 store_is 1 mirror
	run -1 n 1 status
	[[ $output == *mirror* ]]
	# Services and names.
	[ "$(who 20 ask_pod 1 client tcp "$vip" 80)" = "web-2 web-3" ]
	[ "$(in_pod 1 client dig +short web)" = "$vip" ]
	# A pod from this host's own block, and its name.
	pod 1 offline default
	in_pod 1 offline ping -c 1 -W 2 "$(pod_ip 1 client)"
	in_pod 1 offline ping -c 1 -W 2 "$(pod_ip 2 web-2)"
	[ "$(in_pod 1 client dig +short offline.default)" = \
		"$(pod_ip 1 offline)" ]
	# What needs the store is refused with the reason, soon.
	start=$(now_ms)
	refused 1 store n 1 network create nostore
	[ $(($(now_ms) - start)) -lt 8000 ]
	# Longer than a lease: nobody is thrown out by the store's absence.
	for_a_while 5
	[ "$(who 20 ask_pod 1 client tcp "$vip" 80)" = "web-2 web-3" ]
}

@test "netd started with the store away serves from its mirror" {
	vip=$(svc_vip 1 web)
	lab kill 1
	lab start 1
	store_is 1 mirror
	[ "$(who 20 ask_pod 1 client tcp "$vip" 80)" = "web-2 web-3" ]
	[ "$(in_pod 1 client dig +short web)" = "$vip" ]
	[ -n "$(pod_ip 1 offline)" ]
}

@test "with the store back all is caught up with" {
	lab start etcd
	for k in 1 2 3; do
		until_true 15 store_is "$k" up
	done
	until_true 10 n 1 status
	until_true 5 sees_pod 2 offline
	until_true 10 both "$(svc_vip 1 web)"
	n 1 pod rm offline
	n 1 network create after
	until_true 5 n 3 network rm after
}
sees_pod()
{
	n "$1" pod ls -o json | jq -e --arg n "$2" '.[] | select(.name == $n)'
}

@test "a store that was wiped empties nothing" {
	vip=$(svc_vip 1 web)
	lab stop etcd
	rm -rf "$RUN/etcd/member"
	lab start etcd
	for k in 1 2 3; do
		until_true 15 store_is "$k" foreign
	done
	run -1 n 1 status
	[ "$(who 20 ask_pod 1 client tcp "$vip" 80)" = "web-2 web-3" ]
	[ "$(in_pod 1 client dig +short web)" = "$vip" ]
	refused 1 store n 1 network create foreign
	# A restart does not change its mind.
	lab kill 1
	lab start 1
	until_true 15 store_is 1 foreign
	[ "$(n 1 pod ls -o json | jq length)" -ge 1 ]
	[ "$(who 20 ask_pod 1 client tcp "$vip" 80)" = "web-2 web-3" ]
}
