#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How a service's backends are chosen and kept: weights, drains, affinity,
# policy, connections of the dead, over three hosts.

load ../lib/e2e

setup_file()
{
	web_up "80 53" --port 80 --port 53/udp --publish 8080:80
	pod 2 other default
}

teardown_file() { lab_down; }

client() { ask_pod 1 client "$@"; }
# only NAMES COMMAND..: nobody else answers.
only()
{
	local names=$1
	shift
	[[ $(who 20 "$@") == "$names" ]]
}
# state HOST SERVICE POD
state()
{
	n "$1" service ps "$2" -o json |
		jq -r --arg p "$3" '.[] | select(.pod == $p) | .state'
}
is_state() { [[ $(state "$1" "$2" "$3") == "$4" ]]; }

@test "a pod's label is its weight" {
	pod 1 none default --label app=web --label netd.weight=0
	serve 1 none 80 53
	until_true 5 is_state 3 web none up
	[[ $(n 3 service ps web -o json |
		jq '.[] | select(.pod == "none") | .weight') -eq 0 ]]
	only "web-1 web-2 web-3" client tcp "$(svc_vip 1 web)" 80
	only "web-1 web-2 web-3" ask_on ext tcp 192.0.2.2 8080
	n 1 pod rm none
	refused 2 netd.weight n 1 pod create bad --network default \
		--label netd.weight=heavy
}

@test "static backends have weights, and they change" {
	a=$(pod_ip 1 web-1) b=$(pod_ip 2 web-2)
	n 1 service create st --port 80 --backend "$a:80,weight=0" \
		--backend "$b:80,weight=3"
	vip=$(svc_vip 1 st)
	until_true 5 only web-2 client tcp "$vip" 80
	n 2 service update st --backend-add "$a:80,weight=3" \
		--backend-add "$b:80,weight=0"
	until_true 5 only web-1 client tcp "$vip" 80
	refused 2 weight n 1 service update st --backend-add "$a:80,weight=-1"
	refused 4 there n 1 service update st --backend-add "$a:80,weight=3"
	n 1 service rm st
}

@test "a drained backend keeps what it has and gets nothing new" {
	vip=$(svc_vip 1 web)
	# Enough connections that some are to the one that is drained.
	for i in 1 2 3 4 5 6 7 8; do
		background_on ext "hold-$i" \
			"$BIN/nd-load" hold 192.0.2.1 8080 4
	done
	until_true 5 eight_open
	n 1 service drain web web-2
	until_true 5 is_state 3 web web-2 draining
	for k in 1 2 3; do
		until_true 5 only "web-1 web-3" ask_on ext tcp "192.0.2.$k" 8080
	done
	only "web-1 web-3" client tcp "$vip" 80
	only "web-1 web-3" client udp "$vip" 53
	[ "$(in_pod 1 client dig +short tasks.web.default | wc -l)" -eq 2 ]
	for i in 1 2 3 4 5 6 7 8; do
		until_true 10 grep ok "$RUN/out/hold-$i"
		grep " 0 failed" "$RUN/out/hold-$i"
	done
	n 3 service undrain web web-2
	until_true 5 has_backends 1 web 3
	refused 3 nobody n 1 service drain web nobody
}

eight_open()
{
	[[ $(on ext ss -Htn state established dport = :8080 | wc -l) -ge 8 ]]
}

@test "a drain ends when its time is over" {
	n 1 service drain web "$(pod_ip 2 web-2)" --timeout 2s
	until_true 2 is_state 1 web web-2 draining
	until_true 5 is_state 1 web web-2 drained
	n 1 service undrain web web-2
	until_true 5 has_backends 3 web 3
}

