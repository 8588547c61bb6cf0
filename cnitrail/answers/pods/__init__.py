"""Which pod held an address, and which pods an ENI, a node or a time had.

``entries`` lists the pod leases that a filter keeps, and names a pod in a sentence. ``index`` answers which
pod held an address at a time (``asked``): ``rivals`` chooses among those that may have, ``doubts`` lists why
the choice is not certain, and ``reasons`` has the sentences. ``on_enis`` has the pods of an instance or ENI,
``cut_off`` those whose address a call took, and ``around_calls`` those around a call. ``concerned`` turns a
filter of pods into filters of addresses and ENIs. ``limits`` says what the pod evidence does not cover.
"""
