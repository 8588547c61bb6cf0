"""What is found in one text: its records, what could not be read of it, and the counts of both."""

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct

from cnitrail.jsontext import parse
from cnitrail.model import Extent, Growth, Origin, Record, Skipped
from cnitrail.model.forms import POD_FORMS
from cnitrail.scan.activity_signs import sign_of
from cnitrail.scan.blocks import ElementBlock
from cnitrail.scan.container_files import is_of_other_container, is_of_programs
from cnitrail.scan.cut_events import AUDIT_BEGINNING
from cnitrail.scan.envelope_tree import ROOT, Place
from cnitrail.scan.envelopes import Content
from cnitrail.scan.error_list import ErrorList
from cnitrail.scan.multisearch import NameSearch
from cnitrail.scan.pod_forms import may_be_secret
from cnitrail.scan.rows import (
    Rebuilt,
    Refused,
    athena_rows,
    audit_row,
    event_name_of,
    is_ocsf_audit,
    kind_of_other_ocsf,
    lake_row,
    rebuild,
)
from cnitrail.scan.split import UnreadableSpan
from cnitrail.scan.tally import UNREADABLE, Tally
from cnitrail.scan.unwrap import FoundRecord, FoundRow, KnownOther, Unknown, Unwrapped, has_original, unwrap

if TYPE_CHECKING:
    from cnitrail.scan.pod_heads import AuditHeads

_WHOLE_RESTS: Final = 2
"""Number of times that all elements are passed over at once if they can be: before and after the first one
has shown what they are."""

_FIRST_ELEMENTS: Final = 4
"""Number of elements in which a key is looked for under which the next ones have their records."""

_UNKNOWN: Final = "unknown envelope, {size}, no record read; known forms: docs/sources.md; its beginning: "

_MISSPELLED: Final = (
    "the event name {name!r} is not in CloudTrail's own case, so what was changed is not known; "
    "export the records as CloudTrail wrote them"
)

_QUOTED: Final = 60
"""Number of bytes of a text that an error quotes."""


def excerpt(text: bytes) -> str:
    """Return the beginning of a text, for a message."""
    return text[:_QUOTED].decode("utf-8", "replace") + ("…" if len(text) > _QUOTED else "")


class _Head(Struct, rename="camel", kw_only=True, gc=False):
    """The fields that say where and when a record happened; without an event name it is not a record."""

    event_name: str
    event_time: str = ""
    recipient_account_id: str = ""
    aws_region: str = ""


class _Object(Struct):
    """An object with anything in it."""


class _PlainHead(_Head, rename="camel", kw_only=True, gc=False):
    """The head of a record whose parameters and caller are objects; in a row, they may be texts."""

    user_identity: _Object | None = None
    request_parameters: _Object | None = None
    response_elements: _Object | None = None


_HEAD = msgspec.json.Decoder(_Head)
_PLAIN_HEAD = msgspec.json.Decoder(_PlainHead)


