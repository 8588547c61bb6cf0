# jq, or what is used like it, over everything: in_jq.sh DIR NAMES jq|jaq
find "$1" -name '*.gz' -print0 | xargs -0 zcat | "$3" -r --arg names "$2" -f "${0%/*}/named.jq"
