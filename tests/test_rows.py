"""Rows of query engines and tables become the records that they were made of, or are refused."""

import csv
import io
import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import export_forms as forms
import pytest
import records as r
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.decode import decode
from cnitrail.model import FORMS, Growth, Origin, Record
from cnitrail.scan.multisearch import name_search
from cnitrail.scan.reading import Reading
from cnitrail.scan.rows import (
    Rebuilt,
    Refused,
    athena_rows,
    event_name_of,
    lake_row,
    rebuild,
)
from cnitrail.scan.rows.lake_map import parameters_of
from cnitrail.scan.rows.struct_text import identity_of
from cnitrail.scan.rows.values import is_empty
from cnitrail.scan.tally import Tally

ROLE = f"arn:aws:iam::{r.ACCOUNT}:role/node-role"
SESSION = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLEEXAMPLE123:1715678999",
    "arn": f"arn:aws:sts::{r.ACCOUNT}:assumed-role/node-role/1715678999",
    "accountId": r.ACCOUNT,
    "accessKeyId": "ASIAEXAMPLEEXAMPLE12",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLEEXAMPLE123",
            "arn": ROLE,
            "accountId": r.ACCOUNT,
            "userName": "node-role",
        },
        "webIdFederationData": {"federatedProvider": r.PROVIDER, "attributes": {}},
        "attributes": {"creationDate": "2024-05-14T09:29:59Z", "mfaAuthenticated": "false"},
    },
}
SUBJECT = "system:serviceaccount:kube-system:aws-node"
WEB_IDENTITY = {
    "type": "WebIdentityUser",
    "principalId": f"{r.PROVIDER}:sts.amazonaws.com:{SUBJECT}",
    "userName": SUBJECT,
    "identityProvider": r.PROVIDER,
}

LAUNCH = r.GOOD["RunInstances"] | {
    "userIdentity": SESSION | {"invokedBy": "autoscaling.amazonaws.com"},
    "sourceIPAddress": "autoscaling.amazonaws.com",
}
ASSUMED = r.WEB_IDENTITY | {
    "userIdentity": WEB_IDENTITY,
    "resources": [{"accountId": r.ACCOUNT, "type": "AWS::IAM::Role", "ARN": ROLE}],
    "tlsDetails": {
        "tlsVersion": "TLSv1.2",
        "cipherSuite": "ECDHE-RSA-AES128-GCM-SHA256",
        "clientProvidedHostHeader": "sts.eu-west-1.amazonaws.com",
    },
}
ASSIGNED = r.GOOD["AssignPrivateIpAddresses"] | {"userIdentity": SESSION}
REFUSED_CALL = r.failed(r.GOOD["UnassignPrivateIpAddresses"])
STORY = [LAUNCH, ASSUMED, ASSIGNED, REFUSED_CALL]

Row = dict[str, Any]


def csv_dicts(text: bytes) -> list[Row]:
    """The rows of a CSV text; empty cells are None, as ``csv_rows`` has them."""
    reader = csv.DictReader(io.StringIO(text.decode()))
    return [{name: value or None for name, value in row.items()} for row in reader]


def rebuilt(row: Row) -> Rebuilt:
    found = rebuild(row)
    assert isinstance(found, Rebuilt), found
    return found


def without(record: Row, *paths: str) -> object:
    """A record without empty fields, and without those that a form loses."""
    kept = deepcopy(record)
    for path in paths:
        *above, last = path.split(".")
        inner = kept
        for name in above:
            inner = inner.get(name) or {}
        inner.pop(last, None)
    return forms.without_empty(kept)


