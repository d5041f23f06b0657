#!/usr/bin/env bash
# run.sh [rules|unit|flow|edge|system|fuzz|bench|libraries|image|chart|skew]...: installs what is missing, builds, and runs the tests, or only
# those of the kinds named. These run only when named (.ci/run does): libraries, what another Debian's libraries can change of unit tests (of modules
# that ask one) and of system tests (those not marked same_everywhere); image and chart, which build a container image, as root, and need helm; skew,
# which builds the previous release.
# Each failing test's output is kept under .build/logs/. The last line is "N passed, N failed"; the exit status is 1 when any failed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
logs=$root/.build/logs
passed=0
failed=0

kinds=("$@")
[ $# -gt 0 ] || kinds=(rules unit flow edge fuzz bench system)
for kind in "${kinds[@]}"; do
    case $kind in
        rules|unit|flow|edge|system|fuzz|bench|libraries|image|chart|skew) ;;
        *) echo "usage: tests/run.sh [rules|unit|flow|edge|system|fuzz|bench|libraries|image|chart|skew]..." >&2; exit 2 ;;
    esac
done

wants() { # wants KIND...: is one of them asked for?
    local kind
    for kind in "$@"; do
        case " ${kinds[*]} " in *" $kind "*) return 0 ;; esac
    done
    return 1
}

count() { # count NAME PASSED FAILED LOG [SECONDS]: adds up, says so, and shows the end of a failure's log
    passed=$((passed + $2))
    failed=$((failed + $3))
    printf '%-44s %5d passed %3d failed  %4s s\n' "$1" "$2" "$3" "${5:-}"
    [ "$3" -eq 0 ] || { grep -aE '^\[----\]|\[FAIL\]|CRASH|ERROR:|Sanitizer|^E  |^FAILED|^ERROR|error:|logs of' "$4" | head -60 || true; echo "  full output: ${4#"$root"/}"; }
}

build() { # build PRESET TARGET...: one test by itself: it builds without a warning
    local preset=$1 log=$logs/build-$1.log start=$SECONDS
    shift
    if cmake --preset "$preset" -DJOBHOOK_TESTS=ON -DJOBHOOK_WERROR=ON >"$log" 2>&1 && cmake --build ".build/$preset" --target "$@" >>"$log" 2>&1; then
        count "build $preset" 1 0 "$log" $((SECONDS - start))
    else
        count "build $preset" 0 1 "$log" $((SECONDS - start))
        return 1
    fi
}

run_program() { # run_program PROGRAM LOG JOBS: sets tested and bad; a program that crashes, hangs or runs nothing has failed
    local rc=0 ok
    timeout -k 10 900 "$1" --color=never --jobs="$3" </dev/null >"$2" 2>&1 || rc=$?
    tested=$(sed -n 's/.*Synthesis: Tested: *\([0-9]*\).*/\1/p' "$2" | tail -1)
    ok=$(sed -n 's/.*Synthesis:.*Passing: *\([0-9]*\).*/\1/p' "$2" | tail -1)
    if [ -z "$tested" ] || [ "$tested" -eq 0 ]; then
        echo "exit status $rc, no tests counted: error: crashed, hung or empty" >>"$2"
        tested=1 ok=0
    elif [ "$rc" -ne 0 ] && [ "$tested" -eq "$ok" ]; then
        echo "error: all tests passed, but the program ended with $rc" >>"$2"
        ok=$((ok - 1))
    fi
    bad=$((tested - ok))
}

