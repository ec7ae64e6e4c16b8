"""`cachewright choose`: asks what is cached and what matters most, and answers with a pattern, its guarantee and code.

What must not be here: the decision tree (`advice`) and the programs (`example`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from cachewright.cli import advice as tree
from cachewright.cli.example import SERVER, example


def _options(title: str, choices: Mapping[str, str]) -> str:
    lines = [f"{title}", *(f"  {name:<12} {meaning}" for name, meaning in choices.items())]
    return "\n".join(lines)


def _ask(title: str, choices: Mapping[str, str], default: str) -> str:
    """The answer to a question, on stderr, so that stdout holds the advice alone."""
    click.echo(_options(title, choices), err=True)
    answer = click.prompt(
        "  >", type=click.Choice([*choices]), default=default, err=True, show_choices=False
    )
    click.echo(err=True)
    return str(answer)


@click.command("choose", short_help="Recommend a pattern, with its guarantee and code.")
@click.option("--content", type=click.Choice([*tree.CONTENTS]), help="What is cached.")
@click.option(
    "--need", type=click.Choice([*tree.NEEDS]), help="What matters most, for rows and objects."
)
@click.option("--loss", type=click.Choice([*tree.LOSSES]), help="What a write-behind may lose.")
@click.option(
    "--world", type=click.Choice(["threads", "asyncio"]), default="threads", show_default=True
)
@click.option("--url", default=SERVER, show_default=True, help="The server in the code.")
@click.option("--json", "as_json", is_flag=True, help="Print the advice as JSON; nothing is asked.")
@click.option(
    "--code", "code_only", is_flag=True, help="Print the code alone, to be piped into a file."
)
def command(
    content: str | None,
    *,
    need: str | None,
    loss: str | None,
    world: str,
    url: str,
    as_json: bool,
    code_only: bool,
) -> None:
    """Recommend a caching pattern.

    What is not given as an option is asked, except with --json or --code: then content is rows, need read-heavy and
    loss none.
    """
    asking = not (as_json or code_only)
    if content is None:
        content = _ask("What is cached?", tree.CONTENTS, "rows") if asking else "rows"
    if need is None and tree.asks_for_need(content):
        need = _ask("What matters most?", tree.NEEDS, "read-heavy") if asking else "read-heavy"
    if loss is None and tree.asks_for_loss(content, need):
        loss = _ask("What may be lost?", tree.LOSSES, "none") if asking else "none"
    advice = tree.advise(content, need, loss)
    durability = tree.DURABILITIES[loss or "none"]
    code = example(advice.example, threads=world == "threads", server=url, durability=durability)
    if code_only:
        click.echo(code, nl=False)
    elif as_json:
        answers = {"content": content, "need": need, "loss": loss, "world": world}
        click.echo(json.dumps(answers | _spelled(advice) | {"code": code}, indent=2))
    else:
        _show(advice, code)


def _spelled(advice: tree.Advice) -> dict[str, str]:
    return {
        "pattern": advice.pattern,
        "reason": advice.reason,
        "guarantee": advice.guarantee,
        "price": advice.price,
        "page": advice.page,
    }


def _show(advice: tree.Advice, code: str) -> None:
    click.secho(f"Use {advice.pattern}.", bold=True)
    for title, text in (
        ("Why", advice.reason),
        ("What holds", advice.guarantee),
        ("What it costs", advice.price),
        ("More", advice.page),
    ):
        click.echo(click.wrap_text(text, 100, f"{title + ':':<15}", " " * 15))
    click.echo(f"\n{code}", nl=False)
