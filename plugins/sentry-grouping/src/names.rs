//! Names of modules and functions without what differs from build to build or from run to run.

use std::borrow::Cow;

use crate::native;
use crate::platform::Family;

/// The name of a function as rules see it: native ones without signatures.
pub fn trimmed<'a>(function: Option<&'a str>, raw: Option<&'a str>, platform: &str) -> Option<Cow<'a, str>> {
    let some = |name: Option<&'a str>| name.filter(|name| !name.is_empty());
    let (function, raw) = (some(function), some(raw));
    if platform == "csharp" {
        return raw.or(function).map(Cow::Borrowed);
    }
    // A client that tells both has trimmed it itself.
    let is_raw = raw.is_none() && Family::of(platform) == Family::Native;
    let name = function.or(raw)?;
    Some(match is_raw && !is_unknown(name) {
        true => Cow::Owned(native::trim(name, platform)),
        false => Cow::Borrowed(name),
    })
}

fn is_unknown(name: &str) -> bool {
    matches!(name, "<redacted>" | "<unknown>")
}

/// What of a function's name is hashed; nothing of names that say nothing.
pub fn function<'a>(name: &'a str, platform: &str) -> Option<Cow<'a, str>> {
    match platform {
        "ruby" if name.starts_with("block ") => return Some(Cow::Borrowed("block")),
        "ruby" => return Some(Cow::Borrowed(without_template_number(name))),
        "php" if name.starts_with("[Anonymous") || name.starts_with("class@anonymous\0") => return None,
        "php" if name.starts_with("class@anonymous") => return name.rsplit("::").next().map(Cow::Borrowed),
        "java" if name.starts_with("lambda$") => return None,
        _ => {}
    }
    match Family::of(platform) {
        Family::Native => (!is_unknown(name)).then_some(Cow::Borrowed(name)),
        Family::JavaScript => {
            // Browsers do not agree on the object in front.
            let last = last_part(name);
            let says_nothing =
                matches!(last, "" | "?" | "<anonymous function>" | "<anonymous>" | "Anonymous function");
            (!says_nothing && !last.ends_with("/<")).then_some(Cow::Borrowed(last))
        }
        Family::Other => Some(Cow::Borrowed(name)),
    }
}

/// What stands behind the last dot.
pub fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// `_app_views_users_show_html_erb___1234567890_12345` ends with two numbers that differ from process to process.
fn without_template_number(name: &str) -> &str {
    let number = |s: &str| s.len() >= 4 && s.bytes().all(|b| b.is_ascii_digit());
    let parts = name.rsplit_once('_').and_then(|(front, last)| Some((front.rsplit_once("__")?, last)));
    match parts {
        Some(((front, first), last)) if number(first) && number(last) => front,
        _ => name,
    }
}

/// Bytes of the name of a module in which marks are looked for.
const MODULE_BYTES_MAX: usize = 4096;

