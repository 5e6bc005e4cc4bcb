#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Pods over three hosts: addresses, reach, MTU, what they are given.

load ../lib/e2e

setup_file()
{
	lab_up 3
	for k in 1 2 3; do
		pod "$k" "p$k" default
	done
	pod 1 q1 default
	# Every host knows every pod.
	for k in 1 2 3; do
		until_true 10 knows "$k" 4
	done
}

teardown_file() { lab_down; }

knows() { [[ $(n "$1" pod ls -o json | jq length) -eq $2 ]]; }

@test "pods of one host reach each other" {
	in_pod 1 p1 ping -c 1 -W 2 "$(pod_ip 1 q1)"
}

@test "pods of different hosts reach each other" {
	for a in 1 2 3; do
		for b in 1 2 3; do
			in_pod "$a" "p$a" ping -c 1 -W 2 "$(pod_ip "$b" "p$b")"
		done
	done
}

@test "a host reaches the pods of every host, and they it" {
	for a in 1 2 3; do
		for b in 1 2 3; do
			on "$a" ping -c 1 -W 2 "$(pod_ip "$b" "p$b")"
			in_pod "$b" "p$b" ping -c 1 -W 2 "192.0.2.$a"
		done
	done
}

@test "full-size packets pass, larger ones are told so" {
	ip=$(pod_ip 2 p2)
	mtu=$(in_pod 1 p1 ip -j link show eth0 | jq '.[0].mtu')
	[ "$mtu" -eq 1450 ]
	in_pod 1 p1 ping -c 1 -W 2 -M "do" -s $((mtu - 28)) "$ip"
	run ! in_pod 1 p1 ping -c 1 -W 2 -M "do" -s $((mtu - 27)) "$ip"
}

@test "a large transfer between hosts is whole" {
	serve 2 p2 8000
	[ "$(in_pod 1 p1 curl -s -m 20 "http://$(pod_ip 2 p2):8000/20000000" |
		wc -c)" -eq 20000000 ]
}

@test "the gateway answers echo" {
	gw=$(n 1 network inspect default | jq -r '.[0].gateway')
	for k in 1 2 3; do
		in_pod "$k" "p$k" ping -c 1 -W 2 "$gw"
	done
}

@test "no address is given twice" {
	n 1 pod ls -o json | jq -r '.[].networks[].ip' >"$RUN/out/ips"
	[ "$(wc -l <"$RUN/out/ips")" -eq 4 ]
	[ "$(sort -u "$RUN/out/ips" | wc -l)" -eq 4 ]
}

@test "pod exec passes the exit code and the resolver" {
	run -7 in_pod 1 p1 sh -c 'exit 7'
	run -127 in_pod 1 p1 /no/such/program
	gw=$(n 1 network inspect default | jq -r '.[0].gateway')
	in_pod 1 p1 cat /etc/resolv.conf | grep "^nameserver $gw\$"
	in_pod 1 p1 cat /etc/resolv.conf | grep "search default.svc.cluster.local"
	run ! grep -q "$gw" /etc/resolv.conf
}

@test "a pod's name is compared without case" {
	n 1 pod create Big.One --network default
	[ "$(in_pod 1 Big.One echo in)" = in ]
	[ "$(in_pod 1 big.one echo in)" = in ]
	n 1 pod rm BIG.one
}

@test "a command in a pod holds no other namespace" {
	[ "$(in_pod 1 p1 grep -c nsfs /proc/self/mounts)" -eq 0 ]
	grep -q nsfs /proc/self/mounts
}

@test "a pod on two networks has an interface on each" {
	n 1 network create second
	pod 1 both default --network second
	n 1 network connect second p1
	in_pod 1 both ping -c 1 -W 2 "$(pod_ip 1 p1 default)"
	in_pod 1 both ping -c 1 -W 2 "$(pod_ip 1 p1 second)"
	[ "$(in_pod 1 both ip -o -4 addr show scope global | wc -l)" -eq 2 ]
	n 1 network disconnect second p1
	[ "$(in_pod 1 p1 ip -o -4 addr show scope global | wc -l)" -eq 1 ]
	n 1 pod rm both
	until_true 5 n 1 network rm second
}

@test "a static address is given, once" {
	n 1 network create fixed --subnet 10.99.0.0/24
	pod 1 s1 fixed,ip=10.99.0.77
	[ "$(pod_ip 1 s1)" = 10.99.0.77 ]
	until_true 5 n 2 network inspect fixed
	until_true 5 sees_static
	refused 4 10.99.0.77 n 2 pod create s2 --network fixed,ip=10.99.0.77
	n 1 pod rm s1
}
sees_static() { n 2 pod ls -o json | jq -e '.[] | select(.name == "s1")'; }

@test "a pod that is removed is gone everywhere" {
	pod 2 short default
	ip=$(pod_ip 2 short)
	until_true 5 in_pod 1 p1 ping -c 1 -W 1 "$ip"
	n 2 pod rm short
	run ! in_pod 1 p1 ping -c 1 -W 1 "$ip"
	until_true 5 knows 1 4
	[ ! -e "$RUN/node2/ns/short" ]
	[ "$(on 2 ip -d link | grep -c 'netd:pod short')" -eq 0 ]
}
