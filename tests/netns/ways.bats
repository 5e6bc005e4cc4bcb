#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Hosts with two uplinks between them: packets of the tunnel may come by each
# that leads to their sender, and what comes another way is told.

load ../lib/e2e

setup_file()
{
	lab_up 2
	n 1 service create web --port 80 --selector app=web --publish 8080:80
	ip link add eth1 netns "${NS}node1" type veth \
		peer name eth1 netns "${NS}node2"
	for k in 1 2; do
		on "$k" ip addr add "10.9.1.$k/24" dev eth1
		on "$k" ip link set eth1 up
		pod "$k" "pod$k" default --label app=web
		serve "$k" "pod$k" 80
	done
	for k in 1 2; do
		until_true 5 test -e "$RUN/node$k/bpf/links/uplink-eth1"
	done
	until_true 10 reached
}

teardown_file() { lab_down; }

teardown()
{
	for k in 1 2; do
		on "$k" ip route flush exact "192.0.2.$((3 - k))/32"
		while on "$k" ip rule del pref 100 2>/dev/null; do :; done
	done
}

reached() { in_pod 1 pod1 ping -c 1 -W 1 "$(pod_ip 2 pod2)"; }
unreached() { ! reached; }

# way K WORDS..: how host K reaches the other.
way() { on "$1" ip route replace "192.0.2.$((3 - $1))/32" "${@:2}"; }
received() { on "$1" ip -j -s link show "$2" | jq '.[0].stats64.rx.packets'; }

# What the program has dropped, and what nft has where there is none.
astray()
{
	on "$1" nft -j list counter inet netd tunnel_astray |
		jq '.nftables[] | .counter? // empty | .packets'
}
wrong() { echo "$(drops_of "$1" wrong_way) $(astray "$1")"; }

# all_answer HOST IF: what comes to that host does so by this interface, and
# all of it is taken; fragments go by netd0, most else past it.
all_answer()
{
	local before now

	until_true 5 reached
	before=$(received "$1" "$2") now=$(wrong "$1")
	for _ in {1..5}; do
		[[ $(ask_pod 1 pod1 tcp "$(pod_ip 2 pod2)" 80) == pod2* ]]
		[[ $(ask_pod 2 pod2 tcp "$(pod_ip 1 pod1)" 80) == pod1* ]]
	done
	in_pod 1 pod1 ping -c 2 -i 0.1 -W 1 -s 3000 "$(pod_ip 2 pod2)"
	[ "$(received "$1" "$2")" -ge $((before + 40)) ]
	[ "$(wrong "$1")" = "$now" ]
}

@test "of two uplinks that are worth the same either will do" {
	way 2 nexthop via 192.0.2.1 dev eth0 onlink \
		nexthop via 10.9.1.1 dev eth1
	way 1 via 10.9.1.2 dev eth1
	all_answer 2 eth1
	way 1 dev eth0
	all_answer 2 eth0
}

# by_rule HOST WORDS..: what the rule says goes by the second uplink.
by_rule()
{
	way "$1" via "10.9.1.$((3 - $1))" dev eth1 table 101
	on "$1" ip rule add pref 100 "${@:2}" lookup 101
}

@test "a rule by source sends the tunnel's address its own way" {
	for k in 1 2; do by_rule "$k" from "192.0.2.$k"; done
	all_answer 1 eth1
	all_answer 2 eth1
}

@test "so does a rule by the tunnel's port" {
	for k in 1 2; do by_rule "$k" ipproto udp dport 4789; done
	all_answer 1 eth1
	all_answer 2 eth1
}

@test "by an interface without a route to the sender: dropped, told, mended" {
	way 2 dev eth0
	way 1 via 10.9.1.2 dev eth1
	# What was found of a way is forgotten in a second.
	until_true 5 unreached
	n 2 drops | grep '^wrong_way .*without a route'
	n 2 drops -f reason=wrong_way | grep 'node1 192.0.2.1:.* > node2 192.0.2.2:4789'
	way 2 via 10.9.1.1 dev eth1 metric 4096
	all_answer 2 eth1
}

both_answer()
{
	[[ $(who 10 on ext curl -s -m 2 --interface 198.18.9.9 \
		http://198.18.1.1:8080/) == "pod1 pod2" ]]
}

@test "a published port answers by the uplink that its address is sent by" {
	ip link add up2 netns "${NS}node1" type veth \
		peer name up2 netns "${NS}ext"
	on 1 ip addr add 198.18.1.1/24 dev up2
	on ext ip addr add 198.18.1.254/24 dev up2
	on ext ip addr add 198.18.9.9/32 dev lo
	on 1 ip link set up2 up
	on ext ip link set up2 up
	on 1 ip route add default via 198.18.1.254 dev up2 table 103
	on 1 ip rule add pref 100 from 198.18.1.1 lookup 103
	until_true 10 both_answer
	up2=$(received ext up2) eth0=$(received ext eth0)
	for _ in {1..10}; do
		line=$(on ext curl -sf -m 2 --interface 198.18.9.9 \
			http://198.18.1.1:8080/)
		[[ $line == *" from 198.18.9.9:"* ]]
	done
	[ "$(received ext up2)" -ge $((up2 + 40)) ]
	[ "$(received ext eth0)" -lt $((eth0 + 20)) ]
}
