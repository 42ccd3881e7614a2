"""A page taken apart by the standard library's parser, strictly: every tag is closed by its own."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "link", "input", "wbr"}


class Element:
    """A tag with what is in it."""

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.children: list[Element | str] = []

    def all(self, name: str = "", **attributes: str) -> list[Element]:
        """Everything below of that name and with those attributes (`class_` is one of its classes)."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if name in ("", child.name) and child.has(**attributes):
                    found.append(child)
                found += child.all(name, **attributes)
        return found

    def has(self, **attributes: str) -> bool:
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        kinds = self.attributes.get("class", "").split()
        return all(v in kinds if k == "class" else self.attributes.get(k) == v for k, v in wanted.items())

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    @property
    def own(self) -> str:
        """Without the tooltip."""
        return "".join(c if isinstance(c, str) else "" if c.name == "title" else c.own for c in self.children)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].name == tag, f"</{tag}> closes <{self._open[-1].name}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parsed(page: str) -> Element:
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert len(parser._open) == 1, f"never closed: {[e.name for e in parser._open[1:]]}"
    return parser.root
