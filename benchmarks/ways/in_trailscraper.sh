# trailscraper, which gives all records of a span of time, and jq: in_trailscraper.sh DIR NAMES
trailscraper select --log-dir "$1" --from 2026-01-01 --to 2027-01-01 |
    jq -r --arg names "$2" -f "${0%/*}/named.jq"
