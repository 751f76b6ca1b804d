"""What the evidence in a request for keys must have been made over."""

from kifabrik.attestation.binding import Binding
from kifabrik.leases.statements import AttemptRequest, RequestingNode


def binding_of(request: AttemptRequest, node: RequestingNode) -> Binding:
    """Return what one node's evidence is bound to: everything in the request that the keys depend on.

    Args:
        request: The request; the evidence in it is not looked at.
        node: One of its nodes.
    """
    return Binding(
        tenant=request.tenant,
        run=request.run,
        attempt=request.attempt,
        number=request.number,
        order=request.order,
        items=request.items,
        environment=request.environment,
        run_key=request.run_key,
        recipient=request.recipient,
        node_key=node.node_key,
        node_recipient=node.recipient,
    )
