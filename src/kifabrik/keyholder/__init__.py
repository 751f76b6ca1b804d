"""The customer's keyholder: it alone can open what the customer seals, and releases keys on record only.

    unlocking vault database state clock   what lies in its folder, and how it is opened
    setup steward backup restore           making one; what the tenant key signs; losing and regaining one
    log_watch learning                     the full mirror of the log, and what its entries establish
    cases judge judge_members              facts, gathered; decisions, pure
    desk opening delivery                  decisions written down, headers wrapped anew, answers sent
    erasing recipients results             identities destroyed, published, made in advance
    loop keyholder                         the one serving process; the door for commands

Invariants:
- it only connects outwards; nothing the factory says is believed without a signature or a proof;
- no key leaves before the request and the keyholder's own decision stand in a log that extends
  everything seen before;
- what is recorded here first, and what only the factory knows, never outweighs: revocations, erasures,
  removals and freezes hold from the moment they are made;
- no secret leaves: leases carry headers wrapped for one receiver, backups their own passphrase.
"""
