"""Send a report to an LNT server, or print the suite that the server needs.

ptreetime lnt schema > INSTANCE/schemas/ptreetime.yaml
ptreetime lnt submit report.json http://lnt.example/db_default --suite ptreetime
"""

from __future__ import annotations

import argparse
import sys

from pytest_ptreetime.reports.lnt import SUITES, lnt_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    submit = actions.add_parser("submit", help="send a report")
    submit.add_argument("file", metavar="FILE")
    submit.add_argument("url", metavar="URL", help="of the server's database, for example http://lnt/db_default")
    submit.add_argument("--suite", choices=SUITES, default="compile")
    submit.add_argument(
        "--merge",
        choices=("reject", "replace", "append"),
        default="reject",
        help="what the server does with an earlier run of this order",
    )
    submit.add_argument("--token", help="the server's API token, where it wants one")
    schema = actions.add_parser("schema", help="print the schema file of the suite")
    schema.add_argument("--suite", choices=SUITES, default="ptreetime")


def run(options: argparse.Namespace) -> int:
    if options.action == "schema":
        print(lnt_schema(options.suite), end="")
        return 0
    from pytest_ptreetime.reports.lnt_submit import submit

    def tell(line: str) -> None:
        print(f"ptreetime lnt submit: {line}", file=sys.stderr, flush=True)

    options_of_server = {"suite": options.suite, "merge": options.merge, "token": options.token}
    print(submit(options.file, options.url, tell=tell, **options_of_server))
    return 0
