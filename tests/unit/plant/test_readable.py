"""Files of people that are no such files: every reader says so in a sentence that names the file."""

import gzip
import os

import pytest
from plant_sites import munich

from kifabrik.errors import UsageError
from kifabrik.plant.courses import river_of, weather_of
from kifabrik.plant.governor.forecast import read_forecast
from kifabrik.plant.loads import read_load
from kifabrik.plant.metering.kinds import Kind, Meter
from kifabrik.plant.metering.table import read_table
from kifabrik.plant.placement.cluster import read_nodes, read_pods
from kifabrik.plant.site import Table, TariffTable
from kifabrik.plant.spans import Span
from kifabrik.plant.tariffs import tariff_of
from kifabrik.plant.workload.capping import read_measured
from kifabrik.plant.workload.reading import read_trace

SPAN = Span(2026)
COURSE = munich().river.temperature.otherwise


def _tariff(path):
    power = munich().electricity.model_copy(update={"price_table": TariffTable(file=path.name)})
    return tariff_of(power, SPAN, path.parent)


READERS = {
    "load": (lambda path: read_load(path, SPAN), "time,watts", "0,1"),
    "forecast": (read_forecast, "river_celsius,flow_m3s,limit_celsius,limit_warming_k,time", "1,1,1,1,"),
    "trace": (read_trace, "submit,seconds,gpus", "0,1,1"),
    "river": (
        lambda path: river_of(Table(file=path.name, otherwise=COURSE), SPAN, path.parent),
        "date,temp_mean_c,temp_max_c,temp_min_c",
        "2026-01-01,1,1,1",
    ),
    "weather": (
        lambda path: weather_of(Table(file=path.name, otherwise=COURSE), SPAN, path.parent),
        "***",
        "1 2 3",
    ),
    "nodes": (read_nodes, "gpu,cpu_milli,memory_mib", "1,1,1"),
    "pods": (read_pods, "num_gpu,cpu_milli,memory_mib,gpu_milli", "1,1,1,1000"),
    "measured": (
        read_measured,
        "power_limit,time_per_epoch,average_power,dataset,network,batch_size,optimizer",
        "1,1,1,a,b,c,d",
    ),
    "tariff": (_tariff, "time,EUR/MWh", "2026-01-01T00:00,1"),
    "meter": (
        lambda path: read_table(
            path, Meter(name="m", kind=Kind.POWER, unit="W"), time="time", value="value", zone="UTC"
        ),
        "time,value",
        "0,1",
    ),
}
GARBAGE = {
    "nothing": b"",
    "a line feed": b"\n",
    "zeros": bytes(64),
    "no text": bytes(range(256)) * 4,
    "half of a letter": "time,\u00e4".encode()[:-1],
    "a header of something else": b"a;b;c\n1;2;3\n",
}
LINES = {
    "a huge cell": b"9" * 200_000,
    "too few cells": b"0",
    "words": b"soon,much,many,x,y",
    "not a number": b"nan,nan,nan,nan,nan",
    "beyond all numbers": b"inf,inf,inf,inf,inf",
    "an open quotation mark": b'"0,1,1',
    "a byte that is no letter": b"0,\xff,1",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize(("read", "head", "line"), READERS.values(), ids=READERS)
def test_what_is_no_table_is_refused_by_its_name(tmp_path, read, head, line, garbage):
    path = tmp_path / "table.csv"
    path.write_bytes(garbage)
    with pytest.raises(UsageError, match=r"table\.csv"):
        read(path)


@pytest.mark.parametrize("bad", LINES.values(), ids=LINES)
@pytest.mark.parametrize(("read", "head", "line"), READERS.values(), ids=READERS)
def test_a_line_that_is_none_is_refused_by_its_file(tmp_path, read, head, line, bad):
    path = tmp_path / "table.csv"
    path.write_bytes(head.encode() + b"\n" + line.encode() + b"\n" + bad + b"\n")
    with pytest.raises(UsageError, match=r"table\.csv"):
        read(path)


def test_a_number_beyond_64_bits_is_refused_by_line_and_field(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"cpu_milli,memory_mib,gpu\n1,{'9' * 30},1\n")
    with pytest.raises(UsageError, match=r"table\.csv, line 2, field memory_mib: '9+' is not a whole"):
        read_nodes(path)


def test_a_broken_archive_of_a_trace_is_refused(tmp_path):
    path = tmp_path / "trace.csv.gz"
    packed = bytearray(gzip.compress(b"submit,seconds,gpus\n" + os.urandom(4000).hex().encode()))
    packed[40:60] = bytes(20)
    path.write_bytes(packed)
    with pytest.raises(UsageError, match=r"trace\.csv\.gz"):
        read_trace(path)


def test_a_trace_with_the_mark_of_windows_in_front_is_read(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_bytes(b"\xef\xbb\xbfsubmit,seconds,gpus\n0,10,8\n")
    assert read_trace(path).jobs == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000, "nested too deeply"),
        (
            '[{"created": "2026-01-01", "resources": {"gpu_count": "x"}}]',
            "resources.gpu_count: 'x' is not a number",
        ),
        ('[{"created": "2026-01-01", "resources": {"gpu_count": null}}]', "resources.gpu_count: 'None' is not"),
        ("{}", "is not a list of runs"),
        ("[1]", "run 1: there is no field created"),
    ],
)
def test_runs_that_are_none_are_refused_by_run_and_field(tmp_path, text, told):
    path = tmp_path / "runs.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_trace(path)
