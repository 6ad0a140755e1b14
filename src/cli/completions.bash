
_regstorm_values() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" word profile
    # "=", "@" and ":" may have cut the word into pieces, as COMP_WORDBREAKS says.
    if [[ "${cur}" != "" && "${prev}" == "@" ]]; then cur="@${cur}"; prev="${COMP_WORDS[COMP_CWORD-2]}"; fi
    case "${prev}" in
        --set)
            COMPREPLY=($(compgen -W "{KEYS}" -- "${cur}"))
            compopt -o nospace 2>/dev/null
            return 0
            ;;
        --trunk)
            for word in "${COMP_WORDS[@]:2}"; do
                [[ -f "${word}" ]] && profile="$(cat -- "${word}")"
                [[ "${word}" == @?* ]] && profile="$(regstorm profiles "${word#@}" 2>/dev/null)"
            done
            COMPREPLY=($(compgen -W "$(sed -n 's/^ *id *= *"\([^"]*\)".*/\1/p' <<<"${profile}")" -- "${cur}"))
            return 0
            ;;
    esac
    _regstorm "$1" "${cur}" "${prev}"
    if [[ "${COMP_CWORD}" -lt 2 || "${cur}" == -* ]]; then return 0; fi
    # A value that the option before it asks for has been completed already.
    if [[ "${prev}" == --* && "${#COMPREPLY[@]}" -gt 0 ]]; then return 0; fi
    case "${COMP_WORDS[1]}" in
        explain) COMPREPLY=($(compgen -W "{NAMES}" -- "${cur}")) ;;
        profiles) COMPREPLY=($(compgen -W "{SHIPPED}" -- "${cur}")) ;;
        report | compare | trend | sweep | reconcile)
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -d -- "${cur}"))
            ;;
        run | check | simulate | limits | preflight | watch | registrar | diagnose | init | learn | platform)
            if [[ "${cur}" == @* ]]; then
                COMPREPLY=($(compgen -W "{AT}" -- "${cur}"))
            else
                compopt -o filenames 2>/dev/null
                COMPREPLY=($(compgen -f -- "${cur}"))
            fi
            ;;
    esac
    return 0
}

complete -F _regstorm_values -o bashdefault -o default regstorm
