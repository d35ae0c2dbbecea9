"""What type a body has, and which endpoint answers it, by subresource."""

import dataclasses

from apiserver.api.scheme import SCHEME, Subresource
from apiserver.endpoints.target import Target
from apiserver.endpoints.write import object_type

SCALE = Subresource("scale", "autoscaling", "v1", "Scale", "autoscaling_v1.Scale", ("get",))


def test_a_scale_is_not_the_object_that_it_scales() -> None:
    deployment = SCHEME.by_kind("apps/v1", "Deployment")
    assert deployment is not None
    others = tuple(sub for sub in deployment.subresources if sub.name != "scale")
    scalable = dataclasses.replace(deployment, subresources=(*others, SCALE))
    scale = object_type(Target(scalable, "a", "b", "scale"))
    assert (scale.group, scale.kind) == ("autoscaling", "Scale")
    assert object_type(Target(scalable, "a", "b", "status")).kind == "Deployment"
    assert object_type(Target(scalable, "a", "b")).kind == "Deployment"
