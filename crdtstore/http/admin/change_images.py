"""/admin/change-images: which collections keep images of their changes, told and set by who may do everything.

Rules: an endpoint asks the session first, which refuses all but keys that may do everything; the rest runs in a thread.

Not here: what is kept (`crdtstore/feed/kept.py`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from crdtstore.errors import StoreFull
from crdtstore.http.call import Call
from crdtstore.http.described import Described
from crdtstore.http.respond import Answer, encode
from crdtstore.http.route import Route
from crdtstore.storage.images import ChangeImages, Kept


class ImagesSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which images of a collection's changes are kept."""

    images: ChangeImages


class ImagesAnswer(msgspec.Struct):
    """The collections that keep images, and which; all others keep none."""

    collections: dict[str, Kept]


async def change_images(call: Call) -> Answer:
    """Answer with the collections that keep images of their changes."""
    kept = call.session.change_images()
    return await call.in_thread(lambda: Answer(200, encode({"collections": kept.all()})))


async def set_change_images(call: Call) -> Answer:
    """Say which images of a collection's changes are kept from now on."""
    kept, asked = call.session.change_images(), await call.decode(ImagesSetting)
    collection = call.parameters["collection"]

    def change() -> Answer:
        kept.set(collection, asked.images)
        return Answer(200, encode({"collections": kept.all()}))

    return await call.in_thread(change)


PATH: Final = "/admin/change-images"

IMAGES_ROUTES: Final = (
    Route(PATH, ("GET",), change_images, takes_body=False, described=Described(gives=ImagesAnswer)),
    Route(
        f"{PATH}/{{collection}}",
        ("PUT",),
        set_change_images,
        described=Described(ImagesSetting, ImagesAnswer, errors=(StoreFull,), example={"images": "both"}),
    ),
)
