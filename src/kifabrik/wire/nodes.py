"""What a node of a cluster and the service tell each other."""

from kifabrik.wire.body import Binary, Body


class ClaimAnswer(Body):
    """A claim was granted; `token` is an age file for the recipient the claim named."""

    tenant: str
    token: Binary
