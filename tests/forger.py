"""An attacker who may write to the bucket of a signed trail, and cannot sign."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

from attacker import (
    CNI_ROLE,
    NO_ATTACHMENT,
    NODE_ROLE,
    OTHER_INSTANCE,
    STRANGER,
    Place,
    Victim,
    assign,
    be_a_cluster,
    claim,
    cni_of,
    create,
    day,
    entry,
    with_records,
)
from callers import Caller, Irsa, Role, iam_user
from calls import Call
from cni import CNI_1_18, sdk_of
from signed_trail import HOUR, Objects, SignedTrail, Stored, zipped
from simulator import (
    REGIONS,
    START,
    WINDOW,
    Delivery,
    Record,
    World,
    deliver,
    file_name,
    perform,
    random_steps,
    second_of,
    timestamp,
    uuids,
)

from cnitrail.sources.layout import log_name

Forgery = dict[str, Stored | None]
"""Objects by key as the forger leaves them; None is deleted."""

HOURS = 7
"""How many hours are signed: the time of a small world, and the delay of late files."""


@dataclass(eq=False)
class Sealed:
    """A world with a signed trail, and the keys of its log files and digests."""

    world: World
    delivery: Delivery
    trail: SignedTrail
    place: Place
    irsa: str

    @property
    def objects(self) -> Objects:
        return self.trail.objects


def sealed(seed: int) -> Sealed:
    """Return a small world of one account and Region with a signed trail for a seed."""
    chance = random.Random(seed * 104_729 + 14)
    world = World(vpcs=chance.randint(1, 2), pool=chance.randint(3, 6))
    steps = random_steps(seed, chance.randint(6, 24))
    perform(world, (step._replace(wait=min(step.wait, 70_000)) for step in steps))
    how = chance.choice(("none", "node", "irsa", "irsa"))
    be_a_cluster(world, how)
    delivery = deliver(world)
    place = Place(world.vpcs[0].accounts[0], world.vpcs[0].region)
    trail = SignedTrail(*place, now=day(START - 3600 + 91))
    files = with_records(delivery.files, _monitor(place))
    for name, records in files:
        trail.objects[name] = Stored(zipped(_text(records)))
    stamps = {name: found.delivered for name, _ in files if (found := log_name(name)) is not None}
    for _ in range(HOURS):
        start, end = trail.now, trail.now + HOUR
        trail.hour(logs=[name for name, stamp in stamps.items() if start <= stamp < end])
    return Sealed(world, delivery, trail, place, how)


def _text(records: list[Record]) -> bytes:
    return json.dumps({"Records": records}, separators=(",", ":")).encode()


def _monitor(place: Place) -> Iterator[Record]:
    """Reads by a monitor, in the quiet hours after all other events."""
    caller = iam_user(place.account, "monitor", "198.51.100.8", "aws-cli/2.15.38")
    call = Call("DescribeInstances", {"instancesSet": {}}, None, read_only=True)
    for number, second in enumerate(range(START + 600, START + (HOURS - 2) * 3600, 600)):
        yield entry((1 << 41) + number, second, place, caller, call)


def forgery(of: Sealed, seed: int) -> Forgery:
    """Return the changes to a bucket by a forger who cannot sign, for a seed."""
    chance = random.Random(seed * 15_485_863 + 14)
    done: Forgery = {}
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        done |= chance.choice(_FORGERIES)(of, chance)
    return done


def _some_place(of: Sealed, chance: random.Random) -> Place:
    """Choose the trail's place mostly, or another account or Region."""
    stranger, elsewhere = Place(STRANGER, of.place.region), Place(of.place.account, REGIONS[1])
    return chance.choice((of.place, of.place, stranger, elsewhere))


def _false_records(of: Sealed, chance: random.Random) -> list[Record]:
    """Records of events that never happened, or happened differently."""
    world, records = of.world, []
    number = (1 << 43) + chance.randrange(1 << 20) * 64
    for offset in range(chance.randint(1, 4)):
        if chance.random() < 0.4 and world.records:
            records.append(_altered(of, chance, number + offset))
            continue
        holding = chance.choice(world.holdings)
        end = world.now if holding.end is None else holding.end
        second = chance.choice((holding.start, chance.randint(holding.start, end), end, of.world.now)) // 1000
        second = chance.choice((second, second, START - 1800, START + 5 * 3600))
        stays = [stay for stay in world.attachments if stay.eni is holding.eni] or world.attachments
        stay = chance.choice(stays) if stays else None
        instance = stay.instance.id if stay else OTHER_INSTANCE
        victim = Victim(holding, second, instance, stay.id if stay else NO_ATTACHMENT)
        place = _some_place(of, chance)
        records.append(entry(number + offset, second, place, *_false_call(of, victim, chance)))
    return records


def _false_call(of: Sealed, victim: Victim, chance: random.Random) -> tuple[Caller, Call]:
    """A call that was never made, by any caller."""
    if chance.random() < 0.25:
        return _false_session(of, victim, chance)
    subnet = victim.eni.subnet
    others = [holding.eni.id for holding in of.world.holdings if holding.eni is not victim.eni]
    call = claim(victim, chance)
    if others and chance.random() < 0.4:
        call = assign(chance.choice(others), victim.address)
    elif chance.random() < 0.15:
        call = create("eni-0dddddddddddddddd", subnet.id, subnet.vpc.id, of.place.account, victim.address)
    caller = iam_user(of.place.account, "alice", "203.0.113.66", "aws-cli/2.15.38")
    return caller, call


