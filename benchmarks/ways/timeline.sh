# What a user runs: timeline.sh DIR
exec python -m cnitrail timeline "$1" -o jsonl
