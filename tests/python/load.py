"""The real, unmodified sentry-sdk under load: sends errors and transactions until stdin is closed, then writes down by id what the
server answered.

usage: load.py DSN RECORD EVENTS_PER_SECOND
"""

import json
import sys
import threading
import time

import sentry_sdk
from sentry_sdk.transport import HttpTransport


class AccountingTransport(HttpTransport):
    """The SDK's own transport, which notes what became of each envelope."""

    kept, refused, unknown = [], [], []

    def _send_request(self, body, headers, endpoint_type, envelope=None):
        self.event_id = envelope.headers.get("event_id")
        return super()._send_request(body, headers, endpoint_type, envelope)

    def _request(self, *arguments, **named):
        try:
            response = super()._request(*arguments, **named)
        except BaseException:
            self.note(self.unknown)
            raise
        self.note(self.kept if response.status == 200 else self.refused)
        return response

    def note(self, ids):
        if self.event_id:
            ids.append(self.event_id)


def main():
    dsn, record, rate = sys.argv[1:]
    sentry_sdk.init(dsn, transport=AccountingTransport, traces_sample_rate=1.0, send_client_reports=False, default_integrations=False)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    number = 0
    while not ended.is_set():
        number += 1
        if number % 3:
            try:
                raise ValueError(f"number {number}")
            except ValueError:
                sentry_sdk.capture_exception()
        else:
            with sentry_sdk.start_transaction(op="task", name=f"task {number % 5}"):
                with sentry_sdk.start_span(op="db", name="SELECT 1"):
                    pass
        ended.wait(1 / float(rate))
    sentry_sdk.flush(30)
    transport = AccountingTransport
    with open(record, "w") as file:
        json.dump({"kept": transport.kept, "refused": transport.refused, "unknown": transport.unknown}, file)


main()
