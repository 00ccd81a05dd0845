"""What tests in a browser need."""

import shutil

import pytest


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    return found
