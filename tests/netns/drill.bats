#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The restart drill: 1,000 TCP connections that talk, new ones all the time,
# numbered datagrams and names, while daemons are killed, stopped, and
# replaced by others with other programs and other maps. First the load alone,
# to know what it loses by itself. NETD_LONG=1: 20 kills and 5 upgrades,
# otherwise a tenth.

load ../lib/e2e

setup_file()
{
	lab_up 3
	n 1 service create web --port 80 --selector app=web --publish 8080:80
	n 1 service create num --port 9000/udp --selector app=num \
		--publish 9000:9000/udp
	for k in 2 3; do
		until_true 5 n "$k" service inspect num
		pod "$k" "web-$k" default --label app=web
		serve "$k" "web-$k" 80
	done
	pod 2 num default --label app=num
	background_in 2 num num "$BIN/nd-udp-echo" "$(pod_ip 2 num)" 9000
	pod 1 client default
	for k in 1 2 3; do
		until_true 10 has_backends "$k" web 2
		until_true 10 has_backends "$k" num 1
	done
}

teardown_file() { lab_down; }

setup()
{
	kills=2 upgrades=1
	[[ -z ${NETD_LONG-} ]] || { kills=20 upgrades=5; }
	NEXT=${BIN%/*}/next
}

# job NAME WHERE COMMAND..: from a pod of host 1 or from outside.
job()
{
	local name=$1 where=$2
	shift 2
	loads+=" $name"
	case $where in
	client) background_in 1 client "load-$name" "$@" ;;
	ext) background_on ext "load-$name" "$@" ;;
	esac
}

load_start()
{
	local vip gw name

	vip=$(svc_vip 1 web)
	gw=$(n 1 network inspect default | jq -r '.[0].gateway')
	loads=""
	job pod-hold client "$BIN/nd-crowd" hold "$vip" 80 500 600
	job mesh-hold ext "$BIN/nd-crowd" hold 192.0.2.1 8080 500 600
	until_true 20 has_begun load-pod-hold
	until_true 20 has_begun load-mesh-hold
	job pod-new client "$BIN/nd-load" new "$vip" 80 600
	job mesh-new ext "$BIN/nd-load" new 192.0.2.1 8080 600
	job pod-dns client "$BIN/nd-load" dns "$gw" web 600
	job pod-seq client "$BIN/nd-crowd" seq "$(pod_ip 2 num)" 9000 500 600
	job vip-seq client "$BIN/nd-crowd" seq "$(svc_vip 1 num)" 9000 500 600
	job mesh-seq ext "$BIN/nd-crowd" seq 192.0.2.1 9000 500 600
	for name in pod-new mesh-new pod-dns; do
		until_true 10 has_begun "load-$name"
	done
}

lost_by() { sed -n 's/^seq: .* ok, \([0-9]*\) lost.*/\1/p' "$RUN/out/$1-seq"; }

# Ends it; no connection and no question failed. Of datagrams no more were
# lost than by the load alone.
load_end()
{
	local name bad=0

	# Each connection speaks once more.
	for_a_while 1.1
	for name in $loads; do
		job_end "load-$name"
	done
	for name in $loads; do
		until_true 20 grep -q ' ok, ' "$RUN/out/load-$name"
		[[ $name == *-seq ]] || unharmed "load-$name" || bad=1
	done
	for name in pod vip mesh; do
		echo "$name-seq: $(lost_by "load-$name") lost"
		[[ $(lost_by "load-$name") -le $1 ]] || bad=1
	done
	return "$bad"
}
most_lost()
{
	{
		lost_by load-pod
		lost_by load-vip
		lost_by load-mesh
	} | sort -n | tail -n 1
}

@test "the load alone" {
	load_start
	for_a_while 2
	load_end 100
	most_lost >"$RUN/out/baseline"
}

@test "kill -9 and restart of either end under load: nothing is lost" {
	load_start
	for ((i = 0; i < kills; i++)); do
		lab kill $((i % 2 + 1))
		for_a_while 0.3
		lab start $((i % 2 + 1))
	done
	load_end "$(cat "$RUN/out/baseline")"
}

# The TTL of what a host tunnels says whose programs are at work.
tunnel_ttl()
{
	on "$1" timeout 5 tcpdump -nvlc 1 -i eth0 \
		"udp port 4789 and src 192.0.2.$1" 2>/dev/null |
		sed -n 's/.*ttl \([0-9]*\),.*/\1/p' | head -n 1
}
is_ttl()
{
	local ttl

	ttl=$(tunnel_ttl "$1")
	echo "host $1 tunnels with TTL $ttl"
	[[ $ttl -eq $2 ]]
}

@test "upgrade to other programs under load: nothing is lost" {
	[ -x "$NEXT/code/netd" ] || skip "built without it"
	load_start
	is_ttl 1 64
	for ((i = 0; i < upgrades; i++)); do
		for k in 1 2; do
			lab stop "$k"
			LAB_BUILD=$NEXT/code lab start "$k"
			until_true 10 is_ttl "$k" 63
			((upgrades > 1)) || continue
			lab stop "$k"
			lab start "$k"
			until_true 10 is_ttl "$k" 64
		done
	done
	load_end "$(cat "$RUN/out/baseline")"
}

@test "upgrade to other maps under load: flows are taken over" {
	[ -x "$NEXT/abi/netd" ] || skip "built without it"
	was=$(basename "$RUN"/node1/bpf/maps-v*)
	load_start
	for k in 1 2; do
		lab stop "$k"
		LAB_BUILD=$NEXT/abi lab start "$k"
		until_true 10 is_ttl "$k" 63
		[ ! -e "$RUN/node$k/bpf/$was" ]
	done
	load_end "$(cat "$RUN/out/baseline")"
}
