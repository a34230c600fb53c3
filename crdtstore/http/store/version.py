"""The versions of the store API: one engine, and a table of what each version says differently.

Rules: an endpoint asks its version, and never which one it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from crdtstore.http.request import JSON, PAYLOAD

if TYPE_CHECKING:
    from crdtstore.http.request import Form
    from crdtstore.http.route import ErrorForm
    from crdtstore.query.dql.profile import Profile


class Version(NamedTuple):
    """What one version does its own way."""

    name: str
    transaction_each: Literal["command", "request"]
    """What is one transaction: each command of a write, or all of them."""

    needs_client_id: bool
    """Whether a write must say who writes; otherwise the store itself does."""

    all_counts: bool
    """Whether results of a write tell all counts, those that are always zero too."""

    missing_document: Literal["null", "404"]
    """What is answered where findbyid finds nothing."""

    document_inside: bool
    """Whether findbyid answers the document under its own name, or its id and fields at the top."""

    sorts: bool
    """Whether a find says its order and goes on page by page; otherwise neither is a known key."""

    payload: Form
    """What a request's body is, and how long it may be."""

    errors: ErrorForm
    profile: Profile
    """Of its statements, where it has any."""


VERSIONS: Final = {
    version.name: version
    for version in (
        #       name  transaction  client_id counts  missing inside sorts  payload  errors   profile
        Version("v1", "command", True, True, "null", True, False, JSON, "error", "v4"),
        Version("v2", "request", True, True, "null", True, False, JSON, "both", "v4"),
        Version("v3", "request", True, True, "null", True, False, JSON, "both", "v4"),
        Version("v4", "request", False, False, "404", False, True, PAYLOAD, "both", "v4"),
        Version("v5", "request", False, False, "404", False, True, PAYLOAD, "both", "v5"),
    )
}
