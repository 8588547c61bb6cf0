"""Tables of CloudTrail records as people define them: their columns, partitions and properties.

Names and types are those of the sources, in the notation of ``GetTableMetadata``. ``{account}`` and
``{region}`` are those of a story, ``{t}`` is when a log file was delivered.
"""

from collections.abc import Mapping

from duck_engine import OCSF_TABLE, TABLE_2016, TABLE_2022, TABLE_NOW
from msgspec import Struct

from cnitrail.sources.sql.shapes import Shape

NOW = dict(TABLE_NOW)
GITHUB = "https://github.com/"
GUIDE = "https://docs.aws.amazon.com/athena/latest/ug/"


class Definition(Struct, frozen=True, kw_only=True):
    """A table: ``partitions`` are the type and the value of each partition column.

    ``pruned`` are the partition columns that limit a query for some hours of a Region and an account.
    """

    source: str
    shape: Shape
    columns: Mapping[str, str]
    partitions: Mapping[str, tuple[str, str]] = {}
    properties: Mapping[str, str] = {}
    location: str | None = None
    pruned: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    """The fields of a record that it has no column for."""


def cased(columns: Mapping[str, str]) -> dict[str, str]:
    """Columns whose struct members have capitals, as Glue keeps them."""
    capitals = {
        "principalid": "principalId",
        "accountid": "accountId",
        "invokedby": "invokedBy",
        "accesskeyid": "accessKeyId",
        "username": "userName",
        "sessioncontext": "sessionContext",
        "mfaauthenticated": "mfaAuthenticated",
        "creationdate": "creationDate",
        "sessionissuer": "sessionIssuer",
        "ec2roledelivery": "ec2RoleDelivery",
        "webidfederationdata": "webIdFederationData",
        "federatedprovider": "federatedProvider",
    }
    found = dict(columns)
    for name, capital in capitals.items():
        found = {column: kind.replace(f"{name}:", f"{capital}:") for column, kind in found.items()}
    return found


def projection(**properties: str) -> dict[str, str]:
    """Properties of partition projection; ``__`` is a dot."""
    named = {f"projection.{name.replace('__', '.')}": text for name, text in properties.items()}
    return {"projection.enabled": "true", **named}


def without(columns: Mapping[str, str], *names: str) -> dict[str, str]:
    """Columns without some."""
    return {name: kind for name, kind in columns.items() if name not in names}


ROOT = "s3://logs/AWSLogs/{account}/CloudTrail/"
ORG_ROOT = "s3://logs/AWSLogs/o-abcdefghij/"
DAILY = {
    "projection.timestamp.type": "date",
    "projection.timestamp.format": "yyyy/MM/dd",
    "projection.timestamp.range": "2020/01/01,NOW",
    "projection.timestamp.interval": "1",
    "projection.timestamp.interval.unit": "DAYS",
}
REGIONS = "us-east-1,us-east-2,us-west-1,us-west-2,eu-west-1,eu-central-1"
MONTHS_AND_DAYS = {
    "projection.month.type": "integer",
    "projection.month.range": "01,12",
    "projection.month.digits": "2",
    "projection.day.type": "integer",
    "projection.day.range": "01,31",
    "projection.day.digits": "2",
}
YMD = {"year": ("string", "{t:%Y}"), "month": ("string", "{t:%m}"), "day": ("string", "{t:%d}")}
NUMBERS = {"year": ("int", "{t.year}"), "month": ("int", "{t.month}"), "day": ("int", "{t.day}")}
ACCOUNT = ("string", "{account}")
REGION = ("string", "{region}")
DAY = ("string", "{t:%Y/%m/%d}")
OF_2016 = ("ec2RoleDelivery", "webIdFederationData", "sessionCredentialFromConsole", "eventCategory")
OF_2022 = ("sessionCredentialFromConsole",)

LAKE_IDENTITY = (
    "struct<type:string,principalid:string,arn:string,accountid:string,accesskeyid:string,username:string,"
    "sessioncontext:struct<attributes:struct<creationdate:timestamp,mfaauthenticated:string>,"
    "sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,username:string>,"
    "webidfederationdata:struct<federatedprovider:string,attributes:map<string,string>>,"
    "sourceidentity:string,ec2roledelivery:string,ec2issuedinvpc:string>,"
    "onbehalfof:struct<userid:string,identitystorearn:string>,"
    "inscopeof:struct<sourcearn:string,sourceaccount:string,issuertype:string,credentialsissuedto:string>,"
    "invokedby:string,identityprovider:string>"
)

