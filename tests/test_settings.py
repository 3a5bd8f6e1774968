"""Every mistake in the settings is one line that names the key, the value and the fix."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from lever_imocha.domain.tags import StatusTag
from lever_imocha.errors import SettingsError
from lever_imocha.settings import (
    ExplainSettings,
    Settings,
    cut_at_comments,
    load_settings,
    parse_settings,
    schedule,
    settings_path,
)

from dev.settings_docs import PAGE, page

ROOT = Path(__file__).parents[1]
GOOD = "perform_as: ops@example.com\n"


def test_the_file_that_is_shipped_says_the_defaults_and_lets_recruiters_know() -> None:
    shipped = load_settings(ROOT / "include" / "lever_imocha.yaml")
    on = ExplainSettings(status_tags=True, notes=True)
    assert shipped == Settings(perform_as="people-ops@example.com", explain=on)
    assert not Settings(perform_as="people-ops@example.com").explain.is_on


@pytest.mark.parametrize("tag", [*StatusTag, "imocha:Report Missing", " iMocha - on hold"])
@pytest.mark.parametrize(
    "key", ["tags: {{map: {{'{}': 5}}}}", "write_back: {{tags: ['{}']}}", "rules: [{{tags: ['{}']}}]"]
)
def test_a_status_tag_is_no_tag_of_the_settings(key: str, tag: str) -> None:
    with pytest.raises(SettingsError, match="is one of our own status tags; choose another tag"):
        parse_settings(GOOD + key.format(tag))


def test_durations_are_seconds_or_iso() -> None:
    poll = parse_settings(GOOD + "poll: {attempts: 2.5, lease: PT5M}").poll
    assert (poll.attempts, poll.lease) == (timedelta(seconds=2.5), timedelta(minutes=5))
    assert parse_settings(GOOD + "retention: {people: P365D}").retention.people == timedelta(days=365)


@pytest.mark.parametrize("url", ["https://x.example", "http://127.0.0.1:8080", "http://localhost/a", "http://[::1]:80"])
def test_the_public_url_is_encrypted_or_on_this_machine(url: str) -> None:
    assert parse_settings(f"{GOOD}public_url: '{url}'").public_url == url


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "x.yaml: perform_as: is missing; add it, e.g. perform_as: people-ops@example.com"),
        ("perform_as: ops", "x.yaml: perform_as: 'ops' cannot be used: it must be an e-mail address"),
        (GOOD + "rule: 3", "x.yaml: rule: there is no such setting; did you mean 'rules'?"),
        (GOOD + "zzz: 3", "x.yaml: zzz: there is no such setting; remove it; known here: perform_as, tags"),
        (GOOD + "rules: [{triger_stage: A}]", "x.yaml: rules[0].triger_stage: there is no such setting; did you mean"),
        (GOOD + "rules: []", "x.yaml: rules: '[]' cannot be used: at least one is needed"),
        (
            GOOD + "rules: [{trigger_stage: A, completed_stage: A}]",
            "x.yaml: rules[0]: the completed",
        ),
        (GOOD + "rules: [{retake: maybe}]", "x.yaml: rules[0].retake: 'maybe' cannot be used: Input should be 'never'"),
        (GOOD + "poll: {lease: -3}", "x.yaml: poll.lease: '-3' cannot be used: Input should be greater than"),
        (GOOD + "poll: {schedule: '99 * * * *'}", "x.yaml: poll.schedule: '99 * * * *' cannot be used: write a cron"),
        (GOOD + "poll: {schedule: '0 0 30 2 *'}", "x.yaml: poll.schedule: '0 0 30 2 *' cannot be used: it never comes"),
        (GOOD + "write_back: {tags: ['iMocha: done']}", "x.yaml: write_back.tags: 'iMocha: done' asks for a test"),
        (GOOD + "tags: {map: {'iMocha: invited': 5}}", "x.yaml: tags.map: 'iMocha: invited' is one of our own status"),
        (GOOD + "rules: [{tags: ['iMocha: on hold']}]", "x.yaml: rules[0].tags: 'iMocha: on hold' is one of our own"),
        (GOOD + "poll: {schedule: often}", "x.yaml: poll.schedule: 'often' cannot be used: write a cron expression"),
        (
            GOOD + "rate_limits: {lever: 40}",
            "x.yaml: rate_limits.lever: '40' cannot be used: Input should be less than",
        ),
        (
            GOOD + "public_url: http://airflow.example.com",
            "x.yaml: public_url: 'http://airflow.example.com' cannot be used: it must start with https://",
        ),
        (
            GOOD + "public_url: http://127.0.0.1.example.com",
            "x.yaml: public_url: 'http://127.0.0.1.example.com' cannot be used: it must start with https://",
        ),
        (GOOD + "public_url: https://", "x.yaml: public_url: 'https://' cannot be used: it must be a web address"),
        (GOOD + "write_back: {report_retry: []}", "x.yaml: write_back.report_retry: '[]' cannot be used: give at"),
        (GOOD + "alerts: {waiting: 0}", "x.yaml: alerts.waiting: '0' cannot be used: Input should be greater than"),
        (GOOD + "alerts: {notifer: a.B}", "x.yaml: alerts.notifer: there is no such setting; did you mean 'notifier'?"),
        (
            GOOD + "alerts: {arguments: 3}",
            "x.yaml: alerts.arguments: '3' cannot be used: write key: value, a line each",
        ),
        (
            GOOD + "alerts: {notifier: Smtp}",
            "x.yaml: alerts.notifier: 'Smtp' cannot be used: it must be a class's path",
        ),
        (
            GOOD + "alerts: {notifier: a.B}",
            "x.yaml: alerts: put {{ alert }} where the message",
        ),
        (
            GOOD + "retention: {deliveries: PT1H}",
            "x.yaml: retention.deliveries: must not be shorter than webhooks.max_age",
        ),
        (GOOD + "retention: {people: P7D}", "x.yaml: retention.people: 'P7D' cannot be used: Input should be greater"),
        (GOOD + "retention: {people: P10000Y}", "x.yaml: retention.people: 'P10000Y' cannot be used: a hundred years"),
        (GOOD + "rules: [{delay: P3000000D}]", "x.yaml: rules[0].delay: 'P3000000D' cannot be used: a hundred years"),
        (GOOD + "poll: {overlap: .inf}", "x.yaml: poll.overlap: 'inf' cannot be used: a hundred years"),
        (GOOD + "alerts: {waiting: 1.0e+30}", "x.yaml: alerts.waiting: '1e+30' cannot be used: a hundred years"),
        (GOOD + "poll: {attempts: .nan}", "x.yaml: poll.attempts: 'nan' cannot be used: "),
        (GOOD + f"rules: [{{tests: [{2**63}]}}]", f"x.yaml: rules[0].tests[0]: '{2**63}' cannot be used: "),
        (GOOD + f"tags: {{map: {{Python: {2**63}}}}}", f"x.yaml: tags.map.Python: '{2**63}' cannot be used: "),
        (GOOD + f"limits: {{per_hour: {2**31}}}", f"x.yaml: limits.per_hour: '{2**31}' cannot be used: "),
        (GOOD + "rate_limits: {imocha: 0.001}", "x.yaml: rate_limits.imocha: '0.001' cannot be used: "),
        ("a: [", "x.yaml line 1: is not YAML"),
        ("a:\n\tb: 1", "x.yaml line 2: is not YAML"),
        (GOOD + "poll: {}\nrules: []\npoll: {}", 'x.yaml line 4: "poll" is there twice; put what belongs to it'),
        (GOOD + "poll: {schedule: '0 */5 * * * *'}", "x.yaml: poll.schedule: '0 */5 * * * *' cannot be used: write a"),
        (GOOD + "write_back: {tags: ['imocha - done']}", "x.yaml: write_back.tags: 'imocha - done' asks for a test"),
        (GOOD + "rules: [{tests: [Python]}]", "x.yaml: rules[0].tests[0]: 'Python' cannot be used: it must be a whole"),
        (
            GOOD + "public_url: https://x.example/lever-imocha/webhooks/lever",
            "x.yaml: public_url: 'https://x.example/lever-imocha/webhooks/lever' cannot be used: leave out",
        ),
        ("- a", "x.yaml: must be a list of `key: value`, starting with perform_as"),
    ],
)
def test_a_mistake_is_one_line(text: str, line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, source="x.yaml")
    assert any(problem.startswith(line) for problem in caught.value.problems), caught.value.problems
    assert len(caught.value.problems) == 1


def test_several_mistakes_are_several_lines() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings("perform_as: x\npoll: {lease: 0}")
    assert len(caught.value.problems) == 2


def test_the_variable_names_another_file_and_a_missing_one_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEVER_IMOCHA_SETTINGS", str(tmp_path / "none.yaml"))
    assert settings_path() == tmp_path / "none.yaml"
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings()
    assert schedule() == "*/5 * * * *"
    (tmp_path / "none.yaml").write_text(GOOD + "poll: {schedule: '*/2 * * * *'}")
    assert schedule() == "*/2 * * * *"


def test_a_file_of_another_encoding_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(GOOD, encoding="utf-16")
    with pytest.raises(SettingsError, match="is not UTF-8; save it with this encoding"):
        load_settings(path)
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load_settings(path).perform_as == "ops@example.com"


def test_without_the_variable_it_is_the_projects_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEVER_IMOCHA_SETTINGS", raising=False)
    assert settings_path() == ROOT / "include" / "lever_imocha.yaml"


def test_the_page_of_settings_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_a_name_that_is_cut_at_what_yaml_takes_for_a_comment() -> None:
    text = """
    form_template: iMocha #1   # ours
    trigger_stage: "Test #2"
    tags:
      - Senior  #3
      - Junior # a comment
    per_hour: 200 #a comment
    #whole: line
    """
    said = "YAML takes what follows ` #` for a comment"
    assert cut_at_comments(text) == [
        f"{said}: 'iMocha' is read, and not 'iMocha #1'", f"{said}: 'Senior' is read, and not 'Senior  #3'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("rules:\n  - postings: [Engineer #2, Nurse]\n    tests: [101]\n", "put a name that has it in quotes"),
        ("tags:\n  map:\n    Python #1: 101\n", "a key that has a # is put in quotes"),
    ],
)
def test_a_name_that_yaml_has_cut_so_that_nothing_can_be_read_is_to_be_put_in_quotes(wrong: str, line: str) -> None:
    with pytest.raises(SettingsError, match=line):
        parse_settings(f"{GOOD}{wrong}")