/// What of a module's name is hashed. Classes that Java's frameworks make have a number or hash that differs from run to run.
pub fn module<'a>(name: &'a str, platform: &str) -> Option<Cow<'a, str>> {
    if platform != "java" {
        return Some(Cow::Borrowed(name));
    }
    if name.contains("$$Lambda$") {
        return None;
    }
    for accessor in ["sun.reflect.GeneratedMethodAccessor", "jdk.internal.reflect.GeneratedMethodAccessor"] {
        if name.starts_with(accessor) {
            return Some(Cow::Borrowed(accessor));
        }
    }
    let is_generated = name.contains('$') || name.contains("Accessor");
    if !is_generated || name.len() > MODULE_BYTES_MAX {
        return Some(Cow::Borrowed(name));
    }
    let mut name = Cow::Borrowed(name);
    for accessor in
        ["sun.reflect.GeneratedConstructorAccessor", "sun.reflect.GeneratedSerializationConstructorAccessor"]
    {
        name = after_marks(name, accessor, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    }
    name = generated_class(name, "", "CGLIB");
    name = javassist(name);
    name = after_marks(name, "$fn__", |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    name = generated_class(name, "EnhancerBy", "");
    name = generated_class(name, "FastClassBy", "");
    Some(hibernate_proxy(name))
}

/// Puts `<auto>` in the place of as many bytes as `length` says behind each mark; 0 is no match.
fn after_marks<'a>(name: Cow<'a, str>, mark: &str, length: impl Fn(&str) -> usize) -> Cow<'a, str> {
    if !name.contains(mark) {
        return name;
    }
    let (mut out, mut rest) = (String::with_capacity(name.len() + 8), &*name);
    while let Some(at) = rest.find(mark) {
        let behind = at + mark.len();
        out.push_str(&rest[..behind]);
        rest = &rest[behind..];
        let length = length(rest);
        if length > 0 {
            out.push_str("<auto>");
            rest = &rest[length..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// `$$EnhancerByGuice$$ae46b1bf`, `$EnhancerByGuice$ae46b1bf_2`, `$$BeanCGLIB$$1f2e`: the mark goes with whatever follows it up to
/// dollars, and what is behind these differs.
fn generated_class<'a>(name: Cow<'a, str>, front: &str, back: &str) -> Cow<'a, str> {
    let opening = if back.is_empty() { format!("${front}") } else { "$$".to_owned() };
    let Some(at) = name.find(&opening) else { return name };
    let word = at + opening.len();
    let length = name[word..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let end = word + length;
    let dollars = name[end..].bytes().take(2).take_while(|b| *b == b'$').count();
    let hash = end + dollars;
    let digits = name[hash..].bytes().take_while(u8::is_ascii_hexdigit).count();
    let is_marked =
        length > back.len() && name[word..end].ends_with(back) && (back.is_empty() || dollars == 2);
    if !is_marked || dollars == 0 || digits == 0 {
        return name;
    }
    let behind = &name[hash + digits..];
    let number = behind.strip_prefix('_').map_or(0, |n| n.bytes().take_while(u8::is_ascii_digit).count());
    let behind = if number > 0 { &behind[number + 1..] } else { behind };
    // What follows may have marks of its own: `…$$FastClassByGuice$$caceacd2`.
    let behind = generated_class(Cow::Borrowed(behind), front, back);
    Cow::Owned(format!("{}<auto>{behind}", &name[..hash]))
}

fn javassist(name: Cow<'_, str>) -> Cow<'_, str> {
    const MARK: &str = "$$_javassist";
    let Some(at) = name.find(MARK) else { return name };
    let rest = &name[at + MARK.len()..];
    let rest = rest.strip_prefix("_seam").unwrap_or(rest);
    let number = rest.strip_prefix('_').map_or(0, |n| n.bytes().take_while(u8::is_ascii_digit).count());
    let rest = if number > 0 { &rest[number + 1..] } else { rest };
    Cow::Owned(format!("{}{MARK}<auto>{rest}", &name[..at]))
}

fn hibernate_proxy(name: Cow<'_, str>) -> Cow<'_, str> {
    let Some(at) = name.find("$HibernateProxy$") else { return name };
    let hash = at + "$HibernateProxy$".len();
    let hash = hash + usize::from(name[hash..].starts_with('$'));
    let length = name[hash..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    match length {
        0 => name,
        _ => Cow::Owned(format!("{}<auto>{}", &name[..hash], &name[hash + length..])),
    }
}

/// The name of a file, of whatever system its path is.
pub fn base_name(path: &str, platform: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_lowercase();
    if platform == "java" { javassist(Cow::Owned(name)).into_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_java() {
        for (name, want) in [
            ("com.example.Shop", Some("com.example.Shop")),
            ("a.B$$Lambda$12", None),
            ("sun.reflect.GeneratedMethodAccessor789", Some("sun.reflect.GeneratedMethodAccessor")),
            (
                "jdk.internal.reflect.GeneratedMethodAccessor7",
                Some("jdk.internal.reflect.GeneratedMethodAccessor"),
            ),
            (
                "sun.reflect.GeneratedConstructorAccessor4",
                Some("sun.reflect.GeneratedConstructorAccessor<auto>"),
            ),
            ("a.B$$EnhancerByGuice$$ae46b1bf", Some("a.B$$EnhancerByGuice$$<auto>")),
            ("a.B$EnhancerByGuice$ae46b1bf_2", Some("a.B$EnhancerByGuice$<auto>")),
            (
                "a.B$$EnhancerByGuice$$ae46b1bf$$FastClassByGuice$$caceacd2",
                Some("a.B$$EnhancerByGuice$$<auto>$$FastClassByGuice$$<auto>"),
            ),
            ("a.B$$EnhancerBySpringCGLIB$$1f2e3d4c", Some("a.B$$EnhancerBySpringCGLIB$$<auto>")),
            ("a.B_$$_javassist_seam_74", Some("a.B_$$_javassist<auto>")),
            ("a.core$fn__12345", Some("a.core$fn__<auto>")),
            ("a.User$HibernateProxy$oRWxjAWT", Some("a.User$HibernateProxy$<auto>")),
            ("a.B$C", Some("a.B$C")),
        ] {
            assert_eq!(module(name, "java").as_deref(), want, "{name}");
        }
        let hostile = "$$EnhancerByA$$1".repeat(1 << 16);
        assert_eq!(module(&hostile, "java").as_deref(), Some(hostile.as_str()));
        assert_eq!(module("a$$Lambda$1", "python").as_deref(), Some("a$$Lambda$1"));
    }

    #[test]
    fn functions() {
        for (platform, name, want) in [
            ("javascript", "Foo.prototype.bar", Some("bar")),
            ("node", "Anonymous function", None),
            ("javascript", "?", None),
            ("javascript", "x/<", None),
            ("java", "lambda$run$0", None),
            ("ruby", "block in save", Some("block")),
            ("ruby", "_app_views_show_erb___1234567890_12345", Some("_app_views_show_erb_")),
            ("ruby", "save__12_3", Some("save__12_3")),
            ("php", "[Anonymous function]", None),
            ("php", "class@anonymous/in/x.php::run", Some("run")),
            ("native", "<redacted>", None),
            ("native", "f", Some("f")),
            ("python", "<lambda>", Some("<lambda>")),
        ] {
            assert_eq!(function(name, platform).as_deref(), want, "{platform} {name}");
        }
        assert_eq!(trimmed(Some("int f(int)"), None, "native").as_deref(), Some("f"));
        assert_eq!(trimmed(Some("f"), Some("int f(int)"), "native").as_deref(), Some("f"));
        assert_eq!(trimmed(Some("f"), Some("f (int)"), "csharp").as_deref(), Some("f (int)"));
        assert_eq!(base_name(r"C:\a\B_$$_javassist_7.java", "java"), "b_$$_javassist<auto>.java");
    }
}
