//! Frames: which are the application's, and what of a frame says where it is.

use std::borrow::Cow;

use conditions::Glob;
use tamis_plugin::Item;

use crate::lines::{rules, term, words};
use crate::platform::{Family, has_trusted_lines, is_url};

/// Characters of a source line that is still a line and not a bundle.
const CONTEXT_LINE_CHARS_MAX: usize = 120;

/// A frame, as far as it counts.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    platform: &'a str,
    function: Option<&'a str>,
    module: Option<&'a str>,
    filename: Option<&'a str>,
    abs_path: Option<&'a str>,
    package: Option<&'a str>,
    context_line: Option<&'a str>,
    line: (Option<&'a str>, Option<&'a str>),
    has_source_map: bool,
    pub in_app: bool,
    /// Whether a rule took it out of the hash (`-group`), or it repeats the one before it.
    ignored: bool,
}

/// The frames of a stack trace, decided upon.
pub fn of_stack<'a>(item: Item<'a>, platform: &'a str, rules: &Enhancements) -> Vec<Frame<'a>> {
    let mut frames: Vec<Frame<'a>> = item.frames().map(|frame| Frame::read(frame, platform)).collect();
    rules.apply(&mut frames);
    for i in (1..frames.len()).rev() {
        if frames[i].repeats(&frames[i - 1]) {
            frames[i].ignored = true;
        }
    }
    let lonely = frames.len() == 1 && Family::of(frames[0].platform) == Family::JavaScript;
    if lonely && !frames[0].path().is_some_and(|path| is_url(path, true)) {
        frames[0].ignored = true;
    }
    frames
}

impl<'a> Frame<'a> {
    fn read(item: Item<'a>, platform: &'a str) -> Frame<'a> {
        Frame {
            platform: item.text("platform").unwrap_or(platform),
            function: item.text("function"),
            module: item.text("module"),
            filename: item.text("filename"),
            abs_path: item.text("abs_path"),
            package: item.text("package"),
            context_line: item.text("context_line"),
            line: (item.text("lineno"), item.text("colno")),
            has_source_map: item.text("data.sourcemap").is_some(),
            in_app: item.flag("in_app").unwrap_or(false),
            ignored: false,
        }
    }

    fn path(&self) -> Option<&'a str> {
        self.abs_path.or(self.filename)
    }

    fn repeats(&self, before: &Frame<'_>) -> bool {
        let key = |f: &Frame<'a>| (f.abs_path, f.package, f.module, f.filename, f.function, f.line);
        let other =
            (before.abs_path, before.package, before.module, before.filename, before.function, before.line);
        key(self) == other
    }

    /// What it adds to a hash; nothing if it does not count.
    pub fn values(&self) -> Vec<String> {
        if self.ignored {
            return Vec::new();
        }
        let mut values = Vec::with_capacity(3);
        values.extend(self.place().map(Cow::into_owned));
        let is_javascript = Family::of(self.platform) == Family::JavaScript;
        let line = self.source_line();
        let covered = is_javascript && self.has_source_map && line.is_some();
        if !covered {
            values.extend(self.function.and_then(|f| function(f, self.platform)).map(Cow::into_owned));
        }
        values.extend(line.map(str::to_owned));
        values
    }

    /// The module, else the name of the file.
    fn place(&self) -> Option<Cow<'a, str>> {
        let is_javascript = Family::of(self.platform) == Family::JavaScript;
        let of_url = |module: &str| {
            let path =
                self.path().filter(|p| is_url(p, false)).and_then(|p| p.split_once("://")?.1.split_once('/'));
            is_javascript && path.is_some_and(|(_, path)| path.split(['?', '#']).next() == Some(module))
        };
        if let Some(module) = self.module.filter(|m| !m.is_empty() && !of_url(m)) {
            return Some(module_name(module, self.platform));
        }
        let file = self.filename.or(self.abs_path)?;
        if is_url(file, false) || (is_javascript && matches!(file, "<anonymous>" | "[native code]")) {
            return None;
        }
        let name = file.rsplit(['/', '\\']).next()?;
        (!name.is_empty()).then(|| Cow::Owned(name.to_lowercase()))
    }

    fn source_line(&self) -> Option<&'a str> {
        let line = self.context_line.filter(|_| has_trusted_lines(self.platform))?;
        let line = if Family::of(self.platform) == Family::JavaScript { line.trim() } else { line };
        let fits = !line.trim().is_empty() && line.chars().count() <= CONTEXT_LINE_CHARS_MAX;
        fits.then_some(line)
    }
}

