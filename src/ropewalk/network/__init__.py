"""The fabric under instances: VPC routers, interfaces, security groups, resolver. Knows nothing of workloads."""
