"""How the bounds of intervals are known."""

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
