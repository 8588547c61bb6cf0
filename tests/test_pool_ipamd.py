"""ipamd's own view of its pool: metrics over HTTP, introspection from a file, limits from EC2."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from ec2_loopback import Ec2, ec2

from cnitrail.decode.ipamd import read_enis, read_metrics

METRICS = """\
# HELP awscni_assigned_ip_addresses The number of IP addresses assigned to pods
# TYPE awscni_assigned_ip_addresses gauge
awscni_assigned_ip_addresses 2
# HELP awscni_total_ip_addresses The total number of IP addresses
# TYPE awscni_total_ip_addresses gauge
awscni_total_ip_addresses 12
# HELP awscni_eni_allocated The number of ENIs allocated
# TYPE awscni_eni_allocated gauge
awscni_eni_allocated 1
# HELP awscni_eni_max The maximum number of ENIs that can be attached to the instance
# TYPE awscni_eni_max gauge
awscni_eni_max 3
# HELP awscni_ip_max The maximum number of IP addresses that can be allocated to the instance
# TYPE awscni_ip_max gauge
awscni_ip_max 27
# HELP awscni_aws_api_latency_ms AWS API call latency in ms
# TYPE awscni_aws_api_latency_ms summary
awscni_aws_api_latency_ms{api="AssignPrivateIpAddresses",error="false",status="200",quantile="0.5"} NaN
"""


@contextmanager
def endpoint(answers: dict[str, bytes]) -> Iterator[str]:
    """A loopback server with answers for some paths; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def entry(run: Run, *arguments: str) -> dict[str, Any]:
    result = run("pool", "ironman", *arguments, "-o", "jsonl")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


class TestMetrics:
    def test_ipamds_counts_are_shown_beside_those_of_the_trail(self, run: Run) -> None:
        with endpoint({"/metrics": METRICS.encode()}) as url:
            said = entry(run, "--metrics", f"{url}/metrics")["metrics"]
        assert said["source"] == f"{url}/metrics"
        assert said["trail_until"] == "2022-10-05T15:40:00Z"
        rows = [(row["what"], row["ipamd"], row["trail"], row["same"]) for row in said["compared"]]
        assert rows == [
            ("addresses for pods", 12, 5, False),
            ("of them, pods have", 2, None, None),
            ("prefixes", None, 0, None),
            ("interfaces", 1, 1, True),
            ("interfaces at most", 3, 3, True),
            ("addresses for pods at most", 27, 27, True),
        ]

    def test_a_saved_answer_gives_the_same(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "metrics").write_text(METRICS)
        text = run("pool", "ironman", "--metrics", str(tmp_path / "metrics")).stdout
        assert "addresses for pods             12           5  differs" in text
        assert "interfaces                      1           1  same" in text

    def test_a_server_without_metrics_is_a_one_line_error(self, run: Run) -> None:
        with endpoint({}) as url:
            result = run("pool", "ironman", "--metrics", f"{url}/metrics")
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"{url}/metrics: the server answers 404 Not Found" in result.stderr
        assert "kubectl get --raw /api/v1/nodes/NODE:61678/proxy/metrics > FILE" in result.stderr

    def test_an_unreachable_server_is_a_one_line_error(self, run: Run) -> None:
        with endpoint({}) as url:
            pass
        result = run("pool", "ironman", "--metrics", f"{url}/metrics")
        assert result.exit_code == 1
        assert "cannot be read: [Errno 111] Connection refused" in result.stderr

    @pytest.mark.parametrize(
        "text", [b"", b"up 1\n", b"\xff\xfe", b"awscni_total_ip_addresses{", b"<html>", b"{}"]
    )
    def test_anything_else_is_refused_with_a_reason(self, text: bytes) -> None:
        with pytest.raises(ValueError, match=r"not the Prometheus text format|no ipamd metrics"):
            read_metrics(text)


ENI = "eni-06d2f4a81c9b3e750"