fn module_name<'a>(module: &'a str, platform: &str) -> Cow<'a, str> {
    if platform != "java" {
        return Cow::Borrowed(module);
    }
    // Generated classes have a number or a hash at their end that differs from run to run.
    if let Some(at) = module.find("$$EnhancerBy").or_else(|| module.find("$$FastClassBy")) {
        let class = module[at + 2..].split("$$").next().unwrap_or_default();
        return Cow::Owned(format!("{}$${class}$$<auto>", &module[..at]));
    }
    match module.find("GeneratedMethodAccessor").or_else(|| module.find("GeneratedConstructorAccessor")) {
        Some(_) => Cow::Owned(module.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()),
        None => Cow::Borrowed(module),
    }
}

/// The name of a function without what differs between builds; `None` for names that say nothing.
fn function<'a>(name: &'a str, platform: &str) -> Option<Cow<'a, str>> {
    if matches!(name, "" | "<unknown>" | "<redacted>" | "?") {
        return None;
    }
    match Family::of(platform) {
        Family::JavaScript => {
            let last = name.rsplit('.').next().unwrap_or(name);
            (!matches!(last, "eval" | "<anonymous>" | "Anonymous function" | ""))
                .then_some(Cow::Borrowed(last))
        }
        Family::Native => Some(native_function(name)),
        Family::Other => match platform {
            "rust" => Some(native_function(name)),
            "java" => {
                let at = name.find("$$Lambda$").or_else(|| {
                    name.find("lambda$").filter(|_| name.ends_with(|c: char| c.is_ascii_digit()))
                });
                Some(at.map_or(Cow::Borrowed(name), |_| {
                    Cow::Owned(name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned())
                }))
            }
            "ruby" if name.contains("_erb___") => {
                name.split("_erb___").next().map(|n| Cow::Owned(format!("{n}_erb")))
            }
            "php" => Some(Cow::Borrowed(
                name.rsplit(['\\', ':'])
                    .next()
                    .filter(|_| name.starts_with("class@anonymous"))
                    .unwrap_or(name),
            )),
            _ => Some(Cow::Borrowed(name)),
        },
    }
}

/// Without return type, parameters, template arguments and hashes; `<T as Trait>::f` is `T::f`.
fn native_function(name: &str) -> Cow<'_, str> {
    let mut out = String::with_capacity(name.len());
    if let Some((before, rest)) = name.strip_prefix('<').and_then(|inner| inner.split_once(" as ")) {
        out.push_str(before);
        out.push_str(rest.split_once(">::").map_or(rest, |(_, method)| method).trim_start_matches("::"));
        if let Some((_, method)) = rest.split_once(">::") {
            out.truncate(before.len());
            out.push_str("::");
            out.push_str(method);
        }
    } else {
        out.push_str(name);
    }
    if let Some(at) = out
        .rfind("::h")
        .filter(|at| out.len() - at == 19 && out[at + 3..].bytes().all(|b| b.is_ascii_hexdigit()))
    {
        out.truncate(at);
    }
    if let Some(at) = out.find('(').filter(|at| *at > 0 && !out[..*at].ends_with("operator")) {
        out.truncate(at);
    }
    if let Some(at) = out.find("?A0x") {
        let end = out[at..].find("::").map_or(out.len(), |n| at + n);
        out.replace_range(at..end, "`anonymous namespace'");
    }
    Cow::Owned(out)
}

/// Stack trace rules: `family:native stack.function:std::* -app`.
#[derive(Debug, Default)]
pub struct Enhancements(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    terms: Vec<(bool, Matcher)>,
    actions: Vec<Action>,
}

#[derive(Debug)]
enum Matcher {
    Family(u8),
    Function(Glob),
    Module(Glob),
    Path(Glob),
    Package(Glob),
    App(bool),
}

