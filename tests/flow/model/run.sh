#!/usr/bin/env bash
# run.sh [long]: searches every state of the model's configurations with spin, and shows that each mutation is caught; `long` searches the large
# configurations. One line each; the last one is "N passed, N failed", and the exit status is 1 when any failed.
#
# A configuration must hold. A mutation, the same model made wrong on purpose, must be caught by what it breaks: LOSS, DOUBLE, FATE, BLAME, CRASHES or STUCK.
# Files: delivery.pml (an event's life), ledger.pml (a partition), careful.pml (a record that ends the program), record.pml (the record in Redis), ranks.h (rank arithmetic), table.pml (what
# record.pml does, for tests/edge/test_model.py). To look at a counterexample: spin -a FLAGS FILE; gcc -DSAFETY -o pan pan.c; ./pan; spin -t -p FLAGS FILE.
set -euo pipefail
model=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
passed=0
failed=0
MEMORY_MIB=3000
OPTIMISE=-O0 # pan.c takes longer to optimise than to run, but for large configurations
[ "${1:-}" != long ] || { MEMORY_MIB=12000; OPTIMISE=-O2; }

finding() { # finding: what pan found, in one word
    if grep -q 'errors: 0' out && ! grep -qE 'error:|out of memory|resized|search depth too small' out; then echo holds
    elif grep -q 'assertion violated.*posts<=' out; then echo DOUBLE
    elif grep -q 'assertion violated.*published' out; then echo FATE
    elif grep -q 'assertion violated.*innocent' out; then echo BLAME
    elif grep -q 'assertion violated.*crashes<=' out; then echo CRASHES
    elif grep -qE 'assertion violated.*(live\[0\]==0|homed\[o\])' out; then echo LOSS
    elif grep -qE 'invalid end state|acceptance cycle' out; then echo STUCK
    else echo "BROKEN"
    fi
}

search() { # search FILE FLAG...: leaves what pan says in `out`
    local file=$1 how=(-DSAFETY) ask=()
    shift
    case " $* " in *" -DLIVE "*) how=(-DNFAIR=4); ask=(-a -f -N settles) ;; esac
    rm -f pan* out
    spin -a "$@" "$model/$file" >out 2>&1 && clang -w $OPTIMISE -DCOLLAPSE "-DMEMLIM=$MEMORY_MIB" "${how[@]}" -o pan pan.c >>out 2>&1 || return 0
    ./pan -m1000000 "${ask[@]+"${ask[@]}"}" >>out 2>&1 || true
}

