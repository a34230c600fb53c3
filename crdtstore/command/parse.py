"""Commands are read from the JSON of a write request here.

Rules: the body was scanned before (`core.scan_json`), so it is strict JSON; what is checked here is its shape.
Unknown keys beside `commands` are tolerated, since clients send them; inside a command they are refused.
"""

from __future__ import annotations

import msgspec

from crdtstore.command.command import Command
from crdtstore.errors import LimitExceeded, MalformedRequest
from crdtstore.limits import COMMANDS_MAX


class WriteRequest(msgspec.Struct, frozen=True):
    """The body of a write request."""

    commands: list[Command]


decoder = msgspec.json.Decoder(WriteRequest)


def parse_commands(body: bytes) -> tuple[Command, ...]:
    """Read the commands of a write request.

    Raises:
        MalformedRequest: Not the shape of a write request; the message names the JSON path.
        LimitExceeded: More than COMMANDS_MAX commands.
    """
    try:
        request = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise MalformedRequest(f"The write request is not understood: {explain(error)}.") from None
    except msgspec.DecodeError as error:
        raise MalformedRequest(f"The write request is not JSON: {error}.") from None
    return commands_of(request)


def commands_of(request: WriteRequest) -> tuple[Command, ...]:
    """The commands of a write request, which are not too many.

    Raises:
        LimitExceeded: More than COMMANDS_MAX commands.
    """
    commands = request.commands
    if len(commands) > COMMANDS_MAX:
        message = f"A write request holds {len(commands)} commands; at most {COMMANDS_MAX} are allowed."
        raise LimitExceeded(message, limit="COMMANDS_MAX", value=len(commands), maximum=COMMANDS_MAX)
    return tuple(commands)


def explain(error: msgspec.ValidationError) -> str:
    """The validator's words, in the words of this API."""
    return str(error).replace("Object contains unknown field", "unknown field")
