"""Why an answer is what it is, and what leaves it in doubt: a code for programs, a sentence for people."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from cnitrail.model.event import Event


class ReasonCode(StrEnum):
    """What a reason says. The values are part of the JSON contract; ``MEANING`` describes each."""

    # what the evidence does not cover, and what of it cannot be trusted
    LOG_GAP = "log-gap"
    MISSING_FILE = "missing-file"
    UNREAD_FILE = "unread-file"
    ALTERED_FILE = "altered-file"
    NOT_READ = "not-read"
    NOT_IN_TABLE = "not-in-table"
    TABLE_NOT_CHECKED = "table-not-checked"
    TABLE_LACKS_FIELDS = "table-lacks-fields"
    TRAIL_STOPPED = "trail-stopped"
    TRAIL_NARROWED = "trail-narrowed"
    TRAIL_DELETED = "trail-deleted"
    BEFORE_EVIDENCE = "before-evidence"
    AFTER_EVIDENCE = "after-evidence"
    NO_EVIDENCE = "no-evidence"
    COVERAGE_UNKNOWN = "coverage-unknown"
    NOT_IN_EVIDENCE = "not-in-evidence"
    UNREAD_RECORD = "unread-record"
    RECORDS_DISAGREE = "records-disagree"
    DAMAGED_FILE = "damaged-file"
    PARTIAL_COPY = "partial-copy"
    OWNER_DISPUTED = "owner-disputed"
    OTHER_OWNER = "other-owner"
    OUTRANKED = "outranked"
    PROVEN = "proven"
    NOT_PROVEN = "not-proven"
    PARTLY_UNREAD = "partly-unread"

    # who: how an address came and went
    ASSIGNED = "assigned"
    HELD_UNTIL = "held-until"
    NO_ASSIGNMENT_SEEN = "no-assignment-seen"
    RELEASED = "released"
    ENI_DELETED = "eni-deleted"
    INSTANCE_TERMINATED = "instance-terminated"
    ENI_DETACHED = "eni-detached"
    SEEN_ELSEWHERE = "seen-elsewhere"
    NEXT_HOLDER = "next-holder"
    NOT_ASSIGNED_SINCE = "not-assigned-since"
    NEVER_SEEN = "never-seen"
    NO_ENI_NAMED = "no-eni-named"
    OUTSIDE_FILTER = "outside-filter"

    # who: what leaves the holder in doubt
    SAME_SECOND = "same-second"
    ORDER_UNKNOWN = "order-unknown"
    OTHER_VPC = "other-vpc"
    VPC_UNKNOWN = "vpc-unknown"
    CHANGE_UNKNOWN = "change-unknown"
    START_UNKNOWN = "start-unknown"
    NO_RELEASE_SEEN = "no-release-seen"
    IMPLIED_END = "implied-end"
    MAY_BE_TAKEN = "may-be-taken"

    # who: what leaves in doubt that a released address is free
    SHARED_VPC = "shared-vpc"
    UNNAMED_ADDRESSES = "unnamed-addresses"

    # who: what leaves its instance in doubt
    INSTANCE_INFERRED = "instance-inferred"
    ATTACHED_SAME_SECOND = "attached-same-second"
    ATTACH_TIME_UNKNOWN = "attach-time-unknown"
    DETACH_TIME_UNKNOWN = "detach-time-unknown"
    INSTANCE_END_UNKNOWN = "instance-end-unknown"
    NO_LATER_SIGN = "no-later-sign"

    # who, pods: which pod had the address
    POD_STARTED = "pod-started"
    POD_ENDED = "pod-ended"
    POD_START_UNCERTAIN = "pod-start-uncertain"
    POD_END_UNCERTAIN = "pod-end-uncertain"
    POD_END_NOT_SEEN = "pod-end-not-seen"
    POD_CHANGED_THEN = "pod-changed-then"
    SEVERAL_PODS = "several-pods"
    POD_NOT_NAMED = "pod-not-named"
    POD_ENI_UNKNOWN = "pod-eni-unknown"
    POD_ENI_DOUBTED = "pod-eni-doubted"
    POD_ON_OTHER_ENI = "pod-on-other-eni"
    POD_LEFT = "pod-left"
    POD_OUTRANKED = "pod-outranked"
    WARM_POOL = "warm-pool"
    IN_COOLDOWN = "in-cooldown"
    NODE_ADDRESS = "node-address"
    NO_POD_SEEN = "no-pod-seen"
    NO_POD_EVIDENCE = "no-pod-evidence"
    POD_EVIDENCE_UNREAD = "pod-evidence-unread"
    POD_EVIDENCE_SPAN = "pod-evidence-span"

    # flows: what a flow log record leaves open
    CHANGED_IN_INTERVAL = "changed-in-interval"
    SETTLED_BY_INTERFACE = "settled-by-interface"
    FLOW_CONTRADICTS = "flow-contradicts"
    VPC_OF_FLOW_RECORD = "vpc-of-flow-record"
    INTERFACE_ADDRESS_ONLY = "interface-address-only"
    SNAT_POSSIBLE = "snat-possible"
    OUTSIDE_VPC = "outside-vpc"
    IN_OTHER_VPC = "in-other-vpc"
    USED_WHILE_FREE = "used-while-free"
    PUBLIC_ADDRESS = "public-address"
    NO_ADDRESS = "no-address"
    FLOW_LOG_COPIED = "flow-log-copied"

    # who: a question that cannot be read
    UNREADABLE_QUESTION = "unreadable-question"

    # state --live
    CHANGED_LATER = "changed-later"
    NOT_LOGGED = "not-logged"
    OTHER_INSTANCE = "other-instance"
    DELETED_IN_EVIDENCE = "deleted-in-evidence"
    NOT_ASKED = "not-asked"
    ADDRESS_ONLY = "address-only"

    # pool: why there is no pool
    ALL_REQUESTS_REFUSED = "all-requests-refused"
    NO_POOL_ADDRESSES = "no-pool-addresses"

    # pool: why no settings are concluded
    NOT_A_NODE = "not-a-node"
    OTHER_MANAGER = "other-manager"
    LIMITS_UNKNOWN = "limits-unknown"
    TYPE_UNKNOWN = "type-unknown"
    IPV6_PODS = "ipv6-pods"
    NETWORK_CARDS = "network-cards"
    CNI_CALL_FAILED = "cni-call-failed"
    CHANGED_BY_OTHERS = "changed-by-others"
    UNEXPLAINED = "unexplained"

    # pods: what contradicts a pod's lease, or leaves it unconfirmed
    POD_OUTSIDE_ENI_LEASE = "pod-outside-eni-lease"
    POD_ON_OTHER_INSTANCE = "pod-on-other-instance"
    POD_INSTANCE_NOT_SHOWN = "pod-instance-not-shown"
    POD_WITNESSES_DISAGREE = "pod-witnesses-disagree"
    POD_BEFORE_NOT_ENDED = "pod-before-not-ended"
    POD_ADDRESS_OF_NODE = "pod-address-of-node"
    POD_ONLY_CLAIMED = "pod-only-claimed"
    NO_ENI_LEASE = "no-eni-lease"
    SEVERAL_ENI_LEASES = "several-eni-leases"

    # findings: what the evidence leaves open
    LOSER_NOT_SEEN_AGAIN = "loser-not-seen-again"
    PREVIOUS_HOLDER_UNKNOWN = "previous-holder-unknown"
    BUCKET_NOT_DRAINED = "bucket-not-drained"
    NO_SUCH_CALLS = "no-such-calls"
    SERVICE_MAY_USE_IT = "service-may-use-it"
    CLEANUP_PENDING = "cleanup-pending"
    CALLER_MAY_BE_CNI = "caller-may-be-cni"
    OTHER_PROCESS = "other-process"
    NO_CNI_SEEN = "no-cni-seen"
    WARM_POOL_UNKNOWN = "warm-pool-unknown"
    OTHER_TRAIL = "other-trail"
    PARTLY_RECORDED = "partly-recorded"


STORY: Final = frozenset(
    (
        ReasonCode.ASSIGNED,
        ReasonCode.HELD_UNTIL,
        ReasonCode.NO_ASSIGNMENT_SEEN,
        ReasonCode.RELEASED,
        ReasonCode.ENI_DELETED,
        ReasonCode.INSTANCE_TERMINATED,
        ReasonCode.ENI_DETACHED,
        ReasonCode.SEEN_ELSEWHERE,
        ReasonCode.NEXT_HOLDER,
        ReasonCode.POD_STARTED,
        ReasonCode.POD_ENDED,
    )
)
"""The codes that say what happened to an address, and leave nothing in doubt."""


class Reason(Struct, frozen=True, gc=False):
    """One reason: its code, the sentence shown, and the IDs of the events that it refers to."""

    code: ReasonCode
    text: str
    events: tuple[str, ...] = ()

    @classmethod
    def citing(cls, code: ReasonCode, text: str, *events: Event | None) -> "Reason":
        """Return a reason with the IDs of those of the events that have one."""
        ids = [event.event_id for event in events if event is not None]
        return cls(code, text, tuple([event_id for event_id in ids if event_id is not None]))


MEANING: dict[ReasonCode, str] = {
    ReasonCode.LOG_GAP: "Little or nothing was read of a time, so events of it may be missing.",
    ReasonCode.MISSING_FILE: "A digest lists a log file that was not found.",
    ReasonCode.UNREAD_FILE: "A log file or record of that time could not be read.",
    ReasonCode.ALTERED_FILE: "A log file was changed after delivery, so its records are not used.",
    ReasonCode.NOT_READ: "A lookup ended before it had read the events of that time.",
    ReasonCode.NOT_IN_TABLE: "The partitions of a table do not include that account, Region or time.",
    ReasonCode.TABLE_NOT_CHECKED: "A query engine does not say which files and rows it left out.",
    ReasonCode.TABLE_LACKS_FIELDS: "The columns of a table do not keep all fields of a record.",
    ReasonCode.TRAIL_STOPPED: "The trail was stopped (StopLogging) for a time.",
    ReasonCode.TRAIL_NARROWED: "The trail's event selectors left out write events for a time.",
    ReasonCode.TRAIL_DELETED: "The trail was deleted.",
    ReasonCode.BEFORE_EVIDENCE: "The time, ENI or node is older than the evidence.",
    ReasonCode.AFTER_EVIDENCE: "The time, or the change, is later than the end of the evidence.",
    ReasonCode.NO_EVIDENCE: "The evidence has nothing of the account and Region.",
    ReasonCode.COVERAGE_UNKNOWN: "Nothing shows which other events of that time were logged.",
    ReasonCode.NOT_IN_EVIDENCE: "No event in the evidence mentions what a filter asks for.",
    ReasonCode.UNREAD_RECORD: "A record that names the address could not be read.",
    ReasonCode.RECORDS_DISAGREE: "Records of one event differ, and nothing shows which is true.",
    ReasonCode.DAMAGED_FILE: "An event that the answer rests on comes from a damaged file.",
    ReasonCode.PARTIAL_COPY: "An event that the answer rests on is known only from a form that lacks fields.",
    ReasonCode.OWNER_DISPUTED: "Records of several accounts or Regions name the ENI.",
    ReasonCode.OTHER_OWNER: "A record is not used: its resource belongs to another account or Region.",
    ReasonCode.OUTRANKED: "A record is not used: no digest covers it, and verified ones name its resource.",
    ReasonCode.PROVEN: "CloudTrail's digests prove that no event of the time is missing or changed.",
    ReasonCode.NOT_PROVEN: "CloudTrail's digests do not cover all of the time.",
    ReasonCode.PARTLY_UNREAD: "Not all evidence of the time was read, so digests prove nothing.",
    ReasonCode.ASSIGNED: "The call that assigned the address.",
    ReasonCode.HELD_UNTIL: "The address was held until a call released it; no event shows since when.",
    ReasonCode.NO_ASSIGNMENT_SEEN: "An event shows the address on the ENI, and none assigns it.",
    ReasonCode.RELEASED: "The call that released the address.",
    ReasonCode.ENI_DELETED: "The call that deleted the ENI with the address.",
    ReasonCode.INSTANCE_TERMINATED: "The instance was terminated, and its ENIs may be deleted with it.",
    ReasonCode.ENI_DETACHED: "The call that detached the ENI or ended its instance: it was on none then.",
    ReasonCode.SEEN_ELSEWHERE: "A call shows the address on another ENI, so it had left this one.",
    ReasonCode.NEXT_HOLDER: "The ENI that held the address next.",
    ReasonCode.NOT_ASSIGNED_SINCE: "No event assigns the released address again, and the logs have no gap.",
    ReasonCode.NEVER_SEEN: "No event in the evidence shows the address on an ENI.",
    ReasonCode.NO_ENI_NAMED: "A call shows the address, and its record does not name the ENI.",
    ReasonCode.OUTSIDE_FILTER: "The address was on an ENI that the filter leaves out.",
    ReasonCode.SAME_SECOND: "The address changed hands within the second asked for.",
    ReasonCode.ORDER_UNKNOWN: "Calls of one second move the address, and their order is not recorded.",
    ReasonCode.OTHER_VPC: "Several VPCs use the address.",
    ReasonCode.VPC_UNKNOWN: "The VPC of an ENI is not in the evidence, so another VPC may be meant.",
    ReasonCode.CHANGE_UNKNOWN: "Two ENIs held the address, and no event shows when it moved.",
    ReasonCode.START_UNKNOWN: "No event shows since when the ENI held the address.",
    ReasonCode.NO_RELEASE_SEEN: "No event releases the address, and none shows it on the ENI later.",
    ReasonCode.IMPLIED_END: "The end of the interval is inferred from another event.",
    ReasonCode.MAY_BE_TAKEN: "An ENI of unknown VPC got the address, perhaps from this one.",
    ReasonCode.SHARED_VPC: "Other accounts use the VPC, or may: one that was not read may have the address.",
    ReasonCode.UNNAMED_ADDRESSES: "A call gave addresses to an ENI, and its record does not name them.",
    ReasonCode.INSTANCE_INFERRED: "No event attaches the ENI to the instance; something else names it.",
    ReasonCode.ATTACHED_SAME_SECOND: "The ENI was attached or detached within the second asked for.",
    ReasonCode.ATTACH_TIME_UNKNOWN: "No event shows since when the ENI was on the instance.",
    ReasonCode.DETACH_TIME_UNKNOWN: "The ENI left the instance before a known time, unlogged.",
    ReasonCode.INSTANCE_END_UNKNOWN: (
        "The instance ended before a known time, or was being terminated; no event shows when."
    ),
    ReasonCode.NO_LATER_SIGN: "No later event shows the instance running with the ENI.",
    ReasonCode.POD_STARTED: "What shows that the pod had the address, and since when.",
    ReasonCode.POD_ENDED: "What shows that the pod no longer had the address, and by when.",
    ReasonCode.POD_START_UNCERTAIN: "The pod got the address at an unknown time around the one asked for.",
    ReasonCode.POD_END_UNCERTAIN: "The pod lost the address at an unknown time around the one asked for.",
    ReasonCode.POD_END_NOT_SEEN: "No record shows that the pod lost the address, or still had it then.",
    ReasonCode.POD_CHANGED_THEN: "The pod got or lost the address within the time asked for.",
    ReasonCode.SEVERAL_PODS: "More than one pod may have had the address.",
    ReasonCode.POD_NOT_NAMED: "No record names the pod of the sandbox that had the address.",
    ReasonCode.POD_ENI_UNKNOWN: "No CloudTrail event shows the pod's ENI with the address.",
    ReasonCode.POD_ENI_DOUBTED: "The ENI is not certain, so the pod is not either.",
    ReasonCode.POD_ON_OTHER_ENI: "Pod evidence and CloudTrail show the address on different nodes or ENIs.",
    ReasonCode.POD_LEFT: "The pod is left out: its node did not have the address any more.",
    ReasonCode.POD_OUTRANKED: "The pod is left out: the evidence of another one is stronger.",
    ReasonCode.WARM_POOL: "The log of the node covers the time, and shows no pod with the address.",
    ReasonCode.IN_COOLDOWN: "A pod had released the address shortly before.",
    ReasonCode.NODE_ADDRESS: "The address is the node's own: pods of its host network share it.",
    ReasonCode.NO_POD_SEEN: "No record shows a pod with the address then, or that no pod had it.",
    ReasonCode.NO_POD_EVIDENCE: "No pod evidence was read.",
    ReasonCode.POD_EVIDENCE_UNREAD: "Some of the pod evidence could not be read.",
    ReasonCode.POD_EVIDENCE_SPAN: "The pod evidence lacks the time asked for, or some before it.",
    ReasonCode.CHANGED_IN_INTERVAL: "The address moved or was released within the time of the packets.",
    ReasonCode.SETTLED_BY_INTERFACE: "Several ENIs may have had the address; the record is of this one.",
    ReasonCode.FLOW_CONTRADICTS: "The record's metadata differ from the history of its interface.",
    ReasonCode.VPC_OF_FLOW_RECORD: "Only the record says which VPC the address is in.",
    ReasonCode.INTERFACE_ADDRESS_ONLY: "The record shows the ENI's primary address, whichever one was used.",
    ReasonCode.SNAT_POSSIBLE: "Pods may have used the address of their node.",
    ReasonCode.OUTSIDE_VPC: "The traffic left the VPC of the interface, so the address is not in it.",
    ReasonCode.IN_OTHER_VPC: "An ENI of another VPC had the address; the record does not lead there.",
    ReasonCode.USED_WHILE_FREE: "The record shows traffic of an address that no ENI, or no pod, had then.",
    ReasonCode.PUBLIC_ADDRESS: "The address is public, and no ENI of the evidence had it.",
    ReasonCode.NO_ADDRESS: "The record has no address of this end.",
    ReasonCode.FLOW_LOG_COPIED: "A file of flow logs was read twice, so its records count twice.",
    ReasonCode.UNREADABLE_QUESTION: "The line of --batch is not a question.",
    ReasonCode.CHANGED_LATER: "An event shows the change after the time asked for.",
    ReasonCode.NOT_LOGGED: "EC2 shows a change that no event in the evidence explains.",
    ReasonCode.OTHER_INSTANCE: "EC2 shows the ENI on another instance than the evidence does.",
    ReasonCode.DELETED_IN_EVIDENCE: "EC2 lists an ENI that the evidence shows as deleted.",
    ReasonCode.NOT_ASKED: "EC2 was not asked about the account and Region, or its answer is not complete.",
    ReasonCode.ADDRESS_ONLY: "The saved list names no ENIs, so only addresses are compared.",
    ReasonCode.ALL_REQUESTS_REFUSED: "EC2 refused every request for addresses of the node.",
    ReasonCode.NO_POOL_ADDRESSES: "The evidence shows no address for pods on the node.",
    ReasonCode.NOT_A_NODE: "Nothing in the evidence shows that the instance is a Kubernetes node.",
    ReasonCode.OTHER_MANAGER: "The VPC CNI is not known to manage the addresses of the node.",
    ReasonCode.LIMITS_UNKNOWN: "The ENI and address limits of the instance type are not known.",
    ReasonCode.TYPE_UNKNOWN: "No event shows the instance type of the node.",
    ReasonCode.IPV6_PODS: "Pods have IPv6 addresses: one prefix, and no warm pool.",
    ReasonCode.NETWORK_CARDS: "The VPC CNI may keep a pool on each of the instance's network cards.",
    ReasonCode.CNI_CALL_FAILED: "EC2 refused a release by the VPC CNI, whose count may differ since then.",
    ReasonCode.CHANGED_BY_OTHERS: "A caller not known to be the VPC CNI changed the node's addresses.",
    ReasonCode.UNEXPLAINED: "No settings explain every call of the VPC CNI.",
    ReasonCode.POD_OUTSIDE_ENI_LEASE: "The pod's time with the address is not within the ENI's.",
    ReasonCode.POD_ON_OTHER_INSTANCE: "The ENI with the address was on another instance than the pod.",
    ReasonCode.POD_INSTANCE_NOT_SHOWN: "Nothing shows that the ENI was on the instance of the pod.",
    ReasonCode.POD_WITNESSES_DISAGREE: "Records disagree about the pod of an address, or about its end.",
    ReasonCode.POD_BEFORE_NOT_ENDED: "A pod changed to an address that another one may still have had.",
    ReasonCode.POD_ADDRESS_OF_NODE: "The address is that of the node's ENI itself, which no pod gets.",
    ReasonCode.POD_ONLY_CLAIMED: "Only something that the pod's owner can change gives it the address.",
    ReasonCode.NO_ENI_LEASE: "CloudTrail shows no ENI with the address at the pod's time.",
    ReasonCode.SEVERAL_ENI_LEASES: "Several ENIs had the address, and nothing shows which is the pod's.",
    ReasonCode.LOSER_NOT_SEEN_AGAIN: "No later event shows the ENI that lost the address; it may be gone.",
    ReasonCode.PREVIOUS_HOLDER_UNKNOWN: "No event shows which ENI had the address before.",
    ReasonCode.BUCKET_NOT_DRAINED: "The calls in the evidence alone would not drain the token bucket.",
    ReasonCode.NO_SUCH_CALLS: "The evidence has no call of that kind, so they may be filtered out.",
    ReasonCode.SERVICE_MAY_USE_IT: "An AWS service may use the ENI from its own account, without an event.",
    ReasonCode.CLEANUP_PENDING: "The hourly leak cleanup of the VPC CNI may still delete the ENI.",
    ReasonCode.CALLER_MAY_BE_CNI: "The caller names the VPC CNI or no program, so it may be the VPC CNI.",
    ReasonCode.OTHER_PROCESS: "Another process with the same credentials would look identical.",
    ReasonCode.NO_CNI_SEEN: "No call of the VPC CNI is in the evidence of the node, or of its cluster.",
    ReasonCode.WARM_POOL_UNKNOWN: "CloudTrail does not show which IPs of a node pods use.",
    ReasonCode.OTHER_TRAIL: "Another trail may have recorded the calls.",
    ReasonCode.PARTLY_RECORDED: "The trail still recorded some calls, or the event does not show which.",
}
"""When each code is given, in one sentence."""