def address(ip: str, pod: str | None = None) -> dict[str, Any]:
    namespace, _, name = (pod or "").partition("/")
    return {
        "Address": ip,
        "IPAMKey": {"networkName": "aws-cni", "containerID": "", "ifName": ""},
        "IPAMMetadata": {"k8sPodNamespace": namespace, "k8sPodName": name},
        "AssignedTime": "2022-10-05T13:20:11.123456789Z" if pod else "0001-01-01T00:00:00Z",
        "UnassignedTime": "0001-01-01T00:00:00Z",
    }


def cidr(block: str, *addresses: dict[str, Any]) -> dict[str, Any]:
    return {
        "Cidr": {"IP": block.partition("/")[0], "Mask": "/////w=="},
        "IPAddresses": {address["Address"]: address for address in addresses},
        "IsPrefix": not block.endswith("/32"),
    }


def dump(*blocks: dict[str, Any], total: int) -> dict[str, Any]:
    by_name = {f"{block['Cidr']['IP']}/{28 if block['IsPrefix'] else 32}": block for block in blocks}
    eni = {"ID": ENI, "IsPrimary": True, "IsTrunk": False, "DeviceNumber": 0, "AvailableIPv4Cidrs": by_name}
    return {"TotalIPs": total, "AssignedIPs": 1, "ENIs": {ENI: eni}}


PLAIN = dump(
    cidr("192.168.49.56/32", address("192.168.49.56", "kube-system/coredns-6d8c4cb4d-x7k2p")),
    cidr("192.168.41.36/32"),
    cidr("192.168.99.99/32", address("192.168.99.99")),
    total=3,
)


