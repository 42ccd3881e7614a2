"""Static rules over manifests, each with a code, a sentence, file:line and the fix; and the order to apply changes in.

The rules are imported with this package; the order of changes is in `meshtest.preflight.plan`, for who needs it.

Not here: what documents mean to a mesh (manifests/), whether a mesh did it (checks/).
"""

from meshtest.preflight.catalogue import CODES as CODES
from meshtest.preflight.examine import examine as examine
from meshtest.preflight.finding import Finding as Finding
from meshtest.preflight.finding import at_least as at_least
from meshtest.preflight.finding import loud as loud
from meshtest.preflight.rules import Code as Code

__all__ = ["CODES", "Code", "Finding", "at_least", "examine", "loud"]