DEFINITIONS = {
    "guide, projection": Definition(
        source=f"{GUIDE}create-cloudtrail-table-partition-projection.html",
        shape=Shape.CLOUDTRAIL,
        columns=NOW,
        partitions={"timestamp": DAY},
        properties=projection() | DAILY | {"storage.location.template": ROOT + "{region}/${{timestamp}}"},
        location=ROOT + "{region}",
        pruned=("timestamp",),
    ),
    "guide, by hand": Definition(
        source=f"{GUIDE}create-cloudtrail-table.html",
        shape=Shape.CLOUDTRAIL,
        columns=NOW,
        partitions={"region": REGION, **YMD},
        location=ROOT,
        pruned=("region", "year", "month", "day"),
    ),
    "guide, organization": Definition(
        source=f"{GUIDE}create-cloudtrail-table-org-wide-trail.html",
        shape=Shape.CLOUDTRAIL,
        columns=NOW,
        partitions={"account": ACCOUNT, "region": REGION, **YMD},
        location=ORG_ROOT + "{account}/CloudTrail/",
        pruned=("account", "region", "year", "month", "day"),
    ),
    "console of 2022": Definition(
        source="https://gist.github.com/ollytheninja/1222d59ca68ce6a896f8a4c77504b5e1",
        shape=Shape.CLOUDTRAIL_2022,
        columns=cased(TABLE_2022),
        location="s3://logs/AWSLogs/{account}/",
        lost=OF_2022,
    ),
    "accounts are injected": Definition(
        source=f"{GITHUB}hacker65536/myit/blob/master/aws/cloudtrail/athena-DDL.md",
        shape=Shape.CLOUDTRAIL_2022,
        columns=cased(TABLE_2022),
        partitions={"accountid": ACCOUNT, "region": REGION, "date": DAY},
        properties=projection(
            date__type="date",
            date__range="NOW-9YEARS,NOW",
            date__format="yyyy/MM/dd",
            date__interval="1",
            date__interval__unit="DAYS",
            region__type="enum",
            region__values=REGIONS,
            accountid__type="injected",
        )
        | {"storage.location.template": ORG_ROOT + "${{accountid}}/CloudTrail/${{region}}/${{date}}"},
        pruned=("accountid", "region", "date"),
        lost=OF_2022,
    ),
    "account and Region are injected": Definition(
        source=f"{GUIDE}partition-projection-supported-types.html",
        shape=Shape.CLOUDTRAIL,
        columns={name: kind.upper() for name, kind in NOW.items()},
        partitions={"account_id": ACCOUNT, "region": REGION, "timestamp": DAY},
        properties=projection(account_id__type="injected", region__type="injected")
        | DAILY
        | {"storage.location.template": ORG_ROOT + "${{account_id}}/CloudTrail/${{region}}/${{timestamp}}/"},
        location=ORG_ROOT,
        pruned=("account_id", "region", "timestamp"),
    ),
    "cloudtracker": Definition(
        source=f"{GITHUB}duo-labs/cloudtracker",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016,
        partitions={"region": REGION, "year": YMD["year"], "month": YMD["month"]},
        location=ROOT,
        pruned=("region", "year", "month"),
        lost=OF_2016,
    ),
    "cloudtrail-partitioner": Definition(
        source=f"{GITHUB}duo-labs/cloudtrail-partitioner",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016,
        partitions={"region": REGION, **YMD},
        location=ROOT,
        pruned=("region", "year", "month", "day"),
        lost=OF_2016,
    ),
    "a date is a day": Definition(
        source=f"{GITHUB}duo-labs/cloudtrail-partitioner (a copy whose column for the day is named date)",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016,
        partitions={"region": REGION, "year": YMD["year"], "month": YMD["month"], "date": YMD["day"]},
        location="s3://logs/AWSLogs/{account}",
        pruned=("region", "date", "year", "month"),
        lost=OF_2016,
    ),
    "bootstrap": Definition(
        source=f"{GITHUB}awslabs/aws-security-analytics-bootstrap",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016,
        partitions={"date_partition": DAY, "region_partition": REGION, "account_partition": ACCOUNT},
        properties=projection(
            date_partition__type="date",
            date_partition__range="NOW-9YEARS,NOW",
            date_partition__format="yyyy/MM/dd",
            date_partition__interval="1",
            date_partition__interval__unit="DAYS",
            region_partition__type="enum",
            region_partition__values=REGIONS,
            account_partition__type="enum",
            account_partition__values="{account}",
        )
        | {
            "storage.location.template": (
                "s3://logs/AWSLogs/${{account_partition}}/CloudTrail/${{region_partition}}/${{date_partition}}"
            )
        },
        pruned=("date_partition", "region_partition", "account_partition"),
        lost=OF_2016,
    ),
    "dates of ingestion are those of folders": Definition(
        source=f"{GITHUB}chariotsolutions/aws-examples/blob/main/access_cloudtrail_with_athena/raw_partitioned.ddl",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016,
        partitions={"account_id": ACCOUNT, "region": REGION, "ingest_date": DAY},
        properties=projection(
            account_id__type="enum",
            account_id__values="{account}",
            region__type="enum",
            region__values=REGIONS,
            ingest_date__type="date",
            ingest_date__format="yyyy/MM/dd",
            ingest_date__range="2020/01/01,NOW",
        )
        | {
            "storage.location.template": (
                "s3://logs/AWSLogs/${{account_id}}/CloudTrail/${{region}}/${{ingest_date}}"
            )
        },
        pruned=("account_id", "region", "ingest_date"),
        lost=OF_2016,
    ),
    "dates of ingestion are not known": Definition(
        source=f"{GITHUB}chariotsolutions/aws-examples/blob/main/access_cloudtrail_with_athena/consolidated.ddl",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016,
        partitions={"ingest_date": ("string", "2024/01/01")},
        properties=projection(
            ingest_date__type="date", ingest_date__format="yyyy/MM/dd", ingest_date__range="2020/01/01,NOW"
        )
        | {"storage.location.template": "s3://logs/prefix/${{ingest_date}}"},
        lost=OF_2016,
    ),
    "years are listed": Definition(
        source=f"{GITHUB}aws-samples (organization trail by account, Region, year, month, day)",
        shape=Shape.CLOUDTRAIL_2016,
        columns=cased(TABLE_2016),
        partitions={"account": ACCOUNT, "region": REGION, **YMD},
        properties=projection(
            account__type="enum",
            account__values="{account},222222222222",
            region__type="enum",
            region__values=REGIONS,
            year__type="enum",
            year__values="2021,2022,2023,2024,2025,2026",
        )
        | MONTHS_AND_DAYS
        | {
            "storage.location.template": ORG_ROOT
            + "${{account}}/CloudTrail/${{region}}/${{year}}/${{month}}/${{day}}"
        },
        pruned=("account", "region", "year", "month", "day"),
        lost=OF_2016,
    ),
    "numbers in a projection": Definition(
        source=f"{GITHUB}LBHackney-IT/Data-Platform/blob/main/terraform/etl/61-aws-glue-catalog-tables-and-views.tf",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016,
        partitions=YMD,
        properties=projection(year__type="integer", year__range="2020,2045", year__interval="1")
        | MONTHS_AND_DAYS
        | {"storage.location.template": ROOT + "{region}/${{year}}/${{month}}/${{day}}/"},
        location=ROOT,
        pruned=("year", "month", "day"),
        lost=OF_2016,
    ),
    "columns of numbers": Definition(
        source="Terraform examples with partition keys of type int",
        shape=Shape.CLOUDTRAIL_2016,
        columns=cased(TABLE_2016),
        partitions={"region": REGION, **NUMBERS},
        properties=projection(
            region__type="enum",
            region__values=REGIONS,
            year__type="integer",
            year__range="2021, 2999",
            year__digits="4",
        )
        | MONTHS_AND_DAYS
        | {"storage.location.template": ROOT + "${{region}}/${{year}}/${{month}}/${{day}}"},
        location="s3://logs/cloudtrail/",
        pruned=("region", "year", "month", "day"),
        lost=OF_2016,
    ),
    "blanks in a list": Definition(
        source=f"{GITHUB}ministryofjustice (account, region, timestamp; values with a blank after the comma)",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016,
        partitions={"account": ACCOUNT, "region": ("string", " {region}"), "timestamp": DAY},
        properties=projection(
            account__type="enum",
            account__values="{account}",
            region__type="enum",
            region__values="ap-south-1, {region}",
        )
        | DAILY
        | {
            "storage.location.template": "s3://logs/AWSLogs/${{account}}/CloudTrail/${{region}}/${{timestamp}}"
        },
        pruned=("account", "region", "timestamp"),
        lost=OF_2016,
    ),
    "months": Definition(
        source="a table with interval.unit MONTHS and format yyyy/MM",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016,
        partitions={"region": REGION, "timestamp": ("string", "{t:%Y/%m}")},
        properties=projection(region__type="enum", region__values=REGIONS)
        | DAILY
        | {
            "projection.timestamp.format": "yyyy/MM",
            "projection.timestamp.interval.unit": "MONTHS",
            "projection.timestamp.range": "2018/01,NOW",
            "storage.location.template": ROOT + "${{region}}/${{timestamp}}",
        },
        pruned=("region", "timestamp"),
        lost=OF_2016,
    ),
    "dt": Definition(
        source=f"{GITHUB}ca-nambara-teruaki/aws-log-ops/blob/main/modules/logs-table/ddl/trail.sql",
        shape=Shape.CLOUDTRAIL,
        columns=without(
            cased(NOW),
            *("addendum", "vpcendpointaccountid", "sessioncredentialfromconsole", "edgedevicedetails"),
        ),
        partitions={"region": REGION, "dt": DAY},
        properties=projection(
            region__type="enum",
            region__values=REGIONS,
            dt__type="date",
            dt__range="2020/01/01,NOW",
            dt__format="yyyy/MM/dd",
            dt__interval="1",
            dt__interval__unit="DAYS",
        )
        | {"storage.location.template": "s3://logs/Trail/AWSLogs/{account}/CloudTrail/${{region}}/${{dt}}"},
        location="s3://logs/Trail/AWSLogs/{account}/CloudTrail/",
        pruned=("region", "dt"),
        lost=OF_2022,
    ),
    "day is a whole date": Definition(
        source="Terraform examples with a date projection named day",
        shape=Shape.CLOUDTRAIL,
        columns=NOW,
        partitions={"region": REGION, "day": DAY},
        properties=projection(
            region__type="enum",
            region__values=REGIONS,
            day__type="date",
            day__format="yyyy/MM/dd",
            day__range="2019/01/01,NOW",
        )
        | {"storage.location.template": ROOT + "${{region}}/${{day}}"},
        location=ROOT,
        pruned=("region", "day"),
    ),
    "a name of one's own": Definition(
        source="VPC flow log modules that name the column partition_utc, for hours",
        shape=Shape.CLOUDTRAIL,
        columns=NOW,
        partitions={"region": REGION, "partition_utc": ("string", "{t:%Y/%m/%d/%H}")},
        properties=projection(
            region__type="injected",
            partition_utc__type="date",
            partition_utc__format="yyyy/MM/dd/HH",
            partition_utc__range="NOW-4000DAY,NOW",
            partition_utc__interval="1",
            partition_utc__interval__unit="HOURS",
        )
        | {"storage.location.template": "s3://copies/${{region}}/${{partition_utc}}/"},
        pruned=("region", "partition_utc"),
    ),
    "accounts are a range": Definition(
        source="load balancer examples with account_id as an integer of 12 digits",
        shape=Shape.CLOUDTRAIL,
        columns=NOW,
        partitions={"account_id": ACCOUNT, "region": REGION, "day": DAY},
        properties=projection(
            account_id__type="integer",
            account_id__range="000000000001,999999999999",
            account_id__digits="12",
            region__type="enum",
            region__values=REGIONS,
            day__type="date",
            day__range="NOW-9YEARS,NOW+9HOURS",
            day__format="yyyy/MM/dd",
        )
        | {"storage.location.template": "s3://logs/AWSLogs/${{account_id}}/CloudTrail/${{region}}/${{day}}/"},
        pruned=("account_id", "region", "day"),
    ),
    "projection that is not on": Definition(
        source="a typing error: projection.enable",
        shape=Shape.CLOUDTRAIL,
        columns=NOW,
        partitions={"timestamp": DAY},
        properties=DAILY | {"projection.enable": "true"},
        pruned=("timestamp",),
    ),
    "Panther": Definition(
        source=f"{GITHUB}panther-labs/panther (internal/log_analysis/awsglue)",
        shape=Shape.CLOUDTRAIL,
        columns=NOW
        | {
            "p_event_time": "timestamp",
            "p_parse_time": "timestamp",
            "p_log_type": "string",
            "p_row_id": "string",
            "p_any_ip_addresses": "array<string>",
            "p_any_aws_account_ids": "array<string>",
            "readonly": "boolean",
        },
        partitions={**NUMBERS, "hour": ("int", "{t.hour}"), "partition_time": ("int", "{t:%s}")},
        pruned=("partition_time", "year", "month", "day", "hour"),
    ),
    "cloudtrail-parquet-lambda": Definition(
        source=f"{GITHUB}umccr/cloudtrail-parquet-lambda",
        shape=Shape.CLOUDTRAIL,
        columns=NOW | {"readonly": "boolean"},
        partitions={"account": ACCOUNT, "region": REGION, "dt": ("date", "{t:%Y-%m-%d}")},
        pruned=("account", "region", "dt"),
    ),
    "cloudtrail-parquet-glue": Definition(
        source=f"{GITHUB}alsmola/cloudtrail-parquet-glue/blob/master/scripts/glue_etl.py",
        shape=Shape.CLOUDTRAIL,
        columns=without(NOW, "addendum", "tlsdetails", "edgedevicedetails")
        | {"readonly": "boolean", "managementevent": "boolean"},
        partitions={"region": REGION, **YMD},
        pruned=("region", "year", "month", "day"),
    ),
    "CloudTrail Lake, federated": Definition(
        source="https://docs.aws.amazon.com/awscloudtrail/latest/userguide/query-supported-event-schemas.html",
        shape=Shape.CLOUDTRAIL,
        columns=NOW
        | {
            "useridentity": LAKE_IDENTITY,
            "eventtime": "timestamp",
            "requestparameters": "map<string,string>",
            "responseelements": "map<string,string>",
            "additionaleventdata": "map<string,string>",
            "serviceeventdetails": "map<string,string>",
            "readonly": "boolean",
            "managementevent": "boolean",
            "resources": "array<struct<accountid:string,type:string,arn:string,arnprefix:string>>",
        },
    ),
    "maps": Definition(
        source=f"{GITHUB}flywheeldata (a Hive input format of 2014: CloudTrailsFileInputFormat)",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016
        | {"requestparameters": "map<string,string>", "responseelements": "map<string,string>"},
        lost=OF_2016,
    ),
    "a caller without a session": Definition(
        source="short DDLs in guides: useridentity without sessioncontext",
        shape=Shape.CLOUDTRAIL_2016,
        columns=TABLE_2016
        | {
            "useridentity": (
                "struct<type:string,principalid:string,arn:string,accountid:string,"
                "invokedby:string,accesskeyid:string,username:string>"
            )
        },
        partitions={"region": REGION, **YMD},
        pruned=("region", "year", "month", "day"),
        lost=("sessionContext", *OF_2016),
    ),
    "a column for each value of a caller": Definition(
        source="https://fivetran.com/docs/connectors/applications/aws-cloudtrail/connector-schema",
        shape=Shape.CLOUDTRAIL,
        columns=without(NOW, "useridentity")
        | {
            f"user_identity_{name}": "string"
            for name in (
                *("type", "principal_id", "arn", "account_id", "access_key_id", "user_name", "invoked_by"),
                "session_context_attributes_mfa_authenticated",
                "session_context_attributes_creation_date",
                "session_context_session_issuer_type",
                "session_context_session_issuer_principal_id",
                "session_context_session_issuer_arn",
                "session_context_session_issuer_account_id",
                "session_context_session_issuer_user_name",
                "session_context_ec2_role_delivery",
                "session_context_web_id_federation_data_federated_provider",
            )
        },
        partitions={"region": REGION, **YMD},
        pruned=("region", "year", "month", "day"),
    ),
    "columns named as ours are": Definition(
        source="names that the statement uses itself",
        shape=Shape.CLOUDTRAIL,
        columns=NOW
        | dict.fromkeys(("path", "place", "record", "records", "name", "stamp", "sign", "minute"), "string")
        | {"is_record": "boolean", "event_time": "string"},
        partitions={"account": ACCOUNT, "region": REGION, "day": ("string", "{t:%Y-%m-%d}")},
        pruned=("account", "region", "day"),
    ),
    "partitioned by the record's Region": Definition(
        source="copies with Hive partitions awsregion, recipientaccountid, eventdate",
        shape=Shape.CLOUDTRAIL,
        columns=without(NOW, "awsregion", "recipientaccountid"),
        partitions={
            "awsregion": REGION,
            "recipientaccountid": ("bigint", "{account}"),
            "event_date": ("string", "{t:%Y%m%d}"),
        },
        pruned=("awsregion", "recipientaccountid", "event_date"),
    ),
    "unpadded": Definition(
        source="copies written by Spark: year=2022/month=9/day=5, dt=2022-9-5",
        shape=Shape.CLOUDTRAIL,
        columns=NOW | {"eventtime": "timestamp(3) with time zone"},
        partitions={
            "dt": ("varchar", "{t.year}-{t.month}-{t.day}"),
            "year": ("varchar", "{t.year}"),
            "month": ("varchar", "{t.month}"),
            "day": ("varchar", "{t.day}"),
        },
        pruned=("dt", "year", "month", "day"),
    ),
    "month with its year": Definition(
        source="copies with year=2022/month=2022-10",
        shape=Shape.CLOUDTRAIL,
        columns=NOW,
        partitions={"year": YMD["year"], "month": ("string", "{t:%Y-%m}"), "week": ("string", "{t:%G-W%V}")},
        pruned=("year", "month"),
    ),
    "epoch times": Definition(
        source="copies by Fivetran and others, with numbers for times and accounts",
        shape=Shape.CLOUDTRAIL,
        columns=NOW | {"eventtime": "bigint", "recipientaccountid": "bigint", "readonly": "boolean"},
        partitions={"dt": ("int", "{t:%Y%m%d}"), "hour": ("int", "{t.hour}")},
        pruned=("dt",),
    ),
    "Security Lake 2": Definition(
        source="https://docs.aws.amazon.com/security-lake/latest/userguide/subscriber-query-examples2.html",
        shape=Shape.OCSF,
        columns=OCSF_TABLE | {"region": "string", "accountid": "string", "time_dt": "timestamp(6)"},
        pruned=("accountid", "region", "time_dt"),
    ),
    "CloudWatch's unified data store": Definition(
        source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/s3-tables-integration.html",
        shape=Shape.OCSF,
        columns=OCSF_TABLE | {"@data_source_name": "string", "@timestamp": "timestamp(6)"},
        pruned=("time",),
    ),
}
"""Tables that are read."""

