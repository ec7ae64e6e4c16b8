"""A verb that is given a connection or session is part of that transaction and in step with its objects."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from integrations.shop import Article, Shown
from integrations.stores import Store, now

from cachewright import ABSENT


async def committed(store: Store) -> list[Any]:
    """What another transaction sees."""
    return await store.sql("SELECT id, title FROM article ORDER BY id")


async def test_on_a_connection_nothing_is_committed_and_all_is_seen_there(store: Store) -> None:
    source = store.source(Article, into=Shown)
    async with store.connected() as connection:
        await now(source.save_many([Shown(1, "a"), Shown(2, "b")], connection=connection))
        await now(source.patch(1, {"label": "c"}, connection=connection))
        await now(source.delete(2, connection=connection))
        assert list(await now(source.load_many([1, 2], connection=connection))) == [1]
    assert await committed(store) == []


async def test_a_session_decides_when_to_commit(store: Store) -> None:
    source = store.source(Article)
    async with store.session() as session:
        await now(source.save(Article(id=1, label="a"), connection=session))
        await now(session.rollback())
        assert await now(source.load(1, connection=session)) is ABSENT
        await now(source.save(Article(id=1, label="b"), connection=session))
        await now(session.commit())
    assert await committed(store) == [(1, "b")]


async def test_what_a_session_has_not_sent_yet_is_seen(store: Store) -> None:
    source = store.source(Article, into=Shown)
    async with store.session() as session:
        session.add(Article(id=7, label="Pending"))
        assert (await now(source.load(7, connection=session))).slug == "pending"


async def test_the_objects_of_a_session_show_what_was_written_beside_them(store: Store) -> None:
    source = store.source(Article)
    await now(source.save_many([Article(id=1, label="a"), Article(id=2, label="b")]))
    async with store.session() as session:
        one, two = await now(session.get(Article, 1)), await now(session.get(Article, 2))
        await now(source.patch(1, {"label": "NEW"}, connection=session))
        assert (one.label, one.slug) == ("NEW", "new")
        await now(source.delete(2, connection=session))
        assert two not in session
        assert await now(session.get(Article, 2)) is None


async def test_a_loaded_instance_can_be_merged_into_a_session_without_a_query(store: Store) -> None:
    source = store.source(Article)
    await now(source.save(Article(id=1, label="a")))
    article = await now(source.load(1))
    async with store.session() as session:
        with store.statements() as sent:
            merged = await now(session.merge(article, load=False))
        assert sent == []
        assert merged.label == "a"
        assert sa.inspect(merged).persistent
