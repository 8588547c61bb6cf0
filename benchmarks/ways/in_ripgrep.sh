# ripgrep counts, in each file, the records that name one of the events: in_ripgrep.sh DIR NAMES
rg --search-zip --no-filename --count-matches "\"eventName\":\"($2)\"" "$1"
