"""User agent strings → the program that they name.

A string is a row of ``name/version`` products and comments in brackets. Products that only
describe the AWS SDK and its surroundings name no program. Shapes: the AWS SDKs' user agent
headers; for the VPC CNI, pkg/awsutils and pkg/ec2wrapper of amazon-vpc-cni-k8s.
"""

import re
from functools import lru_cache

from cnitrail.model import Agent

_KNOWN = (
    # 1.8 to 1.19.3 lead with it (the version is empty where the build did not set it);
    # 1.6.2 to 1.7 end with the bare name; 1.21.2 and later end with name/version
    ("amazon-vpc-cni-k8s", r"amazon-vpc-cni-k8s(?:/version/|/)?(?P<version>v?\d[\w.+-]*)?"),
    ("amazon-vpc-resource-controller-k8s", r"amazon-vpc-resource-controller-k8s(?:/(?P<version>\S+))?"),
    ("karpenter", r"\bkarpenter\.sh[-/](?P<version>v?\d\S*)|\bkarpenter\.sh\b"),
    ("cluster-autoscaler", r"\bcluster-autoscaler(?:/(?P<version>\S+))?"),
    ("aws-load-balancer-controller", r"\belbv2\.k8s\.aws(?:/(?P<version>\S+))?"),
    ("terraform", r"\bTerraform/(?P<version>\S+)"),
    ("aws-cli", r"\baws-cli/(?P<version>\S+)"),
    ("console", r"^(?:console\.|signin\.|\[S3Console|EC2ConsoleFrontend\b)"),
    ("AWS Internal", r"^AWS Internal\b|\baws-internal/"),
)
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com")
_SDK = re.compile(r"(?:aws-sdk-[\w-]+|Boto3|Botocore|aws-chalice|ElasticWolf)/\S+")
_COMMENT = re.compile(r"\([^()]*\)")
_PRODUCT = re.compile(r"(?P<name>[A-Za-z][\w.+!-]*)/(?P<version>\S+)")
_SURROUNDINGS = frozenset(
    (
        *("ua", "os", "lang", "md", "api", "m", "cfg", "exec-env", "exec_env", "ft", "sid", "app-id"),
        *("attempt", "retry", "io", "http", "vendor", "callback", "promise", "resource", "s3-transfer"),
        *("linux", "darwin", "windows", "java", "kotlin", "scala", "python", "go", "openjdk"),
        *("ruby", "php", "gcc", "clang", "guzzlehttp"),
        *("apn", "hashicorp", "httpcomponents"),
    )
)
"""Products that describe the SDK, its settings and the machine; none of them is the program."""


@lru_cache(maxsize=4096)
def agent(raw: str | None) -> Agent:
    """The program that a user agent string names, and the SDK that it was built with."""
    if not raw:
        return Agent(None, None, raw)
    sdk = next((word for word in raw.split() if _SDK.match(word)), None)
    for name, pattern in _KNOWN:
        known = re.search(pattern, raw)
        if known:
            return Agent(name, known.groupdict().get("version"), raw, sdk)
    if _SERVICE.fullmatch(raw):
        return Agent(raw, None, raw)
    words = _COMMENT.sub(" ", raw).split()
    for product in filter(None, map(_PRODUCT.match, words)):
        name, version = product["name"], product["version"]
        if name == "app":
            return Agent(version, None, raw, sdk)
        if not _describes_the_sdk(product[0], name):
            return Agent(name, version, raw, sdk)
    return Agent(None if sdk or not raw.split() else raw.split()[0], None, raw, sdk)


def _describes_the_sdk(product: str, name: str) -> bool:
    return name.lower() in _SURROUNDINGS or _SDK.match(product) is not None or name.lower().endswith("_vm")
