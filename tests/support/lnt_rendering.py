"""Run by LNT's Python: render the report in a file again by lnt.testing, from its values."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

testing = importlib.import_module("lnt.testing")
Machine, Run, Report = testing.Machine, testing.Run, testing.Report
report = json.loads(Path(sys.argv[1]).read_bytes())
if "Tests" in report:
    info = {key: value for key, value in report["Run"]["Info"].items() if key != "__report_version__"}
    again = Report(
        Machine(report["Machine"]["Name"], report["Machine"]["Info"]),
        Run(report["Run"]["Start Time"], report["Run"]["End Time"], info),
        [testing.TestSamples(test["Name"], test["Data"]) for test in report["Tests"]],
    )
else:
    machine = {key: value for key, value in report["machine"].items() if key != "name"}
    times = ("start_time", "end_time")
    run = {key: value for key, value in report["run"].items() if key not in times}
    tests = [
        testing.Test(
            test["name"],
            [
                testing.MetricSamples(name, values if isinstance(values, list) else [values])
                for name, values in test.items()
                if name != "name"
            ],
        )
        for test in report["tests"]
    ]
    again = Report(
        Machine(report["machine"]["name"], machine, report_version=2),
        Run(report["run"]["start_time"], report["run"]["end_time"], run, report_version=2),
        tests,
        report_version=2,
    )
sys.stdout.write(again.render())
