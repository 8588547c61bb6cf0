"""How the bounds of intervals are known, and the instances of ENIs."""

from typing import Final

from cnitrail.model.word import Word


class Basis(Word):
    """How a bound is known."""

    OBSERVED = "observed"
    """The event is the change itself."""
    IMPLIED = "implied"
    """The event shows that the change happened by then."""
    UNKNOWN = "unknown"
    """No event shows the start. A time is the earliest possible one: the launch of the instance."""
    OPEN = "open"
    """No event shows an end."""


class InstanceBasis(Word):
    """How the instance of an ENI is known."""

    ATTACH = "attach"
    """A call attached the ENI to it."""
    LAUNCH = "launch"
    """It was launched with the ENI."""
    DESCRIPTION = "description"
    """The VPC CNI named it in the description of the ENI, at its creation."""
    TAG = "tag"
    """The VPC CNI named it in a tag at the creation, or the VPC resource controller the trunk of a branch."""
    SESSION = "session"
    """Its own role called on the ENI."""


BY_CALL: Final = (InstanceBasis.ATTACH, InstanceBasis.LAUNCH)
"""What shows the instance of an ENI for sure: a call that put the ENI on it."""
