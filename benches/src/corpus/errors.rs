//! Errors. What a bug is (types, frames, size) is a function of seed, project and rank, so that its events belong together;
//! what differs from event to event (messages, variables, breadcrumbs, users) is drawn.

use super::Moment;
use super::json::Json;
use super::random::Random;
use super::words::{
    CARDS, FIRST_NAMES, GO_ERRORS, GO_LIBRARIES, JAVA_ERRORS, JAVA_LIBRARIES, JAVASCRIPT_ERRORS,
    JAVASCRIPT_LIBRARIES, MESSAGES, NOUNS, PYTHON_ERRORS, PYTHON_LIBRARIES, QUERIES, USER_AGENTS, VERBS,
};

/// Bytes of an event at the median, and the bounds that none passes by more than a breadcrumb.
const SIZE_BYTES_MEDIAN: f64 = 8_000.0;
const SIZE_BYTES_MIN: f64 = 2_100.0;
const SIZE_BYTES_MAX: f64 = 59_000.0;
/// Deviation of the logarithm of the size, between bugs and within one.
const SPREAD_OF_BUGS: f64 = 0.75;
const SPREAD_OF_EVENTS: f64 = 0.25;
/// The part of an event that its frames take.
const SHARE_OF_FRAMES: f64 = 0.5;
const FRAMES_MAX: u64 = 100;
const BREADCRUMBS_MAX: usize = 100;
/// What stands behind the breadcrumbs, at least.
const TAIL_BYTES: usize = 40;

/// A kind of client.
#[derive(Debug)]
pub(super) struct Platform {
    name: &'static str,
    /// `name/version`, as clients present themselves.
    pub(super) sdk: &'static str,
    extension: &'static str,
    errors: &'static [&'static str],
    libraries: &'static [(&'static str, &'static str)],
    /// Bytes of a frame, about.
    frame_bytes: f64,
    /// Whether frames carry lines of source and variables.
    has_context: bool,
    has_vars: bool,
}

const PLATFORMS: [Platform; 4] = [
    Platform {
        name: "python",
        sdk: "sentry.python.flask/2.75.0",
        extension: "py",
        errors: &PYTHON_ERRORS,
        libraries: &PYTHON_LIBRARIES,
        frame_bytes: 1_050.0,
        has_context: true,
        has_vars: true,
    },
    Platform {
        name: "node",
        sdk: "sentry.javascript.node/10.78.0",
        extension: "js",
        errors: &JAVASCRIPT_ERRORS,
        libraries: &JAVASCRIPT_LIBRARIES,
        frame_bytes: 830.0,
        has_context: true,
        has_vars: false,
    },
    Platform {
        name: "java",
        sdk: "sentry.java.spring-boot/8.24.0",
        extension: "java",
        errors: &JAVA_ERRORS,
        libraries: &JAVA_LIBRARIES,
        frame_bytes: 155.0,
        has_context: false,
        has_vars: false,
    },
    Platform {
        name: "go",
        sdk: "sentry.go/0.38.0",
        extension: "go",
        errors: &GO_ERRORS,
        libraries: &GO_LIBRARIES,
        frame_bytes: 810.0,
        has_context: true,
        has_vars: false,
    },
];

/// A project has one platform.
pub(super) fn platform_of(project: u64) -> &'static Platform {
    &PLATFORMS[(project % PLATFORMS.len() as u64) as usize]
}

/// What is the same in all events of a bug.
struct Bug {
    platform: &'static Platform,
    random: Random,
    size: f64,
}

impl Bug {
    fn new(seed: u64, project: u64, rank: usize) -> Bug {
        let mut random =
            Random::new(seed ^ project.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ (rank as u64) << 48);
        random.next();
        // Evenly spread over the bugs of a corpus, not drawn: the few frequent ones would else decide the median.
        let quantile =
            (0.5 + 0.618_034 * rank as f64 + 0.754_878 * project as f64).fract().clamp(0.002, 0.998);
        let normal = (quantile / (1.0 - quantile)).ln() / 1.702;
        let size = SIZE_BYTES_MEDIAN * (SPREAD_OF_BUGS * normal).exp();
        Bug { platform: platform_of(project), random, size: size.clamp(SIZE_BYTES_MIN, SIZE_BYTES_MAX) }
    }
}

