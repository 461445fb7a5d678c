//! Stack trace rules: `family:native stack.function:std::* -app`.

use std::borrow::Cow;
use std::cell::RefCell;

use conditions::Glob;
use hashbrown::HashMap;

use crate::frames::{Frame, Thrown};
use crate::lines::{rules, term, words};
use crate::platform::{Family, is_path, path_glob};

#[derive(Debug, Default)]
pub struct Enhancements {
    rules: Vec<Rule>,
    /// Whether any of them does more than to say whose frames are.
    group: bool,
    /// How many of them, from the first one on, look at a frame alone and say whose it is: the built-in ones at least.
    plain: usize,
    /// What those said of frames that were met before.
    known: RefCell<HashMap<Box<[u8]>, Option<bool>>>,
}

/// The same frames come again and again, and asking all rules about one costs a microsecond.
const KNOWN_FRAMES_MAX: usize = 8192;
const KNOWN_FRAME_BYTES_MAX: usize = 1024;

/// What rules say of a stack trace as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// 0 is any number.
    pub frames_max: usize,
    pub frames_min: usize,
    pub is_inverted: bool,
}

#[derive(Debug)]
struct Rule {
    terms: Vec<Term>,
    actions: Vec<Action>,
}

#[derive(Debug)]
struct Term {
    negated: bool,
    whose: Whose,
    matcher: Matcher,
}

/// Which frame a matcher is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    This,
    Caller,
    Callee,
}

#[derive(Debug)]
enum Matcher {
    Family(u8),
    Function(Glob),
    Module(Glob),
    Path(Glob),
    Package(Glob),
    Category(Glob),
    App(Option<bool>),
    Type(Glob),
    Value(Glob),
    Mechanism(Glob),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    App(bool, Reach),
    Group(bool, Reach),
    Category(String),
    MaxFrames(usize),
    MinFrames(usize),
    Invert(bool),
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
        let rules = parsed.collect::<Result<Vec<_>, _>>()?;
        let group = rules.iter().any(|rule| rule.actions.iter().any(|action| !action.is_about_frames()));
        let plain = rules.iter().take_while(|rule| rule.is_plain()).count();
        Ok(Enhancements { rules, group, plain, known: RefCell::default() })
    }

    /// First all rules say whose each frame is; then, knowing that, what counts.
    pub fn apply(&self, frames: &mut [Frame<'_>], thrown: &Thrown<'_>) -> Limits {
        let mut limits = Limits::default();
        let mut scratch = Vec::new();
        for frame in frames.iter_mut() {
            frame.in_app = self.whose(frame, &mut scratch).unwrap_or(frame.in_app);
        }
        for is_about_frames in [true, false] {
            if !is_about_frames && !self.group {
                break;
            }
            for rule in &self.rules[self.plain..] {
                let actions =
                    || rule.actions.iter().filter(|action| action.is_about_frames() == is_about_frames);
                if actions().next().is_none() {
                    continue;
                }
                for at in 0..frames.len() {
                    if rule.terms.iter().all(|term| term.matches(frames, at, thrown)) {
                        actions().for_each(|action| action.apply(frames, at, &mut limits));
                    }
                }
            }
        }
        limits
    }
}

impl Enhancements {
    /// What the plain rules say, the last one that matches: whether it is the application's.
    fn whose(&self, frame: &Frame<'_>, key: &mut Vec<u8>) -> Option<bool> {
        frame.write_key(key);
        if key.len() > KNOWN_FRAME_BYTES_MAX {
            return self.ask(frame);
        }
        let mut known = self.known.borrow_mut();
        if let Some(said) = known.get(key.as_slice()) {
            return *said;
        }
        if known.len() >= KNOWN_FRAMES_MAX {
            known.clear();
        }
        let said = self.ask(frame);
        known.insert(key.as_slice().into(), said);
        said
    }

    fn ask(&self, frame: &Frame<'_>) -> Option<bool> {
        let is_for = |rule: &&Rule| {
            rule.terms.iter().all(|t| t.matcher.matches(frame, &Thrown::default()) != t.negated)
        };
        let said = self.rules[..self.plain].iter().rev().find(is_for)?;
        said.actions.iter().rev().find_map(|action| match action {
            Action::App(value, Reach::This) => Some(*value),
            _ => None,
        })
    }
}

impl Rule {
    /// Whether all it needs is in the key of a frame, and all it does is to say whose the frame is.
    fn is_plain(&self) -> bool {
        let is_plain = |term: &Term| {
            term.whose == Whose::This
                && matches!(
                    term.matcher,
                    Matcher::Family(_)
                        | Matcher::Function(_)
                        | Matcher::Module(_)
                        | Matcher::Path(_)
                        | Matcher::Package(_)
                )
        };
        self.terms.iter().all(is_plain)
            && self.actions.iter().all(|action| matches!(action, Action::App(_, Reach::This)))
    }
}

