"""An edit as a unified diff of YAML."""

from __future__ import annotations

from meshtest.manifests.compiler import compile
from meshtest.manifests.diff import diff
from meshtest.manifests.istio import ISTIO
from meshtest.manifests.reader import read_text
from meshtest.model.document import Document, Documents

HOST = "reviews.default.svc.cluster.local"


def shifted(documents: Documents, **weights: int) -> Documents:
    return ISTIO.set_weights(documents, compile(documents).topology, HOST, weights)


def test_a_shift_is_shown_as_yaml_with_the_file_it_stands_in(reviews: str) -> None:
    before = shifted(read_text(reviews), v1=90, v2=10)
    after = shifted(before, v1=50, v2=50)
    assert (
        diff(before, after)
        == """\
--- <generated> virtualservice/default/reviews
+++ <generated> virtualservice/default/reviews
@@ -10,8 +10,8 @@
     - destination:
         host: reviews
         subset: v1
-      weight: 90
+      weight: 50
     - destination:
         host: reviews
         subset: v2
-      weight: 10
+      weight: 50
"""
    )


def test_a_new_object_comes_from_nowhere_and_a_lost_one_goes_there(reviews: str) -> None:
    before = read_text(reviews, "m.yaml")
    after = shifted(before, v1=1)
    assert diff(before, after).startswith("--- /dev/null\n+++ <generated> virtualservice/default/reviews\n@@ -0,0 +1,")
    assert diff(after, before).startswith("--- <generated> virtualservice/default/reviews\n+++ /dev/null\n")


def test_equal_documents_have_no_difference(reviews: str) -> None:
    before = read_text(reviews)
    copies = Documents(tuple(Document(dict(d.data), d.file, d.lines) for d in before))
    assert diff(before, before) == diff(before, copies) == ""