@test "a client stays with its backend, for the VIP and the mesh" {
	n 1 service create sticky --port 80 --port 53/udp --selector app=web \
		--publish 8090:80 --affinity client-ip
	for k in 1 2 3; do until_true 5 has_backends "$k" sticky 3; done
	vip=$(svc_vip 1 sticky)
	mine=$(who 20 client tcp "$vip" 80)
	[[ $mine == web-[123] ]]
	theirs=$(who 20 ask_on ext tcp 192.0.2.1 8090)
	[[ $theirs == web-[123] ]]
	# More of them come: nobody moves.
	for i in 4 5 6; do
		pod 1 "web-$i" default --label app=web
		serve 1 "web-$i" 80 53
	done
	for k in 1 2 3; do until_true 5 has_backends "$k" sticky 6; done
	[ "$(who 20 client tcp "$vip" 80)" = "$mine" ]
	[ "$(who 20 ask_on ext tcp 192.0.2.1 8090)" = "$theirs" ]
	# Its backend drains: it gets another one, and stays there.
	n 1 service drain sticky "$mine"
	until_true 5 is_state 1 sticky "$mine" draining
	until_true 5 moved "$vip" "$mine"
	for i in 4 5 6; do n 1 pod rm "web-$i"; done
	n 1 service rm sticky
}
moved()
{
	local now

	now=$(who 10 client tcp "$1" 80)
	[[ $now == web-[1-6] && $now != "$2" ]]
}

@test "policy: this host's own first, or alone" {
	n 1 service create near --port 80 --publish 8091:80 \
		--selector app=web --policy prefer-local
	for k in 1 2 3; do until_true 5 has_backends "$k" near 3; done
	vip=$(svc_vip 1 near)
	for k in 1 2 3; do
		only "web-$k" ask_on "$k" tcp "$vip" 80
		only "web-$k" ask_on ext tcp "192.0.2.$k" 8091
	done
	n 1 service drain near web-1
	until_true 5 only "web-2 web-3" client tcp "$vip" 80
	n 1 service update near --policy local
	until_true 5 refused_on "$vip" 80
	only web-2 ask_pod 2 other tcp "$vip" 80
	n 1 service rm near
}
refused_on() { ! client tcp "$1" "$2"; }

@test "connections to a backend that is gone are reset where that is asked" {
	pod 3 brief default --label app=brief
	serve 3 brief 80
	n 1 service create brief --port 80 --selector app=brief \
		--on-dead reset
	until_true 5 has_backends 1 brief 1
	background_in 1 client hold \
		"$BIN/nd-load" hold "$(svc_vip 1 brief)" 80 20
	until_true 5 established
	start=$(now_ms)
	n 3 pod rm brief
	until_true 4 grep -E "reset|refused" "$RUN/out/hold"
	[ $(($(now_ms) - start)) -lt 3000 ]
	n 1 service rm brief
}
established()
{
	in_pod 1 client ss -Htn state established dport = :80 | grep .
}

@test "a published port is for those it is published for" {
	n 1 service create priv --port 80 --publish 8092:80 \
		--selector app=web --publish-from 203.0.113.0/24 \
		--publish-from 192.0.2.2/32
	for k in 1 2 3; do until_true 5 has_backends "$k" priv 3; done
	on ext ip addr replace 203.0.113.9/32 dev lo
	for k in 1 2 3; do
		before=$(drops_of "$k" source_denied)
		run ask_on ext timeout 1 nc -w 1 "192.0.2.$k" 8092
		[ "$status" -ne 0 ]
		[ "$(drops_of "$k" source_denied)" -gt "$before" ]
		[[ $(on ext bash -c "echo | nc -N -s 203.0.113.9 -w 2 \
			192.0.2.$k 8092") == web-* ]]
	done
	ask_on 2 tcp 192.0.2.1 8092
	# The virtual IP is not published, and the host may ask itself.
	client tcp "$(svc_vip 1 priv)" 80
	ask_on 1 tcp 127.0.0.1 8092
	n 2 service update priv --publish-from any
	until_true 5 ask_on ext tcp 192.0.2.1 8092
	n 1 service rm priv
	refused 2 "is not a prefix" n 1 service create bad --port 80 \
		-p 8093:80 --publish-from somewhere
}

@test "settings are refused where they have no meaning" {
	refused 2 dnsrr n 1 service create bad --selector a=b --port 80 \
		--endpoint-mode dnsrr --affinity client-ip
	refused 2 health n 1 service create bad --port 53/udp --health tcp
	refused 2 algo n 1 service create bad --port 80 --algo fastest
	refused 2 "1 to" n 1 service create bad --port 80 \
		--affinity client-ip=0
}
