//! Fingerprints that somebody chose: the client, a rule of the server, or a built-in one; and the variables in them.

use conditions::Glob;
use tamis_plugin::{Event, Frame, Item};

use crate::enhancements::flag;
use crate::lines::{Term, rules, term, words};
use crate::names;
use crate::parameterize::parameterize;
use crate::platform::{Family, is_path, path_glob};

/// What rules and variables can speak of.
pub struct Facts<'a> {
    event: Event<'a>,
    platform: &'a str,
    kind: Option<&'a str>,
    value: Option<&'a str>,
    message: Option<&'a str>,
    /// The frame of the crash: the last one of the application, else the last of all.
    frame: Option<Frame<'a>>,
}

impl<'a> Facts<'a> {
    pub fn of(event: &Event<'a>) -> Facts<'a> {
        let last = event.exceptions().last();
        let some = |text: Option<&'a str>| text.filter(|t| !t.is_empty());
        let mut frames: Vec<_> = last.map(|e| e.frames().collect()).unwrap_or_default();
        if frames.is_empty() {
            frames = event.as_item().frames().collect();
        }
        let in_app = frames.iter().rev().find(|f| f.flag("in_app") == Some(true));
        Facts {
            event: *event,
            platform: event.text("platform").unwrap_or("other"),
            kind: some(last.and_then(|e| e.text("type"))),
            value: some(last.and_then(|e| e.text("value"))),
            message: MESSAGES.iter().find_map(|path| some(event.text(path))),
            frame: in_app.or(frames.last()).copied(),
        }
    }

    /// A part of a fingerprint with its variable put in.
    pub fn expand(&self, part: &str) -> String {
        let Some(name) = variable(part) else { return part.to_owned() };
        let of_frame = |keys: [&str; 2]| {
            let frame = self.frame?;
            keys.iter().find_map(|key| frame.text(key).filter(|text| !text.is_empty()))
        };
        let (found, missing) = match name {
            "type" | "error.type" => (self.kind, "type"),
            "value" | "error.value" => (self.value, "value"),
            "message" => {
                let Some(message) = self.message.or(self.value) else { return "<no-message>".to_owned() };
                let mut text = String::new();
                parameterize(message, &mut text);
                return text;
            }
            "transaction" | "level" | "logger" | "release" => (self.event.text(name), name),
            "function" | "stack.function" => (of_frame(["function", "function"]), "function"),
            "module" | "stack.module" => (of_frame(["module", "module"]), "module"),
            "path" | "abs_path" | "stack.abs_path" => (of_frame(["abs_path", "filename"]), "abs-path"),
            "stack.filename" => (of_frame(["filename", "abs_path"]), "filename"),
            "package" | "stack.package" => {
                let path = of_frame(["package", "package"]);
                (path.and_then(|path| path.rsplit(['/', '\\']).next()), "package")
            }
            name => match name.strip_prefix("tags.") {
                Some(tag) => {
                    let value = self.event.tag(tag).map(str::to_owned);
                    return value.unwrap_or_else(|| format!("<no-value-for-tag-{tag}>"));
                }
                None => return format!("<unrecognized-variable-{name}>"),
            },
        };
        found.filter(|text| !text.is_empty()).map_or_else(|| format!("<no-{missing}>"), str::to_owned)
    }
}

/// Where the message of an event may be, as it was rendered first.
const MESSAGES: [&str; 3] = ["logentry.formatted", "logentry.message", "message"];

/// The name in `{{ name }}`.
pub fn variable(part: &str) -> Option<&str> {
    Some(part.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim())
}

/// Rules that every project has: errors of loaders and renderers that differ in text and are one by nature.
pub fn builtin(facts: &Facts<'_>) -> Option<Vec<String>> {
    if Family::of(facts.platform) != Family::JavaScript {
        return None;
    }
    const CHUNK: &str = "ChunkLoadError";
    let is_chunk = |e: tamis_plugin::Exception<'_>| {
        let value = e.text("value").unwrap_or_default().trim_start();
        e.text("type") == Some(CHUNK)
            || value.get(..CHUNK.len()).is_some_and(|v| v.eq_ignore_ascii_case(CHUNK))
    };
    if facts.event.exceptions().any(is_chunk) {
        return Some(vec!["chunkloaderror".to_owned()]);
    }
    // What React says when a page is not what the server made. Each page has its own such error.
    const HYDRATION: [&str; 5] = [
        "Hydration failed because the initial UI does not match what was rendered on the server.",
        "The server could not finish this Suspense boundary, likely due to an error during server rendering. Switched to client rendering.",
        "There was an error while hydrating this Suspense boundary. Switched to client rendering.",
        "There was an error while hydrating. Because the error happened outside of a Suspense boundary, the entire root will switch to client rendering.",
        "Text content does not match server-rendered HTML.",
    ];
    // The server makes this tag of the transaction.
    let page = facts.event.tag("transaction").or_else(|| facts.event.text("transaction"))?;
    let values = facts.event.exceptions().filter_map(|e| e.text("value"));
    let is_hydration = |text: &str| HYDRATION.iter().any(|known| known.eq_ignore_ascii_case(text.trim()));
    let found = facts.message.into_iter().chain(values).any(is_hydration);
    found.then(|| vec!["hydrationerror".to_owned(), page.to_owned()])
}

