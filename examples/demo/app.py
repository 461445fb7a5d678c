"""A small web shop with several bugs, watched by the real, unmodified sentry-sdk.

Nothing in here knows of Tamis but the DSN. The shop is served over HTTP and visited by customers, by a load balancer that
asks for its health, and by a crawler. It leaks e-mail addresses, card numbers and tokens, as real programs do.

What it sent is counted where the SDK hands it to its transport, and written to a file, so that the report can hold the
tables against it.
"""

import argparse
import collections
import io
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.transport import HttpTransport

# ---------------------------------------------------------------- what was sent

class Ledger:
    """Counts items by category. `discarded` are those that the SDK dropped by itself and will report as client_discard."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = collections.Counter()
        self.discarded = collections.Counter()
        self.leak = None

    def envelope(self, envelope):
        with self.lock:
            for item in envelope.items:
                if item.type == "client_report":
                    continue  # It is about items, it is none.
                category = {"event": "error", "log": "log_item", "sessions": "session"}.get(item.type, item.type)
                self.sent[category] += self.quantity(item)
                event = item.get_event() if item.type == "event" else None
                if event and (event.get("tags") or {}).get("demo") == "leak" and self.leak is None:
                    self.leak = json.loads(item.get_bytes())

    @staticmethod
    def quantity(item):
        if item.type == "sessions":
            # The SDK sums up the sessions of each minute; every sum is one thing to account for.
            return len(json.loads(item.get_bytes())["aggregates"])
        return item.headers.get("item_count", 1)

    def loss(self, category, quantity):
        with self.lock:
            self.discarded[category] += quantity

    def save(self, path):
        with open(path, "w") as file:
            json.dump({"sent": self.sent, "discarded": self.discarded, "leak": self.leak}, file, indent=1)


LEDGER = Ledger()


class CountingTransport(HttpTransport):
    """The SDK's own transport. It is only watched."""

    def capture_envelope(self, envelope):
        LEDGER.envelope(envelope)
        super().capture_envelope(envelope)

    def record_lost_event(self, reason, data_category=None, item=None, *, quantity=1):
        # With an item it is about what `capture_envelope` has counted as sent. Without one it is about what never was an
        # item: dropped by `before_send`, or a span that was still open when its transaction ended.
        if item is None:
            LEDGER.loss(data_category, quantity)
        super().record_lost_event(reason, data_category, item, quantity=quantity)


# ---------------------------------------------------------------- the shop and its bugs

log = logging.getLogger("shop")
STOCK = {"tea": 4, "mug": 0, "pot": 7}


class PaymentDeclined(Exception):
    pass


class CarrierError(Exception):
    pass


def ask_bank(amount):
    # One bug with many messages: the place is the same, so it is one group.
    raise ConnectionResetError(f"bank-{amount % 3}.example hung up after {amount * 7} ms")


def charge(order, card):
    try:
        ask_bank(order)
    except ConnectionResetError as cause:
        raise PaymentDeclined(f"order {order} was not paid") from cause


def pay(order, user):
    card = "4242 4242 4242 4242"
    with sentry_sdk.start_span(op="http.client", name="POST bank.example/charge"):
        if order % 4 == 0:
            charge(order, card)
    with sentry_sdk.start_span(op="db", name="UPDATE orders SET paid = true WHERE id = %s"):
        time.sleep(0.001)
    log.info("order %s was paid by %s with %s", order, user, card)


def parse_address(text):
    street, number = text.split(",")
    return street, int(number)


def ship(order):
    address = ["Long Lane, 7", "Short Street", "Market Place, none"][order % 3]
    with sentry_sdk.start_span(op="function", name="parse_address"):
        street, number = parse_address(address)
    return f"to {street} {number}"


def search(order):
    with sentry_sdk.start_span(op="cache.get", name="search:tea"):
        pass
    with sentry_sdk.start_span(op="db", name="SELECT sku FROM stock WHERE title LIKE %s"):
        if order % 5 == 0:
            return STOCK["sugar"]
    return sorted(STOCK)


