#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real engines with netd as their CNI network: podman and containerd.

load ../lib/e2e
load ../lib/cni
load ../lib/podman

setup_file()
{
	lab_up 2
	podman_up 1
	pod 2 far default
}

teardown_file()
{
	podman_down 1
	containerd_down
	lab_down
}

# What a web server in a container runs.
# shellcheck disable=SC2016 # for the shell there
WEB='mkdir -p /www; echo "$0" >/www/index.html; exec httpd -f -p 80 -h /www'
run_web()
{
	local name=$1
	shift
	pm 1 run -d --name "$name" "$@" box sh -c "$WEB" "$name" >/dev/null
}
fetch() { pm 1 exec client timeout 3 wget -qO- "http://$1/"; }
web_on() { [[ $(on "$1" curl -s -m 2 "http://$2/") = "$3" ]]; }
pods() { n 1 pod ls -o json | jq -r '.[] | select(.owner == "cni") | .name'; }

@test "podman runs containers on netd's network, which find each other" {
	pm 1 network ls | grep -w netd
	run_web web -p 8080:80 --network-alias www
	pm 1 run -d --name client box sleep 600 >/dev/null
	[ "$(pods | sort | xargs)" = "client web" ]
	until_true 5 fetch web
	[ "$(fetch web)" = web ]
	[ "$(fetch www.default)" = web ]
	pm 1 exec client ping -c 1 -W 2 "$(pod_ip 2 far)"
	pm 1 exec client ping -c 1 -W 2 far
	in_pod 2 far ping -c 1 -W 2 web.default
	pm 1 exec client nslookup web.default | grep -F "$(pod_ip 1 web)"
}

@test "podman run -p answers on the node, and podman port tells" {
	until_true 5 web_on ext 192.0.2.1:8080 web
	web_on 1 127.0.0.1:8080 web
	[ "$(pm 1 port web)" = "80/tcp -> 0.0.0.0:8080" ]
	run pm 1 run -d --name second -p 8080:80 box sleep 600
	[ "$status" -ne 0 ]
	[[ $output == *'port 8080/tcp is published by pod "web"'* ]]
	pm 1 rm -f -t 0 second
	[ "$(pods | sort | xargs)" = "client web" ]
}

@test "podman: an address and a MAC of its own" {
	pm 1 run -d --name fixed --ip "$(pod_ip 1 web | sed 's/[0-9]*$/60/')" \
		--mac-address 02:42:00:00:00:05 box sleep 600 >/dev/null
	n 1 pod inspect fixed | jq -e '.[0].networks[0] |
		(.ip | endswith(".60")) and .mac == "02:42:00:00:00:05"'
	pm 1 exec fixed ip link | grep 02:42:00:00:00:05
	pm 1 rm -f -t 0 fixed
}

@test "podman restart: the container is attached anew" {
	pm 1 restart -t 0 web
	until_true 5 web_on ext 192.0.2.1:8080 web
	[ "$(fetch web)" = web ]
	[ "$(pods | sort | xargs)" = "client web" ]
}

@test "podman: a service over containers, by their pods' names" {
	run_web api --network-alias api
	n 1 service create front --port 80 \
		--selector io.kubernetes.pod.name=api
	until_true 5 fetch front
	[ "$(fetch front)" = api ]
	n 1 service rm front
	pm 1 rm -f -t 0 api
}

@test "podman: containers go on without netd, and end without it" {
	lab kill 1
	[ "$(fetch "$(jq -r '.[0].NetworkSettings.IPAddress' \
		<<<"$(pm 1 inspect web)")")" = web ]
	pm 1 rm -f -t 0 web
	run pm 1 run -d --name late box sleep 600
	[ "$status" -ne 0 ]
	[[ $output == *"not reachable"* ]]
	pm 1 rm -f -t 0 late || :
	lab start 1
	[ "$(pods)" = client ]
	run ! on ext curl -s -m 2 http://192.0.2.1:8080/
}

@test "podman takes everything away" {
	pm 1 rm -f -t 0 -a
	[ -z "$(pods)" ]
	[ -z "$(ls -A "$RUN/node1/cni")" ]
}

@test "containerd: ctr run --cni" {
	containerd_up 1
	ct_run 1 web sh -c "$WEB" web
	ct_run 1 client sleep 600
	[ "$(pods | sort | xargs)" = "default-client default-web" ]
	ip=$(pod_ip 1 default-web)
	until_true 5 web_on 1 "$ip" web
	[ "$(ct 1 task exec --exec-id a client wget -qO- "http://$ip/")" = web ]
	# ctr gives its containers the host's resolv.conf.
	ct 1 task exec --exec-id b client nslookup \
		default-web.default.svc.cluster.local \
		"$(n 1 network inspect default | jq -r '.[0].gateway')" |
		grep -F "$ip"
	in_pod 2 far ping -c 1 -W 2 default-web
}

@test "containerd: what ends is given up, by killing too" {
	ct_rm 1 web
	ct_rm 1 client
	# ctr calls DEL only for what it waits for: netd sees the link end.
	until_true 5 no_pods
}
no_pods() { [[ -z $(pods) ]]; }
