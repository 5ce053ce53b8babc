"""The one exception that is the user's to read; secrets that are neither shown nor taken; memory that runs out."""

import re
from collections.abc import Iterable
from typing import Literal

_LOGIN = re.compile(r"(?<=://)[^/?#\s]*@")
NO_LOGIN = "no user or password in an address: it would be written to config.yaml and W&B; put it into ~/.netrc"


class UserError(Exception):
    """A wrong option, value, file or picture: one message that names it and says what to do.

    Raised anywhere in the package; the entry scripts print the message without a traceback and exit with code 2. User
    and password of an address in it are shown as `***`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_LOGIN.sub("***@", message))


def lacking_memory(error: BaseException) -> Literal["device", "machine"] | None:
    """Whose memory has run out, by an exception of Python's or PyTorch's; None where it says something else."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "OutOfMemoryError" in names or "CUDA error: out of memory" in str(error):
        return "device"
    return "machine" if "MemoryError" in names or "DefaultCPUAllocator" in str(error) else None


def has_login(text: str) -> bool:
    """Whether a text holds an address with user or password, such as `https://user:password@host`."""
    return _LOGIN.search(text) is not None


def refuse_logins(texts: Iterable[str]) -> None:
    """Refuse the first of some texts that has one: configurations are written to files and shown by W&B."""
    for text in filter(has_login, texts):
        raise UserError(f"{text}: {NO_LOGIN}")
