# jq over the files in which ripgrep finds one of the events: in_ripgrep_and_jq.sh DIR NAMES
rg --search-zip --files-with-matches --null "\"eventName\":\"($2)\"" "$1" |
    xargs -0 zcat | jq -r --arg names "$2" -f "${0%/*}/named.jq"
