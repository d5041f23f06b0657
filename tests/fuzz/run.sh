#!/usr/bin/env bash
# run.sh [SECONDS|RUNSx [NAME...]]: builds the fuzz targets with clang and its sanitizers, and runs each, or those named, for that long (default
# 10 s) or that often (10000000x: ten million executions).
# What they find out stays in .build/fuzz/corpus, input that breaks one in .build/fuzz/crashes; the exit status is 1 when there was any.
set -euo pipefail
shopt -s nullglob
cd "$(dirname "$0")/../.."
case ${1:-10} in
    *x) limit=-runs=${1%x} ;;
    *) limit=-max_total_time=${1:-10} ;;
esac
[ $# -eq 0 ] || shift
names=("$@")
[ $# -gt 0 ] || names=(event guard retry signature envelope settings retry_after redis_address redis_reply record task_path attempt_row answer hold_list tls_chain)

signature="delivery/signature.c delivery/signature_keys.c delivery/verifier.c"
base=$(echo consumer/base/*.c)
declare -A sources=(
    [event]="delivery/event.c delivery/event_rules.c delivery/json_string.c delivery/request.c delivery/span.c $signature consumer/base/text.c consumer/base/hash.c consumer/base/memory.c"
    [guard]="delivery/guard.c delivery/guard_address.c consumer/base/text.c consumer/base/memory.c"
    [retry]="delivery/retry.c consumer/base/text.c consumer/base/memory.c"
    [signature]="$signature consumer/commands/signed_message.c consumer/base/text.c consumer/base/hash.c consumer/base/memory.c"
    [envelope]="consumer/envelope.c delivery/event.c delivery/event_rules.c delivery/json_string.c delivery/verdict.c consumer/base/text.c consumer/base/hash.c consumer/base/memory.c"
    [settings]="consumer/settings.c consumer/settings_table.c consumer/settings_parse.c consumer/settings_check.c consumer/settings_kafka.c consumer/bearer.c consumer/processors.c consumer/control_groups.c consumer/content.c consumer/span_headers.c dedupe/redis_address.c delivery/guard.c delivery/guard_address.c delivery/hold_list.c delivery/retry.c $signature $base"
    [retry_after]="delivery/retry_after.c consumer/base/text.c consumer/base/memory.c"
    [redis_address]="dedupe/redis_address.c consumer/base/text.c consumer/base/memory.c"
    [redis_reply]="dedupe/redis_reply.c dedupe/redis_judge.c dedupe/claims.c dedupe/record.c $base"
    [record]="dedupe/record.c consumer/base/text.c consumer/base/memory.c"
    [hold_list]="delivery/hold_list.c delivery/guard.c delivery/guard_address.c consumer/base/text.c consumer/base/memory.c"
    [task_path]="consumer/http/task_path.c consumer/base/text.c consumer/base/memory.c"
    [attempt_row]="consumer/commands/attempt_row.c delivery/json_string.c consumer/base/moment.c consumer/base/text.c consumer/base/memory.c"
    [tls_chain]="delivery/tls_chain.c consumer/base/text.c consumer/base/memory.c"
    [answer]="delivery/downgrades.c delivery/post_bounds.c delivery/post_dial.c delivery/post_options.c delivery/post_outcome.c delivery/post_pin.c delivery/post_tls.c delivery/post_url.c delivery/retry_after.c delivery/socket_state.c delivery/tls_chain.c delivery/tls_context.c delivery/tls_moment.c delivery/tls_sessions.c delivery/turns.c delivery/wires.c delivery/guard.c delivery/guard_address.c $base"
)
declare -A libraries=(
    [event]="yajl libcrypto" [guard]="libcurl" [retry]="" [signature]="libcrypto" [envelope]="yajl" [settings]="libcurl libcrypto"
    [retry_after]="" [redis_address]="" [redis_reply]="hiredis" [record]="" [task_path]="" [attempt_row]="" [answer]="libcurl libuv openssl" [hold_list]="" [tls_chain]=""
)

build=.build/fuzz
failed=0
for name in "${names[@]}"; do
    mkdir -p "$build/corpus/$name" "$build/crashes"
    flags=()
    [ -z "${libraries[$name]}" ] || read -ra flags <<<"$(pkg-config --cflags --libs ${libraries[$name]})"
    # shellcheck disable=SC2086
    if ! clang -std=c11 -g -O1 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        -o "$build/fuzz_$name" "tests/fuzz/fuzz_$name.c" ${sources[$name]} "${flags[@]}"; then
        echo "FAILED fuzz_$name does not build"
        failed=1
        continue
    fi
    echo "fuzz_$name, $limit"
    "$build/fuzz_$name" "$limit" -timeout=5 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 -verbosity=0 \
        -dict="tests/fuzz/$name.dict" -artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" "tests/fuzz/seeds/$name" || failed=1
done
exit $failed
