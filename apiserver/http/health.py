"""/healthz, /livez, /readyz: named checks, singly or all, as kube-apiserver answers them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from apiserver.http.context import RequestContext
from apiserver.http.reply import Reply
from apiserver.http.request_info import is_true
from apiserver.http.status import text_reply

# A check returns "" when all is well, else why not.
Check = Callable[[], str]


@dataclass(slots=True)
class Health:
    """The checks by endpoint (`healthz`, `livez`, `readyz`), each in the order of printing."""

    checks: Mapping[str, Mapping[str, Check]] = field(default_factory=dict)

    def answer(self, ctx: RequestContext) -> Reply | None:
        """The answer for a health path; None when the path is none."""
        endpoint, _, name = ctx.path.strip("/").partition("/")
        checks = self.checks.get(endpoint)
        if checks is None:
            return None
        if name:
            check = checks.get(name)
            if check is None:
                return None
            reason = check()
            if reason:
                return text_reply(ctx, f"internal server error: {reason}\n", status=500)
            return text_reply(ctx, "ok")
        return _all(ctx, endpoint, checks)


def _all(ctx: RequestContext, endpoint: str, checks: Mapping[str, Check]) -> Reply:
    excluded = set(ctx.query.get("exclude", "").split(",")) - {""}
    lines: list[str] = []
    failed = False
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok\n")
            continue
        if check():
            failed = True
            lines.append(f"[-]{name} failed: reason withheld\n")
        else:
            lines.append(f"[+]{name} ok\n")
    if failed:
        return text_reply(ctx, "".join(lines) + f"{endpoint} check failed\n", status=500)
    if is_true(ctx.query, "verbose"):
        return text_reply(ctx, "".join(lines) + f"{endpoint} check passed\n")
    return text_reply(ctx, "ok")
