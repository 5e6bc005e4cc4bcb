#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The CNI plugin by the rules of the specification: what it gives, what it
# refuses and with which code, and that what fails changes nothing.

load ../lib/e2e
load ../lib/cni

setup_file()
{
	lab_up 1
	n 1 network create blue --subnet 10.5.0.0/24
	n 1 network create tiny --subnet 10.6.0.0/29
	box_up c1
	box_up c2
	cni ADD c2 >"$RUN/out/c2"
	box_up bad
}

teardown_file()
{
	for box in c1 c2 c3 bad; do
		box_down "$box"
	done
	lab_down
}

setup() { snapshot >"$RUN/out/before"; }

# Whatever a test attached to c1 goes: tests do not lean on each other.
teardown()
{
	for ifname in eth0 eth1 eth2; do
		cni DEL c1 "$(conf 1)" CNI_IFNAME=$ifname || :
	done
}

snapshot()
{
	n 1 pod ls -o json | jq -c 'sort_by(.name) | .[]'
	on 1 ip -br link
	inside bad ip -br link
	ls "$RUN/node1/cni" "$RUN/node1/resolv"
}
unchanged()
{
	snapshot | diff "$RUN/out/before" - || {
		echo "something changed"
		return 1
	}
}

# add_c1 [CONF [VAR=VALUE..]]: the result, also in $RUN/out/c1.
add_c1() { cni ADD c1 "$@" >"$RUN/out/c1" && cat "$RUN/out/c1"; }
# with_prev CONF RESULT-FILE
with_prev() { jq -c --slurpfile p "$2" '.prevResult = $p[0]' <<<"$1"; }
check_c1() { cni CHECK c1 "$(with_prev "$(conf 1)" "$RUN/out/c1")" "$@"; }
pod_of() { n 1 pod inspect "$1"; }
has_program() { on 1 tc filter show dev "$1" ingress | grep -q from_pod; }

@test "run by hand it says its version" {
	out=$(env -i "$BIN/netd-cni" 2>&1)
	[[ $out =~ \ v[0-9]+\.[0-9]+\.[0-9]+ ]]
}

@test "VERSION lists what it speaks, whatever it is asked with" {
	for conf in '' '{"cniVersion":"0.1.0"}' '{"cniVersion":"1.1.0"}'; do
		cni VERSION x "$conf" | jq -e '.supportedVersions ==
			["0.3.1", "0.4.0", "1.0.0", "1.1.0"]'
	done
}

@test "ADD gives an address, routes and names, in every version's words" {
	for version in 0.3.1 0.4.0 1.0.0 1.1.0; do
		add_c1 "$(conf 1 ".cniVersion = \"$version\"")" |
			jq -e --arg v "$version" --arg ns "$(box_path c1)" '
			.cniVersion == $v and
			.interfaces[1].name == "eth0" and
			.interfaces[1].sandbox == $ns and
			.ips[0].interface == 1 and
			.ips[0].version == (if $v < "1.0" then "4"
				else null end) and
			.interfaces[1].mtu == (if $v < "1.1" then null
				else 1450 end) and
			.dns.nameservers == [.ips[0].gateway] and
			.dns.search[0] == "default.svc.cluster.local"'
		inside c1 ip -br addr show eth0 |
			grep -F "$(jq -r '.ips[0].address' "$RUN/out/c1")"
		inside c1 ip link show eth0 |
			grep -F "$(jq -r '.interfaces[1].mac' "$RUN/out/c1")"
		inside c1 ping -c 1 -W 2 "$(jq -r '.ips[0].address |
			sub("/.*"; "")' "$RUN/out/c2")"
		cni DEL c1 "$(conf 1 ".cniVersion = \"$version\"")"
		unchanged
	done
}

@test "containers find each other by name" {
	gateway=$(add_c1 | jq -r '.dns.nameservers[0]')
	want=$(jq -r '.ips[0].address | sub("/.*"; "")' "$RUN/out/c2")
	[ "$(inside c1 dig +short "@$gateway" c2.default)" = "$want" ]
}