/// `type:DatabaseUnavailable -> system-down`, one a line; the first that matches decides.
#[derive(Debug, Default)]
pub struct ServerRules(Vec<ServerRule>);

#[derive(Debug)]
struct ServerRule {
    matchers: Vec<Matcher>,
    parts: Vec<String>,
}

#[derive(Debug)]
struct Matcher {
    negated: bool,
    key: String,
    argument: String,
    glob: Glob,
}

/// What the matchers of one rule are about. Those of a kind must all hold for one and the same thing: frame, exception, thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Event,
    Message,
    Exception,
    Frame,
    Thread,
}

const ABOUT: [About; 5] = [About::Event, About::Message, About::Exception, About::Frame, About::Thread];

/// Matchers under their short names.
const KEYS: [(&str, About); 20] = [
    ("type", About::Exception),
    ("value", About::Exception),
    ("message", About::Message),
    ("logger", About::Event),
    ("level", About::Event),
    ("release", About::Event),
    ("sdk", About::Event),
    ("transaction", About::Event),
    ("platform", About::Event),
    ("family", About::Event),
    ("app", About::Frame),
    ("function", About::Frame),
    ("module", About::Frame),
    ("path", About::Frame),
    ("package", About::Frame),
    ("thread.id", About::Thread),
    ("thread.name", About::Thread),
    ("thread.state", About::Thread),
    ("thread.crashed", About::Thread),
    ("thread.current", About::Thread),
];
const LONG_NAMES: [(&str, &str); 6] = [
    ("error.type", "type"),
    ("error.value", "value"),
    ("stack.function", "function"),
    ("stack.module", "module"),
    ("stack.abs_path", "path"),
    ("stack.package", "package"),
];

impl ServerRules {
    pub fn parse(text: &str) -> Result<ServerRules, String> {
        let parsed = rules(text).map(|(number, line)| {
            server_rule(line).map_err(|what| format!("fingerprinting, line {number}: {what}"))
        });
        Ok(ServerRules(parsed.collect::<Result<_, _>>()?))
    }

    pub fn find(&self, facts: &Facts<'_>) -> Option<Vec<String>> {
        self.0.iter().find(|rule| rule.matches(facts)).map(|rule| rule.parts.clone())
    }
}

fn server_rule(line: &str) -> Result<ServerRule, String> {
    let (left, right) = line.split_once("->").ok_or_else(|| format!("{line:?} has no `->`"))?;
    let matchers = words(left)?.iter().map(|word| matcher(word)).collect::<Result<Vec<_>, _>>()?;
    let joined = join_variables(&words(right)?);
    // A title is for the interface, which there is none of here.
    let parts: Vec<String> = joined.into_iter().filter(|part| !part.starts_with("title=")).collect();
    match matchers.is_empty() || parts.is_empty() {
        true => Err(format!("{line:?} needs a matcher and a fingerprint")),
        false => Ok(ServerRule { matchers, parts }),
    }
}

fn matcher(word: &str) -> Result<Matcher, String> {
    let Term { negated, key, argument } =
        term(word).ok_or_else(|| format!("{word:?} is no matcher: write key:pattern"))?;
    let short = LONG_NAMES.iter().find(|(long, _)| *long == key).map_or(key.as_str(), |(_, short)| *short);
    if !short.starts_with("tags.") && KEYS.iter().all(|(known, _)| *known != short) {
        let known = LONG_NAMES.iter().map(|(long, _)| *long).chain(KEYS.iter().map(|(short, _)| *short));
        let known = known.collect::<Vec<_>>().join(", ");
        return Err(format!("there is no matcher {key:?}; there are tags.KEY, {known}"));
    }
    let glob = match short {
        "path" | "package" | "release" => path_glob(&argument)?,
        key => {
            let ignore_case = matches!(key, "message" | "value" | "level") || key.starts_with("thread.");
            Glob::parse(&argument, ignore_case).map_err(|e| e.to_string())?
        }
    };
    if short == "family" {
        argument.split(',').try_for_each(|name| Family::bits_of(name).map(drop))?;
    }
    Ok(Matcher { negated, key: short.to_owned(), argument, glob })
}