pub(super) fn write(json: &mut Json, at: &Moment<'_>, rank: usize, seed: u64, random: &mut Random) {
    let mut bug = Bug::new(seed, at.request.project, rank);
    let size = bug.size * (SPREAD_OF_EVENTS * random.normal()).exp();
    let size = size.clamp(SIZE_BYTES_MIN, SIZE_BYTES_MAX) as usize;
    let full = size - TAIL_BYTES;
    json.object(|j| {
        head(j, at, bug.platform, random);
        j.values_at("exception", |j| exceptions(j, &mut bug, random));
        contexts(j, at, bug.platform);
        request(j, at, random);
        j.values_at("breadcrumbs", |j| {
            for left in (0..BREADCRUMBS_MAX).rev() {
                if j.len() >= full {
                    break;
                }
                breadcrumb(j, at, left as u64, random);
            }
        });
        if j.len() < full {
            j.object_at("extra", |j| {
                j.list_at("log", |j| {
                    while j.len() < full {
                        j.item(&sentence(random));
                    }
                });
            });
        }
    });
}

fn head(j: &mut Json, at: &Moment<'_>, platform: &Platform, random: &mut Random) {
    let request = at.request;
    j.hex128("event_id", at.event_id);
    j.decimal("timestamp", at.ago(20));
    j.string("platform", platform.name);
    j.string("level", random.pick(&["error", "error", "error", "fatal", "warning"]));
    j.format("release", format_args!("shop@4.{}.0", request.release));
    j.string("environment", request.environment);
    j.string("transaction", request.route);
    j.format("server_name", format_args!("web-{}", random.below(12)));
    let (name, version) = platform.sdk.split_once('/').unwrap_or((platform.sdk, ""));
    j.object_at("sdk", |j| {
        j.string("name", name);
        j.string("version", version);
    });
    j.object_at("tags", |j| {
        j.string("region", random.pick(&["eu-central", "us-east", "ap-south"]));
        j.string("tier", random.pick(&["free", "plus", "pro"]));
        j.format("tenant", format_args!("t{}", request.user % 40));
    });
    j.object_at("user", |j| {
        let name = FIRST_NAMES[(request.user % FIRST_NAMES.len() as u64) as usize];
        j.format("id", format_args!("{}", request.user));
        j.format("email", format_args!("{name}.{}@example.com", request.user));
        j.format("ip_address", format_args!("198.51.100.{}", request.user % 250));
    });
}

/// A chain, the first cause in front.
fn exceptions(j: &mut Json, bug: &mut Bug, random: &mut Random) {
    let chain = if bug.size < 4_000.0 { 1 } else { 1 + bug.random.below(3) };
    let frames = (bug.size * SHARE_OF_FRAMES / bug.platform.frame_bytes) as u64;
    let frames = (frames / chain).clamp(1, FRAMES_MAX);
    for link in 0..chain {
        let kind = bug.random.pick(bug.platform.errors);
        let (noun, message) = (bug.random.pick(&NOUNS), bug.random.pick(&MESSAGES));
        j.object(|j| {
            j.string("type", kind);
            match random.below(8) {
                0 => j.format(
                    "value",
                    format_args!(
                        "{noun} {} of {}@example.org: card {} {message}",
                        random.below(1_000_000),
                        random.pick(&FIRST_NAMES),
                        random.pick(&CARDS)
                    ),
                ),
                _ => j.format("value", format_args!("{noun} {} {message}", random.below(1_000_000))),
            }
            j.format("module", format_args!("shop.{noun}"));
            j.object_at("mechanism", |j| {
                j.string("type", if link + 1 == chain { "generic" } else { "chained" });
                j.boolean("handled", bug.random.chance(0.3));
            });
            j.object_at("stacktrace", |j| {
                j.list_at("frames", |j| (0..frames).for_each(|_| frame(j, bug, random)));
            });
        });
    }
}

fn frame(j: &mut Json, bug: &mut Bug, random: &mut Random) {
    let (platform, shape) = (bug.platform, &mut bug.random);
    let in_app = shape.chance(0.45);
    let (verb, noun) = (shape.pick(&VERBS), shape.pick(&NOUNS));
    let (library, call) = shape.pick(platform.libraries);
    let line = 1 + shape.below(900);
    j.object(|j| {
        if in_app {
            j.format("function", format_args!("{verb}_{noun}"));
            j.format("module", format_args!("shop.{noun}.{verb}"));
            j.format("filename", format_args!("shop/{noun}/{verb}.{}", platform.extension));
            j.format("abs_path", format_args!("/srv/shop/current/shop/{noun}/{verb}.{}", platform.extension));
        } else {
            j.string("function", call);
            j.string("module", library);
            j.format("filename", format_args!("{library}.{}", platform.extension));
        }
        j.integer("lineno", line);
        j.boolean("in_app", in_app);
        if platform.has_context {
            j.list_at("pre_context", |j| (0..5).for_each(|_| source_line(j, shape)));
            j.format("context_line", format_args!("    result = {verb}_{noun}(request, {noun}_id={line})"));
            j.list_at("post_context", |j| (0..5).for_each(|_| source_line(j, shape)));
        }
        if platform.has_vars && in_app {
            j.object_at("vars", |j| vars(j, random));
        }
    });
}