#[derive(Debug, Clone, Copy)]
enum Action {
    App(bool, Reach),
    Group(bool, Reach),
    MaxFrames(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    This,
    /// The frames called from it, towards the crash.
    Up,
    /// The frames that lead to it.
    Down,
}

/// What is nobody's own code, in every project.
const BUILTIN: &str = "
    stack.abs_path:**/site-packages/** -app
    stack.abs_path:**/dist-packages/** -app
    stack.abs_path:**/lib/python*/** -app
    stack.abs_path:**/node_modules/** -app
    stack.abs_path:node:* -app
    stack.abs_path:internal/** -app
    family:javascript stack.abs_path:*-extension://** -app
    stack.module:java.* -app
    stack.module:javax.* -app
    stack.module:jdk.* -app
    stack.module:sun.* -app
    stack.module:kotlin.* -app
    stack.module:System.* -app
    stack.module:runtime -app
    stack.function:std::* -app
    stack.function:core::* -app
    stack.function:alloc::* -app
    stack.function:__rust_* -app
    stack.package:/usr/lib/** -app
    stack.package:/lib/** -app
    stack.package:/System/Library/** -app
";

impl Enhancements {
    pub fn parse(text: &str) -> Result<Enhancements, String> {
        let all = rules(BUILTIN).map(|(_, line)| (0, line)).chain(rules(text));
        let parsed = all
            .map(|(number, line)| rule(line).map_err(|what| format!("enhancements, line {number}: {what}")));
        Ok(Enhancements(parsed.collect::<Result<_, _>>()?))
    }

    fn apply(&self, frames: &mut [Frame<'_>]) {
        let mut most = usize::MAX;
        for rule in &self.0 {
            for at in 0..frames.len() {
                if !rule.terms.iter().all(|(negated, matcher)| matcher.matches(&frames[at]) != *negated) {
                    continue;
                }
                for action in &rule.actions {
                    action.apply(frames, at, &mut most);
                }
            }
        }
        let counting = frames.iter_mut().rev().filter(|f| !f.ignored);
        counting.skip(most).for_each(|frame| frame.ignored = true);
    }
}

impl Matcher {
    fn matches(&self, frame: &Frame<'_>) -> bool {
        let is = |glob: &Glob, text: Option<&str>| text.is_some_and(|t| glob.matches(t));
        match self {
            Matcher::Family(bits) => bits & Family::of(frame.platform).bit() != 0,
            Matcher::Function(glob) => is(glob, frame.function),
            Matcher::Module(glob) => is(glob, frame.module),
            Matcher::Path(glob) => is(glob, frame.path()),
            Matcher::Package(glob) => is(glob, frame.package),
            Matcher::App(want) => frame.in_app == *want,
        }
    }
}

impl Action {
    fn apply(self, frames: &mut [Frame<'_>], at: usize, most: &mut usize) {
        let count = frames.len();
        let range = |reach| match reach {
            Reach::This => at..at + 1,
            Reach::Up => at + 1..count,
            Reach::Down => 0..at,
        };
        match self {
            Action::App(value, reach) => frames[range(reach)].iter_mut().for_each(|f| f.in_app = value),
            Action::Group(value, reach) => frames[range(reach)].iter_mut().for_each(|f| f.ignored = !value),
            Action::MaxFrames(n) => *most = n,
        }
    }
}

fn rule(line: &str) -> Result<Rule, String> {
    let mut rule = Rule { terms: Vec::new(), actions: Vec::new() };
    for word in words(line)? {
        match term(&word) {
            Some(term) => rule.terms.push((term.negated, matcher(&term.key, &term.argument)?)),
            None => rule.actions.push(action(&word)?),
        }
    }
    match rule.terms.is_empty() || rule.actions.is_empty() {
        true => Err(format!("{line:?} needs a matcher and an action")),
        false => Ok(rule),
    }
}

fn matcher(key: &str, argument: &str) -> Result<Matcher, String> {
    let glob = || Glob::parse(argument, false).map_err(|e| e.to_string());
    match key {
        "family" => argument
            .split(',')
            .try_fold(0, |bits, name| Ok(bits | Family::bits_of(name)?))
            .map(Matcher::Family),
        "stack.function" | "function" => Ok(Matcher::Function(glob()?)),
        "stack.module" | "module" => Ok(Matcher::Module(glob()?)),
        "stack.abs_path" | "path" => Ok(Matcher::Path(glob()?)),
        "stack.package" | "package" => Ok(Matcher::Package(glob()?)),
        "app" => Ok(Matcher::App(matches!(argument, "1" | "yes" | "true"))),
        _ => Err(format!(
            "there is no matcher {key:?}; there are family, stack.function, stack.module, stack.abs_path, stack.package, app"
        )),
    }
}

fn action(word: &str) -> Result<Action, String> {
    let unknown = || {
        format!(
            "there is no action {word:?}; there are +app, -app, +group, -group (with ^ or v in front) and max-frames=N"
        )
    };
    if let Some(number) = word.strip_prefix("max-frames=") {
        return number.parse().map(Action::MaxFrames).map_err(|_| unknown());
    }
    let (reach, rest) = match word.chars().next() {
        Some('^') => (Reach::Up, &word[1..]),
        Some('v') => (Reach::Down, &word[1..]),
        _ => (Reach::This, word),
    };
    match rest {
        "+app" => Ok(Action::App(true, reach)),
        "-app" => Ok(Action::App(false, reach)),
        "+group" => Ok(Action::Group(true, reach)),
        "-group" => Ok(Action::Group(false, reach)),
        _ => Err(unknown()),
    }
}
