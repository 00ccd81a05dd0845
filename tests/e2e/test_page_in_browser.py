"""The page in a real browser: from a dropped folder to an exported review, by hand and by keyboard.

The pictures are drawn, or real cells where there are any.
"""

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from conftest import draw_cell
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.calls import write
from leukoscope.inference.model import Model

expect.set_options(timeout=60_000)

CELLS = 200
NAME = "<img src=x onerror=document.title='smuggled'>.bmp"
"""A name that must be shown and not obeyed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 cells of ten subjects in two folders, one picture that is none, and a text."""
    folder = tmp_path_factory.mktemp("dropped") / "new cells"
    if real := os.environ.get("LEUKOSCOPE_CNMC"):
        sources = sorted(Path(real).rglob("*.bmp"))[: CELLS - 2]
        for number, source in enumerate(sources):
            target = folder / f"half {number % 2}" / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    else:
        for number in range(CELLS - 2):
            subject, label = number % 10 + 1, number % 2
            name = f"UID_{'' if label else 'H'}{subject}_1_{number}_{'all' if label else 'hem'}.bmp"
            draw_cell(folder / f"half {label}" / name, label, seed=number)
    draw_cell(folder / NAME, 1, seed=999)
    (folder / "broken.bmp").write_bytes(b"BM and no more")
    (folder / "notes.txt").write_text("no picture")
    return folder


@contextmanager
def serving(bundle: Bundle, **variables: str) -> Iterator[str]:
    """Run `leukoscope serve` as a person starts it; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", str(bundle.folder), "--port", str(port), "--engine", "fp32", "--threads", "1"]
    command = [sys.executable, "-c", "from leukoscope.cli import main; main()", *words]
    address = f"http://localhost:{port}"
    with subprocess.Popen(command, env=os.environ | variables) as process:
        for _ in range(300):
            try:
                urlopen(f"{address}/healthz")
                break
            except OSError:
                assert process.poll() is None, "the server ended"
                time.sleep(0.2)
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


@pytest.fixture(scope="module")
def server(bundle: Bundle) -> Iterator[str]:
    with serving(bundle) as address:
        yield address


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", *quiet]
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """The page in a fresh profile; it may ask only the server, and must not complain."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.set_default_timeout(60_000)
    opened = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console", lambda said: complaints.append(said.text) if said.type == "error" else None
    )
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(server)
    expect(opened.locator("#model")).to_contain_text("resnet18")
    yield opened
    # A test may cut it off from the server, which the browser tells, too.
    assert [words for words in complaints if "net::ERR_FAILED" not in words] == []
    assert {url for url in asked if not url.startswith((server, "blob:", "data:"))} == set()
    assert opened.title() == "leukoscope"
    context.close()


