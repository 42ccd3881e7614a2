"""Files to documents: which are found, what YAML means, the line of every node."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from meshtest.errors import ManifestError, UsageError
from meshtest.manifests.reader import read, read_text
from meshtest.model.document import Documents

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {0}}}\n"


def config(name: str) -> str:
    return CONFIG.format(name)


def names(documents: Documents) -> list[str]:
    return [document.name for document in documents]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files as `kubectl apply -f` may find them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.yaml").write_text(config("b"))
    (tmp_path / "a.yml").write_text(config("a"))
    (tmp_path / "c.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}')
    (tmp_path / "notes.txt").write_text("no YAML: [")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "d.yaml").write_text(config("d"))
    return tmp_path


class TestFiles:
    def test_a_directory_gives_its_yaml_and_json_sorted_and_not_what_is_below(self, folder: Path) -> None:
        assert names(read(".")) == ["a", "b", "c"]

    def test_a_glob_with_two_stars_goes_down(self, folder: Path) -> None:
        assert names(read("**/*.yaml")) == ["b", "d"]

    def test_patterns_are_relative_to_the_base(self, folder: Path) -> None:
        assert names(read("er/*.yaml", base=folder / "deep")) == ["d"]

    def test_a_file_that_two_patterns_find_is_read_once(self, folder: Path) -> None:
        assert names(read("b.yaml", "*.yaml")) == ["b"]

    def test_standard_input_is_a_file_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(config("piped")))
        (document,) = read("-")
        assert (document.name, document.file) == ("piped", "<stdin>")

    def test_a_pattern_without_a_file_says_what_was_searched_and_where(self, folder: Path) -> None:
        with pytest.raises(UsageError) as error:
            read("nothing/*.yaml")
        assert str(error.value) == f"'nothing/*.yaml' matches no file (searched in {folder})"

    def test_a_directory_without_manifests_is_no_empty_mesh(self, folder: Path) -> None:
        with pytest.raises(UsageError, match=r"'deep' has no \.yaml, \.yml or \.json file"):
            read("deep")

    def test_files_without_an_object_are_refused(self, folder: Path) -> None:
        (folder / "empty.yaml").write_text("---\n# nothing\n---\n")
        with pytest.raises(UsageError, match=r"no object in empty\.yaml"):
            read("empty.yaml")

    def test_names_are_relative_below_the_working_directory_and_absolute_elsewhere(self, folder: Path) -> None:
        (inside,) = read(str(folder / "b.yaml"))
        assert str(inside.where()) == "b.yaml:1"

    def test_text_that_is_not_utf_8_is_told_with_its_line(self, folder: Path) -> None:
        (folder / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
        with pytest.raises(ManifestError) as error:
            read("latin.yaml")
        assert str(error.value) == "latin.yaml:2: error: not UTF-8 text [malformed]"


class TestDocuments:
    def test_each_node_keeps_its_line(self) -> None:
        text = "# head\n---\n" + config("a") + "data:\n  key:\n  - one\n  - two: 2\n"
        (document,) = read_text(text, "m.yaml")
        assert str(document.where()) == "m.yaml:3"
        assert str(document.where("metadata", "name")) == "m.yaml:5"
        assert str(document.where("data", "key", 1, "two")) == "m.yaml:9"
        assert str(document.where("data", "missing")) == "m.yaml:6"

    def test_empty_documents_are_skipped(self) -> None:
        assert names(read_text("---\n" + config("a") + "---\n---\n# only words\n---\n" + config("b"))) == ["a", "b"]

    def test_lists_are_unpacked_with_their_lines(self) -> None:
        text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: a\n"
        (document,) = read_text(text, "m.yaml")
        assert document.name == "a"
        assert str(document.where("metadata", "name")) == "m.yaml:7"

    def test_dates_and_clock_times_stay_strings(self) -> None:
        (document,) = read_text(
            config("a") + "data: {day: 2026-11-22, time: 1:30, octal: 0o7, on: yes}\n".replace("on", "flag")
        )
        assert document.data["data"] == {"day": "2026-11-22", "time": "1:30", "octal": "0o7", "flag": True}

    def test_anchors_and_merge_keys_work_as_in_kubectl(self) -> None:
        text = config("a") + "base: &base {x: 1, y: 2}\ndata:\n  <<: *base\n  y: 3\n"
        (document,) = read_text(text)
        assert document.data["data"] == {"x": 1, "y": 3}

    def test_one_name_in_two_namespaces_is_two_objects(self) -> None:
        text = config("a") + "---\n" + config("a").replace("name: a", "name: a, namespace: other")
        assert len(read_text(text)) == 2


def test_a_kustomization_is_told_what_it_is() -> None:
    with pytest.raises(
        ManifestError, match=r"`apiVersion` is required; it is for Kustomize: give what `kubectl kustomize`"
    ):
        read_text("resources: [web.yaml]", "web/kustomization.yaml")


def bomb(level: str) -> str:
    """A few lines that stand for nine to the ninth power."""
    lines = [f"l{number}: &l{number} " + level.format(f"*l{number - 1}") for number in range(1, 10)]
    return "\n".join(["l0: &l0 {x: 1}", *lines])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "kind: [",
            "m.yaml:2: error: malformed YAML: while parsing a flow node did not find expected node content [malformed]",
        ),
        (
            "a: b: c",
            "m.yaml:1: error: malformed YAML: mapping values are not allowed in this context [malformed]",
        ),
        (
            "{{- if .Values.canary }}\nspec: {}",
            "m.yaml:1: error: malformed YAML: while parsing a flow node did not find expected node content; it looks "
            "like a template of Helm: give what `helm template` makes of it [malformed]",
        ),
        (
            "a: 1\nb:\n\t- c",
            "m.yaml:3: error: malformed YAML: a tab; YAML is indented by spaces [malformed]",
        ),
        ("a: " + "[" * 101 + "]" * 101, "m.yaml:1: error: malformed YAML: more than 100 levels deep [malformed]"),
        ("a: " + "[" * 60_000, "m.yaml:1: error: malformed YAML: more than 100 levels deep [malformed]"),
        (
            bomb("[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]"),
            "m.yaml:1: error: malformed YAML: its aliases make too much of it; write out what they stand for "
            "[malformed]",
        ),
        (
            bomb("{{<<: [{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]}}"),
            "m.yaml:1: error: malformed YAML: its aliases make too much of it; write out what they stand for "
            "[malformed]",
        ),
        ("a: \x01", "m.yaml:1: error: malformed YAML: control characters are not allowed [malformed]"),
        (
            "metadata:\n  name: a\n  x: 1\n  name: b",
            "m.yaml:4: error: malformed YAML: key 'name' is given twice: in line 2 and in line 4 [malformed]",
        ),
        ("8.5: x", "m.yaml:1: error: malformed YAML: a key must be a string; write it in quotes: '8.5' [malformed]"),
        ("a: !Ref b", "m.yaml:1: error: malformed YAML: the YAML tag '!Ref' means nothing in a manifest [malformed]"),
        (
            "a: &x\n  b: *x",
            "m.yaml:1: error: malformed YAML: an alias refers to a node that contains it [malformed]",
        ),
        ("- a", "m.yaml:1: error: a document must be a mapping with apiVersion and kind [malformed]"),
        ("kind: Service", "m.yaml:1: error: `apiVersion` is required (of this Service) [missing-field]"),
        ("apiVersion: v1", "m.yaml:1: error: `kind` is required [missing-field]"),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  labels: {}",
            "m.yaml:3: error: `metadata.name` is required (of this Service) [missing-field]",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: 8",
            "m.yaml:4: error: `metadata.name` must be a string, not 8 [wrong-type]",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  namespace: 8",
            "m.yaml:5: error: `metadata.namespace` must be a string, not 8 [wrong-type]",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: reviews",
            "m.yaml:3: error: `metadata` must be a mapping [wrong-type]",
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as error:
        read_text(text, "m.yaml")
    assert str(error.value) == message


def test_the_same_object_twice_names_both_places() -> None:
    with pytest.raises(ManifestError) as error:
        read_text(config("a") + "---\n" + config("a"), "m.yaml")
    assert str(error.value) == (
        "m.yaml:5: error: ConfigMap `default/a` stands twice, first at m.yaml:1 [duplicate-object]"
    )
