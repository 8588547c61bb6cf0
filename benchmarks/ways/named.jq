# Id, time and name of the records whose event is one of $names, which are separated by |
($names | split("|") | map({(.): true}) | add) as $named
| .Records[]
| select($named[.eventName // ""])
| [.eventID, .eventTime, .eventName]
| @tsv
