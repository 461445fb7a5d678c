def deep(key: str) -> str:
    return {"a": "b"}[key]
