"""Who was at both ends of the flows in VPC flow logs.

``record`` lists the fields of a record that say anything about its ends, ``intervals`` combines the answers
of ``who`` over the seconds of a record, ``occupancy`` holds them for one address, ``metadata`` compares a
record with the history of its interface, ``ends`` decides what both show together, and ``kinds`` names what
was there.
"""

from cnitrail.answers.flows.ends import FlowEnds, FlowKey

__all__ = ["FlowEnds", "FlowKey"]