class Reading:
    """Collects what is found in one text.

    ``names`` finds the relevant records of CloudTrail, and what ``pod_names`` returns those of pod evidence,
    except for audit events, which are chosen by fields. ``growth`` bounds what is decompressed. The first
    record has ``index``; ``form`` is the form of the records that have no envelope. With ``signs``, the tally
    gets the account, Region and minute of the records that are not relevant.
    """

    def __init__(
        self,
        uri: str,
        tally: Tally,
        names: NameSearch,
        pod_names: Callable[[], NameSearch],
        growth: Growth,
        *,
        index: int,
        signs: bool,
        form: str | None = None,
        is_secret: bool = False,
    ) -> None:
        self._uri = uri
        self._tally = tally
        self._may_matter = names.may_matter
        self._is_relevant = names.is_relevant
        self._is_misspelled = names.is_misspelled
        self._pod_names = pod_names
        self._growth = growth
        self._index = index
        self._form = form
        self._heads: set[tuple[str, str, str]] | None = set() if signs else None
        self._errors = ErrorList(uri, tally)
        self._unknown_bytes = 0
        self._unknown_beginning = b""
        self._is_secret = is_secret
        """Whether the text may hold secrets that an error must not quote."""
        self._is_printed = is_of_other_container(uri)
        """Whether it is the output of a container, in which nothing about pods is evidence."""
        self._other_kinds: set[str] = set()
        """The kinds of rows that are of other logs."""
        self._is_bare = False
        """Whether the last element was a record without an envelope: the next one is, too, as a rule."""
        self._text_key: str | None = None
        """The key under which the last element had its record as a text, if it had one."""
        self._looked_for_key = 0
        """Number of elements in which that key was looked for."""
        self._lacking: Counter[tuple[str, str]] = Counter()
        """How many records of pod evidence cannot say which pod has which address, by form and reason."""
        self._last_form = ""
        """The form of the last record that counts: the next one has it, too, as a rule."""

    def block(self, block: ElementBlock, place: Place) -> Iterator[Record | Skipped]:
        """Yield what is found in the elements of a block."""
        hits = sorted({bisect(block.starts, offset) - 1 for offset in self._may_matter(block.text)})
        start = 0
        for hit in hits:
            yield from self._others(block.values[start:hit], place)
            yield from self._element(block.values[hit], place, may_matter=True)
            start = hit + 1
        yield from self._others(block.values[start:], place)

    def _others(self, values: list[Raw], place: Place) -> Iterator[Record | Skipped]:
        """Yield what is found in elements without anything that makes a record relevant."""
        at = 0
        while at < len(values):
            heads = self._audit_heads(values, at, place) if self._last_form == "eks-audit" else []
            if heads:
                yield from self._audit_events(values[at : at + len(heads)], heads, place)
                at += len(heads)
                continue
            rest = values[at:] if at < _WHOLE_RESTS else values[at : at + 1]
            if self._pass_over(rest, place):
                at += len(rest)
                continue
            yield from self._element(values[at], place, may_matter=False)
            at += 1

    def _audit_heads(self, values: list[Raw], at: int, place: Place) -> "AuditHeads":
        """Return the heads of the audit events that begin at an index, as far as one follows the other."""
        from cnitrail.scan.pod_heads import audit_heads

        following = islice(values, at, None)
        if self._is_bare:
            return audit_heads(following)
        if self._text_key is None or self._text_key not in place.keys:
            return []
        texts = map(_text_under(self._text_key).decode, following)
        return audit_heads(found.text for found in texts)

    def _audit_events(
        self, values: list[Raw], heads: "AuditHeads", place: Place
    ) -> Iterator[Record | Skipped]:
        """Yield what is found in audit events that matter by their heads; count the others."""
        from cnitrail.scan.pod_heads import indices_that_matter, minutes_of

        start = 0
        for at in indices_that_matter(heads):
            self.pass_over("eks-audit", at - start)
            yield from self.item(bytes(values[at]), place, may_matter=True)
            start = at + 1
        self.pass_over("eks-audit", len(heads) - start)
        self._tally.heard.update(("eks-audit", minute) for minute in minutes_of(heads))

    def _element(self, value: Raw, place: Place, *, may_matter: bool) -> Iterator[Record | Skipped]:
        yield from self.item(bytes(value), place, may_matter=may_matter)
        # Lines of the CNI are read one by one, so no key is looked for under which the next ones are.
        is_envelope = not self._is_bare and self._last_form != "ipamd-log"
        if is_envelope and self._text_key is None and self._looked_for_key < _FIRST_ELEMENTS:
            self._looked_for_key += 1
            self._text_key = _text_key(value, place)

    def item(
        self, text: bytes, place: Place, *, may_matter: bool | None = None, log_group: str | None = None
    ) -> Iterator[Record | Skipped]:
        """Yield what is found in a JSON value at a place of the table of envelopes.

        ``log_group`` is the log group of CloudWatch Logs that it comes from, if that is known.
        """
        if may_matter is None:
            may_matter = bool(self._may_matter(text))
        try:
            results = list(unwrap(text, place, self._growth, log_group))
        except RecursionError:
            if text.lstrip().startswith(AUDIT_BEGINNING):
                yield from self.pod_record(text, "eks-audit")
            elif may_matter or b"eventName" not in text:
                yield from self.unreadable("broken JSON (depth limit exceeded): ", text, damaged=True)
            else:
                yield from self.record(text, place.record or "", relevant=False)
            return
        except ValueError as error:
            yield from self.unreadable(f"broken JSON ({error}): ", text, damaged=True)
            return
        for result in results:
            yield from self._found(result, text, may_matter=may_matter)

    def _found(self, result: Unwrapped, text: bytes, *, may_matter: bool) -> Iterator[Record | Skipped]:
        """Yield what is found in an envelope; ``text`` is the envelope."""
        match result:
            case FoundRecord():
                self._is_bare = result.text is text
                self._last_form = "" if self._is_output(result.log_group) else result.form
                if result.form in POD_FORMS:
                    yield from self.pod_record(result.text, result.form, group=result.log_group)
                    return
                relevant = (may_matter or result.is_hidden) and self._is_relevant(result.text)
                yield from self.record(result.text, result.form, relevant=relevant, group=result.log_group)
            case FoundRow():
                yield from self._rows(result)
            case Unknown(reason=None):
                self._unknown(text)
            case Unknown(is_record=False):
                yield from self._errors.add(self._quoting(result.reason or "", result.text), Extent.PART)
            case Unknown():
                once = result.reason if result.is_of_all else None
                yield from self.unreadable(result.reason or "", result.text, damaged=result.broken, once=once)
            case KnownOther():
                pass

    def _is_output(self, log_group: str | None) -> bool:
        """Return whether a program wrote what looks like evidence about pods: it does not count."""
        return self._is_printed or is_of_programs(log_group)

    def row(self, row: dict[str, object], *, is_table: bool = True) -> Iterator[Record | Skipped]:
        """Yield what is found in a row of a query engine, or of a table with a record in a cell.

        ``is_table``: all rows have the same columns; rows that are objects may lack those without a value.
        """
        if is_ocsf_audit(row):
            yield from self._audit_row(row)
            return
        rebuilt = None
        if (kind := kind_of_other_ocsf(row)) is not None:
            self._other_kinds.add(kind)
            return
        if not has_original(row):
            rebuilt = rebuild(row, is_table=is_table, head_only=not self._row_may_matter(row))
        match rebuilt:
            case None:
                yield from self._in_cells(row)
            case Refused():
                yield from self._refused(row, rebuilt)
            case Rebuilt():
                yield from self._rebuilt(rebuilt)

    def _audit_row(self, row: dict[str, object]) -> Iterator[Record | Skipped]:
        """Yield the Kubernetes audit event in a row of Security Lake."""
        found = audit_row(row)
        if isinstance(found, Refused):
            self._count(UNREADABLE)
            yield from self._errors.add(
                f"record {self._index - 1}: {found.reason}", Extent.RECORD, once=found.reason
            )
            return
        group = f"/aws/eks/{found.cluster}/cluster" if found.cluster is not None else None
        records = list(self.pod_record(_encoded(found.event), "eks-audit", group=group))
        yield from records
        if records and found.unread is not None:
            yield from self._errors.add(f"record {self._index - 1}: {found.unread}", Extent.PART)

    def _in_cells(self, row: dict[str, object]) -> Iterator[Record | Skipped]:
        """Yield the records in the cells of a row, which is then an envelope."""
        text = _encoded(row)
        for result in unwrap(text, ROOT, self._growth):
            if isinstance(result, FoundRow) and result.text == text:
                self._unknown(text)
            else:
                yield from self._found(result, text, may_matter=True)

    def _row_may_matter(self, row: dict[str, object]) -> bool:
        """Return whether the record in a row may be relevant: by its event name, or any other text in it."""
        name = event_name_of(row)
        if name is None or self._is_relevant(name.encode("utf-8", "replace")):
            return True
        try:
            return bool(self._may_matter(_encoded(row)))
        except (ValueError, TypeError, OverflowError, RecursionError):
            return True

    def unreadable(
        self, reason: str, text: bytes = b"", *, damaged: bool = False, once: str | None = None
    ) -> tuple[Skipped, ...]:
        """Count a record that could not be read, and return the error if it is to be listed.

        Of those with the same ``once``, only the first one is. The error quotes the beginning of ``text``.
        """
        reason = self._quoting(reason, text)
        self._tally.damaged |= damaged
        self._count(UNREADABLE)
        return self._errors.add(f"record {self._index - 1}: {reason}", Extent.RECORD, once=once)

    def _refused(self, row: dict[str, object], refused: Refused) -> tuple[Skipped, ...]:
        """Count a row from which no record can be rebuilt; all such rows of one reason are one error."""
        self._count(UNREADABLE)
        name = event_name_of(row)
        if name is not None and not self._is_relevant(name.encode()):
            self._tally.passed_over += 1
            return ()
        reason = f"record {self._index - 1}: {refused.reason}"
        return self._errors.add(reason, Extent.RECORD, once=refused.reason)

    def damage(self, span: UnreadableSpan) -> tuple[Skipped, ...]:
        """Note a part between the records that could not be read, and return it if it is to be listed."""
        self._tally.damaged = True
        return self._errors.add(self._quoting(span.reason, span.text) + span.after, Extent.PART)

    def _quoting(self, reason: str, text: bytes) -> str:
        """Return a reason with the beginning of the text that it is about.

        Nothing is quoted of a file of pod evidence: an audit log has secrets of other kinds in it.
        """
        if not text:
            return reason
        has_pods = not POD_FORMS.isdisjoint(self._tally.forms)
        self._is_secret = self._is_secret or has_pods or may_be_secret(text)
        return reason + (f"{_size(len(text))}, not quoted" if self._is_secret else excerpt(text))

    def rest(self) -> Iterator[Skipped]:
        """Yield what is only known at the end of the text."""
        if self._unknown_bytes:
            size = _size(self._unknown_bytes)
            beginning = self._unknown_beginning
            yield from self._errors.add(self._quoting(_UNKNOWN.format(size=size), beginning), Extent.PART)
        for (form, lack), number in self._lacking.items():
            if form == "eks-audit" or number == self._tally.forms[form]:  # a pod that starts has no address
                yield from self._errors.add(f"{number:,} {lack}", Extent.PART)
        yield from self._errors.rest()
        if self._other_kinds and not self._tally.records and not self._unknown_bytes:
            first, *others = self._other_kinds
            self._tally.other_kind = first if not others else "ocsf"
        for head in self._heads or ():
            sign = sign_of(*head)
            if sign is not None:
                self._tally.signs.add(sign)

    def _pass_over(self, values: list[Raw], place: Place) -> bool:
        """Count records that are not relevant, if all are where the last one was; return whether they are."""
        try:
            if self._text_key is not None:
                form = place.keys[self._text_key].text.record  # type: ignore[union-attr]
                texts = map(_text_under(self._text_key).decode, values)
                heads = [_PLAIN_HEAD.decode(found.text) for found in texts]
            elif self._is_bare:
                form = place.record
                heads = list(map(_PLAIN_HEAD.decode, values))
            else:
                return False
        except (ValueError, RecursionError):
            return False
        if form is None or any(map(self._is_misspelled, {head.event_name for head in heads})):
            return False
        self._count(form, len(heads))
        self._tally.passed_over += len(heads)
        if self._heads is not None:
            self._heads.update(map(_place_and_time, heads))
        return True

    def pass_over(self, form: str, number: int) -> None:
        """Count records of a form that are not relevant."""
        if number:
            self._count(form, number)
            self._tally.passed_over += number

    def record(
        self, text: bytes, form: str, *, relevant: bool, group: str | None = None
    ) -> Iterator[Record | Skipped]:
        """Count a record of CloudTrail, and yield it if it is relevant; ``group`` is its log group."""
        head = _head_of(text) if not relevant else None
        if head is not None and self._is_misspelled(head.event_name):
            yield from self.unreadable(_MISSPELLED.format(name=head.event_name), once=_MISSPELLED)
            return
        form = self._count(form)
        if relevant:
            yield Record((Origin(self._uri, self._index - 1, form),), text, group)
            return
        self._tally.passed_over += 1
        if self._heads is not None and head is not None:
            self._heads.add(_place_and_time(head))

    def pod_record(self, text: bytes, form: str, *, group: str | None = None) -> Iterator[Record]:
        """Count a record of pod evidence, and yield it if it is relevant; ``group`` is its log group."""
        from cnitrail.scan.pod_heads import pod_head

        self._count(form)
        matters = False
        if not self._is_output(group):
            head = pod_head(form, text)
            matters = self._pod_names().is_relevant(text) if head.matters is None else head.matters
            if head.lack is not None:
                self._lacking[form, head.lack] += 1
            if head.minute is not None:
                self._tally.heard.add((form, head.minute))
        if matters:
            yield Record((Origin(self._uri, self._index - 1, form),), text, group)
        else:
            self._tally.passed_over += 1

    def _count(self, form: str, number: int = 1) -> str:
        """Count records of one form, and return the form."""
        if form == "records" and self._form is not None:
            form = self._form
        self._index += number
        self._tally.records += number
        self._tally.forms[form] = self._tally.forms.get(form, 0) + number
        return form

    def _rows(self, found: FoundRow) -> Iterator[Record | Skipped]:
        """Yield the records that can be rebuilt from a row, or from the rows of one answer."""
        try:
            value = parse(found.text)
        except (ValueError, RecursionError) as error:
            yield from self.unreadable(f"broken JSON ({error}): ", found.text, damaged=True)
            return
        match found.content, value:
            case Content.ATHENA_RESULT, {"Rows": [*_]}:
                rows = list(athena_rows(value))
            case Content.LAKE_ROW, [*cells]:
                row = lake_row(cells)
                rows = [row] if row is not None else []
            case _, dict():
                rows = [value]
            case _:
                rows = []
        if not rows and found.content is not Content.ATHENA_RESULT:
            self._unknown(found.text)
        for row in rows:
            yield from self.row(row, is_table=found.content is not Content.ROW)

    def _rebuilt(self, rebuilt: Rebuilt) -> Iterator[Record | Skipped]:
        text = _encoded(rebuilt.record)
        relevant = self._is_relevant(text)
        yield from self.record(text, rebuilt.form, relevant=relevant)
        name = rebuilt.record["eventName"]
        if rebuilt.unread is not None and isinstance(name, str) and self._is_relevant(name.encode()):
            yield from self._errors.add(f"record {self._index - 1}: {rebuilt.unread}", Extent.PART)

    def _unknown(self, text: bytes) -> None:
        self._unknown_beginning = self._unknown_beginning or text[: _QUOTED + 1]
        self._unknown_bytes += len(text)


