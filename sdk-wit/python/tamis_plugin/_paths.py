"""What the SDK must know of paths. Their grammar stands in the WIT."""


def join(front: str, back: str) -> str:
    if front and back:
        return f"{front}.{back}"
    return front or back


def quote(key: str) -> str:
    """A key as a segment of a path, whatever is in it."""
    escaped = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def list_of(path: str) -> str | None:
    """The path of the list whose items the last star stands for; None of a path without stars."""
    if "*" not in path:
        return None
    quoted = escaped = False
    star = -1
    for at, character in enumerate(path):
        if escaped:
            escaped = False
        elif character == "\\" and quoted:
            escaped = True
        elif character == "'":
            quoted = not quoted
        elif character == "*" and not quoted:
            star = at
    return None if star < 0 else path[:star].removesuffix(".")
