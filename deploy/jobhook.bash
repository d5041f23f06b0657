# Completion of jobhook for bash: installed as bash-completion/completions/jobhook. Commands and options come from the program's own --help, so they
# are those of the version installed.

_jobhook_words() { # _jobhook_words COMMAND [SUBCOMMAND]: what may follow
    "${_jobhook_program:-jobhook}" "$@" --help 2>/dev/null | sed -E '/^example/,$d; s/^  ([a-z][a-z-]+) +[^ ].*/\n:\1/' |
        grep -oE -- '^:[a-z-]+|--[a-z][a-z-]+' | tr -d : | sort -u
}

_jobhook_values() { # _jobhook_values OPTION: the values it takes, where they are few
    case $1 in
        --reason) echo exhausted final_status endpoint_down expired invalid_event invalid_headers task_id_conflict blocked_url too_large crashed held unreadable ;;
        --role) echo run create operate ;;
        --state) echo delivered scheduled dead ;;
        --type) echo find_email find_phone find_email_bulk find_phone_bulk people_intelligence company_intelligence research_agent qa_agent ;;
        --since | --until | --before) echo 1h 6h 24h 7d ;;
    esac
}

_jobhook() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} path=() word
    _jobhook_program=${COMP_WORDS[0]}
    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in -*) break ;; *) path+=("$word") ;; esac
    done
    case $before in
        --export | --import | --checkpoint | --key-file | --body) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
        --reason | --role | --state | --type | --since | --until | --before)
            mapfile -t COMPREPLY < <(compgen -W "$(_jobhook_values "$before")" -- "$current")
            return
            ;;
    esac
    case ${path[0]:-} in
        dlq | topics) path=("${path[@]:0:2}") ;;
        ?*) path=("${path[0]}") ;;
    esac
    if [ ${#path[@]} -eq 0 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$_jobhook_program" help 2>/dev/null | sed -nE 's/^  ([a-z-]+) .*/\1/p')" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_jobhook_words "${path[@]}")" -- "$current")
        case "${path[0]} $current" in "publish "[!-]* | "publish " | "verify "[!-]*) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;; esac
    fi
}

complete -F _jobhook jobhook
