"""DELETE a collection: each selected object as if it were deleted alone."""

import asyncio
from typing import Final

from apiserver.api.errors import ApiError
from apiserver.endpoints.api import Api
from apiserver.endpoints.delete import delete_object, read_delete_options
from apiserver.endpoints.list import list_options
from apiserver.endpoints.options import parse_options
from apiserver.endpoints.presenter import presenter_for
from apiserver.endpoints.target import Target, is_namespace
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import require
from apiserver.http.reply import Reply
from apiserver.http.status import bytes_reply
from apiserver.store.objects import StoredObject

WORKERS: Final = 16


async def deletecollection(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Answer with the list of what was deleted; the first failure ends it."""
    media = require(ctx.accept)
    options = await read_delete_options(ctx)
    selection = parse_options(target.resource, ctx.query, watch=False)
    page = await api.storage.list_(target.prefix, list_options(selection))
    pending = iter(page.objects)
    failures: list[ApiError] = []

    async def remove(stored: StoredObject) -> None:
        metadata = stored.decoded["metadata"]
        one = Target(target.resource, metadata.get("namespace", ""), metadata["name"])
        try:
            if is_namespace(target.resource):
                api.namespaces.admit_delete(one.name)
            await delete_object(api, one, options, stored)
        except ApiError as error:
            if error.status_code != 404:
                failures.append(error)

    async def work() -> None:
        for stored in pending:
            if failures:
                return
            await remove(stored)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(WORKERS, len(page.objects))):
            tasks.create_task(work(), name="deletecollection")
    if failures:
        raise failures[0]
    presenter = presenter_for(target.resource, media, ctx.query, api.now)
    return bytes_reply(ctx, presenter.page(page), media)
