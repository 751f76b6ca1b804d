import gzip
import json

import numpy as np
import pytest

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.plant.workload.reading import read_trace

HEAD = "timestamp,duration,num_gpus,cluster\n"
SWF = "1 0 5 3600 8 -1 -1 8 7200 -1 1 1 3 -1 -1 -1 -1 -1\n"


def written(tmp_path, text, name="trace.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_csv_trace_is_ordered_by_submission_and_begins_with_the_first(tmp_path):
    trace = read_trace(written(tmp_path, HEAD + "2017-10-09 07:01:55,66.5,2,b\n2017-10-09 07:00:55,10,1,a\n"))
    assert trace.submit.tolist() == [0, 60]
    assert trace.seconds.tolist() == [10, 67]
    assert [trace.tenants[number] for number in trace.tenant] == ["a", "b"]
    assert np.isinf(trace.until).all()


def test_a_packed_trace_with_seconds_estimates_and_deadlines_is_read(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"submit,seconds,gpus,estimate,until\n5,10,1,20,100\n7,10,1,,\n"))
    trace = read_trace(path)
    assert trace.estimate.tolist() == [20, 10]
    assert trace.until.tolist() == [95, np.inf]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timestamp,num_gpus\n", r"line 1: there is no column seconds \(or duration\)"),
        ("", "line 1: there is no column submit"),
        (HEAD, "has no job"),
        (HEAD + "0,10,1,a\n0,-5,1,a\n", "line 3, field duration: -5 is not above 0"),
        (HEAD + "0,10,0.5,a\n", r"line 2, field num_gpus: 0\.5 is not a number of GPUs"),
        (HEAD + "0,ten,1,a\n", "line 2, field duration: 'ten' is not a number"),
        (HEAD + "0,nan,1,a\n", "line 2, field duration: 'nan' is not a number"),
        (HEAD + "yesterday,10,1,a\n", "line 2, field timestamp: 'yesterday' is neither seconds nor a date"),
        (HEAD + "0,10,1\n", "line 2: 3 fields, but 4 columns"),
    ],
)
def test_what_is_wrong_in_a_csv_trace_is_named_with_line_and_field(tmp_path, text, said):
    with pytest.raises(UsageError, match=said):
        read_trace(written(tmp_path, text))


def test_jobs_of_the_standard_workload_format_that_ran_are_read(tmp_path):
    cancelled = "2 10 5 -1 8 -1 -1 8 7200 -1 5 1 3 -1 -1 -1 -1 -1\n"
    trace = read_trace(written(tmp_path, "; Version: 2.2\n" + SWF + cancelled, "x.swf"))
    assert (trace.jobs, trace.gpus[0], trace.seconds[0], trace.estimate[0]) == (1, 8, 3600, 7200)
    assert trace.tenants == ("group 3",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 0 5\n", "line 1: 3 fields"),
        (SWF.replace("3600", "-7"), "line 1, field 4: -7 is negative"),
        (SWF.replace("3600", "x"), "line 1, field 4: 'x' is not a number"),
    ],
)
def test_what_is_wrong_in_the_standard_workload_format_is_named(tmp_path, text, said):
    with pytest.raises(UsageError, match=said):
        read_trace(written(tmp_path, text, "x.swf"))


def run(**changes):
    return {
        "member": "ana",
        "created": "2026-11-20T08:00:00Z",
        "finished": "2026-11-20T10:00:00Z",
        "resources": {"gpu_count": 4, "nodes": 2},
        "footprint": {"wall_s": 7000.0},
        "cap_s": 7200,
        **changes,
    }


def test_finished_runs_with_gpus_are_read_from_what_ps_prints(tmp_path):
    runs = [
        run(created="2026-11-20T09:00:00Z"),
        run(),
        run(finished=""),
        run(resources={"gpu_count": 0, "nodes": 1}),
    ]
    trace = read_trace(written(tmp_path, json.dumps(runs), "runs.json"))
    assert trace.submit.tolist() == [0, 3600]
    assert trace.gpus.tolist() == [8, 8]
    assert trace.seconds.tolist() == [3500, 3500]
    assert trace.estimate.tolist() == [7200, 7200]


def test_what_is_no_list_of_runs_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"run 1: there is no field resources\.gpu_count"):
        read_trace(written(tmp_path, json.dumps([run(resources={})]), "runs.json"))
    with pytest.raises(UsageError, match="line 1"):
        read_trace(written(tmp_path, "[", "runs.json"))
    with pytest.raises(NotFoundError, match="There is no trace"):
        read_trace(tmp_path / "none.csv")


def test_a_job_of_300_years_is_refused_with_its_field(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("submit,seconds,gpus\n0,1e12,1\n")
    with pytest.raises(UsageError, match="line 2, field seconds: 1e12 seconds are more than 300 years"):
        read_trace(path)
