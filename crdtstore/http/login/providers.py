"""The providers of logins, in a file of the operator: TOML, a table for each.

Rules: a provider is a webhook, which is asked about each login, or `anonymous`, which lets everybody in with what
stands there. The file holds secrets where it has webhooks, and is read as such a file is. A webhook is asked over TLS,
or on this machine: what it is sent lets people in.

Not here: how a webhook is asked (`webhook`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from crdtstore import limits
from crdtstore.auth.permission_form import PermissionForm, permission_of
from crdtstore.auth.secret_file import check_place, read_bounded
from crdtstore.errors import CallerError

SECRET_CHARACTERS_MIN: Final = 32
Seconds: TypeAlias = Annotated[int, Meta(ge=1, le=2**32 - 1)]


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="webhook"):
    """A provider that is asked over HTTP."""

    url: str
    secret: str
    """What each request is signed with."""

    def __repr__(self) -> str:
        """Nothing of its secret, nor of its URL, which may hold one."""
        return "Webhook()"


class Anonymous(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="anonymous"):
    """A provider that lets everybody in."""

    permissions: PermissionForm
    expiration_seconds: Seconds


Provider: TypeAlias = Webhook | Anonymous


class ProviderFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All providers."""

    providers: dict[str, Provider]


def read_providers(file: Path, directories: Sequence[Path]) -> Mapping[str, Provider]:
    """Read the providers.

    Args:
        file: The file.
        directories: Data directories, where no secret may lie.

    Raises:
        CallerError: The file is not as it must be.
        OSError: It cannot be read.
    """
    data, mode = read_bounded(file, limits.LOGIN_FILE_BYTES_MAX)
    try:
        providers = msgspec.toml.decode(data, type=ProviderFile).providers
    except msgspec.ValidationError as error:
        raise CallerError(f"{file} names no providers: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        # What the reader of TOML says may repeat a line with a secret.
        raise CallerError(f"{file} names no providers: it is not TOML in UTF-8.") from None
    for name, provider in providers.items():
        check_provider(name, provider)
    if any(isinstance(each, Webhook) for each in providers.values()):
        check_place(file, mode, directories)
    return providers


def check_provider(name: str, provider: Provider) -> None:
    """Refuse a provider that cannot be asked.

    Raises:
        CallerError: It is so.
    """
    if isinstance(provider, Anonymous):
        permission_of(provider.permissions)
        return
    if len(provider.secret) < SECRET_CHARACTERS_MIN or not provider.secret.isascii():
        raise CallerError(
            f"The secret of the provider {name!r} has at least {SECRET_CHARACTERS_MIN} random characters."
        )
    if not is_safe(provider.url):
        raise CallerError(f"The url of the provider {name!r} begins with https://, or with http:// on this machine.")


def is_safe(url: str) -> bool:
    """Whether a URL can be asked without others on the way reading it."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc and not parts.fragment
    if not host or not plain:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_here(host))


def is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