@test "variables that are missing or wrong: code 4, by name" {
	fails 4 CNI_COMMAND cni '' bad
	fails 4 CNI_COMMAND cni add bad
	fails 4 CNI_CONTAINERID cni ADD bad "$(conf 1)" CNI_CONTAINERID=
	fails 4 CNI_CONTAINERID cni ADD bad "$(conf 1)" CNI_CONTAINERID=a/b
	fails 4 CNI_CONTAINERID cni ADD bad "$(conf 1)" CNI_CONTAINERID=..
	fails 4 CNI_CONTAINERID cni DEL bad "$(conf 1)" \
		CNI_CONTAINERID=../../etc
	fails 4 CNI_CONTAINERID cni ADD bad "$(conf 1)" \
		CNI_CONTAINERID="$(printf '%0300d' 0)"
	fails 4 CNI_NETNS cni ADD bad "$(conf 1)" CNI_NETNS=
	fails 4 CNI_NETNS cni CHECK bad "$(conf 1)" CNI_NETNS=
	for name in '' . .. a/b ../x a:b 'a b' sixteen-letters-; do
		fails 4 CNI_IFNAME cni ADD bad "$(conf 1)" CNI_IFNAME="$name"
		fails 4 CNI_IFNAME cni DEL bad "$(conf 1)" CNI_IFNAME="$name"
	done
	fails 4 CNI_ARGS cni ADD bad "$(conf 1)" CNI_ARGS=X=1
	fails 4 CNI_ARGS cni ADD bad "$(conf 1)" CNI_ARGS='IP'
	unchanged
}

@test "configurations that are no such: codes 1, 2, 6 and 7" {
	fails 6 'not JSON' cni ADD bad '{'
	fails 6 'not JSON' cni DEL bad ''
	fails 6 'not a JSON object' cni ADD bad '[]'
	fails 1 cniVersion cni ADD bad '{}'
	fails 1 0.2.0 cni ADD bad "$(conf 1 '.cniVersion = "0.2.0"')"
	fails 1 1.2.0 cni ADD bad "$(conf 1 '.cniVersion = "1.2.0"')"
	fails 1 0.4.0 cni CHECK bad "$(conf 1 '.cniVersion = "0.3.1"')"
	for command in GC STATUS; do
		fails 1 1.1.0 cni $command bad \
			"$(conf 1 '.cniVersion = "1.0.0"')"
	done
	fails 7 name cni ADD bad "$(conf 1 'del(.name)')"
	fails 7 ../x cni ADD bad "$(conf 1 '.name = "../x"')"
	fails 7 socket cni ADD bad "$(conf 1 '.socket = "x"')"
	fails 7 nowhere cni ADD bad "$(conf 1 '.network = "nowhere"')"
	fails 2 bandwidth cni ADD bad \
		"$(conf 1 '.runtimeConfig.bandwidth = {ingressRate: 1}')"
	fails 2 ipRanges cni ADD bad "$(conf 1 '.runtimeConfig.ipRanges = []')"
	fails 2 ipam cni ADD bad "$(conf 1 '.ipam.type = "host-local"')"
	fails 2 netwrok cni ADD bad "$(conf 1 '.netwrok = "blue"')"
	fails 2 networks cni ADD bad "$(conf 1 '.networks = ["a", "b"]')"
	fails 2 sctp cni ADD bad "$(conf 1 '.runtimeConfig.portMappings =
		[{containerPort: 1, protocol: "sctp"}]')"
	unchanged
}

@test "two MiB of options are refused, and more is not read" {
	head -c 2097152 /dev/zero | tr '\0' ' ' >"$RUN/out/large"
	large() { on 1 env CNI_COMMAND=ADD CNI_CONTAINERID=bad \
		CNI_NETNS="$(box_path bad)" CNI_IFNAME=eth0 \
		"$BIN/netd-cni" <"$RUN/out/large"; }
	fails 7 'larger than' large
	unchanged
}

@test "namespaces: the host's own, a file, a folder, gone" {
	fails 8 "plugin's own" cni ADD bad "$(conf 1)" \
		CNI_NETNS=/proc/self/ns/net
	fails 8 "plugin's own" cni ADD bad "$(conf 1)" \
		CNI_NETNS="/run/netns/${NS}node1"
	# The runtime may say that it means it; netd does not.
	fails 7 "host's own" cni ADD bad "$(conf 1)" CNI_NETNS_OVERRIDE=1 \
		CNI_NETNS="/run/netns/${NS}node1"
	fails 8 'not a network namespace' cni ADD bad "$(conf 1)" \
		CNI_NETNS="$RUN/out/c2"
	fails 8 'not a network namespace' cni ADD bad "$(conf 1)" \
		CNI_NETNS=/proc/self/ns/mnt
	fails 8 'not a network namespace' cni ADD bad "$(conf 1)" CNI_NETNS=/
	fails 8 'No such file' cni ADD bad "$(conf 1)" \
		CNI_NETNS=/run/netns/none
	unchanged
}

