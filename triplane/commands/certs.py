"""`certs check-expiration` and `certs renew`, in kubeadm's words."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from triplane.commands.options import DataDirOption, Output, OutputOption
from triplane.errors import CommandError, UsageError
from triplane.text import table

if TYPE_CHECKING:
    from pki.renew import Expiry

app = typer.Typer(help="Certificates: when they end, and renewal.", no_args_is_help=True)


@app.command()
def check_expiration(data_dir: DataDirOption, output: OutputOption = Output.TEXT) -> None:
    """List every certificate and CA with the time it has left; exit code 1 if one is over."""
    from pki.renew import check_expiration as read_expiries

    if not (data_dir / "pki").is_dir():
        raise CommandError(f"{data_dir} holds no certificates", "create some with `triplane up`")
    now = datetime.now(UTC)
    expiries = read_expiries(data_dir)
    as_json = output is Output.JSON
    typer.echo(expiries_as_json(expiries, now) if as_json else expiries_as_text(expiries, now))
    if any(expiry.expires is None or expiry.expires <= now for expiry in expiries):
        raise typer.Exit(1)


@app.command()
def renew(
    names: Annotated[
        list[str],
        typer.Argument(metavar="all|NAME...", help="As check-expiration names them."),
    ],
    data_dir: DataDirOption,
) -> None:
    """Renew certificates for a year, with new keys; running components take them when restarted."""
    from pki.renew import renew as renew_certificates
    from pki.renew import renewable_names

    known = renewable_names()
    chosen = known if names == ["all"] else tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise UsageError(
                f"no certificate is named {name}", f"choose of all, {', '.join(known)}"
            )
    renew_certificates(data_dir, chosen, now=datetime.now(UTC))
    for name in chosen:
        typer.echo(f"certificate {name} renewed")
    typer.echo("Restart what runs for it to take the new ones: `triplane down`, `triplane up`.")


def expiries_as_text(expiries: Sequence["Expiry"], now: datetime) -> str:
    """kubeadm's two tables: certificates, then CAs."""
    leaves = [
        (e.name, *_when(e, now), e.authority, "yes" if e.externally_managed else "no")
        for e in expiries
        if e.authority is not None
    ]
    authorities = [
        (e.name, *_when(e, now), "yes" if e.externally_managed else "no")
        for e in expiries
        if e.authority is None
    ]
    headings = ("EXPIRES", "RESIDUAL TIME")
    return "\n\n".join(
        [
            table(
                ("CERTIFICATE", *headings, "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"), leaves
            ),
            table(("CERTIFICATE AUTHORITY", *headings, "EXTERNALLY MANAGED"), authorities),
        ]
    )


def expiries_as_json(expiries: Sequence["Expiry"], now: datetime) -> str:
    """kubeadm's CertificateExpirationInfo."""
    document = {
        "kind": "CertificateExpirationInfo",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "certificates": [_item(e, now) for e in expiries if e.authority is not None],
        "certificateAuthorities": [_item(e, now) for e in expiries if e.authority is None],
    }
    return json.dumps(document, indent=2)


def _item(expiry: "Expiry", now: datetime) -> dict[str, object]:
    item: dict[str, object] = {"name": expiry.name}
    if expiry.expires is None:
        item |= {"expirationDate": None, "residualTimeSeconds": 0, "missing": True}
    else:
        item |= {
            "expirationDate": f"{expiry.expires:%Y-%m-%dT%H:%M:%SZ}",
            "residualTimeSeconds": int((expiry.expires - now).total_seconds()),
            "missing": False,
        }
    if expiry.authority is not None:
        item["caName"] = expiry.authority
    return item | {"externallyManaged": expiry.externally_managed}


def _when(expiry: "Expiry", now: datetime) -> tuple[str, str]:
    from pki.renew import residual_text

    if expiry.expires is None:
        return "!MISSING!", ""
    return f"{expiry.expires:%b %d, %Y %H:%M} UTC", residual_text(expiry.expires - now)
