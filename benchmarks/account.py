"""Generates the records of an account that runs EKS: the lives of its nodes, and unrelated calls.

Nodes are launched, the VPC CNI assigns and releases ENIs and addresses, and nodes are terminated: about 1% of
all records. The others are drawn from a table, with proportions as in trails of such accounts. All records
depend only on the seed; accounts, keys and IDs are invented.
"""

import base64
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures"))

from callers import (
    STS,
    Caller,
    Irsa,
    Role,
    assumed_role,
    aws_service,
    node_session,
    on_behalf,
    role_user,
    us_date,
)
from calls import (
    Call,
    Eni,
    Instance,
    Record,
    Subnet,
    assign,
    describe_instances,
    describe_network_interfaces,
    failed,
    items,
    set_groups,
    terminate,
    unassign,
)
from cni import CNI_1_21, adds_eni, frees_eni, go_sdk_v2, launch, node_tags, of_cni, sdk_of
from trail import Trail

BEGIN = "2026-03-02"
VERSION = "1.11"
CLUSTER = "meadow"
HOUR = 3600
SECONDARIES = 9
"""Number of secondary addresses per ENI of an m5.large."""


@dataclass(frozen=True)
class Place:
    """One account in one Region, with a cluster in it."""

    account: str
    region: str

    def id(self, kind: str) -> str:
        """Return the ID of the only resource of a kind here."""
        return f"{kind}-0{random.Random(f'{self.account}/{self.region}/{kind}').randbytes(8).hex()}"

    @property
    def subnet(self) -> Subnet:
        """The subnet of the nodes: 10.48.0.0/16."""
        return Subnet(
            self.id("subnet"), self.id("vpc"), self.account, f"{self.region}a", self.id("sg"), "use1-az1"
        )

    @property
    def aws_node(self) -> Irsa:
        """The CNI's service account."""
        host = f"oidc.eks.{self.region}.amazonaws.com"
        provider = f"arn:aws:iam::{self.account}:oidc-provider/{host}/id/EXAMPLE5D0C7A3F9E1B4826EXAMPLE1"
        return Irsa(self.role("meadow-vpc-cni"), provider, CNI_1_21, sdk_of(CNI_1_21), "203.0.113.60")

    @property
    def node_role(self) -> Role:
        """The role of nodes, and of pods on them that have no role of their own."""
        return self.role("meadow-NodeInstanceRole")

    def role(self, name: str) -> Role:
        """Return a role of the account."""
        return Role(self.account, name)


# --- nodes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """An instance; its launch and end are in seconds from `BEGIN`."""

    id: str
    born: int
    dies: int
    addresses: tuple[str, ...]


class RecordedTrail(Trail):
    """A trail that keeps its records in a list, each with its time."""

    def __init__(self, place: Place) -> None:
        super().__init__("benchmark", place.account, place.region, BEGIN, VERSION)
        self.recorded: list[tuple[datetime, Record]] = []

    def log(self, clock: str, caller: Caller, call: Call, *, request_id: str = "", late: int = 0) -> None:
        """Add a record, `late` minutes later."""
        time = self.time(clock) + timedelta(minutes=late)
        self.recorded.append((time, self.record(time, caller, call, request_id)))


def nodes(place: Place, hours: float, a_day: float) -> list[Node]:
    """Return nodes that are launched in ones, twos or fours and live some hours; addresses are reused."""
    draw = random.Random(f"{place}/nodes")
    free_from: dict[int, int] = {}
    found: list[Node] = []
    born = 0.0
    while (born := born + draw.expovariate(a_day / 2 / 24 / HOUR)) < hours * HOUR:
        for _ in range(draw.choice((1, 1, 2, 4))):
            dies = int(born + HOUR / 2 + draw.expovariate(1 / 5 / HOUR))
            block = next(at for at in count() if free_from.get(at, 0) < born)
            free_from[block] = dies + 60
            addresses = tuple(f"10.48.{block}.{at}" for at in draw.sample(range(4, 255), 60))
            found.append(Node(f"i-0{draw.randbytes(8).hex()}", int(born), dies, addresses))
    return found