@test "a link of that name is an error, and stays" {
	inside bad ip link add eth0 type veth peer name other
	fails 101 eth0 cni ADD bad
	inside bad ip link show eth0 | grep -F eth0
	inside bad ip link del eth0
	unchanged
	add_c1
	fails 101 eth0 cni ADD c1
	fails 101 'on network "default" already' cni ADD c1 "$(conf 1)" \
		CNI_IFNAME=eth1
	check_c1
}

@test "addresses: wished for, outside the subnet, taken" {
	blue() { conf 1 ".network = \"blue\" | $1"; }
	ip() { conf 1 ".network = \"blue\" | .runtimeConfig.ips = [\"$1\"]"; }
	add_c1 "$(ip 10.5.0.77/24)" |
		jq -e '.ips[0].address == "10.5.0.77/24"'
	fails 101 'taken by pod c1' cni ADD bad "$(ip 10.5.0.77)"
	fails 7 10.5.1.1 cni ADD bad "$(ip 10.5.1.1)"
	fails 7 10.5.0.1 cni ADD bad "$(ip 10.5.0.1)"
	fails 7 10.5.0 cni ADD bad "$(ip 10.5.0)"
	fails 7 10.5.0.255 cni ADD bad "$(blue .)" CNI_ARGS=IP=10.5.0.255
	cni DEL c1
	add_c1 "$(blue .)" "CNI_ARGS=IP=10.5.0.78;MAC=02:42:00:00:00:01" |
		jq -e '.ips[0].address == "10.5.0.78/24" and
			.interfaces[1].mac == "02:42:00:00:00:01"'
	fails 101 'pod "c1"' cni ADD bad "$(blue .)" \
		"CNI_ARGS=MAC=02:42:00:00:00:01"
	fails 7 station cni ADD bad "$(blue .)" \
		"CNI_ARGS=MAC=01:00:5e:00:00:01"
	cni DEL c1
	unchanged
}

@test "ports, aliases, labels" {
	add_c1 "$(conf 1 '.labels = {app: "web"} | .runtimeConfig = {
		portMappings: [{hostPort: 8080, containerPort: 80},
			{hostPort: 8081, containerPort: 80,
			hostIP: "127.0.0.1", protocol: "tcp"},
			{containerPort: 80}],
		aliases: {lab: ["www"], other: ["nope"]}}')" \
		'CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web;K8S_POD_NAMESPACE=s'
	pod_of web | jq -e '.[0].labels == {app: "web",
		"io.kubernetes.pod.name": "web",
		"io.kubernetes.pod.namespace": "s"} and
		.[0].networks[0].aliases == ["www"] and
		(.[0].ports | map(.port)[0:2] == [8080, 8081])'
	background srv-c1 nsenter --net="$(box_path c1)" -- \
		"$BIN/nd-echo" -n c1 80
	until_true 5 grep -q listening "$RUN/out/srv-c1"
	[[ $(ask_on ext tcp 192.0.2.1 8080) == "c1 from 192.0.2.254:"* ]]
	[[ $(ask_on 1 tcp 127.0.0.1 8081) == c1* ]]
	n 1 service create web --port 80 --selector app=web
	until_true 5 answers "$(svc_vip 1 web)"
	gateway=$(jq -r '.dns.nameservers[0]' "$RUN/out/c2")
	[ "$(inside c2 dig +short "@$gateway" www.default)" = \
		"$(jq -r '.ips[0].address | sub("/.*"; "")' "$RUN/out/c1")" ]
	fails 101 'pod "web"' cni ADD bad "$(conf 1 '.runtimeConfig.portMappings
		= [{hostPort: 8080, containerPort: 80}]')"
	job_end srv-c1
	n 1 service rm web
}
answers() { [[ $(inside c2 bash -c 'tcp "$@"' - "$1" 80) == c1* ]]; }

@test "names: Nomad's, another namespace's of Kubernetes, the id's" {
	add_c1 "$(conf 1)" "CNI_ARGS=IgnoreUnknown=true;NOMAD_GROUP_NAME=api;\
NOMAD_ALLOC_ID=c0ffee12-ab;NOMAD_JOB_ID=shop"
	pod_of api-c0ffee12 | jq -e '.[0].labels["nomad.job"] == "shop"'
	cni DEL c1
	add_c1 "$(conf 1)" CNI_ARGS=K8S_POD_NAME=c2
	pod_of c2-c1
	cni DEL c1
	add_c1
	pod_of c1 | jq -e '.[0].owner == "cni" and .[0].container == "c1"'
}

