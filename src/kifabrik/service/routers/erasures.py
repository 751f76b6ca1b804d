"""Erasures."""

from typing import Annotated

from fastapi import APIRouter, Query

from kifabrik.factory.hints import erasure_topic
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service.auth import STEWARDS, TENANT, TheFactory, allow
from kifabrik.service.bodies import Ident, envelope, logged
from kifabrik.service.doors import Door
from kifabrik.service.streams import TheWaiters, WaitSeconds, Watch, long_poll
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.datasets import ErasureView
from kifabrik.wire.tenants import Logged, Signed

router = APIRouter(prefix="/v1/erasures", tags=["erasures"], route_class=Door)


@router.post("")
def decide(
    body: Signed, caller: Annotated[Principal, allow(*STEWARDS, TokenKind.KEYHOLDER)], factory: TheFactory
) -> Logged:
    """Hand in an erasure signed by the tenant key; the keyholder carries it out."""
    return logged(factory.erasures.decide(caller.tenant, envelope(body)))


@router.get("/{dataset}", response_model=ErasureView)
@long_poll
def show(
    dataset: Ident,
    caller: Annotated[Principal, allow(*TENANT)],
    factory: TheFactory,
    waiters: TheWaiters,  # noqa: ARG001 - used by `long_poll`
    wait: WaitSeconds = 0,
    after: Annotated[str, Query(max_length=64, description="Digest of the certificate that is known.")] = "",
) -> Watch[ErasureView]:
    """How far an erasure is; waits for a certificate, or for another one than is known."""

    def read() -> ErasureView:
        erasure, certificate = factory.erasures.show(caller.tenant, dataset)
        return ErasureView(
            dataset=dataset,
            state=str(erasure.state),
            erasure=erasure.statement,
            certificate=certificate.to_json() if certificate else "",
            objects_deleted=erasure.objects_deleted,
        )

    def is_news(view: ErasureView) -> bool:
        return bool(view.certificate) and Envelope.from_json(view.certificate).digest != after

    return Watch(erasure_topic(caller.tenant, dataset), read, is_news, wait)