check() { # check EXPECTED FILE FLAG...
    local expected=$1 start=${EPOCHREALTIME/./} found states
    shift
    search "$@"
    found=$(finding)
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
    if [ "$found" = "$expected" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf '%-6s %-62s %-6s %10s states %5d.%d s\n' "$([ "$found" = "$expected" ] && echo ok || echo FAILED)" "$*" "$found" "${states:-?}" \
        $(((${EPOCHREALTIME/./} - start) / 1000000)) $(((${EPOCHREALTIME/./} - start) / 100000 % 10))
    if [ "$found" != "$expected" ]; then
        echo "FAILED expected $expected"
        grep -vE '^$|^unreached|^\s+\S+:[0-9]+, state|never claim|^\(Spin' out | head -20
    fi
}

holds() { check holds "$@"; }

if [ "${1:-}" = long ]; then
    holds delivery.pml -DCRASH=2 -DEARLY=1 -DREVOKE=1 -DAMBIG=1
    holds delivery.pml -DCRASH=1 -DEARLY=1 -DREVOKE=1 -DROLL=1
    holds delivery.pml -DCRASH=1 -DDUP=1 -DROLL=1
    holds delivery.pml -DA=3 -DCRASH=1 -DEARLY=1 -DREVOKE=1 -DAMBIG=1
    holds delivery.pml -DCRASH=1 -DEARLY=1 -DREVOKE=1 -DDEFER=2
    holds delivery.pml -DCRASH=1 -DROLL=1 -DREVOKE=1 -DDEFER=1
    holds delivery.pml -DCRASH=1 -DVERDICTS=1 -DEARLY=1 -DREVOKE=1 -DDUP=1
    holds delivery.pml -DCRASH=1 -DAWAY=2 -DEARLY=1 -DREVOKE=1
    holds delivery.pml -DCRASH=1 -DEVENTS=2 -DROLL=1 -DEARLY=1
    holds delivery.pml -DCRASH=1 -DEVENTS=2 -DROLL=1 -DDEFER=1
    holds delivery.pml -DCRASH=1 -DREPLAY=1 -DROLL=1 -DREVOKE=1
    holds delivery.pml -DCRASH=1 -DRESEND=2
    holds delivery.pml -DCRASH=1 -DRESEND=1 -DROLL=1
    holds delivery.pml -DA=1 -DCRASH=1 -DREPLAY=2 -DEARLY=1 -DREVOKE=1
    holds delivery.pml -DCRASH=0 -DEVENTS=2 -DREPLAY=1 -DROLL=1
    holds delivery.pml -DLIVE -DCRASH=1 -DEARLY=1 -DREVOKE=1
    holds ledger.pml -DOFFSETS=7 -DCRASH=3 -DREVOKE=3
else
    # One event, the faults one by one.
    holds delivery.pml -DCRASH=2
    holds delivery.pml -DEARLY=1 -DREVOKE=1
    holds delivery.pml -DROLL=1 -DEARLY=1
    holds delivery.pml -DAMBIG=1 -DREVOKE=1
    holds delivery.pml -DA=3 -DEARLY=1
    holds delivery.pml -DDEFER=1 -DEARLY=1 -DREVOKE=1
    holds delivery.pml -DDEFER=2 -DAMBIG=1
    holds delivery.pml -DLIVE
    check LOSS delivery.pml -DM_COMMIT_FIRST
    check LOSS delivery.pml -DM_SCHED_FIRST
    check LOSS delivery.pml -DM_DROP_BUSY
    check LOSS delivery.pml -DM_DROP_LOST -DROLL=1
    check LOSS delivery.pml -DM_DEFER_FIRST -DDEFER=1
    check LOSS delivery.pml -DM_DEFER_SCHED -DDEFER=1
    check LOSS delivery.pml -DM_DEFER_STALE -DDEFER=1
    # Several events of one partition.
    holds ledger.pml
    holds ledger.pml -DGAP=0
    holds ledger.pml -DGAP=3 -DWINDOW=1
    check LOSS ledger.pml -DM_COMMIT_LARGEST
    check LOSS ledger.pml -DM_COMMIT_POSITION
    check LOSS ledger.pml -DM_DROP_CLOSES
    check LOSS ledger.pml -DM_END_CLOSES
    check STUCK ledger.pml -DM_GAP_BLOCKS
    # Two copies of an event, in one worker or in two.
    holds delivery.pml -DDUP=1 -DCRASH=0 -DEARLY=1 -DREVOKE=1
    holds delivery.pml -DDUP=1 -DEARLY=1
    check DOUBLE delivery.pml -DM_TOKEN_WORKER -DDUP=1 -DCRASH=0
    check DOUBLE delivery.pml -DM_SETTLE_SETS -DDUP=1
    # Redis given up.
    holds delivery.pml -DAWAY=1 -DREVOKE=1
    holds delivery.pml -DAWAY=2 -DDEFER=1
    check LOSS delivery.pml -DM_DROP_AWAY -DAWAY=1 -DCRASH=0
    # The stored verdict.
    holds delivery.pml -DVERDICTS=1 -DEARLY=1 -DREVOKE=1
    holds delivery.pml -DVERDICTS=1 -DEARLY=1 -DDUP=1
    holds delivery.pml -DVERDICTS=1 -DSHORTER=1 -DREVOKE=1
    check FATE delivery.pml -DM_RECOMPUTE -DVERDICTS=1
    check FATE delivery.pml -DM_FAIL_OWN_NEXT -DVERDICTS=1 -DEARLY=1 -DDUP=1
    # Two different events under one id.
    holds delivery.pml -DEVENTS=2 -DEARLY=1
    holds delivery.pml -DEVENTS=2 -DROLL=1 -DDEFER=1 -DCRASH=0
    check LOSS delivery.pml -DM_CLAIM_UNCHECKED -DEVENTS=2 -DCRASH=0
    check LOSS delivery.pml -DM_FAIL_UNCHECKED -DEVENTS=2 -DROLL=1 -DCRASH=0
    check LOSS delivery.pml -DM_SETTLE_UNCHECKED -DEVENTS=2 -DROLL=1
    check LOSS delivery.pml -DM_DEFER_UNCHECKED -DEVENTS=2 -DROLL=1 -DDEFER=1
    # Replay epochs.
    holds delivery.pml -DREPLAY=1 -DEARLY=1
    holds delivery.pml -DA=1 -DREPLAY=2 -DREVOKE=1
    holds delivery.pml -DA=1 -DEVENTS=2 -DREPLAY=1
    holds delivery.pml -DRESEND=1
    check LOSS delivery.pml -DM_SAME_EPOCH -DREPLAY=1
    # Careful mode.
    holds careful.pml
    holds careful.pml -DPOISON=3 -DWINDOW=4
    holds careful.pml -DPOISON_TOO=3 -DKILLS=2
    holds careful.pml -DKILLS=2 -DLEAVES=1 -DIMPATIENT=1 -DAWAY=1
    check BLAME careful.pml -DKILLS=3
    check BLAME careful.pml -DM_BLAME_ALL
    check BLAME careful.pml -DM_KEEP_NOTES -DLEAVES=6
    check CRASHES careful.pml -DM_NOTE_LATE
    check CRASHES careful.pml -DM_NEVER_ALONE
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