@test "several networks are one pod, and leave one by one" {
	add_c1
	CNI_NAME=second cni ADD c1 \
		"$(CNI_NAME=second conf 1 '.network = "blue"')" \
		CNI_IFNAME=eth1 >"$RUN/out/second"
	pod_of c1 | jq -e '.[0].networks | map(.interface) == ["eth0", "eth1"]'
	[ "$(inside c1 ip -o route show default | wc -l)" -eq 1 ]
	check_c1
	cni CHECK c1 "$(with_prev "$(conf 1 '.network = "blue"')" \
		"$RUN/out/second")" CNI_IFNAME=eth1
	cni DEL c1 "$(conf 1)" CNI_IFNAME=eth1
	pod_of c1 | jq -e '.[0].networks | map(.interface) == ["eth0"]'
	check_c1
	cni DEL c1
	refused 3 'pod "c1"' pod_of c1
	unchanged
}

@test "DEL is done again, for what never was, with the namespace gone" {
	cni DEL never
	add_c1
	for _ in 1 2; do
		[ -z "$(cni DEL c1)" ]
	done
	box_up c3
	cni ADD c3
	box_down c3
	cni DEL c3 "$(conf 1)" CNI_NETNS=
	cni DEL c3
	unchanged
}

@test "CHECK holds after ADD, and says what is not as it was" {
	add_c1
	[ -z "$(check_c1)" ]
	check_c1 CNI_IFNAME=eth0
	fails 7 prevResult cni CHECK c1
	fails 103 eth9 check_c1 CNI_IFNAME=eth9
	fails 103 bad cni CHECK bad "$(with_prev "$(conf 1)" "$RUN/out/c1")"
	fails 103 'another namespace' check_c1 CNI_NETNS="$(box_path bad)"
	fails 103 'prevResult has not' cni CHECK c1 \
		"$(with_prev "$(conf 1)" "$RUN/out/c2")"
	# Its own routes may be more than ours.
	inside c1 ip route add 198.51.100.0/24 via \
		"$(jq -r '.ips[0].gateway' "$RUN/out/c1")"
	check_c1
	link=$(jq -r '.interfaces[0].name' "$RUN/out/c1")
	addr=$(jq -r '.ips[0].address' "$RUN/out/c1")
	gw=$(jq -r '.ips[0].gateway' "$RUN/out/c1")

	inside c1 ip link set eth0 address 02:00:00:00:00:99
	fails 103 MAC check_c1
	inside c1 ip link set eth0 address \
		"$(jq -r '.interfaces[1].mac' "$RUN/out/c1")"
	check_c1
	inside c1 ip route del default
	fails 103 'default route' check_c1
	inside c1 ip route add default via "$gw"
	inside c1 ip route del 10.80.0.0/22
	fails 103 10.80.0.0/22 check_c1
	inside c1 ip route add 10.80.0.0/22 via "$gw"
	check_c1
	inside c1 ip addr del "$addr" dev eth0
	fails 103 "$addr" check_c1
	inside c1 ip addr add "$addr" dev eth0
	inside c1 ip link set eth0 down
	fails 103 'is down' check_c1
	inside c1 ip link set eth0 up
	inside c1 ip route add default via "$gw"
	inside c1 ip route replace 10.80.0.0/22 via "$gw"
	check_c1
	on 1 tc qdisc del dev "$link" clsact
	until_true 5 has_program "$link"
	check_c1
	on 1 ip link del "$link"
	until_true 5 fails 103 'no link' check_c1
}

@test "GC removes what is not named, of this network alone" {
	box_up c3
	cni ADD c3 >/dev/null
	CNI_NAME=other cni ADD c1 "$(CNI_NAME=other conf 1)" >/dev/null
	fails 7 valid-attachments cni GC -
	keep='."cni.dev/valid-attachments" = [{containerID: "c2",
		ifname: "eth0"}, {containerID: "gone", ifname: "eth0"}]'
	[ -z "$(cni GC - "$(conf 1 "$keep")")" ]
	pod_of c1
	pod_of c2
	refused 3 'pod "c3"' pod_of c3
	[ -z "$(inside c3 ip -br link show type veth)" ]
	CNI_NAME=other cni GC - "$(CNI_NAME=other conf 1 \
		'."cni.dev/attachments" = []')"
	refused 3 'pod "c1"' pod_of c1
	box_down c3
	unchanged
}

@test "STATUS: ready, no such network, full" {
	[ -z "$(cni STATUS -)" ]
	fails 50 nowhere cni STATUS - "$(conf 1 '.network = "nowhere"')"
	for i in 1 2 3 4 5; do
		pod 1 "full-$i" tiny
	done
	fails 50 tiny cni STATUS - "$(conf 1 '.network = "tiny"')"
	fails 102 tiny cni ADD bad "$(conf 1 '.network = "tiny"')"
	n 1 pod rm full-1 full-2 full-3 full-4 full-5
}

