"""What any store says of an object of which less is left than its row counts."""

from kifabrik.errors import IntegrityError


def cut_off(key: str, size: int) -> IntegrityError:
    """Return the error about an object that ends before what is asked of it.

    It is raised before the first byte is given: an answer that stops midway looks like a line that broke.

    Args:
        key: Its key, which ends with its digest.
        size: Bytes that are left.
    """
    message = f"the sealed object {key.rpartition('/')[2][:16]} is damaged: {size} bytes are left of it"
    return IntegrityError(message, hint="The factory's operator has to put it back: kifabrik admin check")