fn source_line(j: &mut Json, shape: &mut Random) {
    let (verb, noun) = (shape.pick(&VERBS), shape.pick(&NOUNS));
    j.item(match shape.below(6) {
        0 => "",
        1 => "        return None",
        2 => "    except Exception as error:",
        _ => return j.item(&format!("        {noun} = self.{verb}_{noun}(\"{noun}\", retry=True)")),
    });
}

fn vars(j: &mut Json, random: &mut Random) {
    let noun = random.pick(&NOUNS);
    j.format("self", format_args!("<shop.{noun}.Service object at 0x7f{:010x}>", random.below(1 << 40)));
    j.format("attempt", format_args!("{}", random.below(5)));
    j.format(
        noun,
        format_args!(
            "{{'id': {}, 'total': '{}.{:02}', 'currency': 'EUR'}}",
            random.below(1_000_000),
            random.below(900),
            random.below(100)
        ),
    );
    if random.chance(0.1) {
        j.format("password", format_args!("'hunter{}'", random.below(100)));
        j.format("card", format_args!("'{}'", random.pick(&CARDS)));
    }
}

fn contexts(j: &mut Json, at: &Moment<'_>, platform: &Platform) {
    j.object_at("contexts", |j| {
        j.object_at("trace", |j| {
            j.hex128("trace_id", at.request.trace_id);
            j.hex64("span_id", at.request.span_id);
            j.string("op", "http.server");
        });
        j.object_at("runtime", |j| {
            j.string("name", platform.name);
            j.format("version", format_args!("3.{}.1", at.request.release));
        });
        j.object_at("os", |j| {
            j.string("name", "Linux");
            j.string("kernel_version", "6.12.48");
        });
    });
}

fn request(j: &mut Json, at: &Moment<'_>, random: &mut Random) {
    let request = at.request;
    j.object_at("request", |j| {
        j.format("url", format_args!("https://shop.example.com{}", request.route));
        j.string("method", random.pick(&["GET", "GET", "POST", "PUT"]));
        j.format("query_string", format_args!("page={}&q={}", random.below(20), random.pick(&NOUNS)));
        j.list_at("headers", |j| {
            j.pair("Host", "shop.example.com");
            j.pair("User-Agent", random.pick(&USER_AGENTS));
            j.pair("Accept", "text/html,application/json;q=0.9,*/*;q=0.8");
            j.pair("X-Forwarded-For", "198.51.100.7, 10.2.0.4");
            j.pair("Cookie", &format!("sid={:032x}; theme=dark", random.wide()));
            if random.chance(0.3) {
                j.pair("Authorization", &format!("Bearer {:032x}", random.wide()));
            }
        });
        if random.chance(0.2) {
            j.object_at("data", |j| {
                j.string("card_number", random.pick(&CARDS));
                j.format("note", format_args!("call {}@example.net", random.pick(&FIRST_NAMES)));
            });
        }
    });
}

fn breadcrumb(j: &mut Json, at: &Moment<'_>, left: u64, random: &mut Random) {
    j.object(|j| {
        j.decimal("timestamp", at.ago(30 + 15 * left));
        match random.below(3) {
            0 => {
                j.string("type", "http");
                j.string("category", "httplib");
                j.object_at("data", |j| {
                    j.format(
                        "url",
                        format_args!("https://{}.internal/v1/{}", random.pick(&NOUNS), random.below(10_000)),
                    );
                    j.string("method", "GET");
                    j.integer("status_code", random.pick(&[200, 200, 200, 204, 404, 503]));
                });
            }
            1 => {
                j.string("category", "query");
                j.string("message", random.pick(&QUERIES));
            }
            _ => {
                j.string("category", "shop.log");
                j.string("level", random.pick(&["info", "info", "debug", "warning"]));
                j.string("message", &sentence(random));
            }
        }
    });
}

pub(super) fn sentence(random: &mut Random) -> String {
    let (verb, noun, message) = (random.pick(&VERBS), random.pick(&NOUNS), random.pick(&MESSAGES));
    format!("{verb} {noun} {}: {} {message}", random.below(1_000_000), random.pick(&NOUNS))
}
