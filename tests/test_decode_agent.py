"""The agent: from the user agents of all programs that use ENIs to the program that they name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnitrail.decode.agent import agent_of
from cnitrail.model import Agent

V1 = "aws-sdk-go/1.43.29 (go1.17.8; linux; amd64)"
V2 = "aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.25.4 md/GOOS#linux md/GOARCH#amd64 api/ec2#1.254.1 m/E,z"


def named(raw: str) -> tuple[str | None, str | None]:
    found = agent_of(raw)
    assert found.raw == raw
    return found.name, found.version


class TestVpcCni:
    """All generations of amazon-vpc-cni-k8s."""

    @pytest.mark.parametrize(
        ("raw", "version"),
        [
            # 1.6.2 to 1.7.8: a suffix without a version
            ("aws-sdk-go/1.33.14 (go1.13.15; linux; amd64) amazon-vpc-cni-k8s", None),
            ("aws-sdk-go/1.33.14 amazon-vpc-cni-k8s", None),
            # 1.7.9 and 1.7.10: the prefix and the suffix
            (f"amazon-vpc-cni-k8s/version/ {V1} amazon-vpc-cni-k8s", None),
            # 1.8 to 1.15.0: the prefix, its version always empty
            ("amazon-vpc-cni-k8s/version/ aws-sdk-go/1.40.6 (go1.16.5; linux; amd64)", None),
            (f"amazon-vpc-cni-k8s/version/ {V1}", None),
            # 1.15.1 to 1.19.3: the version is there, or still empty
            ("amazon-vpc-cni-k8s/version/v1.15.1 aws-sdk-go/1.45.19 (go1.21.1; linux; amd64)", "v1.15.1"),
            (
                "amazon-vpc-cni-k8s/version/v1.18.3-eksbuild.1 aws-sdk-go/1.51.32 (go1.22.3; linux; arm64)",
                "v1.18.3-eksbuild.1",
            ),
            # 1.21.2, and 1.22.0 and later: a suffix with a version
            (f"{V2} amazon-vpc-cni-k8s/v1.21.0 m/0,E", "v1.21.0"),
            (f"{V2} amazon-vpc-cni-k8s/v1.22.0 m/0,E", "v1.22.0"),
        ],
    )
    def test_it_is_recognized_wherever_it_writes_its_name(self, raw: str, version: str | None) -> None:
        assert named(raw) == ("amazon-vpc-cni-k8s", version)

    @pytest.mark.parametrize(
        ("raw", "sdk"),
        [
            # 1.6.1 and earlier
            ("aws-sdk-go/1.23.13 (go1.13.3; linux; amd64)", "aws-sdk-go/1.23.13"),
            # 1.19.4 to 1.21.1
            (V2, "aws-sdk-go-v2/1.39.2"),
        ],
    )
    def test_generations_that_write_no_name_are_not_recognized(self, raw: str, sdk: str) -> None:
        assert agent_of(raw) == Agent(None, None, raw, sdk)

    def test_the_sdk_is_reported_with_the_name(self) -> None:
        assert agent_of(f"amazon-vpc-cni-k8s/version/ {V1}").sdk == "aws-sdk-go/1.43.29"
        assert agent_of(f"{V2} amazon-vpc-cni-k8s/v1.22.0 m/0,E").sdk == "aws-sdk-go-v2/1.39.2"


class TestNeighbours:
    @pytest.mark.parametrize(
        ("raw", "name", "version"),
        [
            (
                f"amazon-vpc-resource-controller-k8s/v1.1.3 {V1}",
                "amazon-vpc-resource-controller-k8s",
                "v1.1.3",
            ),
            (
                f"{V2} amazon-vpc-resource-controller-k8s/v1.7.19",
                "amazon-vpc-resource-controller-k8s",
                "v1.7.19",
            ),
            (
                (
                    "aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go#1.24.2 md/GOOS#linux md/GOARCH#amd64"
                    " api/ec2#1.215.0 karpenter.sh-1.5.0 m/h"
                ),
                "karpenter",
                "1.5.0",
            ),
            ("aws-sdk-go/1.44.114 (go1.19.2; linux; amd64) karpenter.sh-v0.20.0", "karpenter", "v0.20.0"),
            (
                "aws-sdk-go/1.44.24 (go1.20.5; linux; amd64) cluster-autoscaler/v1.28.0",
                "cluster-autoscaler",
                "v1.28.0",
            ),
            (
                "elbv2.k8s.aws/v2.4.7 aws-sdk-go/1.42.27 (go1.19.3; linux; amd64)",
                "aws-load-balancer-controller",
                "v2.4.7",
            ),
            (f"{V2} elbv2.k8s.aws/v2.11.0", "aws-load-balancer-controller", "v2.11.0"),
            ("elbv2.k8s.aws/v3.2.2", "aws-load-balancer-controller", "v3.2.2"),
        ],
    )
    def test_the_controllers_of_a_cluster_are_distinguished(self, raw: str, name: str, version: str) -> None:
        assert named(raw) == (name, version)

    @pytest.mark.parametrize(
        "service",
        [
            "eks.amazonaws.com",
            "autoscaling.amazonaws.com",
            "ec2fleet.amazonaws.com",
            "eks-nodegroup.amazonaws.com",
            "elasticloadbalancing.amazonaws.com",
            "pods.eks.amazonaws.com",
            "cloudformation.amazonaws.com",
        ],
    )
    def test_a_service_is_its_own_agent(self, service: str) -> None:
        assert agent_of(service) == Agent(service, None, service)


class TestTools:
    @pytest.mark.parametrize(
        ("raw", "version"),
        [
            ("aws-cli/1.16.248 Python/3.7.3 Linux/4.14.133 botocore/1.12.238", "1.16.248"),
            (
                "aws-cli/2.7.31 Python/3.9.11 Linux/5.15 exe/x86_64.ubuntu.20 prompt/off command/ec2.x",
                "2.7.31",
            ),
            (
                (
                    "aws-cli/2.36.28 md/awscrt#0.36.2 ua/2.1 os/linux#6.17.0-35-generic md/arch#x86_64"
                    " lang/python#3.14.6 md/pyimpl#CPython m/AN,n,Z,E,b cfg/retry-mode#standard"
                ),
                "2.36.28",
            ),
            ("aws-cli/2.13.25 Python/3.11.6 Linux/6.1 exec-env/CloudShell exe/x86_64.amzn.2", "2.13.25"),
        ],
    )
    def test_the_aws_cli(self, raw: str, version: str) -> None:
        assert named(raw) == ("aws-cli", version)

    @pytest.mark.parametrize(
        ("raw", "version"),
        [
            (
                (
                    "APN/1.0 HashiCorp/1.0 Terraform/1.5.0 (+https://www.terraform.io)"
                    " terraform-provider-aws/5.0.1 (+https://registry.terraform.io/providers/hashicorp/aws)"
                    " aws-sdk-go/1.44.276 (go1.19.8; linux; amd64)"
                ),
                "1.5.0",
            ),
            (
                (
                    "aws-sdk-go/1.38.0 (go1.16; linux; amd64) APN/1.0 HashiCorp/1.0 Terraform/0.14.9"
                    " (+https://www.terraform.io)"
                ),
                "0.14.9",
            ),
        ],
    )
    def test_terraform(self, raw: str, version: str) -> None:
        assert named(raw) == ("terraform", version)

    @pytest.mark.parametrize(
        "raw",
        [
            "console.ec2.amazonaws.com",
            "console.amazonaws.com",
            "signin.amazonaws.com",
            "EC2ConsoleFrontend, aws-internal/3 aws-sdk-java/1.12.1 Linux/5.4.0 OpenJDK_64-Bit_Server_VM/25",
        ],
    )
    def test_the_console(self, raw: str) -> None:
        assert named(raw) == ("console", None)

    @pytest.mark.parametrize("raw", ["AWS Internal", "aws-internal/3 aws-sdk-java/1.12.1 Linux/5.4.0"])
    def test_aws_internal_has_its_own_name(self, raw: str) -> None:
        assert named(raw) == ("AWS Internal", None)

    @pytest.mark.parametrize(
        ("raw", "name", "version"),
        [
            ("my-operator/1.2.3", "my-operator", "1.2.3"),
            (f"{V1} eksctl/0.150.0", "eksctl", "0.150.0"),
            (f"{V2} cilium-operator/1.15.3", "cilium-operator", "1.15.3"),
            ("Boto3/1.24.80 Python/3.9.13 Linux/5.10 Botocore/1.27.80 my-tool/2.0", "my-tool", "2.0"),
            (
                "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux app/billing-job Botocore/1.34.69",
                "billing-job",
                None,
            ),
            ("AWSPowerShell/4.1.150.0 .NET_Runtime/4.0 .NET_Framework/4.0", "AWSPowerShell", "4.1.150.0"),
            ("Python-urllib/3.9", "Python-urllib", "3.9"),
            (f"{V1} amazon-ssm-agent/", "amazon-ssm-agent", None),
            (f"{V1} packer", "packer", None),
            (f"{V1} cluster-api-provider-aws-controller", "cluster-api-provider-aws-controller", None),
            (f"{V1} cloud-network-config-controller", "cloud-network-config-controller", None),
            (
                "aws-sdk-go/1.44.204 (go1.19 X:boringcrypto; linux; amd64) cloud-network-config-controller",
                "cloud-network-config-controller",
                None,
            ),
            (f"{V1} ebs.csi.aws.com/v1", "ebs.csi.aws.com", "v1"),
            (f"{V1} ebs.csi.aws.com", "ebs.csi.aws.com", None),
            (f"{V2} cilium-operator", "cilium-operator", None),
            (
                (
                    "aws-sdk-nodejs/2.1112.0 linux/v20.19.0 configure-aws-credentials-for-github-actions"
                    " promise"
                ),
                "configure-aws-credentials-for-github-actions",
                None,
            ),
            ("AWS Auto Scaling", "AWS Auto Scaling", None),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "browser", None),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 aws-sdk-js/2.1517.0", "browser", None),
            (
                (
                    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)"
                    " Chrome/131.0.0.0 Safari/537.36"
                ),
                "browser",
                None,
            ),
            ("curl", "curl", None),
        ],
    )
    def test_an_unknown_program_has_the_name_that_it_writes(
        self, raw: str, name: str, version: str | None
    ) -> None:
        assert named(raw) == (name, version)


class TestNoProgram:
    @pytest.mark.parametrize(
        ("raw", "sdk"),
        [
            ("Boto3/1.24.80 Python/3.9.13 Linux/5.10.135 Botocore/1.27.80", "Boto3/1.24.80"),
            (
                (
                    "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux#5.15 md/arch#x86_64 lang/python#3.11.8"
                    " md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.34.69"
                ),
                "Boto3/1.34.69",
            ),
            (
                "Boto3/1.26.90 Python/3.9.16 Linux/4.14 exec-env/AWS_Lambda_python3.9 Botocore/1.29.90",
                "Boto3/1.26.90",
            ),
            (
                (
                    "aws-sdk-java/1.12.261 Linux/5.4.0 OpenJDK_64-Bit_Server_VM/25.302-b08 java/1.8.0_302"
                    " vendor/Oracle_Corporation cfg/retry-mode/standard"
                ),
                "aws-sdk-java/1.12.261",
            ),
            (
                "aws-sdk-java/1.11.500 Linux/4.14 Java_HotSpot(TM)_64-Bit_Server_VM/25.192-b12 java/1.8.0",
                "aws-sdk-java/1.11.500",
            ),
            (
                (
                    "aws-sdk-java/2.17.290 Linux/5.10 OpenJDK_64-Bit_Server_VM/11.0.16+9-LTS Java/11.0.16"
                    " vendor/Amazon.com_Inc. io/sync http/Apache cfg/retry-mode/legacy"
                ),
                "aws-sdk-java/2.17.290",
            ),
            ("aws-sdk-nodejs/2.1231.0 linux/v14.20.0 promise", "aws-sdk-nodejs/2.1231.0"),
            (
                "aws-sdk-js/3.350.0 ua/2.0 os/linux#5.10 lang/js md/nodejs#18.16.0 api/ec2#3.350.0",
                "aws-sdk-js/3.350.0",
            ),
            (
                (
                    "aws-sdk-dotnet-coreclr/3.7.107.3 aws-sdk-dotnet-core/3.7.200.1 .NET_Core/6.0.25"
                    " OS/Microsoft_Windows_10.0.17763 ClientAsync"
                ),
                "aws-sdk-dotnet-coreclr/3.7.107.3",
            ),
            ("aws-sdk-ruby3/3.109.1 ruby/2.7.0 x86_64-linux aws-sdk-ec2/1.200.0", "aws-sdk-ruby3/3.109.1"),
            ("aws-sdk-php/3.222.17 OS/Linux/5.10.0 lang/php/8.1.2 GuzzleHttp/7", "aws-sdk-php/3.222.17"),
            ("aws-sdk-cpp/1.9.379 Linux/5.10.0 x86_64 GCC/7.3.1", "aws-sdk-cpp/1.9.379"),
            ("aws-sdk-rust/1.3.1 os/linux lang/rust/1.77.1", "aws-sdk-rust/1.3.1"),
            ("aws-sdk-ruby3/3.109.1 ruby/3.2.2 arm64-darwin22 aws-sdk-ec2/1.4", "aws-sdk-ruby3/3.109.1"),
            (
                ("aws-sdk-dotnet/1.4.11.0 .NET Runtime/4.0 .NET Framework/4.0 OS/6.1.7601.65536 FileIO"),
                "aws-sdk-dotnet/1.4.11.0",
            ),
        ],
    )
    def test_an_sdk_alone_names_no_program(self, raw: str, sdk: str) -> None:
        assert agent_of(raw) == Agent(None, None, raw, sdk)

    @pytest.mark.parametrize("raw", [None, ""])
    def test_without_a_string_there_is_no_program(self, raw: str | None) -> None:
        assert agent_of(raw) == Agent(None, None, raw)

    @pytest.mark.parametrize("raw", [" ", "\t\n", "\u2003"])
    def test_blanks_name_no_program(self, raw: str) -> None:
        assert agent_of(raw).name is None


class TestHostileStrings:
    @pytest.mark.parametrize(
        "raw",
        [
            "\x1b[31mroot\x1b[0m",
            "=cmd|' /C calc'!A0",
            "<script>alert(1)</script>",
            "[bold red]x[/bold red]",
            "(((((((((((",
            "()",
            "/",
            "a/",
            "/1.0",
            "\x00",
            "\ufffd\ufffd",
            "\u202e/1.0",
        ],
    )
    def test_a_string_is_kept_unchanged(self, raw: str) -> None:
        assert agent_of(raw).raw == raw

    @pytest.mark.parametrize(
        "raw",
        [
            "a" * 300_000,
            "aws-sdk-" * 40_000,
            "(" * 300_000,
            "a/" * 150_000,
            "(a" * 150_000,
            "os/linux " * 40_000,
            " " * 300_000,
            "amazon-vpc-cni-k8" * 20_000,
        ],
        ids=lambda raw: raw[:17],
    )
    def test_a_very_long_string_is_read_quickly(self, raw: str) -> None:
        assert agent_of(raw).raw == raw

    @given(st.text())
    @settings(max_examples=400)
    def test_a_name_is_never_invented(self, raw: str) -> None:
        found = agent_of(raw)
        assert found.raw == raw
        assert found.name is None or found.name in raw or found.name in ("AWS Internal", "browser")
        assert found.version is None or found.version in raw

    @given(st.lists(st.sampled_from(V2.split() + V1.split()), max_size=10))
    @settings(deadline=None)
    def test_parts_of_an_sdk_in_any_order_name_no_program(self, parts: list[str]) -> None:
        assert agent_of(" ".join(["aws-sdk-go/1.43.29", *parts])).name is None

    @given(st.lists(st.sampled_from(V2.split()), max_size=5), st.integers(0, 5))
    @settings(deadline=None)
    def test_the_cni_is_recognized_anywhere_among_its_sdk_tokens(self, parts: list[str], place: int) -> None:
        words = ["aws-sdk-go/1.43.29", *parts]
        words.insert(place, "amazon-vpc-cni-k8s/v1.22.0")
        assert named(" ".join(words)) == ("amazon-vpc-cni-k8s", "v1.22.0")


CNI_NAMES = [
    "amazon-vpc-cni-k8s",
    "amazon-vpc-cni-k8s/v1.22.0",
    "amazon-vpc-cni-k8s/version/",
    "amazon-vpc-cni-k8s/version/v1.18.1",
    "app/amazon-vpc-cni-k8s",
    "exec-env/amazon-vpc-cni-k8s",
    "md/amazon-vpc-cni-k8s",
    "x-amazon-vpc-cni-k8s/v1.22.0",
]
"""The CNI's name as a caller can put it into the user agent of any program."""


