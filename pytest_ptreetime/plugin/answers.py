"""What the hooks answer, checked: an answer of the wrong kind is an error that names the plugin it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_ptreetime.errors import UsageError

if TYPE_CHECKING:
    from pytest_ptreetime.decision.finding import Comparison
    from pytest_ptreetime.reports import Report
    from pytest_ptreetime.tracers import Tracer
    from pytest_ptreetime.tree.process_tree import ProcessNode

__all__ = ["add_machine_info", "comparison", "key", "normalized_args", "reports", "tracers"]

_IsRight = Callable[[Any], bool]


def key(hook: Any) -> Callable[[ProcessNode], str | None] | None:
    """``pytest_ptreetime_key`` as a function of a node, called once a node; None where nobody implements it."""
    return _of_a_node(hook.pytest_ptreetime_key, _is_text, "a text or None")


def normalized_args(hook: Any) -> Callable[[ProcessNode], Sequence[str] | None] | None:
    """``pytest_ptreetime_normalize_args``, likewise."""
    return _of_a_node(hook.pytest_ptreetime_normalize_args, _is_texts, "a list of texts or None")


def _of_a_node(caller: Any, is_right: _IsRight, wanted: str) -> Callable[[ProcessNode], Any] | None:
    return (lambda node: _checked(caller, is_right, wanted, node=node)) if caller.get_hookimpls() else None


def comparison(hook: Any) -> Callable[..., Comparison | None]:
    """``pytest_ptreetime_compare``."""

    def is_comparison(value: Any) -> bool:
        from pytest_ptreetime.decision.finding import Comparison

        return isinstance(value, Comparison)

    caller = hook.pytest_ptreetime_compare
    return lambda **arguments: _checked(caller, is_comparison, "a Comparison or None", **arguments)


def tracers(hook: Any) -> dict[str, Callable[[], Tracer]]:
    """What ``pytest_ptreetime_tracers`` adds, by name."""
    wanted = "a dictionary of names and of what makes each tracer when it is called"
    found: dict[str, Callable[[], Tracer]] = {}
    for more in _all_checked(hook.pytest_ptreetime_tracers, _is_tracers, wanted):
        found.update(more)
    return found


def reports(hook: Any) -> list[Report]:
    """What ``pytest_ptreetime_reports`` adds."""
    wanted = "a list of reports, each with name, suffix and render(session, out)"
    return [report for some in _all_checked(hook.pytest_ptreetime_reports, _is_reports, wanted) for report in some]


def add_machine_info(hook: Any, info: dict[str, str]) -> None:
    """Let ``pytest_ptreetime_machine_info`` change ``info``."""
    caller = hook.pytest_ptreetime_machine_info
    before = dict(info)
    caller(info=info)
    if _is_information(info):
        return
    for name, function in _implementations(caller):
        function({"info": before})
        if not _is_information(before):
            raise UsageError(f"{caller.name} of {name} has put in something that is not text: {before!r}")


def _is_information(info: Mapping[Any, Any]) -> bool:
    return all(_is_text(name) and _is_text(value) for name, value in info.items())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and all(map(_is_text, value))


def _is_tracers(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is_text(name) and callable(make) for name, make in value.items())


def _is_reports(value: Any) -> bool:
    return isinstance(value, Sequence) and all(
        isinstance(getattr(report, "name", None), str)
        and isinstance(getattr(report, "suffix", None), str)
        and callable(getattr(report, "render", None))
        for report in value
    )


def _checked(caller: Any, is_right: _IsRight, wanted: str, **arguments: Any) -> Any:
    """The first answer that is not None.

    :raises UsageError: it is not what it should be.
    """
    answer = caller(**arguments)
    if answer is not None and not is_right(answer):
        _refuse(caller, is_right, wanted, arguments, answer)
    return answer


def _all_checked(caller: Any, is_right: _IsRight, wanted: str) -> list[Any]:
    answers = caller()
    for answer in answers:
        if not is_right(answer):
            _refuse(caller, is_right, wanted, {}, answer)
    return list(answers)


def _refuse(caller: Any, is_right: _IsRight, wanted: str, arguments: Mapping[str, Any], answer: Any) -> None:
    """Refuse the answer and name its plugin, which pluggy does not tell: the implementations are asked one by one."""
    for name, function in _implementations(caller):
        own = function(arguments)
        if own is not None and not is_right(own):
            raise UsageError(f"{caller.name} of {name} has returned {own!r}: it must return {wanted}")
    raise UsageError(f"{caller.name} has returned {answer!r}: it must return {wanted}")


def _implementations(caller: Any) -> Iterator[tuple[str, Callable[[Mapping[str, Any]], Any]]]:
    """The plugins that implement a hook, in the order in which they are asked, and what asks each."""
    for one in reversed(caller.get_hookimpls()):
        if not (one.hookwrapper or getattr(one, "wrapper", False)):
            yield one.plugin_name, partial(_asked, one)


def _asked(implementation: Any, given: Mapping[str, Any]) -> Any:
    return implementation.function(*(given[name] for name in implementation.argnames))
