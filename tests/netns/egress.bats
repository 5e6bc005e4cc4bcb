#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The way out, alone and beside a Docker engine that was there before netd or
# comes after it.

load ../lib/e2e
load ../lib/docker

setup_file()
{
	lab_up 2 --store sqlite
	for k in 1 2; do
		pod "$k" p default
	done
	n 1 service create web --port 80 --selector app=web --publish 8080:80
	pod 1 web default --label app=web
	serve 1 web 80
}

teardown_file()
{
	docker_down
	lab_down
	docker_trace
}

fetch() { in_pod "$1" p curl -s -m 3 http://198.51.100.1/; }
goes_out() { [[ $(fetch "$1") == "outside from 192.0.2.$1:"* ]]; }
is_published() { [[ $(ask_on ext tcp 192.0.2.1 8080) == "web from 192.0.2.254:"* ]]; }

@test "pods go out with their host's address, and have outside names" {
	goes_out 1
	in_pod 1 p curl -s -m 3 http://example.test/ | grep ^outside
	in_pod 1 p ping -c 1 -W 2 198.51.100.1
}

@test "nobody outside opens connections into the overlay by routing" {
	ip=$(pod_ip 1 web)
	on ext ip route add "$ip" via 192.0.2.1
	run ! ask_on ext tcp "$ip" 80
	run ! on ext ping -c 1 -W 1 "$ip"
	# From the host itself it answers.
	[[ $(ask_on 1 tcp "$ip" 80) == "web from "* ]]
	on ext ip route del "$ip"
}

@test "the tunnel and the mesh leave no conntrack entries" {
	before=$(on 1 sh -c 'cat /proc/sys/net/netfilter/nf_conntrack_count')
	on ext "$BIN/nd-load" new 192.0.2.1 8080 1
	after=$(on 1 sh -c 'cat /proc/sys/net/netfilter/nf_conntrack_count')
	[ $((after - before)) -lt 20 ]
}

@test "a Docker engine that comes later takes nothing away" {
	docker_up 1
	# What dockerd does by itself where forwarding was off before it.
	on 1 iptables -P FORWARD DROP
	until_true 10 goes_out 1
	until_true 5 is_published
	# And it has its own way out still.
	dk run --rm --name own box timeout 3 wget -qO- http://198.51.100.1/ |
		grep "outside from 192.0.2.1:"
}

@test "containers on Docker's own bridge reach published ports" {
	dk run --rm box sh -c 'echo hi | nc -w 2 192.0.2.1 8080' | grep "^web"
}

@test "Docker restarting takes nothing away" {
	docker_end 1 TERM
	docker_start 1
	until_true 10 goes_out 1
	until_true 5 is_published
}

@test "netd restarting beside Docker takes nothing away" {
	lab stop 1
	goes_out 1
	lab start 1
	goes_out 1
	is_published
	dk run --rm box timeout 3 wget -qO- http://198.51.100.1/ | grep outside
}

@test "netd coming after Docker goes out as well" {
	docker_down
	# As on a host that never had netd.
	lab stop 2
	on 2 "$BIN/netd" --root "$RUN/node2" --node node2 --cleanup
	[ "$(on 2 iptables -S | grep -c netd)" -eq 0 ]
	run ! on 2 ip link show netd0
	on 2 sysctl -q net.ipv4.ip_forward=0
	docker_up 2
	on 2 iptables -S FORWARD | grep -e '-P FORWARD DROP'
	lab start 2
	n 2 pod rm -f p
	until_true 35 pod 2 p default
	until_true 10 goes_out 2
	dkn 2 run --rm box timeout 3 wget -qO- http://198.51.100.1/ |
		grep "outside from 192.0.2.2:"
}

@test "cleanup takes netd's rules away and leaves Docker's" {
	before=$(on 2 iptables -S | grep -cv netd)
	lab stop 2
	on 2 "$BIN/netd" --root "$RUN/node2" --node node2 --cleanup
	[ "$(on 2 iptables -S | grep -c netd)" -eq 0 ]
	[ "$(on 2 iptables -S | grep -cv netd)" -eq "$before" ]
	[ "$(on 2 nft list tables | grep -c netd)" -eq 0 ]
}

@test "Docker ends without a trace" {
	docker_down
	docker_trace
}
