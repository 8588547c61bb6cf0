"""User agent strings → the program that they name.

A string consists of ``name/version`` products, bare words and comments in parentheses. Products that only
describe the AWS SDK and its environment do not name a program. Formats: the AWS SDKs' user agent headers;
for the VPC CNI, pkg/awsutils and pkg/ec2wrapper of amazon-vpc-cni-k8s.

A caller can choose its user agent. So the name of a cluster's controller counts only in a string that such
a Go program can send: not with another program's name or another SDK, and not as the application ID or
execution environment that any SDK takes from its environment.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from cnitrail.model import Agent

_TOOLS = (
    ("aws-cli", r"aws-cli/(?P<version>\S+)"),
    ("terraform", r"Terraform/(?P<version>\S+)"),
)
"""Programs whose user agents contain other names, too; these are the ones that count."""

_CONTROLLERS = (
    # 1.8 to 1.19.3 begin with it (the version is empty if the build did not set it);
    # 1.6.2 to 1.7 end with the bare name; 1.21.2 and later end with name/version
    ("amazon-vpc-cni-k8s", r"amazon-vpc-cni-k8s(?:/version/|/)?(?P<version>v?\d[\w.+-]*)?"),
    ("amazon-vpc-resource-controller-k8s", r"amazon-vpc-resource-controller-k8s(?:/(?P<version>\S+))?"),
    ("karpenter", r"karpenter\.sh(?:[-/](?P<version>v?\d\S*))?"),
    ("cluster-autoscaler", r"cluster-autoscaler(?:/(?P<version>\S+))?"),
    ("aws-load-balancer-controller", r"elbv2\.k8s\.aws(?:/(?P<version>\S+))?"),
)
"""Controllers of a cluster, all written in Go."""

_NAMELESS_SDK = "aws-load-balancer-controller"
"""The controller that sends no SDK user agent (since 3.2.2)."""

_AWS_PROGRAMS = (
    ("console", r"^(?:console\.|signin\.|\[S3Console|EC2ConsoleFrontend\b)"),
    ("AWS Internal", r"^AWS Internal\b|(?<!\S)aws-internal/"),
)
_BROWSER = re.compile(r"Mozilla/\d")
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com")
_GO_SDK = "aws-sdk-go"
_SDK = re.compile(r"(?:aws-sdk-[\w-]+|Boto3|Botocore|aws-chalice|ElasticWolf)/\S+")
_COMMENT = re.compile(r"\([^()]*\)")
_PRODUCT = re.compile(r"(?P<name>[A-Za-z][\w.+!-]*)/(?P<version>\S*)")
_WORD = re.compile(r"[a-z][a-z0-9]+(?:[.-][a-z0-9]+)*")
"""A program without a version; the SDKs' own bare words are in camel case or have underscores."""

_MACHINE = re.compile(r"(?:x86|x64|i\d86|amd64|aarch64|arm|universal)")
_ENVIRONMENT = frozenset(
    (
        *("ua", "os", "lang", "md", "api", "m", "cfg", "exec-env", "exec_env", "ft", "sid", "app-id"),
        *("attempt", "retry", "io", "http", "vendor", "callback", "promise", "resource", "s3-transfer"),
        *("linux", "darwin", "windows", "java", "kotlin", "scala", "groovy", "python", "go", "openjdk"),
        *("ruby", "php", "gcc", "clang", "guzzlehttp", "runtime", "framework"),
        *("apn", "hashicorp", "httpcomponents"),
    )
)
"""Products that describe the SDK, its settings and the machine, but not the program."""

_MAX_PHRASE = 64
"""Maximum length of a text without products that is taken for a name."""


@lru_cache(maxsize=4096)
def agent_of(raw: str | None) -> Agent:
    """Return the program that a user agent string names, and the SDK that it was built with."""
    if not raw:
        return Agent(None, None, raw)
    words = _COMMENT.sub(" ", raw).split()
    sdk = _sdk(words)
    for program, pattern in _AWS_PROGRAMS:
        if re.search(pattern, raw):
            return Agent(program, None, raw, sdk)
    if _SERVICE.fullmatch(raw):
        return Agent(raw, None, raw)
    if _BROWSER.match(raw):
        return Agent("browser", None, raw, sdk)
    name, version = _program(words, sdk)
    if name is None and sdk is None and "/" not in raw:
        name = _phrase(raw)
    return Agent(name, version, raw, sdk)


def _phrase(raw: str) -> str | None:
    """Return a text without products, such as ``AWS Auto Scaling``; of a long one, the first word."""
    words = raw.split()
    phrase = raw.strip() if len(raw) <= _MAX_PHRASE else next(iter(words), "")
    return phrase if phrase and phrase not in _CONTROLLER_NAMES else None


def _sdk(words: list[str]) -> str | None:
    """Return the SDK; of several, the one that is not Go's, because a caller may add Go's to its own."""
    found = [word for word in words if _SDK.match(word)]
    other = (word for word in found if not word.startswith(_GO_SDK))
    return next(other, found[0] if found else None)


def _program(words: list[str], sdk: str | None) -> tuple[str | None, str | None]:
    """Return the name and version of the program in the words of a string."""
    for name, pattern in _TOOLS:
        tool = next(filter(None, (re.fullmatch(pattern, word) for word in words)), None)
        if tool is not None:
            return name, tool["version"]
    controller: tuple[str | None, str | None] = None, None
    for name, version in _programs(words, sdk):
        if name not in _CONTROLLER_NAMES:
            return name, version
        if controller[0] is None and _can_send(name, sdk):
            controller = name, version
    return controller


def _can_send(controller: str, sdk: str | None) -> bool:
    """Return whether a controller can send a user agent with this SDK."""
    return sdk.startswith(_GO_SDK) if sdk is not None else controller == _NAMELESS_SDK


def _programs(words: list[str], sdk: str | None) -> Iterator[tuple[str, str | None]]:
    """Yield the name and version of every program in the words, in order."""
    for word in words:
        known = _controller(word)
        product = _PRODUCT.match(word)
        if known is not None:
            yield known
        elif product is not None and product["name"] == "app":
            if product["version"]:
                yield (word if product["version"] in _CONTROLLER_NAMES else product["version"]), None
        elif product is not None:
            if not _describes_the_sdk(word, product["name"]):
                yield product["name"], product["version"] or None
        elif sdk is not None and _WORD.fullmatch(word) and not _describes_the_sdk(word, word):
            yield word, None


def _controller(word: str) -> tuple[str, str | None] | None:
    for name, pattern in _CONTROLLERS:
        known = re.fullmatch(pattern, word)
        if known is not None:
            return name, known["version"]
    return None


_CONTROLLER_NAMES = frozenset(name for name, _ in _CONTROLLERS)


def _describes_the_sdk(word: str, name: str) -> bool:
    lower = name.lower()
    return (
        lower in _ENVIRONMENT
        or _SDK.match(word) is not None
        or lower.endswith("_vm")
        or ("/" not in word and _MACHINE.match(lower) is not None)
    )
