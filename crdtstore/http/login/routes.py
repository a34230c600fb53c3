"""POST /_ditto/auth/login: a form of four fields becomes an access token.

Rules: it is for callers who are not known yet, from pages of every site: nothing that a browser sends along, such as a
cookie, counts here. A field stands in the form once. Errors have `error` alone, as this route documents them, and who
does not post is told so in text.

Not here: who is let in (`login`).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

import msgspec

from crdtstore import limits
from crdtstore.errors import MalformedRequest, ProviderFailed
from crdtstore.http.call import Call
from crdtstore.http.described import Described
from crdtstore.http.login.login import LoggedIn, Wanted, refuse_provider
from crdtstore.http.request import FIELDS
from crdtstore.http.respond import Answer, encode
from crdtstore.http.route import Route

FIELD_NAMES: Final = ("appId", "provider", "token", "siteId")


class LoginForm(msgspec.Struct, frozen=True, rename="camel"):
    """What is sent to log in."""

    app_id: str
    provider: str
    token: str
    site_id: str


async def login(call: Call) -> Answer:
    """Let somebody in whom a provider knows, and answer with an access token."""
    wanted = read_form(call.body)
    if call.desk.login is None:
        refuse_provider()
    return Answer(200, encode(await call.desk.login.log_in(wanted, call.desk.app, call.content.channel.link.address)))


def read_form(body: bytes) -> Wanted:
    """Read the form; other fields than the four are tolerated.

    Raises:
        MalformedRequest: It is none, or a field is missing, empty or there twice.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=limits.ARGUMENTS_MAX
        )
    except ValueError:
        raise MalformedRequest("The form is not read: names and values in UTF-8, percent-escaped.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise MalformedRequest("The form has one field twice.")
    missing = [name for name in FIELD_NAMES if not fields.get(name)]
    if missing:
        raise MalformedRequest(f"The form lacks {' and '.join(missing)}.", missing=missing)
    return Wanted(*(fields[name] for name in FIELD_NAMES))


LOGIN_ROUTES: Final = (
    Route(
        "/_ditto/auth/login",
        ("POST",),
        login,
        forms=(FIELDS,),
        errors="login",
        for_strangers=True,
        every_site=True,
        described=Described(LoginForm, LoggedIn, errors=(ProviderFailed,)),
    ),
)
