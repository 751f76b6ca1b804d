"""Plans: what a person must say, and what is asked for because of it."""

import pytest
from scripted import metadata

from kifabrik.connectors.sap.metadata import read_metadata
from kifabrik.connectors.sap.plan import Plan, parse, read_plan
from kifabrik.connectors.sap.selection import select
from kifabrik.connectors.sap.templates import NetworkPlan
from kifabrik.errors import NotFoundError, UsageError

PLAN = """
service: https://s4.example/odata/S
dataset: items
purpose: testing
confirmed: {by: Anna Huber, on: 2026-11-20, because: published for this}
pull:
- {entity_set: Items, fields: [name], rows: 10}
"""


def test_a_plan_asks_for_what_it_names_and_no_more():
    plan = parse(Plan, PLAN.replace("rows: 10", "rows: 10, filter: \"name ne 'a&b'\""), "plan.yaml")
    selection = select(read_metadata(metadata()), plan.pull[0])
    assert selection.link() == "Items?$select=ID,name&$filter=name%20ne%20'a%26b'&$orderby=ID&$count=true"
    unordered = select(read_metadata(metadata()), plan.pull[0].model_copy(update={"ordered": False}))
    assert "orderby" not in unordered.link()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("confirmed: {by: Anna Huber, on: 2026-11-20, because: published for this}", "", "'confirmed' is missing"),
        (", because: published for this", "", "'confirmed.because' is missing"),
        ("by: Anna Huber", "by: ''", "confirmed.by"),
        ("2026-11-20", "20th of November", "confirmed.on"),
        (", rows: 10", "", "'pull.0.rows' is missing"),
        ("rows: 10", "rows: 0", "pull.0.rows"),
        ("fields: [name]", "fields: []", "pull.0.fields"),
        ("fields: [name]", "fields: ['*']", "pull.0.fields"),
        ("fields: [name]", "fields: [name, name]", "a field stands twice"),
        ("entity_set: Items", "entity_set: '../Items'", "pull.0.entity_set"),
        ("https://", "http://", "service: must begin with https://"),
        ("dataset: items", "dataset: Items", "not a dataset name"),
        ("purpose: testing", "purpose: all kinds of things", "purpose"),
        ("rows: 10}", "rows: 10}\n- {entity_set: Items, fields: [name], rows: 1}", "stands twice under pull"),
        ("rows: 10", "rows: 10, changes: true, expand: {parts: {fields: [no]}}", "changes cannot be followed"),
        ("rows: 10", "rows: &a 10", "aliases are not allowed"),
    ],
)
def test_a_plan_that_leaves_something_open_is_refused(old, new, says):
    assert old in PLAN
    if "&a" in new:
        new += ", page_rows: *a"
    with pytest.raises(UsageError, match=says):
        parse(Plan, PLAN.replace(old, new), "plan.yaml")


def test_a_misspelt_key_is_guessed():
    with pytest.raises(UsageError, match=r"unknown key 'pull\.0\.filtr'") as raised:
        parse(Plan, PLAN.replace("rows: 10", "rows: 10, filtr: x"), "plan.yaml")
    assert raised.value.hint == "Did you mean 'filter'?"


def test_a_template_takes_all_rows_and_not_too_many():
    network = "network: {tables: {sites: {from: Items, columns: {site: name}}}}\n"
    parse(NetworkPlan, PLAN + network, "plan.yaml")
    with pytest.raises(UsageError, match="a template works on 5,000,000"):
        parse(NetworkPlan, PLAN.replace("rows: 10", "rows: 6000000") + network, "plan.yaml")
    with pytest.raises(UsageError, match="a template needs all rows each time"):
        parse(NetworkPlan, PLAN.replace("rows: 10", "rows: 10, changes: true") + network, "plan.yaml")


@pytest.mark.parametrize("text", ["", "- 1", "a: b: c", "{"])
def test_what_is_no_plan_is_said(tmp_path, text):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"plan\.yaml"):
        read_plan(path)


def test_a_plan_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"there is no plan .*none\.yaml"):
        read_plan(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="is a folder"):
        read_plan(tmp_path)