def clock(second: int) -> str:
    """Return a second after `BEGIN` as a time of day, in which hours continue after 23."""
    return f"{second // HOUR}:{second // 60 % 60}:{second % 60}"


class Life:
    """The life of a node: the calls of its CNI, with credentials that are valid for an hour."""

    def __init__(self, trail: RecordedTrail, place: Place, node: Node) -> None:
        self.trail = trail
        self.place = place
        self.node = node
        self.draw = random.Random(f"{place}/{node.id}")
        self.free = list(node.addresses)
        self.signed_in: tuple[int, Caller] | None = None

    def record(self) -> None:
        """Log all calls from launch to termination: two ENIs, and addresses as pods come and go."""
        node, trail = self.node, self.trail
        first = self.eni("")
        instance = Instance(node.id, "m5.large", first, node_tags(CLUSTER, "general"))
        launch(trail, clock(node.born), self.place.node_role, instance)
        up = node.born + 55
        trail.log(clock(up), self.cni(up), set_groups(first))
        held = {first.id: self.given(up + 1, first.id, SECONDARIES)}

        grows = up + self.draw.randrange(60, 900)
        second = self.eni(node.id, secondaries=self.draw.randrange(1, 6))
        clocks = clock(grows), clock(grows + 1), clock(grows + 1)
        adds_eni(trail, clocks, self.cni(grows), second, node.id)
        held[second.id] = list(second.secondaries)

        at = grows
        while (at := at + 120 + int(self.draw.expovariate(1 / 5400))) < node.dies - 600:
            eni = self.draw.choice(list(held))
            some = self.draw.randrange(1, 4)
            if self.draw.random() < 0.5 and len(held[eni]) + some <= SECONDARIES:
                held[eni] += self.given(at, eni, some)
            elif held[eni]:
                self.taken(at, eni, held[eni], some)

        drains = node.dies - 400
        if held[second.id]:
            self.taken(drains, second.id, held[second.id], SECONDARIES)
        frees_eni(
            trail, (clock(drains + 60), clock(drains + 61), clock(drains + 63)), self.cni(drains), second
        )
        person = role_user(
            self.place.role("cluster-autoscaler"),
            "autoscaler",
            trail.time(clock(0)),
            "203.0.113.61",
            AUTOSCALER,
        )
        trail.log(clock(node.dies), person, terminate(node.id))

    def eni(self, described: str, secondaries: int = 0) -> Eni:
        """Return a new ENI of this node, created by its CNI if it is described."""
        suffix = self.draw.randbytes(8).hex()
        eni = Eni(
            f"eni-0{suffix}",
            self.place.subnet,
            self.free.pop(),
            f"eni-attach-0{self.draw.randbytes(8).hex()}",
            tuple(self.free.pop() for _ in range(secondaries)),
        )
        return of_cni(eni, described, self.trail.time(clock(self.node.born))) if described else eni

    def given(self, at: int, eni: str, number: int) -> list[str]:
        """Log that the CNI requests addresses, and return them."""
        addresses = [self.free.pop() for _ in range(number)]
        self.trail.log(clock(at), self.cni(at), assign(eni, *addresses))
        return addresses

    def taken(self, at: int, eni: str, held: list[str], number: int) -> None:
        """Log that the CNI releases addresses, which this node or a later one may get."""
        gone = [held.pop() for _ in range(min(number, len(held)))]
        self.trail.log(clock(at), self.cni(at), unassign(eni, *gone))
        self.free[:0] = gone

    def cni(self, at: int) -> Caller:
        """Return the CNI as a caller at a time, with new credentials each hour."""
        if self.signed_in is None or at - self.signed_in[0] >= HOUR:
            born = self.trail.time(clock(at))
            session = self.place.aws_node.session(born, self.draw.randrange(10**9))
            self.trail.log(clock(at), *session.opened)
            self.signed_in = at, session.caller
        return self.signed_in[1]


