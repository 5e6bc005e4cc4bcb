#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Where clients come in: connections whose packets begin to come by another
# host, one client with more connections than ports, and many published ports.
# NETD_LONG=1: 30,000 connections, otherwise a tenth.

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
	for k in 1 2 3; do
		until_true 10 has_backends "$k" web 2
	done
}

teardown_file() { lab_down; }

anycast_answers() { [[ $(ask_on ext tcp 203.0.113.100 8080) == web-* ]]; }
entry_is() { on ext ip route replace 203.0.113.100/32 via "192.0.2.$1"; }

@test "connections go on when their packets come by another host" {
	# One address that two hosts have, as behind a router with ECMP.
	for k in 1 3; do
		on "$k" ip addr add 203.0.113.100/32 dev eth0
		entry_is "$k"
		until_true 5 anycast_answers
	done
	entry_is 1
	background_on ext hold "$BIN/nd-crowd" hold 203.0.113.100 8080 100 600
	until_true 10 has_begun hold
	for k in 3 1 3; do
		entry_is "$k"
		# Each connection speaks once a second.
		for_a_while 1.1
	done
	# By host 1 nothing of them passes any more.
	lab cut 1
	for_a_while 1.1
	unharmed hold
	lab heal 1
}

@test "one client, more connections than it has ports: none stalls" {
	count=3000 ports=1000
	[[ -z ${NETD_LONG-} ]] || count=30000 ports=10000
	until_true 10 has_backends 1 web 2
	on ext sysctl -qw net.ipv4.ip_local_port_range="40000 $((39999 + ports))"
	out=$(on ext timeout 100 "$BIN/nd-crowd" burst 192.0.2.1 8080 "$count" 32)
	echo "$out"
	[[ $out == "burst: $count ok, 0 failed, longest "* ]]
	[[ $out =~ "in "([0-9]+)" ms" ]]
	[ "${BASH_REMATCH[1]}" -lt 60000 ]
	on ext sysctl -qw net.ipv4.ip_local_port_range="32768 60999"
}

# start N: milliseconds until service N, published, answers at another host.
start()
{
	local from

	from=$(now_ms)
	n 1 service create "s$1" --port 80 --selector app=web \
		--publish "$((10000 + $1)):80" >/dev/null
	until_true 10 ask_on ext tcp 192.0.2.3 $((10000 + $1))
	echo $(($(now_ms) - from))
}
# The middle one of three.
median_start()
{
	for i in 0 1 2; do
		start $(($1 + i))
	done | sort -n | sed -n 2p
}

@test "with 200 published services one more starts as fast as the first" {
	first=$(median_start 1)
	# shellcheck disable=SC2016 # for the inner shell
	seq 4 197 | xargs -P 4 -I N sh -c '
		"$0" -H "unix://$1/node1/netd.sock" service create "sN" \
			--port 80 --selector app=web \
			--publish "$((10000 + N)):80" >/dev/null' \
		"$BIN/netctl" "$RUN"
	last=$(median_start 198)
	echo "the first in $first ms, the 200th in $last ms"
	[ "$last" -lt $((first * 3 + 200)) ]
	for i in 4 128 129 197 200; do
		ask_on ext tcp 192.0.2.1 $((10000 + i)) | grep '^web-'
	done
}
