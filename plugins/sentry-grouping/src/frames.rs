//! Frames: which are the application's, and what of a frame says where it is.

use std::borrow::Cow;

use tamis_plugin::Item;

use crate::enhancements::{Enhancements, Limits};
use crate::names;
use crate::platform::{Family, has_trusted_lines, is_url};

/// Characters of a source line that is still a line and not a bundle.
const CONTEXT_LINE_CHARS_MAX: usize = 120;

/// A stack trace, decided upon.
#[derive(Debug, Clone, Default)]
pub struct Stack<'a> {
    pub frames: Vec<Frame<'a>>,
    limits: Limits,
}

/// What part of a stack trace counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    App,
    System,
}

/// The exception that a stack trace belongs to, as far as rules may ask.
#[derive(Debug, Clone, Copy, Default)]
pub struct Thrown<'a> {
    pub kind: Option<&'a str>,
    pub value: Option<&'a str>,
    pub mechanism: Option<&'a str>,
}

/// A frame, as far as it counts.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    pub platform: &'a str,
    /// Without its signature.
    pub function: Option<Cow<'a, str>>,
    raw_function: Option<&'a str>,
    pub module: Option<&'a str>,
    filename: Option<&'a str>,
    abs_path: Option<&'a str>,
    pub package: Option<&'a str>,
    context_line: Option<&'a str>,
    line: (Option<&'a str>, Option<&'a str>),
    has_source_map: bool,
    pub category: Option<Cow<'a, str>>,
    pub in_app: bool,
    /// Whether it says nothing, repeats the one before it, or a rule took it out of the hash (`-group`).
    pub ignored: bool,
    /// What it adds to a hash: all values in a row, as they are hashed.
    said: String,
}

impl<'a> Stack<'a> {
    pub fn read(item: Item<'a>, platform: &'a str, rules: &Enhancements, thrown: &Thrown<'_>) -> Stack<'a> {
        let mut frames: Vec<Frame<'a>> = item.frames().map(|frame| Frame::read(frame, platform)).collect();
        for i in 0..frames.len() {
            frames[i].ignored = frames[i].is_noise() || (i > 0 && frames[i].repeats(&frames[i - 1]));
        }
        if let [frame] = frames.as_mut_slice() {
            // The address of a page, and nothing else: what a browser makes up when it may not tell.
            let is_javascript = Family::of(frame.platform) == Family::JavaScript;
            let is_page = frame.function.is_none() && frame.path().is_some_and(|path| is_url(path, true));
            frame.ignored |= is_javascript && is_page;
        }
        let limits = rules.apply(&mut frames, thrown);
        // Each variant of each way to group asks for it.
        frames.iter_mut().filter(|frame| !frame.ignored).for_each(|frame| frame.said = frame.say());
        Stack { frames, limits }
    }

    /// What it adds to the hash of a variant.
    pub fn values(&self, scope: Scope) -> Vec<String> {
        let counts = |frame: &&Frame<'_>| !frame.ignored && (scope == Scope::System || frame.in_app);
        let all = self.frames.iter().filter(counts).map(|frame| &frame.said);
        let mut all: Vec<&String> = all.filter(|said| !said.is_empty()).collect();
        let Limits { frames_max, frames_min, is_inverted } = self.limits;
        if frames_max > 0 && all.len() > frames_max {
            all.drain(..all.len() - frames_max);
        }
        if all.len() < frames_min {
            all.clear();
        }
        if is_inverted {
            all.reverse();
        }
        all.into_iter().cloned().collect()
    }
}

impl<'a> Frame<'a> {
    fn read(item: Item<'a>, platform: &'a str) -> Frame<'a> {
        let platform = item.text("platform").unwrap_or(platform);
        let raw_function = item.text("raw_function");
        Frame {
            platform,
            function: names::trimmed(item.text("function"), raw_function, platform),
            raw_function,
            module: item.text("module"),
            filename: item.text("filename"),
            abs_path: item.text("abs_path"),
            package: item.text("package"),
            context_line: item.text("context_line"),
            line: (item.text("lineno"), item.text("colno")),
            has_source_map: item.text("data.sourcemap").is_some(),
            category: item.text("data.category").map(Cow::Borrowed),
            in_app: item.flag("in_app").unwrap_or(false),
            ignored: false,
            said: String::new(),
        }
    }

    /// All that a rule can ask of a frame by itself. Lengths keep the parts apart.
    pub fn write_key(&self, key: &mut Vec<u8>) {
        key.clear();
        key.push(Family::of(self.platform).bit());
        for part in [self.function.as_deref(), self.module, self.path(), self.package] {
            let length = part.map_or(u32::MAX, |text| text.len() as u32);
            key.extend_from_slice(&length.to_le_bytes());
            key.extend_from_slice(part.unwrap_or_default().as_bytes());
        }
    }

    pub fn path(&self) -> Option<&'a str> {
        self.abs_path.or(self.filename)
    }

    fn is_javascript(&self) -> bool {
        Family::of(self.platform) == Family::JavaScript
    }

    /// Frames of a browser's own doing.
    fn is_noise(&self) -> bool {
        let name = self.raw_function.or(self.function.as_deref()).map(names::last_part);
        let is_nowhere =
            matches!(self.path(), Some("[native code]" | "native code" | "eval code" | "<anonymous>"));
        self.is_javascript() && (name == Some("eval") || is_nowhere)
    }

    fn repeats(&self, before: &Frame<'_>) -> bool {
        self.function == before.function
            && (self.abs_path, self.package, self.module, self.filename, self.line)
                == (before.abs_path, before.package, before.module, before.filename, before.line)
    }

    fn say(&self) -> String {
        let mut said = String::new();
        said.extend(self.place());
        let line = self.source_line();
        let is_covered = self.is_javascript() && self.has_source_map && line.is_some();
        if let Some(name) = self.function.as_deref().filter(|_| !is_covered) {
            said.extend(names::function(name, self.platform));
        }
        said.extend(line);
        said
    }

    /// The module, else the name of the file.
    fn place(&self) -> Option<Cow<'a, str>> {
        // A module that is only the path again.
        let is_path = |module: &str| {
            self.platform == "javascript"
                && module.contains('/')
                && self.path().is_some_and(|path| path.ends_with(module))
        };
        if let Some(module) = self.module.filter(|m| !m.is_empty() && !is_path(m))
            && let Some(name) = names::module(module, self.platform)
        {
            return Some(name);
        }
        if self.path().is_some_and(|path| is_url(path, false)) {
            return None;
        }
        let name = names::base_name(self.filename.or(self.abs_path)?, self.platform);
        (!matches!(name.as_str(), "" | "<anonymous>" | "[native code]")).then_some(Cow::Owned(name))
    }

    /// The line of source, with single blanks.
    fn source_line(&self) -> Option<String> {
        let line = self.context_line.filter(|_| has_trusted_lines(self.platform))?;
        let is_bundle = line.chars().nth(CONTEXT_LINE_CHARS_MAX).is_some();
        let is_page = || {
            let is_url = self.path().is_some_and(|path| is_url(path, true));
            self.is_javascript() && self.function.is_none() && is_url
        };
        if is_bundle || is_page() {
            return None;
        }
        let mut single = String::with_capacity(line.len());
        for word in line.split_whitespace() {
            if !single.is_empty() {
                single.push(' ');
            }
            single.push_str(word);
        }
        (!single.is_empty()).then_some(single)
    }
}
