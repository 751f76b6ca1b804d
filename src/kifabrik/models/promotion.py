"""What a member says when a task of a sweep is to count as a version of the job's model."""

from dataclasses import dataclass

from kifabrik.signatures.statements import predicate


@predicate("model-promotion/v1")
@dataclass(frozen=True)
class Promotion:
    """A member makes an output of a sweep's task the next version of the model of the job's name.

    Args:
        tenant: Tenant id.
        member: Who promotes it.
        order: Digest of the order statement the task belongs to.
        run: Run id of the task.
        owner: Its output, `r-…-17/1`.
        manifest: Digest of its manifest statement.
        created: Time.
    """

    tenant: str
    member: str
    order: str
    run: str
    owner: str
    manifest: str
    created: str
