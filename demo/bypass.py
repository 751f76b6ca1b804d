"""Play a member who passes over the own catalogue: order a run on a dataset that was erased.

    python demo/bypass.py CUSTOMER_HOME JOB_FILE DATASET_ID ORDER_FILE

`kifabrik apply` looks the dataset up by name and finds that it was erased. This signs the order all the same,
with the member's real device key, for the version the ledger names. The factory must refuse it; the signed
order is kept in ORDER_FILE, for a factory that does not (demo/forge.py).

The exit status is 0 if the factory refused.
"""

import json
import sys
from pathlib import Path

from ink import paint

from kifabrik.customer.apply import PreparedRun, lock_environment, submit
from kifabrik.customer.session import open_session
from kifabrik.errors import KifabrikError
from kifabrik.jobs.jobfile import read_job
from kifabrik.ledger.entry import EntryKind
from kifabrik.orders.order import Input
from kifabrik.values import Kind, new_id


def main():
    home, job_file, dataset, kept = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    with open_session(home) as session:
        entries = session.catalogue().entries
        sealed = [
            one.refs for one in entries if one.kind is EntryKind.DATASET_SEALED and one.refs["dataset"] == dataset
        ]
        job = read_job(job_file)
        item = Input(dataset, sealed[-1]["version"], sealed[-1]["manifest"])
        inputs = dict.fromkeys(job.inputs(), item)
        prepared = PreparedRun(new_id(Kind.RUN), job, job_file.parent, inputs, {}, {}, None)
        honest = session.runs.order

        def keep_and_order(order, code, lock, detail):
            kept.write_text(json.dumps({"order": order.to_json(), "code": code.to_json()}))
            return honest(order, code, lock, detail)

        session.runs.order = keep_and_order
        try:
            submit(session, prepared, lock_environment(prepared))
        except KifabrikError as error:
            print(f"     {paint('32', '✓ refused')} by the factory ({error.code}): {error.message}")
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
