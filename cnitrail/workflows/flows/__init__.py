"""VPC flow logs → the same records with who was at both ends.

``reading`` delivers blocks of records, ``joining`` adds the ends to a block, and ``run`` does both in order.
"""
