#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Ports of one node that lead to a pod: who answers, for whom, and who has
# them already. Also a pod's own MAC and names of its links.

load ../lib/e2e

setup_file()
{
	lab_up 2
	pod 1 web default -p 8080:80 -p 127.0.0.1:9090:80 -p 5300:53/udp \
		--label app=web
	serve 1 web 80 53
	pod 1 near default
	pod 2 far default
	n 1 network create other
	pod 1 stranger other
}

teardown_file() { lab_down; }

ports_of()
{
	n 1 pod inspect "$1" | jq -r '.[0].ports[] |
		"\(.host_ip):\(.port)->\(.target)/\(.protocol)"' | xargs
}

@test "a client outside reaches it, its own address kept" {
	line=$(ask_on ext tcp 192.0.2.1 8080)
	[[ $line == "web from 192.0.2.254:"*" at $(pod_ip 1 web):80" ]]
	line=$(ask_on ext udp 192.0.2.1 5300)
	[[ $line == "web from 192.0.2.254:"* ]]
}

@test "the other node does not answer it" {
	run ! ask_on ext tcp 192.0.2.2 8080
}

@test "processes of the host reach it, by its address and by loopback" {
	[[ $(ask_on 1 tcp 192.0.2.1 8080) == "web from "* ]]
	[[ $(ask_on 1 tcp 127.0.0.1 8080) == "web from "* ]]
	[[ $(ask_on 1 udp 127.0.0.1 5300) == "web from "* ]]
	[[ $(ask_on 2 tcp 192.0.2.1 8080) == "web from 192.0.2.2:"* ]]
}

@test "a loopback port is for processes of the host alone" {
	[[ $(ask_on 1 tcp 127.0.0.1 9090) == "web from "* ]]
	run ! ask_on ext tcp 192.0.2.1 9090
	run ! ask_on 1 tcp 192.0.2.1 9090
	run ! ask_pod 1 near tcp 127.0.0.1 9090
}

@test "pods reach it: of this node, of another, of another network, itself" {
	for who in "1 near" "2 far" "1 stranger" "1 web"; do
		read -r k name <<<"$who"
		line=$(ask_pod "$k" "$name" tcp 192.0.2.1 8080)
		[[ $line == "web from "* ]] || {
			echo "$who: $line"
			return 1
		}
		[[ $(ask_pod "$k" "$name" udp 192.0.2.1 5300) == web* ]]
	done
	[[ $(ask_pod 2 far tcp 192.0.2.1 8080) == *" from $(pod_ip 2 far):"* ]]
}

@test "inspect and ls show them" {
	[ "$(ports_of web)" = \
		":8080->80/tcp 127.0.0.1:9090->80/tcp :5300->53/udp" ]
	n 1 pod ls | grep 127.0.0.1:9090
}

@test "a free port is found and told" {
	port=$(n 1 pod create any --network default -p 80 -o json |
		jq -r '.ports[0].port')
	[ "$port" -ge 30000 ]
	[ "$port" -le 32767 ]
	serve 1 any 80
	[[ $(ask_on ext tcp 192.0.2.1 "$port") == any* ]]
	job_end srv-1-any
	n 1 pod rm any
	run ! ask_on ext tcp 192.0.2.1 "$port"
}

