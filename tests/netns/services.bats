#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Services: virtual IPs, balancing, what a client sees when nobody is there.

load ../lib/e2e

setup_file()
{
	web_up "80 53 8080" --port 80 --port 53/udp
}

teardown_file() { lab_down; }

client() { ask_pod 1 client "$@"; }

@test "the virtual IP reaches every backend, TCP and UDP" {
	vip=$(svc_vip 1 web)
	[ "$(who 60 client tcp "$vip" 80)" = "web-1 web-2 web-3" ]
	[ "$(who 60 client udp "$vip" 53)" = "web-1 web-2 web-3" ]
}

@test "the backend sees the pod's own address" {
	line=$(client tcp "$(svc_vip 1 web)" 80)
	[[ $line == *" from $(pod_ip 1 client):"* ]]
}

@test "every host's own processes use the virtual IP" {
	vip=$(svc_vip 1 web)
	for k in 1 2 3; do
		[ "$(who 60 ask_on "$k" tcp "$vip" 80)" = "web-1 web-2 web-3" ]
		[ "$(who 40 ask_on "$k" udp "$vip" 53)" = "web-1 web-2 web-3" ]
	done
}

@test "a backend reaches its own service, itself included" {
	vip=$(svc_vip 1 web)
	[ "$(who 60 ask_pod 2 web-2 tcp "$vip" 80)" = "web-1 web-2 web-3" ]
	[ "$(who 60 ask_pod 2 web-2 udp "$vip" 53)" = "web-1 web-2 web-3" ]
}

@test "a port may lead to another one" {
	n 1 service create alt --port 81:8080 --selector app=web
	until_true 5 has_backends 1 alt 3
	line=$(client tcp "$(svc_vip 1 alt)" 81)
	[[ $line == web-*":8080" ]]
	n 1 service rm alt
}

@test "echo to the virtual IP is answered" {
	in_pod 1 client ping -c 1 -W 2 "$(svc_vip 1 web)"
}

@test "without a backend TCP is refused at once, UDP too" {
	n 1 service create empty --port 80 --port 53/udp --selector app=none
	vip=$(svc_vip 1 empty)
	start=$(now_ms)
	run client nc -w 5 "$vip" 80
	[ "$status" -ne 0 ]
	[ $(($(now_ms) - start)) -lt 1500 ]
	start=$(now_ms)
	run in_pod 1 client dig +tries=1 +time=5 "@$vip" x.
	[[ $output == *refused* ]]
	[ $(($(now_ms) - start)) -lt 4000 ]
	n 1 service rm empty
}

@test "a port the service has not is refused" {
	start=$(now_ms)
	run client nc -w 5 "$(svc_vip 1 web)" 82
	[ "$status" -ne 0 ]
	[ $(($(now_ms) - start)) -lt 1500 ]
}

@test "a backend that is removed is not used again" {
	pod 2 web-x default --label app=web
	serve 2 web-x 80 53
	until_true 5 has_backends 1 web 4
	vip=$(svc_vip 1 web)
	until_true 5 uses "$vip" web-x
	n 2 pod rm web-x
	until_true 2 has_backends 1 web 3
	[ "$(who 60 client tcp "$vip" 80)" = "web-1 web-2 web-3" ]
}
uses() { [[ $(who 30 client tcp "$1" 80) == *$2* ]]; }

@test "a static backend outside the overlay serves the virtual IP" {
	serve_on ext legacy 9000
	n 1 service create legacy --port 9000 --backend 192.0.2.254:9000
	line=$(client tcp "$(svc_vip 1 legacy)" 9000)
	[[ $line == "legacy from 192.0.2.1:"* ]]
	n 1 service rm legacy
	job_end srv-ext-legacy
}

@test "ports and backends change while it serves" {
	n 1 service create live --port 80 --selector app=web
	vip=$(svc_vip 1 live)
	until_true 5 uses "$vip" web-1
	n 1 service update live --port-add 90:8080
	until_true 5 client tcp "$vip" 90
	n 1 service update live --port-rm 80
	until_true 5 refused_on "$vip" 80
	n 1 service update live --selector app=none
	until_true 5 refused_on "$vip" 90
	[ "$(svc_vip 1 live)" = "$vip" ]
	n 1 service rm live
}
refused_on() { ! client tcp "$1" "$2"; }

@test "an established connection outlives the removal of its service" {
	n 1 service create old --port 80 --selector app=web
	vip=$(svc_vip 1 old)
	until_true 5 uses "$vip" web-1
	background_in 1 client hold "$BIN/nd-load" hold "$vip" 80 3
	until_true 5 established
	n 1 service update old --selector app=none
	until_true 5 refused_on "$vip" 80
	until_true 10 grep ok "$RUN/out/hold"
	grep " 0 failed" "$RUN/out/hold"
	n 1 service rm old
}
established()
{
	in_pod 1 client ss -Htn state established dport = :80 | grep .
}

@test "--vip picks the address; one in use is refused" {
	first=$(svc_vip 1 web)
	refused 4 "$first" n 1 service create other --port 1 --vip "$first"
	refused 2 192.0.2.9 n 1 service create other --port 1 --vip 192.0.2.9
	free=${first%.*}.200
	n 2 service create chosen --port 1 --vip "$free"
	[ "$(svc_vip 2 chosen)" = "$free" ]
	n 2 service rm chosen
}

@test "dnsrr gives the pods' addresses and no virtual IP" {
	n 1 service create bare --port 80 --selector app=web \
		--endpoint-mode dnsrr
	until_true 5 has_backends 1 bare 3
	want=$(for k in 1 2 3; do pod_ip "$k" "web-$k"; done | sort)
	until_true 5 resolves_to bare "$want"
	[ -z "$(svc_vip 1 bare)" ]
	n 1 service rm bare
}
resolves_to()
{
	[[ $(in_pod 1 client dig +short "$1.default" | sort) = "$2" ]]
}

@test "a large transfer by the virtual IP is whole" {
	vip=$(svc_vip 1 web)
	for _ in 1 2 3 4; do
		[ "$(in_pod 1 client curl -s -m 20 "http://$vip/8000000" |
			wc -c)" -eq 8000000 ]
	done
}
