"""`crdtstore tokens`: the keys that sign access tokens, in files.

Rules: a key is drawn into a new file, for its owner only, and is not printed. What is printed is the part that others
verify with.

Not here: what a token is (`crdtstore/auth/token.py`), which files a server reads (`serve_tokens`).
"""

from __future__ import annotations

from pathlib import Path

import click

from crdtstore.cli.options import Documented, Family, json_option

file_argument = click.argument("file", metavar="FILE")


@click.group("tokens", cls=Family, example="crdtstore tokens make-key signing-key.json")
def command() -> None:
    """Make and show the keys that sign access tokens.

    A server takes them with --token-signing-key-file. They lie outside of every data directory.
    """


@command.command("make-key", cls=Documented, example="crdtstore tokens make-key signing-key.json")
@file_argument
@json_option
def make_key(*, file: str, as_json: bool) -> None:
    """Draw a key into a new FILE, for you alone, and print its name.

    It is one of Ed25519. The store that signs with it lets in whom it says: keep it as you keep an API key
    that may do everything.
    """
    import msgspec

    from crdtstore.auth.key_form import random_text
    from crdtstore.auth.token_keys import draw_signing_key
    from crdtstore.cli.key_file import write_key_file
    from crdtstore.cli.output import print_json

    kid = random_text(11)
    write_key_file(file, msgspec.json.encode(draw_signing_key(kid)).decode())
    if as_json:
        print_json({"file": file, "kid": kid})
    else:
        click.echo(f"The key {kid} is in {file}.")


@command.command("show-key", cls=Documented, example="crdtstore tokens show-key signing-key.json > public-keys.json")
@file_argument
def show_key(*, file: str) -> None:
    """Print the public part of the keys in FILE.

    It is JSON Web Keys, for whoever verifies tokens.
    """
    from crdtstore.auth.token_keys import public_part, read_key_file
    from crdtstore.cli.output import print_json

    print_json(public_part(read_key_file(Path(file), ())))