NO_COLUMN = ("managementEvent",)
TEXT_STRUCT = (*NO_COLUMN, "userIdentity.identityProvider")
NO_LAKE_COLUMN = (*NO_COLUMN, "tlsDetails", "resources")
TAILPIPE = (
    *NO_COLUMN,
    "tlsDetails",
    "resources",
    "userIdentity.sessionContext.webIdFederationData.attributes",
)
FEDERATION = ("userIdentity.identityProvider", "userIdentity.sessionContext.webIdFederationData")
NOT_IN_ELASTIC = (*FEDERATION, "tlsDetails", "resources", "userIdentity.sessionContext.sessionIssuer.type")
FULL_FORMS: dict[str, tuple[Callable[[list[Row]], list[Any]], str, tuple[str, ...]]] = {
    "Athena's CSV": (lambda story: csv_dicts(forms.athena_csv(story)), "athena", TEXT_STRUCT),
    "Athena's API": (
        lambda story: list(athena_rows(forms.athena_api(story)["ResultSet"])),
        "athena",
        TEXT_STRUCT,
    ),
    "Trino's JSON": (forms.trino_rows, "athena", TEXT_STRUCT),
    "Lake's API": (
        lambda story: list(map(lake_row, forms.lake_rows(story))),
        "cloudtrail-lake",
        NO_LAKE_COLUMN,
    ),
    "Lake's delivery": (
        lambda story: csv_dicts(forms.lake_csv(story)),
        "cloudtrail-lake",
        NO_LAKE_COLUMN,
    ),
    "Security Lake": (forms.security_lake_rows, "security-lake", ("resources",)),
    "tailpipe": (forms.tailpipe_rows, "tailpipe", TAILPIPE),
    "own export": (forms.own_rows, "records", ()),
    "Sentinel": (
        forms.sentinel_rows,
        "sentinel",
        (*FEDERATION, "eventCategory", "tlsDetails", "resources"),
    ),
    "Elastic": (
        forms.elastic_documents,
        "elastic-fields",
        (*FEDERATION, "tlsDetails", "resources"),
    ),
}


HOSTILE = st.lists(
    st.sampled_from(
        (
            *(
                "x",
                "i-0a1b2c3d4e5f60718",
                ", ",
                ",",
                " ",
                "=",
                "{",
                "}",
                "{}",
                "[",
                "]",
                "null",
                "arn",
                "type",
            ),
            *("arn:aws:sts::999999999999:assumed-role/admin/x", ", arn=", ", accountid=999999999999"),
            *(", username=", ", sessioncontext={", ", onbehalfof=null", ", identityprovider="),
            *("}, invokedby=", ", sessioncontext=null", ", ec2roledelivery=2.0", ", credentialid=null"),
            *(", subnetId=subnet-0b", ", tagSet={}", ", privateIpAddress=10.0.0.99", ", description="),
            *("\n", "é", ":", "/"),
            f", identityprovider={r.PROVIDER}",
        )
    ),
    max_size=8,
).map("".join)
NAME = st.text(st.sampled_from("xyz09_+=,.@-"), min_size=1, max_size=30)
"""What names of roles, users and sessions may have (IAM and STS API references)."""


class TestForms:
    @pytest.mark.parametrize("name", FULL_FORMS)
    def test_a_record_is_the_same_again_but_for_what_its_form_loses(self, name: str) -> None:
        rows, form, lost = FULL_FORMS[name]
        for row, original in zip(rows(STORY), STORY, strict=True):
            found = rebuilt(row)
            assert (found.form, found.unread) == (form, None)
            assert numbers_as_text(without(found.record)) == numbers_as_text(without(original, *lost))

    @pytest.mark.parametrize("name", FULL_FORMS)
    def test_every_form_is_known(self, name: str) -> None:
        assert FULL_FORMS[name][1] in FORMS

    @pytest.mark.parametrize("event", r.GOOD)
    @pytest.mark.parametrize("name", ["athena", "security-lake", "tailpipe", "own"])
    def test_every_event_is_decoded_to_the_same_fact(self, name: str, event: str) -> None:
        original = r.GOOD[event]
        (row,) = {
            "athena": csv_dicts(forms.athena_csv([original])),
            "security-lake": forms.security_lake_rows([original]),
            "tailpipe": forms.tailpipe_rows([original]),
            "own": forms.own_rows([original]),
        }[name]
        assert fact_of(rebuilt(row).record) == fact_of(original)

    @pytest.mark.parametrize("name", FULL_FORMS)
    def test_its_event_name_is_found_without_reading_the_rest(self, name: str) -> None:
        names = [event_name_of(row) for row in FULL_FORMS[name][0](STORY)]
        assert names == [record["eventName"] for record in STORY]

    def test_a_row_of_something_else_is_not_known(self) -> None:
        assert rebuild({"a": 1}) is None
        assert rebuild({}) is None
        assert rebuild({"EventName": "RunInstances", "EventId": "x"}) is None
        assert (
            rebuild({"metadata": {"product": {"name": "Amazon VPC"}}, "api": {}, "class_uid": 4001}) is None
        )
        assert event_name_of({"a": 1}) is None


