"""Uses the real, unmodified sentry-sdk with everything it has, and writes down what left it: every envelope, byte for byte.

usage: client.py DSN RECORD
"""

import json
import logging
import sys
import threading

import sentry_sdk
from sentry_sdk import crons
from sentry_sdk.transport import HttpTransport


class RecordingTransport(HttpTransport):
    """The SDK's own transport, which notes what goes over the wire."""

    envelopes = []
    lock = threading.Lock()

    def _serialize_envelope(self, envelope):
        # The last place before the wire: client reports have been attached here.
        with self.lock:
            self.envelopes.append(
                {
                    "header": json.loads(json.dumps(envelope.headers)),
                    "items": [
                        {"header": dict(item.headers), "payload": item.get_bytes().decode("utf-8", "replace")}
                        for item in envelope.items
                    ],
                }
            )
        return super()._serialize_envelope(envelope)


class Rejected(Exception):
    pass


def first_cause(number):
    secret = {"depth": number, "list": [1, 2.5, None, True], "text": "é \U0001f600 \"quoted\"\n"}
    raise KeyError(f"no {number} in {secret['depth']}")


def errors():
    for number in range(3):
        try:
            try:
                first_cause(number)
            except KeyError as cause:
                raise Rejected(f"request {number} was rejected") from cause
        except Rejected as error:
            with sentry_sdk.new_scope() as scope:
                scope.set_user({"id": f"u{number}", "email": "ada@example.com", "username": "ada", "ip_address": "203.0.113.9"})
                scope.set_tag("region", "eu")
                scope.set_tag("with.dot", "dotted")
                scope.set_extra("nested", {"a": [{"b": "c"}, 1, 1.5, False, None]})
                scope.set_context("shop", {"cart": {"items": 3, "total": 12.25}})
                scope.set_level("fatal" if number == 0 else "error")
                scope.fingerprint = ["{{ default }}", "mine"] if number == 1 else None
                sentry_sdk.add_breadcrumb(category="query", message="SELECT 1", level="debug", data={"rows": 7})
                sentry_sdk.capture_exception(error)
    sentry_sdk.capture_message("a plain message", level="warning")
    sentry_sdk.capture_event(
        {
            "message": {"message": "user %s did %s", "params": ["ada", "that"], "formatted": "user ada did that"},
            "level": "info",
            "logger": "by.hand",
            "request": {
                "url": "https://shop.example/cart?x=1",
                "method": "POST",
                "headers": {"User-Agent": "Mozilla/5.0 Firefox/143.0", "X-Custom": "ü"},
                "data": {"field": ["v1", "v2"]},
                "query_string": "x=1",
                "cookies": {"a": "b"},
            },
            "transaction": "/by/hand",
            "modules": {"a": "1.0"},
        }
    )
    try:
        raise ExceptionGroup("two at once", [ValueError("one"), TypeError("two")])
    except ExceptionGroup as group:
        sentry_sdk.capture_exception(group)


def traces():
    with sentry_sdk.start_transaction(op="task", name="nightly", source="task") as transaction:
        transaction.set_tag("kind", "batch")
        transaction.set_data("rows", 12)
        sentry_sdk.set_measurement("cart", 3.5, "none")
        with sentry_sdk.start_span(op="db", name="SELECT * FROM orders") as span:
            span.set_data("db.system", "sqlite")
            with sentry_sdk.start_span(op="cache.get", name="orders:1") as inner:
                inner.set_status("not_found")
        sentry_sdk.logger.info("in a trace {order}", order=7, attributes={"flag": True, "ratio": 0.5, "name": "é"})


def logs():
    sentry_sdk.logger.warning("careful")
    logging.getLogger("app").error("by the standard library %s", 5)


def others():
    check_in = crons.capture_checkin(monitor_slug="nightly", status="in_progress",
                                     monitor_config={"schedule": {"type": "crontab", "value": "0 3 * * *"}})
    crons.capture_checkin(monitor_slug="nightly", check_in_id=check_in, status="ok", duration=1.5)
    with sentry_sdk.new_scope() as scope:
        scope.add_attachment(bytes=b"not kept, but accounted for", filename="note.txt")
        sentry_sdk.capture_message("with an attachment")
    for _ in range(2):
        sentry_sdk.capture_message("drop me")
    scope = sentry_sdk.get_isolation_scope()
    scope.start_session()
    scope.end_session()


def main():
    dsn, record = sys.argv[1:]
    sentry_sdk.init(
        dsn=dsn,
        transport=RecordingTransport,
        release="tests@1.2.3",
        dist="7",
        environment="staging",
        server_name="host-1",
        traces_sample_rate=1.0,
        enable_logs=True,
        send_default_pii=True,
        attach_stacktrace=True,
        max_breadcrumbs=20,
        before_send=lambda event, _: None if event.get("message") == "drop me" else event,
    )
    errors()
    traces()
    logs()
    others()
    sentry_sdk.get_client().close(timeout=20)
    with open(record, "w") as file:
        json.dump(RecordingTransport.envelopes, file)


main()