# --- everything else ---------------------------------------------------------------------------------

AUTOSCALER = f"{go_sdk_v2('1.24.0', '1.36.3', 'autoscaling#1.52.4')} cluster-autoscaler"
SSM_AGENT = "aws-sdk-go/1.55.5 (go1.22.11; linux; amd64) amazon-ssm-agent/3.3.1611.0"
CONSOLE = (
    "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.750 Linux/5.10.224 OpenJDK_64-Bit_Server_VM/25.412]"
)
OLD_SDK = "[Boto3/1.9.253 Python/3.7.4 Linux/4.14.152 exec-env/AWS_Lambda_python3.7 Botocore/1.12.253]"
_AREAS = ("orders", "billing", "search", "media", "stock", "returns", "mail", "fraud")
LAMBDAS = tuple(f"{area}-{job}" for area in _AREAS for job in ("api", "intake", "sweep", "export", "audit"))
"""Functions, whose names their roles, buckets and tables have."""


class Moment:
    """What calls are drawn for: an account and Region, a time, and the nodes that exist then."""

    def __init__(self, place: Place, trail: Trail, draw: random.Random, alive: list[Node]) -> None:
        self.place = place
        self.trail = trail
        self.draw = draw
        self.alive = alive
        self.time = trail.time("0:0:0")

    def job(self) -> str:
        """Return a function; some are drawn more often than others."""
        return LAMBDAS[int(self.draw.random() ** 2 * len(LAMBDAS))]

    def born(self, minutes: int, name: str) -> datetime:
        """Return the creation time of a caller's current credentials, which are renewed periodically."""
        life, phase = minutes * 60, crc32(name.encode())
        return self.time - timedelta(seconds=(self.time.timestamp() + phase) % life)

    def key(self) -> str:
        """Return the ARN of a KMS key."""
        at = int(self.draw.random() ** 2 * 40)
        home = f"{self.place.region}:{self.place.account}"
        return f"arn:aws:kms:{home}:key/1b7c9d3e-0000-4000-8000-5a5a5a5a{at:04}"

    def node(self) -> Node:
        """Return a node that exists, or one of another cluster."""
        return self.draw.choice(self.alive) if self.alive else Node("i-0cafe0f00d5eed001", 0, 0, ())

    def on_node(self, agent: str, node: Node | None = None) -> Caller:
        """Return a program on a node as a caller, with the node's role."""
        node = node or self.node()
        source = f"203.0.113.{60 + node.born % 3}"
        return node_session(self.place.node_role, node.id, self.born(360, node.id), source, agent).caller

    def program(self, name: str, agent: str) -> Caller:
        """Return a program as a caller, with its own role."""
        return role_user(self.place.role(name), f"{name}-session", self.born(60, name), "203.0.113.62", agent)

    def opaque(self, size: int) -> str:
        """Return random bytes in base64."""
        return base64.b64encode(self.draw.randbytes(size)).decode()


def _assume_role(now: Moment) -> tuple[Caller, Call]:
    service = now.draw.choice(
        ("lambda.amazonaws.com", "lambda.amazonaws.com", "ecs-tasks.amazonaws.com", "config.amazonaws.com")
    )
    job = now.job()
    return _assumed(now, service, now.place.role(f"{job}-role"), job)


def _pod_identity(now: Moment) -> tuple[Caller, Call]:
    job = now.job()
    session = f"eks-{CLUSTER}-{job}-{now.draw.randbytes(3).hex()}"
    return _assumed(now, "pods.eks.amazonaws.com", now.place.role(f"{job}-pod"), session)