class TestBorrowedNames:
    """Callers choose their user agent: the CNI's name in another program's string is not the CNI."""

    @pytest.mark.parametrize("name", CNI_NAMES)
    @pytest.mark.parametrize(
        ("raw", "program"),
        [
            ("aws-cli/2.15.38 md/awscrt#0.19.19 ua/2.0 os/linux#6.1 {} md/prompt#off", "aws-cli"),
            ("aws-cli/1.46.3 md/Botocore#1.43.62 ua/2.1 os/linux {} botocore/1.43.62", "aws-cli"),
            ("APN/1.0 HashiCorp/1.0 Terraform/1.5.0 (+https://x) aws-sdk-go/1.44.276 {}", "terraform"),
            ("{} APN/1.0 HashiCorp/1.0 Terraform/1.5.0 (+https://x) aws-sdk-go/1.44.276", "terraform"),
            (f"{V2} cilium-operator/1.15.3 {{}}", "cilium-operator"),
            (f"{V1} eksctl/0.150.0 {{}}", "eksctl"),
        ],
    )
    def test_beside_another_program_that_program_counts(self, raw: str, program: str, name: str) -> None:
        assert agent_of(raw.format(name)).name == program

    @pytest.mark.parametrize("name", CNI_NAMES)
    @pytest.mark.parametrize(
        "raw",
        [
            "{} Botocore/1.44.8",
            "{} aws-sdk-go/1.51.32 (go1.22.3; linux; amd64) Botocore/1.44.8",
            "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux#5.15 lang/python#3.11.8 {} Botocore/1.34.69",
            "aws-sdk-java/1.12.261 Linux/5.4.0 java/1.8.0_302 {}",
            "{}",
            "curl/8.1 {}",
        ],
    )
    def test_with_an_sdk_other_than_go_it_is_not_the_cni(self, raw: str, name: str) -> None:
        assert agent_of(raw.format(name)).name != "amazon-vpc-cni-k8s"

    @pytest.mark.parametrize("name", CNI_NAMES[4:])
    @pytest.mark.parametrize("raw", [f"{V1} {{}}", f"{V2} {{}}", f"{{}} {V1}"])
    def test_as_app_or_exec_env_of_a_go_program_it_is_not_the_cni(self, raw: str, name: str) -> None:
        assert agent_of(raw.format(name)).name != "amazon-vpc-cni-k8s"

    def test_an_sdk_other_than_go_counts_before_one_that_a_caller_wrote(self) -> None:
        assert agent_of("aws-sdk-go/1.51.32 Botocore/1.44.8").sdk == "Botocore/1.44.8"

    @pytest.mark.parametrize("raw", ["ec2.amazonaws.com/1 Botocore/1.44.8", "ec2.amazonaws.com/1"])
    def test_a_service_name_with_a_version_is_a_program_with_that_name(self, raw: str) -> None:
        assert named(raw) == ("ec2.amazonaws.com", "1")
