"""The service graph."""
from meshtest.reporters.html.markup import Markup, tag
def section(material: object) -> Markup:
    return tag("p", "…")