class _WithText(Struct):
    text: str


@cache
def _text_under(key: str) -> "msgspec.json.Decoder[_WithText]":
    """Return a decoder for objects of which only the text under a key is of interest."""
    with_text = msgspec.defstruct("WithText", [("text", str)], bases=(_WithText,), rename={"text": key})
    return msgspec.json.Decoder(with_text)


def _text_key(value: Raw, place: Place) -> str | None:
    """Return the key under which an element has its record as a text; None if there is none."""
    for key, child in place.keys.items():
        if child.text is not None and child.text.record is not None:
            try:
                inside = _text_under(key).decode(value).text
                if not _is_audit_event(inside):
                    _HEAD.decode(inside)
            except (ValueError, RecursionError):
                continue
            return key
    return None


def _is_audit_event(text: str) -> bool:
    if '"auditID"' not in text:
        return False
    from cnitrail.scan.pod_heads import audit_heads

    return bool(audit_heads([text]))


def place_and_time(text: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield the account, Region and minute of a record, if it has all three."""
    head = _head_of(text)
    if head is not None:
        yield _place_and_time(head)


def _place_and_time(head: _Head) -> tuple[str, str, str]:
    return head.recipient_account_id, head.aws_region, head.event_time[:16]


def _head_of(text: bytes) -> _Head | None:
    try:
        return _HEAD.decode(text)
    except (ValueError, RecursionError):
        return None


def _encoded(record: dict[str, object]) -> bytes:
    return msgspec.json.encode(record, enc_hook=str)


def _size(number: int) -> str:
    return f"{number / 1024:,.0f} KB" if number >= 1024 else f"{number} bytes"
