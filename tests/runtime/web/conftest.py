"""The site of the session's bundle, and a server of it."""

from collections.abc import Iterator
from threading import Thread

import pytest

from uyan.bundle import Bundle
from uyan.runtime.web import vendor_files
from uyan.runtime.web.server import SiteServer
from uyan.runtime.web.site import Site, make_site


@pytest.fixture(scope="session")
def site(bundle: Bundle) -> Site:
    if vendor_files.missing():
        pytest.skip(f"no onnxruntime-web here; {vendor_files.COMMAND}")
    return make_site([bundle], tta=False)


@pytest.fixture
def server(site: Site) -> Iterator[SiteServer]:
    with SiteServer(site, port=0) as found:
        thread = Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield found
        found.shutdown()
        thread.join()