impl Term {
    fn matches(&self, frames: &[Frame<'_>], at: usize, thrown: &Thrown<'_>) -> bool {
        let frame = match self.whose {
            Whose::This => frames.get(at),
            Whose::Caller => at.checked_sub(1).and_then(|before| frames.get(before)),
            Whose::Callee => frames.get(at + 1),
        };
        frame.is_some_and(|frame| self.matcher.matches(frame, thrown) != self.negated)
    }
}

impl Matcher {
    fn matches(&self, frame: &Frame<'_>, thrown: &Thrown<'_>) -> bool {
        let is = |glob: &Glob, text: Option<&str>| text.is_some_and(|t| glob.matches(t));
        let or_unknown = |text| Some(text).flatten().or(Some("<unknown>"));
        match self {
            Matcher::Family(bits) => bits & Family::of(frame.platform).bit() != 0,
            Matcher::Function(glob) => is(glob, or_unknown(frame.function.as_deref())),
            Matcher::Module(glob) => is(glob, frame.module),
            Matcher::Path(glob) => frame.path().is_some_and(|path| is_path(glob, path)),
            Matcher::Package(glob) => frame.package.is_some_and(|path| is_path(glob, path)),
            Matcher::Category(glob) => is(glob, frame.category.as_deref()),
            Matcher::App(want) => *want == Some(frame.in_app),
            Matcher::Type(glob) => is(glob, or_unknown(thrown.kind)),
            Matcher::Value(glob) => is(glob, or_unknown(thrown.value)),
            Matcher::Mechanism(glob) => is(glob, or_unknown(thrown.mechanism)),
        }
    }
}

impl Action {
    fn is_about_frames(&self) -> bool {
        matches!(self, Action::App(..) | Action::Category(_))
    }

    fn apply(&self, frames: &mut [Frame<'_>], at: usize, limits: &mut Limits) {
        let count = frames.len();
        let range = |reach| match reach {
            Reach::This => at..at + 1,
            Reach::Up => at + 1..count,
            Reach::Down => 0..at,
        };
        match self {
            Action::App(value, reach) => frames[range(*reach)].iter_mut().for_each(|f| f.in_app = *value),
            Action::Group(value, reach) => frames[range(*reach)].iter_mut().for_each(|f| f.ignored = !value),
            Action::Category(name) => frames[at].category = Some(Cow::Owned(name.clone())),
            Action::MaxFrames(n) => limits.frames_max = *n,
            Action::MinFrames(n) => limits.frames_min = *n,
            Action::Invert(value) => limits.is_inverted = *value,
        }
    }
}

/// `[ caller ] | matchers | [ callee ] actions`; the brackets may be missing.
fn rule(line: &str) -> Result<Rule, String> {
    let mut rule = Rule { terms: Vec::new(), actions: Vec::new() };
    let (mut bracketed, mut seen_own) = (false, false);
    for word in words(line)? {
        let inner = word.strip_prefix('[').unwrap_or(&word);
        bracketed |= inner.len() < word.len();
        let bare = if bracketed { inner.strip_suffix(']').unwrap_or(inner) } else { inner };
        let closes = bracketed && bare.len() < inner.len();
        match term(bare) {
            _ if matches!(bare, "" | "|") => {}
            Some(found) => {
                let whose = match (bracketed, seen_own) {
                    (false, _) => Whose::This,
                    (true, false) => Whose::Caller,
                    (true, true) => Whose::Callee,
                };
                seen_own |= whose == Whose::This;
                let matcher = matcher(&found.key, &found.argument)?;
                rule.terms.push(Term { negated: found.negated, whose, matcher });
            }
            None => rule.actions.push(action(bare)?),
        }
        bracketed &= !closes;
    }
    match (bracketed, rule.terms.is_empty() || rule.actions.is_empty()) {
        (true, _) => Err(format!("{line:?} has a bracket that is not closed")),
        (false, true) => Err(format!("{line:?} needs a matcher and an action")),
        (false, false) => Ok(rule),
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
        "stack.abs_path" | "path" => Ok(Matcher::Path(path_glob(argument)?)),
        "stack.package" | "package" => Ok(Matcher::Package(path_glob(argument)?)),
        "category" => Ok(Matcher::Category(glob()?)),
        "app" => Ok(Matcher::App(flag(argument))),
        "error.type" | "type" => Ok(Matcher::Type(glob()?)),
        "error.value" | "value" => Ok(Matcher::Value(glob()?)),
        "error.mechanism" | "mechanism" => Ok(Matcher::Mechanism(glob()?)),
        _ => Err(format!(
            "there is no matcher {key:?}; there are family, stack.function, stack.module, stack.abs_path, stack.package, category, app, \
             error.type, error.value, error.mechanism"
        )),
    }
}

/// `yes`, `no` and their like.
pub fn flag(text: &str) -> Option<bool> {
    let is_one_of = |all: [&str; 3]| all.iter().any(|word| word.eq_ignore_ascii_case(text));
    match (is_one_of(["1", "yes", "true"]), is_one_of(["0", "no", "false"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

fn action(word: &str) -> Result<Action, String> {
    let unknown = || {
        format!(
            "there is no action {word:?}; there are +app, -app, +group, -group (with ^ or v in front), max-frames=N, min-frames=N, \
             invert-stacktrace=1 and category=NAME"
        )
    };
    if let Some((name, value)) = word.split_once('=') {
        let number = || value.parse().map_err(|_| unknown());
        return match name {
            "max-frames" => Ok(Action::MaxFrames(number()?)),
            "min-frames" => Ok(Action::MinFrames(number()?)),
            "invert-stacktrace" => flag(value).map(Action::Invert).ok_or_else(unknown),
            "category" if !value.is_empty() => Ok(Action::Category(value.to_owned())),
            _ => Err(unknown()),
        };
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
