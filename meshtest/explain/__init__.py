"""What the mesh will do with one request, and why - told from the manifests, without sending it.

    asked.py        the request, as a person writes it
    unmet.py        the first condition of a match that does not hold, in words
    answer.py       what the client must see: forwarded to whom, redirected where, answered how
    guards.py       who lets it in: authorization policies where it arrives
    explanation.py  all of it together, each decision with its file:line
    text.py         for people; data.py for programs

The route is chosen by manifests/decide.py, the same function the tests hold the real proxy against.
"""

from meshtest.explain.answer import Answer as Answer
from meshtest.explain.asked import Asked as Asked
from meshtest.explain.explanation import Explanation as Explanation
from meshtest.explain.explanation import explain as explain

__all__ = ["Answer", "Asked", "Explanation", "explain"]