HEAD = ("eventName", "eventTime", "eventType", "recipientAccountId", "awsRegion", "errorCode", "errorMessage")


class TestHeads:
    @pytest.mark.parametrize("name", FULL_FORMS)
    @given(data=st.data())
    def test_a_row_is_counted_by_its_head_as_by_the_whole_row(self, name: str, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(FULL_FORMS[name][0](STORY)))
        for column in data.draw(st.sets(st.sampled_from(sorted(row)), max_size=6)):
            row[column] = data.draw(st.sampled_from((None, "", "null", "x", "{}", '{"a":1,"a":2}', {}, 7)))
        whole, head = rebuild(row), rebuild(row, head_only=True)
        if isinstance(whole, Rebuilt):
            assert isinstance(head, Rebuilt)
            assert head.form == whole.form
            assert [head.record.get(field) for field in HEAD] == [whole.record.get(field) for field in HEAD]
        else:
            assert head == whole

    @pytest.mark.parametrize("name", FULL_FORMS)
    def test_a_row_that_is_not_relevant_has_its_form_and_sign(self, name: str) -> None:
        look = r.record("DescribeInstances", {"instancesSet": {}}, {"x": "y"}, readOnly=True) | {
            "userIdentity": SESSION,
            "eventTime": "2024-05-14T09:31:07Z",
        }
        rows, form = FULL_FORMS[name][0]([look]), FULL_FORMS[name][1]
        tally = Tally()
        search = name_search(["RunInstances"], [])
        reading = Reading("export", tally, search, lambda: search, Growth(), index=0, signs=True)
        assert [found for row in rows for found in reading.row(row)] == []
        assert list(reading.rest()) == []
        assert (tally.records, tally.passed_over, tally.forms) == (1, 1, {form: 1})
        assert tally.signs == {(r.ACCOUNT, "eu-west-1", datetime(2024, 5, 14, 9, 31, tzinfo=UTC))}

    @pytest.mark.parametrize("name", FULL_FORMS)
    def test_a_row_with_a_marker_is_read_whatever_its_event_name(self, name: str) -> None:
        by_pods = {"type": "AWSService", "invokedBy": "pods.eks.amazonaws.com"}
        role = r.record("AssumeRole", {"roleArn": ROLE}, {"x": "y"}, userIdentity=by_pods)
        search = name_search([], ["pods.eks.amazonaws.com"])
        reading = Reading("export", Tally(), search, lambda: search, Growth(), index=0, signs=False)
        (found,) = [found for row in FULL_FORMS[name][0]([role]) for found in reading.row(row)]
        assert isinstance(found, Record)
        assert json.loads(found.payload)["userIdentity"]["invokedBy"] == "pods.eks.amazonaws.com"

    @pytest.mark.parametrize("name", FULL_FORMS)
    def test_a_row_of_a_relevant_call_is_read_whole(self, name: str) -> None:
        role = r.record("AssumeRole", {"roleArn": ROLE}, {"x": "y"})
        search = name_search(["AssumeRole"], [])
        reading = Reading("export", Tally(), search, lambda: search, Growth(), index=0, signs=False)
        (found,) = [found for row in FULL_FORMS[name][0]([role]) for found in reading.row(row)]
        assert isinstance(found, Record)
        assert json.loads(found.payload)["requestParameters"] == {"roleArn": ROLE}


