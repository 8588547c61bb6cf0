"""Who held an address at a second. A wrong holder is the one unforgivable answer.

``holder_index`` finds the leases that may cover the second, ``doubts`` and ``instance_doubts`` list what
leaves one of them in doubt, ``verdict_rules`` decides how far the answer can be trusted, and ``story`` and
``grounds`` say what happened and what that rests on.
"""

from cnitrail.answers.who.holder_index import HolderIndex

__all__ = ["HolderIndex"]
