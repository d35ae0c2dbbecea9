"""A small TLS server that stands for an API server: says its name, and whether it is ready.

`python -m tests.support.fake_apiserver --host --port --cert --key --name`; POST /status?code=503
changes what /readyz answers.
"""

import argparse
import ssl
import sys
from collections.abc import Sequence

from aiohttp import web


def make_app(name: str) -> web.Application:
    status = {"readyz": 200}

    async def readyz(request: web.Request) -> web.Response:
        return web.Response(status=status["readyz"], text="ok")

    async def set_status(request: web.Request) -> web.Response:
        status["readyz"] = int(request.query["code"])
        return web.Response(text="set")

    async def tell_name(request: web.Request) -> web.Response:
        return web.Response(text=name)

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application(client_max_size=64 << 20)
    app.router.add_get("/readyz", readyz)
    app.router.add_post("/status", set_status)
    app.router.add_get("/name", tell_name)
    app.router.add_post("/echo", echo)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    for flag in ("--host", "--port", "--cert", "--key", "--name"):
        parser.add_argument(flag, required=True)
    options = parser.parse_args(arguments)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.cert, options.key)
    web.run_app(
        make_app(options.name),
        host=options.host,
        port=int(options.port),
        ssl_context=context,
        print=None,
        access_log=None,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