def numbers_as_text(value: object) -> object:
    """A value with numbers as text, as in CloudTrail Lake's maps."""
    if isinstance(value, dict):
        return {key: numbers_as_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return list(map(numbers_as_text, value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def fact_of(record: Row) -> object:
    found = decode(Record((Origin("file", 0),), json.dumps(record).encode()))
    assert found.problems == ()
    return found.fact


def athena_row(**changes: object) -> Row:
    """A row of Athena in which some columns are different."""
    row: Row = csv_dicts(forms.athena_csv([ASSIGNED]))[0]
    return row | changes


class TestAthena:
    def test_the_table_of_2016_has_no_identity_provider(self) -> None:
        (row,) = csv_dicts(forms.athena_csv([ASSIGNED], "2016"))
        assert rebuilt(row).record["userIdentity"] == without(SESSION, "sessionContext.webIdFederationData")

    def test_columns_that_were_not_selected_are_not_invented(self) -> None:
        rows = csv_dicts(forms.athena_cast_csv([LAUNCH, ASSUMED, ASSIGNED]))
        for row, original in zip(rows, [LAUNCH, ASSUMED, ASSIGNED], strict=True):
            found = rebuilt(row).record
            kept = ("eventTime", "eventName", "userIdentity", "requestParameters", "responseElements")
            expected = without({name: original[name] for name in kept}, "userIdentity.identityProvider")
            assert without(found) == expected

    def test_a_response_that_was_not_selected_is_missing_and_not_null(self) -> None:
        row = athena_row()
        del row["responseelements"]
        assert "responseElements" not in rebuilt(row).record
        assert rebuilt(athena_row(responseelements=None)).record["responseElements"] is None

    def test_a_row_without_time_or_name_is_refused(self) -> None:
        row = athena_row(eventtime=None)
        assert rebuild(row) == Refused("the row has no eventTime; add what is missing to the query")
        assert rebuild({"eventtime": "2024-05-14T09:30:00Z", "eventsource": "ec2.amazonaws.com"}) == Refused(
            "the row has no eventName; add what is missing to the query"
        )

    def test_without_an_error_column_only_a_response_shows_success(self) -> None:
        row = csv_dicts(forms.athena_cast_csv([REFUSED_CALL]))[0]
        assert rebuild(row) == Refused(
            "the row has no column for errors and no response, so the call may have failed; "
            "add errorCode to the query"
        )
        (evicted,) = csv_dicts(forms.athena_cast_csv([r.GOOD["BidEvictedEvent"]]))
        assert isinstance(rebuild(evicted), Refused)
        assert isinstance(rebuild(evicted | {"eventtype": "AwsServiceEvent"}), Rebuilt)

    @pytest.mark.parametrize(
        "null", ["null", "NULL", "(null)", "<null>", "\\N", "None", "NaN", "<NA>", "undefined", "-"]
    )
    def test_what_a_client_writes_for_null_is_no_error(self, null: str) -> None:
        row = {column: null if cell is None else cell for column, cell in athena_row().items()}
        found = rebuilt(row | {"errorcode": null, "errormessage": null})
        assert found.record == rebuilt(athena_row(errorcode=None, errormessage=None)).record

    def test_a_table_by_columns_is_refused(self) -> None:
        assert rebuild({name: {"0": value} for name, value in ASSIGNED.items()}) == Refused(
            "a table by columns, not by records; with pandas: to_json(orient='records')"
        )

    def test_partition_columns_are_not_fields(self) -> None:
        record = rebuilt(athena_row(region="us-east-1", account="999999999999", year="2020", p_x="1")).record
        assert record == rebuilt(athena_row()).record

    @pytest.mark.parametrize(
        "time",
        [
            "2024-05-14T09:30:00Z",
            "2024-05-14 09:30:00.000",
            "2024-05-14 09:30:00.000 UTC",
            "2024-05-14T09:30:00+00:00",
            1715679000000,
            1715679000,
        ],
    )
    def test_a_time_is_written_as_cloudtrail_writes_it(self, time: object) -> None:
        assert rebuilt(athena_row(eventtime=time)).record["eventTime"] == "2024-05-14T09:30:00Z"

    def test_a_time_in_another_zone_keeps_it_and_no_time_stays_as_it_is(self) -> None:
        assert rebuilt(athena_row(eventtime="2024-05-14 09:30:00+02:00")).record["eventTime"] == (
            "2024-05-14T09:30:00+02:00"
        )
        assert rebuilt(athena_row(eventtime="14 May")).record["eventTime"] == "14 May"

    def test_parameters_that_are_no_object_stay_as_they_are(self) -> None:
        found = rebuilt(athena_row(requestparameters='{"networkInterfaceId":"eni-0'))
        assert found.record["requestParameters"] == '{"networkInterfaceId":"eni-0'
        assert found.unread is not None
        assert found.unread.startswith("requestParameters is damaged, or could be read in more than one way")

    def test_parameters_that_repeat_a_key_are_not_read(self) -> None:
        text = '{"networkInterfaceId":"eni-0a","networkInterfaceId":"eni-0b"}'
        assert rebuilt(athena_row(requestparameters=text)).record["requestParameters"] == text

    def test_an_account_that_became_a_number_has_its_zeros_again(self) -> None:
        assert (
            rebuilt(athena_row(recipientaccountid=1122223333)).record["recipientAccountId"] == "001122223333"
        )

    def test_a_caller_that_is_ambiguous_is_left_out_and_told(self) -> None:
        found = rebuilt(athena_row(useridentity="{type=AssumedRole, arn=a, arn=b}"))
        assert "userIdentity" not in found.record
        assert found.unread is not None
        assert found.unread.startswith("the caller cannot be read")

    def test_a_cast_beside_an_ambiguous_struct_is_the_caller(self) -> None:
        cast = json.dumps({"type": "AWSService", "invokedby": "autoscaling.amazonaws.com"})
        found = rebuilt(athena_row(useridentity="{type=x, type=y}", useridentity_json=cast))
        assert found.record["userIdentity"] == {
            "type": "AWSService",
            "invokedBy": "autoscaling.amazonaws.com",
        }
        assert found.unread is None

    def test_merged_pages_have_one_header(self) -> None:
        rows = forms.athena_api([LAUNCH, ASSIGNED])["ResultSet"]["Rows"]
        assert len(list(athena_rows({"Rows": [*rows, rows[0], {}, None]}))) == 2
        assert list(athena_rows({"Rows": []})) == []

    def test_a_page_without_the_header_has_the_names_of_its_columns(self) -> None:
        result = forms.athena_api([LAUNCH, ASSIGNED])["ResultSet"]
        header, *rows = result["Rows"]
        columns = [{"Name": cell["VarCharValue"], "Type": "varchar"} for cell in header["Data"]]
        page = {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": columns}}
        assert list(athena_rows(page)) == list(athena_rows({"Rows": [header, *rows]}))
        pages = [{"ResultSet": page, "NextToken": "x"}, {"ResultSet": page | {"Rows": rows[:1]}}]
        for text in (r.compact(pages), b"\n".join(map(r.compact, pages))):
            assert r.scanned(text).tally.forms == {"athena": 3}


class TestParsedTexts:
    def test_a_whole_record_needs_no_error_column(self) -> None:
        (row,) = forms.own_rows([ASSIGNED | {"responseElements": None}])
        assert rebuilt(row).form == "records"

    def test_some_columns_with_cloudtrails_names_are_no_raw_record(self) -> None:
        row = {name: ASSIGNED[name] for name in ("eventTime", "eventName", "responseElements")}
        assert rebuilt(row).form == "athena"
        assert isinstance(rebuild(row | {"responseElements": None}), Refused)

    def test_snowflakes_names_are_in_upper_case(self) -> None:
        (row,) = forms.own_rows([ASSIGNED])
        found = rebuilt({name.upper(): value for name, value in row.items()})
        assert (found.form, found.record) == ("athena", ASSIGNED)

    def test_json_texts_become_objects(self) -> None:
        (row,) = forms.own_rows([ASSUMED])
        assert rebuilt(row).record == ASSUMED


class TestLake:
    def test_event_json_is_the_record_itself(self) -> None:
        found = rebuilt({"eventJson": json.dumps(ASSIGNED), "eventName": "other"})
        assert found == Rebuilt(ASSIGNED, "lake-event-json")

    def test_a_description_that_looks_like_parameters_is_not_read(self) -> None:
        text = "{subnetId=subnet-0a, description=x, privateIpAddress=10.0.0.99}"
        assert parameters_of(text) is None
        assert parameters_of("{description=x, groupSet={}}") is None

    def test_a_text_that_nothing_follows_is_read(self) -> None:
        assert parameters_of("{subnetId=subnet-0a, description=a, b and c}") == {
            "subnetId": "subnet-0a",
            "description": "a, b and c",
        }

    def test_a_text_is_read_if_no_longer_one_is_possible(self) -> None:
        token = "a" * 40
        rest = "networkInterfaceSet=" + json.dumps({"items": [{"subnetId": "subnet-0a"}]})
        assert parameters_of(f"{{clientToken={token}, {rest}}}") == {
            "clientToken": token,
            "networkInterfaceSet": {"items": [{"subnetId": "subnet-0a"}]},
        }
        assert parameters_of(f"{{clientToken=a, {rest[:-2]}}}") is None
        assert parameters_of("{clientToken=a, force=true, networkInterfaceId=eni-0a}") is None

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "}",
            "{networkInterfaceId=eni-0a, networkInterfaceId=eni-0b}",
            "{networkInterfaceId=eni 0a}",
            "{tagSet={}",
            "{tagSet={} x}",
            '{tagSet={"a":1,"a":2}}',
            "{tagSet=x}",
            "{tagSet=" + "[" * 100_000 + "}",
            "{tagSet={}, x}",
            "{unknown=a, networkInterfaceId=eni-0a}",
        ],
    )
    def test_anything_else_is_not_read(self, text: str) -> None:
        assert parameters_of(text) is None

    def test_a_subject_cannot_forge_another_provider(self) -> None:
        response = ASSUMED["responseElements"]
        assert parameters_of(forms.map_text(response) or "") == response
        hostile = response | {"subjectFromWebIdentityToken": f"x, provider={r.PROVIDER}"}
        assert parameters_of(forms.map_text(hostile) or "") is None
        more = response | {"subjectFromWebIdentityToken": "x, packedPolicySize=3"}
        assert parameters_of(forms.map_text(more) or "") is None

    @given(st.permutations(["subnetId", "description", "tagSet", "clientToken"]), st.data())
    def test_hostile_texts_are_read_as_they_were_or_not_at_all(
        self, order: list[str], data: st.DataObject
    ) -> None:
        texts = HOSTILE | st.just("a" * 60)
        values: Row = {
            "subnetId": "subnet-0a",
            "description": data.draw(texts),
            "tagSet": {"items": [{"key": data.draw(texts)}]},
            "clientToken": data.draw(texts.map(lambda text: text[:64])),
        }
        kept = data.draw(st.sets(st.sampled_from(order), min_size=1))
        parameters = {name: values[name] for name in order if name in kept}
        assert parameters_of(forms.map_text(parameters) or "") in (None, parameters)

    def test_cells_that_are_not_columns_are_no_row(self) -> None:
        assert lake_row([]) is None
        assert lake_row([{"a": 1, "b": 2}]) is None
        assert lake_row([{"a": 1}, {"a": 2}]) is None
        assert lake_row(["a"]) is None


class TestSecurityLake:
    def test_the_older_version_is_refused_with_the_newer_ones_name(self) -> None:
        for row in forms.security_lake_v1_rows(STORY):
            assert rebuild(row) == Refused(
                "OCSF 1.0.0-rc.2 has no whole request and response; Security Lake writes them "
                "from source version 2 on (OCSF 1.1)"
            )

    def test_unmapped_fields_may_be_pairs_or_entries(self) -> None:
        (row,) = forms.security_lake_rows([ASSIGNED])
        expected = rebuilt(row)
        pairs = list(row["unmapped"].items())
        assert rebuilt(row | {"unmapped": pairs}) == expected
        entries = [{"key": key, "value": value} for key, value in pairs]
        assert rebuilt(row | {"unmapped": entries}) == expected
        assert rebuilt(row | {"unmapped": json.dumps(row["unmapped"])}) == expected

    def test_unmapped_fields_of_a_request_are_not_taken(self) -> None:
        (row,) = forms.security_lake_rows([ASSIGNED])
        row["unmapped"] |= {"userIdentity.arn": "forged", "eventName": "x", "requestParameters.a": "y"}
        assert rebuilt(row).record == rebuilt(forms.security_lake_rows([ASSIGNED])[0]).record

    def test_objects_as_text_are_refused(self) -> None:
        (row,) = forms.security_lake_rows([ASSIGNED])
        found = rebuild(row | {"api": "{operation=RunInstances}"})
        assert isinstance(found, Refused)
        assert found.reason.startswith("an OCSF row with its objects as text")

    def test_a_failed_call_without_its_error_is_refused(self) -> None:
        (row,) = forms.security_lake_rows([REFUSED_CALL])
        del row["api"]["response"]["error"], row["api"]["response"]["message"]
        assert rebuild(row) == Refused("an OCSF row of a failed call without its error")


class TestTables:
    def test_a_tables_text_for_search_is_not_used(self) -> None:
        (document,) = forms.elastic_documents([ASSIGNED])
        del document["aws"]["cloudtrail"]["flattened"]["request_parameters"]
        found = rebuilt(document)
        assert "requestParameters" not in found.record
        assert found.unread == "requestParameters is in the document only as a text for search"

    def test_kibanas_local_time_is_refused(self) -> None:
        row: Row = {
            "@timestamp": "May 14, 2024 @ 09:30:00.000",
            "event.action": "x",
            "aws.cloudtrail.event_type": "y",
        }
        found = rebuild(row)
        assert isinstance(found, Refused)
        assert "Kibana's CSV has local time" in found.reason

    def test_the_account_of_a_document_is_the_callers_only_if_its_arn_has_it(self) -> None:
        (document,) = forms.elastic_documents([ASSIGNED])
        document["cloud"]["account"]["id"] = "999999999999"
        identity = rebuilt(document).record["userIdentity"]
        assert isinstance(identity, dict)
        assert "accountId" not in identity

    def test_sentinels_local_time_is_refused(self) -> None:
        (row,) = forms.sentinel_rows([ASSIGNED])
        assert rebuild(row | {"TimeGenerated": "5/14/2024, 9:30:00.000 AM"}) == Refused(
            "a Sentinel row without TimeGenerated in ISO 8601; export the rows as JSON"
        )

    def test_the_consoles_csv_is_refused(self) -> None:
        (row,) = csv_dicts(forms.console_csv([ASSIGNED]))
        assert rebuild(row) == Refused(
            "a CSV file of the console's event history has no request parameters; "
            "download the events as JSON instead"
        )


@st.composite
def identities(draw: st.DrawFn) -> Row:
    """A caller whose subject, or names, an attacker has chosen."""
    if draw(st.booleans()):
        subject = draw(HOSTILE.filter(lambda text: not is_empty(text)))
        return {
            "type": draw(st.sampled_from(("WebIdentityUser", "SAMLUser"))),
            "principalId": f"provider:{draw(HOSTILE)}:{subject}",
            "userName": subject,
            "identityProvider": "accounts.example.com",
        }
    session, role, source = draw(NAME), draw(NAME), draw(NAME)
    identity = deepcopy(SESSION)
    identity["principalId"] = f"AROAEXAMPLEEXAMPLE123:{session}"
    identity["arn"] = f"arn:aws:sts::{r.ACCOUNT}:assumed-role/{role}/{session}"
    context: Row = identity["sessionContext"]  # type: ignore[assignment]
    context["sessionIssuer"] |= {"userName": role, "arn": f"arn:aws:iam::{r.ACCOUNT}:role/{role}"}
    context["webIdFederationData"]["attributes"] = draw(
        st.just({}) | st.dictionaries(NAME, HOSTILE, max_size=2)
    )
    return identity | {"sessionContext": context | {"sourceIdentity": source}}


def as_in(identity: Row, table: str) -> object:
    """An identity as a table has it, without the attributes of the provider, which nothing uses."""
    kept = forms.lower(identity, forms.fields_of(forms.ATHENA_IDENTITY[table]))
    assert isinstance(kept, dict)
    (kept.get("sessioncontext") or {}).get("webidfederationdata", {}).pop("attributes", None)
    return forms.without_empty(kept)


def lowered(value: object) -> object:
    return {key.lower(): lowered(inner) for key, inner in value.items()} if isinstance(value, dict) else value


class TestStructText:
    @given(identities(), st.sampled_from(sorted(forms.ATHENA_IDENTITY)))
    def test_a_caller_is_read_as_it_was_or_not_at_all(self, identity: Row, table: str) -> None:
        found = identity_of(forms.identity_text(identity, table))
        if found is not None:
            session = found.get("sessionContext")
            if isinstance(session, dict):
                (session.get("webIdFederationData") or {}).pop("attributes", None)
            assert forms.without_empty(lowered(found)) == as_in(identity, table)

    @given(NAME, NAME)
    def test_a_role_session_is_always_read(self, session: str, role: str) -> None:
        identity = SESSION | {
            "principalId": f"AROAEXAMPLEEXAMPLE123:{session}",
            "arn": f"arn:aws:sts::{r.ACCOUNT}:assumed-role/{role}/{session}",
        }
        for table in forms.ATHENA_IDENTITY:
            assert identity_of(forms.identity_text(identity, table)) is not None

    @pytest.mark.parametrize(
        "subject",
        [
            "x, arn=arn:aws:sts::999999999999:assumed-role/admin/x",
            "x, accountid=999999999999",
            "x, sessioncontext={attributes=null, sessionissuer=null}",
            f"x, identityprovider={r.PROVIDER}",
            "x}, arn={",
            "{type=AssumedRole}",
            "x, something=else",
        ],
    )
    @pytest.mark.parametrize("table", forms.ATHENA_IDENTITY)
    def test_a_subject_cannot_forge_a_field(self, table: str, subject: str) -> None:
        identity = WEB_IDENTITY | {"principalId": f"provider:aud:{subject}", "userName": subject}
        assert identity_of(forms.identity_text(identity, table)) is None

    def test_a_session_name_with_a_field_in_it_is_a_name(self) -> None:
        name = "x,accountid=999999999999"
        arn = f"arn:aws:sts::{r.ACCOUNT}:assumed-role/node-role/{name}"
        found = identity_of(forms.identity_text(SESSION | {"principalId": f"AROA:{name}", "arn": arn}))
        assert found is not None
        assert (found["arn"], found["accountId"]) == (arn, r.ACCOUNT)

    def test_a_service_with_a_blank_in_its_name_is_read(self) -> None:
        identity = {"type": "AWSService", "invokedBy": "AWS Internal"}
        assert identity_of(forms.identity_text(identity)) == identity

    def test_lakes_times_have_a_blank(self) -> None:
        (row,) = forms.lake_rows([ASSIGNED])
        text = next(cell["userIdentity"] for cell in row if "userIdentity" in cell)
        assert "creationdate=2024-05-14 09:29:59.000" in text
        assert identity_of(text) == SESSION

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "null",
            "{}",
            "{type=AssumedRole",
            "{type=AssumedRole}}",
            "{type=AssumedRole}x",
            "{principalid=x, type=AssumedRole}",
            "{type=AssumedRole, unknown=x}",
            "{type=AssumedRole, type=Root}",
            "{type=AssumedRole, sessioncontext=x}",
            "{type=AssumedRole, arn={}}",
            "{type=AssumedRole, username=a b}",
            "{type=AssumedRole,arn=x}",
            "{type=Assumed Role, arn=x}",
            "{type=WebIdentityUser, username=x}",
            "{type=" + "{" * 100_000,
            "{type=AssumedRole, arn=" + ", x" * 100_000,
        ],
    )
    def test_anything_else_is_not_read(self, text: str) -> None:
        found = identity_of(text)
        assert found is None
