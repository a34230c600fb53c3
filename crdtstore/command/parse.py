"""Commands are read from the JSON of a write request here.

Rules: the body was scanned before (`core.scan_json`), so it is strict JSON; what is checked here is its shape.
Unknown keys beside `commands` are tolerated, since clients send them; inside a command they are refused.
"""

from __future__ import annotations

import msgspec

from crdtstore.command.command import Command, Remove, Update, Upsert
from crdtstore.errors import LimitExceeded, MalformedRequest
from crdtstore.limits import COMMANDS_MAX


class WriteRequest(msgspec.Struct, frozen=True):
    """The body of a write request."""

    commands: list[Command]
    dry_run: bool = msgspec.field(default=False, name="dryRun")


class NamedCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command under its own name, `{"upsert": {...}}`, as some callers write it."""

    upsert: Upsert | msgspec.UnsetType = msgspec.UNSET
    update: Update | msgspec.UnsetType = msgspec.UNSET
    remove: Remove | msgspec.UnsetType = msgspec.UNSET


class NamedWriteRequest(msgspec.Struct, frozen=True):
    """The body of a write request with such commands."""

    commands: list[NamedCommand]
    dry_run: bool = msgspec.field(default=False, name="dryRun")

    def plain(self) -> WriteRequest:
        """The same with plain commands.

        Raises:
            MalformedRequest: A command has no name, or several.
        """
        found: list[Command] = []
        for number, named in enumerate(self.commands):
            given = [each for each in (named.upsert, named.update, named.remove) if each is not msgspec.UNSET]
            if len(given) != 1:
                path = f"$.commands[{number}]"
                raise MalformedRequest(f"At {path} one command is expected; {len(given)} are there.", path=path)
            found += given
        return WriteRequest(found, self.dry_run)


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
