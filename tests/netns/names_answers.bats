#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What names mean beyond an address: services without a VIP, ports by name,
# other names, records that somebody wrote, zones that others are asked for.

load ../lib/e2e

setup_file()
{
	lab_up 2
	n 1 network create blue
	n 1 network create closed --internal
	until_true 5 n 2 network inspect closed
	pod 1 client default
	pod 1 db-0 default --label app=db
	pod 2 db-1 default --label app=db
	pod 2 other blue
	pod 1 both blue,alias=twin
	n 1 network connect default both
	pod 1 inner closed
	n 1 service create db --endpoint-mode dnsrr --selector app=db \
		--port sql=5432:15432 --port 53/udp
	n 1 service create web --port http=80:8080 --port 443 \
		--selector app=db --alias www --alias site --ttl 0
	n 1 service create out --external-name www.example.test
	n 1 service create inside --external-name web.default
	n 1 service create loop --external-name loop2
	n 1 service create loop2 --external-name loop
	n 1 service create nowhere --external-name nothing.test
	until_true 10 two_backends
	until_true 5 resolves nowhere.default CNAME
}

teardown_file() { lab_down; }

two_backends() { [[ $(ask tasks.db.default | wc -l) -eq 2 ]]; }
resolves() { [[ -n $(ask "$@") ]]; }
ask() { ask_pod 1 client lookup "$@"; }
code() { ask_pod 1 client rcode "$@"; }
# A section of an answer, spaces squeezed.
section()
{
	local part=$1
	shift
	in_pod 1 client dig +tries=1 +time=2 +noall "+$part" "$@" |
		tr -s '\t ' ' '
}

@test "without a VIP a service is its backends, each with a name" {
	want=$({ pod_ip 1 db-0; pod_ip 2 db-1; } | sort)
	for name in db db.default tasks.db db.default.svc.cluster.local; do
		[ "$(ask "$name" | sort)" = "$want" ]
	done
	for name in db-1.db db-1.db.default db-1.db.default.svc.cluster.local; do
		[ "$(ask "$name")" = "$(pod_ip 2 db-1)" ]
	done
	[ "$(code db-2.db.default)" = NXDOMAIN ]
	[ "$(code AAAA db-1.db.default)" = NOERROR ]
}

@test "a backend's address leads back to its name below the service" {
	[ "$(ask -x "$(pod_ip 2 db-1)")" = \
		db-1.db.default.svc.cluster.local. ]
	[ "$(ask -x "$(pod_ip 1 client)")" = \
		client.default.svc.cluster.local. ]
}

@test "SRV names ports by name and by number" {
	vip=$(svc_vip 1 web)
	[ "$(ask SRV _http._tcp.web.default)" = \
		"0 100 80 web.default.svc.cluster.local." ]
	[ "$(ask SRV _443._tcp.web)" = \
		"0 100 443 web.default.svc.cluster.local." ]
	section additional SRV _http._tcp.web.default |
		grep -qx "web.default.svc.cluster.local. 0 IN A $vip"
	[ "$(code SRV _http._udp.web.default)" = NXDOMAIN ]
	[ "$(code SRV _ftp._tcp.web.default)" = NXDOMAIN ]
	[ "$(code A _http._tcp.web.default)" = NOERROR ]
}

@test "SRV without a VIP leads to every backend and its own port" {
	[ "$(ask SRV _sql._tcp.db.default | sort)" = \
		"$(printf '0 100 15432 db-%s.db.default.svc.cluster.local.\n' \
			0 1)" ]
	[ "$(ask SRV _5432._tcp.db.default | wc -l)" -eq 2 ]
	section additional SRV _sql._tcp.db.default |
		grep -q "^db-1.db.default.svc.cluster.local. .* $(pod_ip 2 db-1)$"
	# Also behind a VIP, for who asks for the tasks.
	[ "$(ask SRV _http._tcp.tasks.web.default | wc -l)" -eq 2 ]
	ask SRV _http._tcp.tasks.web.default | grep -q ' 8080 db-'
}