@test "who has the port already is named, and nothing is left" {
	refused 4 'pod "web"' n 1 pod create x --network default -p 8080:80
	refused 4 'pod "web"' n 1 pod create x --network default \
		-p 127.0.0.1:8080:80
	refused 4 'pod "web"' n 1 pod create x --network default -p 9090:80
	refused 4 'pod "x"' n 1 pod create x --network default -p 7000:80 \
		-p 127.0.0.1:7000:81
	refused 2 'no address of node' n 1 pod create x --network default \
		-p 192.0.2.2:7000:80
	n 1 service create shop --port 80 --selector app=shop -p 7001:80
	refused 4 'service "shop" on network "default"' n 1 pod create x \
		--network default -p 7001:80
	serve_on 1 host 7002
	refused 4 nd-echo n 1 pod create x --network default -p 7002:80
	refused 4 nd-echo n 1 pod create x --network default \
		-p 192.0.2.1:7002:80
	job_end srv-1-host
	refused 2 'not a port' n 1 pod create x --network default -p 0:0
	refused 1 'tcp or udp' n 1 pod create x --network default -p 1:1/sctp
	refused 3 'pod "x"' n 1 pod inspect x
	pod 1 x default -p 192.0.2.1:9090:80 -p 8080:80/udp
	n 1 pod rm x
	n 1 service rm shop
}

@test "a service that publishes the port everywhere shows who has it here" {
	pod 2 shop-2 default --label app=shop
	serve 2 shop-2 80
	n 1 service create shop --port 80 --selector app=shop -p 8080:80
	until_true 10 is_problem "node1: 8080/tcp held by pod web"
	until_true 5 tcp_says ext 192.0.2.2 8080 shop-2
	[[ $(ask_on ext tcp 192.0.2.1 8080) == web* ]]
	# Mesh requests for the service still find its backend where the pod's
	# port is.
	pod 1 shop-1 default --label app=shop
	serve 1 shop-1 80
	until_true 10 reaches_both
	job_end srv-1-shop-1
	job_end srv-2-shop-2
	n 1 pod rm shop-1
	n 2 pod rm shop-2
	n 1 service rm shop
}
is_problem()
{
	n 1 service inspect shop | jq -r '.[0].problems[]' | grep -xF "$1"
}
tcp_says() { [[ $(ask_on "$1" tcp "$2" "$3") == "$4"* ]]; }
reaches_both()
{
	[[ $(who 30 ask_on ext tcp 192.0.2.2 8080) = "shop-1 shop-2" ]]
}

@test "they outlive the daemon, by kill and restart" {
	lab kill 1
	[[ $(ask_on ext tcp 192.0.2.1 8080) == web* ]]
	lab start 1
	[[ $(ask_on ext tcp 192.0.2.1 8080) == web* ]]
	[[ $(ask_on 1 tcp 127.0.0.1 9090) == web* ]]
	[ "$(ports_of web)" = \
		":8080->80/tcp 127.0.0.1:9090->80/tcp :5300->53/udp" ]
	refused 4 'pod "web"' n 1 pod create x --network default -p 8080:80
}

@test "a pod's own MAC and link name" {
	pod 1 mac default,mac=02:42:0a:01:02:03,ifname=lan0
	in_pod 1 mac ip -br link show lan0 | grep 02:42:0a:01:02:03
	in_pod 1 mac ping -c 1 -W 2 "$(pod_ip 2 far)"
	until_true 5 shows_mac
	refused 4 'pod "mac"' n 1 pod create y \
		--network default,mac=02:42:0a:01:02:03
	refused 2 'not the address of one station' n 1 pod create y \
		--network default,mac=01:00:5e:00:00:01
	refused 2 'not a name for a link' n 1 pod create y \
		--network default,ifname=a/b
	refused 4 'named twice' n 1 pod create y \
		--network default,ifname=z0 --network other,ifname=z0
	lab kill 1
	lab start 1
	in_pod 1 mac ping -c 1 -W 2 "$(pod_ip 2 far)"
	n 1 pod rm mac
}
shows_mac()
{
	n 2 pod ls -o json | jq -e '.[] | select(.name == "mac") |
		.networks[0].mac == "02:42:0a:01:02:03"'
}

@test "removing the pod frees its ports" {
	n 1 pod rm web
	run ! ask_on ext tcp 192.0.2.1 8080
	run ! ask_on 1 tcp 127.0.0.1 9090
	pod 1 next default -p 8080:80
	serve 1 next 80
	[[ $(ask_on ext tcp 192.0.2.1 8080) == next* ]]
}
