"""Fingerprints of parts."""

import hashlib


def hash_of(*parts: str | None) -> str:
    """The MD5 of texts, in hexadecimal. Each is followed by a zero byte, so that "a", "bc" is not "ab", "c"."""
    # As the group hashes of error trackers are; not for anything that an attacker must not find a second text for.
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        digest.update((part or "").encode() + b"\0")
    return digest.hexdigest()