class TestIntrospection:
    @pytest.fixture(params=[PLAIN, {"0": PLAIN}], ids=["until 1.19", "from 1.20"])
    def said(self, run: Run, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
        path = tmp_path / "enis.json"
        path.write_text(json.dumps(request.param))
        said: dict[str, Any] = entry(run, "--ipamd", str(path))["ipamd"]
        return said

    def test_pods_are_named_only_with_introspection(self, said: dict[str, Any]) -> None:
        found = [(address["ip"], address["pod"], address["in_trail"]) for address in said["addresses"]]
        assert found == [
            ("192.168.41.36", None, True),
            ("192.168.49.56", "kube-system/coredns-6d8c4cb4d-x7k2p", True),
            ("192.168.99.99", None, False),
        ]
        assert said["addresses"][1]["assigned"] == "2022-10-05T13:20:11.123456Z"

    def test_addresses_that_only_the_trail_has_are_listed(self, said: dict[str, Any]) -> None:
        assert said["only_in_trail"] == ["192.168.45.23", "192.168.49.142", "192.168.62.119"]

    def test_the_counts_are_compared(self, said: dict[str, Any]) -> None:
        rows = {row["what"]: (row["ipamd"], row["trail"], row["same"]) for row in said["compared"]}
        assert rows["addresses for pods"] == (3, 5, False)
        assert rows["interfaces"] == (1, 1, True)

    def test_a_prefix_has_its_addresses(self) -> None:
        pod = address("10.0.0.18", "default/web-0")
        pool = read_enis(json.dumps(dump(cidr("10.0.0.16/28", pod), total=16)).encode())
        assert pool.prefixes == 1
        assert [(str(block), eni) for eni, block in pool.blocks] == [("10.0.0.16/28", ENI)]
        assert [(str(address.ip), address.pod) for address in pool.addresses] == [
            ("10.0.0.18", "default/web-0")
        ]

    def test_a_dump_of_another_node_is_ignored_with_a_warning(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "enis.json"
        path.write_text(json.dumps(PLAIN).replace(ENI, "eni-0123456789abcdef0"))
        result = run("pool", "ironman", "--ipamd", str(path), "-o", "jsonl")
        assert json.loads(result.stdout)["ipamd"] is None
        assert "none of its ENIs is on a node that is shown" in result.stderr

    @pytest.mark.parametrize("value", [None, [], {}, {"ENIs": None}, {"0": {"ENIs": []}}, {"a": 1}])
    def test_anything_else_is_refused(self, value: Any) -> None:
        with pytest.raises(ValueError, match="it has no ENIs"):
            read_enis(json.dumps(value).encode())

    def test_malformed_parts_are_skipped(self) -> None:
        odd = {"ENIs": {"eni-1": None, "eni-2": {"AvailableIPv4Cidrs": {"ten": {}, "10.0.0.1/32": 7}}}}
        pool = read_enis(json.dumps(odd).encode())
        assert [str(address.ip) for address in pool.addresses] == ["10.0.0.1"]


M99 = {
    "InstanceType": "m99.large",
    "Hypervisor": "nitro",
    "NetworkInfo": {"Ipv4AddressesPerInterface": 10, "MaximumNetworkInterfaces": 3},
}


class TestInstanceTypes:
    """An instance type that is not in the package's table."""

    @pytest.fixture
    def story(self, tmp_path: Path, run: Run) -> Path:
        """The ironman node, with an unknown instance type."""
        return self.renamed(tmp_path, "m99.large")

    def renamed(self, folder: Path, name: str) -> Path:
        for path in (FIXTURES / "ironman").rglob("*.json.gz"):
            text = gzip.decompress(path.read_bytes()).replace(b'"m5.large"', json.dumps(name).encode())
            (folder / path.name).write_bytes(gzip.compress(text))
        return folder

    @pytest.fixture(autouse=True)
    def no_credentials(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))

    def test_is_read_from_a_file(self, run: Run, story: Path, tmp_path_factory: Any) -> None:
        types = tmp_path_factory.mktemp("types") / "types.json"
        types.write_text(json.dumps({"InstanceTypes": [M99]}))
        result = run("pool", str(story), "--instance-types", str(types), "-o", "jsonl")
        found = json.loads(result.stdout)
        assert found["limits"]["pool"] == 27
        assert len(found["settings"]) == 2

    def test_without_limits_the_pool_size_is_shown_with_a_hint(self, run: Run, story: Path) -> None:
        result = run("pool", str(story), "-o", "jsonl")
        found = json.loads(result.stdout)
        assert (found["limits"], found["size"][-1]["pool"]) == (None, 5)
        because = found["unsettled"][0]["because"]
        assert because == {
            "code": "limits-unknown",
            "text": "the limits of m99.large are unknown",
            "events": [],
        }
        assert (
            "warning: the limits of m99.large are unknown: --describe-types asks EC2, "
            "--instance-types FILE reads them\n"
        ) in result.stderr
        assert "credentials" not in result.stderr

    def test_without_credentials_there_is_a_warning(self, run: Run, story: Path) -> None:
        result = run("pool", str(story), "--describe-types", "-o", "jsonl")
        assert json.loads(result.stdout)["limits"] is None
        assert "warning: EC2: there are no AWS credentials" in result.stderr

    def test_a_malformed_name_is_not_looked_up(self, run: Run, tmp_path: Path) -> None:
        result = run("pool", str(self.renamed(tmp_path, "*\x1b[2J")), "--describe-types", "-o", "jsonl")
        assert json.loads(result.stdout)["limits"] is None
        assert "warning: the limits of *\\x1b[2J are unknown" in result.stderr
        assert "credentials" not in result.stderr

    @pytest.fixture
    def aws(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ec2]:
        """EC2 on loopback, with no instance type in the package's own table."""
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        for module in ("cnitrail.limits", "cnitrail.workflows.instance_limits"):
            monkeypatch.setattr(f"{module}.limits_of", lambda _name: None)
        with ec2() as server:
            yield server

    def test_ec2_is_called_if_the_user_allows_it(self, run: Run, tmp_path: Path, aws: Ec2) -> None:
        story = str(self.renamed(tmp_path, "c5.xlarge"))
        result = run("pool", story, "--describe-types", "--endpoint-url", aws.url, "-o", "jsonl")
        assert json.loads(result.stdout)["limits"]["max_pods"] == 58
        assert "warning" not in result.stderr
        assert aws.asked("eu-west-1") == ["DescribeInstanceTypes"]

    def test_without_the_option_ec2_is_never_called(self, run: Run, tmp_path: Path, aws: Ec2) -> None:
        story = str(self.renamed(tmp_path, "c5.xlarge"))
        result = run("pool", story, "--endpoint-url", aws.url, "-o", "jsonl")
        assert json.loads(result.stdout)["limits"] is None
        assert aws.calls == []
