"""The tables of the keyholder's database.

What is learnt from the log can be learnt again; `secrets`, `decisions`, `leases` and `blocks` cannot.
"""

from typing import Final

VERSION: Final = 4

FIRST: Final = 3
"""What `TABLES` makes; older ones are not read."""

TABLES: Final = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- Private keys, each encrypted under the state key.
CREATE TABLE secrets (
  name TEXT PRIMARY KEY, public TEXT NOT NULL, created TEXT NOT NULL, sealed BLOB NOT NULL
) STRICT;

-- The full mirror of the log.
CREATE TABLE mirror_entries (number INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;

-- What verified statements in the log have established, each with the index of its entry.
CREATE TABLE devices (
  device_key TEXT PRIMARY KEY, member TEXT NOT NULL, role TEXT NOT NULL, recipient TEXT NOT NULL,
  membership TEXT NOT NULL UNIQUE, statement TEXT NOT NULL, log_index INTEGER NOT NULL
) STRICT;
CREATE TABLE manifests (
  digest TEXT PRIMARY KEY, owner TEXT NOT NULL, version INTEGER NOT NULL, envelope TEXT NOT NULL,
  log_index INTEGER NOT NULL, UNIQUE (owner, version)
) STRICT;
CREATE TABLE grants (
  id TEXT PRIMARY KEY, dataset TEXT NOT NULL, envelope TEXT NOT NULL, log_index INTEGER NOT NULL
) STRICT;
CREATE INDEX grants_by_dataset ON grants (dataset);
CREATE TABLE orders (
  digest TEXT PRIMARY KEY, run TEXT NOT NULL UNIQUE, nonce TEXT NOT NULL UNIQUE, member TEXT NOT NULL,
  device_key TEXT NOT NULL, envelope TEXT NOT NULL, log_index INTEGER NOT NULL
) STRICT;
CREATE TABLE requests (
  digest TEXT PRIMARY KEY, log_index INTEGER NOT NULL, asked INTEGER NOT NULL DEFAULT 0,
  run TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT ''
) STRICT;
-- What counts as attested. Without log_index: made here, not in the log yet. Without envelope: it does not verify.
CREATE TABLE attestation_policies (
  digest TEXT PRIMARY KEY, sequence INTEGER NOT NULL, envelope TEXT NOT NULL, log_index INTEGER
) STRICT;
CREATE TABLE outputs (
  run TEXT NOT NULL, number INTEGER NOT NULL, manifest TEXT NOT NULL, PRIMARY KEY (run, number, manifest)
) STRICT;

-- What must not be used: a grant, dataset or member, or '' for everything. Local facts and the log's alike.
CREATE TABLE blocks (
  subject TEXT NOT NULL, cause TEXT NOT NULL, since TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (subject, cause)
) STRICT;

-- What this keyholder has decided: written here, then sent; found in the log, then its headers sent.
CREATE TABLE decisions (
  request TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, envelope TEXT NOT NULL, headers BLOB NOT NULL,
  created TEXT NOT NULL, log_index INTEGER, done INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX decisions_open ON decisions (created) WHERE done = 0;
CREATE TABLE leases (
  lease TEXT PRIMARY KEY, request TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, run TEXT NOT NULL,
  receiver TEXT NOT NULL, number INTEGER NOT NULL, run_key TEXT NOT NULL, created TEXT NOT NULL
) STRICT;
CREATE INDEX leases_by_run ON leases (run);
CREATE TABLE lease_datasets (
  lease TEXT NOT NULL, dataset TEXT NOT NULL, grant_id TEXT NOT NULL, direct INTEGER NOT NULL,
  PRIMARY KEY (lease, dataset, grant_id)
) STRICT;
CREATE INDEX lease_datasets_by_dataset ON lease_datasets (dataset);
CREATE INDEX lease_datasets_by_grant ON lease_datasets (grant_id);
CREATE TABLE run_inputs (run TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (run, owner)) STRICT;
CREATE TABLE results (run TEXT PRIMARY KEY, recipient TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE nonces (nonce TEXT PRIMARY KEY, request TEXT NOT NULL) STRICT;
CREATE TABLE challenges (key TEXT PRIMARY KEY, secret TEXT NOT NULL, created TEXT NOT NULL) STRICT;
CREATE TABLE quotes (binding TEXT PRIMARY KEY, request TEXT NOT NULL, seen TEXT NOT NULL) STRICT;
CREATE TABLE opinions (request TEXT PRIMARY KEY, approved INTEGER NOT NULL, created TEXT NOT NULL) STRICT;
CREATE TABLE erasures (
  dataset TEXT PRIMARY KEY, digest TEXT NOT NULL, derived INTEGER NOT NULL, destroyed TEXT NOT NULL,
  certified TEXT NOT NULL
) STRICT;
CREATE TABLE backups (id TEXT PRIMARY KEY, created TEXT NOT NULL, expires TEXT NOT NULL) STRICT;

-- Statements made here that were not seen in the log yet; log_index is where the factory says they stand.
CREATE TABLE outbox (
  digest TEXT PRIMARY KEY, kind TEXT NOT NULL, envelope TEXT NOT NULL, detail TEXT NOT NULL, created TEXT NOT NULL,
  log_index INTEGER
) STRICT;
CREATE TABLE unresolved (log_index INTEGER PRIMARY KEY, reason TEXT NOT NULL) STRICT;
CREATE TABLE evidence (
  id INTEGER PRIMARY KEY, created TEXT NOT NULL, reason TEXT NOT NULL, data BLOB NOT NULL
) STRICT;
CREATE TABLE names (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL) STRICT;
"""

STEPS: Final = {
    4: (
        # Found without a search of all that ever were; decisions also come from a backup, before their requests.
        "ALTER TABLE requests ADD COLUMN decided INTEGER NOT NULL DEFAULT 0",
        "UPDATE requests SET decided = 1 WHERE digest IN (SELECT request FROM decisions)",
        "CREATE INDEX requests_undecided ON requests (log_index) WHERE decided = 0",
        (
            "CREATE TRIGGER decided AFTER INSERT ON decisions BEGIN"
            " UPDATE requests SET decided = 1 WHERE digest = NEW.request; END"
        ),
        (
            "CREATE TRIGGER withdrawn AFTER DELETE ON decisions BEGIN"
            " UPDATE requests SET decided = 0 WHERE digest = OLD.request; END"
        ),
        (
            "CREATE TRIGGER decided_before AFTER INSERT ON requests"
            " WHEN EXISTS (SELECT 1 FROM decisions WHERE request = NEW.digest) BEGIN"
            " UPDATE requests SET decided = 1 WHERE digest = NEW.digest; END"
        ),
    ),
}
"""What brings a database to each later version."""

BACKED_UP: Final = (
    "blocks",
    "decisions",
    "leases",
    "lease_datasets",
    "run_inputs",
    "results",
    "nonces",
    "quotes",
    "opinions",
    "erasures",
    "backups",
    "outbox",
    "evidence",
    "names",
)
"""Tables a backup holds. Secrets are written anew; what was learnt from the log is learnt anew."""
