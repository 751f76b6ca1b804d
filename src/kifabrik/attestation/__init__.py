"""Attested nodes: what a node's hardware shows of itself, checked by pure functions.

    policy       what the tenant accepts: endorsed nodes, boot images, confidential guests
    binding      what a quote is made over: one cosigned tree head, one attempt, one node
    evidence     the envelope all kinds of evidence come in, and the one-method verifier
    verify       all evidence of one node against the policy
    tpm_structures tpm_quote    TPM 2.0 quotes
    tpm_credential enrolment    whether a key lives in the TPM whose endorsement key is known
    snp          AMD SEV-SNP reports
    certificates chains of endorsement certificates

Invariants:
- every byte comes from the other side: what is not understood in full is refused with `IntegrityError`;
- the caller brings policy, keys and times: nothing here asks a clock, a network or a device;
- a kind of evidence without a verifier is refused, never skipped;
- quoting is the launcher's affair; nothing here can make evidence.
"""