# What fails is run once more, alone: on a machine that is shared a test may be starved of time. It counts by its second run, and is named.
criterion() { # criterion KIND PRESET [NAME [WITH]]: every program of that kind, or that one
    local program name log start tested bad first
    for program in .build/"$2"/tests/"$1"_test_${3:-*}; do
        [ -x "$program" ] && [ -f "$program" ] || continue
        name=$1/$(basename "$program" | sed "s/^$1_test_//")
        log=$logs/${name/\//-}-$2${4:+-$4}.log
        start=$SECONDS
        run_program "$program" "$log" 2
        if [ "$bad" -gt 0 ]; then
            first=$bad
            mv "$log" "$log.first"
            run_program "$program" "$log" 1
            echo "  unsteady: $name had $first failed at first (${log#"$root"/}.first)"
        fi
        count "$name ($2${4:+, $4})" $((tested - bad)) "$bad" "$log" $((SECONDS - start))
    done
}

run_pytest() { # run_pytest KIND LOG [OPTIONS...]: sets tests, bad and skipped
    local kind=$1 log=$2 xml=${2%.log}.xml rc=0
    rm -f "$xml"
    # Debian's Python, because its packages are Debian's.
    PYTHONDONTWRITEBYTECODE=1 timeout -k 10 2400 /usr/bin/python3 -m pytest -o cache_dir="$root/.build/pytest/$kind" -q --tb=short --durations=10 \
        --junitxml="$xml" "${@:3}" tests/"$kind"/test_*.py </dev/null >"$log" 2>&1 || rc=$?
    # shellcheck disable=SC2046
    set -- $(sed -n 's/.*<testsuite [^>]*errors="\([0-9]*\)" failures="\([0-9]*\)" skipped="\([0-9]*\)" tests="\([0-9]*\)".*/\1 \2 \3 \4/p' "$xml" 2>/dev/null)
    bad=$((${1:-0} + ${2:-0})) skipped=${3:-0} tests=${4:-0}
    if [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
}

python() { # python KIND [OPTIONS...]: the pytest files of tests/KIND
    local log=$logs/${1//\//-}-pytest.log start=$SECONDS tests bad skipped good first
    compgen -G "tests/$1/test_*.py" >/dev/null || return 0
    rm -rf ".build/pytest/$1"
    run_pytest "$1" "$log" "${@:2}"
    good=$((tests - skipped - bad))
    if [ "$bad" -gt 0 ] && [ "$good" -gt 0 ]; then
        first=$bad
        mv "$log" "$log.first"
        grep -a '^E  \|^FAILED\|^ERROR' "$log.first" | sed 's/^/  unsteady: /' | cut -c1-200 | head -40
        run_pytest "$1" "$log" --last-failed
        [ "$bad" -gt "$first" ] || good=$((good + first - bad))
    fi
    count "$1 (pytest)" $((good > 0 ? good : 0)) "$bad" "$log" $((SECONDS - start))
    [ "$skipped" -eq 0 ] || grep -a '^SKIPPED' "$log" || echo "  $skipped skipped"
}

shell() { # shell NAME COMMAND...: one test that is a script
    local name=$1 log=$logs/${1//[\/ ]/-}.log start=$SECONDS
    shift
    if timeout -k 10 1200 "$@" </dev/null >"$log" 2>&1; then count "$name" 1 0 "$log" $((SECONDS - start)); else count "$name" 0 1 "$log" $((SECONDS - start)); fi
}

servers_on_path() { # redis-tools and valkey-tools have the servers' programs under other names
    local name
    mkdir -p .build/bin
    for name in redis valkey; do
        command -v $name-server >/dev/null || ! command -v $name-check-rdb >/dev/null || ln -sf "$(command -v $name-check-rdb)" .build/bin/$name-server
    done
    export PATH=$root/.build/bin:$PATH
}

mkdir -p "$logs"
deploy/install.sh test
if wants image chart; then deploy/install.sh ci; fi
servers_on_path
export LC_ALL=C.UTF-8
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

flow() { # hours of simulated load: with sanitizers only the ones about the order of effects
    criterion flow release
    criterion flow asan world
    criterion flow asan crashes
    python flow
    shell "flow/model (spin)" tests/flow/model/run.sh
}

fuzz() { shell "fuzz, 5 s each" tests/fuzz/run.sh 5; }

# What only computes runs beside what mostly waits, and gives way to it. Its lines come at the end.
beside() { # beside FUNCTION...: start them, one after the other
    (
        renice -n 10 $BASHPID >/dev/null
        passed=0 failed=0
        for function in "$@"; do $function; done
        echo "$passed $failed" >"$logs/beside.sum"
    ) >"$logs/beside.out" 2>&1 &
    beside_pid=$!
}

join_beside() { # waits for them, shows what they said, adds it up
    local good=0 bad=1
    wait "$beside_pid" || true
    cat "$logs/beside.out"
    read -r good bad <"$logs/beside.sum" || echo "tests/run.sh: what ran beside did not come to its end"
    passed=$((passed + good))
    failed=$((failed + bad))
}

# The unit tests of modules that ask a library, or hand it its settings. The other modules compute, the same everywhere.
ask_libraries=(broker_release event event_json guard guard_vectors kafka names_file payloads request settings signature signed_message span)

built=yes
asan=() release=()
if wants libraries; then asan+=("${ask_libraries[@]/#/unit_test_}") release+=(test_programs); fi
if wants unit; then asan+=(unit_tests) release+=(test_programs); fi
if wants edge; then asan+=(edge_tests) release+=(test_programs); fi
if wants flow; then asan+=(flow_tests) release+=(flow_tests); fi
if wants system libraries; then asan+=(jobhook) release+=(jobhook test_programs); fi # the first has places to crash at
if wants rules bench chart skew; then release+=(jobhook test_programs); fi
if wants rules; then build clang jobhook || true; fi
if [ ${#asan[@]} -gt 0 ]; then build asan "${asan[@]}" || built=no; fi
if [ ${#release[@]} -gt 0 ]; then build release "${release[@]}" || built=no; fi

beside=()
if wants fuzz; then beside+=(fuzz); fi
if wants flow && [ $built = yes ]; then beside+=(flow); fi
rm -f "$logs/beside.sum"
[ ${#beside[@]} -eq 0 ] || beside "${beside[@]}"

if wants rules; then python rules; fi
for kind in unit edge; do
    wants $kind && [ $built = yes ] || continue
    criterion $kind asan
    if [ $kind = edge ] && command -v valkey-server >/dev/null; then # what talks to Redis, with another one
        for name in claims holds redis; do JOBHOOK_TEST_REDIS=valkey-server criterion edge asan $name valkey; done
    fi
    python $kind
done
if wants libraries && ! wants unit && [ $built = yes ]; then
    for name in "${ask_libraries[@]}"; do criterion unit asan "$name"; done
    python unit
fi
if wants edge; then
    shell "threads (tsan)" sh -c 'cmake --preset tsan -DJOBHOOK_TESTS=ON && cmake --build .build/tsan --target threads jobhook broker && .build/tsan/tests/threads'
    shell "two workers (tsan)" tests/system/races.py
fi
if wants bench && [ $built = yes ]; then # what it costs: tests/bench/run.sh
    python bench
    shell "bench/hotpath (callgrind)" /usr/bin/python3 tests/bench/hotpath.py
fi
if wants system && [ $built = yes ]; then python system -n 5; fi # they wait more than they work
if wants libraries && [ $built = yes ]; then python system -n 6 -m "not same_everywhere"; fi
[ ${#beside[@]} -eq 0 ] || join_beside
if wants image; then shell "image (buildah)" tests/system/image.sh; fi
if wants chart && [ $built = yes ]; then python system/chart -n 2 -rP; fi # -rP: sizes and times are in the log
if wants skew && [ $built = yes ]; then
    if tests/system/skew.sh --previous >/dev/null; then shell "version skew" tests/system/skew.sh; else echo "version skew: no earlier release in this clone's history"; fi
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
