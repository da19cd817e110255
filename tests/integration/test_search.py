"""GET /images/search against a server that answers as Docker Hub's index does, by the stock `docker` command and by ours."""
import json
import urllib.parse

import pytest

RESULTS = [{"name": "library/tool", "description": "a tool\nwith more lines, and longer than the column of the list is wide", "star_count": 90,
            "is_official": True, "is_automated": False, "pull_count": 3},
           {"name": "some/tool", "description": "", "star_count": 4, "is_official": False, "is_automated": False},
           {"name": "other/tool", "description": "third", "star_count": 0, "is_official": False}]


@pytest.fixture
def index(strangers):
    def answer(path, headers):
        if not path.startswith("/v1/search?"):
            return 404, {}, b""
        asked = urllib.parse.parse_qs(path.partition("?")[2])
        found = RESULTS[:int(asked["n"][0])] if "tool" in asked["q"][0] else []
        return 200, {"Content-Type": "application/json"}, json.dumps({"num_results": len(found), "query": asked["q"][0], "results": found}).encode()
    return strangers(answer)


def lines(done):
    return [line.split() for line in done.stdout.splitlines()[1:]]


def test_both_commands_print_the_same(engine, index):
    term = f"{index.host}/tool"
    for options in ([], ["--no-trunc"], ["--limit", "2"], ["--filter", "is-official=true"], ["--filter", "stars=4"], ["--filter", "is-official=false"],
                    ["--format", "{{.Name}}: {{.StarCount}} {{.IsOfficial}}"], ["--format", "table {{.Name}}\t{{.Description}}"], ["--format", "json"]):
        theirs, ours = engine.docker("search", *options, term), engine.tare("search", *options, term)
        if options == ["--format", "json"]:
            theirs, ours = ([json.loads(line) for line in done.stdout.splitlines()] for done in (theirs, ours))
            assert [row["Name"] for row in theirs] == [row["Name"] for row in ours]
            continue
        assert ours.stdout == theirs.stdout, options
    assert [row[0] for row in lines(engine.tare("search", "--filter", "stars=4", term))] == ["library/tool", "some/tool"]
    assert lines(engine.docker("search", f"{index.host}/nothing")) == []


def test_words_go_as_they_are(engine, index):
    status, found = engine.api("GET", "/images/search?limit=1&term=" + urllib.parse.quote(f"{index.host}/A tool & more/é"))
    assert status == 200 and found == [{**{k: v for k, v in RESULTS[0].items() if k != "pull_count"}}]
    path = [path for path, _ in index.seen if "search" in path][0]
    assert urllib.parse.parse_qs(path.partition("?")[2]) == {"q": ["A tool & more/é"], "n": ["1"]}
    assert not any(authorization for _, authorization in index.seen)


@pytest.mark.parametrize("answer, words", [
    (lambda path, headers: (200, {}, b"<html>"), "the answer to a search is none"),
    (lambda path, headers: (200, {}, b'{"results": {}}'), "expected"),
    (lambda path, headers: (404, {}, b"nothing here"), "404"),
    (lambda path, headers: (200, {}, b"[" * (5 << 20)), "larger than"),
])
def test_servers_that_do_not_search(engine, strangers, answer, words):
    status, said = engine.api("GET", f"/images/search?term={strangers(answer).host}/x")
    assert status >= 400 and words in said["message"], said
    assert engine.api("GET", "/images/search?term=")[0] == 400
    assert engine.api("GET", "/images/search?term=x&limit=101")[0] == 400
