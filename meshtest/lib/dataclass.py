"""`dataclass`, as in the standard library, but for next to nothing at import.

The standard decorator writes the source of up to seven methods of each class and compiles it: 0.4 ms a class, 80 ms of
every start for the 180 of ours. Here classes share ready-made methods, and `__init__` is compiled when it is first
called: most runs never make a JWT rule. What comes out is a dataclass like any other: `fields`, `replace`, `asdict`,
`match` and inheritance work.

Not here: `slots` and `order`, which small records that come by the thousand want: those use the standard one (the two
do not inherit from each other). Nor `InitVar`.
"""

from __future__ import annotations

import dataclasses
import operator
import reprlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, kw_only=False):
        """With or without arguments; they mean what they mean in `dataclasses`."""

        def declare(cls):
            return _declare(cls, frozen=frozen, eq=eq, kw_only=kw_only)

        return declare if cls is None else declare(cls)


__all__ = ["dataclass"]


def _declare(cls: type, *, frozen: bool, eq: bool, kw_only: bool) -> type:
    cls.__doc__ = cls.__doc__ or cls.__name__  # the standard one would compose a signature, slowly
    dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)  # looks at the fields, compiles none
    methods: dict[str, Any] = {"__init__": _init_when_called(cls, frozen), "__repr__": _repr(_names(cls, "repr"))}
    if eq:
        methods |= _comparison(_names(cls, "compare"), hashable=frozen)
    if frozen:
        methods |= _refusals(cls)
    for name, method in methods.items():
        if cls.__dict__.get(name) is None:  # what the class itself defines stays; __eq__ alone makes __hash__ None
            setattr(cls, name, method)
    return cls


def _names(cls: Any, part_of: str) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(cls) if getattr(f, part_of))


def _repr(names: tuple[str, ...]) -> Callable[[Any], str]:
    @reprlib.recursive_repr()
    def shown(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return shown


def _comparison(names: tuple[str, ...], *, hashable: bool) -> Mapping[str, Any]:
    values = operator.attrgetter(*names) if names else lambda _: ()

    def equal(self: Any, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(values(self))

    return {"__eq__": equal, "__hash__": hashed if hashable else None}


def _refusals(cls: Any) -> Mapping[str, Any]:
    """A subclass that is no dataclass may have attributes of its own."""
    own = frozenset(f.name for f in dataclasses.fields(cls))

    def assign(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in own:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def delete(self: Any, name: str) -> None:
        if type(self) is cls or name in own:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return {"__setattr__": assign, "__delattr__": delete}


def _init_when_called(cls: Any, frozen: bool) -> Callable[..., None]:
    def compile_and_call(self: Any, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = compiled = _compiled_init(cls, frozen)
        compiled(self, *args, **kwargs)

    return compile_and_call


def _compiled_init(cls: Any, frozen: bool) -> Callable[..., None]:
    """The same text as the standard one's, so that wrong arguments get Python's own words."""
    fields = dataclasses.fields(cls)
    names: dict[str, Any] = {"_set": object.__setattr__, "_make": _MAKE}
    head = ["self"] + [_parameter(f, names) for f in fields if f.init and not f.kw_only]
    if keywords := [_parameter(f, names) for f in fields if f.init and f.kw_only]:
        head += ["*", *keywords]
    assign = "_set(self, {0!r}, {1})" if frozen else "self.{0} = {1}"
    body = [assign.format(f.name, value) for f in fields if (value := _value(f, names))]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    exec(f"def __init__({', '.join(head)}):\n " + "\n ".join(body or ["pass"]), names)
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


_MAKE = type("_Make", (), {"__repr__": lambda _: "<factory>"})()
"""The default of a parameter whose value is made anew each time."""


def _parameter(field: dataclasses.Field[Any], names: dict[str, Any]) -> str:
    if field.default is not dataclasses.MISSING:
        names[f"_{field.name}_default"] = field.default
        return f"{field.name}=_{field.name}_default"
    return field.name if field.default_factory is dataclasses.MISSING else f"{field.name}=_make"


def _value(field: dataclasses.Field[Any], names: dict[str, Any]) -> str:
    """An expression; "" if there is nothing to assign, because the class has the default."""
    if field.default_factory is dataclasses.MISSING:
        return field.name if field.init else ""
    names[f"_{field.name}_factory"] = field.default_factory
    made = f"_{field.name}_factory()"
    return f"{made} if {field.name} is _make else {field.name}" if field.init else made