def _false_session(of: Sealed, victim: Victim, chance: random.Random) -> tuple[Caller, Call]:
    """An STS event that attributes the credentials of a genuine caller to another service account."""
    caller, _ = cni_of(of.place, "irsa" if of.irsa == "irsa" else "node", victim.instance)
    other = Irsa(
        Role(of.place.account, CNI_ROLE if of.irsa == "irsa" else NODE_ROLE),
        f"arn:aws:iam::{of.place.account}:oidc-provider/"
        f"oidc.eks.{of.place.region}.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
        CNI_1_18,
        sdk_of(CNI_1_18),
        "198.51.100.7",
        chance.choice(("default:mallory", "kube-system:aws-node")),
    )
    opener, call = other.session(day(START), 66).opened
    assert call.response is not None
    key = caller.identity["accessKeyId"]
    generic = f"ASIA{of.place.account}POD-"
    credentials = {**call.response["credentials"], "accessKeyId": chance.choice((key, key, generic))}
    return opener, replace(call, response={**call.response, "credentials": credentials})


def _altered(of: Sealed, chance: random.Random, number: int) -> Record:
    """A modified genuine record: of the same event, of another, or as its correction."""
    record: Record = deepcopy(chance.choice(of.world.records))
    world = of.world
    enis = [holding.eni.id for holding in world.holdings]
    change = chance.randrange(7)
    if change == 0:
        record["recipientAccountId"] = STRANGER
    elif change == 1:
        record["awsRegion"] = REGIONS[1]
    elif change == 2:
        record["eventTime"] = timestamp(second_of(record) + chance.choice((-600, -1, 1, 300)))
    elif change == 3:
        record = json.loads(json.dumps(record).replace(chance.choice(enis), chance.choice(enis)))
    elif change == 4:
        record["eventName"] = chance.choice(("UnassignPrivateIpAddresses", "DeleteNetworkInterface"))
    elif change == 5:
        addresses = [holding.text for holding in world.holdings]
        old, new = (json.dumps(chance.choice(addresses)) for _ in range(2))
        record = json.loads(json.dumps(record).replace(old, new))
    else:
        record["userIdentity"]["accessKeyId"] = "AKIAMALLORY0EXAMPLE0"
    how = chance.random()
    if how < 0.4:
        record["eventID"] = uuids(number)[0]
    elif how < 0.6:
        record["addendum"] = {
            "reason": "UPDATED_DATA",
            "updatedFields": "requestParameters,responseElements",
            "originalRequestID": record["requestID"],
            "originalEventID": record["eventID"],
        }
        record["eventID"] = uuids(number)[0]
    return record


def _stamp(place: Place, second: int, chance: random.Random) -> str:
    return file_name(*place, second // WINDOW, chance.randrange(1, 8))


def _added(of: Sealed, chance: random.Random) -> Forgery:
    """A file of false records: after the newest digest, in its own time, or of another account."""
    records = _false_records(of, chance)
    second = chance.choice((START + 9 * 3600, START + 7 * 3600, START + 3600, second_of(records[0])))
    place = _some_place(of, chance)
    name = chance.choice((_stamp(place, second, chance),) * 3 + ("notes.json.gz",))
    return {name: Stored(zipped(_text(records)))}


def _a_log(of: Sealed, chance: random.Random) -> str:
    return chance.choice([key for key in of.objects if log_name(key) is not None])


def _replaced(of: Sealed, chance: random.Random) -> Forgery:
    """A genuine file with other content."""
    key = _a_log(of, chance)
    records = json.loads(gzip.decompress(of.objects[key].body))["Records"]
    if chance.random() < 0.5:
        records = [*records, *_false_records(of, chance)]
    else:
        del records[chance.randrange(len(records))]
    return {key: Stored(zipped(_text(records)))}


def _removed(of: Sealed, chance: random.Random) -> Forgery:
    """A missing genuine file, digest, or several of the newest digests."""
    what = chance.randrange(3)
    if what == 0:
        return {_a_log(of, chance): None}
    if what == 1:
        return {chance.choice(of.trail.digests): None}
    return dict.fromkeys(of.trail.digests[-chance.randint(1, 4) :])


def _swapped(of: Sealed, chance: random.Random) -> Forgery:
    """A genuine file under the name of another."""
    return {_a_log(of, chance): of.objects[_a_log(of, chance)]}


def _own_chain(of: Sealed, chance: random.Random) -> Forgery:
    """A trail of the forger, signed with the forger's key, whose digests list false records."""
    trail = SignedTrail(*of.place, trail=chance.choice(("main", of.trail.trail)), key="mallory")
    trail.now = day(START - 3600 + chance.choice((91, 94)))
    for _ in range(HOURS):
        trail.hour(*[_text(_false_records(of, chance))] * chance.randint(0, 1))
    return dict(trail.objects)


def _own_digest(of: Sealed, chance: random.Random) -> Forgery:
    """A genuine digest with its old signature that now lists another file."""
    key = chance.choice(of.trail.digests)
    fields = of.trail.fields(key)
    false = _text(_false_records(of, chance))
    name = _stamp(of.place, START + 1800, chance)
    listed = {
        "s3Bucket": of.trail.bucket,
        "s3Object": name,
        "hashValue": hashlib.sha256(false).hexdigest(),
        "hashAlgorithm": "SHA-256",
        "newestEventTime": None,
        "oldestEventTime": None,
    }
    fields["logFiles"].append(listed)
    body = zipped(json.dumps(fields, separators=(",", ":")).encode())
    return {key: Stored(body, of.objects[key].metadata), name: Stored(zipped(false))}


_FORGERIES: tuple[Callable[[Sealed, random.Random], Forgery], ...] = (
    _added,
    _added,
    _added,
    _added,
    _replaced,
    _removed,
    _swapped,
    _own_chain,
    _own_digest,
)