def _assumed(now: Moment, service: str, role: Role, session: str) -> tuple[Caller, Call]:
    key = f"ASIA{now.draw.randbytes(5).hex().upper()}EXAMPLE"
    answer = {
        "credentials": {
            "accessKeyId": key,
            "sessionToken": now.opaque(159),
            "expiration": us_date(now.time + timedelta(hours=1)),
        },
        "assumedRoleUser": {"assumedRoleId": f"{role.unique}:{session}", "arn": role.session_arn(session)},
    }
    resources = [{"accountId": role.account, "type": "AWS::IAM::Role", "ARN": role.arn}]
    request = {"roleArn": role.arn, "roleSessionName": session}
    call = Call("AssumeRole", request, answer, service=STS, read_only=True, resources=resources, shared=True)
    return aws_service(service), call


def _decrypt(now: Moment) -> tuple[Caller, Call]:
    return _keyed(now, "Decrypt", {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"})


def _data_key(now: Moment) -> tuple[Caller, Call]:
    return _keyed(now, "GenerateDataKey", {"keySpec": "AES_256"})


def _keyed(now: Moment, event: str, request: Record) -> tuple[Caller, Call]:
    job, key = now.job(), now.key()
    function = f"arn:aws:lambda:{now.place.region}:{now.place.account}:function:{job}"
    identity = assumed_role(now.place.role(f"{job}-role"), job, now.born(60, job))
    return on_behalf(identity, "lambda.amazonaws.com"), Call(
        event,
        {"encryptionContext": {"aws:lambda:FunctionArn": function}, **request, "keyId": key},
        service="kms.amazonaws.com",
        read_only=True,
        resources=[{"accountId": now.place.account, "type": "AWS::KMS::Key", "ARN": key}],
    )


def _cni_looks(now: Moment) -> tuple[Caller, Call]:
    node = now.node()
    session = now.place.aws_node.session(now.born(60, node.id), node.born)
    if now.draw.random() < 0.5:
        suffix = random.Random(node.id).randbytes(8).hex()
        return session.caller, describe_network_interfaces(f"eni-0{suffix}")
    return session.caller, describe_network_interfaces(
        **{"tag:cluster.k8s.amazonaws.com/name": CLUSTER}, vpc_id=now.place.subnet.vpc, status="available"
    )


def _autoscaler_looks(now: Moment) -> tuple[Caller, Call]:
    caller = now.program("cluster-autoscaler", AUTOSCALER)
    alive = [node.id for node in now.alive]
    return caller, describe_instances(*now.draw.sample(alive, min(len(alive), now.draw.randrange(1, 8))))


def _pages(now: Moment) -> tuple[Caller, Call]:
    """Return a page of a long list; the token is base64, whose padding is written as an escape."""
    call = describe_instances()
    filters = items(
        [{"name": "instance-state-name", "valueSet": items([{"value": "running"}, {"value": "pending"}])}]
    )
    request = {"maxResults": 1000, "nextToken": now.opaque(64), "instancesSet": {}, "filterSet": filters}
    return now.program("fleet-inventory", OLD_SDK), Call(call.event, request, read_only=True)


def _agent_reports(now: Moment) -> tuple[Caller, Call]:
    node = now.node()
    request = {
        "instanceId": node.id,
        "agentVersion": "3.3.1611.0",
        "agentStatus": "Active",
        "platformType": "Linux",
        "platformName": "Amazon Linux",
        "platformVersion": "2023",
        "iPAddress": f"10.48.0.{node.born % 250}",
        "computerName": f"ip-10-48-0-{node.born % 250}.{now.place.region}.compute.internal",
        "agentName": "amazon-ssm-agent",
        "availabilityZone": now.place.subnet.zone,
        "sSMConnectionChannel": "ssmmessages",
    }
    return now.on_node(SSM_AGENT, node), Call("UpdateInstanceInformation", request, None, "ssm.amazonaws.com")


def _search(now: Moment) -> tuple[Caller, Call]:
    """Return an irrelevant call with a relevant event name as a value."""
    wanted = {"attributeKey": "EventName", "attributeValue": "AssignPrivateIpAddresses"}
    request = {"lookupAttributes": [wanted], "maxResults": 50}
    caller = now.program(
        "security-audit", "aws-cli/2.27.31 md/awscrt#0.26.1 os/linux md/command#cloudtrail.lookup-events"
    )
    return caller, Call("LookupEvents", request, service="cloudtrail.amazonaws.com", read_only=True)


def _bucket(now: Moment) -> tuple[Caller, Call]:
    bucket = f"{now.job()}-{now.place.account}"
    event, key = now.draw.choice(
        (("GetBucketAcl", "acl"), ("GetBucketLocation", "location"), ("GetBucketVersioning", "versioning"))
    )
    call = Call(
        event,
        {"bucketName": bucket, "Host": f"{bucket}.s3.{now.place.region}.amazonaws.com", key: ""},
        service="s3.amazonaws.com",
        read_only=True,
        additional={
            "SignatureVersion": "SigV4",
            "CipherSuite": "TLS_AES_128_GCM_SHA256",
            "bytesTransferredIn": 0,
            "AuthenticationMethod": "AuthHeader",
            "x-amz-id-2": now.opaque(56),
            "bytesTransferredOut": now.draw.randrange(200, 900),
        },
        resources=[
            {"accountId": now.place.account, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"}
        ],
        shared=True,
    )
    return (
        aws_service("config.amazonaws.com")
        if now.draw.random() < 0.6
        else now.program("storage-report", CONSOLE)
    ), call


def _denied(now: Moment) -> tuple[Caller, Call]:
    caller = now.program("backup-runner", OLD_SDK)
    message = (
        f"User: {caller.identity['arn']} is not authorized to perform: kms:DescribeKey "
        f"on resource: {now.key()} because no identity-based policy allows the kms:DescribeKey action"
    )
    call = Call("DescribeKey", {"keyId": now.key()}, service="kms.amazonaws.com", read_only=True)
    return caller, failed(call, "AccessDenied", message)


Draw = Callable[[Moment], tuple[Caller, Call]]


def _plain(
    event: str, service: str, request: Callable[[Moment], Record | None], who: str, agent: str
) -> Draw:
    """A look at something, by a program; on a node, if the program is `node`."""

    def drawn(now: Moment) -> tuple[Caller, Call]:
        caller = now.on_node(agent) if who == "node" else now.program(who, agent)
        return caller, Call(event, request(now), service=f"{service}.amazonaws.com", read_only=True)

    return drawn


def _image(now: Moment) -> Record:
    digest = random.Random(now.job()).randbytes(32).hex()
    accepted = [f"application/vnd.oci.image.{kind}.v1+json" for kind in ("manifest", "index")]
    image = {"imageDigest": f"sha256:{digest}"}
    return {
        "registryId": now.place.account,
        "repositoryName": now.job(),
        "imageIds": [image],
        "acceptedMediaTypes": [*accepted, "application/vnd.docker.distribution.manifest.v2+json"],
    }


def _target_group(now: Moment) -> Record:
    job = now.job()
    at = random.Random(job).randbytes(8).hex()
    home = f"{now.place.region}:{now.place.account}"
    return {"targetGroupArn": f"arn:aws:elasticloadbalancing:{home}:targetgroup/k8s-{job}/{at}"}


def _groups(now: Moment) -> Record:
    names = [
        f"eks-{job}-5ac1f0de-7b3e-4c55-9d20-00c0ffee0001" for job in LAMBDAS[:: now.draw.choice((7, 9, 13))]
    ]
    return {"autoScalingGroupNames": names, "maxRecords": 100}


def _volumes(now: Moment) -> Record:
    ids = [
        {"volumeId": f"vol-0{random.Random(now.job()).randbytes(8).hex()}"}
        for _ in range(now.draw.randrange(1, 5))
    ]
    return {"volumeSet": items(ids), "filterSet": {}}


def _subnets(now: Moment) -> Record:
    wanted = {"vpc-id": now.place.subnet.vpc, f"tag:kubernetes.io/cluster/{CLUSTER}": "owned"}
    filters = items({"name": name, "valueSet": items([{"value": value}])} for name, value in wanted.items())
    return {"subnetSet": {}, "filterSet": filters}


def _alarms(now: Moment) -> Record:
    return {"alarmNamePrefix": f"TargetTracking-{now.job()}", "maxRecords": 100}


def _log_group(now: Moment) -> Record:
    return {
        "logGroupName": f"/aws/lambda/{now.job()}",
        "orderBy": "LastEventTime",
        "descending": True,
        "limit": 5,
    }


_GO = go_sdk_v2("1.24.6", "1.36.3", "ec2#1.210.1")
_JAVA = "aws-sdk-java/2.31.6 md/io#sync md/http#Apache ua/2.1 os/Linux#5.10.233 lang/java#17.0.14"

KINDS: tuple[tuple[float, Draw], ...] = (
    (11, _assume_role),
    (0.03, _pod_identity),
    (14, _decrypt),
    (5, _data_key),
    (9, _cni_looks),
    (6, _autoscaler_looks),
    (0.5, _pages),
    (13, _agent_reports),
    (9, _bucket),
    (0.5, _denied),
    (0.05, _search),
    (
        3,
        _plain(
            "ListInstanceAssociations",
            "ssm",
            lambda now: {"instanceId": now.node().id, "maxResults": 20},
            "node",
            SSM_AGENT,
        ),
    ),
    (
        3,
        _plain(
            "GetAuthorizationToken",
            "ecr",
            lambda _: None,
            "node",
            "kubelet/v1.33.5 (linux/amd64) ecr-credential-provider",
        ),
    ),
    (4, _plain("BatchGetImage", "ecr", _image, "node", "containerd/1.7.27")),
    (
        4,
        _plain(
            "DescribeTargetHealth",
            "elasticloadbalancing",
            _target_group,
            "load-balancers",
            f"elbv2.k8s.aws/v2.13.4 {_GO}",
        ),
    ),
    (4, _plain("DescribeAutoScalingGroups", "autoscaling", _groups, "cluster-autoscaler", AUTOSCALER)),
    (2, _plain("DescribeVolumes", "ec2", _volumes, "ebs-csi", f"aws-ebs-csi-driver/v1.42.0 {_GO}")),
    (2, _plain("DescribeSubnets", "ec2", _subnets, "load-balancers", f"elbv2.k8s.aws/v2.13.4 {_GO}")),
    (1, _plain("DescribeSecurityGroups", "ec2", _subnets, "load-balancers", f"elbv2.k8s.aws/v2.13.4 {_GO}")),
    (
        2,
        _plain(
            "GetCallerIdentity",
            "sts",
            lambda _: None,
            "deployer",
            "APN/1.0 HashiCorp/1.0 Terraform/1.11.4 terraform-provider-aws/5.94.1",
        ),
    ),
    (2, _plain("DescribeAlarms", "monitoring", _alarms, "observer", _JAVA)),
    (2, _plain("ListFunctions20150331", "lambda", lambda _: {"maxItems": 50}, "observer", _JAVA)),
    (2, _plain("DescribeTable", "dynamodb", lambda now: {"tableName": now.job()}, "observer", _JAVA)),
    (2, _plain("DescribeLogStreams", "logs", _log_group, "observer", _JAVA)),
)
"""What else is called, and how often, in hundredths of all."""


def background(
    place: Place, alive: list[Node], since: datetime, span: timedelta, number: int
) -> list[Record]:
    """Return records drawn from the table for a time range, in which these nodes exist."""
    draw = random.Random(f"{place}/{since}")
    now = Moment(place, RecordedTrail(place), draw, alive)
    weights, kinds = zip(*KINDS, strict=True)
    found = []
    for kind in draw.choices(kinds, weights, k=number):
        now.time = since + timedelta(seconds=draw.randrange(int(span.total_seconds())))
        found.append(now.trail.record(now.time, *kind(now)))
    return found
