"""Static rules over manifests, each with a code, a sentence, file:line and the fix; and the order to apply changes in.

Not here: what documents mean to a mesh (manifests/), whether a mesh did it (checks/).
"""

from meshtest.preflight.catalogue import CODES as CODES
from meshtest.preflight.examine import examine as examine
from meshtest.preflight.finding import Finding as Finding
from meshtest.preflight.finding import at_least as at_least
from meshtest.preflight.finding import loud as loud
from meshtest.preflight.plan import Step as Step
from meshtest.preflight.plan import plan as plan
from meshtest.preflight.rules import Code as Code

__all__ = ["CODES", "Code", "Finding", "Step", "at_least", "examine", "loud", "plan"]
