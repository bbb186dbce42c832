"""AWS's own managed policies, those that roles and users of a container platform are given.

The documents are ours, written from the permissions that AWS documents for each policy (AWS managed policy reference).
They belong to the program, not to the store: an upgrade may change them, a user may not.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import orjson

from ropewalk.services.iam.records import ManagedPolicy, PolicyVersion

CREATED_AT = 1_423_000_000.0
"""February 2015, when AWS published most of them."""
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def _allow(actions: Sequence[str], resource: object = "*", condition: object = None, effect: str = "Allow") -> object:
    statement: dict[str, object] = {"Effect": effect, "Action": list(actions), "Resource": resource}
    if condition is not None:
        statement["Condition"] = condition
    return statement


def _unique_id(name: str) -> str:
    """ANPA… and seventeen characters, always the same for one name."""
    number = zlib.crc32(name.encode()) << 53 | zlib.crc32(name[::-1].encode()) << 21 | len(name)
    return "ANPA" + "".join(_ALPHABET[number >> shift & 31] for shift in range(0, 85, 5))


def _policy(name: str, description: str, *statements: object, path: str = "/") -> ManagedPolicy:
    document = orjson.dumps({"Version": "2012-10-17", "Statement": list(statements)}).decode()
    return ManagedPolicy(
        arn=f"arn:aws:iam::aws:policy{path}{name}",
        name=name,
        id=_unique_id(name),
        path=path,
        created_at=CREATED_AT,
        updated_at=CREATED_AT,
        versions=(PolicyVersion(1, document, CREATED_AT),),
        default=1,
        latest=1,
        description=description,
    )


_READ_VERBS = {
    "application-autoscaling": ("Describe*", "List*"),
    "autoscaling": ("Describe*",),
    "cloudwatch": ("Describe*", "Get*", "List*"),
    "dynamodb": ("BatchGet*", "Describe*", "Get*", "List*", "Query", "Scan"),
    "ec2": ("Describe*", "Get*", "List*", "Search*"),
    "ecr": ("BatchCheck*", "BatchGet*", "Describe*", "Get*", "List*"),
    "ecs": ("Describe*", "List*", "Get*"),
    "eks": ("Describe*", "List*"),
    "elasticloadbalancing": ("Describe*",),
    "events": ("Describe*", "List*", "TestEventPattern"),
    "iam": ("Generate*", "Get*", "List*", "Simulate*"),
    "logs": ("Describe*", "Get*", "List*", "FilterLogEvents", "StartQuery", "StopQuery", "TestMetricFilter"),
    "route53": ("Get*", "List*", "Test*"),
    "s3": ("Get*", "List*", "Describe*"),
    "secretsmanager": ("Describe*", "List*", "GetResourcePolicy"),
    "servicediscovery": ("Discover*", "Get*", "List*"),
    "sns": ("Get*", "List*"),
    "sqs": ("Get*", "List*"),
    "ssm": ("Describe*", "Get*", "List*"),
    "sts": ("GetAccessKeyInfo", "GetCallerIdentity", "GetSessionToken"),
    "tag": ("Get*",),
}

_ECR_PULL = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchGetImage",
)
_LOG_WRITE = ("logs:CreateLogStream", "logs:PutLogEvents")
_LOAD_BALANCER_TARGETS = (
    "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:Describe*",
    "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
    "elasticloadbalancing:RegisterTargets",
)
_ECS_AGENT = (
    "ec2:DescribeTags",
    "ecs:CreateCluster",
    "ecs:DeregisterContainerInstance",
    "ecs:DiscoverPollEndpoint",
    "ecs:Poll",
    "ecs:RegisterContainerInstance",
    "ecs:StartTelemetrySession",
    "ecs:UpdateContainerInstancesState",
    "ecs:Submit*",
    *_ECR_PULL,
    *_LOG_WRITE,
)
_ROLE_PATH = "/service-role/"
_LINKED_PATH = "/aws-service-role/"


def _linked(service: str) -> object:
    return {"StringLike": {"iam:AWSServiceName": service}}


def _passed(*services: str) -> object:
    return {"StringLike": {"iam:PassedToService": list(services)}}


_ADMINISTRATION = (
    _policy("AdministratorAccess", "Provides full access to AWS services and resources.", _allow(["*"])),
    _policy(
        "PowerUserAccess",
        "Provides full access to AWS services and resources, but does not allow management of Users and groups.",
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        _allow(
            [
                "account:GetAccountInformation",
                "account:ListRegions",
                "iam:CreateServiceLinkedRole",
                "iam:DeleteServiceLinkedRole",
                "iam:ListRoles",
                "organizations:DescribeOrganization",
            ]
        ),
    ),
    _policy(
        "ReadOnlyAccess",
        "Provides read-only access to AWS services and resources.",
        _allow([f"{service}:{verb}" for service, verbs in _READ_VERBS.items() for verb in verbs]),
    ),
    _policy("IAMFullAccess", "Provides full access to IAM via the AWS Management Console.", _allow(["iam:*"])),
    _policy(
        "IAMReadOnlyAccess",
        "Provides read only access to IAM via the AWS Management Console.",
        _allow([f"iam:{verb}" for verb in _READ_VERBS["iam"]]),
    ),
)

_CONTAINERS = (
    _policy(
        "AmazonECSTaskExecutionRolePolicy",
        "Provides access to other AWS service resources that are required to run Amazon ECS tasks",
        _allow([*_ECR_PULL, *_LOG_WRITE]),
        path=_ROLE_PATH,
    ),
    _policy(
        "AmazonEC2ContainerServiceforEC2Role",
        "Default policy for the Amazon EC2 Role for Amazon EC2 Container Service.",
        _allow(_ECS_AGENT),
        _allow(
            ["ecs:TagResource"],
            condition={"StringEquals": {"ecs:CreateAction": ["CreateCluster", "RegisterContainerInstance"]}},
        ),
        path=_ROLE_PATH,
    ),
    _policy(
        "AmazonEC2ContainerServiceRole",
        "Default policy for Amazon ECS service role.",
        _allow(["ec2:AuthorizeSecurityGroupIngress", "ec2:Describe*", *_LOAD_BALANCER_TARGETS]),
        path=_ROLE_PATH,
    ),
    _policy(
        "AmazonEC2ContainerServiceAutoscaleRole",
        "Policy to enable Task Autoscaling for Amazon EC2 Container Service",
        _allow(["ecs:DescribeServices", "ecs:UpdateService", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"]),
        path=_ROLE_PATH,
    ),
    _policy(
        "AmazonECS_FullAccess",
        "Provides administrative access to Amazon ECS resources and enables ECS features through access to other "
        "AWS service resources.",
        _allow(
            [
                "application-autoscaling:*",
                "autoscaling:*AutoScalingGroup*",
                "autoscaling:*LaunchConfiguration*",
                "autoscaling:Describe*",
                "cloudwatch:*Alarm*",
                "cloudwatch:GetMetricStatistics",
                "ec2:*LaunchTemplate*",
                "ec2:*SecurityGroup*",
                "ec2:*SpotFleet*",
                "ec2:Describe*",
                "ec2:RunInstances",
                "ecs:*",
                "elasticloadbalancing:*",
                "events:*Rule*",
                "events:*Targets",
                "iam:ListAttachedRolePolicies",
                "iam:ListInstanceProfiles",
                "iam:ListRoles",
                "logs:CreateLogGroup",
                "logs:DescribeLogGroups",
                "logs:FilterLogEvents",
                "route53:*HostedZone*",
                "route53:*ResourceRecordSets",
                "servicediscovery:*",
            ]
        ),
        _allow(["iam:PassRole"], condition=_passed("ecs-tasks.amazonaws.com")),
        _allow(
            ["iam:PassRole"],
            "arn:aws:iam::*:role/ecsInstanceRole*",
            _passed("ec2.amazonaws.com", "ec2.amazonaws.com.cn"),
        ),
        _allow(
            ["iam:PassRole"],
            "arn:aws:iam::*:role/ecsAutoscaleRole*",
            _passed("application-autoscaling.amazonaws.com"),
        ),
        _allow(
            ["iam:CreateServiceLinkedRole"],
            condition={
                "StringLike": {
                    "iam:AWSServiceName": [
                        "autoscaling.amazonaws.com",
                        "ecs.amazonaws.com",
                        "ecs.application-autoscaling.amazonaws.com",
                        "spot.amazonaws.com",
                        "spotfleet.amazonaws.com",
                    ]
                }
            },
        ),
    ),
    _policy(
        "AmazonECSServiceRolePolicy",
        "Policy to enable Amazon ECS to manage your cluster.",
        _allow(
            [
                "autoscaling:*",
                "autoscaling-plans:*",
                "cloudwatch:*Alarm*",
                "ec2:*NetworkInterface*",
                "ec2:CreateTags",
                "ec2:Describe*",
                "ec2:TerminateInstances",
                *_LOAD_BALANCER_TARGETS,
                "events:*Rule*",
                "events:*Targets",
                "logs:CreateLogGroup",
                "logs:DescribeLogGroups",
                "logs:PutRetentionPolicy",
                *_LOG_WRITE,
                "route53:*HealthCheck*",
                "servicediscovery:*",
                "ssmmessages:OpenDataChannel",
            ]
        ),
        path=_LINKED_PATH,
    ),
    _policy(
        "AWSApplicationAutoscalingECSServicePolicy",
        "Policy granting permissions to Application Auto Scaling to access ECS and CloudWatch.",
        _allow(
            [
                "ecs:DescribeServices",
                "ecs:UpdateService",
                "cloudwatch:DeleteAlarms",
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
                "cloudwatch:PutMetricAlarm",
            ]
        ),
        path=_LINKED_PATH,
    ),
)

_FULL_ACCESS = {
    "AmazonEC2FullAccess": ("Amazon EC2", ("ec2:*", "elasticloadbalancing:*", "cloudwatch:*", "autoscaling:*")),
    "AmazonS3FullAccess": ("all buckets", ("s3:*", "s3-object-lambda:*")),
    "AmazonDynamoDBFullAccess": ("Amazon DynamoDB", ("dynamodb:*", "dax:*", "application-autoscaling:*")),
    "AmazonSQSFullAccess": ("Amazon SQS", ("sqs:*",)),
    "AmazonSNSFullAccess": ("Amazon SNS", ("sns:*",)),
    "CloudWatchLogsFullAccess": ("CloudWatch Logs", ("logs:*", "cloudwatch:GenerateQuery")),
    "CloudWatchFullAccess": ("CloudWatch", ("cloudwatch:*", "logs:*", "sns:*", "autoscaling:Describe*")),
    "ElasticLoadBalancingFullAccess": ("Amazon ElasticLoadBalancing", ("elasticloadbalancing:*", "ec2:Describe*")),
    "AmazonEC2ContainerRegistryFullAccess": ("Amazon ECR", ("ecr:*",)),
    "SecretsManagerReadWrite": ("AWS Secrets Manager", ("secretsmanager:*",)),
    "AmazonSSMFullAccess": ("Amazon SSM", ("ssm:*", "ec2messages:*", "ssmmessages:*")),
    "AutoScalingFullAccess": ("Auto Scaling", ("autoscaling:*", "cloudwatch:PutMetricAlarm", "ec2:Describe*")),
}
"""Name: (what it is about, actions)."""

_READ_ONLY = {
    "AmazonEC2ReadOnlyAccess": ("Amazon EC2", ("ec2", "elasticloadbalancing", "cloudwatch", "autoscaling")),
    "AmazonS3ReadOnlyAccess": ("all buckets", ("s3",)),
    "AmazonDynamoDBReadOnlyAccess": ("Amazon DynamoDB", ("dynamodb", "application-autoscaling")),
    "AmazonSQSReadOnlyAccess": ("Amazon SQS", ("sqs",)),
    "CloudWatchLogsReadOnlyAccess": ("CloudWatch Logs", ("logs",)),
    "CloudWatchReadOnlyAccess": ("CloudWatch", ("cloudwatch", "logs", "autoscaling")),
    "AmazonEC2ContainerRegistryReadOnly": ("Amazon ECR", ("ecr",)),
    "AmazonSSMReadOnlyAccess": ("Amazon SSM", ("ssm",)),
}
"""Name: (what it is about, services whose reading verbs it allows)."""

_SERVICE_LINKED = (
    _policy(
        "AWSElasticLoadBalancingServiceRolePolicy",
        "Service Linked Role Policy for AWS Elastic Load Balancing Control Plane",
        _allow(
            [
                "ec2:*NetworkInterface*",
                "ec2:*SecurityGroup*",
                "ec2:AllocateAddress",
                "ec2:AssignIpv6Addresses",
                "ec2:AssociateAddress",
                "ec2:Describe*",
                "ec2:DisassociateAddress",
                "ec2:ReleaseAddress",
                "ec2:UnassignIpv6Addresses",
                "logs:*LogDelivery",
            ]
        ),
        path=_LINKED_PATH,
    ),
    _policy(
        "AutoScalingServiceRolePolicy",
        "Enables access to AWS services and resources used or managed by Auto Scaling",
        _allow(
            [
                "cloudwatch:*Alarm*",
                "ec2:*Fleet*",
                "ec2:*Instance*",
                "ec2:CreateTags",
                "ec2:Describe*",
                "elasticloadbalancing:Deregister*",
                "elasticloadbalancing:Describe*",
                "elasticloadbalancing:Register*",
                "sns:Publish",
            ]
        ),
        _allow(["iam:PassRole"], condition=_passed("ec2.amazonaws.com*")),
        _allow(["iam:CreateServiceLinkedRole"], condition=_linked("spot.amazonaws.com")),
        path=_LINKED_PATH,
    ),
)


def _full_access(name: str) -> ManagedPolicy:
    subject, actions = _FULL_ACCESS[name]
    return _policy(name, f"Provides full access to {subject}.", _allow(actions))


def _read_only(name: str) -> ManagedPolicy:
    subject, services = _READ_ONLY[name]
    actions = [f"{service}:{verb}" for service in services for verb in _READ_VERBS[service]]
    return _policy(name, f"Provides read only access to {subject}.", _allow(actions))


_ALL = (
    *_ADMINISTRATION,
    *_CONTAINERS,
    *map(_full_access, _FULL_ACCESS),
    *map(_read_only, _READ_ONLY),
    *_SERVICE_LINKED,
)

AWS_MANAGED: dict[str, ManagedPolicy] = {policy.arn: policy for policy in sorted(_ALL, key=lambda policy: policy.arn)}
"""By ARN."""
