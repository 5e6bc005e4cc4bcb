#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Published ports in the uplink's driver: requests for a backend on another
# host never meet this one's stack, and nothing else changes.

load ../lib/e2e

setup_file()
{
	export NETD_OVERLAY_XDP=on
	lab_up 2
	# What comes from a wire has its checksums, and a wire takes what a
	# driver sends; a veth has to be told.
	on ext ethtool -K eth0 tx off
	on switch "$BIN/nd-pass" p1
	n 1 service create web --port 80 --port 53/udp --selector app=web \
		--publish 8080:80 --publish 5353:53/udp
	until_true 5 n 2 service inspect web
	for k in 1 2; do
		pod "$k" "web-$k" default --label app=web
		serve "$k" "web-$k" 80 53
	done
	n 1 service create sink --port 81 --selector app=sink --publish 8081:81
	pod 2 sink default --label app=sink
	for k in 1 2; do
		until_true 10 has_backends "$k" web 2
	done
}

teardown_file() { lab_down; }

# Packets that the driver of node 1 sent on by itself.
sent_on()
{
	on 1 ethtool -S eth0 | awk '/xdp_tx:/ { n += $2 } END { print n + 0 }'
}

link_id()
{
	bpftool link show pinned "$RUN/node1/bpf/links/xdp-eth0" -j | jq .id
}

@test "status says that drivers have it" {
	[[ $(n 1 status -o json) == *"XDP on 1 uplinks"* ]]
}

@test "backends here and there answer, the client's address is kept" {
	before=$(sent_on)
	[ "$(who 40 ask_on ext tcp 192.0.2.1 8080)" = "web-1 web-2" ]
	[ "$(who 40 ask_on ext udp 192.0.2.1 5353)" = "web-1 web-2" ]
	(($(sent_on) > before + 40))
	line=$(ask_on ext tcp 192.0.2.1 8080)
	[[ $line == web-*" from 192.0.2.254:"* ]]
}

@test "all of a long request arrives" {
	head -c 3000000 /dev/urandom >"$RUN/out/long"
	background_in 2 sink sink socat -u TCP-LISTEN:81 CREATE:"$RUN/out/got"
	until_true 10 in_pod 2 sink sh -c 'ss -Hltn sport = 81 | grep -q .'
	before=$(sent_on)
	on ext timeout 20 socat -u OPEN:"$RUN/out/long" TCP:192.0.2.1:8081
	until_true 5 cmp "$RUN/out/long" "$RUN/out/got"
	(($(sent_on) > before + 1000))
}

@test "a new netd replaces the program in its place" {
	before=$(link_id)
	lab kill 1
	[ "$(who 20 ask_on ext tcp 192.0.2.1 8080)" = "web-1 web-2" ]
	lab start 1
	until_true 10 has_backends 1 web 2
	[ "$(link_id)" = "$before" ]
	before=$(sent_on)
	[ "$(who 20 ask_on ext udp 192.0.2.1 5353)" = "web-1 web-2" ]
	(($(sent_on) > before))
}

@test "switched off, the driver has none" {
	lab kill 1
	NETD_OVERLAY_XDP=off lab start 1
	until_true 10 has_backends 1 web 2
	until_true 10 on 1 bash -c '! ip link show eth0 | grep -q xdp'
	[ "$(who 20 ask_on ext tcp 192.0.2.1 8080)" = "web-1 web-2" ]
}
