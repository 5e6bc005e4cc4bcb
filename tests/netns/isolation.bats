#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a pod must not do: another's address, another's network, the store.
# Each refusal is seen where the packet would arrive, beside the same packet
# done right.

load ../lib/e2e

setup_file()
{
	lab_up 2
	n 1 network create blue
	n 1 network create closed --internal
	until_true 5 n 2 network inspect closed
	pod 1 a default
	pod 1 a2 default
	pod 2 b default
	pod 1 x blue
	pod 2 y blue --label app=y
	pod 1 in1 closed
	pod 2 in2 closed
	serve 1 a2 7000
	serve 2 b 7000
	serve 2 y 7000
	n 1 service create by --network blue --port 7000 \
		--selector app=y
	serve_on 1 host1 7100
	until_true 10 in_pod 1 a ping -c 1 -W 1 "$(pod_ip 2 b)"
	until_true 10 in_pod 1 x ping -c 1 -W 1 "$(pod_ip 2 y)"
}

teardown_file() { lab_down; }

mac_of() { n "$1" pod inspect "$2" | jq -r '.[0].networks[0].mac'; }
# The MAC a pod sends to: its neighbour's, learned from a ping.
gw_mac()
{
	local gw

	gw=$(in_pod "$1" "$2" ip -j route show default |
		jq -r '.[0].gateway')
	in_pod "$1" "$2" ping -c 1 -W 1 "$gw" >/dev/null
	in_pod "$1" "$2" ip -j neigh show "$gw" | jq -r '.[0].lladdr'
}
heard() { grep -q " from $2:$3 " "$RUN/out/log-$1"; }
# frame POD ARGS..: from the pod's own interface.
frame() { in_pod 1 "$1" "$BIN/nd-frame" eth0 "${@:2}"; }
rose() { [[ $(drops_of 1 "$1") -gt $2 ]]; }

@test "networks do not reach each other" {
	for ip in "$(pod_ip 2 y)" "$(pod_ip 1 x)" "$(svc_vip 1 by blue)"; do
		before=$(drops_of 1 isolation)
		run ! in_pod 1 a ping -c 1 -W 1 "$ip"
		until_true 3 rose isolation "$before"
	done
	run ! ask_pod 1 a tcp "$(pod_ip 2 y)" 7000
	[[ $(ask_pod 1 x tcp "$(pod_ip 2 y)" 7000) == "y from "* ]]
}

@test "not even without netd's packet filter" {
	on 1 nft flush ruleset
	run ! in_pod 1 a ping -c 1 -W 1 "$(pod_ip 2 y)"
	run ! ask_pod 1 a tcp "$(pod_ip 2 y)" 7000
}

@test "another's source address does not leave the pod" {
	own=$(pod_ip 1 a)
	peer=$(pod_ip 2 b)
	gw=$(gw_mac 1 a)
	frame a - "$gw" udp "$own" "$peer" 5001 7000
	until_true 5 heard 2-b "$own" 5001
	before=$(drops_of 1 spoof_ip)
	frame a - "$gw" udp "$(pod_ip 1 a2)" "$peer" 5002 7000
	frame a - "$gw" udp 203.0.113.9 "$peer" 5003 7000
	until_true 3 rose spoof_ip $((before + 1))
	# What was sent later arrives; what was forged before did not.
	frame a - "$gw" udp "$own" "$peer" 5004 7000
	until_true 5 heard 2-b "$own" 5004
	run ! grep -E ":(5002|5003) " "$RUN/out/log-2-b"
}

@test "another's MAC does not leave the pod" {
	own=$(pod_ip 1 a)
	peer=$(pod_ip 2 b)
	before=$(drops_of 1 spoof_mac)
	frame a 02:00:00:00:00:99 "$(gw_mac 1 a)" udp "$own" "$peer" 5011 7000
	until_true 3 rose spoof_mac "$before"
	frame a - "$(gw_mac 1 a)" udp "$own" "$peer" 5012 7000
	until_true 5 heard 2-b "$own" 5012
	run ! grep ":5011 " "$RUN/out/log-2-b"
}

@test "ARP in another's name moves nobody's traffic" {
	victim=$(pod_ip 1 a2)
	before=$(drops_of 1 spoof_arp)
	frame a - - arp "$victim" "$(pod_ip 2 b)"
	until_true 3 rose spoof_arp "$before"
	[[ $(ask_pod 2 b tcp "$victim" 7000) == "a2 from "* ]]
}

@test "a pod's own tunnel packets do not leave it" {
	own=$(pod_ip 1 a)
	before=$(drops_of 1 vxlan_from_pod)
	frame a - "$(gw_mac 1 a)" udp "$own" 192.0.2.2 5021 4789
	until_true 3 rose vxlan_from_pod "$before"
}

@test "tunnel packets of strangers are not taken" {
	before=$(drops_of 2 not_member)
	# VXLAN flags and VNI, then nothing useful.
	on ext bash -c "printf '\\x08\\0\\0\\0\\0\\0\\1\\0' | nc -u -w 1 \
		192.0.2.2 4789" || :
	until_true 3 rose2 "$before"
}
rose2() { [[ $(drops_of 2 not_member) -gt $1 ]]; }

@test "the store is no pod's to reach" {
	on 1 curl -fs -m 2 http://192.0.2.250:2379/health
	before=$(drops_of 1 store_guard)
	run ! in_pod 1 a curl -s -m 2 http://192.0.2.250:2379/health
	until_true 3 rose store_guard "$before"
}

@test "the store is not reached through a service either" {
	n 1 service create leak --port 2379 --backend 192.0.2.250:2379 ||
		return 0
	run ! in_pod 1 a curl -s -m 2 "http://$(svc_vip 1 leak):2379/health"
	n 1 service rm leak
}

@test "internal networks: own pods, names and echo, nothing else" {
	in_pod 1 in1 ping -c 1 -W 2 "$(pod_ip 2 in2)"
	gw=$(n 1 network inspect closed | jq -r '.[0].gateway')
	in_pod 1 in1 ping -c 1 -W 2 "$gw"
	[ "$(ask_pod 1 in1 lookup "@$gw" in2.closed)" = "$(pod_ip 2 in2)" ]
	run ! in_pod 1 in1 ping -c 1 -W 1 198.51.100.1
	run ! ask_pod 1 in1 tcp 192.0.2.1 7100
	run ! in_pod 1 in1 curl -s -m 2 http://198.51.100.1/
	run ! ask_pod 1 in1 tcp "$gw" 7100
	# The same host port is open to pods that are not internal.
	[[ $(ask_pod 1 a tcp 192.0.2.1 7100) == "host1 from "* ]]
}

@test "strange ethertypes and IPv6 are dropped, with a reason" {
	sum() { n 1 drops -o json | jq '[.[].packets] | add // 0'; }
	before=$(sum)
	frame a - - raw 88cc 0102030405060708090a0b0c0d0e0f101112
	frame a - - raw 8100 0102030405060708090a0b0c0d0e0f101112
	until_true 3 more "$before"
}
more() { [[ $(n 1 drops -o json | jq '[.[].packets] | add // 0') -gt $1 ]]; }
