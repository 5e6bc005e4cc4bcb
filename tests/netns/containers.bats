#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Containers of a real Docker engine as pods.

load ../lib/e2e
load ../lib/docker

setup_file()
{
	lab_up 2
	docker_up 1
	n 1 service create web --port 80 --selector app=web
	until_true 5 n 2 service inspect web
	pod 1 client default
	pod 2 far default
}

teardown_file()
{
	docker_down
	lab_down
	docker_trace
}

gateway() { n 1 network inspect default | jq -r '.[0].gateway'; }
pid_of() { dk inspect -f '{{.State.Pid}}' "$1"; }

# box NAME: a web server that says its name, without a network of Docker's.
box()
{
	dk run -d --network none --name "$1" --hostname "$1" \
		--dns "$(gateway)" --dns-search default.svc.cluster.local \
		--dns-option ndots:1 box \
		sh -c 'hostname >/www/index.html; exec httpd -f -p 80 -h /www' \
		>/dev/null
	attach "$1"
}
attach()
{
	n 1 pod create "$1" --network default --pid "$(pid_of "$1")" \
		--label app=web >/dev/null
}
fetch() { in_pod 1 client curl -s -m 2 "http://$1/"; }
has_backends()
{
	local list

	list=$(n "$1" service ps web -o json)
	[[ $(jq '[.[] | select(.state == "up")] | length' <<<"$list") \
		-eq $2 ]] || {
		jq -c '.[]' <<<"$list"
		return 1
	}
}

@test "a container is attached by its process and serves" {
	box web-1
	until_true 5 has_backends 1 1
	until_true 5 has_backends 2 1
	[ "$(fetch "$(pod_ip 1 web-1)")" = web-1 ]
	[ "$(fetch "$(svc_vip 1 web)")" = web-1 ]
	[ "$(in_pod 2 far curl -s -m 2 "http://$(svc_vip 2 web)/")" = web-1 ]
}

@test "a container resolves our names and outside ones" {
	dk exec web-1 nslookup client.default "$(gateway)" |
		grep "$(pod_ip 1 client)"
	dk exec web-1 ping -c 1 -W 2 client
	dk exec web-1 ping -c 1 -W 2 far.default
	dk exec web-1 timeout 3 wget -qO- http://example.test/ | grep ^outside
}

@test "a container reaches services, its own included" {
	[ "$(dk exec web-1 timeout 3 wget -qO- "http://$(svc_vip 1 web)/")" = web-1 ]
	[ "$(dk exec web-1 timeout 3 wget -qO- http://web/)" = web-1 ]
}

@test "a container that is killed leaves within a second" {
	box web-2
	until_true 5 has_backends 1 2
	until_true 5 has_backends 2 2
	dk kill web-2
	start=$(now_ms)
	until_true 3 has_backends 1 1
	echo "left here after $(($(now_ms) - start)) ms"
	[ $(($(now_ms) - start)) -lt 1000 ]
	until_true 3 has_backends 2 1
	echo "left there after $(($(now_ms) - start)) ms"
	[ $(($(now_ms) - start)) -lt 2000 ]
	n 1 pod rm -f web-2
	dk rm -f web-2
}

@test "docker restart under load leaves no dead backend" {
	local vip

	box web-3
	until_true 5 has_backends 1 2
	vip=$(svc_vip 1 web)
	background_in 1 client load "$BIN/nd-load" new "$vip" 80 60
	until_true 5 has_begun load
	dk restart -t 0 web-3 >/dev/null
	# The new namespace is another one: the old backend has gone.
	until_true 2 has_backends 1 1
	job_end load
	cat "$RUN/out/load"
	in_pod 1 client "$BIN/nd-load" new "$vip" 80 1
	n 1 pod rm -f web-3
	attach web-3
	until_true 5 has_backends 1 2
	in_pod 1 client "$BIN/nd-load" new "$vip" 80 1
	[ "$(for _ in 1 2 3 4 5 6 7 8 9 10; do fetch "$vip"; done |
		sort -u | xargs)" = "web-1 web-3" ]
}

@test "netd restarting keeps containers attached" {
	ip=$(pod_ip 1 web-1)
	lab kill 1
	[ "$(fetch "$ip")" = web-1 ]
	lab start 1
	until_true 2 has_backends 1 2
	[ "$(fetch "$ip")" = web-1 ]
}

@test "a container that ended while netd was dead leaves when it is back" {
	lab kill 1
	dk rm -f web-3
	lab start 1
	until_true 2 has_backends 1 1
	until_true 5 has_backends 2 1
	n 1 pod rm -f web-3
}

@test "a pod is taken from a living container and given back" {
	n 1 pod rm web-1
	run ! dk exec web-1 ip link show eth0
	attach web-1
	until_true 5 has_backends 1 1
	[ "$(fetch "$(svc_vip 1 web)")" = web-1 ]
}

@test "a process that is gone, or of the host, is refused" {
	pid=$(pid_of web-1)
	dk rm -f web-1
	run ! n 1 pod create late --network default --pid "$pid"
	[[ $output == *"/proc/$pid"* ]]
	run ! n 1 pod create none --network default --pid 999999
	refused 2 "host's own" on 1 "$BIN/netctl" \
		-H "unix://$RUN/node1/netd.sock" pod create self \
		--network default --pid "$(daemon_pid 1)"
}

@test "Docker ends without a trace" {
	docker_down
	docker_trace
}