def leak(order, user):
    """Everything that must not be kept, in the places where programs leave it."""
    scope = sentry_sdk.get_current_scope()
    scope.set_tag("demo", "leak")
    scope.set_extra("retry", "curl -d 'card=4111 1111 1111 1111' https://shop:s3cret@bank.example/charge")
    scope.set_extra("header", "Authorization: Bearer 0123456789abcdef0123456789abcdef")
    scope.set_extra("api_token", "tok_live_0123456789abcdef")
    scope.set_context("support", {"contact": f"call {user}, she paid with 5555-5555-5555-4444", "ssn": "078-05-1120"})
    sentry_sdk.add_breadcrumb(category="mail", message=f"sent the receipt to {user}", data={"password": "hunter2"})
    raise RuntimeError("the receipt could not be printed")


def route(path, order, user):
    if path == "/healthz":
        return "ok"
    if path == "/payments/charge":
        pay(order, user)
        return "paid"
    if path == "/orders/ship":
        return ship(order)
    if path == "/receipt":
        leak(order, user)
    return search(order)


def shop(environ, start_response):
    path, order = environ["PATH_INFO"], int(environ.get("HTTP_X_ORDER", "0"))
    user = f"ada.{order % 6}@example.com"
    scope = sentry_sdk.get_current_scope()
    scope.set_transaction_name(path, source="route")
    if path != "/healthz":
        sentry_sdk.set_user({"id": str(order % 6), "email": user})
        log.info("visit of %s", path)
    body = str(route(path, order, user)).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


# ---------------------------------------------------------------- its visitors

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

# Customers do not come all at once. The SDK's queue holds 100 envelopes, and what does not fit it drops (and reports).
PAUSE_SECONDS = 0.01


class Quiet(WSGIRequestHandler):
    """Writes nothing: a bug of the shop is to be seen in the tables, not on the terminal of whoever runs the demo."""

    def log_message(self, *_):
        pass

    def get_stderr(self):
        return io.StringIO()


def visit(port, path, order=0, agent=BROWSER):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    request.add_header("Host", "shop.example")
    request.add_header("User-Agent", agent)
    request.add_header("X-Order", str(order))
    request.add_header("Authorization", "Bearer 0123456789abcdef0123456789abcdef")
    time.sleep(PAUSE_SECONDS)
    try:
        urllib.request.urlopen(request, timeout=5).read()
    except urllib.error.HTTPError:
        pass  # A bug of the shop: the SDK has it.


def visits(port):
    for order in range(24):
        visit(port, "/payments/charge", order)
        visit(port, "/search", order)
    for order in range(24):
        visit(port, "/orders/ship", order)
    for _ in range(20):
        visit(port, "/healthz", agent="kube-probe/1.33")
    for order in range(0, 40, 5):
        visit(port, "/search", order, agent=CRAWLER)
    visit(port, "/receipt", 1)


def by_hand():
    """What programs send beside their requests."""
    for milliseconds in (41, 57, 390):
        # Sentry's grouping takes the numbers out: one group.
        sentry_sdk.capture_message(f"carrier answered in {milliseconds} ms", level="warning")
    for parcel in range(3):
        try:
            raise CarrierError(f"parcel {parcel} is lost")
        except CarrierError as error:
            sentry_sdk.capture_exception(error)
    sentry_sdk.capture_message("not worth a word: dropped by before_send")


def before_send(event, _hint):
    # The client drops this one by itself. It says so in its client report, and Tamis counts it.
    message = (event.get("logentry") or {}).get("message") or event.get("message") or ""
    return None if "dropped by before_send" in message else event


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--dsn", required=True)
    args.add_argument("--out", required=True, help="where to write what was sent")
    args = args.parse_args()
    sentry_sdk.init(
        dsn=args.dsn,
        transport=CountingTransport,
        environment="production",
        release="shop@1.4.2",
        traces_sample_rate=1.0,
        enable_logs=True,
        send_default_pii=True,
        before_send=before_send,
    )
    log.setLevel(logging.INFO)
    log.propagate = False
    server = make_server("127.0.0.1", 0, SentryWsgiMiddleware(shop), handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    visits(server.server_port)
    by_hand()
    sentry_sdk.get_client().close(timeout=5)
    server.shutdown()
    LEDGER.save(args.out)


if __name__ == "__main__":
    main()