REFUSED = {
    "no parameters": (
        f"{GITHUB}1strategy: requestparameters and responseelements are left out",
        without(TABLE_2016, "requestparameters", "responseelements"),
        "no column requestparameters and no column responseelements, which every answer needs",
    ),
    "a crawler's without parameters": (
        "a Terraform example with an OpenX SerDe",
        {
            "records": (
                "array<struct<eventVersion:string,userIdentity:struct<type:string,arn:string>,"
                "eventTime:string,eventName:string,readOnly:boolean>>"
            )
        },
        "its column records: no column requestparameters and no column responseelements",
    ),
    "callers only": (
        f"{GITHUB}awbush/redshift-rate-throttling/blob/master/schema/cloudtrail-init.sql",
        {"eventsource": "text", "eventname": "text", "eventtime": "datetime", "useridentitytype": "text"},
        "no column requestparameters and no column responseelements",
    ),
    "CloudQuery": (
        f"{GITHUB}cloudquery/cloudquery/blob/main/plugins/source/aws/docs/tables/aws_cloudtrail_events.md",
        {
            "account_id": "string",
            "region": "string",
            "cloud_trail_event": "string",
            "event_time": "timestamp",
            "event_id": "string",
            "event_name": "string",
        },
        "no column requestparameters and no column responseelements",
    ),
    "flow logs": (
        f"{GUIDE}vpc-flow-logs-create-table-statement.html",
        {"version": "int", "account_id": "string", "interface_id": "string", "srcaddr": "string"},
        "not a table of CloudTrail records",
    ),
    "ELB with a column records": (
        "a table whose records are texts",
        {"records": "array<string>", "day": "string"},
        "not a table of CloudTrail records",
    ),
}
"""Tables that are refused: their source, columns, and what the message says."""
