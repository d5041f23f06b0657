#!/usr/bin/env bash
# https.sh [POSTS]: what a POST by TLS, a signature and the egress policy cost in CPU, beside bare libcurl doing the same against the same nginx.
# Prints one block for each; nginx is Debian's, on free ports of 127.0.0.1, and gone afterwards.
set -euo pipefail
cd "$(dirname "$0")/../.."
posts=${1:-20000}
deploy/install.sh test
ulimit -n "$(ulimit -H -n)"
mkdir -p .build/logs
log=.build/logs/build-bench-https.log
if ! { cmake --preset release -DJOBHOOK_TESTS=ON && cmake --build .build/release --target bench_post bare_tls bench_signature bench_guard; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    exit 1
fi
programs=.build/release/tests
folder=$(mktemp -d)
trap 'kill "$nginx" 2>/dev/null && wait "$nginx" || true; rm -rf "$folder"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$folder/key" -out "$folder/crt" -days 2 -subj /CN=bench \
    -addext subjectAltName=IP:127.0.0.1 2>/dev/null
read -r h1 h2 fresh < <(/usr/bin/python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*[one.getsockname()[1] for one in s])')
temporary=$(printf "%s_temp_path $folder/t; " client_body proxy fastcgi uwsgi scgi)
cat >"$folder/nginx.conf" <<EOF
daemon off; worker_processes 1; pid $folder/pid; error_log stderr crit;
events { worker_connections 4096; }
http {
    access_log off; ${temporary}keepalive_requests 1000000000; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:x:1m; ssl_certificate $folder/crt; ssl_certificate_key $folder/key;
    server { listen 127.0.0.1:$h1 ssl backlog=4096; location / { return 200 ok; } }
    server { listen 127.0.0.1:$h2 ssl http2 backlog=4096; location / { return 200 ok; } }
    server { listen 127.0.0.1:$fresh ssl; keepalive_timeout 0; location / { return 200 ok; } }
}
EOF
PATH=$PATH:/usr/sbin nginx -c "$folder/nginx.conf" -p "$folder" -e stderr &
nginx=$!
for _ in $(seq 100); do [ ! -s "$folder/pid" ] || break; sleep 0.1; done

echo "== keep-alive HTTPS, HTTP/1.1, 64 in flight"
"$programs/bench_post" "$posts" 64 3 "https://127.0.0.1:$h1/hook" "$folder/crt"
echo "== keep-alive HTTPS, HTTP/2, one request at a time on each of 64 connections"
"$programs/bench_post" "$posts" 64 3 "https://127.0.0.1:$h2/hook" "$folder/crt" h2
echo "== a fresh HTTPS connection for each POST (sessions resumed)"
"$programs/bench_post" $((posts / 10)) 16 3 "https://127.0.0.1:$fresh/hook" "$folder/crt"
"$programs/bare_tls" "$fresh" "$folder/crt" $((posts / 10))
echo "== memory of a POST under way, with a connection of its own"
memory_of() { "$programs/bench_post" $(($1 * 3)) "$@" | sed -n 's/memory of the lanes at most: \([0-9]*\) KiB/\1/p'; }
each_of_2000() { echo "$(((($(memory_of 2400 1 "$@") - $(memory_of 400 1 "$@")) * 1024) / 2000)) bytes"; }
echo "http: $(each_of_2000)"
echo "HTTPS, HTTP/1.1: $(each_of_2000 "https://127.0.0.1:$h1/hook" "$folder/crt")"
echo "HTTPS, HTTP/2: $(each_of_2000 "https://127.0.0.1:$h2/hook" "$folder/crt" h2)"
echo "== signatures"
"$programs/bench_signature"
echo "== egress policy on a connection that is used again"
"$programs/bench_guard"
