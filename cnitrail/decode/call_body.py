"""The request and the response in a record, as the decoders of events read them."""

from msgspec import Struct

from cnitrail.decode.shapes import Fields, Problems, elements, fields, flag, text


class CallBody(Struct, frozen=True, kw_only=True):
    """A record's request and response, without the query envelope that some APIs put around them.

    ``ok``: the call succeeded. ``omitted`` are the parts, ``request`` or ``response``, that CloudTrail left
    out because they are too large.
    """

    request: Fields
    response: Fields
    details: Fields
    ok: bool
    problems: Problems
    omitted: tuple[str, ...] = ()

    def need(self, field: str, value: object) -> str | None:
        """Return the value if it is a string; if not, that is a problem of a successful call."""
        found = text(value)
        if found is None:
            self.lacks(field, value, "an ID")
        return found

    def ids(self, field: str, value: object, key: str) -> tuple[str, ...]:
        """Return the IDs in a set, bare or under ``key``; a successful call without any is a problem."""
        found, before = [], len(self.problems)
        for element in elements(value):
            name = text(element) or text(fields(element).get(key))
            if name is None:
                self.lacks(field, element, "an ID")
            else:
                found.append(name)
        if not found and len(self.problems) == before:
            self.lacks(field, value, "a set of IDs")
        return tuple(found)

    def lacks(self, field: str, value: object, wanted: str) -> None:
        """Note that a field is not what it should be, which is a problem only of a successful call.

        An omitted part is one problem, whatever it contained.
        """
        if self.ok and not self.omitted:
            self.problems.unreadable(field, value, wanted)


def call_body(entry: Fields, name: str, *, ok: bool, problems: Problems) -> CallBody:
    """Return the request and response of a record; what cannot be read is added to the problems."""
    request, response = fields(entry.get("requestParameters")), fields(entry.get("responseElements"))
    return body_of(request, response, name, ok, problems, fields(entry.get("serviceEventDetails")))


def body_of(
    request: Fields, response: Fields, name: str, ok: bool, problems: Problems, details: Fields | None = None
) -> CallBody:
    """Return the same for the request and the response of a call of this name."""
    request, response = _unwrapped(request, f"{name}Request"), _unwrapped(response, f"{name}Response")
    omitted: list[str] = []
    if "omitted" in request or "omitted" in response:
        bodies = ("request", request), ("response", response)
        omitted = [part for part, body in bodies if _is_omitted(body)]
    problems += [f"CloudTrail omitted the {part} ({_MAX_FIELD})" for part in omitted]
    return CallBody(
        request=request,
        response=response,
        details=details or {},
        ok=ok,
        problems=problems,
        omitted=tuple(omitted),
    )


_MAX_FIELD = "over 100 KB"
"""CloudTrail's limit for the size of requestParameters and of responseElements (its record contents)."""


def _is_omitted(body: Fields) -> bool:
    """Return whether CloudTrail put ``omitted``, the size and a reason in place of a request or response."""
    return flag(body.get("omitted")) is True


def _unwrapped(parameters: Fields, envelope: str) -> Fields:
    """Return a request or response without its query envelope, in EC2's usual lower camel case."""
    return fields(_lower_camel(parameters[envelope])) if envelope in parameters else parameters


def _lower_camel(value: object) -> object:
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _lower_camel(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_lower_camel(inner) for inner in value]
    return value