@test "aliases are names of the service" {
	for name in www site.default www.default.svc.cluster.local; do
		[ "$(ask "$name")" = "$(svc_vip 1 web)" ]
	done
	[ "$(ask tasks.www | wc -l)" -eq 2 ]
	[ "$(ask -x "$(svc_vip 1 web)")" = web.default.svc.cluster.local. ]
	n 1 service update web --alias-rm site --alias-add place
	until_true 2 resolves place.default
	until_true 2 not_there site.default
}
not_there() { [[ $(code "$1") = NXDOMAIN ]]; }

@test "how long answers hold is the service's, or the host's" {
	section answer web.default | grep -q '^web.default. 0 IN A'
	section answer db.default | grep -q '^db.default. 5 IN A'
	n 1 service update web --ttl 30
	until_true 2 ttl_is 30
}
ttl_is() { section answer web.default | grep -q "^web.default. $1 IN A"; }

@test "an external name is a CNAME, and where that leads" {
	run section answer out.default
	[ "${lines[0]}" = "out.default. 5 IN CNAME www.example.test." ]
	[[ ${lines[1]} == "www.example.test. "*" IN CNAME example.test." ]]
	[[ ${lines[2]} == "example.test. "*" IN A 198.51.100.1" ]]
	# Again, from what was kept.
	[ "$(ask out | tail -n 1)" = 198.51.100.1 ]
	[ "$(ask CNAME out.default)" = www.example.test. ]
	run section answer inside.default
	[ "${lines[0]}" = "inside.default. 5 IN CNAME web.default." ]
	[[ ${lines[1]} == "web.default. "*" IN A $(svc_vip 1 web)" ]]
	[ "$(code nowhere.default)" = NXDOMAIN ]
	[ "$(ask nowhere.default)" = nothing.test. ]
	[ "$(code AAAA inside.default)" = NOERROR ]
	in_pod 1 client getent ahostsv4 out.default | grep -q 198.51.100.1
}

@test "names that lead in a circle end as SERVFAIL" {
	[ "$(code loop.default)" = SERVFAIL ]
	[ "$(ask redis.loop.default)" = "" ]
	[ "$(code web.default)" = NOERROR ]
}

@test "the specification's version can be asked for" {
	[ "$(ask TXT dns-version.cluster.local)" = '"1.1.0"' ]
}

@test "records that somebody wrote" {
	n 1 dns record add printer A 192.0.2.77 --ttl 60
	n 2 dns record add printer A 192.0.2.78
	n 1 dns record add printer AAAA 2001:db8::77
	n 1 dns record add printer TXT "second floor; ask Åsa"
	n 1 dns record add cups CNAME printer.default
	n 1 dns record add _ipp._tcp.printer SRV "0 5 631 printer.default"
	n 1 dns record add 192.0.2.77 PTR printer.default
	n 1 dns record add intern.example.test A 192.0.2.80
	until_true 5 resolves intern.example.test
	[ "$(ask printer | sort | xargs)" = "192.0.2.77 192.0.2.78" ]
	[ "$(section answer printer.default | cut -d' ' -f2 | sort -u)" = 60 ]
	[ "$(ask AAAA printer.default.svc.cluster.local)" = 2001:db8::77 ]
	[ "$(ask TXT printer.default)" = '"second floor; ask \195\133sa"' ]
	[ "$(ask cups | sort | xargs)" = \
		"192.0.2.77 192.0.2.78 printer.default." ]
	[ "$(ask SRV _ipp._tcp.printer)" = "0 5 631 printer.default." ]
	[ "$(ask -x 192.0.2.77)" = printer.default. ]
	[ "$(code MX printer)" = NOERROR ]
	# Of this network alone; others ask outside.
	[ "$(ask_pod 2 other lookup printer.default)" = "" ]
	[ "$(n 2 dns record ls -o json | jq length)" -eq 8 ]
	# One of them, all of a type, all.
	n 1 dns record rm printer A 192.0.2.78
	until_true 2 only_first
	n 1 dns record rm printer AAAA
	n 1 dns record rm intern.example.test
	until_true 2 not_outside
	[ "$(code AAAA printer)" = NOERROR ]
}
only_first() { [[ $(ask printer) = 192.0.2.77 ]]; }
not_outside() { [[ $(code intern.example.test) = NXDOMAIN ]]; }

