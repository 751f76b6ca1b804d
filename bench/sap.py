"""Rows a second from an OData service to a sealed Parquet dataset, beside pyodata and a bare loop of requests.

python bench/sap.py [--repeat 3] [--json PATH]       40,000 rows of SAP's own server in pages of 50, and 100,000
                                                     and a million of one of ours with pages made before, where
                                                     clients count
python bench/sap.py --quick [--json PATH]            the last two only
python bench/sap.py --stages                         where our processor's time goes, stage by stage
python bench/sap.py --large 10000000 [--json PATH]   memory for a tenth and for all of the rows

The bare loop is the limit: it asks for page after page and reads the JSON, and keeps nothing. pyodata is SAP's own
client of V2; its rows go into a pandas frame. Ours ends with a version that is typed, sealed, uploaded to a factory
on this machine and registered in its log. SAP's server and pyodata are left out where they are not installed.
"""

import logging
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx
from party import enrol_here, up
from report import Bar, Picture, at_least, hand_on, parser

TESTS: Final = Path(__file__).parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "services")]

PYODATA = "pyodata into pandas, V2"
FIELDS = ("ID", "plant", "product", "day", "quantity", "shipped")
PLAN = """
service: {service}
dataset: bench
purpose: benchmark
confirmed: {{by: the benchmark, on: 2026-11-20, because: "a server of its own"}}
sign_in: {sign_in}
limits: {{requests_per_second: 1000}}
pull: [{{entity_set: Sales, fields: [{fields}], rows: 100000000}}]
"""


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--repeat", type=int, default=3)
    made.add_argument("--rows", type=int, default=40_000, help="of SAP's server")
    made.add_argument("--most", type=int, default=KEPT, help="rows of the server whose pages are made before")
    made.add_argument("--large", type=int, default=0)
    made.add_argument("--quick", action="store_true", help="only the server whose pages are made before")
    made.add_argument("--stages", action="store_true", help="processor's time of each stage")
    wishes = made.parse_args()
    if wishes.stages:
        stages(2)
        stages(4)
        return
    with tempfile.TemporaryDirectory(prefix="kifabrik-bench-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        with up(home, "--single-party", "--port", "0"):
            enrol_here(home)
            if wishes.large:
                large(home, wishes.large, wishes.json)
                return
            found = [] if wishes.quick else beside_sap(home, Path(folder), wishes)
            hand_on(wishes.json, *found, quickly(home, wishes), at_length(home, wishes))


def beside_sap(home: Path, folder: Path, wishes) -> list[Picture]:
    """SAP's own server; nothing where it is not installed."""
    from peer import installed, running  # noqa: PLC0415 - beside the tests

    if installed() is None:
        print("SAP's CAP server is not installed and left out (scripts/install-services)")
        return []
    print("SAP's server, pages of 50")
    with running(
        folder / "peer", cds_features_ieee754compatible="true", PEER_PRODUCTS="100", PEER_SALES=str(wishes.rows)
    ) as peer:
        os.environ["KIFABRIK_BENCH_SECRET"] = peer.secret
        token = sign_in(peer)
        secret = "{env: KIFABRIK_BENCH_SECRET}"
        sign = f'{{kind: oauth2, token_url: "{peer.token_url}", client_id: kifabrik, client_secret: {secret}}}'
        v4, v2 = peer.service("supply"), peer.service("supply", 2)
        rates = race(
            {
                "bare loop, V4": lambda: bare(v4, token, 4),
                "kifabrik, V4": lambda: pulled(home, v4, sign),
                "bare loop, V2": lambda: bare(v2, token, 2),
                "kifabrik, V2": lambda: pulled(home, v2, sign),
                # It follows no link to another name of the same host, and this server's V2 links say localhost.
                PYODATA: lambda: pyodata_rows(v2.replace("127.0.0.1", "localhost"), token),
            },
            wishes.repeat,
        )
    return [picture("From SAP's server to a sealed dataset, pages of 50", rates)]


def quickly(home: Path, wishes) -> Picture:
    """A server of ours whose pages are made before, so that only clients count."""
    rows = min(wishes.most, 100_000)
    print(f"pages of 5,000 made before, {rows:,} rows")
    with serving(rows, 2) as service:
        rates = race(
            {
                "bare loop, V2": lambda: bare(service, "none", 2),
                "kifabrik, V2": lambda: pulled(home, service, "{kind: none}"),
                PYODATA: lambda: pyodata_rows(service, "none"),
            },
            wishes.repeat,
        )
    targets = ()
    if PYODATA in rates:
        targets = (
            at_least(f"SAP, {rows:,} rows, to pyodata", rates["kifabrik, V2"] / rates[PYODATA], 5, "{:.1f} x"),
        )
    return picture("From a quick server to a sealed dataset, pages of 5,000", rates, targets)


def at_length(home: Path, wishes) -> Picture:
    """A million rows, so that signing in, registering and the last part hardly count."""
    rows = min(wishes.most, KEPT)
    print(f"pages of 5,000 made before, {rows:,} rows")
    with serving(rows, 2) as service:
        rates = race(
            {
                "bare loop, V2": lambda: bare(service, "none", 2),
                "kifabrik, V2": lambda: pulled(home, service, "{kind: none}"),
            },
            wishes.repeat,
        )
    share = rates["kifabrik, V2"] / rates["bare loop, V2"]
    target = at_least(f"SAP, {rows:,} rows, to a bare loop of requests", share, 0.8, "{:.2f}")
    return picture(f"The same, {rows:,} rows", rates, (target,))


def picture(title: str, rates: dict[str, float], targets=()) -> Picture:
    """Bars of what was raced."""
    kinds = {"bare": "limit", "kifabrik": "ours", "pyodata": "peer"}
    bars = tuple(Bar(name, rate, kinds[name.split()[0].rstrip(",")]) for name, rate in rates.items())
    return Picture(title, "rows/s", bars, targets=targets)


def stages(version: int, rows: int = 200_000) -> None:
    """Each stage by itself over the same pages, one after the other in one thread."""
    import hashlib  # noqa: PLC0415
    import json  # noqa: PLC0415

    import pandas.util  # noqa: F401, PLC0415 - not to be counted

    from kifabrik.connectors.sap.asking import caller_of  # noqa: PLC0415
    from kifabrik.connectors.sap.columnar import PageReader  # noqa: PLC0415
    from kifabrik.connectors.sap.keys import Hasher  # noqa: PLC0415
    from kifabrik.connectors.sap.parts import PartBuilder  # noqa: PLC0415
    from kifabrik.connectors.sap.plan import Plan, parse  # noqa: PLC0415
    from kifabrik.connectors.sap.pull import fetch_service  # noqa: PLC0415
    from kifabrik.connectors.sap.selection import select  # noqa: PLC0415
    from kifabrik.seals.sealing import new_file_key, seal_bytes  # noqa: PLC0415

    print(f"V{version}, pages of 5,000 made before, {rows:,} rows: a core's time a row, and the clock's")
    watch = Stages(rows)
    with serving(rows, version) as service:
        plan = parse(Plan, PLAN.format(service=service, sign_in="{kind: none}", fields=", ".join(FIELDS)), "plan")
        with caller_of(plan) as caller:
            chosen = select(fetch_service(caller), plan.pull[0])
            links = [f"Sales?$skiptoken={start}" for start in range(0, rows, PAGE)]
            answers = watch("ask, and take what comes", lambda: [caller.get(link) for link in links])
    watch("(json.loads, for comparison)", lambda: [json.loads(one.body) for one in answers])
    read = PageReader(chosen)
    read(answers[0])
    pages = watch("read the JSON", lambda: [read(one).rows for one in answers])
    columns = chosen.table.columns
    watch("type", lambda: [one.make(rows.field(one.name), "bench") for rows in pages for one in columns])
    hasher = Hasher(b"salt", chosen.table.keys)
    watch("hash keys", lambda: [hasher.columns([rows.field("ID")]) for rows in pages])
    builder = PartBuilder(chosen.table, b"salt", {}, recall=lambda: hasher.rows([]))
    watch("type, hash keys, watch them, Parquet", lambda: [builder.add(one) for one in pages])
    data = watch("finish the Parquet", builder.finish).data
    watch(
        "hash the Parquet twice, and seal it",
        lambda: [hashlib.sha256(data), hashlib.sha256(data), seal_bytes(data, new_file_key())],
    )
    print(f"  {len(data) / rows:.1f} bytes of Parquet a row, {len(answers[0].body) / PAGE:.0f} of JSON")


class Stages:
    """Prints what a stage costs a row."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __call__(self, name, run):
        used, begun = time.process_time(), time.perf_counter()
        found = run()
        used, begun = time.process_time() - used, time.perf_counter() - begun
        print(f"  {name:38} {used / self._rows * 1e6:6.2f} µs   {begun / self._rows * 1e6:6.2f} µs")
        return found


def race(contenders, repeat: int) -> dict[str, float]:
    """Rows a second of each at its best, taken in turns; prints them beside their limit, and the processor's time.

    The processor's time is that of the client alone, all its threads; it hardly depends on what else runs.
    """
    if PYODATA in contenders and find_spec("pyodata") is None:
        print("pyodata is not installed and left out (pip install pyodata)")
        contenders = {name: run for name, run in contenders.items() if name != PYODATA}
    rates = dict.fromkeys(contenders, 0.0)
    costs = dict.fromkeys(contenders, float("inf"))
    for _ in range(repeat):
        for name, run in contenders.items():
            begun, used = time.perf_counter(), time.process_time()
            rows = run()
            rates[name] = max(rates[name], rows / (time.perf_counter() - begun))
            costs[name] = min(costs[name], (time.process_time() - used) / rows)
    for name, rate in rates.items():
        limit = f"bare loop, V{name[-1]}"
        print(
            f"  {name:24} {rate:9,.0f} rows/s   {rate / rates[limit]:5.2f} of the bare loop"
            f"   {costs[name] * 1e6:6.1f} µs of a core a row"
        )
    return rates


def sign_in(peer) -> str:
    """A token."""
    pair = ("kifabrik", peer.secret)
    answer = httpx.post(peer.token_url, data={"grant_type": "client_credentials"}, auth=pair)
    return answer.json()["access_token"]


def bare(service: str, token: str, version: int) -> int:
    """Ask for page after page, read the JSON, count."""
    link = f"{service}/Sales?$select={','.join(FIELDS)}&$orderby=ID" + ("&$format=json" if version == 2 else "")
    head = {"authorization": f"Bearer {token}", "accept": "application/json"}
    rows = 0
    with httpx.Client(headers=head, timeout=120) as client:
        while link:
            body = client.get(link).json()
            if version == 2:
                rows += len(body["d"]["results"])
                link = body["d"].get("__next", "")
            else:
                rows += len(body["value"])
                link = body.get("@odata.nextLink", "")
                link = link and f"{service}/{link}"
    return rows


def pulled(home: Path, service: str, sign: str) -> int:
    """Pull, and return the number of rows."""
    from kifabrik.connectors.sap.plan import Plan, parse  # noqa: PLC0415
    from kifabrik.connectors.sap.pull import pull  # noqa: PLC0415
    from kifabrik.customer.session import open_session  # noqa: PLC0415

    plan = parse(Plan, PLAN.format(service=service, sign_in=sign, fields=", ".join(FIELDS)), "plan")
    with open_session(home) as session:
        return pull(session, plan, again=True).sets[0].total


def pyodata_rows(service: str, token: str) -> int:
    """Every row of the V2 service as SAP's client gives it, into a frame."""
    import pandas as pd  # noqa: PLC0415
    import pyodata  # noqa: PLC0415
    import requests  # noqa: PLC0415

    logging.disable(logging.WARNING)  # annotations it does not know
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {token}"
    client = pyodata.Client(service, session)
    request = client.entity_sets.Sales.get_entities().select(",".join(FIELDS)).order_by("ID")
    rows: list[dict[str, object]] = []
    while True:
        answer = request.execute()
        rows += [{name: getattr(entity, name) for name in FIELDS} for entity in answer]
        if answer.next_url is None:
            break
        request = client.entity_sets.Sales.get_entities().next_url(answer.next_url)
    return len(pd.DataFrame(rows))


def large(home: Path, rows: int, target) -> None:
    """A server of ours with large pages: how much memory a tenth and all of the rows take."""
    measured = {}
    for count in (rows // 10, rows):
        with serving(count, 4) as service:
            queue = multiprocessing.Queue()
            work = multiprocessing.Process(target=measure, args=(home, service, queue))
            work.start()
            measured[count] = queue.get()
            work.join()
        seconds, mebibytes = measured[count]
        print(f"{count:12,} rows   {count / seconds:10,.0f} rows/s   {mebibytes:6.0f} MiB at most")
    bars = tuple(Bar(f"{count:,} rows", mebibytes, "ours") for count, (_, mebibytes) in measured.items())
    hand_on(target, Picture("Memory of a pull", "MiB", bars))


def measure(home: Path, service: str, queue) -> None:
    """Pull in a process of its own."""
    begun = time.perf_counter()
    pulled(home, service, "{kind: none}")
    queue.put((time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


@contextmanager
def serving(rows: int, version: int):
    """A server of ours in a process of its own; its URL."""
    port = multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=serve, args=(rows, version, port), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port.value}/S"
    finally:
        server.terminate()
        server.join()


def serve(rows: int, version: int, port) -> None:
    """Pages of 5,000 rows; those of few rows are made once."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer  # noqa: PLC0415
    from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = parse_qs(parts.query)
            start = int(asked.get("$skiptoken", asked.get("$skip", ["0"]))[0])
            if parts.path.endswith("$metadata"):
                data = METADATA[version].encode()
            else:
                data = made.get(start) or page_of(start, rows, version, port.value)
            self.send_response(200)
            kind = "xml" if parts.path.endswith("$metadata") else "json"
            self.send_header("content-type", f"application/{kind}")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_words) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made: dict[int, bytes] = {}
    if rows <= KEPT:
        number = server.server_address[1]
        made = {start: page_of(start, rows, version, number) for start in range(0, rows, PAGE)}
    port.value = server.server_address[1]
    server.serve_forever()


def page_of(start: int, rows: int, version: int, port: int) -> bytes:
    """One page as a service would write it."""
    end = min(start + PAGE, rows)
    if version == 4:
        link = f'"@odata.nextLink":"Sales?$skiptoken={end}",' if end < rows else ""
        day, shipped = '"2026-01-02"', '"2026-01-02T14:05:00Z"'
    else:
        link = f'"__next":"http://127.0.0.1:{port}/S/Sales?$skiptoken={end}",' if end < rows else ""
        day, shipped = '"/Date(1767312000000)/"', '"/Date(1767362700000+0000)/"'
    body = ",".join(
        f'{{"ID":"{n}","plant":"DE0{n % 4}","product":"M-{n % 977:06d}","day":{day},'
        f'"quantity":"{n % 1000}.125","shipped":{shipped}}}'
        for n in range(start, end)
    )
    if version == 4:
        return f'{{"@odata.count":{rows},{link}"value":[{body}]}}'.encode()
    return f'{{"d":{{"__count":"{rows}",{link}"results":[{body}]}}}}'.encode()


def metadata(version: int) -> str:
    """What the server says of itself."""
    day = ("DateTime", ' Precision="0" sap:display-format="Date"') if version == 2 else ("Date", "")
    fields = "".join(
        f'<Property Name="{name}" Type="Edm.{kind}"{more}/>'
        for name, kind, more in (
            ("ID", "Int64", ' Nullable="false"'),
            ("plant", "String", ""),
            ("product", "String", ""),
            ("day", *day),
            ("quantity", "Decimal", ' Precision="15" Scale="3"'),
            ("shipped", "DateTimeOffset", ' Precision="0"'),
        )
    )
    if version == 4:
        heads = (
            'Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"',
            "",
            "http://docs.oasis-open.org/odata/ns/edm",
        )
    else:
        names = (
            'Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" '
            'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" '
            'xmlns:sap="http://www.sap.com/Protocols/SAPData"'
        )
        heads = (
            names,
            ' m:DataServiceVersion="2.0"',
            "http://schemas.microsoft.com/ado/2008/09/edm",
        )
    main = ' m:IsDefaultEntityContainer="true"' if version == 2 else ""
    return (
        f'<edmx:Edmx {heads[0]}><edmx:DataServices{heads[1]}><Schema Namespace="S" xmlns="{heads[2]}">'
        f'<EntityType Name="Sale"><Key><PropertyRef Name="ID"/></Key>{fields}</EntityType>'
        f'<EntityContainer Name="C"{main}><EntitySet Name="Sales" EntityType="S.Sale"/></EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )


PAGE, KEPT = 5000, 1_000_000
METADATA = {version: metadata(version) for version in (2, 4)}


if __name__ == "__main__":
    main()