@test "a result that nobody takes is undone" {
	closed() { cni ADD bad "$(conf 1)" >/dev/full; }
	run ! closed
	unchanged
}

@test "netd away: ADD and STATUS say so, DEL is left for later" {
	add_c1
	lab kill 1
	fails 11 'not reachable' cni ADD bad
	fails 50 'not reachable' cni STATUS -
	fails 11 'not reachable' check_c1
	[ -z "$(cni DEL c1)" ]
	cni DEL never
	[ "$(stat -c %a "$RUN/node1/cni")" = 700 ]
	inside c1 ip link show eth0
	lab start 1
	refused 3 'pod "c1"' pod_of c1
	run ! inside c1 ip link show eth0
	until_true 5 unchanged
}

@test "a container given up while netd was away begins anew" {
	add_c1
	lab kill 1
	cni DEL c1
	lab start 1
	add_c1
	check_c1
}

@test "a folder of things left for netd that is no longer read by anybody" {
	run_dir=$RUN/node1
	lab kill 1
	mv "$run_dir/cni" "$run_dir/cni-was"
	cni DEL c1
	[ -e "$run_dir/cni/c1@eth0" ]
	rm -r "$run_dir/cni"
	mv "$run_dir/cni-was" "$run_dir/cni"
	cni DEL c1 "$(conf 1 '.socket = "/run/nobody/netd.sock"')"
	lab start 1
}

@test "the store away: what the node has it gives and takes" {
	local calm

	calm=$(conf 1 '.network = "calm"')
	# Addresses that this node may give without asking anybody.
	n 1 network create calm
	pod 1 calm calm
	lab stop etcd
	add_c1 "$calm"
	cni CHECK c1 "$(with_prev "$calm" "$RUN/out/c1")"
	cni STATUS - "$calm"
	cni DEL c1
	lab start etcd
	until_true 10 n 1 status
	n 1 pod rm calm
}

@test "netctl installs it, says how it is, and takes it away" {
	at="--conf-dir $RUN/cni/net.d --bin-dir $RUN/cni/bin"
	# shellcheck disable=SC2086 # a list of options
	{
		refused 1 '' n 1 cni status $at
		n 1 cni install $at --network blue --name blue
		n 1 cni install $at --network blue --name blue
		n 1 cni install $at
		n 1 cni status $at
		n 1 cni status $at --name blue --network blue
		refused 1 '' n 1 cni status $at --network nowhere
	}
	"$RUN/cni/bin/netd" 2>&1 | grep plugin
	jq -e '.name == "blue" and .cniVersion == "1.0.0" and
		.plugins[0].network == "blue"' \
		"$RUN/cni/net.d/10-blue.conflist"
	n 1 cni config --name blue --network blue |
		diff - "$RUN/cni/net.d/10-blue.conflist"
	# What an engine makes of it.
	add_c1 "$(jq -c '.plugins[0] + {name, cniVersion} |
		del(.capabilities)' "$RUN/cni/net.d/10-blue.conflist")"
	refused 2 '--all' n 1 cni gc --name blue
	[ "$(n 1 cni gc --name blue --keep c1/eth0)" = "" ]
	[ "$(n 1 cni gc --name blue --all)" = c1/eth0 ]
	# shellcheck disable=SC2086 # a list of options
	{
		echo '{"plugins":[{"type":"bridge"}]}' \
			>"$RUN/cni/net.d/10-their.conflist"
		refused 4 "is not netd's" n 1 cni install $at --name their
		refused 4 "is not netd's" n 1 cni uninstall $at --name their
		refused 2 'not a name' n 1 cni install $at --name ../x
		n 1 cni uninstall $at --name blue
		[ -e "$RUN/cni/bin/netd" ]
		n 1 cni uninstall $at
		[ ! -e "$RUN/cni/bin/netd" ]
		n 1 cni uninstall $at
		echo theirs >"$RUN/cni/bin/netd"
		refused 4 'not a link' n 1 cni install $at
		refused 2 'one word too many' n 1 cni install here
	}
	[ "$(ls "$RUN/cni/net.d")" = 10-their.conflist ]
}

@test "nothing is left" {
	cni DEL c2
	[ -z "$(n 1 pod ls -q)" ]
	run ! grep '^nd' <(on 1 ip -br link show type veth)
	[ -z "$(ls -A "$RUN/node1/cni")" ]
	[ -z "$(ls -A "$RUN/node1/resolv")" ]
}