@test "records and services do not take each other's names" {
	refused 4 'is a service' n 1 dns record add web A 192.0.2.1
	refused 4 'is a service' n 1 dns record add www.default A 192.0.2.1
	refused 4 'is a service' n 1 dns record add _x._tcp.web SRV "0 0 1 a"
	refused 4 'is a record' n 1 service create printer --port 80
	refused 4 'is a service' n 1 service create new --port 80 --alias db
	refused 4 'is an alias' n 1 service create www --port 80
	refused 4 'stands alone' n 1 dns record add cups A 192.0.2.1
	refused 4 'stands alone' n 1 dns record add printer CNAME a.b
	refused 4 'there already' n 1 dns record add printer A 192.0.2.77
	refused 3 'not found' n 1 dns record rm nothing
	refused 3 'no such value' n 1 dns record rm printer A 192.0.2.99
	refused 2 'netd'\''s own' n 1 dns record add a.cluster.local A 192.0.2.1
	refused 2 'netd'\''s own' n 1 dns record add a.blue.svc A 192.0.2.1
	refused 2 'no value of A' n 1 dns record add a A 2001:db8::1
	refused 2 'no value of SRV' n 1 dns record add a SRV "1 2 b"
	refused 1 'no type "MX"' n 1 dns record add a MX b
	refused 2 'xn--' n 1 dns record add bücher A 192.0.2.1
	refused 2 'it has no port' n 1 service create x --port 80 \
		--external-name a.b
	refused 2 'no name of a port' n 1 service create x --port Web=80
}

@test "a zone has servers of its own" {
	on ext ip addr add 198.51.100.54/32 dev lo
	background_on ext stub "$BIN/nd-resolver" 198.51.100.54
	n 1 dns upstream set example.test 198.51.100.54
	[ "$(n 2 dns upstream ls -o json | jq -r '.[0].servers[0]')" = \
		198.51.100.54 ]
	until_true 5 stub_is_asked 1
	refused 2 "netd's own" n 1 dns upstream set a.cluster.local 192.0.2.1
	refused 2 'is internal' n 1 dns upstream set a.b 192.0.2.1 \
		--network closed
	refused 2 'no server' n 1 dns upstream set a.b x.y
	refused 2 'gateway of network' n 1 dns upstream set a.b \
		"$(n 1 network inspect default | jq -r '.[0].gateway')"
	n 1 dns upstream rm example.test
	refused 3 'no servers of its own' n 1 dns upstream rm example.test
}
stub_is_asked()
{
	ask "x$RANDOM.example.test"
	grep -q 'x[0-9]*.example.test' "$RUN/out/stub"
}

@test "several networks: each one's names, in order of attachment" {
	[ "$(in_pod 1 both bash -c 'lookup twin')" = "$(pod_ip 1 both blue)" ]
	[ "$(in_pod 1 both bash -c 'lookup web')" = "$(svc_vip 1 web)" ]
	[ "$(in_pod 1 both bash -c 'lookup other.blue')" = "$(pod_ip 2 other)" ]
	[ "$(ask_pod 2 other rcode web.default.svc.cluster.local)" = NXDOMAIN ]
}

@test "what an internal pod may not ask, it may not ask by another name" {
	n 1 dns record add out CNAME www.example.test --network closed
	until_true 2 inner_is_told
	[ "$(ask_pod 1 inner rcode out.closed)" = REFUSED ]
	[ "$(ask_pod 1 inner rcode www.example.test)" = REFUSED ]
}
inner_is_told() { [[ $(ask_pod 1 inner lookup CNAME out.closed) == www* ]]; }

@test "a network's records go with it" {
	n 1 network create short
	n 1 dns record add a A 192.0.2.1 --network short
	n 1 network rm short
	n 1 network create short
	[ "$(n 1 dns record ls -o json |
		jq '[.[] | select(.network == "short")] | length')" -eq 0 ]
}
