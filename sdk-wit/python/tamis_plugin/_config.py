"""A plugin's configuration: JSON into the author's dataclass, with errors that name the key."""

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable
from typing import Any


class ConfigError(Exception):
    """Refuses the configuration; the operator sees the message. Begin it with the path of the key that is wrong: `rules[0].id: ...`.

    Raised in a dataclass's `__post_init__` the path is relative to that dataclass, as is that of a `ValueError`. Raised in a plugin's `init` it is
    relative to the whole.
    """


def parse(kind: Any, text: str) -> Any:
    """Reads a value of that type; no configuration at all stands for an empty object."""
    try:
        value = json.loads(text) if text.strip() not in ("", "null") else {}
    except ValueError as error:
        raise ConfigError(f"it is not JSON: {error}") from None
    return read(kind, value, "")


def empty(text: str) -> None:
    """Reads the configuration of a plugin that has none."""
    value = parse(Any, text)
    if value != {}:
        key = next(iter(value)) if isinstance(value, dict) else ""
        raise _wrong(str(key), "this plugin has no configuration")


def read(kind: Any, value: Any, path: str) -> Any:
    """Reads `value`, which came from JSON, as a value of the type `kind`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or kind is object:
        return value
    if origin is typing.Annotated:
        return read(arguments[0], value, path)
    if dataclasses.is_dataclass(kind):
        return _object(kind, value, path)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, value, path)
    if origin is typing.Literal:
        if any(value == known and type(value) is type(known) for known in arguments):
            return value
        raise _wrong(path, f"{_shown(value)}, expected one of {_list(arguments)}")
    if (reader := _LISTS.get(origin or kind)) is not None:
        return reader(arguments, value, path)
    return _scalar(kind, value, path)


def _object(kind: Any, value: Any, path: str) -> Any:
    _expect(dict, "an object", value, path)
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for key in value:
        if key not in fields:
            expected = f"expected one of {_list(fields)}" if fields else "expected none"
            raise _wrong(_member(path, key), f"unknown key, {expected}")
    given = {}
    for name, field in fields.items():
        if name in value:
            given[name] = read(hints[name], value[name], _member(path, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _wrong(path, f"missing key `{name}`")
    try:
        return kind(**given)
    except (ConfigError, ValueError) as error:
        raise ConfigError(_below(path, str(error))) from error


def _union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    options = tuple(option for option in options if option is not type(None))
    errors = []
    for option in options:
        try:
            return read(option, value, path)
        except ConfigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    names = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise _wrong(path, f"{_shown(value)}, expected {names}")


def _sequence(make: Callable[[list[Any]], Any]) -> Callable[[tuple[Any, ...], Any, str], Any]:
    def sequence(arguments: tuple[Any, ...], value: Any, path: str) -> Any:
        _expect(list, "a list", value, path)
        if make is tuple and arguments and arguments[-1] is not ...:
            if len(value) != len(arguments):
                raise _wrong(path, f"{len(value)} elements, expected {len(arguments)}")
            kinds: Any = arguments
        else:
            kinds = [arguments[0] if arguments else Any] * len(value)
        return make([read(kind, item, f"{path}[{at}]") for at, (kind, item) in enumerate(zip(kinds, value))])

    return sequence


def _map(arguments: tuple[Any, ...], value: Any, path: str) -> dict[Any, Any]:
    _expect(dict, "an object", value, path)
    keys, values = arguments or (str, Any)
    found = {}
    for key, item in value.items():
        member = _member(path, key)
        # Keys of JSON are strings, also those that are meant as numbers.
        if keys is int and key.removeprefix("-").isdecimal():
            found[int(key)] = read(values, item, member)
        else:
            found[read(keys, key, member)] = read(values, item, member)
    return found


_LISTS: dict[Any, Callable[[tuple[Any, ...], Any, str], Any]] = {
    list: _sequence(list),
    set: _sequence(set),
    frozenset: _sequence(frozenset),
    tuple: _sequence(tuple),
    dict: _map,
}

_NAMES = {str: "a string", bool: "true or false", int: "an integer", float: "a number"}


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        for member in kind:
            if member.value == value:
                return member
        raise _wrong(path, f"{_shown(value)}, expected one of {_list(member.value for member in kind)}")
    if kind not in _NAMES:
        raise TypeError(f"{path or 'the configuration'} has the type {kind}, which can not be read from JSON")
    # To Python a boolean is an integer. To the operator it is not.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and is_number:
        return float(value)
    if kind is int and is_number and value == int(value):
        return int(value)
    if kind in (str, bool):
        _expect(kind, _NAMES[kind], value, path)
        return value
    raise _wrong(path, f"{_shown(value)}, expected {_NAMES[kind]}")


def _expect(kind: type, name: str, value: Any, path: str) -> None:
    if not isinstance(value, kind):
        raise _wrong(path, f"{_shown(value)}, expected {name}")


def _wrong(path: str, what: str) -> ConfigError:
    return ConfigError(f"{path}: {what}" if path else what)


def _below(path: str, message: str) -> str:
    """The message of an error that may begin with a path of its own: only what looks like one is joined to `path`."""
    if not path:
        return message
    front, colon, _ = message.partition(":")
    is_path = bool(colon) and front.replace(".", "_").replace("[", "_").replace("]", "_").isidentifier()
    return f"{path}.{message}" if is_path else f"{path}: {message}"


def _member(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: Any) -> str:
    """A value as an operator knows it, without the inside of what is large."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return f"string {json.dumps(value, ensure_ascii=False)}"
    return json.dumps(value)


def _list(values: Any) -> str:
    return ", ".join(f"`{value}`" for value in values)
