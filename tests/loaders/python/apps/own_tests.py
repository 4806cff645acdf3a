"""An application's own tests: they look at what is logged and warned."""

import logging


def test_records(caplog):
    logging.getLogger("shop").warning("said")
    assert [record.message for record in caplog.records] == ["said"]