def drop(page: Page, *paths: Path) -> None:
    """Drop files and folders on the page, as a file manager does."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for moment in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": moment, "x": 600, "y": 400, "data": data})


def called(page: Page, count: int) -> None:
    """Wait until all are called."""
    expect(page.locator("#said")).to_have_text(f"{count} cells are called")
    expect(page.locator("#grid li")).to_have_count(count)


def shown(page: Page) -> dict[str, int]:
    """The counts beside the kinds of cells."""
    labels = page.locator("#show label").all()
    return {
        label.locator("input").input_value(): int(label.locator("output").inner_text())
        for label in labels
    }


def exported(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as waited:
        page.get_by_role("button", name="Export CSV").click()
    with waited.value.path().open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_from_a_dropped_folder_to_an_exported_review(
    page: Page, folder: Path, bundle: Bundle, tmp_path: Path
) -> None:
    drop(page, folder)
    called(page, CELLS)
    assert "1 other files in the folders are no pictures" in page.inner_text("#passed-over")

    # What the command says of the same folder, from where it is named alike.
    paths = sorted(folder.rglob("*.bmp"), key=lambda path: (path.parent != folder, path))
    names = [path.relative_to(folder.parent).as_posix() for path in paths]
    subjects = [re.match(r"UID_(H?)(\d+)", path.name) for path in paths]
    calls = Model(bundle, "fp32", threads=1).predict(
        paths, [found and f"{'hem' if found[1] else 'all'}:{found[2]}" for found in subjects]
    )
    calls["path"] = names
    calls["reason"] = calls["reason"].str.replace(f"{folder.parent}/", "")
    write(calls, tmp_path / "calls.csv")
    with (tmp_path / "calls.csv").open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    found = exported(page)
    assert [{name: row[name] for name in expected[0]} for row in found] == expected
    assert {row["reviewer"] for row in found} == {""}

    # Ranked by probability, and counted.
    ranked = [float(text) for text in page.locator("#grid .said span").all_inner_texts() if text]
    assert ranked == sorted(ranked, reverse=True)
    counts = shown(page)
    kinds = calls["call"].value_counts()
    assert [counts[kind] for kind in ("blast", "normal", "review")] == [
        kinds.get(kind, 0) for kind in ("blast", "normal", "review")
    ]
    assert (counts["all"], counts["unreadable"]) == (CELLS, 1)
    assert counts["flagged"] == calls["flags"].notna().sum()

    # The threshold recounts at once, with what the model does there.
    page.locator("#threshold").fill("0.9")
    sure = calls["certainty"] >= bundle.info.review.coverage(None)
    expect(page.locator("#show label", has_text="Blast").locator("output")).to_have_text(
        str(int((sure & (calls["probability"] >= 0.9)).sum()))
    )
    point = next(point for point in bundle.info.curve if point.threshold == 0.9)
    assert f"sensitivity {point.sensitivity:.2f}" in page.inner_text("#rates")
    assert f"specificity {point.specificity:.2f}" in page.inner_text("#rates")
    page.locator("#threshold").fill("0.5")

    # A filter shows what it says.
    page.get_by_text("Unreadable", exact=True).click()
    expect(page.locator("#grid li")).to_have_count(1)
    assert "broken.bmp" in str(page.locator("#grid li").get_attribute("title"))
    page.get_by_text("All", exact=True).click()
    expect(page.locator("#grid li")).to_have_count(CELLS)
    subject = next(found for found in calls["subject"] if found is not pd.NA and found)
    page.locator("#subject").select_option(subject)
    expect(page.locator("#grid li")).to_have_count(int((calls["subject"] == subject).sum()))
    page.locator("#subject").select_option("")
    expect(page.locator("#grid li")).to_have_count(CELLS)

    # A name is text.
    assert page.locator(f'#grid li[title="new cells/{NAME}"]').count() == 1

    # A cell opens with what speaks for it, and the training cells most like it.
    page.locator("#grid li").first.click()
    expect(page.locator("#detail")).to_be_visible()
    expect(page.locator("#near-rows tr")).to_have_count(5)
    page.get_by_role("radio", name="Occlusion").click()
    expect(page.locator("#view-layer")).to_be_visible()
    assert "speaks for a blast" in page.inner_text("#layer-text")

    # Reviewed by keyboard: each call goes on to the next cell.
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    first, second, third, *_ = [tile["title"] for tile in tiles(page)]
    page.locator("#grid li").first.focus()
    for key in ("n", "b", "r", "ArrowLeft", "u", "ArrowRight", "r"):
        page.keyboard.press(key)
    # The third was marked, the mark undone, and then the fourth, one further on, marked unsure.
    fourth = tiles(page)[3]["title"]
    expect(page.locator("#reviewed")).to_have_text(f"3 of {CELLS} reviewed by you")
    marked = {tile["title"]: tile["mark"] for tile in tiles(page) if tile["mark"]}
    assert marked == {first: "normal", second: "blast", fourth: "review"}, third

    # A reload loses nothing.
    page.reload()
    expect(page.locator("#kept-text")).to_have_text(f"{CELLS} cells, 3 reviewed by you.")
    page.get_by_role("button", name="Go on with it").click()
    expect(page.locator("#grid li")).to_have_count(CELLS)
    again = exported(page)
    assert [{name: row[name] for name in expected[0]} for row in again] == expected
    reviewed = {row["path"]: row["reviewer"] for row in again if row["reviewer"]}
    assert reviewed == {first: "normal", second: "blast", fourth: "unsure"}

    # Dropped again, the same files are known, and can be explained again.
    drop(page, folder)
    called(page, CELLS)
    expect(page.locator("#reviewed")).to_have_text(f"3 of {CELLS} reviewed by you")
    page.locator("#grid li").nth(1).click()
    expect(page.locator("#near-rows tr")).to_have_count(5)

    # The summary counts by subject, and prints alone.
    page.get_by_role("button", name="Summary").click()
    expect(page.locator("#summary-rows tr")).to_have_count(calls["subject"].nunique() + 2)
    page.emulate_media(media="print")
    assert page.locator("#summary-title").is_visible()
    assert not page.locator("header").is_visible()
    assert not page.locator("#print").is_visible()


def tiles(page: Page) -> list[dict[str, str]]:
    """What each tile shows, in order."""
    return page.locator("#grid li").evaluate_all(
        "all => all.map(tile => "
        "({title: tile.title, mark: tile.querySelector('.mark').dataset.mark}))"
    )


def test_a_new_worklist_discards_only_when_one_is_sure(page: Page, folder: Path) -> None:
    half = next(path for path in folder.iterdir() if path.is_dir())
    some = sorted(half.iterdir())[:3]
    drop(page, *some)
    called(page, 3)
    assert [tile["title"] for tile in tiles(page)] != []
    page.get_by_role("button", name="New worklist").click()
    page.get_by_role("button", name="Keep").click()
    assert page.locator("#grid li").count() == 3
    page.get_by_role("button", name="New worklist").click()
    page.get_by_role("button", name="Discard", exact=True).click()
    expect(page.locator("#drop")).to_be_visible()
    expect(page.locator("#kept")).to_be_hidden()


def test_what_is_kept_is_not_written_over_by_dropping_again(page: Page, tmp_path: Path) -> None:
    for number in range(3):
        draw_cell(tmp_path / f"{number}.bmp", 1, seed=number)
    drop(page, *sorted(tmp_path.iterdir())[:2])
    called(page, 2)
    page.locator("#grid li").first.focus()
    page.keyboard.press("n")
    expect(page.locator("#reviewed")).to_have_text("1 of 2 reviewed by you")
    page.reload()
    expect(page.locator("#kept-text")).to_have_text("2 cells, 1 reviewed by you.")
    drop(page, *sorted(tmp_path.iterdir()))
    called(page, 3)
    expect(page.locator("#reviewed")).to_have_text("1 of 3 reviewed by you")


def test_two_files_of_one_name_are_two_cells(page: Page, tmp_path: Path) -> None:
    files = [tmp_path / place / "cell.bmp" for place in ("one", "other")]
    for number, file in enumerate(files):
        draw_cell(file, number, seed=number)
        os.utime(file, (1e9, 1e9))  # as archives leave them: of one size and one date
    drop(page, files[0])
    called(page, 1)
    drop(page, files[1])
    called(page, 2)
    draw_cell(tmp_path / "new.bmp", 0, seed=2)
    for file in (*files, tmp_path / "new.bmp"):  # again, both, and one more
        drop(page, file)
    called(page, 3)
    assert {tile["title"] for tile in tiles(page)} == {"cell.bmp", "cell.bmp (2)", "new.bmp"}


def test_a_folder_without_pictures_is_said(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    drop(page, tmp_path)
    expect(page.locator("#problem")).to_contain_text("No picture was among them, but 1 other files")


def test_a_browser_without_room_says_that_it_keeps_nothing(page: Page, tmp_path: Path) -> None:
    page.evaluate(
        "() => { IDBObjectStore.prototype.put = "
        "() => { throw new DOMException('it is full', 'QuotaExceededError'); }; }"
    )
    draw_cell(tmp_path / "cell.bmp", 1, seed=1)
    drop(page, tmp_path / "cell.bmp")
    called(page, 1)
    expect(page.locator("#problem")).to_contain_text("cannot keep the review (it is full)")


def test_a_server_that_goes_away_loses_nothing(page: Page, tmp_path: Path) -> None:
    for number in range(3):
        draw_cell(tmp_path / f"{number}.bmp", 1, seed=number)
    page.route("**/v1/predict", lambda route: route.abort())
    drop(page, *tmp_path.iterdir())
    expect(page.locator("#problem")).to_contain_text("The server cannot be reached.")
    page.unroute("**/v1/predict")
    page.get_by_role("button", name="Try again").click()
    called(page, 3)
    expect(page.locator("#problem")).to_be_hidden()


def test_numbers_are_written_as_python_writes_them(page: Page) -> None:
    numbers = [0.0, 1.0, 0.1, 1 / 3, 0.9999999999999999, 1e-4, 9.9e-5, 1.5e-5, 2e-10, 5e-324]
    told = page.evaluate(
        "some => import('/page/calls.js').then(({ number }) => some.map(number))", numbers
    )
    assert told == [repr(number) for number in numbers]


def test_a_keyboard_reaches_everything(page: Page, folder: Path) -> None:
    half = next(path for path in folder.iterdir() if path.is_dir())
    drop(page, *sorted(half.iterdir())[:5])
    called(page, 5)
    reached = set()
    page.locator("#about-open").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.role || ''"))
    assert reached >= {
        *("help-open", "subject", "order", "threshold", "point", "coverage"),
        *("option", "summary-open", "export", "add-files", "add-folder", "new"),
    } - ({"coverage"} if page.locator("#coverage-field").is_hidden() else set())
    tile = page.locator("#grid li").first
    assert "probability of blast" in str(tile.get_attribute("aria-label"))
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    tile.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_visible()


def test_a_token_is_asked_for_where_there_is_one(browser: Browser, bundle: Bundle) -> None:
    token = "a-token-of-some-length"
    with serving(bundle, LEUKOSCOPE_TOKEN=token) as address, closing(browser.new_page()) as page:
        page.goto(address)
        for told in ("wrong", token):
            expect(page.locator("#token")).to_be_visible()
            page.locator("#token-value").fill(told)
            page.keyboard.press("Enter")
        expect(page.locator("#model")).to_contain_text("resnet18")