/// `{{ default }}` is three words to a splitter at blanks.
fn join_variables(words: &[String]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut open = false;
    for word in words {
        match parts.last_mut().filter(|_| open) {
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => parts.push(word.trim_end_matches(',').to_owned()),
        }
        open = parts.last().is_some_and(|p| p.starts_with("{{") && !p.contains("}}"));
    }
    parts.into_iter().map(|p| p.trim_end_matches(',').to_owned()).collect()
}

impl ServerRule {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        ABOUT.iter().all(|about| {
            let own: Vec<&Matcher> = self.matchers.iter().filter(|m| m.about() == *about).collect();
            own.is_empty() || facts.any(*about, &own)
        })
    }
}

impl Matcher {
    fn about(&self) -> About {
        KEYS.iter().find(|(key, _)| *key == self.key).map_or(About::Event, |(_, about)| *about)
    }

    fn is(&self, text: Option<&str>) -> bool {
        text.is_some_and(|t| self.glob.matches(t.trim()))
    }

    fn is_path(&self, text: Option<&str>) -> bool {
        text.is_some_and(|t| is_path(&self.glob, t.trim()))
    }

    fn is_flag(&self, value: Option<bool>) -> bool {
        value.is_some() && flag(&self.argument) == value
    }

    fn matches_event(&self, facts: &Facts<'_>) -> bool {
        let event = &facts.event;
        match self.key.as_str() {
            "family" => self.argument.split(',').any(|name| {
                Family::bits_of(name).is_ok_and(|bits| bits & Family::of(facts.platform).bit() != 0)
            }),
            "release" => self.is_path(event.text("release")),
            "sdk" => {
                let name = event.text("sdk.name").unwrap_or_default();
                self.argument.split(',').any(|sdk| sdk == "all" || sdk == name)
            }
            key => match key.strip_prefix("tags.") {
                Some(tag) => self.is(event.tag(tag)),
                None => self.is(event.text(key)),
            },
        }
    }

    fn matches_exception(&self, exception: &Item<'_>) -> bool {
        self.is(exception.text(&self.key))
    }

    fn matches_frame(&self, frame: &Item<'_>, platform: &str) -> bool {
        match self.key.as_str() {
            "app" => self.is_flag(frame.flag("in_app")),
            "function" => {
                let platform = frame.text("platform").unwrap_or(platform);
                let name = names::trimmed(frame.text("function"), frame.text("raw_function"), platform);
                self.is(Some(name.as_deref().unwrap_or("<unknown>")))
            }
            "path" => self.is_path(frame.text("abs_path")) || self.is_path(frame.text("filename")),
            "package" => self.is_path(frame.text("package")),
            key => self.is(frame.text(key)),
        }
    }

    fn matches_thread(&self, thread: &Item<'_>) -> bool {
        match self.key.as_str() {
            "thread.crashed" => self.is_flag(thread.flag("crashed")),
            "thread.current" => self.is_flag(thread.flag("current")),
            key => self.is(thread.text(key.trim_start_matches("thread."))),
        }
    }
}

impl Facts<'_> {
    /// Whether there is one thing for which all of these hold.
    fn any(&self, about: About, all: &[&Matcher]) -> bool {
        let event = &self.event;
        let every = |test: &dyn Fn(&Matcher) -> bool| all.iter().all(|m| test(m) != m.negated);
        match about {
            About::Event => every(&|m| m.matches_event(self)),
            // A message is that of the event, or what an exception says of itself.
            About::Message => {
                let values = event.exceptions().map(|e| e.text("value"));
                let texts = self.message.map(Some).into_iter().chain(values);
                texts.into_iter().any(|text| every(&|m| m.is(text)))
            }
            About::Exception => event.exceptions().any(|e| every(&|m| m.matches_exception(&e))),
            About::Thread => event.threads().any(|t| every(&|m| m.matches_thread(&t))),
            About::Frame => {
                let of_exceptions = event.exceptions().flat_map(|e| e.frames());
                let of_threads = event.threads().flat_map(|t| t.frames());
                let mut frames = of_exceptions.chain(event.as_item().frames()).chain(of_threads);
                frames.any(|frame| every(&|m| m.matches_frame(&frame, self.platform)))
            }
        }
    }
}
