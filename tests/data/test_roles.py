"""Guessing what columns are for."""

from __future__ import annotations

import pytest

from recsys_desktop.api import Role
from recsys_desktop.data import FileKind, assign_files, build_dataset, inspect_files
from recsys_desktop.data.names import role_of_name
from recsys_desktop.data.opening import open_file
from recsys_desktop.data.request import FileSource


def guessed(path, **details) -> dict[str, str]:
    return {name: role.value for name, role in open_file(FileSource(path), **details).roles.items()}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("userId", Role.USER),
        ("User-ID", Role.USER),
        ("customer_id", Role.USER),
        ("Kundennummer", Role.USER),
        ("utilisateur", Role.USER),
        ("пользователь", Role.USER),
        ("用户", Role.USER),
        ("visitorid", Role.USER),
        ("movieId", Role.ITEM),
        ("parent_asin", Role.ITEM),
        ("ISBN", Role.ITEM),
        ("StockCode", Role.ITEM),
        ("course_key", Role.ITEM),
        ("Artikelnummer", Role.ITEM),
        ("Book-Rating", Role.RATING),
        ("overall", Role.RATING),
        ("Bewertung", Role.RATING),
        ("unixReviewTime", Role.TIMESTAMP),
        ("event_type", Role.EVENT),
        ("behavior_type", Role.EVENT),
        ("playcount", Role.WEIGHT),
        ("genres", Role.TAGS),
        ("Beschreibung", Role.TEXT),
        ("xyz", None),
    ],
)
def test_names_in_several_languages(name, role) -> None:
    assert role_of_name(name) is role


def test_interactions_with_everything(write) -> None:
    path = write(
        "log.csv",
        "visitorid,event,itemid,transactionid,timestamp,quantity\n"
        "257597,view,355908,,1433221332117,1\n992329,addtocart,248676,9,1433224214164,2\n",
    )
    assert guessed(path) == {
        "visitorid": "user",
        "event": "event",
        "itemid": "item",
        "transactionid": "ignore",
        "timestamp": "timestamp",
        "quantity": "weight",
    }


def test_headerless_columns_are_told_by_their_values(write) -> None:
    path = write("r.csv", "A2X,B007,5.0,1393545600\nA3Y,B007,3.0,1393545700\nA3Y,B008,4.0,1393545800\n")
    opened = open_file(FileSource(path))
    assert list(opened.roles.values()) == [Role.USER, Role.ITEM, Role.RATING, Role.TIMESTAMP]
    assert opened.guesses["column 4"].reason == "its values look like times"
    assert opened.guesses["column 4"].detail == "Unix seconds"


def test_headerless_events_are_told_by_their_values(write) -> None:
    path = write("steam.csv", "15,Skyrim,purchase,1.0,0\n15,Skyrim,play,273.0,0\n16,Fallout 4,purchase,1.0,0\n")
    assert list(guessed(path).values()) == ["user", "item", "event", "ignore", "ignore"]


def test_a_review_is_not_a_description(write) -> None:
    path = write("r.csv", "user,item,stars,text\nu1,i1,3,fine\nu2,i2,4,good\n")
    assert guessed(path)["text"] == "ignore"


def test_every_guess_has_a_reason(write) -> None:
    path = write("r.csv", "user,item,rating,comment,other\nu1,i1,3,fine,7\nu2,i1,4,good,9\n")
    (inspection,) = inspect_files([path])
    assert all(column.reason for column in inspection.columns)
    assert inspection.roles["comment"] is Role.IGNORE


def test_an_item_table(write) -> None:
    rows = "".join(
        f'c{n},Course {n},"{"Learn a lot about this and that. " * 4}",{["Arts", "Science"][n % 2]},a|b{n % 3},'
        f"{n % 4 + 1}.5,2020-0{n % 9 + 1}-15,http://x/{n},{n + 1000}\n"
        for n in range(30)
    )
    path = write("courses.csv", "id,name,about,field,skills,hours,published,link,provider_id\n" + rows)
    assert guessed(path) == {
        "id": "item",
        "name": "title",
        "about": "text",
        "field": "category",
        "skills": "tags",
        "hours": "numeric",
        "published": "numeric",
        "link": "ignore",
        "provider_id": "ignore",
    }


def test_a_table_of_people(write) -> None:
    path = write("people.csv", "learner,age,country,interests\nl1,30,FR,art;music\nl2,41,DE,music\n")
    assert guessed(path) == {"learner": "user", "age": "numeric", "country": "category", "interests": "tags"}


def test_the_id_of_a_side_table_follows_the_interactions(write) -> None:
    ratings = write("r.csv", "user,sku,rating\nu1,s1,3\nu2,s2,4\n")
    items = write("i.csv", "product,sku,title\np1,s1,One\np2,s2,Two\n")
    _, inspection = inspect_files([ratings, items])
    assert inspection.roles == {"product": Role.IGNORE, "sku": Role.ITEM, "title": Role.TITLE}


def test_a_correction_moves_the_guesses_around_it(write) -> None:
    path = write("r.csv", "user,item,score\nu1,i1,3\nu2,i1,4\n")
    opened = open_file(FileSource(path, {"user": Role.ITEM, "item": Role.USER}))
    assert opened.roles == {"user": Role.ITEM, "item": Role.USER, "score": Role.RATING}
    assert opened.guesses["user"].reason == "chosen by you"


def test_item_columns_inside_interactions(write) -> None:
    path = write(
        "orders.csv",
        "customer,product,title,price,note\n1,p1,Tea,2.5,quick\n2,p1,Tea,2.4,slow\n2,p2,Coffee,3,quick\n",
    )
    dataset, _ = build_dataset(assign_files(inspect_files([path])))
    assert dataset.item_features.describe(0) == {"title": "Tea"}


def test_inspection_is_plain_data(write) -> None:
    path = write("r.csv", "user;item;rating\nu1;i1;3,5\n" * 1 + "u2;i1;4,0\n" * 300)
    (inspection,) = inspect_files([path], preview_rows=10)
    plain = inspection.to_dict()
    assert (plain["kind"], plain["reader_name"]) == (FileKind.INTERACTIONS.value, "delimited text")
    assert (plain["rows"], plain["rows_exact"], len(plain["preview"])) == (301, True, 10)
    assert plain["preview"][0] == ["u1", "i1", "3,5"]
    assert plain["layout"] == {
        "encoding": "UTF-8",
        "delimiter": "semicolon",
        "decimal": "comma",
        "header": "line 1",
    }
    assert plain["options"]["decimal"] == ","
    assert plain["columns"][2]["examples"] == ["3,5", "4,0"]


def test_assigned_files_are_built_as_they_were_inspected(write) -> None:
    files = [
        write("i.csv", "item;title\ni1;One\ni2;Two\n"),
        write("r.csv", "user;item;rating\nu1;i1;3,5\nu2;i1;4,0\n"),
        write("u.csv", "user;country\nu1;FR\nu2;DE\n"),
    ]
    dataset, report = build_dataset(assign_files(inspect_files(files), name="mine"))
    assert (dataset.name, len(dataset), dataset.n_items) == ("mine", 2, 2)
    assert [summary.kind for summary in report.files] == ["interactions", "items", "users"]
