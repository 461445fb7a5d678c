//! The words that the corpus is made of. Invented: none of them was copied from a real event.

pub(super) const ENVIRONMENTS: [&str; 3] = ["production", "production", "staging"];

pub(super) const ROUTES: [&str; 12] = [
    "/checkout/pay",
    "/checkout/address",
    "/cart",
    "/cart/{item}",
    "/search",
    "/product/{sku}",
    "/account/orders",
    "/account/login",
    "/api/v2/prices",
    "/api/v2/stock/{sku}",
    "/webhook/carrier",
    "/report/daily",
];

pub(super) const USER_AGENTS: [&str; 6] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1",
    "shop-worker/4.2",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];

pub(super) const NOUNS: [&str; 24] = [
    "order",
    "basket",
    "invoice",
    "voucher",
    "shipment",
    "parcel",
    "carrier",
    "price",
    "stock",
    "catalog",
    "customer",
    "session",
    "payment",
    "refund",
    "ledger",
    "report",
    "batch",
    "cursor",
    "bucket",
    "tenant",
    "quota",
    "token",
    "webhook",
    "thumbnail",
];

pub(super) const VERBS: [&str; 20] = [
    "load", "store", "reserve", "release", "parse", "render", "resolve", "merge", "flush", "publish",
    "validate", "convert", "split", "assign", "charge", "notify", "collect", "rotate", "expand", "apply",
];

/// Libraries by platform: module and function, as their frames name them.
pub(super) const PYTHON_LIBRARIES: [(&str, &str); 6] = [
    ("werkzeug.wsgi", "run_application"),
    ("sqlalchemy.engine.base", "execute"),
    ("requests.adapters", "send"),
    ("celery.app.trace", "trace_task"),
    ("redis.connection", "read_response"),
    ("json.decoder", "raw_decode"),
];
pub(super) const JAVASCRIPT_LIBRARIES: [(&str, &str); 5] = [
    ("express/lib/router/layer", "Layer.handle_request"),
    ("pg/lib/client", "Client.query"),
    ("node:internal/process/task_queues", "process.processTicksAndRejections"),
    ("undici/lib/api", "Client.request"),
    ("react-dom/cjs/react-dom-client", "commitMutationEffects"),
];
pub(super) const JAVA_LIBRARIES: [(&str, &str); 5] = [
    ("org.apache.catalina.core.StandardWrapperValve", "invoke"),
    ("java.util.concurrent.ThreadPoolExecutor", "runWorker"),
    ("com.zaxxer.hikari.pool.HikariPool", "getConnection"),
    ("org.springframework.aop.framework.CglibAopProxy", "intercept"),
    ("jdk.internal.reflect.DirectMethodHandleAccessor", "invoke"),
];
pub(super) const GO_LIBRARIES: [(&str, &str); 4] = [
    ("net/http", "HandlerFunc.ServeHTTP"),
    ("database/sql", "(*DB).queryDC"),
    ("encoding/json", "(*decodeState).object"),
    ("runtime", "goexit"),
];

pub(super) const PYTHON_ERRORS: [&str; 7] = [
    "ValueError",
    "KeyError",
    "TimeoutError",
    "IntegrityError",
    "ConnectionResetError",
    "PaymentDeclined",
    "TypeError",
];
pub(super) const JAVASCRIPT_ERRORS: [&str; 5] =
    ["TypeError", "RangeError", "Error", "AbortError", "ReferenceError"];
pub(super) const JAVA_ERRORS: [&str; 5] = [
    "NullPointerException",
    "IllegalStateException",
    "SQLTransientConnectionException",
    "TimeoutException",
    "IOException",
];
pub(super) const GO_ERRORS: [&str; 4] =
    ["*errors.errorString", "*fmt.wrapError", "*net.OpError", "runtime.boundsError"];

pub(super) const MESSAGES: [&str; 8] = [
    "no such row",
    "could not be reached in time",
    "has the wrong state",
    "is not a number",
    "is locked by another worker",
    "was refused by the bank",
    "has no price in this currency",
    "is used twice",
];

pub(super) const FIRST_NAMES: [&str; 10] =
    ["amira", "bo", "chidi", "dana", "emre", "fatou", "greta", "hiro", "ines", "jonas"];

/// Numbers that pass the Luhn check and belong to nobody: the cards that payment providers publish for tests.
pub(super) const CARDS: [&str; 4] =
    ["4242 4242 4242 4242", "5555555555554444", "4000-0000-0000-0002", "378282246310005"];

pub(super) const QUERIES: [&str; 6] = [
    "SELECT id, state, total FROM orders WHERE customer_id = %s ORDER BY created_at DESC LIMIT 20",
    "UPDATE stock SET reserved = reserved + %s WHERE sku = %s AND free >= %s",
    "INSERT INTO ledger (account, amount, currency, reference) VALUES (%s, %s, %s, %s)",
    "SELECT p.sku, p.title, c.amount FROM product p JOIN price c ON c.sku = p.sku WHERE c.currency = %s",
    "DELETE FROM session WHERE expires_at < now() - interval '1 day'",
    "SELECT count(*) FROM shipment WHERE carrier = %s AND promised_on = current_date",
];
