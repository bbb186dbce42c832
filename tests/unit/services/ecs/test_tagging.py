"""Tags by ARN: an ARN names one resource, whole, and a refused request changes nothing."""

from __future__ import annotations

from support.ecs import world

CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/old"
TAGS = [{"key": "a", "value": "b"}]


async def test_a_task_is_not_tagged_by_the_arn_of_another_cluster() -> None:
    async with world() as w:
        await w.register()
        arn = (await w.run_task())["tasks"][0]["taskArn"]
        wrong = arn.replace("task/default/", "task/other/")
        for operation, more in (("TagResource", {"tags": TAGS}), ("ListTagsForResource", {})):
            assert (await w.refusal(operation, resourceArn=wrong, **more)).code == "ResourceNotFoundException"
        assert (await w.call("ListTagsForResource", resourceArn=arn)) == {"tags": []}
        await w.call("TagResource", resourceArn=arn, tags=TAGS)
        assert (await w.call("ListTagsForResource", resourceArn=arn)) == {"tags": TAGS}


async def test_an_inactive_cluster_is_not_changed_by_the_request_that_it_refuses() -> None:
    async with world() as w:
        await w.call("CreateCluster", clusterName="old")
        await w.call("DeleteCluster", cluster="old")
        for operation, more in (("TagResource", {"tags": TAGS}), ("UntagResource", {"tagKeys": ["a"]})):
            assert (await w.refusal(operation, resourceArn=CLUSTER, **more)).code == "ClusterNotFoundException"
        described = await w.call("DescribeClusters", clusters=["old"], include=["TAGS"])
        assert described["clusters"][0]["tags"] == []
