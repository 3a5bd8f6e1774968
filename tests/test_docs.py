"""The documents: every citation of a vendor fact and every relative link leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "plugins" / "lever_imocha"
VENDORS = ROOT / "docs" / "vendors"
CODE = ("plugins", "dags", "include", "tests", "dev", "benchmarks")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
CITATION = re.compile(r"\b(lever|imocha)\.md,? (\d+(?:\.\d+)?(?:(?:, | and | to )\d+(?:\.\d+)?)*)")
HEADING = re.compile(r"^## (\d+(?:\.\d+)?) ", re.MULTILINE)
DOCUMENT = re.compile(r"\b([a-z][a-z_-]*)\.md \d")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def _documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(p for d in (*CODE, "docs") for p in (ROOT / d).rglob("*.md"))])


def _files() -> list[Path]:
    return sorted([*(p for d in CODE for p in (ROOT / d).rglob("*.py")), *_documents()])


def test_every_cited_section_of_a_vendor_page_exists() -> None:
    headings = {page.stem: set(HEADING.findall(page.read_text())) for page in VENDORS.glob("*.md")}
    cited = [
        (file, page, number)
        for file in _files()
        for page, numbers in CITATION.findall(file.read_text())
        for number in NUMBER.findall(numbers)
    ]
    assert cited
    missing = [
        f"{file.relative_to(ROOT)}: {page}.md {number}" for file, page, number in cited if number not in headings[page]
    ]
    assert missing == []


def test_no_citation_of_a_document_that_does_not_exist() -> None:
    known = {page.stem for page in _documents()}
    unknown = [
        f"{file.relative_to(ROOT)}: {name}.md"
        for file in _files()
        for name in DOCUMENT.findall(file.read_text())
        if name not in known
    ]
    assert unknown == []


def test_every_relative_link_resolves() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in _documents()
        for link in LINK.findall(page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_module_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|js))`", text))
    assert len(named) > 50
    assert [name for name in sorted(named) if not any((root / name).exists() for root in (PACKAGE, ROOT))] == []


@pytest.mark.parametrize("package", ["domain", "workflows"])
def test_the_page_of_a_large_package_names_each_of_its_modules(package: str) -> None:
    modules = {path.stem for path in (PACKAGE / package).iterdir()} - {"__init__", "__pycache__"}
    assert modules == set(re.findall(r"`(\w+)`", (PACKAGE / package / "__init__.py").read_text()))
